"""Task definitions: registered once, found again by whoever comes cold, and what goes wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from adapters.infrastructure import ecs
from dispatcher.ports import Accepted, NotNow, Outcome, PoolUnavailable, Rejected, Submission

MakeSubmission = Callable[..., Submission]

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/jobs/0123456789abcdef0123456789abcdef"
DENIED = "User: arn:aws:sts::123456789012:assumed-role/dispatch/x is not authorized to perform: "
TRUST = (
    "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/run' that was provided for this task. Please "
    "verify that the role being passed has the proper trust relationship and permissions and that your IAM user has "
    "permissions to pass this role."
)
GONE = ("ClientException", "Unable to describe task definition.")


def test_one_that_is_there_is_found_by_whoever_comes_cold(aws: Any, make_submission: MakeSubmission) -> None:
    for _ in range(2):
        assert isinstance(ecs.open({}).submit(make_submission()), Accepted)

    assert aws.sent("RegisterTaskDefinition") == []
    assert len(aws.sent("DescribeTaskDefinition")) == 2


def test_it_is_looked_for_once_a_process(aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission) -> None:
    for seq in range(1, 6):
        adapter.submit(make_submission(submit_seq=seq))

    assert len(aws.sent("DescribeTaskDefinition")) == 1


def test_one_that_is_missing_is_registered_once_by_however_many_threads(
    aws: Any, error: Callable[..., Any], adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    aws.says("DescribeTaskDefinition", error(*GONE))
    aws.says("RegisterTaskDefinition", {"taskDefinition": {}})
    sent = [make_submission(submit_seq=seq) for seq in range(1, 17)]

    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(adapter.submit, sent))

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    (registered,) = aws.sent("RegisterTaskDefinition")
    assert registered == sent[0].request.body["task_definition"]


def test_one_that_is_no_longer_active_is_registered_anew(
    aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    aws.says("DescribeTaskDefinition", {"taskDefinition": {"status": "INACTIVE"}})
    aws.says("RegisterTaskDefinition", {"taskDefinition": {}})

    assert isinstance(adapter.submit(make_submission()), Accepted)
    assert len(aws.sent("RegisterTaskDefinition")) == 1


def test_one_that_was_deregistered_behind_our_back_is_looked_for_again(
    aws: Any, error: Callable[..., Any], adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    adapter.submit(make_submission())
    aws.says("RunTask", error("ClientException", "TaskDefinition is inactive"), {"tasks": [{"taskArn": TASK}]})
    aws.says("DescribeTaskDefinition", error(*GONE))
    aws.says("RegisterTaskDefinition", {"taskDefinition": {}})

    assert isinstance(adapter.submit(make_submission(submit_seq=2)), NotNow)
    assert isinstance(adapter.submit(make_submission(submit_seq=3)), Accepted)
    assert len(aws.sent("RegisterTaskDefinition")) == 1


@pytest.mark.parametrize(
    ("code", "message", "status", "expected"),
    [
        ("ThrottlingException", "Rate exceeded", 400, NotNow),
        ("ServerException", "", 500, NotNow),
        ("ClientException", "Too many concurrent attempts to create a new revision of the specified family.", 400,
         NotNow),
        ("AccessDeniedException", DENIED + "iam:PassRole on resource: arn:x", 400, PoolUnavailable),
        ("ExpiredTokenException", "", 400, PoolUnavailable),
        ("ClientException", "No Fargate configuration exists for given values.", 400, Rejected),
        ("ClientException", TRUST, 400, PoolUnavailable),
        ("ClientException", "Role is not valid", 400, PoolUnavailable),
    ],
)  # fmt: skip
def test_what_goes_wrong_before_the_task_is_asked_for_is_a_definite_no(
    aws: Any,
    error: Callable[..., Any],
    adapter: ecs.Ecs,
    make_submission: MakeSubmission,
    code: str,
    message: str,
    status: int,
    expected: type[Outcome],
) -> None:
    aws.says("DescribeTaskDefinition", error(*GONE))
    aws.says("RegisterTaskDefinition", error(code, message, status))

    assert isinstance(adapter.submit(make_submission()), expected)
    assert aws.sent("RunTask") == []


def test_a_lost_reply_to_that_is_one_too(
    aws: Any, lost: Any, adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    aws.says("DescribeTaskDefinition", lost)

    assert isinstance(adapter.submit(make_submission()), NotNow)


def test_of_a_registered_one_the_container_and_the_log_are_read(
    aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-stream-prefix": "p"}}
    containers = [{"name": "proxy"}, {"name": "prefect", "logConfiguration": logs}]
    aws.says(
        "DescribeTaskDefinition",
        {"taskDefinition": {"status": "ACTIVE", "networkMode": "bridge", "containerDefinitions": containers}},
    )
    wanted = {"launchType": "EC2", "taskDefinition": "etl:3"}

    outcome = adapter.submit(make_submission(task_definition={}, task_run_request=wanted, network_configuration=None))

    assert isinstance(outcome, Accepted)
    assert "log-group/g/log-events/p$252Fprefect$252F" in outcome.links["logs"]
    (asked,) = aws.sent("RunTask")
    assert (asked["taskDefinition"], asked["overrides"]["containerOverrides"][0]["name"]) == ("etl:3", "prefect")
    assert "networkConfiguration" not in asked


def test_a_registered_one_that_is_missing_is_rejected(
    aws: Any, error: Callable[..., Any], adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    aws.says("DescribeTaskDefinition", error(*GONE))
    wanted = {"launchType": "FARGATE", "taskDefinition": "etl:3"}

    outcome = adapter.submit(make_submission(task_definition={}, task_run_request=wanted))

    assert isinstance(outcome, Rejected)
    assert aws.sent("RegisterTaskDefinition") == []


def test_a_registered_one_that_is_no_longer_active_is_rejected(
    aws: Any, error: Callable[..., Any], adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    """Nobody here can register it anew."""
    aws.says("RunTask", error("ClientException", "TaskDefinition is inactive"))
    wanted = {"launchType": "FARGATE", "taskDefinition": "etl:3"}

    outcome = adapter.submit(make_submission(task_definition={}, task_run_request=wanted))

    assert isinstance(outcome, Rejected)
