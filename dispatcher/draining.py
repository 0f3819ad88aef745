"""A pool that was deleted: waiting runs are cancelled, active ones finish, what is owed is worked off, and it goes."""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatcher import ends, records
from dispatcher.context import Context
from dispatcher.errors import RecordChanged
from dispatcher.pools import WorkPool
from dispatcher.ports import Move, RunFilter
from dispatcher.pulses import pulse_of
from dispatcher.runs import Actor, StateType

PAGE = 100
EVER = timedelta(days=3650)


def drain(context: Context, pool: WorkPool, *, until: datetime) -> None:
    wanted = RunFilter(pool=pool.name, types=frozenset({StateType.SCHEDULED}))
    while context.clock.now() < until:
        page = context.store.runs(wanted, limit=PAGE)
        if not page.items:
            break
        now = context.clock.now()
        moves = []
        for run in page.items:
            after, owed = ends.cancelled(
                run,
                f"work pool {pool.name!r} was deleted",
                actor=Actor.DISPATCHER,
                now=now,
                patience=context.patience,
            )
            moves.append(Move(run, after, outbox=owed))
        context.store.move_each(moves)
    else:
        return
    if not context.store.active(pool.name) and not _owes(context, pool):
        _remove(context, pool)


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
