"""Words from outside about an attempt: from its container, with the run's token, or from its cloud, as an event.

Invariant: the run and attempt come from the token, never from the body; a stale word changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from dispatcher.context import Context
from dispatcher.disowning import disown, nobodys
from dispatcher.ends import End, EndKind, ended, shortened
from dispatcher.errors import Conflict, RunChanged, Unauthorized
from dispatcher.logs import log
from dispatcher.observations import observed
from dispatcher.ports import Event, Infrastructure, Move
from dispatcher.rendering import TOKEN_GRACE
from dispatcher.runs import Actor, Attempt, FlowRun, Name, StateType, Stop, StopReason, moved, with_attempt
from dispatcher.tokens import RunToken
from dispatcher.watch import LOOK_AHEAD, end_of_life, traits_at

TRIES = 8  # to apply a word to a run that others change
RENEW_BEFORE = timedelta(days=1)


class Word(StrEnum):
    """What a container says of itself."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateWord:
    """The body of a state callback."""

    state: Word
    instance: str
    exit_code: int | None = None
    signalled: bool = False
    message: str = ""
    log_tail: str = ""


_ENDS = {Word.COMPLETED: EndKind.COMPLETED, Word.FAILED: EndKind.FAILED, Word.CRASHED: EndKind.CRASHED}


def authenticate(context: Context, token: str) -> RunToken:
    """:raises Unauthorized: forged, expired or foreign."""
    return context.keys.verify(token, now=context.clock.now())


def say(context: Context, token: RunToken, word: StateWord) -> FlowRun:
    """Apply a container's word; returns the run as it is then.

    :raises Conflict: the container must not start, or not go on.
    :raises Unauthorized: the run is not known here.
    """
    for _ in range(TRIES):
        run = _run_of(context, token)
        apply = _claim if word.state is Word.RUNNING else _end
        move = apply(context, run, token, word)
        if move is None:
            return run
        try:
            context.store.move(move)
        except RunChanged:
            continue
        _moved(context, move)
        return move.after
    raise Conflict(f"run {token.run_id}: too many others are changing it; say it again")


def _run_of(context: Context, token: RunToken) -> FlowRun:
    run = context.store.get_run(token.run_id)
    if run is None:
        raise Unauthorized("this run token is not valid for this installation, or has expired")
    return run


def _claim(context: Context, run: FlowRun, token: RunToken, word: StateWord) -> Move | None:
    """The first RUNNING word claims the attempt; the same instance may repeat it."""
    attempt = _living(run, token)
    if attempt.claimed_by == word.instance and run.state.type is StateType.RUNNING:
        return None
    if attempt.claimed_by is not None:
        raise Conflict(f"attempt {attempt.number} of run {run.id} was claimed by another container")
    if run.state.type is StateType.CANCELLING:
        raise Conflict(f"run {run.id} is being stopped: {run.state.message or run.state.name}")
    now = context.clock.now()
    attempts = with_attempt(run, claimed_by=word.instance, started=now)
    # The cloud has told when the container came up; it has waited for the scheduled time since.
    is_first = run.started in (None, attempt.started)
    started = now if is_first else run.started
    after = moved(run, Name.RUNNING, actor=Actor.CONTAINER, at=now, attempts=attempts, started=started)
    return Move(run, after, check_at=_check_at(context, after, now))


def _living(run: FlowRun, token: RunToken) -> Attempt:
    """The token's attempt, if it is the run's and not over. :raises Conflict:"""
    if run.attempt != token.attempt or not run.is_active or run.current is None:
        raise Conflict(f"attempt {token.attempt} of run {run.id} is over: the run is {run.state.name}")
    return run.current


def _check_at(context: Context, run: FlowRun, now: datetime) -> datetime:
    """When a claimed attempt is looked at: if it falls silent, at its end, or if whoever submitted it has died."""
    looks, attempt = [now + context.patience.heartbeat_grace], run.current
    if (end := end_of_life(run, context.patience)) is not None:
        looks.append(max(end, now))
    if attempt is not None and attempt.handle is None and attempt.started is not None:
        looks.append(max(attempt.started + context.patience.unnamed, now))
    return min(looks)


def _end(context: Context, run: FlowRun, token: RunToken, word: StateWord) -> Move | None:
    """An end word from anyone but the claimer, or after the end, is ignored."""
    attempt = run.current
    if run.attempt != token.attempt or not run.is_active or attempt is None or attempt.claimed_by != word.instance:
        return None
    if run.stop is not None and run.stop.reason is StopReason.INTERRUPTED:
        return None  # it has said so before
    if word.signalled and run.stop is None:
        return _interrupted(context, run, word)
    end = End(
        kind=_ENDS[word.state],
        message=word.message,
        exit_code=word.exit_code,
        log_tail=word.log_tail,
        signalled=word.signalled,
    )
    after, owed = ended(run, end, actor=Actor.CONTAINER, now=context.clock.now(), patience=context.patience)
    return Move(run, after, outbox=owed)


