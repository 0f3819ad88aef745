"""Schedules into runs: each date once, whoever does it, however often.

Invariant: a run and its cursor's step are one commit; the run's id is made of schedule and date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from uuid import UUID, uuid5

from dispatcher import records
from dispatcher.context import Context
from dispatcher.deployments import Catchup, Deployment, Schedule
from dispatcher.errors import RecordChanged, ScheduleError
from dispatcher.logs import log
from dispatcher.pools import WorkPool
from dispatcher.ports import Cursor
from dispatcher.rendering import policy_of
from dispatcher.runs import FlowRun, Name, State
from dispatcher.schedules import next_dates

HORIZON = timedelta(seconds=120)  # runs are made that long before they are due
WAKE_AHEAD = timedelta(minutes=15)  # and wakes are sent that long before
MISSED_AFTER = timedelta(seconds=60)  # a date that is older had nobody to make its run
BATCH = 20
CURSORS = 200


@dataclass(frozen=True, slots=True)
class Dates:
    """Which dates get a run now, and where the cursor goes on."""

    create: tuple[datetime, ...]
    next_at: datetime | None


def plan_dates(schedule: Schedule, start: datetime, now: datetime) -> Dates:
    """Up to BATCH dates from `start` on, as the schedule's catch-up says. Pure."""
    cutoff = now - MISSED_AFTER
    first = _first(schedule, start, now, cutoff)
    dates = tuple(islice(_from(schedule, first), BATCH + 1))
    create = tuple(date for date in dates[:BATCH] if date <= now + HORIZON)
    following = dates[len(create) :]
    return Dates(create, following[0] if following else None)


def _first(schedule: Schedule, start: datetime, now: datetime, cutoff: datetime) -> datetime:
    """Where to begin: `start`, or later if missed dates are to be left out."""
    if schedule.max_lateness_seconds is not None:
        start = max(start, now - timedelta(seconds=schedule.max_lateness_seconds))
    if start > cutoff or schedule.catchup is Catchup.ALL:
        return start
    if schedule.catchup is Catchup.NONE:
        return cutoff
    return _latest(schedule, start, cutoff) or cutoff


def _latest(schedule: Schedule, start: datetime, cutoff: datetime) -> datetime | None:
    """The last date in [start, cutoff], found without walking through all of them."""
    span = timedelta(minutes=1)
    while True:
        begin = max(start, cutoff - span)
        latest = None
        for date in _from(schedule, begin):
            if date > cutoff:
                break
            latest = date
        if latest is not None or begin == start:
            return latest
        span *= 8


def _from(schedule: Schedule, start: datetime) -> Iterator[datetime]:
    """Dates at or after `start`."""
    return next_dates(schedule.timing, start - timedelta(microseconds=1))


def scheduled_run(deployment: Deployment, schedule: Schedule, date: datetime, now: datetime) -> FlowRun:
    utc = date.astimezone(UTC)
    run_id = str(uuid5(UUID(schedule.id), utc.isoformat()))
    return FlowRun(
        id=run_id,
        name=f"{deployment.name}-{utc:%Y%m%dT%H%M%S}",
        deployment_id=deployment.id,
        deployment=deployment.name,
        pool=deployment.pool,
        queue=deployment.queue,
        scheduled_time=utc,
        due_at=utc,
        state=State(Name.SCHEDULED, now),
        history=(State(Name.SCHEDULED, now),),
        created=now,
        parameters={**deployment.parameters, **schedule.parameters},
        tags=deployment.tags,
        schedule_id=schedule.id,
        schedule_version=schedule.version,
        max_lateness_seconds=schedule.max_lateness_seconds,
        policy=policy_of(deployment),
    )


def materialise(context: Context, *, until: datetime) -> None:
    """Make the runs of every date that is near, and ask for passes at those that come next. Stops at `until`."""
    now = context.clock.now()
    pool_of = cache(lambda name: records.read(context.store, WorkPool, name))
    seen: set[str] = set()
    while True:
        cursors = context.store.cursors_due(now + WAKE_AHEAD, limit=CURSORS)
        unseen = [cursor for cursor in cursors if cursor.schedule_id not in seen]
        for cursor in unseen:
            if context.clock.now() >= until:
                return
            if cursor.next_at is not None and cursor.next_at > now + HORIZON:
                context.waker.wake(cursor.pool, cursor.next_at - timedelta(seconds=10))
            else:
                _advance_if_told(context, cursor, pool_of, until)
        seen |= {cursor.schedule_id for cursor in unseen}
        if not unseen or len(cursors) < CURSORS:
            return


def _advance_if_told(
    context: Context, cursor: Cursor, pool_of: Callable[[str], WorkPool | None], until: datetime
) -> None:
    try:
        _advance(context, cursor, pool_of, until)
    except ScheduleError as exc:  # its timezone is not known on this machine, say: the others go on
        extra = {"deployment": cursor.deployment, "schedule": cursor.schedule_id, "why": str(exc)}
        log.error("dates cannot be told", extra=extra)


def _advance(context: Context, cursor: Cursor, pool_of: Callable[[str], WorkPool | None], until: datetime) -> None:
    deployment = records.read(context.store, Deployment, cursor.deployment)
    schedule = _schedule_of(deployment, cursor)
    if deployment is None or schedule is None:
        return  # its deployment is about to be settled
    pool = pool_of(deployment.pool)
    if pool is None or pool.deleted:
        _let_go(context, cursor, schedule)
        return
    while cursor.next_at is not None and (now := context.clock.now()) < until:
        dates = plan_dates(schedule, cursor.next_at, now)
        if not dates.create and dates.next_at == cursor.next_at:
            return
        runs = [scheduled_run(deployment, schedule, date, now) for date in dates.create]
        try:
            cursor = context.store.create_scheduled(cursor, runs, dates.next_at)
        except RecordChanged:
            return  # another dispatcher is at it, or the schedule was changed
        for run in runs:
            log.info("run created", extra={"run": run.id, "pool": run.pool, "due": run.due_at.isoformat()})
            context.waker.wake(run.pool, run.due_at - timedelta(seconds=pool.prefetch_seconds))


def _let_go(context: Context, cursor: Cursor, schedule: Schedule) -> None:
    """The work pool is gone and nobody would take the runs: dates pass without one until it is there again."""
    upcoming = next(_from(schedule, context.clock.now()), None)
    if upcoming != cursor.next_at:
        with suppress(RecordChanged):
            context.store.create_scheduled(cursor, (), upcoming)


def _schedule_of(deployment: Deployment | None, cursor: Cursor) -> Schedule | None:
    if deployment is None or deployment.deleted or deployment.paused:
        return None
    for schedule in deployment.schedules:
        if schedule.id == cursor.schedule_id and schedule.version == cursor.schedule_version:
            return schedule if schedule.active else None
    return None
