"""Pools, queues and deployments as the API shows them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from dispatcher import schedules
from dispatcher.api_keys import ApiKey
from dispatcher.context import Context
from dispatcher.deployments import Deployment, Schedule, Webhook
from dispatcher.http.redaction import concealed, redacted_template
from dispatcher.http.views import (
    ApiKeyView,
    DeploymentView,
    ScheduleView,
    UnavailableView,
    UsedUpView,
    WebhookView,
    WorkPoolView,
    WorkQueueView,
)
from dispatcher.job_templates import redact
from dispatcher.pools import DEFAULT_QUEUE, PoolPulse, Status, WorkPool, WorkQueue
from dispatcher.ports import ActiveEntry
from dispatcher.pulses import pulse_of, used_up_until
from dispatcher.records import read
from dispatcher.runs import LATE_AFTER

LATE_COUNTED = 200


def work_pool(context: Context, pool: WorkPool) -> WorkPoolView:
    pulse = pulse_of(context.store, pool.name)
    circuit, spent = pulse.circuit, used_up_until(pulse, context.clock.now())
    return WorkPoolView(
        name=pool.name,
        type=pool.type,
        description=pool.description,
        base_job_template=redacted_template(pool.base_job_template),
        variables=redact(pool.base_job_template, pool.variables),
        paused=pool.paused,
        concurrency_limit=pool.concurrency_limit,
        prefetch_seconds=pool.prefetch_seconds,
        default_queue=DEFAULT_QUEUE,
        status=_status(context, pulse, paused=pool.paused),
        active_slots=len(context.store.active(pool.name)),
        unavailable=UnavailableView(reason=circuit.reason, since=circuit.since, until=circuit.until)
        if circuit
        else None,
        used_up=UsedUpView(reason=spent.reason, until=spent.until) if spent else None,
        created=pool.created,
        updated=pool.updated,
    )


def _status(context: Context, pulse: PoolPulse, *, paused: bool) -> Status:
    if paused:
        return Status.PAUSED
    now = context.clock.now()
    recent = pulse.last_pass is not None and now - pulse.last_pass <= context.patience.away
    return Status.READY if recent and pulse.circuit is None else Status.NOT_READY


def work_queue(context: Context, queue: WorkQueue) -> WorkQueueView:
    """With the count of its late runs."""
    before = context.clock.now() - LATE_AFTER
    late = context.store.due(queue.pool, queue.name, before, limit=LATE_COUNTED)
    return work_queues(context, queue.pool, [queue])[0].model_copy(update={"late": len(late.items)})


def work_queues(context: Context, pool: str, queues: Sequence[WorkQueue]) -> list[WorkQueueView]:
    active = context.store.active(pool)
    pulse = pulse_of(context.store, pool)
    return [_work_queue(context, queue, active, pulse) for queue in queues]


def _work_queue(context: Context, queue: WorkQueue, active: Iterable[ActiveEntry], pulse: PoolPulse) -> WorkQueueView:
    return WorkQueueView(
        pool=queue.pool,
        name=queue.name,
        description=queue.description,
        priority=queue.priority,
        paused=queue.paused,
        concurrency_limit=queue.concurrency_limit,
        status=_status(context, pulse, paused=queue.paused),
        active_slots=sum(entry.queue == queue.name for entry in active),
        late=None,
        created=queue.created,
        updated=queue.updated,
    )


def deployment(context: Context, shown: Deployment) -> DeploymentView:
    return deployments(context, [shown])[0]


def deployments(context: Context, shown: Iterable[Deployment]) -> list[DeploymentView]:
    """Each pool of theirs is read once."""
    pools: dict[str, tuple[WorkPool | None, Status]] = {}
    views = []
    for each in shown:
        if each.pool not in pools:
            status = _status(context, pulse_of(context.store, each.pool), paused=False)
            pools[each.pool] = read(context.store, WorkPool, each.pool), status
        views.append(_deployment(each, *pools[each.pool], context.clock.now()))
    return views


def _deployment(shown: Deployment, pool: WorkPool | None, status: Status, now: datetime) -> DeploymentView:
    variables = shown.job_variables
    return DeploymentView(
        id=shown.id,
        name=shown.name,
        pool=shown.pool,
        queue=shown.queue,
        description=shown.description,
        entrypoint=shown.entrypoint,
        command=list(shown.command) if isinstance(shown.command, tuple) else shown.command,
        image=shown.image,
        parameters=dict(shown.parameters),
        parameter_schema=dict(shown.parameter_schema) if shown.parameter_schema is not None else None,
        job_variables=redact(pool.base_job_template, variables) if pool else concealed(variables),
        tags=list(shown.tags),
        schedules=[schedule(each, now, held=shown.paused) for each in shown.schedules],
        paused=shown.paused,
        concurrency_limit=shown.concurrency_limit,
        collision_strategy=shown.collision_strategy,
        retries=shown.retries,
        retry_delay_seconds=shown.retry_delay_seconds,
        timeout_seconds=shown.timeout_seconds,
        on_unknown=shown.on_unknown,
        webhooks=[_webhook(each) for each in shown.webhooks],
        status=status,
        created=shown.created,
        updated=shown.updated,
        version=shown.version,
    )


def schedule(shown: Schedule, now: datetime, *, held: bool = False) -> ScheduleView:
    """`held`: its deployment is paused, so it has no next date."""
    runs = shown.active and not held
    date = next(schedules.next_dates(shown.timing, now), None) if runs else None
    return ScheduleView(
        id=shown.id,
        slug=shown.slug,
        **schedules.to_dict(shown.timing),
        active=shown.active,
        parameters=dict(shown.parameters),
        catchup=shown.catchup,
        max_lateness_seconds=shown.max_lateness_seconds,
        description=schedules.describe(shown.timing),
        next_at=date.astimezone(UTC) if date is not None else None,
    )


def _webhook(shown: Webhook) -> WebhookView:
    return WebhookView(
        url=shown.url, on=list(shown.on), secret=fingerprint(shown.secret), allow_private=shown.allow_private
    )


def fingerprint(secret: str | None) -> str | None:
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:12]}" if secret is not None else None


def api_key(shown: ApiKey) -> ApiKeyView:
    return ApiKeyView(
        id=shown.id,
        name=shown.name,
        scope=shown.scope,
        created=shown.created,
        expires=shown.expires,
        revoked=shown.revoked,
    )
