"""What becomes of each way in which an execution can end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.failures import LONGEST_MESSAGE
from adapters.infrastructure.cloud_run import executions
from dispatcher.ports import Cause, Observation, Phase

Json = dict[str, Any]

HANDLE = "projects/p/locations/r/jobs/j/executions/j-run"
STARTED, ENDED = "2026-11-21T08:07:39.015624Z", "2026-11-21T08:08:15.926525Z"
EXITED = "Task j-run-task0 failed with exit code: {} and message: The container exited with an error."


def execution(state: str = "CONDITION_FAILED", message: str = "", *conditions: Json, **more: Any) -> Json:
    """With its condition `Completed`; `more` that begins with a capital is of that condition."""
    own = {key[:1].lower() + key[1:]: more.pop(key) for key in list(more) if key[:1].isupper()}
    completed = {"type": "Completed", "state": state, "message": message, **own}
    whole = {"conditions": [completed, *conditions], "startTime": STARTED, "completionTime": ENDED, **more}
    return {key: value for key, value in whole.items() if value is not None}


def failed(kind: str, message: str = "", **reason: str) -> Json:
    return {"type": kind, "state": "CONDITION_FAILED", "message": message, **reason}


def seen(given: Json, exit_code: int | None = None) -> Observation:
    return executions.observation(given, HANDLE, exit_code=exit_code)


@pytest.mark.parametrize(
    ("given", "phase"),
    [
        ({}, Phase.PENDING),
        (execution("CONDITION_RECONCILING", startTime=None, completionTime=None), Phase.PENDING),
        (execution("CONDITION_RECONCILING", completionTime=None), Phase.RUNNING),
        (execution("CONDITION_RECONCILING", ExecutionReason="CANCELLING"), Phase.RUNNING),
        (execution("CONDITION_SUCCEEDED", succeededCount=1), Phase.STOPPED),
        (execution(), Phase.STOPPED),
    ],
)
def test_only_its_condition_says_that_it_has_ended(given: Json, phase: Phase) -> None:
    assert seen(given).phase is phase


# What Cloud Run says of it, then whose fault that is, the exit code, and a word of what to do.
ENDS: list[tuple[str, Json, Cause, int | None, str]] = [
    ("good", execution("CONDITION_SUCCEEDED", "Execution completed", succeededCount=1), Cause.EXITED, 0, ""),
    ("exit 1", execution(message=EXITED.format(1), ExecutionReason="NON_ZERO_EXIT_CODE"), Cause.EXITED, 1, ""),
    ("exit 75", execution(message=EXITED.format(75), ExecutionReason="NON_ZERO_EXIT_CODE"), Cause.EXITED, 75, ""),
    ("first version", execution(message=EXITED.format(3), Reason="NonZeroExitCode"), Cause.EXITED, 3, ""),
    ("a failure with the code 0", execution(message=EXITED.format(0), failedCount=1), Cause.EXITED, None, ""),
    ("exit 127", execution(message=EXITED.format(127)), Cause.EXITED, 127, "no such command"),
    ("exit 137", execution(message=EXITED.format(137)), Cause.KILLED, 137, "memory"),
    ("exit 159", execution(message=EXITED.format(159)), Cause.KILLED, 159, "signal 31"),
    (
        "no code told",
        execution(
            message="Task j-run-task0 failed with message: The container exited with an error.",
            ExecutionReason="NON_ZERO_EXIT_CODE",
        ),
        Cause.EXITED,
        None,
        "",
    ),
    (
        "some failed",
        execution("CONDITION_SUCCEEDED", taskCount=2, succeededCount=1, failedCount=1),
        Cause.EXITED,
        None,
        "",
    ),
    (
        "out of memory",
        execution(
            message="Task t failed with exit code: 0 and message: The configured memory limit was reached.",
            ExecutionReason="NON_ZERO_EXIT_CODE",
        ),
        Cause.KILLED,
        None,
        "variable `memory`",
    ),
    (
        "timeout",
        execution(message="Task t failed with exit code: 0 and message: The configured timeout was reached."),
        Cause.KILLED,
        None,
        "variable `timeout`",
    ),
    ("signal", execution(message="Container terminated on signal 6."), Cause.KILLED, None, "killed by a signal"),
    ("SIGKILL", execution(message="Container terminated on signal 9."), Cause.KILLED, None, "memory"),
    (
        "cancelled",
        execution(message="Cancelled by user.", ExecutionReason="CANCELLED"),
        Cause.STOPPED,
        None,
        "on request",
    ),
    (
        "cancelled without an error",
        execution("CONDITION_SUCCEEDED", cancelledCount=1),
        Cause.STOPPED,
        None,
        "on request",
    ),
    ("cancelled, said by counts", execution(cancelledCount=1), Cause.STOPPED, None, "on request"),
    ("deleted", execution(ExecutionReason="DELETED"), Cause.STOPPED, None, "on request"),
    (
        "no image",
        execution("CONDITION_FAILED", "", failed("ContainerReady", "Image 'x:1' not found."), startTime=None),
        Cause.REFUSED,
        None,
        "image's name and tag",
    ),
    (
        "no right to the image",
        execution(message="Google Cloud Run Service Agent must have permission to read the image, x:1."),
        Cause.REFUSED,
        None,
        "roles/artifactregistry.reader",
    ),
    (
        "no secret",
        execution(message="Permission denied on secret: projects/1/secrets/a/versions/latest for Revision"),
        Cause.REFUSED,
        None,
        "secretmanager.secretAccessor",
    ),
    (
        "no start",
        execution(message="Application failed to start: container_linux.go: no such file or directory"),
        Cause.REFUSED,
        None,
        "pushpool-run",
    ),
    (
        "other processor",
        execution(message="failed to load /bin/sh: exec format error"),
        Cause.REFUSED,
        None,
        "linux/amd64",
    ),
    *[
        (
            reason,
            execution("CONDITION_FAILED", "", failed("ResourcesAvailable", reason=reason), startTime=None),
            cause,
            None,
            "",
        )
        for reason, cause in (
            ("CONTAINER_MISSING", Cause.REFUSED),
            ("CONTAINER_PERMISSION_DENIED", Cause.REFUSED),
            ("CONTAINER_IMAGE_UNAUTHORIZED", Cause.REFUSED),
            ("CONTAINER_IMAGE_AUTHORIZATION_CHECK_FAILED", Cause.REFUSED),
            ("ENCRYPTION_KEY_PERMISSION_DENIED", Cause.REFUSED),
            ("ENCRYPTION_KEY_CHECK_FAILED", Cause.REFUSED),
            ("SECRETS_ACCESS_CHECK_FAILED", Cause.REFUSED),
            ("VPC_NETWORK_NOT_FOUND", Cause.REFUSED),
            ("PROGRESS_DEADLINE_EXCEEDED", Cause.INFRASTRUCTURE),
            ("INTERNAL", Cause.INFRASTRUCTURE),
            ("POSTPONED_RETRY", Cause.INFRASTRUCTURE),
            ("WAITING_FOR_OPERATION", Cause.INFRASTRUCTURE),
        )
    ],
    ("polling", execution(ExecutionReason="JOB_STATUS_SERVICE_POLLING_ERROR"), Cause.INFRASTRUCTURE, None, ""),
    (
        "no capacity",
        execution(message="No capacity available in the region", startTime=None),
        Cause.INFRASTRUCTURE,
        None,
        "another region",
    ),
    ("quota", execution(message="Quota exceeded for CPU"), Cause.INFRASTRUCTURE, None, "higher one"),
    ("trouble", execution(message="Internal error. Please try again."), Cause.INFRASTRUCTURE, None, ""),
    ("never started", execution(startTime=None), Cause.INFRASTRUCTURE, None, "not started"),
    ("cut off", execution(), Cause.INFRASTRUCTURE, None, "cut off"),
]


@pytest.mark.parametrize(("given", "cause", "code", "words"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_an_end_has_a_cause_and_says_what_to_do(given: Json, cause: Cause, code: int | None, words: str) -> None:
    found = seen(given)

    assert (found.phase, found.cause, found.exit_code) == (Phase.STOPPED, cause, code)
    assert words in found.message
    assert found.handle == HANDLE


def test_a_retry_that_is_told_of_is_no_failure() -> None:
    retry = {"type": "Retry", "state": "CONDITION_SUCCEEDED", "reason": "IMMEDIATE_RETRY", "severity": "INFO"}

    assert seen(execution("CONDITION_SUCCEEDED", "", retry, succeededCount=1)).exit_code == 0


def test_times_are_those_of_the_execution() -> None:
    found = seen(execution("CONDITION_SUCCEEDED", succeededCount=1))

    assert found.started == datetime(2026, 11, 21, 8, 7, 39, 15624, UTC)
    assert found.ended == datetime(2026, 11, 21, 8, 8, 15, 926525, UTC)


def test_without_a_time_of_its_end_it_is_that_of_its_condition() -> None:
    found = seen(execution(completionTime=None, LastTransitionTime=ENDED))

    assert found.ended == datetime(2026, 11, 21, 8, 8, 15, 926525, UTC)


def test_a_long_message_is_shortened_and_keeps_the_advice() -> None:
    found = seen(execution(message=f"Internal error {'x' * 2000}; The configured memory limit was reached."))

    assert len(found.message) <= LONGEST_MESSAGE
    assert found.message.endswith("give it more (variable `memory`)")


class TestExitCodesOfTasks:
    UNTOLD = execution(message="Task t failed with message: The container exited with an error.", failedCount=1)

    def test_tasks_are_asked_for_where_nothing_else_tells_it(self) -> None:
        assert executions.is_asked_for(self.UNTOLD)
        assert seen(self.UNTOLD, exit_code=3).exit_code == 3

    @pytest.mark.parametrize(
        "given",
        [
            execution("CONDITION_RECONCILING"),
            execution("CONDITION_SUCCEEDED", succeededCount=1),
            execution(message=EXITED.format(3)),
            execution(cancelledCount=1),
            execution(message="The configured memory limit was reached.", failedCount=1),
        ],
    )
    def test_else_they_are_not(self, given: Json) -> None:
        assert not executions.is_asked_for(given)

    def test_it_is_the_first_that_failed_by_one(self) -> None:
        tasks: list[Json] = [{}, {"lastAttemptResult": {"status": {}}}, {"lastAttemptResult": {"exitCode": 4}}]

        assert executions.exit_code_of(tasks) == 4
        assert executions.exit_code_of(tasks[:2]) is None


class TestJobsWithoutAnExecution:
    @pytest.mark.parametrize(
        ("job", "phase", "cause"),
        [
            ({}, Phase.PENDING, None),
            ({"terminalCondition": {"state": "CONDITION_SUCCEEDED"}}, Phase.PENDING, None),
            ({"latestCreatedExecution": {"name": "j-run"}}, Phase.MISSING, None),
            (
                {"terminalCondition": failed("Ready", "Image 'x' not found.", reason="CONTAINER_MISSING")},
                Phase.STOPPED, Cause.REFUSED,
            ),
            ({"terminalCondition": failed("Ready", reason="INTERNAL")}, Phase.STOPPED, Cause.INFRASTRUCTURE),
            ({"terminalCondition": failed("Ready", "Something new.")}, Phase.STOPPED, Cause.REFUSED),
        ],
    )  # fmt: skip
    def test_they_wait_for_it_or_never_get_one(self, job: Json, phase: Phase, cause: Cause | None) -> None:
        found = executions.of_job(job, HANDLE)

        assert (found.phase, found.cause, found.exit_code) == (phase, cause, None)
