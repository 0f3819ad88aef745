"""When somebody must have heard of an attempt: every unfinished state has a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatcher.ports import Infrastructure, Traits, Various
from dispatcher.runs import Attempt, FlowRun, StateType, Target

LOOK_AHEAD = timedelta(seconds=65)  # a look that comes before the next tick is woken for


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for whom."""

    heartbeat: timedelta = timedelta(seconds=120)
    heartbeat_grace: timedelta = timedelta(seconds=300)  # without a beat, a claimed attempt is lost
    stop: timedelta = timedelta(seconds=15)  # between two asks to stop
    events: timedelta = timedelta(minutes=10)  # between two looks where the cloud tells by itself
    poll: timedelta = timedelta(seconds=60)  # between two looks where it does not
    unreachable: timedelta = timedelta(seconds=30)
    unnamed: timedelta = timedelta(seconds=30)  # a container that speaks, and whose handle nobody has recorded
    max_life: timedelta = timedelta(days=7)  # without a timeout
    away: timedelta = timedelta(seconds=150)  # without a pass, we were away: beats could not be counted
    retention: timedelta = timedelta(days=30)  # how long a finished run is kept
    hears: frozenset[str] | None = None  # pool types whose clouds' events reach this installation; None: all that push


def traits_at(infrastructure: Infrastructure, target: Target) -> Traits:
    """What holds for an attempt that is sent there."""
    return infrastructure.traits_of(target) if isinstance(infrastructure, Various) else infrastructure.traits


def end_of_life(run: FlowRun, patience: Patience) -> datetime | None:
    """When a started attempt has run too long."""
    attempt = run.current
    if attempt is None or attempt.started is None:
        return None
    seconds = run.policy.timeout_seconds
    return attempt.started + (timedelta(seconds=seconds) if seconds else patience.max_life)


def next_check(run: FlowRun, traits: Traits, patience: Patience, now: datetime) -> datetime:
    """When to look at an active run again, if nothing is heard of it before."""
    attempt = run.current
    assert attempt is not None, f"run {run.id} is {run.state.type} without an attempt"
    if attempt.handle is None and run.state.type is not StateType.RUNNING:
        return now + traits.submit_deadline + traits.visibility_delay
    if run.state.type is StateType.CANCELLING:
        return now + patience.stop
    look = now + _interval(attempt, traits, patience)
    end = attempt.start_deadline if run.state.type is StateType.PENDING else end_of_life(run, patience)
    return look if end is None else min(look, max(end, now + timedelta(seconds=1)))


def _interval(attempt: Attempt, traits: Traits, patience: Patience) -> timedelta:
    if attempt.claimed_by is not None:
        return patience.heartbeat_grace
    is_heard = patience.hears is None or attempt.target.type in patience.hears
    return patience.events if traits.pushes_events and is_heard else patience.poll
