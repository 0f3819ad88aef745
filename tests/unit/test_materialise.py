"""Schedules into runs: which dates get one, exactly once, whatever is paused, changed, late or done twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest

from dispatcher.catalogue.changes import change_deployment
from dispatcher.catalogue.pools import delete_pool
from dispatcher.catalogue.schedules import set_schedule_active
from dispatcher.deployments import Catchup, Schedule
from dispatcher.materialise import BATCH, HORIZON, MISSED_AFTER, Dates, materialise, plan_dates
from dispatcher.ports import Cursor
from dispatcher.runs import FlowRun, Name, Policy, StateType
from dispatcher.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Timing
from dispatcher.testing.builders import NOW, POOL, make_id
from dispatcher.testing.memory import MemoryStore

if TYPE_CHECKING:
    from tests.unit.conftest import Site

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
ANCHOR = "2026-03-01T12:00:00Z"
MINUTELY = IntervalSchedule(MINUTE, NOW)


def make_schedule(timing: Timing = MINUTELY, **changes: Any) -> Schedule:
    return Schedule(id=make_id("schedule"), timing=timing, version=1, **changes)


def at(*minutes: float) -> tuple[datetime, ...]:
    return tuple(NOW + n * MINUTE for n in minutes)


# which dates


def test_dates_within_the_horizon_are_made_and_the_cursor_waits_at_the_next() -> None:
    planned = plan_dates(make_schedule(), NOW, NOW)

    assert planned == Dates(at(0, 1, 2), NOW + 3 * MINUTE)
    assert at(2)[0] == NOW + HORIZON


def test_nothing_near_is_nothing_made() -> None:
    assert plan_dates(make_schedule(), NOW + HOUR, NOW) == Dates((), NOW + HOUR)


def test_dates_are_made_in_batches() -> None:
    planned = plan_dates(make_schedule(catchup=Catchup.ALL), NOW - HOUR, NOW)

    assert planned == Dates(at(*range(-60, -60 + BATCH)), NOW + (BATCH - 60) * MINUTE)


def test_a_date_that_is_a_little_late_is_made_whatever_is_done_about_missed_ones() -> None:
    for catchup in Catchup:
        planned = plan_dates(make_schedule(IntervalSchedule(HOUR, NOW), catchup=catchup), NOW, NOW + MISSED_AFTER)
        assert planned.create == (NOW,)


@pytest.mark.parametrize(
    ("catchup", "expected"),
    [(Catchup.ALL, at(-60, -40, -20, 0)), (Catchup.LATEST, at(0)), (Catchup.NONE, ())],
)
def test_of_missed_dates_all_the_latest_or_none_are_made(catchup: Catchup, expected: tuple[datetime, ...]) -> None:
    schedule = make_schedule(IntervalSchedule(20 * MINUTE, NOW), catchup=catchup)

    planned = plan_dates(schedule, NOW - HOUR, NOW + 10 * MINUTE)

    assert planned == Dates(expected, NOW + 20 * MINUTE)


@pytest.mark.parametrize(
    "timing",
    [
        CronSchedule("0 12 * * *"),
        CronSchedule("0 12 1 3 *"),
        CronSchedule("* * * * *"),
        RRuleSchedule("DTSTART:20260201T120000Z\nRRULE:FREQ=WEEKLY"),
    ],
    ids=["daily", "yearly", "minutely", "weekly"],
)
def test_the_latest_missed_date_is_found_however_far_apart_dates_are(timing: Timing) -> None:
    planned = plan_dates(make_schedule(timing), NOW - 1200 * DAY, NOW + MISSED_AFTER)

    assert planned.create[0] == NOW


def test_no_missed_date_is_made_where_there_was_none() -> None:
    planned = plan_dates(make_schedule(CronSchedule("0 0 1 1 *")), NOW - DAY, NOW)

    assert planned == Dates((), datetime(2027, 1, 1, tzinfo=UTC))


def test_the_latest_missed_date_before_the_cursor_is_not_made_again() -> None:
    schedule = make_schedule(IntervalSchedule(20 * MINUTE, NOW))

    planned = plan_dates(schedule, NOW + 20 * MINUTE, NOW + 19 * MINUTE)

    assert planned.create == at(20)


@pytest.mark.parametrize(("catchup", "expected"), [(Catchup.ALL, at(-20, 0)), (Catchup.LATEST, at(0))])
def test_no_date_is_made_that_is_over_its_lateness_already(catchup: Catchup, expected: tuple[datetime, ...]) -> None:
    schedule = make_schedule(IntervalSchedule(20 * MINUTE, NOW), catchup=catchup, max_lateness_seconds=25 * 60)

    assert plan_dates(schedule, NOW - HOUR, NOW + 5 * MINUTE).create == expected
    assert plan_dates(schedule, NOW - HOUR, NOW + 6 * MINUTE).create == at(0)


def test_a_rule_that_has_ended_makes_its_last_date_and_then_none() -> None:
    schedule = make_schedule(RRuleSchedule("DTSTART:20260301T120000Z\nRRULE:FREQ=MINUTELY;COUNT=2"))

    assert plan_dates(schedule, NOW, NOW) == Dates(at(0, 1), None)


# runs


def dates(site: Site, *types: StateType) -> list[datetime]:
    return sorted(run.scheduled_time for run in site.runs(*types))


def make(site: Site) -> None:
    materialise(site.context, until=site.now + MINUTE)


def every(minutes: float, **form: Any) -> dict[str, Any]:
    return {"interval": minutes * 60, "anchor_date": ANCHOR, "slug": "regular", **form}


def test_a_scheduled_run_is_made_of_its_deployment_and_its_schedule(site: Site) -> None:
    site.pool()
    deployment = site.deploy(
        parameters={"a": 1, "b": 1}, tags=["x"], retries=2, queue="fast",
        schedules=[every(1, parameters={"b": 2}, max_lateness_seconds=90)],
    )  # fmt: skip
    [schedule] = deployment.schedules

    make(site)

    run = min(site.runs(), key=lambda run: run.due_at)
    assert (run.parameters, run.tags, run.policy) == ({"a": 1, "b": 2}, ("x",), Policy(retries=2))
    assert (run.pool, run.queue, run.queue_pinned) == (POOL, "fast", False)
    assert run.due_at == run.scheduled_time == NOW + MINUTE
    assert (run.schedule_id, run.schedule_version) == (schedule.id, schedule.version)
    assert (run.max_lateness_seconds, run.state.name) == (90, Name.SCHEDULED)
    assert run.name == "etl-20260301T120100"


def test_a_runs_id_is_made_of_its_schedule_and_its_date(site: Site) -> None:
    site.pool()
    [schedule] = site.deploy(schedules=[every(1)]).schedules

    make(site)

    assert {run.id for run in site.runs()} == {str(uuid5(UUID(schedule.id), date.isoformat())) for date in dates(site)}


def test_each_date_gets_one_run_however_often_it_is_looked_at(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])

    for _ in range(20):
        make(site)
        site.later(17)

    assert dates(site) == list(at(*range(1, 8)))


def test_two_schedules_with_the_same_date_make_two_runs(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1, slug="one"), every(1, slug="two")])

    make(site)

    assert dates(site) == sorted(2 * at(1, 2))


class Interrupted(MemoryStore):
    """Somebody else gets a turn after each reading of the cursors, or before each commit."""

    after_reading: Callable[[], None] | None = None
    before_commit: Callable[[], None] | None = None

    def cursors_due(self, before: datetime, *, limit: int) -> Sequence[Cursor]:
        found = super().cursors_due(before, limit=limit)
        turn, self.after_reading = self.after_reading, None
        if turn is not None:
            turn()
        return found

    def create_scheduled(self, cursor: Cursor, runs: Sequence[FlowRun], next_at: datetime | None) -> Cursor:
        turn, self.before_commit = self.before_commit, None
        if turn is not None:
            turn()
        return super().create_scheduled(cursor, runs, next_at)


@pytest.fixture
def store(site: Site) -> Interrupted:
    store = Interrupted()
    site.store, site.context = store, site.on(store)
    return store


@pytest.mark.parametrize("when", ["after_reading", "before_commit"])
def test_two_dispatchers_that_do_it_at_once_make_each_run_once(site: Site, store: Interrupted, when: str) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])
    setattr(store, when, lambda: make(site))

    make(site)

    assert dates(site) == list(at(1, 2))


def test_a_run_is_made_once_though_its_maker_died_before_the_cursor_was_read_again(site: Site) -> None:
    """Run and cursor are one commit: with another cursor, as restored from a backup, no run comes twice."""
    site.pool()
    [schedule] = site.deploy(schedules=[every(1)]).schedules
    make(site)
    cursor = site.store.get_cursor(schedule.id)
    assert cursor is not None
    finished = site.runs()[0]
    site.store.put_cursor(Cursor(schedule.id, "etl", NOW + MINUTE, schedule.version, pool=POOL, version=cursor.version))

    make(site)

    assert dates(site) == list(at(1, 2))
    assert finished in site.runs()


# daylight saving


def test_a_time_that_the_clocks_show_twice_makes_one_run_and_one_that_they_skip_runs_when_they_are_moved(
    site: Site,
) -> None:
    site.clock.move_to(datetime(2026, 10, 24, tzinfo=UTC))
    site.pool()
    site.deploy(schedules=[{"cron": "30 2 * * *", "timezone": "Europe/Berlin", "catchup": "all"}])
    site.later(2 * 86_400)
    make(site)
    autumn = dates(site)
    site.clock.move_to(datetime(2027, 3, 27, tzinfo=UTC))
    make(site)
    site.later(2 * 86_400)
    make(site)

    assert autumn == [datetime(2026, 10, 24, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
    assert datetime(2027, 3, 28, 1, 0, tzinfo=UTC) in dates(site)


def test_an_hour_that_is_there_twice_has_its_dates_twice_each_with_a_run_of_its_own(site: Site) -> None:
    site.clock.move_to(datetime(2026, 10, 25, 0, 0, tzinfo=UTC))
    site.pool()
    site.deploy(schedules=[{"cron": "*/30 * * * *", "timezone": "Europe/Berlin", "catchup": "all"}])
    site.later(2 * 3600)

    make(site)

    start = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    assert dates(site) == [start + n * 30 * MINUTE for n in range(1, 5)]
    assert len({run.id for run in site.runs()}) == 4


# pausing and changing


def test_a_paused_schedule_makes_nothing_and_takes_its_runs_that_are_not_due_with_it(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])
    make(site)
    site.later(60)

    set_schedule_active(site.context, "etl", "regular", active=False)
    site.later(600)
    make(site)

    assert dates(site) == list(at(1))


@pytest.mark.parametrize(
    ("catchup", "expected"), [("all", at(1, 2, 3, 4, 5, 6, 7)), ("latest", at(1, 4, 5, 6, 7)), ("none", at(1, 5, 6, 7))]
)
@pytest.mark.parametrize("what", ["schedule", "deployment"])
def test_resumed_it_goes_on_where_it_was_paused_as_its_catchup_says(
    site: Site, catchup: str, expected: tuple[datetime, ...], what: str
) -> None:
    """Paused after the run of minute 1 was due; resumed at 5:30, when all before 4:30 counts as missed."""

    def pause(paused: bool) -> None:
        if what == "schedule":
            set_schedule_active(site.context, "etl", "regular", active=not paused)
        else:
            change_deployment(site.context, "etl", paused=paused)

    site.pool()
    site.deploy(schedules=[every(1, catchup=catchup)])
    make(site)
    site.later(60)
    pause(True)
    site.later(270)

    pause(False)
    make(site)

    assert dates(site) == list(expected)


def test_paused_and_resumed_within_a_minute_no_date_is_lost_or_doubled(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])
    make(site)
    before = dates(site)

    for _ in range(3):
        set_schedule_active(site.context, "etl", "regular", active=False)
        set_schedule_active(site.context, "etl", "regular", active=True)
        make(site)

    assert dates(site) == before == list(at(1, 2))


def test_a_changed_schedule_begins_anew_and_its_old_runs_that_are_not_due_go(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])
    make(site)
    site.later(60)

    site.deploy(schedules=[every(0.5)])
    make(site)

    assert dates(site) == list(at(1, 1.5, 2, 2.5, 3))
    assert {run.schedule_version for run in site.runs() if run.due_at > site.now} == {
        site.deployment().schedules[0].version
    }


def test_a_change_of_its_parameters_is_a_change_of_the_schedule(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])
    make(site)

    site.deploy(schedules=[every(1, parameters={"n": 1})])
    make(site)

    assert dates(site) == list(at(1, 2))
    assert [run.parameters for run in site.runs()] == [{"n": 1}] * 2


class Cut(Interrupted):
    """Whoever deletes a run finds the store gone, and so dies in the middle of what it did."""

    is_cut = False

    def delete_run(self, run: FlowRun) -> None:
        if self.is_cut:
            raise ConnectionError("cut")
        super().delete_run(run)


def test_a_change_that_was_cut_short_loses_no_date_of_the_new_schedule(site: Site) -> None:
    store = Cut()
    site.store, site.context = store, site.on(store)
    site.pool()
    site.deploy(schedules=[every(1)])
    make(site)
    store.is_cut = True
    with pytest.raises(ConnectionError):
        site.deploy(schedules=[every(1, parameters={"n": 1})])
    store.is_cut = False

    site.tick()
    site.tick()

    assert dates(site) == list(at(1, 2))
    assert [run.parameters for run in site.runs()] == [{"n": 1}] * 2


def test_deleted_and_added_again_a_schedule_is_a_new_one(site: Site) -> None:
    """With the same slug it has the same id; runs of its former life must not pass for its own."""
    site.pool()
    site.deploy(schedules=[every(1, parameters={"n": 1})])
    make(site)
    site.later(61)
    site.deploy(schedules=[])

    site.deploy(schedules=[every(5, parameters={"n": 2})])
    make(site)

    old = [run for run in site.runs() if run.parameters == {"n": 1}]
    assert [run.scheduled_time for run in old] == list(at(1))
    assert old[0].schedule_version != site.deployment().schedules[0].version


def test_a_paused_deployment_makes_nothing_even_with_a_cursor_that_still_goes_on(site: Site) -> None:
    site.pool()
    [schedule] = site.deploy(paused=True, schedules=[every(1)]).schedules
    cursor = site.store.get_cursor(schedule.id)
    assert cursor is not None
    site.store.put_cursor(Cursor(schedule.id, "etl", NOW, schedule.version, version=cursor.version))

    make(site)

    assert site.runs() == []


def test_a_cursor_of_an_earlier_version_of_its_schedule_makes_nothing(site: Site) -> None:
    site.pool()
    [schedule] = site.deploy(schedules=[every(1)]).schedules
    cursor = site.store.get_cursor(schedule.id)
    assert cursor is not None
    site.store.put_cursor(replace(cursor, schedule_version=schedule.version - 1))

    make(site)

    assert site.runs() == []


def test_a_cursor_without_its_schedule_makes_nothing(site: Site) -> None:
    site.pool()
    site.deploy()
    site.store.put_cursor(Cursor(make_id("gone"), "etl", NOW, 1))
    site.store.put_cursor(Cursor(make_id("of nobody"), "nobody", NOW, 1))

    make(site)

    assert site.runs() == []


def test_a_deployment_whose_pool_was_deleted_makes_no_runs_that_nobody_would_take(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])
    delete_pool(site.context, POOL, force=True)
    for _ in range(5):
        site.tick()
        site.later(60)

    assert [run for run in site.runs() if not run.is_final] == []


def test_when_the_pool_is_there_again_its_deployments_schedules_go_on(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])
    delete_pool(site.context, POOL, force=True)
    for _ in range(5):
        site.tick()
        site.later(60)
    site.pool()

    make(site)

    assert dates(site, StateType.SCHEDULED) == list(at(4, 5, 6, 7))


# wakes and time


def test_what_comes_within_a_quarter_of_an_hour_gets_a_wake_and_no_run_yet(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(14)])
    site.wakes.take()

    make(site)

    assert site.wakes.take() == [(POOL, NOW + 14 * MINUTE - 10 * SECOND, 0)]
    assert site.runs() == []


def test_a_run_that_was_made_gets_a_wake_a_little_before_it_is_due(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])
    site.wakes.take()

    make(site)

    assert (POOL, NOW + MINUTE - 10 * SECOND, 0) in site.wakes.take()


def test_what_comes_later_costs_nothing(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(60)])
    site.wakes.take()

    make(site)

    assert site.wakes.take() == []


def test_it_stops_when_its_time_is_up_and_the_next_goes_on(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[every(1)])

    materialise(site.context, until=site.now)
    assert site.runs() == []

    make(site)
    assert dates(site) == list(at(1, 2))


def test_more_schedules_than_one_look_takes_are_all_served_in_one_tick(site: Site) -> None:
    site.pool()
    for number in range(210):
        site.deploy(f"d-{number}", schedules=[every(1)])

    make(site)

    assert len(dates(site)) == 420
