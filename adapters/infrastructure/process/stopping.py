"""How an attempt is stopped: SIGTERM, SIGKILL after its grace, and nothing of it is left."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

from adapters.infrastructure.process.folders import Attempt, Stage
from adapters.infrastructure.process.processes import Identity, kill_family, send, send_group
from adapters.infrastructure.process.rendering import MARK

log = logging.getLogger("pushpool")


def stop(attempt: Attempt, later: Callable[[float, Callable[[], None]], None]) -> None:
    """Asks it to stop, the first time; kills it when it was asked longer ago than its grace.

    `later` does so by itself, as long as this process lives; else it is up to the next call, of whomever.
    """
    waited, grace = _waited(attempt), attempt.grace_seconds()
    who = None if attempt.give_up() else attempt.identity()
    if who is None:
        return
    if waited is None:
        send_group(who, signal.SIGTERM)
    elif waited >= grace:
        _kill(attempt, who)
        return
    later(grace - (waited or 0.0), lambda: None if attempt.is_told else _kill(attempt, who))


def _waited(attempt: Attempt) -> float | None:
    """Seconds since it was first asked; a full disk, which forgets that, must not keep anyone from asking."""
    try:
        return attempt.mark_cancelled()
    except OSError:
        return None


def end_what_is_left(attempt: Attempt, stage: Stage) -> None:
    """Nothing outlives an attempt that was to stop, or whose shell is gone."""
    is_due = stage is Stage.LOST or (stage is Stage.EXITED and attempt.is_cancelled)
    who = attempt.identity() if is_due and not attempt.is_told else None
    if who is not None:
        _kill(attempt, who)


def _kill(attempt: Attempt, who: Identity) -> None:
    """All that belongs to the attempt, but the shell, which is left to write down the end."""
    if kill_family(who, f"{MARK}={attempt.folder}"):
        log.info("process killed", extra={"run": attempt.run_id, "attempt": attempt.number})
    send(who, signal.SIGCONT)
