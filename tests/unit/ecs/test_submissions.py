"""RunTask's answers as outcomes: through botocore's own client, from an HTTP server that says what AWS would."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from adapters.infrastructure import ecs
from adapters.infrastructure.ecs import places
from dispatcher.ports import (
    Accepted,
    NotNow,
    Outcome,
    PoolUnavailable,
    Rejected,
    Submission,
    Unknown,
)

Json = dict[str, Any]
MakeSubmission = Callable[..., Submission]

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/jobs/0123456789abcdef0123456789abcdef"
TOKEN = "pp1.the-token-that-nobody-else-may-see"
DENIED = "User: arn:aws:sts::123456789012:assumed-role/dispatch/x is not authorized to perform: "
TRUST = (
    "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/run' that was provided for this task. Please "
    "verify that the role being passed has the proper trust relationship and permissions and that your IAM user has "
    "permissions to pass this role."
)


def test_a_task_is_asked_for_once_with_its_token_and_nothing_else_is_started(
    aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    sent = make_submission(env={"A": "1"}, attempt=2, submit_seq=3)

    outcome = adapter.submit(sent)

    assert isinstance(outcome, Accepted)
    assert outcome.handle == TASK
    (asked,) = aws.sent("RunTask")
    pairs = asked["overrides"]["containerOverrides"][0].pop("environment")
    assert {"name": "PUSHPOOL_RUN_TOKEN", "value": TOKEN} in pairs
    assert asked["taskDefinition"] == sent.request.body["task_definition"]["family"]
    assert (asked["count"], asked["cluster"]) == (1, "jobs")
    assert asked["startedBy"] == f"pushpool/{sent.run_id}/2/3"
    assert asked["clientToken"] == places.client_token(sent.run_id, 2, 3)
    assert TOKEN not in json.dumps(sent.request.body) + repr(sent) + repr(outcome)


def test_a_repeat_sends_the_same_bytes(aws: Any, make_submission: MakeSubmission) -> None:
    sent = make_submission()

    for _ in range(2):
        ecs.open({}).submit(sent)

    first, second = aws.sent("RunTask")
    assert json.dumps(first) == json.dumps(second)


def test_links_lead_to_the_task_and_its_log(aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission) -> None:
    role = "arn:aws:iam::123456789012:role/run"
    options = {"awslogs-group": "/jobs/etl"}
    sent = make_submission(configure_cloudwatch_logs=True, execution_role_arn=role, cloudwatch_logs_options=options)

    outcome = adapter.submit(sent)

    assert isinstance(outcome, Accepted)
    task_id = TASK.rpartition("/")[2]
    console = "https://eu-central-1.console.aws.amazon.com"
    assert outcome.links == {
        "console": f"{console}/ecs/v2/clusters/jobs/tasks/{task_id}/logs?region=eu-central-1",
        "logs": f"{console}/cloudwatch/home?region=eu-central-1#logsV2:log-groups/log-group/$252Fjobs$252Fetl"
        f"/log-events/nightly$252Frun$252F{task_id}",
    }


ERRORS: list[tuple[str, str, int, type[Outcome], str]] = [
    ("ThrottlingException", "Rate exceeded", 400, NotNow, "throttled"),
    ("TooManyRequestsException", "", 429, NotNow, "throttled"),
    ("InvalidParameterException", "Throttling: Request rate exceeded for EC2", 400, NotNow, "throttled"),
    ("ServerException", "Service Unavailable", 500, Unknown, "ServerException"),
    ("InternalFailure", "", 503, Unknown, "RunTask"),
    ("ClientException", "You've reached the limit on the number of vCPUs you can run concurrently", 400,
     PoolUnavailable, "higher quota"),
    ("ClientException", "The quota of tasks in the PROVISIONING state was reached", 400, PoolUnavailable, "quota"),
    ("ClientException", "No Container Instances were found in your cluster.", 400, PoolUnavailable, "launch_type"),
    ("ClientException", TRUST, 400, PoolUnavailable, "iam:PassRole"),
    ("InvalidParameterException", TRUST, 400, PoolUnavailable, "iam:PassRole"),
    ("ClusterNotFoundException", "Cluster not found.", 400, PoolUnavailable, "variable `cluster`"),
    ("InvalidParameterException", "The referenced cluster was inactive.", 400, PoolUnavailable, "cluster"),
    ("BlockedException", "Your account has been blocked.", 400, PoolUnavailable, "support"),
    ("AccessDeniedException", DENIED + "ecs:RunTask on resource: arn:aws:ecs:::task-definition/x because no "
     "identity-based policy allows it", 400, PoolUnavailable, "allow ecs:RunTask on arn:aws:ecs:::task-definition/x"),
    ("AccessDeniedException", DENIED + "iam:PassRole on resource: arn:aws:iam::123456789012:role/run because no "
     "identity-based policy allows it", 400, PoolUnavailable,
     "allow iam:PassRole on arn:aws:iam::123456789012:role/run with iam:PassedToService = ecs-tasks.amazonaws.com"),
    ("AccessDeniedException", "", 400, PoolUnavailable, "allow the action of RunTask"),
    ("ExpiredTokenException", "The security token is expired", 400, PoolUnavailable, "credentials"),
    ("UnrecognizedClientException", "The security token is invalid", 400, PoolUnavailable, "credentials"),
    ("InvalidClientTokenId", "", 403, PoolUnavailable, "credentials"),
    ("PlatformUnknownException", "no such version", 400, Rejected, "PlatformUnknownException"),
    ("PlatformTaskDefinitionIncompatibilityException", "", 400, Rejected, "Platform"),
    ("UnsupportedFeatureException", "", 400, Rejected, "Unsupported"),
    ("InvalidParameterException", "The subnet ID 'subnet-0a' does not exist", 400, Rejected, "subnet-0a"),
    ("InvalidParameterException", "Override for container named x is not a container", 400, Rejected, "container"),
    ("ClientException", "Overrides length must be at most 8192", 400, Rejected, "8192"),
    ("ClientException", "TaskDefinition not found.", 400, NotNow, "registered anew"),
    ("ClientException", "TaskDefinition is inactive", 400, NotNow, "registered anew"),
]  # fmt: skip


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: f"{case[0]}: {case[1][:30]}")
def test_an_error_is_an_outcome_and_is_not_asked_twice(
    aws: Any,
    error: Callable[..., Any],
    adapter: ecs.Ecs,
    make_submission: MakeSubmission,
    case: tuple[str, str, int, type[Outcome], str],
) -> None:
    code, message, status, expected, said = case
    aws.says("RunTask", error(code, message, status))

    outcome = adapter.submit(make_submission())

    assert isinstance(outcome, expected), outcome
    words = outcome.reason if isinstance(outcome, PoolUnavailable) else getattr(outcome, "message", "")
    assert said in words
    assert "\n" not in words
    assert TOKEN not in words
    assert len(aws.sent("RunTask")) == 1


FAILURES: list[tuple[str, type[Outcome]]] = [
    ("RESOURCE:CPU", NotNow),
    ("RESOURCE:MEMORY", NotNow),
    ("RESOURCE:ENI", NotNow),
    ("RESOURCE:PORTS", NotNow),
    ("RESOURCE:GPU", NotNow),
    ("AGENT", NotNow),
    ("Capacity is unavailable at this time. Please try again later or in a different availability zone", NotNow),
    ("something that nobody has seen yet", NotNow),
    ("You've reached the limit on the number of vCPUs you can run concurrently", PoolUnavailable),
    ("LOCATION", Rejected),
    ("ATTRIBUTE", Rejected),
    ("MISSING", Rejected),
    ("INACTIVE", Rejected),
    ("MemberOf placement constraint unsatisfied.", Rejected),
]


@pytest.mark.parametrize(("reason", "expected"), FAILURES)
def test_a_failure_of_200_is_no_success(
    aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission, reason: str, expected: type[Outcome]
) -> None:
    aws.says("RunTask", {"tasks": [], "failures": [{"arn": "arn:aws:ecs:::x", "reason": reason, "detail": "more"}]})

    outcome = adapter.submit(make_submission())

    assert isinstance(outcome, expected), outcome
    assert reason in str(outcome)
    assert not isinstance(outcome, NotNow) or outcome.retry_after is not None


def test_neither_task_nor_failure_tells_nothing(aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission) -> None:
    aws.says("RunTask", {"tasks": [], "failures": []})

    assert isinstance(adapter.submit(make_submission()), Unknown)


def test_a_conflict_names_the_task_that_is_there(
    aws: Any, error: Callable[..., Any], adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    aws.says("RunTask", error("ConflictException", "the token is in use", resourceIds=[TASK]))

    outcome = adapter.submit(make_submission())

    assert isinstance(outcome, Accepted)
    assert outcome.handle == TASK
    assert "console" in outcome.links


def test_a_conflict_that_names_no_task_tells_nothing(
    aws: Any, error: Callable[..., Any], adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    aws.says("RunTask", error("ConflictException", "the token is in use"))

    assert isinstance(adapter.submit(make_submission()), Unknown)


def test_another_submission_has_another_token(make_submission: MakeSubmission) -> None:
    tokens = {
        make_submission(attempt=attempt, submit_seq=seq).request.body["run_task"]["clientToken"]
        for attempt, seq in ((1, 1), (1, 2), (2, 1), (11, 1), (1, 11))
    }

    assert len(tokens) == 5
    assert all(len(token) == 64 and token.isalnum() for token in tokens)


def test_a_lost_reply_tells_nothing(aws: Any, lost: Any, adapter: ecs.Ecs, make_submission: MakeSubmission) -> None:
    aws.says("RunTask", lost)

    assert isinstance(adapter.submit(make_submission()), Unknown)
    assert len(aws.sent("RunTask")) == 1


@pytest.mark.parametrize(("raised", "expected"), [(ReadTimeoutError, Unknown), (ConnectTimeoutError, NotNow)])
def test_no_answer_in_time_tells_nothing_unless_nothing_was_sent(
    aws: Any,
    lone_adapter: ecs.Ecs,
    make_submission: MakeSubmission,
    raised: Callable[..., Exception],
    expected: type[Outcome],
) -> None:
    def no_answer(**_: Any) -> None:
        raise raised(endpoint_url=aws.endpoint)

    lone_adapter.submit(make_submission())
    lone_adapter._clients.of("ecs", "eu-central-1").meta.events.register("before-send.ecs.RunTask", no_answer)

    assert isinstance(lone_adapter.submit(make_submission(submit_seq=2)), expected)


def test_what_takes_too_long_to_prepare_is_not_asked_for_any_more(
    aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else RunTask's answer might come after `submit_deadline`, when others already look for the task."""
    monkeypatch.setattr("adapters.infrastructure.ecs.adapter.PREPARATION_SECONDS", -1.0)

    assert isinstance(adapter.submit(make_submission()), NotNow)
    assert aws.sent("RunTask") == []