def _interrupted(context: Context, run: FlowRun, word: StateWord) -> Move:
    """Nobody of ours told it to stop, so its platform did: only the cloud can say why, and whose fault it is."""
    now = context.clock.now()
    message = f"told to stop from outside ({word.message})" if word.message else "told to stop from outside"
    attempts = with_attempt(run, exit_code=word.exit_code, log_tail=shortened(word.log_tail))
    stop = Stop(StopReason.INTERRUPTED, now, message)
    after = moved(run, Name.STOPPING, actor=Actor.CONTAINER, at=now, message=message, stop=stop, attempts=attempts)
    return Move(run, after, check_at=now + context.patience.stop)


def _moved(context: Context, move: Move) -> None:
    run = move.after
    log.info(
        "run moved",
        extra={"run": run.id, "attempt": move.before.attempt, "pool": run.pool, "state": run.state.name},
    )
    if not run.is_active:
        context.waker.wake(run.pool)
        if run.state.type is StateType.SCHEDULED and run.due_at > context.clock.now():
            context.waker.wake(run.pool, run.due_at)
    elif move.check_at is not None and move.check_at <= context.clock.now() + LOOK_AHEAD:
        context.waker.wake(run.pool, move.check_at)


def beat(context: Context, token: RunToken, instance: str) -> Mapping[str, Any]:
    """A heartbeat; the answer says when the next is wanted, and may carry a new token.

    :raises Conflict: the attempt is over, being stopped, or another container's: the command must stop.
    """
    run = _run_of(context, token)
    attempt = _living(run, token)
    if attempt.claimed_by != instance or run.state.type is not StateType.RUNNING:
        raise Conflict(f"run {run.id} is {run.state.name}; attempt {attempt.number} may not go on in this container")
    now = context.clock.now()
    check_at = _check_at(context, run, now)
    kept = context.store.beat(run.slots[0], run.id, run.attempt, heard_at=now, check_at=check_at)
    if not kept:
        _repair(context, run, token, check_at)
    elif (fresh := _run_of(context, token)).state.type is StateType.CANCELLING and fresh.attempt == run.attempt:
        context.store.beat(run.slots[0], run.id, run.attempt, heard_at=now, check_at=now)  # the stop is not put off
        context.waker.wake(run.pool)
    answer: dict[str, Any] = {"heartbeat_seconds": context.patience.heartbeat.total_seconds()}
    end = end_of_life(run, context.patience)
    if end is not None and token.expires < min(end, now + RENEW_BEFORE):
        renewed = RunToken(run.id, run.attempt, end + TOKEN_GRACE)
        answer["token"] = context.keys.sign(renewed, key_id=attempt.key_id)
    return answer


def _repair(context: Context, run: FlowRun, token: RunToken, check_at: datetime) -> None:
    """An active run without its entry gets it back; a run that has moved on is told so."""
    fresh = _run_of(context, token)
    _living(fresh, token)
    try:
        context.store.restore_entry(fresh, check_at)
    except RunChanged as exc:
        raise Conflict(f"run {run.id} is changing; say it again") from exc
    log.error("active entry was missing and is restored", extra={"run": run.id, "pool": run.pool})


def parameters(context: Context, token: RunToken) -> Mapping[str, Any]:
    """What the run was called with, for a runner whose environment could not carry it. :raises Conflict:"""
    run = _run_of(context, token)
    _living(run, token)
    return run.parameters


def hear(context: Context, infrastructure: Infrastructure, event: Event) -> FlowRun | None:
    """Apply a cloud's word; None if it changed nothing."""
    for _ in range(TRIES):
        run = context.store.get_run(event.run_id)
        if run is None:
            return None
        if (target := nobodys(run, event.attempt, event.observation, event.submit_seq)) is not None:
            disown(context, run, target, event.observation.handle)
            return None
        attempt = run.current
        if attempt is None or attempt.number != event.attempt or event.submit_seq not in (None, attempt.submit_seq):
            return None
        now, traits = context.clock.now(), traits_at(infrastructure, attempt.target)
        move = observed(run, event.observation, now=now, traits=traits, patience=context.patience)
        if move is None:
            return None
        try:
            context.store.move(move)
        except RunChanged:
            continue
        _moved(context, move)
        return move.after
    return None
