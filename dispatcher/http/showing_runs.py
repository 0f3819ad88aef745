"""Runs as the API shows them: one, a list, those that hold slots, those that will fall due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice, takewhile
from typing import Any

from dispatcher import waiting
from dispatcher.context import Context
from dispatcher.deployments import Deployment, Schedule
from dispatcher.http.redaction import concealed
from dispatcher.http.run_views import (
    AttemptView,
    FlowRunItem,
    FlowRunView,
    PreviewItem,
    PreviewView,
    QueueSlots,
    SlotHolder,
    SlotsView,
    StateView,
    TargetView,
)
from dispatcher.job_templates import redact
from dispatcher.pools import WorkPool
from dispatcher.ports import ActiveEntry, RunFilter
from dispatcher.records import each, queues_of, read
from dispatcher.runs import Attempt, FlowRun, StateType, shown_name
from dispatcher.schedules import next_dates

PREVIEWED = 200  # runs shown
LOOKED_AT = 2000  # waiting runs read for it


def item(run: FlowRun, now: datetime) -> FlowRunItem:
    return FlowRunItem(
        id=run.id,
        name=run.name,
        deployment=run.deployment,
        work_pool=run.pool,
        work_queue=run.queue,
        state_type=run.state.type,
        state_name=shown_name(run, now),
        state_message=run.state.message,
        tags=list(run.tags),
        scheduled_time=run.scheduled_time,
        due_at=run.due_at,
        created=run.created,
        started=run.started,
        ended=run.ended,
        exit_code=run.exit_code,
        attempt=run.attempt,
        schedule_id=run.schedule_id,
    )


def flow_run(context: Context, run: FlowRun, *, with_reason: bool = False) -> FlowRunView:
    """`with_reason`: also why it waits, which costs up to five reads."""
    now = context.clock.now()
    last = run.attempts[-1] if run.attempts else None
    return FlowRunView(
        **item(run, now).model_dump(),
        deployment_id=run.deployment_id,
        waits_for=waiting.why(context.store, run, now) if with_reason else None,
        parameters=dict(run.parameters),
        job_variables=_variables(context, run),
        idempotency_key=run.idempotency_key,
        retries_used=run.retries_used,
        attempts=[_attempt(attempt) for attempt in run.attempts],
        history=[StateView(type=s.type, name=s.name, at=s.at, message=s.message) for s in run.history],
        links=dict(last.links) if last else {},
        log_tail=last.log_tail if last else "",
    )


def _variables(context: Context, run: FlowRun) -> dict[str, Any]:
    if not run.job_variables:
        return {}
    pool = read(context.store, WorkPool, run.pool)
    return redact(pool.base_job_template, run.job_variables) if pool else concealed(run.job_variables)


def _attempt(attempt: Attempt) -> AttemptView:
    target = attempt.target
    return AttemptView(
        number=attempt.number,
        submit_seq=attempt.submit_seq,
        target=TargetView(type=target.type, account=target.account, region=target.region, group=target.group),
        handle=attempt.handle,
        links=dict(attempt.links),
        admitted_at=attempt.admitted_at,
        start_deadline=attempt.start_deadline,
        submitted_at=attempt.submitted_at,
        claimed=attempt.claimed_by is not None,
        started=attempt.started,
        ended=attempt.ended,
        outcome=attempt.outcome,
        exit_code=attempt.exit_code,
        log_tail=attempt.log_tail,
    )


def slots(context: Context, pool: WorkPool) -> SlotsView:
    entries = list(context.store.active(pool.name))
    runs = context.store.get_runs([entry.run_id for entry in entries])
    now = context.clock.now()
    holders = [_holder(entry, runs.get(entry.run_id), now) for entry in entries]
    return SlotsView(
        pool=pool.name,
        limit=pool.concurrency_limit,
        active=len(entries),
        queues=[
            QueueSlots(
                name=queue.name,
                limit=queue.concurrency_limit,
                active=sum(entry.queue == queue.name for entry in entries),
            )
            for queue in queues_of(context.store, pool.name)
        ],
        holders=sorted(holders, key=_by_number),
    )


def _by_number(holder: SlotHolder) -> tuple[int, str]:
    """Numbered names by number, not as text: 2 before 10."""
    return len(holder.slot), holder.slot


def _holder(entry: ActiveEntry, run: FlowRun | None, now: datetime) -> SlotHolder:
    return SlotHolder(
        slot=entry.slot.name,
        run_id=entry.run_id,
        run_name=run.name if run else None,
        deployment=run.deployment if run else None,
        work_queue=entry.queue,
        attempt=entry.attempt,
        state_name=shown_name(run, now) if run else None,
        since=run.current.admitted_at if run and run.current else None,
    )


def preview(context: Context, pool: WorkPool, until: datetime) -> PreviewView:
    """Waiting runs and the coming dates of active schedules, merged."""
    waiting_runs, cut = _waiting(context, pool.name, until)
    dates = merge(*_all_dates(context, pool.name, until), key=lambda found: found.due_at)
    items = list(islice(merge(waiting_runs, dates, key=lambda found: found.due_at), PREVIEWED + 1))
    return PreviewView(until=until, items=items[:PREVIEWED], more=cut or len(items) > PREVIEWED)


def _waiting(context: Context, pool: str, until: datetime) -> tuple[list[PreviewItem], bool]:
    """(those due before then, whether not all were looked at)."""
    wanted = RunFilter(pool=pool, types=frozenset({StateType.SCHEDULED}), until=until)
    now = context.clock.now()
    found: list[PreviewItem] = []
    after: str | None = None
    for _ in range(LOOKED_AT // 200):
        page = context.store.runs(wanted, after=after, limit=200)
        found += [_made(run, now) for run in page.items if run.due_at < until]
        after = page.after
        if after is None:
            break
    return sorted(found, key=lambda shown: (shown.due_at, shown.run_id or "")), after is not None


def _made(run: FlowRun, now: datetime) -> PreviewItem:
    return PreviewItem(
        due_at=run.due_at,
        deployment=run.deployment,
        work_queue=run.queue,
        run_id=run.id,
        run_name=run.name,
        state_name=shown_name(run, now),
        schedule_id=run.schedule_id,
    )


def _all_dates(context: Context, pool: str, until: datetime) -> Iterator[Iterable[PreviewItem]]:
    for deployment in each(context.store, Deployment, parent=pool):
        if deployment.deleted or deployment.paused:
            continue
        for schedule in deployment.schedules:
            if schedule.active:
                yield _dates(context, deployment, schedule, until)


def _dates(context: Context, deployment: Deployment, schedule: Schedule, until: datetime) -> Iterable[PreviewItem]:
    """Dates from the schedule's cursor on, or from now if that is later: before it the runs exist."""
    now = context.clock.now()
    cursor = context.store.get_cursor(schedule.id)
    known = cursor.next_at if cursor is not None and cursor.schedule_version == schedule.version else None
    start = max(known or now, now)
    dates = takewhile(lambda date: date < until, next_dates(schedule.timing, start - timedelta(microseconds=1)))
    return (_coming(deployment, schedule, date.astimezone(UTC)) for date in dates)


def _coming(deployment: Deployment, schedule: Schedule, date: datetime) -> PreviewItem:
    return PreviewItem(
        due_at=date,
        deployment=deployment.name,
        work_queue=deployment.queue,
        run_id=None,
        run_name=None,
        state_name=None,
        schedule_id=schedule.id,
    )
