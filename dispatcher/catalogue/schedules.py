"""A deployment's schedules: made of forms, added, paused, resumed and deleted one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

from dispatcher import json_schema, schedules
from dispatcher.catalogue.changes import change_by
from dispatcher.catalogue.registering import kept
from dispatcher.context import Context
from dispatcher.deployments import Deployment, Schedule
from dispatcher.documents import canonical
from dispatcher.errors import NotFound, ScheduleError
from dispatcher.forms import ScheduleForm


def timetable_of(
    deployment_id: str, forms: Iterable[ScheduleForm], old: Deployment | None, now: datetime
) -> tuple[Schedule, ...]:
    made: dict[str, Schedule] = {}
    for number, form in enumerate(forms):
        schedule = _schedule(deployment_id, form, old, now, path=f"schedules.{number}")
        if schedule.id in made:
            what = f"slug {form.slug!r}" if form.slug else "schedule"
            raise ScheduleError(f"{what} stands there twice; give each a slug of its own", path=f"schedules.{number}")
        made[schedule.id] = schedule
    return tuple(made.values())


def _schedule(
    deployment_id: str, form: ScheduleForm, deployment: Deployment | None, now: datetime, *, path: str
) -> Schedule:
    said = {"timing": form.timing(), "parameters": form.parameters}
    schedule_id = str(uuid5(UUID(deployment_id), form.slug or canonical(said)))
    old = next((s for s in deployment.schedules if s.id == schedule_id), None) if deployment else None
    anchor = getattr(old.timing, "anchor", now) if old else now
    try:
        timing = schedules.from_dict(form.timing(), default_anchor=anchor.replace(microsecond=0))
        schedules.check(timing)
        schedules.describe(timing)
        next(schedules.next_dates(timing, now), None)
    except OverflowError as exc:
        raise ScheduleError("its dates leave the calendar; give another anchor_date", path=path) from exc
    except ScheduleError as exc:
        raise ScheduleError(str(exc), path=path) from exc
    same = old is not None and (old.timing, old.parameters) == (timing, form.parameters)
    return Schedule(
        id=schedule_id,
        timing=timing,
        slug=form.slug,
        active=kept(said=form.active, before=old.active if old else True),
        parameters=form.parameters,
        catchup=form.catchup,
        max_lateness_seconds=form.max_lateness_seconds,
        version=old.version if old and same else (deployment.version + 1 if deployment else 1),
    )


def change_schedules(context: Context, name: str, change: Callable[[Deployment], tuple[Schedule, ...]]) -> Deployment:
    """Replace a deployment's schedules by what `change` makes of it. :raises NotFound:"""

    def changed(old: Deployment) -> Deployment:
        timetable = change(old)
        here = {schedule.id for schedule in timetable}
        former = dict.fromkeys((*old.former_schedules, *(s.id for s in old.schedules)))
        return replace(old, schedules=timetable, former_schedules=tuple(key for key in former if key not in here))

    return change_by(context, name, changed)


def add_schedule(context: Context, name: str, form: ScheduleForm, *, only: bool = False) -> Deployment:
    """One more schedule, or with `only` the only one. :raises ScheduleError: :raises InvalidInput: its parameters."""

    def change(old: Deployment) -> tuple[Schedule, ...]:
        if old.parameter_schema is not None:
            json_schema.check_parameters(old.parameter_schema, {**old.parameters, **form.parameters})
        new = _schedule(old.id, form, old, context.clock.now(), path="schedule")
        return (new,) if only else (*(s for s in old.schedules if s.id != new.id), new)

    return change_schedules(context, name, change)


def set_schedule_active(context: Context, name: str, schedule_id: str, *, active: bool) -> Deployment:
    """:raises NotFound: no such schedule (its id or its slug)."""

    def change(old: Deployment) -> tuple[Schedule, ...]:
        _schedule_named(old, schedule_id)
        return tuple(replace(s, active=active) if schedule_id in (s.id, s.slug) else s for s in old.schedules)

    return change_schedules(context, name, change)


def delete_schedule(context: Context, name: str, schedule_id: str) -> Deployment:
    """:raises NotFound: no such schedule (its id or its slug)."""

    def change(old: Deployment) -> tuple[Schedule, ...]:
        _schedule_named(old, schedule_id)
        return tuple(s for s in old.schedules if schedule_id not in (s.id, s.slug))

    return change_schedules(context, name, change)


def _schedule_named(deployment: Deployment, schedule_id: str) -> Schedule:
    for schedule in deployment.schedules:
        if schedule_id in (schedule.id, schedule.slug):
            return schedule
    raise NotFound(f"deployment {deployment.name!r} has no schedule {schedule_id!r}")
