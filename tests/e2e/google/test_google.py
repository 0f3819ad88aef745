"""The whole path on Google Cloud: functions as processes, Firestore's emulator, tasks, executions, pushed events."""

from __future__ import annotations

import json
import time
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.google.conftest import Installation

Json = dict[str, Any]


def states(run: Json) -> list[str]:
    return [each["name"] for each in run["history"]]


def soon(look: Callable[[], object], seconds: float = 20) -> object:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not seen within {seconds:g} s"
        time.sleep(0.05)
    return found


# runs


def test_an_ad_hoc_run_goes_to_a_container_and_comes_back(installation: Installation) -> None:
    run_id = installation.start("hello", parameters={"day": 7})

    run = installation.ended(run_id)

    assert (run["state_name"], run["exit_code"]) == ("Completed", 0)
    (attempt,) = run["attempts"]
    assert 'hello {"day":7}' in attempt["log_tail"]
    job = f"pushpool-{run_id.replace('-', '')}-1-1"
    assert attempt["handle"].endswith(f"/locations/europe-west1/jobs/{job}/executions/{job}-run")
    assert "console.cloud.google.com/run/jobs/executions" in attempt["links"]["console"]
    assert "console.cloud.google.com/logs" in attempt["links"]["logs"]


def test_a_job_is_asked_for_as_the_pool_says_and_once(installation: Installation) -> None:
    run_id = installation.start("hello")
    installation.ended(run_id)

    (request,) = installation.requests(run_id)
    task = request["job"]["template"]["template"]
    (container,) = task["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert request["parent"] == f"projects/{installation.google.id}/locations/europe-west1"
    assert request["job"]["startExecutionToken"] == "run"
    assert task.get("maxRetries", 0) == 0
    assert container["command"] == ["pushpool-run"]
    assert environment["PUSHPOOL_RUN_ID"] == run_id
    assert environment["PUSHPOOL_API_URL"] == installation.urls["api"]
    assert len(installation.executions(run_id)) == 1


@pytest.mark.parametrize("deployment", ["hello-shared", "hello-old"])
def test_the_other_ways_of_submitting_come_to_the_same_end(installation: Installation, deployment: str) -> None:
    runs = [installation.start(deployment) for _ in range(2)]

    assert [installation.ended(run_id)["state_name"] for run_id in runs] == ["Completed", "Completed"]
    assert [len(installation.executions(run_id)) for run_id in runs] == [1, 1]


def test_runs_that_share_a_job_leave_one_job(installation: Installation) -> None:
    runs = [installation.start("hello-shared", parameters={"number": number}) for number in range(3)]
    handles = {installation.named(run_id) for run_id in runs}

    assert len(handles) == 3
    assert len({handle.partition("/executions/")[0] for handle in handles}) == 1


def test_a_run_of_a_schedule_is_made_and_starts_at_its_time(installation: Installation) -> None:
    """The tick makes the run, and its wake, a task of the queue, comes when it is due."""
    form = {
        "pool": "jobs",
        "image": installation.google.cloud_run.image,
        "command": ["true"],
        "schedules": [{"interval": 8}],
    }
    assert installation.http("PUT", "/v1/deployments/often", form).status_code == 201
    assert installation.tick().status_code == 204

    found = installation.http("GET", "/v1/runs?deployment=often&limit=50").json()["items"]
    run_id = min(found, key=lambda run: run["scheduled_time"])["id"]
    run = installation.ended(run_id)
    installation.http("DELETE", "/v1/deployments/often")

    assert run["state_name"] == "Completed"
    assert datetime.fromisoformat(run["started"]) >= datetime.fromisoformat(run["scheduled_time"])


def test_a_job_that_fails_says_so_with_its_exit_code_and_last_lines(installation: Installation) -> None:
    run = installation.ended(installation.start("fails"))

    assert (run["state_name"], run["exit_code"]) == ("Failed", 3)
    assert "no such table" in run["attempts"][0]["log_tail"]


def test_an_image_without_a_runner_ends_by_the_clouds_own_events(installation: Installation) -> None:
    run = installation.ended(installation.start("bare"))

    assert (run["state_name"], run["exit_code"]) == ("Failed", 4)


def test_a_limit_holds_and_what_waits_goes_on_when_a_slot_is_freed(installation: Installation) -> None:
    form = {"pool": "jobs", "image": installation.google.cloud_run.image, "concurrency_limit": 1}
    form |= {"command": ["sh", "-c", "sleep 0.5"]}
    assert installation.http("PUT", "/v1/deployments/one-by-one", form).status_code == 201

    runs = [installation.ended(installation_id) for installation_id in _several(installation, "one-by-one", 3)]

    lives = sorted((run["started"], run["ended"]) for run in runs)
    assert {run["state_name"] for run in runs} == {"Completed"}
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(lives))


