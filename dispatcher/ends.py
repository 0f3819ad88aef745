"""What becomes of a run when an attempt ends: pure, and the only place that decides it.

Invariant: every end takes the run's slots away in the same value that says the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from dispatcher.documents import to_document
from dispatcher.ports import Cause, Observation, OutboxEntry
from dispatcher.runs import (
    MESSAGE_KEPT,
    TYPE_OF,
    Actor,
    Attempt,
    FlowRun,
    Name,
    Stop,
    StopReason,
    moved,
    with_attempt,
)
from dispatcher.watch import Patience

RUNNER_REFUSED = 75  # the runner did not start the command, or disowned it; never user code's outcome
FREE_ATTEMPTS = 3
FREE_ATTEMPT_DELAY = timedelta(seconds=5)  # doubled each time
LOG_TAIL_BYTES = 4096
TO_BE_FOUND = timedelta(minutes=2)  # until every cloud shows what was submitted


class EndKind(StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"  # the command's own non-zero exit
    CRASHED = "crashed"  # killed, or vanished after it was claimed
    INFRASTRUCTURE = "infrastructure"  # nobody's fault: a free attempt, bounded
    REFUSED = "refused"  # it can never start: no retry
    UNKNOWN = "unknown"  # nobody can tell whether it was started


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """An attempt's end, whoever told of it. `signalled`: the command was told to stop before it ended."""

    kind: EndKind
    message: str = ""
    exit_code: int | None = None
    log_tail: str = ""
    signalled: bool = False
    at: datetime | None = None


def observed_end(run: FlowRun, seen: Observation) -> End:
    """A cloud's word that the attempt stopped, as an end."""
    attempt = run.current
    claimed = attempt is not None and attempt.claimed_by is not None
    kind = _KIND_OF[seen.cause or Cause.KILLED]
    message = seen.message
    if seen.cause is Cause.EXITED and seen.exit_code == RUNNER_REFUSED:
        kind = EndKind.CRASHED if claimed else EndKind.INFRASTRUCTURE
        message = message or "the runner did not start the command (exit code 75): could it reach the API?"
    elif seen.cause is Cause.EXITED and seen.exit_code == 0:
        kind = EndKind.COMPLETED
    return End(kind=kind, message=message, exit_code=seen.exit_code, log_tail=seen.log_tail, at=seen.ended)


_KIND_OF = {
    Cause.EXITED: EndKind.FAILED,
    Cause.KILLED: EndKind.CRASHED,
    Cause.STOPPED: EndKind.CRASHED,
    Cause.INFRASTRUCTURE: EndKind.INFRASTRUCTURE,
    Cause.REFUSED: EndKind.REFUSED,
}

_FINAL_OF_STOP = {
    StopReason.CANCELLED: Name.CANCELLED,
    StopReason.SUPERSEDED: Name.CANCELLED,
    StopReason.TIMED_OUT: Name.TIMED_OUT,
    StopReason.LOST: Name.CRASHED,
    StopReason.NOT_STARTED: Name.CRASHED,
    StopReason.REFUSED: Name.CRASHED,
    StopReason.INTERRUPTED: Name.CRASHED,
}

_FINAL_OF_END = {
    EndKind.COMPLETED: Name.COMPLETED,
    EndKind.FAILED: Name.FAILED,
    EndKind.CRASHED: Name.CRASHED,
    EndKind.INFRASTRUCTURE: Name.CRASHED,
    EndKind.REFUSED: Name.CRASHED,
    EndKind.UNKNOWN: Name.CRASHED,
}


def ended(
    run: FlowRun, end: End, *, actor: Actor, now: datetime, patience: Patience
) -> tuple[FlowRun, tuple[OutboxEntry, ...]]:
    """The run after the end of its current attempt, without slots, and what is owed to the outside for it."""
    name, retry_at, spent = _verdict(run, end, now)
    message = _message(run, end)
    attempts = with_attempt(
        run,
        ended=end.at or now,
        outcome=f"{name}: {message}"[:MESSAGE_KEPT] if message else str(name),
        exit_code=end.exit_code,
        log_tail=shortened(end.log_tail) or (run.current.log_tail if run.current else ""),
    )
    common: dict[str, Any] = {"attempts": attempts, "slots": (), "stop": None, "exit_code": end.exit_code}
    owed = _cleanup(run, end, now)
    if retry_at is not None:
        after = moved(
            run, Name.AWAITING_RETRY, actor=actor, at=now, message=message, due_at=retry_at,
            attempt=run.attempt + 1, submit_seq=1, **common, **spent,
        )  # fmt: skip
        return after, owed
    after = moved(
        run, name, actor=actor, at=now, message=message, ended=end.at or now, parked=False,
        expires_at=now + patience.retention, **common,
    )  # fmt: skip
    return after, owed + notices(after, now)


