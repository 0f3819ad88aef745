"""Registering work pools: idempotent, checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dispatcher import job_templates, pulses, records, registry
from dispatcher.catalogue.queues import ensure_queue, pool_named
from dispatcher.catalogue.registering import UNFINISHED, Change, Registered, kept, retrying, some
from dispatcher.context import Context
from dispatcher.deployments import Deployment
from dispatcher.draining import drain
from dispatcher.errors import Conflict
from dispatcher.forms import WorkPoolForm
from dispatcher.pools import DEFAULT_QUEUE, WorkPool
from dispatcher.ports import RunFilter

DRAIN_AT_ONCE = timedelta(seconds=3)  # what is left then, passes work off


def put_pool(context: Context, name: str, form: WorkPoolForm) -> Registered[WorkPool]:
    """:raises InvalidInput: type, template or variables. :raises Conflict: another type, or being deleted."""
    registry.check_type(form.type)
    template = form.base_job_template if form.base_job_template is not None else registry.template(form.type)
    job_templates.check_template(template, pool_type=form.type)
    job_templates.check_overrides(template, form.variables, require=False)
    return retrying(lambda: _put_pool(context, name, form, template))


def _put_pool(context: Context, name: str, form: WorkPoolForm, template: Mapping[str, Any]) -> Registered[WorkPool]:
    now = context.clock.now()
    old = records.read(context.store, WorkPool, name)
    if old is not None and old.deleted:
        raise Conflict(f"work pool {name!r} is being deleted; wait until its runs have ended")
    if old is not None and old.type != form.type:
        raise Conflict(f"work pool {name!r} is of type {old.type!r}, which never changes; create another pool")
    new = WorkPool(
        name=name,
        type=form.type,
        created=old.created if old else now,
        updated=now,
        description=form.description,
        base_job_template=template,
        variables=form.variables,
        paused=kept(said=form.paused, before=old.paused if old else False),
        concurrency_limit=form.concurrency_limit,
        prefetch_seconds=form.prefetch_seconds,
        version=old.version if old else 0,
    )
    if old is not None and replace(new, updated=old.updated) == old:
        ensure_queue(context, name, DEFAULT_QUEUE)
        return Registered(old, Change.UNCHANGED)
    stored = records.write(context.store, new)
    ensure_queue(context, name, DEFAULT_QUEUE)
    context.waker.wake(name)
    return Registered(stored, Change.CHANGED if old else Change.CREATED)


def pause_pool(context: Context, name: str, *, paused: bool) -> WorkPool:
    def work() -> WorkPool:
        pool = pool_named(context, name)
        if pool.paused == paused:
            return pool
        return records.write(context.store, replace(pool, paused=paused, updated=context.clock.now()))

    pool = retrying(work)
    if not paused:
        pulses.closed(context.store, name)
    context.waker.wake(name)
    return pool


def delete_pool(context: Context, name: str, *, force: bool = False) -> bool:
    """True if it is gone at once, False if passes drain it. :raises Conflict: it is in use and not forced."""
    pool_named(context, name)
    users = [d.name for d in records.each(context.store, Deployment, parent=name) if not d.deleted]
    busy = bool(context.store.runs(RunFilter(pool=name, types=UNFINISHED), limit=1).items)
    if (users or busy) and not force:
        why = f"deployments name it: {some(users)}" if users else "it has unfinished runs"
        raise Conflict(f"work pool {name!r} is in use: {why}; delete them first, or force")
    pool = retrying(lambda: records.write(context.store, replace(pool_named(context, name), deleted=True)))
    drain(context, pool, until=context.clock.now() + DRAIN_AT_ONCE)
    context.waker.wake(name)
    return records.read(context.store, WorkPool, name) is None