def _several(installation: Installation, deployment: str, number: int) -> list[str]:
    return [installation.start(deployment) for _ in range(number)]


# what goes wrong


def test_a_job_that_cannot_start_is_told_with_its_diagnosis(installation: Installation) -> None:
    run = installation.ended(installation.start("missing"))

    assert run["state_name"] == "Crashed"
    assert "image" in run["state_message"].lower()
    assert "not-there" in run["state_message"]
    assert len(run["attempts"]) == 1


def test_memory_that_needs_more_cpu_is_refused_with_the_pair_that_goes(installation: Installation) -> None:
    form = {
        "pool": "jobs",
        "image": installation.google.cloud_run.image,
        "command": ["true"],
        "job_variables": {"cpu": "1", "memory": "8Gi"},
    }
    assert installation.http("PUT", "/v1/deployments/too-large", form).status_code in (201, 422)

    made = installation.http("POST", "/v1/deployments/too-large/runs", {})
    said = made.text if made.status_code != 201 else installation.ended(made.json()["id"])["state_message"]

    assert "8Gi" in said
    assert "cpu" in said


def test_a_cancelled_run_stops_its_execution(installation: Installation) -> None:
    run_id = installation.start("slow")
    installation.running(run_id)

    installation.http("POST", f"/v1/runs/{run_id}/cancel", {})
    run = installation.ended(run_id)

    assert run["state_name"] == "Cancelled"
    soon(lambda: installation.named(run_id) not in installation.google.cloud_run.live())


def test_an_execution_that_somebody_cancels_ends_although_google_tells_of_no_error(installation: Installation) -> None:
    run_id = installation.start("bare-slow")
    run = installation.until(run_id, lambda run: bool(run["attempts"] and run["attempts"][0]["handle"]))
    soon(lambda: installation.executions(run_id))

    executions = installation.google.cloud_run.client("ExecutionsClient")
    executions.cancel_execution(name=run["attempts"][0]["handle"])
    run = installation.ended(run_id)

    assert run["state_type"] in ("CANCELLED", "CRASHED")
    assert len(installation.executions(run_id)) == 1


def test_doubled_events_change_nothing_twice(installation: Installation) -> None:
    with installation.google.cloud_run.events_are("doubled"):
        run = installation.ended(installation.start("bare"))

    assert (run["state_name"], run["attempt"]) == ("Failed", 1)
    assert states(run).count("Failed") == 1


def test_events_that_come_late_and_the_wrong_way_round_change_nothing(installation: Installation) -> None:
    with installation.google.cloud_run.events_are("held"):
        run_id = installation.start("hello")
        installation.ended(run_id)
        handle = installation.named(run_id)
        soon(lambda: handle not in installation.google.cloud_run.live())
        ended = installation.run(run_id)
        assert installation.google.cloud_run.release_events(backwards=True) > 1
    assert installation.google.subscriptions[0].courier.settled()

    assert ended["state_name"] == "Completed"
    assert installation.run(run_id)["history"] == ended["history"]
    assert installation.google.subscriptions[0].courier.undelivered == []


