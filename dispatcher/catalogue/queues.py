"""Registering work queues. A priority is unique in its pool; taking a taken one pushes the others down."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dispatcher import records, settling
from dispatcher.catalogue.changes import change_deployment
from dispatcher.catalogue.registering import UNFINISHED, Change, Registered, kept, retrying, some
from dispatcher.context import Context
from dispatcher.deployments import Deployment
from dispatcher.errors import Conflict, NotFound
from dispatcher.forms import WorkQueueForm
from dispatcher.pools import DEFAULT_QUEUE, WorkPool, WorkQueue
from dispatcher.ports import RunFilter


def pool_named(context: Context, name: str) -> WorkPool:
    """:raises NotFound: none, or one that was deleted."""
    pool = records.read(context.store, WorkPool, name)
    if pool is None or pool.deleted:
        raise NotFound(f"work pool {name!r} does not exist; `pushpool work-pool ls` shows those that do")
    return pool


def queue_named(context: Context, pool: str, name: str) -> WorkQueue:
    """:raises NotFound:"""
    pool_named(context, pool)
    queue = records.read(context.store, WorkQueue, f"{pool}/{name}")
    if queue is None:
        raise NotFound(f"work queue {name!r} does not exist in work pool {pool!r}")
    return queue


def ensure_queue(context: Context, pool: str, name: str) -> WorkQueue:
    """The queue; it appears when something names it."""
    queue = records.read(context.store, WorkQueue, f"{pool}/{name}")
    if queue is not None:
        return queue
    return put_queue(context, pool, name, WorkQueueForm()).value


def put_queue(context: Context, pool: str, name: str, form: WorkQueueForm) -> Registered[WorkQueue]:
    """Store the queue; one whose priority it takes moves down, and so on. :raises NotFound: no such pool."""
    pool_named(context, pool)
    return retrying(lambda: _put_queue(context, pool, name, form))


def _put_queue(context: Context, pool: str, name: str, form: WorkQueueForm) -> Registered[WorkQueue]:
    now = context.clock.now()
    others = {q.name: q for q in records.queues_of(context.store, pool)}
    old = others.pop(name, None)
    taken = {q.priority: q for q in others.values()}
    priority = form.priority or (old.priority if old else _first_gap(taken))
    new = WorkQueue(
        pool=pool,
        name=name,
        priority=priority,
        created=old.created if old else now,
        updated=now,
        description=form.description,
        paused=kept(said=form.paused, before=old.paused if old else False),
        concurrency_limit=form.concurrency_limit,
        version=old.version if old else 0,
    )
    if old is not None and replace(new, updated=old.updated) == old:
        return Registered(old, Change.UNCHANGED)
    _push_down(context, taken, priority, now)
    stored = records.write(context.store, new)
    context.waker.wake(pool)
    return Registered(stored, Change.CHANGED if old else Change.CREATED)


def _first_gap(taken: dict[int, WorkQueue]) -> int:
    return next(n for n in range(1, len(taken) + 2) if n not in taken)


def _push_down(context: Context, taken: dict[int, WorkQueue], priority: int, now: datetime) -> None:
    """Free `priority`: the run of queues that starts there moves down by one, the lowest first."""
    moving = []
    while priority in taken:
        moving.append(taken[priority])
        priority += 1
    for queue in reversed(moving):
        records.write(context.store, replace(queue, priority=queue.priority + 1, updated=now))


def pause_queue(context: Context, pool: str, name: str, *, paused: bool) -> WorkQueue:
    def work() -> WorkQueue:
        queue = queue_named(context, pool, name)
        if queue.paused == paused:
            return queue
        return records.write(context.store, replace(queue, paused=paused, updated=context.clock.now()))

    queue = retrying(work)
    context.waker.wake(pool)
    return queue


def delete_queue(context: Context, pool: str, name: str, *, force: bool = False) -> None:
    """With `force`, its deployments and unfinished runs move to the default queue. :raises Conflict:"""
    queue = queue_named(context, pool, name)
    if name == DEFAULT_QUEUE:
        raise Conflict(f"the default queue of work pool {pool!r} cannot be deleted; pause it instead")
    users = [d for d in records.each(context.store, Deployment, parent=pool) if d.queue == name and not d.deleted]
    unfinished = RunFilter(pool=pool, queue=name, types=UNFINISHED)
    busy = bool(context.store.runs(unfinished, limit=1).items)
    if (users or busy) and not force:
        why = f"deployments name it: {some(d.name for d in users)}" if users else "it has unfinished runs"
        raise Conflict(f"work queue {name!r} is in use: {why}; change them first, or force")
    for deployment in users:
        change_deployment(context, deployment.name, queue=DEFAULT_QUEUE)
    _empty_queue(context, unfinished)
    records.remove(context.store, queue)
    context.waker.wake(pool)


def _empty_queue(context: Context, unfinished: RunFilter) -> None:
    """Active runs too, slots and all as they are: a further attempt would wait in a queue that nobody looks at."""
    while page := context.store.runs(unfinished, limit=100).items:
        context.store.move_each([settling.requeued(run, DEFAULT_QUEUE) for run in page])
