"""After a deployment was registered, paused, moved or deleted: bring its cursors and waiting runs into line with it.

Invariant: nothing depends on this having been done; admission looks at the deployment itself. Crashing anywhere is
harmless, because the deployment stays marked until all of it is done.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dispatcher import records
from dispatcher.admission import stale
from dispatcher.context import Context
from dispatcher.deployments import Deployment, Schedule
from dispatcher.ends import cancelled
from dispatcher.errors import Conflict, RecordChanged, RunChanged, ScheduleError
from dispatcher.logs import log
from dispatcher.ports import Cursor, Move, Record, RunFilter
from dispatcher.runs import Actor, FlowRun, StateType, amended
from dispatcher.schedules import next_dates

UNSETTLED = "unsettled-deployment"
STALE_MARK = timedelta(minutes=5)
PAGE = 100


def mark(context: Context, deployment: str, now: datetime) -> None:
    """Before a deployment is changed: whatever happens next, some pass will come by."""
    stored = context.store.get(UNSETTLED, deployment)
    version = stored.version if stored else 0
    try:
        context.store.put(Record(UNSETTLED, deployment, {"at": now.isoformat()}, version=version))
    except RecordChanged:
        mark(context, deployment, now)


def settle_all(context: Context, *, until: datetime) -> None:
    """Work off what is marked, as far as time allows."""
    for mark_record in context.store.list(UNSETTLED).items:
        if context.clock.now() >= until:
            return
        deployment = records.read(context.store, Deployment, mark_record.key)
        if deployment is not None and deployment.unsettled:
            settle(context, deployment, until=until)
        elif context.clock.now() - datetime.fromisoformat(mark_record.body["at"]) > STALE_MARK:
            _unmark(context, mark_record)


def settle(context: Context, deployment: Deployment, *, until: datetime) -> bool:
    """True when all of it is done."""
    mark_record = context.store.get(UNSETTLED, deployment.name)
    try:
        for schedule in deployment.schedules:
            _hold_cursor(context, deployment, schedule)
        for schedule_id in deployment.former_schedules:
            _drop_cursor(context, schedule_id)
        if not _settle_runs(context, deployment, until):
            return False
        for schedule in deployment.schedules:
            _settle_cursor(context, deployment, schedule)
        _finish(context, deployment)
    except Conflict:
        return False  # it was changed under us; it is still marked
    except ScheduleError as exc:  # its timezone is not known on this machine, say: the others go on
        log.error("dates cannot be told", extra={"deployment": deployment.name, "why": str(exc)})
        return False
    if mark_record is not None:
        _unmark(context, mark_record)
    return True


def _finish(context: Context, deployment: Deployment) -> None:
    if deployment.deleted:
        for schedule in deployment.schedules:
            _drop_cursor(context, schedule.id)
        records.remove(context.store, deployment)
    elif deployment.unsettled:
        records.write(context.store, replace(deployment, unsettled=False, former_schedules=()))


def _unmark(context: Context, mark_record: Record) -> None:
    with suppress(RecordChanged):  # marked anew: the next pass sees to it
        context.store.delete(mark_record)


def _hold_cursor(context: Context, deployment: Deployment, schedule: Schedule) -> None:
    """Let nothing be made by a cursor that must stop or begin anew: runs made before have to go first.

    One that went on at once would find the date of such a run taken, and lose it when that run goes.
    """
    cursor = context.store.get_cursor(schedule.id)
    if cursor is None:
        return
    upcoming = _next_date(schedule, context.clock.now())
    if cursor.schedule_version != schedule.version:
        held_at = upcoming
    elif _goes_on(deployment, schedule) or cursor.next_at is None:
        return
    else:
        held_at = cursor.next_at if upcoming is None else min(cursor.next_at, upcoming)
    context.store.put_cursor(replace(cursor, next_at=None, held_at=held_at, schedule_version=schedule.version))


def _goes_on(deployment: Deployment, schedule: Schedule) -> bool:
    return schedule.active and not deployment.paused and not deployment.deleted


def _settle_cursor(context: Context, deployment: Deployment, schedule: Schedule) -> None:
    """Set the schedule's cursor going, for the first time or where it was held; a paused one stays held."""
    store, now = context.store, context.clock.now()
    cursor = store.get_cursor(schedule.id)
    wanted = cursor or Cursor(schedule.id, deployment.name, None, schedule.version, held_at=_next_date(schedule, now))
    if _goes_on(deployment, schedule) and wanted.held_at is not None:
        wanted = replace(wanted, next_at=wanted.held_at, held_at=None)
    wanted = replace(wanted, pool=deployment.pool, deployment=deployment.name)
    if wanted != cursor:
        store.put_cursor(wanted)
        if wanted.next_at is not None:
            context.waker.wake(
                deployment.pool, min(wanted.next_at, now + timedelta(minutes=15)) - timedelta(seconds=10)
            )


def _next_date(schedule: Schedule, after: datetime) -> datetime | None:
    date = next(next_dates(schedule.timing, after), None)
    return date.astimezone(UTC) if date is not None else None


def _drop_cursor(context: Context, schedule_id: str) -> None:
    cursor = context.store.get_cursor(schedule_id)
    if cursor is not None:
        context.store.delete_cursor(cursor)


def _settle_runs(context: Context, deployment: Deployment, until: datetime) -> bool:
    wanted = RunFilter(deployment=deployment.name, types=frozenset({StateType.SCHEDULED}))
    after: str | None = None
    while context.clock.now() < until:
        page = context.store.runs(wanted, after=after, limit=PAGE)
        mine = [run for run in page.items if run.deployment_id == deployment.id]
        moves = [move for run in mine if (move := settled(context, run, deployment)) is not None]
        if moves:
            context.store.move_each(moves)
        after = page.after
        if after is None:
            return True
    return False


def settled(context: Context, run: FlowRun, deployment: Deployment) -> Move | None:
    """What becomes of a SCHEDULED run of a deployment that was changed; a run not yet due may go altogether."""
    now = context.clock.now()
    if deployment.deleted:
        message = f"deployment {deployment.name!r} was deleted"
        after, owed = cancelled(run, message, actor=Actor.DISPATCHER, now=now, patience=context.patience)
        return Move(run, after, outbox=owed)
    if run.due_at > now and not run.was_admitted and run.schedule_id is not None and _unwanted(run, deployment, now):
        with suppress(RunChanged):
            context.store.delete_run(run)
        return None
    return relocated(run, deployment)


def _unwanted(run: FlowRun, deployment: Deployment, now: datetime) -> bool:
    inactive = any(s.id == run.schedule_id and not s.active for s in deployment.schedules)
    return deployment.paused or inactive or stale(run, deployment, now) is not None


def relocated(run: FlowRun, deployment: Deployment) -> Move | None:
    """The run in its deployment's pool and queue, if it is not there already."""
    queue = run.queue if run.queue_pinned and run.pool == deployment.pool else deployment.queue
    if (run.pool, run.queue) == (deployment.pool, queue):
        return None
    return Move(run, amended(run, pool=deployment.pool, queue=queue, parked=False))


def requeued(run: FlowRun, queue: str) -> Move:
    """An unfinished run in another queue of its pool."""
    return Move(run, amended(run, queue=queue, queue_pinned=False))
