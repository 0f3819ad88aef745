"""Why a container group did not do what it should: whose fault that was, and what to do. Pure.

By the messages of events and errors, of which no document lists all, and by exit codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher.ports import Cause


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why one stopped or does not start: `says` in our words, `advice` what to do.

    `hopeless`: as long as it waits, nothing will change.
    """

    cause: Cause
    says: str = ""
    advice: str = ""
    hopeless: bool = False


def by_message(said: str) -> Diagnosis | None:
    """Of one that does not start; the first that is found decides."""
    return next((diagnosis for pattern, diagnosis in _BY_MESSAGE if pattern.search(said)), None)


def is_eviction(said: str) -> bool:
    return _EVICTED.search(said) is not None


def is_no_start(said: str) -> bool:
    """Whether the command was never begun."""
    return _NO_START.search(said) is not None


def by_exit_code(code: int) -> Diagnosis:
    if (known := _BY_EXIT_CODE.get(code)) is not None:
        return known
    if 128 < code <= 128 + 64:
        return Diagnosis(Cause.KILLED, f"killed by signal {code - 128}")
    return Diagnosis(Cause.EXITED)


CAPACITY_ADVICE = "if it stays so: name other_regions, or ask for less cpu and memory"
IMAGE_ADVICE = "check the image's name and tag, and image_registry, whose identity needs AcrPull"
NOT_PROVISIONED = Diagnosis(Cause.INFRASTRUCTURE, "Azure could not provision it")
STOPPED = Diagnosis(Cause.STOPPED, "stopped on request")

CUT_OFF = Diagnosis(Cause.INFRASTRUCTURE, "it was cut off")
TAKEN_BACK = Diagnosis(Cause.INFRASTRUCTURE, "Azure took its Spot capacity back")
MOVED = Diagnosis(Cause.INFRASTRUCTURE, "Azure moved it to another machine")
OUT_OF_MEMORY = Diagnosis(Cause.KILLED, "it ran out of memory", "give it more (variable `memory`)")
NO_START = Diagnosis(
    Cause.REFUSED,
    "its container cannot be started",
    "check the command and `entrypoint`, and that the image has pushpool-run on its PATH; or set runner to its path or "
    "to false",
    hopeless=True,
)

_EVICTED = re.compile(r"evict|preempt", re.IGNORECASE)
_NO_START = re.compile(
    r"executable file not found|no such file or directory|failed to (create|start) .*(container|task)"
    r"|permission denied: unknown",
    re.IGNORECASE,
)
_NO_CAPACITY = Diagnosis(Cause.INFRASTRUCTURE, "there was no capacity for it in its region", CAPACITY_ADVICE)
_MAINTAINED = Diagnosis(Cause.INFRASTRUCTURE, "Azure stopped it for maintenance")
_KILLED = Diagnosis(
    Cause.KILLED, "killed (SIGKILL)", "if it may have run out of memory, give it more; or see what stopped it"
)

_NO_IMAGE = (
    r"inaccessibleimage|is not accessible|manifest unknown|invalid ?image"
    r"|(pull|image|repository|manifest).*(not found|not exist|unauthorized|denied|authentication required)"
)
_BY_MESSAGE: tuple[tuple[re.Pattern[str], Diagnosis], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), diagnosis)
    for pattern, diagnosis in (
        (_EVICTED.pattern, TAKEN_BACK),
        (r"insufficient.?capacity|requested resource.* is not available in the location", _NO_CAPACITY),
        (
            r"toomanyrequests|pull rate limit|registryerrorresponse|error response is received from the docker reg",
            Diagnosis(Cause.INFRASTRUCTURE, "its registry was busy", "if it stays so: mirror the image"),
        ),
        (_NO_IMAGE, Diagnosis(Cause.REFUSED, "its image cannot be had", IMAGE_ADVICE, hopeless=True)),
        (
            r"exec format error|no matching manifest for linux/amd64|osversionnotsupported",
            Diagnosis(Cause.REFUSED, "its image is not for this platform", "build it for linux/amd64", hopeless=True),
        ),
        (_NO_START.pattern, NO_START),
        (
            r"failed to mount|mount.*fail|azure ?file.*(fail|not found)",
            Diagnosis(Cause.REFUSED, "a volume of it cannot be mounted", "check the share's name and its key"),
        ),
        (
            r"subnet|virtual network|network profile",
            Diagnosis(
                Cause.REFUSED,
                "its subnet cannot be used",
                "delegate it to Microsoft.ContainerInstance/containerGroups, and see that it has addresses left",
            ),
        ),
        (r"quota", Diagnosis(Cause.INFRASTRUCTURE, "a quota of the region was used up", "ask Azure for a higher one")),
    )
)

_BY_EXIT_CODE: Mapping[int, Diagnosis] = {
    126: Diagnosis(Cause.EXITED, "exit code 126: the command is there and cannot be executed", "make it executable"),
    127: Diagnosis(Cause.EXITED, "exit code 127: the image has no such command", "check its name and the image's PATH"),
    134: Diagnosis(Cause.KILLED, "it aborted (SIGABRT)", "see its log"),
    137: _KILLED,
    139: Diagnosis(Cause.KILLED, "it crashed (SIGSEGV)", "look at native libraries"),
    143: Diagnosis(Cause.KILLED, "terminated (SIGTERM)", "see what stopped it"),
    # "Azure container group intermittently restarts"
    7147: _MAINTAINED,
    7148: _MAINTAINED,
}
