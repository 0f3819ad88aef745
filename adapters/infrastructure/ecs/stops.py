"""A task, as DescribeTasks or an event of EventBridge has it, in the words of the core. Pure.

Of an attempt's end the main container's exit code is the word, unless ECS says why it stopped the task itself
(`stopCode`; Developer guide, "Amazon ECS stopped tasks error messages").
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.failures import told
from adapters.infrastructure.ecs.containers import DEFAULT_NAME
from dispatcher.ports import Cause, Observation, Phase

_BEFORE = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})
_AFTER = frozenset({"STOPPED", "DELETED"})
# On Fargate a task is DEPROVISIONING for up to half a minute after its containers have stopped.
_WINDING_DOWN = frozenset({"DEACTIVATING", "STOPPING", "DEPROVISIONING"})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a task stopped: `says` in our words, `advice` what to do."""

    cause: Cause
    says: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A diagnosis for every text that the pattern is found in."""

    pattern: re.Pattern[str]
    diagnosis: Diagnosis


def observation(task: Mapping[str, Any]) -> Observation:
    """ECS's word on one task."""
    container = main_container(task)
    phase = _phase(task, container)
    handle, started = str(task.get("taskArn") or ""), _time(task.get("startedAt"))
    if phase is not Phase.STOPPED:
        return Observation(phase=phase, handle=handle, started=started)
    diagnosis = diagnosed(task, container)
    return Observation(
        phase=phase,
        handle=handle,
        exit_code=_exit_code(container),
        cause=diagnosis.cause,
        message=_message(task, container, diagnosis),
        started=started,
        ended=_ended(task),
    )


