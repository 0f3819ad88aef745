"""What is overdue: what to ask the cloud, and what its answer means. Pure; `dispatch` does the asking.

Invariant: an attempt is judged over only on the cloud's word, or where the cloud's declared delays have passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dispatcher.ends import End, EndKind, ended
from dispatcher.observations import observed, with_handle
from dispatcher.ports import ActiveEntry, Cause, Move, Observation, Phase, Traits
from dispatcher.runs import Actor, Attempt, FlowRun, Name, StateType, Stop, StopReason, moved
from dispatcher.submissions import repeated
from dispatcher.watch import Patience, end_of_life, next_check

PLATFORMS_STOP = timedelta(minutes=3)  # a spot instance is gone two minutes after its notice


class Question(StrEnum):
    """What has to be asked of an overdue entry."""

    FORGET = "forget"  # nothing: its run is gone, over, or in another attempt
    FIND = "find"  # did the submission start anything?
    DESCRIBE = "describe"  # how is the one that we know?


def question(run: FlowRun | None, entry: ActiveEntry) -> Question:
    if run is None or not run.is_active or run.attempt != entry.attempt or entry.slot not in run.slots:
        return Question.FORGET
    attempt = run.current
    return Question.FIND if attempt is None or attempt.handle is None else Question.DESCRIBE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means: a move, or only a later look; and, once the move is made, what to tell the cloud."""

    move: Move | None = None
    look_again: datetime | None = None
    cancel: bool = False
    resubmit: bool = False


@dataclass(frozen=True, slots=True)
class Bench:
    """What judging needs besides the run. `away`: no pass was made for a while, so missing beats prove nothing."""

    traits: Traits
    patience: Patience
    away: bool = False


def judge(run: FlowRun, entry: ActiveEntry, seen: Observation | None, *, now: datetime, bench: Bench) -> Verdict:
    """`seen`: the answer to `find` or `describe`; None: `find` knows nothing."""
    attempt = run.current
    assert attempt is not None, f"run {run.id} is active without an attempt"
    if seen is None or seen.phase is Phase.MISSING:
        return _nothing_there(run, entry, now, bench)
    move = observed(run, seen, now=now, traits=bench.traits, patience=bench.patience)
    if seen.phase is Phase.STOPPED:
        return Verdict(move)
    if run.state.type is StateType.CANCELLING:
        return Verdict(move, now + bench.patience.stop, cancel=not _is_stopping_anyway(run, now))
    if (stop := _overstayed(run, entry, seen, now, bench)) is not None:
        return Verdict(_stopping(run, stop, now, bench, seen), cancel=True)
    return Verdict(move, next_check(move.after if move else run, bench.traits, bench.patience, now))


def _is_stopping_anyway(run: FlowRun, now: datetime) -> bool:
    """Its platform has told it to stop: to ask for that too might be what the cloud then says was the cause."""
    return run.stop is not None and run.stop.reason is StopReason.INTERRUPTED and now < run.stop.at + PLATFORMS_STOP


def _nothing_there(run: FlowRun, entry: ActiveEntry, now: datetime, bench: Bench) -> Verdict:
    attempt = run.current
    assert attempt is not None
    traits = bench.traits
    sent = _sent_by(attempt, traits)
    is_unanswered = run.state.type is StateType.PENDING and attempt.handle is None
    if is_unanswered and _may_repeat(attempt, now, traits):
        return _repeat(run, now, bench) if now >= sent else Verdict(look_again=sent)
    if now < sent + traits.visibility_delay:
        return Verdict(look_again=sent + traits.visibility_delay)
    if attempt.handle is None and attempt.claimed_by is not None and not _is_silent(attempt, entry, now, bench):
        return _unseen(run, entry, now, bench)
    if attempt.handle is not None or run.state.type is StateType.RUNNING:
        return _end(run, EndKind.INFRASTRUCTURE, "the cloud no longer knows it", now, bench)
    if run.state.type is StateType.CANCELLING:
        return _end(run, EndKind.UNKNOWN, "nothing of it was started", now, bench)
    return _end(run, EndKind.UNKNOWN, "the outcome of its submission is unknown: it may have run", now, bench)


