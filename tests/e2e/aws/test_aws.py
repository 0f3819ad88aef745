"""The whole path on AWS, for real: Terraform, functions, queue, table, containers, events. Nothing is stubbed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.testing.servers.ecs_cluster import eventually

if TYPE_CHECKING:
    from tests.e2e.aws.conftest import Installation

Json = dict[str, Any]


def states(run: Json) -> list[str]:
    return [each["name"] for each in run["history"]]


def test_an_ad_hoc_run_goes_to_a_container_and_comes_back(installation: Installation) -> None:
    run_id = installation.start("hello", parameters={"day": 7})

    run = installation.ended(run_id)

    assert (run["state_name"], run["exit_code"]) == ("Completed", 0)
    (attempt,) = run["attempts"]
    assert 'hello {"day":7}' in attempt["log_tail"]
    assert attempt["handle"].startswith("arn:aws:ecs:")
    assert "log-events" in attempt["links"]["logs"]
    assert "/tasks/" in attempt["links"]["console"]


def test_run_task_is_asked_for_as_the_pool_says_and_once(installation: Installation) -> None:
    run_id = installation.start("hello")
    installation.ended(run_id)

    (request,) = installation.requests(run_id)
    network = request["networkConfiguration"]["awsvpcConfiguration"]
    (container,) = request["overrides"]["containerOverrides"]
    environment = {each["name"]: each["value"] for each in container["environment"]}
    assert request["startedBy"] == f"pushpool/{run_id}/1/1"
    assert (request["count"], request["launchType"], request["cluster"]) == (1, "FARGATE", installation.cluster)
    assert request["taskDefinition"].startswith("pushpool-fargate-")
    assert 32 <= len(request["clientToken"]) <= 64
    assert network["assignPublicIp"] == "ENABLED"
    assert network["subnets"]
    assert environment["PUSHPOOL_RUN_ID"] == run_id
    assert environment["PUSHPOOL_API_URL"] == installation.environment["PUSHPOOL_API_URL"]
    assert container["command"][:2] == ["pushpool-run", "--"]
    assert len(installation.tasks(run_id)) == 1


def test_runs_of_one_pool_share_a_task_definition(installation: Installation) -> None:
    runs = [installation.start("hello") for _ in range(3)]
    for run_id in runs:
        installation.ended(run_id)

    families = {request["taskDefinition"] for run_id in runs for request in installation.requests(run_id)}
    (family,) = families
    listed = installation.account.client("ecs").list_task_definitions(familyPrefix=family)["taskDefinitionArns"]
    assert len(listed) == 1


def test_a_run_of_a_schedule_is_made_and_starts_at_its_time(installation: Installation) -> None:
    form = {
        "pool": "fargate",
        "image": installation.account.image,
        "command": ["true"],
        "schedules": [{"interval": 20}],
    }
    assert installation.http("PUT", "/v1/deployments/often", form).status_code == 201

    found: list[Json] = []
    while not found:
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


def test_a_task_that_cannot_start_is_told_with_its_diagnosis(installation: Installation) -> None:
    run = installation.ended(installation.start("missing"))

    assert run["state_name"] == "Crashed"
    assert "image" in run["state_message"]
    assert len(run["attempts"]) == 1


def test_a_spot_interruption_is_a_new_attempt_that_costs_no_retry(installation: Installation) -> None:
    run_id = installation.start("slow")
    first = installation.running(run_id)

    installation.account.interrupt(first["attempts"][0]["handle"])
    run = installation.until(run_id, lambda run: run["attempt"] == 2 and run["state_type"] == "RUNNING")
    installation.http("POST", f"/v1/runs/{run_id}/cancel", {})
    installation.ended(run_id)

    assert "AwaitingRetry" in states(run)
    assert "spot" in run["attempts"][0]["outcome"].lower()
    assert len(installation.tasks(run_id)) == 2


def test_a_cancelled_run_stops_its_task(installation: Installation) -> None:
    run_id = installation.start("slow")
    installation.running(run_id)

    installation.http("POST", f"/v1/runs/{run_id}/cancel", {})
    run = installation.ended(run_id)

    assert run["state_name"] == "Cancelled"
    # Its runner tells of the end a moment before it ends.
    eventually(lambda: all(task["lastStatus"] != "RUNNING" for task in installation.tasks(run_id)))


def test_doubled_events_change_nothing_twice(installation: Installation) -> None:
    with installation.account.events_are("doubled"):
        run = installation.ended(installation.start("bare"))

    assert (run["state_name"], run["attempt"]) == ("Failed", 1)
    assert states(run).count("Failed") == 1


def test_events_that_come_late_and_the_wrong_way_round_change_nothing(installation: Installation) -> None:
    with installation.account.events_are("held"):
        run_id = installation.start("hello")
        ended = installation.ended(run_id)
        assert installation.account.release_events(backwards=True) > 0
        after = installation.ended(installation.start("hello"))

    assert ended["state_name"] == after["state_name"] == "Completed"
    assert installation.run(run_id)["history"] == ended["history"]


@pytest.mark.parametrize("kind", ["capacity", "memory"])
def test_a_refusal_that_ecs_would_repeat_gets_a_new_submission(installation: Installation, kind: str) -> None:
    installation.account.fail_next_run_task(kind)

    run_id = installation.start("hello")
    run = installation.ended(run_id)

    first, second = installation.requests(run_id)
    assert run["state_name"] == "Completed"
    assert (run["attempt"], len(run["attempts"])) == (1, 1)
    assert first["clientToken"] != second["clientToken"]
    assert second["startedBy"] == f"pushpool/{run_id}/1/2"
    assert len(installation.tasks(run_id)) == 1


def test_throttling_never_reaches_the_user(installation: Installation) -> None:
    installation.account.fail_next_run_task("throttled", times=2)

    run_id = installation.start("hello")
    run = installation.ended(run_id)

    assert run["state_name"] == "Completed"
    assert "Crashed" not in states(run)
    assert len(installation.tasks(run_id)) == 1


def test_a_lost_reply_starts_no_second_task(installation: Installation) -> None:
    installation.account.fail_next_run_task("reply lost")

    run_id = installation.start("hello")
    run = installation.ended(run_id)

    assert run["state_name"] == "Completed"
    assert len(installation.tasks(run_id)) == 1


def test_a_store_that_throttles_and_loses_replies_harms_no_run(installation: Installation) -> None:
    """Between the functions and DynamoDB: errors, conflicts, and answers that are lost after the effect."""
    proxy = installation.account.proxy
    conflict = {"CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}]}
    proxy.fail("dynamodb", "TransactWriteItems", "TransactionCanceledException", times=2, fields=conflict)
    proxy.fail("dynamodb", "UpdateItem", "ThrottlingException", times=3)
    proxy.fail("dynamodb", "Query", "ProvisionedThroughputExceededException", times=3)
    proxy.cut("dynamodb", "UpdateItem", times=2)

    runs = [installation.start("hello") for _ in range(4)]
    ended = [installation.ended(run_id) for run_id in runs]
    fired = [each["operation"] for each in proxy.fired()]
    proxy.forget()

    assert {run["state_name"] for run in ended} == {"Completed"}
    assert [len(installation.tasks(run_id)) for run_id in runs] == [1, 1, 1, 1]
    assert {"TransactWriteItems", "UpdateItem", "Query"} <= set(fired)


DYING = """
import os, signal
from datetime import UTC, datetime, timedelta
from adapters import aws
from dispatcher import settings, wiring
from dispatcher.catalogue.pools import pause_pool
from dispatcher.dispatch import Dispatcher