def test_throttling_never_reaches_the_user(installation: Installation) -> None:
    installation.google.cloud_run.fail_next("throttled")
    run_id = installation.start("hello")

    waiting = installation.until(run_id, lambda run: len(run["history"]) > 2)

    assert waiting["state_type"] == "SCHEDULED"
    assert "per minute" in waiting["state_message"]
    installation.http("POST", f"/v1/runs/{run_id}/cancel", {})
    assert installation.executions(run_id) == []


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("denied", "allow the dispatcher's service account run.jobs.create"),
        ("act as", "iam.serviceAccounts.actAs"),
        ("disabled", "gcloud services enable run.googleapis.com"),
        ("jobs", "those of ended runs are deleted"),
        ("executions", "lower concurrency limit"),
    ],
)
def test_what_holds_for_the_whole_pool_stops_it_and_says_what_to_do(
    installation: Installation, kind: str, says: str
) -> None:
    installation.google.cloud_run.fail_next(kind)
    run_id = installation.start("hello")

    waiting = installation.until(run_id, lambda run: "unavailable" in str(run["waits_for"]))
    installation.http("POST", "/v1/work-pools/jobs/resume", {})
    run = installation.ended(run_id)

    assert says in waiting["waits_for"]
    assert (run["state_name"], run["attempt"]) == ("Completed", 1)
    assert len(installation.executions(run_id)) == 1


def test_a_lost_reply_starts_no_second_execution(installation: Installation) -> None:
    installation.google.cloud_run.fail_next("reply lost")

    run_id = installation.start("hello")
    run = installation.ended(run_id)

    assert run["state_name"] == "Completed"
    assert len(installation.executions(run_id)) == 1


def test_a_dispatcher_that_is_killed_between_submit_and_record_starts_one_execution(installation: Installation) -> None:
    with installation.google.cloud_run.replies_held("CreateJob") as held:
        run_id = installation.start("bare-slow")
        assert held.wait(20)
        installation.kill_dispatch()

    assert installation.run(run_id)["state_name"] == "Submitting"
    installation.tick()
    soon(lambda: installation.tick().is_success and installation.run(run_id)["attempts"][0]["handle"], seconds=60)
    installation.http("POST", f"/v1/runs/{run_id}/cancel", {})
    installation.ended(run_id)

    assert len(installation.executions(run_id)) == 1


# who may push


@pytest.mark.parametrize("target", ["dispatch", "events"])
def test_a_push_without_a_token_is_refused(installation: Installation, target: str) -> None:
    answer = installation.push(target, "{}", None)

    assert answer.status_code == 401
    assert "identity token" in installation.said(target)


@pytest.mark.parametrize("target", ["dispatch", "events"])
def test_a_push_with_a_foreign_token_is_refused(installation: Installation, target: str) -> None:
    project, url = installation.google, installation.urls[target]
    forged = project.issuer.forged(audience=url, email=project.account)
    foreign = project.token(url, email="somebody@another.iam.gserviceaccount.com")
    elsewhere = project.token("https://another.example")

    assert [installation.push(target, "{}", token).status_code for token in (forged, foreign, elsewhere)] == [
        401,
        403,
        401,
    ]


def test_an_event_of_an_unknown_execution_changes_nothing(installation: Installation) -> None:
    run_id = installation.start("bare")
    ended = installation.ended(run_id)
    entry = json.dumps(installation.google.cloud_run.events(installation.named(run_id))[-1])
    stranger = "0a0b0c0d-0000-4000-8000-000000000000"
    unknown = entry.replace(run_id, stranger).replace(run_id.replace("-", ""), stranger.replace("-", ""))
    courier = installation.google.subscriptions[0].courier
    installation.google.subscriptions[0].push(unknown.encode())

    assert courier.settled()
    assert courier.tries[-1].status == 204
    assert installation.run(run_id)["history"] == ended["history"]


# what is told


def test_nothing_secret_is_in_a_log(installation: Installation) -> None:
    run_id = installation.start("hello")
    installation.ended(run_id)
    (execution,) = installation.executions(run_id)
    token = installation.google.cloud_run.environment_of(execution)["PUSHPOOL_RUN_TOKEN"]

    logs = "".join((installation.folder / f"{target}.log").read_text() for target in installation.urls)

    assert run_id in logs
    assert token not in logs
    assert installation.key not in logs


def test_a_line_of_the_log_has_what_cloud_logging_reads(installation: Installation) -> None:
    installation.tick()

    lines = [json.loads(line) for line in installation.said().splitlines()]
    assert all({"severity", "message", "time"} <= line.keys() for line in lines)
    figures = [line["figures"] for line in lines if line["message"] == "figures"]
    assert any(each.get("Ticks") == 1 for each in figures)
