"""Registering deployments: idempotent, checked before anything is written.

Invariant: the same form twice changes nothing; a refused form leaves everything as it was.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from dispatcher import job_templates, json_schema, records, settling, webhooks
from dispatcher.catalogue.changes import change_deployment, settle_now
from dispatcher.catalogue.queues import ensure_queue, pool_named
from dispatcher.catalogue.registering import Change, Registered, kept, retrying
from dispatcher.catalogue.schedules import timetable_of
from dispatcher.context import Context
from dispatcher.deployments import Deployment, Webhook
from dispatcher.errors import Conflict
from dispatcher.forms import DeploymentForm
from dispatcher.pools import WorkPool
from dispatcher.rendering import layers


def put_deployment(context: Context, name: str, form: DeploymentForm) -> Registered[Deployment]:
    """Register it.

    :raises NotFound: no such pool. :raises InvalidInput: whatever of it cannot work. :raises Conflict: being deleted.
    """
    result = retrying(lambda: _put_deployment(context, name, form))
    if result.value.unsettled:
        settle_now(context, result.value)
        context.waker.wake(result.value.pool)
    return result


def _put_deployment(context: Context, name: str, form: DeploymentForm) -> Registered[Deployment]:
    old = _reusable(context, name)
    pool = pool_named(context, form.pool)
    new = _deployment(name, form, old, context.clock.now())
    _check_deployment(new, pool)
    ensure_queue(context, form.pool, form.queue)
    if old is not None and replace(new, updated=old.updated, unsettled=old.unsettled) == old:
        return Registered(old, Change.UNCHANGED)
    settling.mark(context, name, context.clock.now())
    return Registered(records.write(context.store, new), Change.CHANGED if old else Change.CREATED)


def _reusable(context: Context, name: str) -> Deployment | None:
    """The deployment of that name; one that was deleted is seen off first."""
    old = records.read(context.store, Deployment, name)
    if old is None or not old.deleted:
        return old
    settle_now(context, old)
    if records.read(context.store, Deployment, name) is not None:
        raise Conflict(f"deployment {name!r} is still being deleted; try again in a moment")
    return None


def _deployment(name: str, form: DeploymentForm, old: Deployment | None, now: datetime) -> Deployment:
    deployment_id = old.id if old else str(uuid4())
    timetable = timetable_of(deployment_id, form.schedules, old, now)
    here = {schedule.id for schedule in timetable}
    gone = [s.id for s in (old.schedules if old else ()) if s.id not in here]
    former = [s for s in (old.former_schedules if old else ()) if s not in here]
    pools = {*(old.former_pools if old else ()), *([old.pool] if old else ())} - {form.pool}
    command = tuple(form.command) if isinstance(form.command, list) else form.command
    return Deployment(
        id=deployment_id,
        name=name,
        pool=form.pool,
        queue=form.queue,
        created=old.created if old else now,
        updated=now,
        description=form.description,
        entrypoint=form.entrypoint,
        command=command,
        image=form.image,
        parameters=form.parameters,
        parameter_schema=form.parameter_schema,
        job_variables=form.job_variables,
        tags=tuple(dict.fromkeys(form.tags)),
        schedules=timetable,
        paused=kept(said=form.paused, before=old.paused if old else False),
        concurrency_limit=form.concurrency_limit,
        collision_strategy=form.collision_strategy,
        retries=form.retries,
        retry_delay_seconds=form.retry_delay_seconds,
        timeout_seconds=form.timeout_seconds,
        on_unknown=form.on_unknown,
        webhooks=tuple(
            Webhook(url=w.url, on=tuple(w.on), secret=w.secret, allow_private=w.allow_private) for w in form.webhooks
        ),
        former_pools=tuple(sorted(pools)),
        former_schedules=tuple(dict.fromkeys([*former, *gone])),
        unsettled=True,
        version=old.version if old else 0,
    )


def _check_deployment(deployment: Deployment, pool: WorkPool) -> None:
    """Everything that would make its runs fail before they start. :raises InvalidInput:"""
    job_templates.check_overrides(pool.base_job_template, *layers(pool, deployment, {}), require=False)
    for webhook in deployment.webhooks:
        webhooks.check_url(webhook.url, allow_private=webhook.allow_private)
    schema = deployment.parameter_schema
    if schema is None:
        return
    json_schema.check_schema(schema, what="parameter_schema")
    json_schema.check_parameters(schema, deployment.parameters, require=False)
    for schedule in deployment.schedules:
        json_schema.check_parameters(schema, {**deployment.parameters, **schedule.parameters})


def delete_deployment(context: Context, name: str) -> None:
    """Its waiting runs are cancelled, its active ones finish. :raises NotFound:"""
    change_deployment(context, name, deleted=True)
