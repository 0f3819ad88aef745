"""A cloud's word on an attempt, as a move of its run: pure, the same for events and for answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dispatcher.ends import ended, observed_end
from dispatcher.ports import Move, Observation, Phase, Traits
from dispatcher.runs import Actor, FlowRun, Name, StateType, amended, moved, with_attempt
from dispatcher.watch import Patience, next_check


def observed(run: FlowRun, seen: Observation, *, now: datetime, traits: Traits, patience: Patience) -> Move | None:
    """What the word changes; None if it is stale, of another container, or says nothing new."""
    attempt = run.current
    if not run.is_active or attempt is None:
        return None
    if attempt.handle is not None and seen.handle not in ("", attempt.handle):
        return None
    known = with_handle(run, seen.handle, now)
    if seen.phase is Phase.STOPPED:
        after, owed = ended(known, observed_end(known, seen), actor=Actor.CLOUD, now=now, patience=patience)
        return Move(run, after, outbox=owed)
    if seen.phase is Phase.RUNNING and run.state.type is StateType.PENDING:
        after = _running(known, seen, now)
    elif known is not run:
        after = amended(known)
    else:
        return None
    return Move(run, after, check_at=next_check(after, traits, patience, now))


def with_handle(run: FlowRun, handle: str, now: datetime) -> FlowRun:
    attempt = run.current
    if attempt is None or attempt.handle is not None or not handle:
        return run
    return replace(run, attempts=with_attempt(run, handle=handle, submitted_at=now))


def _running(run: FlowRun, seen: Observation, now: datetime) -> FlowRun:
    started = seen.started or now
    attempts = with_attempt(run, started=started)
    return moved(run, Name.RUNNING, actor=Actor.CLOUD, at=now, attempts=attempts, started=run.started or started)
