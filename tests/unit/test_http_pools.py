"""Work pools and queues over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from dispatcher import pulses
from dispatcher.pools import Circuit, PoolPulse, Spent
from dispatcher.ports import PoolUnavailable
from dispatcher.records import write
from dispatcher.runs import Name
from dispatcher.testing.api_bench import TEMPLATE, ApiBench
from dispatcher.testing.builders import NOW, admitted, make_run, start

POOL = "/v1/work-pools/local"
FORM = {"type": "process", "base_job_template": TEMPLATE}


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench()


def test_registering_says_what_it_changed(bench: ApiBench) -> None:
    answers = [
        bench.call("PUT", POOL, FORM),
        bench.call("PUT", POOL, FORM),
        bench.call("PUT", POOL, {**FORM, "concurrency_limit": 3}),
        bench.call("PUT", POOL, FORM),
    ]

    assert [answer.status for answer in answers] == [201, 200, 200, 200]
    assert [answer.json["change"] for answer in answers] == ["created", "unchanged", "changed", "changed"]
    assert [answer.json["concurrency_limit"] for answer in answers] == [None, None, 3, None]


def test_a_pool_is_shown_as_it_was_registered(bench: ApiBench) -> None:
    form = {**FORM, "description": "d", "variables": {"env": {"A": "1"}}, "concurrency_limit": 2, "prefetch_seconds": 5}
    bench.call("PUT", POOL, form)

    shown = bench.call("GET", POOL).json

    assert {key: shown[key] for key in form} == form
    assert (shown["name"], shown["default_queue"], shown["paused"]) == ("local", "default", False)
    assert shown["created"] == shown["updated"] == "2026-03-01T12:00:00Z"


def test_a_pool_is_ready_while_passes_are_made(bench: ApiBench) -> None:
    bench.with_pool()
    before = bench.call("GET", POOL).json["status"]
    write(bench.store, PoolPulse(pool="local", last_pass=NOW))
    bench.clock.move(timedelta(seconds=150))
    within = bench.call("GET", POOL).json["status"]
    bench.clock.move(timedelta(seconds=1))
    after = bench.call("GET", POOL).json["status"]

    assert [before, within, after] == ["NOT_READY", "READY", "NOT_READY"]


def test_a_pool_that_is_unavailable_is_not_ready(bench: ApiBench) -> None:
    bench.with_pool()
    circuit = Circuit(reason="denied", since=NOW, until=NOW + timedelta(minutes=1), failures=1)
    write(bench.store, PoolPulse(pool="local", last_pass=NOW, circuit=circuit))

    shown = bench.call("GET", POOL).json

    assert (shown["status"], shown["unavailable"]["reason"]) == ("NOT_READY", "denied")


def test_pause_and_resume(bench: ApiBench) -> None:
    bench.with_pool()

    paused = bench.call("POST", f"{POOL}/pause")
    resumed = bench.call("POST", f"{POOL}/resume")

    assert (paused.status, paused.json["paused"], paused.json["status"]) == (200, True, "PAUSED")
    assert (resumed.status, resumed.json["paused"]) == (200, False)


def test_a_pool_that_has_used_up_its_clouds_budget_says_until_when(bench: ApiBench) -> None:
    bench.with_pool()
    until = NOW + timedelta(minutes=40)
    pulses.used_up(bench.store, "local", Spent(until=until, reason="300 in 3600 s"), NOW)

    said = bench.call("GET", POOL).json["used_up"]
    assert (said["reason"], datetime.fromisoformat(said["until"])) == ("300 in 3600 s", until)
    bench.clock.move(timedelta(minutes=41))
    assert bench.call("GET", POOL).json["used_up"] is None


def test_a_pool_that_is_unavailable_says_why_until_it_is_resumed(bench: ApiBench) -> None:
    bench.with_pool()
    pulses.opened(bench.store, "local", PoolUnavailable("no such cluster"), bench.clock.now())

    open_circuit = bench.call("GET", POOL).json["unavailable"]
    bench.call("POST", f"{POOL}/resume")

    assert open_circuit["reason"] == "no such cluster"
    assert open_circuit["until"] > open_circuit["since"]
    assert bench.call("GET", POOL).json["unavailable"] is None


def test_a_pool_that_is_used_is_deleted_only_by_force(bench: ApiBench) -> None:
    bench.with_pool().with_deployment()
    admitted(bench.store, make_run(pool="local", deployment="report"))
    before = bench.contents()

    refused = bench.call("DELETE", POOL)
    unchanged = bench.contents() == before
    forced = bench.call("DELETE", POOL, query="force=true")

    assert (refused.status, unchanged) == (409, True)
    assert "report" in refused.json["detail"]
    assert forced.status == 202
    assert bench.call("GET", POOL).status == 404
    assert bench.call("GET", "/v1/work-pools").json["items"] == []


def test_a_pool_that_is_not_used_is_gone_at_once(bench: ApiBench) -> None:
    bench.with_pool()

    assert bench.call("DELETE", POOL).status == 204
    assert bench.call("DELETE", POOL).status == 404


def test_the_type_of_a_pool_never_changes(bench: ApiBench) -> None:
    bench.with_pool()
    before = bench.contents()

    answer = bench.call("PUT", POOL, {**FORM, "type": "ecs:push"})

    assert answer.status in {409, 422}
    assert bench.contents() == before


def test_lists_go_page_by_page(bench: ApiBench) -> None:
    for name in ("c", "a", "b"):
        bench.with_pool(name)

    first = bench.call("GET", "/v1/work-pools", query="limit=2").json
    second = bench.call("GET", "/v1/work-pools", query=f"limit=2&cursor={first['next']}").json

    assert [pool["name"] for pool in first["items"]] == ["a", "b"]
    assert [pool["name"] for pool in second["items"]] == ["c"]
    assert second["next"] is None


def test_queues_are_listed_by_priority(bench: ApiBench) -> None:
    bench.with_pool()
    for name, priority in (("low", 9), ("high", 1)):
        answer = bench.call("PUT", f"{POOL}/queues/{name}", {"priority": priority, "concurrency_limit": 2})
        assert (answer.status, answer.json["change"]) == (201, "created")

    shown = bench.call("GET", f"{POOL}/queues").json["items"]

    assert [(queue["name"], queue["priority"]) for queue in shown] == [("high", 1), ("default", 2), ("low", 9)]


def test_a_queue_counts_its_late_runs(bench: ApiBench) -> None:
    bench.with_pool().with_deployment()
    bench.new_run()
    bench.new_run(scheduled_time="2026-03-01T13:00:00Z")
    bench.clock.move(timedelta(seconds=16))

    assert bench.call("GET", f"{POOL}/queues/default").json["late"] == 1
    assert bench.call("GET", f"{POOL}/queues").json["items"][0]["late"] is None


def test_a_queue_is_paused_resumed_and_deleted(bench: ApiBench) -> None:
    bench.with_pool().call("PUT", f"{POOL}/queues/high", {})

    assert bench.call("POST", f"{POOL}/queues/high/pause").json["status"] == "PAUSED"
    assert bench.call("POST", f"{POOL}/queues/high/resume").json["paused"] is False
    assert bench.call("DELETE", f"{POOL}/queues/high").status == 204
    assert bench.call("GET", f"{POOL}/queues/high").status == 404


def test_the_default_queue_stays(bench: ApiBench) -> None:
    bench.with_pool()

    assert bench.call("DELETE", f"{POOL}/queues/default", query="force=true").status == 409


@pytest.mark.parametrize("path", ["", "/preview", "/slots", "/queues", "/queues/default"])
def test_what_does_not_exist_is_404_and_named(bench: ApiBench, path: str) -> None:
    answer = bench.call("GET", f"{POOL}{path}")

    assert answer.status == 404
    assert "'local'" in answer.json["detail"]


def test_slots_show_who_holds_them(bench: ApiBench) -> None:
    bench.with_pool(concurrency_limit=12)
    admitted(bench.store, make_run(pool="local"), slot="10")
    run = admitted(bench.store, make_run(pool="local"), slot="2")
    bench.store.move(start(run))

    shown = bench.call("GET", f"{POOL}/slots").json

    assert (shown["limit"], shown["active"]) == (12, 2)
    assert shown["queues"] == [{"name": "default", "limit": None, "active": 2}]
    assert [(holder["slot"], holder["state_name"]) for holder in shown["holders"]] == [
        ("2", Name.RUNNING),
        ("10", Name.SUBMITTING),
    ]
    assert shown["holders"][0]["run_id"] == run.id
    assert shown["holders"][0]["since"] == "2026-03-01T12:00:00Z"
    assert bench.call("GET", POOL).json["active_slots"] == 2


def test_the_preview_merges_waiting_runs_and_coming_dates(bench: ApiBench) -> None:
    bench.with_pool()
    bench.with_deployment("hourly", schedules=[{"cron": "0 * * * *"}])
    bench.with_deployment("often", schedules=[{"interval": 1200}, {"interval": 60, "active": False}])
    bench.with_deployment("paused", schedules=[{"interval": 60}], paused=True)
    run = bench.new_run("hourly", scheduled_time="2026-03-01T12:30:00Z")

    shown = bench.call("GET", f"{POOL}/preview", query="hours=1").json

    assert [(item["due_at"][11:16], item["deployment"]) for item in shown["items"]] == [
        ("12:20", "often"),
        ("12:30", "hourly"),
        ("12:40", "often"),
    ]
    assert [item["run_id"] for item in shown["items"]] == [None, run["id"], None]
    assert (shown["until"], shown["more"]) == ("2026-03-01T13:00:00Z", False)


def test_a_date_whose_run_was_made_is_previewed_once(bench: ApiBench) -> None:
    from dispatcher.materialise import materialise

    bench.with_pool().with_deployment("often", schedules=[{"interval": 60}])
    materialise(bench.context, until=bench.clock.now() + timedelta(seconds=1))

    shown = bench.call("GET", f"{POOL}/preview").json["items"]

    assert len({item["due_at"] for item in shown}) == len(shown) == 59
    assert [item["run_id"] is not None for item in shown[:3]] == [True, True, False]


def test_a_long_preview_is_cut_and_says_so(bench: ApiBench) -> None:
    bench.with_pool().with_deployment("often", schedules=[{"interval": 1}])

    shown = bench.call("GET", f"{POOL}/preview", query="hours=168").json

    assert (len(shown["items"]), shown["more"]) == (200, True)