def _sent_by(attempt: Attempt, traits: Traits) -> datetime:
    """Until then its submission may be on its way: it waits for its turn for as long as it may then take.

    One that is known to have had no answer has been sent.
    """
    if attempt.submitted_at is not None:
        return attempt.submitted_at
    return attempt.admitted_at + traits.submit_deadline * (1 if attempt.outcome else 2)


def _repeat(run: FlowRun, now: datetime, bench: Bench) -> Verdict:
    """Whether or not the cloud can already see what it started: the same token starts nothing twice."""
    again = now + bench.traits.submit_deadline + bench.traits.visibility_delay
    return Verdict(Move(run, repeated(run)), look_again=again, resubmit=True)


def _unseen(run: FlowRun, entry: ActiveEntry, now: datetime, bench: Bench) -> Verdict:
    """Whatever the cloud says: it speaks. It is told to stop by the answer to its next beat, if it has to."""
    seen = Observation(phase=Phase.RUNNING)
    stop = _overstayed(run, entry, seen, now, bench) if run.state.type is StateType.RUNNING else None
    move = _stopping(run, stop, now, bench, seen) if stop is not None else None
    return Verdict(move, look_again=now + bench.patience.unnamed)


def _may_repeat(attempt: Attempt, now: datetime, traits: Traits) -> bool:
    is_safe = traits.token_life is None or now < attempt.admitted_at + traits.token_life
    return is_safe and now < attempt.start_deadline


def _end(run: FlowRun, kind: EndKind, message: str, now: datetime, bench: Bench) -> Verdict:
    after, owed = ended(run, End(kind=kind, message=message), actor=Actor.CLOUD, now=now, patience=bench.patience)
    return Verdict(Move(run, after, outbox=owed))


def _overstayed(run: FlowRun, entry: ActiveEntry, seen: Observation, now: datetime, bench: Bench) -> Stop | None:
    """Why a living attempt must be stopped, if it must."""
    attempt = run.current
    assert attempt is not None
    if run.state.type is StateType.PENDING and seen.phase is Phase.PENDING:
        return _unstarted(attempt, seen, now)
    end = end_of_life(run, bench.patience)
    if end is not None and now >= end and attempt.started is not None:
        return Stop(StopReason.TIMED_OUT, now, f"over its timeout of {_seconds(end - attempt.started)} s")
    if attempt.claimed_by is not None and _is_silent(attempt, entry, now, bench):
        return Stop(StopReason.LOST, now, f"no heartbeat for {_seconds(now - _heard_at(attempt, entry))} s")
    return None


def _is_silent(attempt: Attempt, entry: ActiveEntry, now: datetime, bench: Bench) -> bool:
    """For so long that it is lost; while we were away it may have spoken to nobody."""
    return not bench.away and now - _heard_at(attempt, entry) >= bench.patience.heartbeat_grace


def _heard_at(attempt: Attempt, entry: ActiveEntry) -> datetime:
    """Of a claim that came since the entry was read, or before the first beat, only the attempt knows."""
    return max(at for at in (entry.heard_at, attempt.started, attempt.admitted_at) if at is not None)


def _unstarted(attempt: Attempt, seen: Observation, now: datetime) -> Stop | None:
    if seen.cause is not None:
        reason = StopReason.REFUSED if seen.cause is Cause.REFUSED else StopReason.NOT_STARTED
        return Stop(reason, now, seen.message)
    if now < attempt.start_deadline:
        return None
    return Stop(StopReason.NOT_STARTED, now, f"not running by {attempt.start_deadline:%H:%M:%S} UTC")


def _seconds(span: timedelta) -> int:
    return round(span.total_seconds())


def _stopping(run: FlowRun, stop: Stop, now: datetime, bench: Bench, seen: Observation) -> Move:
    known = with_handle(run, seen.handle, now)
    after = moved(known, Name.STOPPING, actor=Actor.DISPATCHER, at=now, message=stop.message, stop=stop)
    return Move(run, after, check_at=now + bench.patience.stop)
