"""Flow runs over HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dispatcher.ports import Move
from dispatcher.runs import FlowRun, Name, Target, amended, with_attempt
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.builders import admitted, end, make_run, start

RUNS = "/v1/deployments/report/runs"


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench().with_pool().with_deployment(parameters={"a": 1}, tags=["nightly"])


def active(bench: ApiBench, **changes: object) -> FlowRun:
    run = admitted(bench.store, make_run(pool="local", deployment="report"))
    after = amended(run, attempts=with_attempt(run, handle="h-1", **changes))
    bench.store.move(Move(run, after))
    return after


def test_a_run_takes_after_its_deployment(bench: ApiBench) -> None:
    answer = bench.call("POST", RUNS, {"parameters": {"b": 2}, "tags": ["mine"], "queue": "high", "name": "first"})

    run = answer.json
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v1/runs/{run['id']}"
    assert (run["name"], run["work_pool"], run["work_queue"]) == ("first", "local", "high")
    assert (run["parameters"], run["tags"]) == ({"a": 1, "b": 2}, ["nightly", "mine"])
    assert (run["state_type"], run["state_name"]) == ("SCHEDULED", "Scheduled")
    assert bench.waker.wakes[-1] == ("local", None)


def test_a_run_needs_no_body(bench: ApiBench) -> None:
    assert bench.call("POST", RUNS).status == 201


def test_the_same_key_and_body_give_the_same_run(bench: ApiBench) -> None:
    form = {"idempotency_key": "k", "parameters": {"b": 2}}

    first, second = bench.call("POST", RUNS, form), bench.call("POST", RUNS, form)
    other = bench.call("POST", RUNS, {**form, "parameters": {"b": 3}})

    assert (first.status, second.status, other.status) == (201, 200, 409)
    assert first.json["id"] == second.json["id"]
    assert first.json["id"] in other.json["detail"]


def test_a_run_says_why_it_waits(bench: ApiBench) -> None:
    run = bench.new_run(scheduled_time="2026-03-01T13:00:00+00:00")
    early = bench.call("GET", f"/v1/runs/{run['id']}").json["waits_for"]
    bench.clock.move(timedelta(hours=1, seconds=16))
    bench.call("POST", "/v1/work-pools/local/pause")
    late = bench.call("GET", f"/v1/runs/{run['id']}").json

    assert early == "due at 2026-03-01 13:00:00 UTC"
    assert (late["waits_for"], late["state_name"]) == ("work pool 'local' is paused", "Late")


def test_an_active_run_is_shown_with_its_attempt(bench: ApiBench) -> None:
    run = active(bench, links={"console": "https://cloud/h-1"}, log_tail="last line")
    bench.store.move(start(run))

    shown = bench.call("GET", f"/v1/runs/{run.id}").json

    assert (shown["state_name"], shown["waits_for"]) == ("Running", "")
    assert (shown["links"], shown["log_tail"]) == ({"console": "https://cloud/h-1"}, "last line")
    (attempt,) = shown["attempts"]
    assert (attempt["number"], attempt["handle"], attempt["claimed"]) == (1, "h-1", True)
    assert [state["name"] for state in shown["history"]] == ["Scheduled", "Submitting", "Running"]


def test_the_id_of_a_run_may_be_spelled_in_capitals(bench: ApiBench) -> None:
    run = bench.new_run()

    assert bench.call("GET", f"/v1/runs/{run['id'].upper()}").json["id"] == run["id"]


def test_a_run_that_does_not_exist_is_404(bench: ApiBench) -> None:
    for path in ("", "/logs"):
        assert bench.call("GET", f"/v1/runs/00000000-0000-4000-8000-000000000000{path}").status == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["later", "now", "late", "done"]),
        ("state=SCHEDULED", ["later", "now", "late"]),
        ("state=Late", ["late"]),
        ("state=Scheduled", ["later", "now"]),
        ("state=Late&state=COMPLETED", ["late", "done"]),
        ("state=RUNNING", []),
        ("tag=x", ["late"]),
        ("deployment=other", []),
        ("pool=local&queue=default", ["later", "now", "late", "done"]),
        ("since=2026-03-01T12:00:00Z&until=2026-03-01T13:00:00Z", ["now"]),
        ("since=2026-03-01T13:00:00%2B01:00&until=2026-03-01T14:00:00%2B01:00", ["now"]),
    ],
)
def test_runs_are_found_by(bench: ApiBench, query: str, found: list[str]) -> None:
    done = admitted(bench.store, make_run(pool="local", name="done", due_in=-timedelta(hours=2), deployment="report"))
    bench.store.move(end(done))
    for name, hours, tags in (("late", -1, ("x",)), ("now", 0, ()), ("later", 2, ())):
        run = make_run(pool="local", name=name, due_in=timedelta(hours=hours), deployment="report", tags=tags)
        bench.store.create_run(run)

    items = bench.call("GET", "/v1/runs", query=query).json["items"]

    assert [item["name"] for item in items] == found


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_a_page_of_scheduled_runs_is_full_although_late_ones_lie_between(bench: ApiBench, limit: int) -> None:
    for minute, is_late in enumerate([False, False, False, True, True, False, True, False]):
        run = make_run(pool="local", due_in=timedelta(minutes=minute), name=f"{minute}")
        bench.store.create_run(replace(run, due_at=run.created - timedelta(days=1)) if is_late else run)

    names, cursor = list[list[str]](), ""
    while not names or cursor:
        page = bench.call("GET", "/v1/runs", query=f"state=Scheduled&limit={limit}{cursor}").json
        names.append([item["name"] for item in page["items"]])
        cursor = f"&cursor={page['next']}" if page["next"] else ""

    assert [name for page in names for name in page] == ["7", "5", "2", "1", "0"]
    assert all(len(page) == limit for page in names[:-1])


def test_cancelling_a_waiting_run_ends_it(bench: ApiBench) -> None:
    run = bench.new_run()

    answer = bench.call("POST", f"/v1/runs/{run['id']}/cancel", {"message": "not today"})

    assert (answer.json["state_name"], answer.json["state_message"]) == ("Cancelled", "not today")
    assert bench.call("POST", f"/v1/runs/{run['id']}/cancel").status == 409


def test_cancelling_an_active_run_stops_it(bench: ApiBench) -> None:
    run = active(bench)

    assert bench.call("POST", f"/v1/runs/{run.id}/cancel").json["state_name"] == "Cancelling"


def test_a_run_that_has_ended_can_be_retried_and_deleted(bench: ApiBench) -> None:
    run = bench.new_run()
    place = f"/v1/runs/{run['id']}"
    too_early = bench.call("POST", f"{place}/retry")
    bench.call("POST", f"{place}/cancel")

    retried = bench.call("POST", f"{place}/retry")
    deleted = bench.call("DELETE", place)

    assert (too_early.status, retried.json["state_name"]) == (409, "AwaitingRetry")
    assert deleted.status == 204
    assert bench.call("GET", place).status == 404


def test_an_active_run_cannot_be_deleted(bench: ApiBench) -> None:
    run = active(bench)
    before = bench.contents()

    assert bench.call("DELETE", f"/v1/runs/{run.id}").status == 409
    assert bench.contents() == before


def test_runs_are_cancelled_by_filter(bench: ApiBench) -> None:
    bench.with_deployment("other")
    mine = [bench.new_run()["id"] for _ in range(3)]
    other = bench.new_run("other")

    answer = bench.call("POST", "/v1/runs/cancel", {"deployment": "report", "types": ["SCHEDULED"]})

    assert answer.json == {"cancelled": 3, "more": False}
    states = {run: bench.call("GET", f"/v1/runs/{run}").json["state_name"] for run in [*mine, other["id"]]}
    assert states == {**dict.fromkeys(mine, "Cancelled"), other["id"]: "Scheduled"}


@pytest.mark.parametrize("form", [{}, {"types": []}, {"types": ["Late"]}, {"states": ["SCHEDULED"]}, {"pool": None}])
def test_not_everything_is_cancelled_by_mistake(bench: ApiBench, form: dict[str, object]) -> None:
    bench.new_run()
    before = bench.contents()

    assert bench.call("POST", "/v1/runs/cancel", form).status == 422
    assert bench.contents() == before


class _Silent:
    """Infrastructure that hands out no output."""


class _Talking:
    """Infrastructure that does."""

    def log(self, target: Target, handle: str) -> str | None:
        return f"output of {handle}"


def test_output_is_handed_out_where_the_infrastructure_can(bench: ApiBench) -> None:
    bench.infrastructure = _Talking()  # type: ignore[assignment]  # only its further ability is asked for
    run = active(bench)

    shown = bench.call("GET", f"/v1/runs/{run.id}/logs").json

    assert (shown["text"], shown["attempt"], shown["message"]) == ("output of h-1", 1, "")


def test_else_it_is_said_where_the_output_is(bench: ApiBench) -> None:
    bench.infrastructure = _Silent()  # type: ignore[assignment]  # it is asked for nothing
    run = active(bench, links={"logs": "https://cloud/logs/h-1"})

    shown = bench.call("GET", f"/v1/runs/{run.id}/logs", query="attempt=1").json

    assert shown["text"] is None
    assert shown["message"] == "the output is kept at https://cloud/logs/h-1"


def test_the_last_lines_are_shown_where_the_output_is_kept_elsewhere(bench: ApiBench) -> None:
    bench.infrastructure = _Silent()  # type: ignore[assignment]  # it is asked for nothing
    run = active(bench, links={"logs": "https://cloud/logs/h-1"}, log_tail="no such table")

    shown = bench.call("GET", f"/v1/runs/{run.id}/logs").json

    assert shown["text"] == "no such table"
    assert shown["message"] == "these are its last lines; the output is kept at https://cloud/logs/h-1"


def test_a_run_without_an_attempt_has_no_output(bench: ApiBench) -> None:
    run = bench.new_run()

    assert "never started" in bench.call("GET", f"/v1/runs/{run['id']}/logs").json["message"]
    assert bench.call("GET", f"/v1/runs/{run['id']}/logs", query="attempt=7").status == 404


def test_state_names_are_all_to_be_asked_for(bench: ApiBench) -> None:
    for name in Name:
        assert bench.call("GET", "/v1/runs", query=f"state={name}").status == 200
