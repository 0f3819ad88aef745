"""The outcome of a submission, as a move of its run: pure. Five outcomes and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from dispatcher.ends import End, EndKind, cleanups, ended
from dispatcher.ports import (
    Accepted,
    Move,
    NotNow,
    Outcome,
    PoolUnavailable,
    Rejected,
    Traits,
    Unknown,
)
from dispatcher.runs import Actor, Attempt, FlowRun, Name, StateType, amended, moved, with_attempt
from dispatcher.watch import Patience, next_check

FIRST_BACKOFF = timedelta(seconds=2)
LONGEST_BACKOFF = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an outcome changes. `cancel`: the handle the run does not name, or no longer wants running."""

    move: Move | None = None
    cancel: str | None = None


def recorded(
    run: FlowRun,
    attempt: int,
    outcome: Outcome,
    *,
    first: bool,
    now: datetime,
    traits: Traits,
    patience: Patience,
) -> Recorded:
    """`run` as it is now, `attempt` the one that was submitted.

    `first`: no other request of this submission was made before, so a no is definite; unless the attempt says by now
    that one got no certain answer or is being repeated.
    """
    if isinstance(outcome, Accepted):
        return _accepted(run, attempt, outcome, now, traits, patience)
    current = run.current
    if current is None or current.number != attempt or current.handle is not None:
        return Recorded()
    if run.state.type not in (StateType.PENDING, StateType.CANCELLING):
        return Recorded()
    if isinstance(outcome, Unknown) or not first or current.outcome:
        # It is repeated soon, and after that with patience.
        is_new = first and not current.outcome and run.state.type is StateType.PENDING
        check_at = now + traits.submit_deadline if is_new else next_check(run, traits, patience, now)
        return Recorded(Move(run, _doubtful(run, outcome), check_at=check_at))
    return Recorded(_refused(run, outcome, now, patience))


def _accepted(
    run: FlowRun,
    number: int,
    outcome: Accepted,
    now: datetime,
    traits: Traits,
    patience: Patience,
) -> Recorded:
    current = run.current
    if current is None or current.number != number or not run.is_active:
        return _too_late(run, number, outcome, now)
    if current.handle is not None:
        return _already_named(run, current, outcome)
    attempts = with_attempt(run, handle=outcome.handle, links=outcome.links, submitted_at=now)
    if run.state.type is StateType.PENDING:
        after = moved(run, Name.INFRASTRUCTURE_PENDING, actor=Actor.DISPATCHER, at=now, attempts=attempts)
    else:
        after = amended(run, attempts=attempts)
    stopping = run.state.type is StateType.CANCELLING
    move = Move(run, after, check_at=next_check(after, traits, patience, now))
    return Recorded(move, cancel=outcome.handle if stopping else None)


def _already_named(run: FlowRun, current: Attempt, outcome: Accepted) -> Recorded:
    """An event was faster: it knows no links. Another container than the named one is not wanted."""
    if current.handle != outcome.handle:
        return Recorded(cancel=outcome.handle)
    if current.links or not outcome.links:
        return Recorded()
    return Recorded(Move(run, amended(run, attempts=with_attempt(run, links=outcome.links))))


def _too_late(run: FlowRun, number: int, outcome: Accepted, now: datetime) -> Recorded:
    """The attempt is over. If its container said so itself, its handle is kept for its logs; else it is cancelled."""
    attempt = next((a for a in run.attempts if a.number == number), None)
    if attempt is None or (attempt.handle is not None and attempt.handle != outcome.handle):
        return Recorded(cancel=outcome.handle)
    cancel = None if attempt.claimed_by is not None and attempt.ended is not None else outcome.handle
    if attempt.handle is not None and (attempt.links or not outcome.links):
        return Recorded(cancel=cancel)
    after = amended(run, attempts=_with_handle(run, number, outcome.handle, outcome.links, now))
    late = next(a for a in after.attempts if a.number == number)
    return Recorded(Move(run, after, outbox=cleanups(after, late, now)), cancel=cancel)


def _with_handle(
    run: FlowRun, number: int, handle: str, links: Mapping[str, str], now: datetime
) -> tuple[Attempt, ...]:
    return tuple(
        replace(a, handle=handle, links=links, submitted_at=now) if a.number == number else a for a in run.attempts
    )


def repeated(run: FlowRun) -> FlowRun:
    """To be stored before a submission is repeated: from then on a no, even to the first request, is not definite."""
    return amended(run, attempts=with_attempt(run, outcome="submission repeated: the first had no certain answer"))


def _doubtful(run: FlowRun, outcome: Outcome) -> FlowRun:
    message = getattr(outcome, "message", "") or getattr(outcome, "reason", "")
    return amended(run, attempts=with_attempt(run, outcome=f"submission without a certain answer: {message}"))


def _refused(
    run: FlowRun, outcome: NotNow | PoolUnavailable | Rejected | Unknown, now: datetime, patience: Patience
) -> Move:
    """A definite no: nothing was started, nothing ever will be from this submission."""
    match outcome:
        case NotNow(message, retry_after):
            return _again(run, message, now + max(retry_after or timedelta(0), backoff(run.submit_seq)), now, patience)
        case PoolUnavailable(reason, _):
            return _again(run, reason, now + backoff(run.submit_seq), now, patience)
        case Rejected(message):
            return _over(run, EndKind.REFUSED, message, now, patience)
        case Unknown(message):
            raise AssertionError(f"not a definite no: {message}")
        case _:
            assert_never(outcome)


def backoff(submit_seq: int) -> timedelta:
    doubled: timedelta = FIRST_BACKOFF * 2.0 ** min(submit_seq - 1, 20)
    return min(doubled, LONGEST_BACKOFF)


def _again(run: FlowRun, message: str, due_at: datetime, now: datetime, patience: Patience) -> Move:
    if run.state.type is StateType.CANCELLING:
        return _over(run, EndKind.REFUSED, message, now, patience)
    after = moved(
        run, Name.SCHEDULED, actor=Actor.DISPATCHER, at=now, message=message, due_at=due_at, slots=(),
        submit_seq=run.submit_seq + 1, attempts=with_attempt(run, outcome=f"not started: {message}"),
    )  # fmt: skip
    return Move(run, after)


def _over(run: FlowRun, kind: EndKind, message: str, now: datetime, patience: Patience) -> Move:
    after, owed = ended(run, End(kind=kind, message=message), actor=Actor.DISPATCHER, now=now, patience=patience)
    return Move(run, after, outbox=owed)