really = aws.client

def client(service, **how):
    made = really(service, **how)
    made.meta.events.register("after-call.ecs.RunTask", lambda **_: os.kill(os.getpid(), signal.SIGKILL))
    return made

aws.client = client
context = wiring.visiting(settings.read())
dispatcher = Dispatcher(context)
pause_pool(context, "fargate", paused=False)
dispatcher.over("fargate", until=datetime.now(UTC) + timedelta(minutes=1))
"""


def test_a_dispatcher_killed_between_run_task_and_its_record_leaves_exactly_one_task(
    installation: Installation,
) -> None:
    """A dispatcher of this machine: that of a function could not be killed at so exact a moment."""
    assert installation.http("POST", "/v1/work-pools/fargate/pause").status_code == 200
    run_id = installation.start("hello")
    alone = {
        "PUSHPOOL_STORE": f"dynamodb://{installation.table}",
        "PUSHPOOL_PUBLIC_URL": installation.environment["PUSHPOOL_API_URL"],
        "PUSHPOOL_SECRETS": "secretsmanager://pushpool",
    }

    killed = subprocess.run(
        [sys.executable, "-c", DYING], env={**installation.environment, **alone}, capture_output=True, check=False
    )
    run = installation.ended(run_id)

    assert killed.returncode == -9, killed.stderr
    assert run["state_name"] == "Completed"
    assert len(installation.requests(run_id)) == len(installation.tasks(run_id)) == 1


def test_a_pool_without_rights_opens_its_circuit_and_its_runs_wait(installation: Installation) -> None:
    installation.account.fail_next_run_task("denied")

    run_id = installation.start("hello")
    installation.until(run_id, lambda run: "Submitting" in states(run) and run["state_type"] == "SCHEDULED")
    pool = installation.http("GET", "/v1/work-pools/fargate").json()
    installation.http("POST", "/v1/work-pools/fargate/resume")
    run = installation.ended(run_id)

    assert "allow ecs:RunTask" in pool["unavailable"]["reason"]
    assert run["state_name"] == "Completed"


def test_who_has_no_key_is_not_let_in(installation: Installation) -> None:
    refused = installation.http("GET", "/v1/runs", key="pp_00000000_none")

    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"


def test_a_message_that_is_no_wake_ends_with_the_dead_letters(installation: Installation) -> None:
    sqs = installation.account.client("sqs")
    sqs.send_message(QueueUrl=installation.outputs["wake_queue_url"], MessageBody="no wake")

    installation.until(installation.start("hello"), lambda run: run["state_type"] == "COMPLETED")

    assert "message is no wake" in installation.said()


def test_nothing_that_is_kept_or_logged_has_a_runs_token(installation: Installation) -> None:
    run_id = installation.start("hello")
    installation.ended(run_id)
    (request,) = installation.requests(run_id)
    (container,) = request["overrides"]["containerOverrides"]
    (token,) = [each["value"] for each in container["environment"] if each["name"] == "PUSHPOOL_RUN_TOKEN"]
    secret = token.rpartition(".")[2]

    pages = installation.account.client("dynamodb").get_paginator("scan").paginate(TableName=installation.table)
    kept = "".join(repr(page["Items"]) for page in pages)
    said = "".join(installation.said(function) for function in ("api", "dispatch", "events"))

    assert secret not in kept
    assert secret not in said
    assert secret not in json.dumps(installation.run(run_id))
