"""What an attempt's folder says, and what an error means, in the words of the core."""

from __future__ import annotations

import errno
import signal
from pathlib import Path

from adapters.infrastructure.process.folders import Attempt, Stage
from dispatcher.ports import Cause, NotNow, Observation, Outcome, Phase, PoolUnavailable, Rejected, Unknown

_PHASES = {Stage.MISSING: Phase.MISSING, Stage.CLAIMED: Phase.PENDING, Stage.ALIVE: Phase.RUNNING}

_NOT_NOW = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_UNUSABLE = {errno.EACCES, errno.EDQUOT, errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}


def refusal(error: Exception, state_directory: Path) -> Outcome:
    """Nothing was started; whose fault that is."""
    if not isinstance(error, OSError):
        return Rejected(str(error))
    if error.errno in _NOT_NOW:
        return NotNow(f"this machine is out of processes, memory or open files: {error.strerror}")
    if error.errno == errno.E2BIG:
        return Rejected(f"the command and its environment are too long for this system: {error.strerror}")
    if error.errno in _UNUSABLE:
        return PoolUnavailable(f"{error.filename or state_directory} cannot be used: {error.strerror}")
    return Unknown(f"the process could not be started: {error}")


def observation(attempt: Attempt, stage: Stage) -> Observation:
    phase = _PHASES.get(stage, Phase.STOPPED)
    if phase is not Phase.STOPPED:
        return Observation(phase=phase, handle=attempt.handle, started=attempt.started())
    code = int(attempt.exit_line() or 0) if stage is Stage.EXITED else None
    cause, message = _cause(attempt, stage, code)
    return Observation(
        phase=phase,
        handle=attempt.handle,
        exit_code=code,
        cause=cause,
        message=message,
        started=attempt.started() if stage is not Stage.VOID else None,
        ended=attempt.ended(),
        log_tail=attempt.tail(),
    )


def _cause(attempt: Attempt, stage: Stage, code: int | None) -> tuple[Cause, str]:
    killer = code - 128 if code is not None and 128 < code <= 128 + max(signal.valid_signals()) else 0
    if code is not None and not killer:
        return Cause.EXITED, ""
    if attempt.is_cancelled:
        return Cause.STOPPED, "stopped on request"
    if killer:
        return Cause.KILLED, f"killed by {_signal_name(killer)}"
    if stage is Stage.VOID:
        return Cause.INFRASTRUCTURE, "its process was never started: the dispatcher ended too early"
    return Cause.INFRASTRUCTURE, "its process is gone without an exit code: killed, or the machine went down"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