def main_container(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """The run's own, amid sidecars and what AWS puts beside it; empty if the task never had any."""
    containers = _parts(task.get("containers"))
    names = _overridden(task)
    for name in (*names, DEFAULT_NAME):
        for each in containers:
            if each.get("name") == name:
                return each
    return containers[0] if containers else {}


def _overridden(task: Mapping[str, Any]) -> list[str]:
    """Names of the containers that RunTask overrode, the one that was told of its run first."""
    overrides = task.get("overrides")
    found = _parts(overrides.get("containerOverrides")) if isinstance(overrides, Mapping) else []

    def is_run(container: Mapping[str, Any]) -> bool:
        return any(pair.get("name") == "PUSHPOOL_RUN_ID" for pair in _parts(container.get("environment")))

    return [str(each.get("name")) for each in sorted(found, key=is_run, reverse=True)]


def _phase(task: Mapping[str, Any], container: Mapping[str, Any]) -> Phase:
    status, started = str(task.get("lastStatus")), task.get("startedAt") is not None
    if status in _AFTER or (status in _WINDING_DOWN and _exit_code(container) is not None):
        return Phase.STOPPED
    if status == "RUNNING" or (started and status not in _BEFORE):
        return Phase.RUNNING
    return Phase.PENDING


def diagnosed(task: Mapping[str, Any], container: Mapping[str, Any]) -> Diagnosis:
    """Why the stopped task stopped."""
    text = _words(task, container)
    if _HOST_LOST.search(text):  # ECS marks it in no other way
        return Diagnosis(Cause.INFRASTRUCTURE, "its EC2 instance was stopped or terminated")
    if (by_code := _BY_STOP_CODE.get(str(task.get("stopCode")))) is not None:
        return by_code
    code = _exit_code(container)
    if code is not None:
        return _of_exit(code, task, container)
    for row in _NOT_STARTED:
        if row.pattern.search(text):
            return row.diagnosis
    if task.get("stopCode") == "EssentialContainerExited":
        return Diagnosis(Cause.KILLED, "it was stopped without an exit code" + _others(task, container))
    started = task.get("startedAt") is not None
    return Diagnosis(Cause.INFRASTRUCTURE, "it was cut off" if started else "it was not started")


def _of_exit(code: int, task: Mapping[str, Any], container: Mapping[str, Any]) -> Diagnosis:
    if code == 0:
        return Diagnosis(Cause.EXITED)
    if _OUT_OF_MEMORY.search(str(container.get("reason") or "")):
        memory = f" than {task['memory']} MiB" if task.get("memory") else ""
        return Diagnosis(Cause.KILLED, "it ran out of memory", f"give it more memory{memory}")
    if (by_code := _BY_EXIT_CODE.get(code)) is not None:
        others = _others(task, container) if by_code.cause is Cause.KILLED else ""
        return Diagnosis(by_code.cause, by_code.says + others, "" if others else by_code.advice)
    if 128 < code <= 128 + 64:
        return Diagnosis(Cause.KILLED, f"killed by signal {code - 128}" + _others(task, container))
    return Diagnosis(Cause.EXITED)


def _others(task: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """The sidecar that took it along: ECS stops a task when any of its essential containers ends."""
    for each in _parts(task.get("containers")):
        if each is not container and _exit_code(each) not in (None, 0, 137, 143):
            return f"; container {each.get('name')!r} had ended with exit code {each['exitCode']}"
    return ""


def _message(task: Mapping[str, Any], container: Mapping[str, Any], diagnosis: Diagnosis) -> str:
    """One line: what it was, in AWS's words too where they say more, and what to do."""
    words = "" if diagnosis.cause is Cause.EXITED else _words(task, container)
    return told(diagnosis.says, words, diagnosis.advice)


def _words(task: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """AWS's own, without what says nothing or says it twice."""
    stopped = " ".join(str(task.get("stoppedReason") or "").split())
    reason = " ".join(str(container.get("reason") or "").split())
    said = [] if stopped.startswith("Essential container in task exited") else [stopped]
    if reason and reason not in stopped:
        said.append(reason)
    return "; ".join(part for part in said if part)


def _exit_code(container: Mapping[str, Any]) -> int | None:
    code = container.get("exitCode")
    return code if type(code) is int and abs(code) < 2**31 else None


def _ended(task: Mapping[str, Any]) -> datetime | None:
    times = (_time(task.get(name)) for name in ("executionStoppedAt", "stoppedAt", "stoppingAt"))
    return next((at for at in times if at is not None), None)


def _time(value: object) -> datetime | None:
    """A description has a time, an event its text."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)
    except OverflowError:  # of a year that there is not
        return None


def _parts(value: object) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


_HOST_LOST = re.compile(r"Host EC2 \(instance [\w-]+\) (stopped|terminated)")
_OUT_OF_MEMORY = re.compile(r"OutOfMemory")

_BY_STOP_CODE = {
    "SpotInterruption": Diagnosis(Cause.INFRASTRUCTURE, "AWS took its Spot capacity back"),
    "TerminationNotice": Diagnosis(Cause.INFRASTRUCTURE, "AWS gave notice to the machine that it was on"),
    "InfrastructureHealth": Diagnosis(Cause.INFRASTRUCTURE, "the machine that it was on had failed"),
    "ServiceSchedulerInitiated": Diagnosis(Cause.INFRASTRUCTURE, "ECS's scheduler stopped it"),
    "UserInitiated": Diagnosis(Cause.STOPPED, "stopped on request"),
}

_BY_EXIT_CODE = {
    125: Diagnosis(
        Cause.EXITED, "exit code 125: the container runtime refused the command", "check command and entry point"
    ),
    126: Diagnosis(
        Cause.EXITED, "exit code 126: the command is there and cannot be executed", "make it executable in the image"
    ),
    127: Diagnosis(Cause.EXITED, "exit code 127: the image has no such command", "check its name and the image's PATH"),
    134: Diagnosis(Cause.KILLED, "it aborted (SIGABRT)", "see its log"),
    137: Diagnosis(
        Cause.KILLED, "killed (SIGKILL)", "if it may have run out of memory, give it more; or see what stopped it"
    ),
    139: Diagnosis(
        Cause.KILLED, "it crashed (SIGSEGV)", "look at native libraries, and at whether image and cpu match"
    ),
    143: Diagnosis(Cause.KILLED, "terminated (SIGTERM)", "see what stopped it"),
}


def _transient(pattern: str, says: str, advice: str = "") -> Row:
    return Row(re.compile(pattern, re.IGNORECASE), Diagnosis(Cause.INFRASTRUCTURE, says, advice))


def _permanent(pattern: str, says: str, advice: str) -> Row:
    return Row(re.compile(pattern, re.IGNORECASE), Diagnosis(Cause.REFUSED, says, advice))


_NO_WAY = r"i/o timeout|timed? ?out|deadline exceeded|connection (reset|refused)|no such host|TLS handshake"
_NO_RIGHT = r"access ?denied|not authorized|denied|no basic auth|unauthorized|forbidden|\b403\b"
_NOT_THERE = r"not ?found|manifest unknown|does not exist|name unknown|no such|ResourceNotFound"
_REACH = "if it stays so: the task's subnet needs a way out (public IP, NAT, or VPC endpoints)"
_EXECUTION_ROLE = "let the execution role (execution_role_arn) do that"

# The first that is found decides. Developer guide: "CannotPullContainer task errors", "ResourceInitializationError
# errors", "CannotStartContainerError errors", "API failure reasons".
_NOT_STARTED: tuple[Row, ...] = (
    _permanent(
        r"CannotPullContainer.*does not contain descriptor matching platform",
        "the image is for another processor", "set cpu_architecture, or build the image for this one",
    ),
    _transient(
        rf"CannotPullContainer.*({_NO_WAY}|invalid argument|\bEOF\b|toomanyrequests|rate limit|\b50[0234]\b)",
        "its image could not be pulled just then", _REACH,
    ),
    _permanent(
        rf"CannotPullContainer.*({_NO_RIGHT})",
        "its image may not be pulled", f"{_EXECUTION_ROLE} (ecr:BatchGetImage and the like); check its name",
    ),
    _permanent(rf"CannotPullContainer.*({_NOT_THERE})", "its image is not there", "check the image's name and tag"),
    _transient(r"CannotPullContainer", "its image could not be pulled", "check the image's name and the registry"),
    _permanent(
        rf"failed to validate logger args.*({_NO_RIGHT}|{_NOT_THERE})",
        "its log group cannot be written to", f"make it, or {_EXECUTION_ROLE} (logs:CreateLogStream, …)",
    ),
    _transient(
        rf"ResourceInitializationError.*({_NO_WAY}|context canceled|RequestError|send request failed)",
        "secrets, registry or logs could not be reached", _REACH,
    ),
    _permanent(
        rf"ResourceInitializationError.*({_NO_RIGHT})",
        "it may not have its secrets, image or logs", f"{_EXECUTION_ROLE}",
    ),
    _permanent(
        rf"ResourceInitializationError.*({_NOT_THERE})",
        "a secret, file system or log group of it is not there", "check their names in its task definition",
    ),
    _permanent(
        r"ResourceInitializationError.*unable to pull secrets or registry auth",
        "its secrets or its registry's credentials could not be had", f"{_EXECUTION_ROLE}; {_REACH}",
    ),
    _transient(r"ResourceInitializationError", "what it needs could not be set up", _REACH),
    _transient(
        rf"Cannot(Start|Create)Container.*({_NO_WAY})|(ContainerRuntime|Docker)Timeout|CannotInspectContainer",
        "the container runtime did not answer",
    ),
    _permanent(
        r"Cannot(Start|Create)Container",
        "its container cannot be started",
        "check the command and that the image has pushpool-run on its PATH, or set runner to its path or to false",
    ),
    _permanent(r"CannotCreateVolume", "a volume of it cannot be mounted", "check the volumes of its task definition"),
    _permanent(
        r"unable to assume the role|unable to assume role",
        "ECS may not take on one of its roles", "let ecs-tasks.amazonaws.com assume it in the role's trust policy",
    ),
    _transient(r"Timeout waiting for (network interface|EphemeralStorage) provisioning", "it was not set up in time"),
    _transient(r"Create Network Interface.*AuthFailure", "its network interface could not be made just then"),
    _transient(
        r"InsufficientFreeAddressesInSubnet|insufficient free addresses|RESOURCE:ENI",
        "its subnet is out of addresses, or its machine of network interfaces", "give the pool further subnets",
    ),
    _permanent(
        rf"Network Interface.*({_NO_RIGHT}|{_NOT_THERE}|invalid)",
        "its network interface cannot be made", "check subnets and security groups",
    ),
    _transient(r"Service Discovery instance could not be registered", "it could not be registered for discovery"),
    _transient(
        r"Task provisioning failed|Capacity is unavailable|RESOURCE:|\bAGENT\b|EMPTY CAPACITY PROVIDER|"
        r"NO ACTIVE INSTANCES",
        "there was no capacity for it", "if it stays so: give the pool more subnets, instances or another provider",
    ),
    _permanent(
        r"MemberOf placement constraint|\bATTRIBUTE\b|\bLOCATION\b",
        "no machine of the cluster may take it", "check its placement constraints and its task definition",
    ),
    _permanent(
        r"Task ?Definition is inactive", "its task definition was deregistered", "name one that is active",
    ),
    Row(_OUT_OF_MEMORY, Diagnosis(Cause.KILLED, "it ran out of memory", "give it more memory")),
)  # fmt: skip
