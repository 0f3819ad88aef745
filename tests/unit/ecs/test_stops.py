"""What a task's end means: every way in which ECS says that it stopped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from adapters.failures import LONGEST_MESSAGE
from adapters.infrastructure.ecs.stops import observation
from dispatcher.ports import Cause, Phase

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/jobs/0123456789abcdef0123456789abcdef"

Json = dict[str, Any]


def task(
    status: str = "STOPPED",
    *,
    code: int | None = None,
    reason: str = "",
    stop_code: str | None = "EssentialContainerExited",
    stopped: str = "",
    **more: Any,
) -> Json:
    main: Json = {"name": "run", "lastStatus": status}
    main |= {"exitCode": code} if code is not None else {}
    main |= {"reason": reason} if reason else {}
    made: Json = {"taskArn": TASK, "lastStatus": status, "containers": [main], "startedAt": "2026-11-22T05:00:00.5Z"}
    made |= {"stopCode": stop_code} if stop_code else {}
    return {**made, "stoppedReason": stopped, **more}


def unstarted(stopped: str = "", *, reason: str = "", **more: Any) -> Json:
    """As ECS has it: without containers, or with one that has only a reason."""
    made = task(stop_code="TaskFailedToStart", stopped=stopped, reason=reason, startedAt=None, **more)
    return made if reason else {**made, "containers": []}


EXITS = [
    (0, "", Cause.EXITED, ""),
    (1, "", Cause.EXITED, ""),
    (3, "", Cause.EXITED, ""),
    (75, "", Cause.EXITED, ""),
    (125, "", Cause.EXITED, "the container runtime refused the command; check"),
    (126, "", Cause.EXITED, "cannot be executed; make it executable"),
    (127, "", Cause.EXITED, "no such command; check its name"),
    (134, "", Cause.KILLED, "SIGABRT"),
    (137, "OutOfMemoryError: Container killed due to memory usage", Cause.KILLED, "ran out of memory"),
    (1, "OutOfMemoryError: container killed due to memory usage", Cause.KILLED, "ran out of memory"),
    (137, "", Cause.KILLED, "killed (SIGKILL); if it may have run out of memory, give it more"),
    (139, "", Cause.KILLED, "SIGSEGV"),
    (143, "", Cause.KILLED, "terminated (SIGTERM)"),
    (136, "", Cause.KILLED, "killed by signal 8"),
    (255, "", Cause.EXITED, ""),
]


@pytest.mark.parametrize(("code", "reason", "cause", "said"), EXITS)
def test_a_container_that_ended_by_itself_says_how(code: int, reason: str, cause: Cause, said: str) -> None:
    seen = observation(task(code=code, reason=reason, stopped="Essential container in task exited", memory="512"))

    assert (seen.phase, seen.exit_code, seen.cause) == (Phase.STOPPED, code, cause)
    assert said in seen.message
    assert bool(said) == bool(seen.message)


def test_out_of_memory_says_how_much_there_was() -> None:
    seen = observation(task(code=137, reason="OutOfMemoryError: Container killed due to memory usage", memory="512"))

    assert seen.message.endswith("give it more memory than 512 MiB")


@pytest.mark.parametrize("code", [None, 0, 1, 137, 143])
@pytest.mark.parametrize(
    ("stop_code", "cause", "said"),
    [
        ("SpotInterruption", Cause.INFRASTRUCTURE, "Spot capacity back"),
        ("TerminationNotice", Cause.INFRASTRUCTURE, "gave notice"),
        ("InfrastructureHealth", Cause.INFRASTRUCTURE, "had failed"),
        ("ServiceSchedulerInitiated", Cause.INFRASTRUCTURE, "scheduler stopped it"),
        ("UserInitiated", Cause.STOPPED, "stopped on request"),
    ],
)
def test_why_ecs_stopped_it_comes_before_how_it_ended(
    stop_code: str, cause: Cause, said: str, code: int | None
) -> None:
    seen = observation(task(code=code, stop_code=stop_code, stopped="Words of AWS."))

    assert (seen.cause, seen.exit_code) == (cause, code)
    assert said in seen.message
    assert "Words of AWS." in seen.message


@pytest.mark.parametrize("how", ["stopped", "terminated"])
@pytest.mark.parametrize("stop_code", [None, "EssentialContainerExited", "TaskFailedToStart"])
def test_a_lost_machine_is_seen_by_its_words_alone(how: str, stop_code: str | None) -> None:
    seen = observation(task(stop_code=stop_code, stopped=f"Host EC2 (instance i-0abc123def) {how}."))

    assert seen.cause is Cause.INFRASTRUCTURE
    assert "EC2 instance" in seen.message


PULL = "CannotPullContainerError: pull image manifest has been retried 5 time(s): "
PULL_REF = "CannotPullContainerError: ref pull has been retried 1 time(s): "
INIT = "ResourceInitializationError: "
TRANSIENT = [
    "Timeout waiting for network interface provisioning to complete.",
    "Timeout waiting for EphemeralStorage provisioning to complete.",
    PULL + "failed to resolve ref registry/etl:1: dial tcp 10.0.0.1:443: i/o timeout",
    PULL + "failed to copy: httpReaderSeeker: failed open: invalid argument",
    PULL + "failed to copy: unexpected EOF",
    PULL + "429 Too Many Requests - toomanyrequests: You have reached your pull rate limit.",
    PULL + "registry answered 503",
    PULL + "something that nobody has seen yet",
    (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet "
        "'subnet-0a': AuthFailure"
    ),
    "The Service Discovery instance could not be registered.",
    (
        "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-0a': "
        "InsufficientFreeAddressesInSubnet"
    ),
    "Task provisioning failed.",
    "Capacity is unavailable at this time. Please try again later or in a different availability zone",
    "TaskFailedToStart: RESOURCE:CPU",
    "TaskFailedToStart: RESOURCE:MEMORY",
    "TaskFailedToStart: RESOURCE:ENI",
    "TaskFailedToStart: AGENT",
    "TaskFailedToStart: EMPTY CAPACITY PROVIDER",
    "TaskFailedToStart: NO ACTIVE INSTANCES",
    INIT + "unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret "
    "from asm: service call has been retried 5 time(s): RequestError: send request failed caused by: Post: dial tcp: "
    "i/o timeout",
    INIT + "failed to validate logger args: create stream has been retried 1 times: RequestCanceled: request context "
    "canceled: context deadline exceeded",
    INIT + "failed to do something new",
    "CannotStartContainerError: Error response from daemon: context deadline exceeded",
    "DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s",
    "ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m",
    "CannotInspectContainerError: Could not transition to inspecting",
    "",
]
PERMANENT = [
    (PULL_REF + "registry/etl:1: manifest unknown", "check the image's name and tag"),
    (PULL_REF + "registry/etl:1: not found", "check the image's name and tag"),
    (PULL_REF + "pull access denied, repository does not exist or may require authorization", "execution role"),
    (PULL_REF + "AccessDeniedException: User is not authorized to perform: ecr:BatchGetImage", "execution role"),
    (PULL_REF + "no basic auth credentials", "execution role"),
    (PULL + "image Manifest does not contain descriptor matching platform 'linux/amd64'", "cpu_architecture"),
    (INIT + "unable to pull secrets or registry auth: execution resource retrieval failed", "execution role"),
    (
        INIT + "unable to pull secrets or registry auth: AccessDeniedException: User is not authorized to perform: "
        "secretsmanager:GetSecretValue",
        "execution role",
    ),
    (INIT + "unable to retrieve secret: ResourceNotFoundException: Secrets Manager can't find it", "check their names"),
    (INIT + "failed to validate logger args: create stream: AccessDeniedException", "logs:CreateLogStream"),
    (INIT + "failed to validate logger args: The specified log group does not exist.", "make it"),
    (
        ("CannotStartContainerError: Error response from daemon: exec: \"pushpool-run\": executable file not found in "
        "$PATH"),
        "set runner to its path or to false",
    ),
    ("CannotCreateContainerError: API error (500): invalid mount config", "check the command"),
    ("CannotCreateVolumeError: Get https://efs: mount failed", "check the volumes"),
    ("TaskFailedToStart: MemberOf placement constraint unsatisfied.", "placement constraints"),
    ("TaskFailedToStart: ATTRIBUTE", "placement constraints"),
    ("TaskDefinition is inactive", "name one that is active"),
    ("ECS was unable to assume the role 'arn:aws:iam::1:role/x' that was provided for this task.", "trust policy"),
    ("Unexpected EC2 error while attempting to Create Network Interface: SecurityGroup not found", "security groups"),
]  # fmt: skip


@pytest.mark.parametrize("words", TRANSIENT)
def test_what_may_pass_costs_no_retry(words: str) -> None:
    seen = observation(unstarted(words))

    assert (seen.phase, seen.cause, seen.exit_code, seen.started) == (Phase.STOPPED, Cause.INFRASTRUCTURE, None, None)
    assert words in seen.message
    assert seen.message


@pytest.mark.parametrize(("words", "advice"), PERMANENT)
@pytest.mark.parametrize("place", ["stopped", "reason"])
def test_what_stays_as_it_is_is_refused_and_what_to_do_is_said(words: str, advice: str, place: str) -> None:
    seen = observation(unstarted(words) if place == "stopped" else unstarted("Task failed to start", reason=words))

    assert (seen.cause, seen.exit_code) == (Cause.REFUSED, None)
    assert words in seen.message
    assert advice in seen.message
    assert "\n" not in seen.message


def test_what_runs_out_of_memory_as_it_starts_was_killed() -> None:
    assert observation(unstarted("x", reason="OutOfMemoryError: Container killed")).cause is Cause.KILLED


def test_a_message_is_one_line_of_a_bearable_length_and_keeps_its_advice() -> None:
    seen = observation(unstarted("CannotPullContainerError: manifest unknown\n" + "x " * 2000))

    assert len(seen.message) <= LONGEST_MESSAGE
    assert seen.message.endswith("…; check the image's name and tag")


@pytest.mark.parametrize(
    ("status", "code", "phase"),
    [
        ("PROVISIONING", None, Phase.PENDING),
        ("PENDING", None, Phase.PENDING),
        ("ACTIVATING", None, Phase.PENDING),
        ("RUNNING", None, Phase.RUNNING),
        ("RUNNING", 0, Phase.RUNNING),
        ("DEACTIVATING", None, Phase.RUNNING),
        ("STOPPING", None, Phase.RUNNING),
        ("STOPPING", 0, Phase.STOPPED),
        ("DEPROVISIONING", None, Phase.RUNNING),
        ("DEPROVISIONING", 3, Phase.STOPPED),
        ("STOPPED", None, Phase.STOPPED),
        ("DELETED", None, Phase.STOPPED),
        ("SOMETHING NEW", None, Phase.RUNNING),
    ],
)
def test_a_task_is_over_as_soon_as_its_main_container_is(status: str, code: int | None, phase: Phase) -> None:
    seen = observation(task(status, code=code))

    assert seen.phase is phase
    assert (seen.cause is None) == (phase is not Phase.STOPPED)


@pytest.mark.parametrize(
    ("status", "phase"),
    [("RUNNING", Phase.RUNNING), ("DEACTIVATING", Phase.PENDING), ("DEPROVISIONING", Phase.PENDING)],
)
def test_what_ends_without_having_started_never_seems_to_run(status: str, phase: Phase) -> None:
    assert observation(task(status, startedAt=None)).phase is phase


def test_the_exit_code_of_the_main_container_counts_and_no_other() -> None:
    overrides = {
        "containerOverrides": [
            {"name": "proxy", "environment": [{"name": "LEVEL", "value": "debug"}]},
            {"name": "work", "environment": [{"name": "PUSHPOOL_RUN_ID", "value": "x"}]},
        ]
    }
    containers = [
        {"name": "aws-guardduty-agent-1", "exitCode": 0},
        {"name": "proxy", "exitCode": 137},
        {"name": "work", "exitCode": 3},
    ]

    assert observation(task(containers=containers, overrides=overrides)).exit_code == 3
    assert observation(task(containers=containers[::-1], overrides=overrides)).exit_code == 3


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"containerOverrides": [{"name": "b"}]}, 2),  # the environment left out
        ({"containerOverrides": []}, 1),
        ({}, 1),
        ("nonsense", 1),
    ],
)
def test_without_its_environment_the_one_that_was_overridden_is_the_main_one(overrides: Any, expected: int) -> None:
    containers = [{"name": "a", "exitCode": 1}, {"name": "b", "exitCode": 2}]

    assert observation(task(containers=containers, overrides=overrides)).exit_code == expected


def test_a_sidecar_that_took_it_along_is_named() -> None:
    containers = [{"name": "run", "exitCode": 143}, {"name": "proxy", "exitCode": 1}]

    seen = observation(task(containers=containers))

    assert seen.cause is Cause.KILLED
    assert "container 'proxy' had ended with exit code 1" in seen.message


def test_times_are_utc_however_they_are_spelled() -> None:
    zone = timezone(timedelta(hours=2))
    described = task(
        code=0, startedAt=datetime(2026, 11, 22, 7, tzinfo=zone), stoppedAt=datetime(2026, 11, 22, 8, tzinfo=zone)
    )
    told = task(code=0, startedAt="2026-11-22T05:00:00.000Z", stoppedAt="2026-11-22T08:00:00+02:00")

    for each in (described, told):
        seen = observation(each)
        assert (seen.started, seen.ended) == (
            datetime(2026, 11, 22, 5, tzinfo=UTC),
            datetime(2026, 11, 22, 6, tzinfo=UTC),
        )
        assert seen.started is not None
        assert seen.started.tzinfo is UTC


def test_it_ended_when_its_containers_did_and_not_its_network() -> None:
    times = {"stoppingAt": "2026-11-22T05:00:01Z", "executionStoppedAt": "2026-11-22T05:00:02Z"}

    seen = observation(task(code=0, stoppedAt="2026-11-22T05:00:30Z", **times))

    assert seen.ended == datetime(2026, 11, 22, 5, 0, 2, tzinfo=UTC)


@pytest.mark.parametrize("nonsense", ["soon", "", 17, None, ["2026"]])
def test_a_time_that_is_none_is_left_out(nonsense: object) -> None:
    assert observation(task(code=0, startedAt=nonsense)).started is None
