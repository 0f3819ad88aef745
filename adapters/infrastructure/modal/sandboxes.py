"""A sandbox, as Modal tells of it, in the words of the core. Pure.

Modal's client has one number for each end, and 124 and 137 for two of them: a command that exits with 124 or 137 by
itself looks the same. The result's status tells them apart (API GenericResult, `status`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from adapters.failures import one_line, told
from dispatcher.ports import Cause, Observation, Phase

LONGEST_LOG = 4000
TIMED_OUT, TERMINATED = 124, 137  # what Modal's client calls them


@dataclass(frozen=True, slots=True)
class State:
    """Of one sandbox. `status` is the enumeration's name without its prefix, "" before the end."""

    handle: str
    status: str = ""
    exit_code: int = 0
    said: str = ""
    scheduled: bool = False
    started: float = 0.0  # seconds since 1970; 0 is unknown
    ended: float = 0.0
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why it ended. `advice`: what to do about it; `exit_code` None: the command's."""

    cause: Cause
    says: str = ""
    advice: str = ""
    exit_code: int | None = None


_MEMORY = "give it more `memory`"
_KILLED = Diagnosis(Cause.KILLED, "killed (SIGKILL), most likely out of memory", _MEMORY)
_TROUBLE = Diagnosis(Cause.INFRASTRUCTURE, "Modal had trouble of its own")
_BY_STATUS: Mapping[str, Diagnosis] = {
    "SUCCESS": Diagnosis(Cause.EXITED),
    "TIMEOUT": Diagnosis(
        Cause.KILLED,
        "it lived longer than its sandbox may",
        "raise the deployment's timeout or the variable `timeout`, which goes up to 86400",
        TIMED_OUT,
    ),
    "TERMINATED": Diagnosis(Cause.STOPPED, "stopped on request", exit_code=TERMINATED),
    "IDLE_TIMEOUT": Diagnosis(Cause.STOPPED, "stopped for being idle"),
    "INIT_FAILURE": Diagnosis(
        Cause.REFUSED,
        "its container cannot be started",
        "check the command, and that the image has pushpool-run on its PATH; or set runner to its path or to false",
    ),
    "INTERNAL_FAILURE": _TROUBLE,
    "MEMORY_MANAGER_EVICTION": Diagnosis(Cause.KILLED, "it needed more memory than there was", _MEMORY),
    "MEMORY_THRASHING_EVICTION": Diagnosis(Cause.KILLED, "it needed more memory than there was", _MEMORY),
    "KERNEL_OOM_KILL": Diagnosis(Cause.KILLED, "it ran out of memory", _MEMORY),
}
_BY_EXIT_CODE: Mapping[int, Diagnosis] = {
    126: Diagnosis(Cause.EXITED, "exit code 126: the command is there and cannot be executed", "make it executable"),
    127: Diagnosis(Cause.EXITED, "exit code 127: the image has no such command", "check its name and the image's PATH"),
    134: Diagnosis(Cause.KILLED, "it aborted (SIGABRT)", "see its log"),
    137: _KILLED,
    139: Diagnosis(Cause.KILLED, "it crashed (SIGSEGV)", "look at native libraries"),
    143: Diagnosis(Cause.KILLED, "terminated (SIGTERM)", "see what stopped it"),
}


def observation(state: State | None, handle: str) -> Observation:
    """Modal's word on one sandbox; None: it knows none of that id."""
    if state is None:
        return Observation(phase=Phase.MISSING, handle=handle)
    started, ended = _time(state.started), _time(state.ended)
    if not state.status:
        phase = Phase.RUNNING if state.scheduled else Phase.PENDING
        return Observation(phase=phase, handle=handle, started=started)
    diagnosis = diagnosed(state.status, state.exit_code)
    return Observation(
        phase=Phase.STOPPED,
        handle=handle,
        exit_code=_exit_code(state, diagnosis),
        cause=diagnosis.cause,
        message=_message(state.said, diagnosis),
        started=started,
        ended=ended,
        log_tail=state.log_tail[-LONGEST_LOG:],
    )


def diagnosed(status: str, exit_code: int) -> Diagnosis:
    if status == "FAILURE":
        return _BY_EXIT_CODE.get(exit_code, Diagnosis(Cause.EXITED))
    return _BY_STATUS.get(status, Diagnosis(Cause.INFRASTRUCTURE, f"it ended as {status}, which is new to pushpool"))


def _exit_code(state: State, diagnosis: Diagnosis) -> int | None:
    if diagnosis.exit_code is not None:
        return diagnosis.exit_code
    is_its_own = state.status in ("SUCCESS", "FAILURE") or state.exit_code != 0
    return state.exit_code if is_its_own and diagnosis.cause in (Cause.EXITED, Cause.KILLED) else None


def _message(said: str, diagnosis: Diagnosis) -> str:
    """One line: what it was, in Modal's words too where they say more, and what to do."""
    words = "" if diagnosis.cause is Cause.EXITED else one_line(said)
    return told(diagnosis.says, words, diagnosis.advice)


def _time(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
