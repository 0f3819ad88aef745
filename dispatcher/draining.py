"""A pool that was deleted: waiting runs are cancelled, active ones finish, what is owed is worked off, and it goes."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatcher import ends, records
from dispatcher.context import Context
from dispatcher.deployments import Deployment
from dispatcher.errors import RecordChanged
from dispatcher.pools import WorkPool
from dispatcher.ports import Move, RunFilter
from dispatcher.pulses import pulse_of
from dispatcher.runs import Actor, FlowRun, StateType
from dispatcher.settling import relocated

PAGE = 100
EVER = timedelta(days=3650)


def drain(context: Context, pool: WorkPool, *, until: datetime) -> None:
    wanted = RunFilter(pool=pool.name, types=frozenset({StateType.SCHEDULED}))
    while context.clock.now() < until:
        page = context.store.runs(wanted, limit=PAGE)
        if not page.items:
            break
        deployments = {
            name: records.read(context.store, Deployment, name) for name in {r.deployment for r in page.items}
        }
        moves = [_seen_off(context, run, deployments[run.deployment], pool) for run in page.items]
        context.store.move_each(moves)
        for elsewhere in {move.after.pool for move in moves} - {pool.name}:
            context.waker.wake(elsewhere)
    else:
        return
    if not context.store.active(pool.name) and not _owes(context, pool):
        _remove(context, pool)


def _seen_off(context: Context, run: FlowRun, deployment: Deployment | None, pool: WorkPool) -> Move:
    """To where its deployment is by now; if that is nowhere else, it is cancelled."""
    lives_on = deployment if deployment is not None and deployment.id == run.deployment_id else None
    move = relocated(run, lives_on) if lives_on is not None else None
    if move is not None and move.after.pool != pool.name:
        return move
    after, owed = ends.cancelled(
        run,
        f"work pool {pool.name!r} was deleted",
        actor=Actor.DISPATCHER,
        now=context.clock.now(),
        patience=context.patience,
    )
    return Move(run, after, outbox=owed)


def _owes(context: Context, pool: WorkPool) -> bool:
    """Clean-ups and notices are only worked off while there is a pool to make passes over."""
    return bool(context.store.outbox_due(pool.name, context.clock.now() + EVER, limit=1))


def _remove(context: Context, pool: WorkPool) -> None:
    """The pool, its queues and its pulse; the pool last, so that a crash leaves it to the next pass."""
    try:
        for queue in records.queues_of(context.store, pool.name):
            records.remove(context.store, queue)
        pulse = pulse_of(context.store, pool.name)
        if pulse.version:
            records.remove(context.store, pulse)
        records.remove(context.store, pool)
    except RecordChanged:
        return  # somebody was quicker, or it was created anew