def test_where_nobody_listens_nothing_was_started(
    nobody_there: None, lone_adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    outcome = lone_adapter.submit(make_submission())

    assert isinstance(outcome, NotNow)
    assert "EndpointConnectionError" in outcome.message


def test_without_credentials_the_pool_is_unavailable(
    aws: Any, lone_adapter: ecs.Ecs, make_submission: MakeSubmission, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    outcome = lone_adapter.submit(make_submission())

    assert isinstance(outcome, PoolUnavailable)
    assert "credentials" in outcome.reason


def test_without_a_region_the_pool_is_unavailable(
    aws: Any, make_job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    adapter = ecs.open({})
    job = make_job()

    outcome = adapter.submit(Submission(job.run_id, 1, 1, adapter.request(job), TOKEN))

    assert isinstance(outcome, PoolUnavailable)
    assert "AWS_REGION" in outcome.reason


def test_what_botocore_does_not_know_is_rejected_by_name(
    aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    sent = make_submission(task_run_request={"launchType": "FARGATE", "taskDefinitoin": "x"})

    outcome = adapter.submit(sent)

    assert isinstance(outcome, Rejected)
    assert "taskDefinitoin" in outcome.message
    assert aws.sent("RunTask") == []


def test_secrets_that_make_it_too_long_are_found_before_it_is_sent(
    aws: Any, adapter: ecs.Ecs, make_submission: MakeSubmission
) -> None:
    sent = make_submission(env={"SECRET": "x" * 7000})
    pairs = sent.request.body["run_task"]["overrides"]["containerOverrides"][0]["environment"]
    next(pair for pair in pairs if pair["name"] == "SECRET")["value"] = "x" * 9000

    outcome = adapter.submit(sent)

    assert isinstance(outcome, Rejected)
    assert "ECS takes 8192" in outcome.message
    assert aws.sent("RunTask") == []