def shortened(log_tail: str) -> str:
    """Its last LOG_TAIL_BYTES."""
    return log_tail.encode(errors="replace")[-LOG_TAIL_BYTES:].decode(errors="ignore")


def cancelled(
    run: FlowRun, message: str, *, actor: Actor, now: datetime, patience: Patience
) -> tuple[FlowRun, tuple[OutboxEntry, ...]]:
    """A SCHEDULED run, cancelled at once."""
    after = moved(
        run, Name.CANCELLED, actor=actor, at=now, message=message, ended=now, parked=False,
        expires_at=now + patience.retention,
    )  # fmt: skip
    return after, notices(after, now)


def unstartable(
    run: FlowRun, message: str, *, now: datetime, patience: Patience
) -> tuple[FlowRun, tuple[OutboxEntry, ...]]:
    """A SCHEDULED run whose request cannot be made."""
    after = moved(
        run, Name.CRASHED, actor=Actor.DISPATCHER, at=now, message=message, ended=now, parked=False,
        expires_at=now + patience.retention,
    )  # fmt: skip
    return after, notices(after, now)


def _verdict(run: FlowRun, end: End, now: datetime) -> tuple[Name, datetime | None, dict[str, int]]:
    """(final name, when to try again or None, which budget that takes)."""
    name, free, may_retry = _reading(run, end)
    if free and run.free_attempts < FREE_ATTEMPTS:
        delay = FREE_ATTEMPT_DELAY * 2**run.free_attempts
        return name, now + delay, {"free_attempts": run.free_attempts + 1}
    if may_retry and run.retries_used < run.policy.retries:
        delay = timedelta(seconds=run.policy.retry_delay_seconds)
        return name, now + delay, {"retries_used": run.retries_used + 1}
    return name, None, {}


def _reading(run: FlowRun, end: End) -> tuple[Name, bool, bool]:
    """(final name, whether a further attempt is free, whether it may be retried)."""
    if (stop := _deciding(run, end)) is not None:
        retried = stop.reason in (StopReason.TIMED_OUT, StopReason.LOST, StopReason.NOT_STARTED)
        return _FINAL_OF_STOP[stop.reason], stop.reason is StopReason.NOT_STARTED, retried
    free = end.kind is EndKind.INFRASTRUCTURE
    retried = end.kind in (EndKind.FAILED, EndKind.CRASHED, EndKind.INFRASTRUCTURE)
    if end.kind is EndKind.UNKNOWN:
        free = run.policy.on_unknown == "retry"
    return _FINAL_OF_END[end.kind], free, retried


def _deciding(run: FlowRun, end: End) -> Stop | None:
    """The stop that says what is written; none if the command was done before the stop reached it."""
    done_anyway = end.kind is EndKind.COMPLETED and not end.signalled
    if run.stop is None or run.stop.reason is StopReason.INTERRUPTED:
        return None
    return None if done_anyway and run.stop.reason is not StopReason.TIMED_OUT else run.stop


def _message(run: FlowRun, end: End) -> str:
    stop = _deciding(run, end)
    return stop.message if stop is not None and stop.message else end.message


def _cleanup(run: FlowRun, end: End, now: datetime) -> tuple[OutboxEntry, ...]:
    """Of one that was never named only what spoke, or what nobody can tell of, may have left something."""
    attempt = run.current
    if attempt is None:
        return ()
    may_be_there = attempt.claimed_by is not None or end.kind is EndKind.UNKNOWN
    return cleanups(run, attempt, now) if attempt.handle is not None or may_be_there else ()


def cleanups(run: FlowRun, attempt: Attempt, now: datetime) -> tuple[OutboxEntry, ...]:
    """What its cloud keeps of an ended attempt, to be removed later; without a handle it has to be found first."""
    if attempt.cleanup_seconds is None:
        return ()
    due_at = now + timedelta(seconds=attempt.cleanup_seconds)
    whose: dict[str, Any] = {"handle": attempt.handle}
    if attempt.handle is None:
        whose, due_at = {"attempt": attempt.number, "submit_seq": attempt.submit_seq}, due_at + TO_BE_FOUND
    body = {"target": to_document(attempt.target), **whose}
    return (OutboxEntry(f"cleanup/{run.id}/{attempt.number}", "cleanup", run.pool, run.id, due_at, body),)


def notices(run: FlowRun, now: datetime) -> tuple[OutboxEntry, ...]:
    """One entry if the run's deployment wants to hear of this state; the address is looked up when it is sent."""
    kind = TYPE_OF[run.state.name].value.lower()
    word = "timed_out" if run.state.name is Name.TIMED_OUT else kind
    if not {word, kind} & set(run.policy.notify):
        return ()
    return (notice(run, word, now),)


def notice(run: FlowRun, word: str, now: datetime) -> OutboxEntry:
    return OutboxEntry(f"notify/{run.id}/{run.attempt}/{word}", "notify", run.pool, run.id, now, {"on": word})
