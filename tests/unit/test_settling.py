"""What becomes of cursors and waiting runs when their deployment was changed, and that dying on the way is harmless."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher import records
from dispatcher.catalogue.changes import change_deployment
from dispatcher.catalogue.deployments import delete_deployment
from dispatcher.catalogue.schedules import delete_schedule
from dispatcher.deployments import Deployment
from dispatcher.materialise import materialise
from dispatcher.ports import Move, Page, Record, RunFilter
from dispatcher.runs import FlowRun, Name, StateType
from dispatcher.settling import PAGE, STALE_MARK, UNSETTLED, mark, relocated, requeued, settle, settle_all
from dispatcher.testing.builders import NOW, POOL, admitted, make_id, make_run, parked, refuse
from dispatcher.testing.memory import MemoryStore

if TYPE_CHECKING:
    from tests.unit.conftest import Site

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
MINUTELY = {"interval": 60, "anchor_date": "2026-03-01T12:00:00Z", "slug": "regular"}


@pytest.fixture
def deployment(site: Site) -> Deployment:
    site.pool()
    return site.deploy(schedules=[MINUTELY])


def waiting(site: Site, deployment: Deployment, *, due_in: timedelta = -MINUTE, **changes: Any) -> FlowRun:
    fields: dict[str, Any] = {"deployment_id": deployment.id, **changes}
    return site.store.create_run(make_run(due_in=due_in, **fields))


def materialised(site: Site) -> list[FlowRun]:
    """The schedule's runs of the next two minutes."""
    materialise(site.context, until=site.now + MINUTE)
    return sorted((run for run in site.runs() if run.schedule_id), key=lambda run: run.due_at)


def is_marked(site: Site) -> bool:
    return bool(site.store.list(UNSETTLED).items)


# marks


def test_once_a_deployment_is_settled_nothing_is_left_to_do(site: Site, deployment: Deployment) -> None:
    assert not is_marked(site)
    assert not site.deployment().unsettled


def test_marking_twice_is_marking_once(site: Site) -> None:
    mark(site.context, "etl", NOW)
    mark(site.context, "etl", NOW + MINUTE)

    [record] = site.store.list(UNSETTLED).items
    assert record.body == {"at": (NOW + MINUTE).isoformat()}


def test_a_mark_whose_change_was_never_made_goes_after_a_while(site: Site, deployment: Deployment) -> None:
    mark(site.context, deployment.name, site.now)
    mark(site.context, "of nobody", site.now)

    settle_all(site.context, until=site.now + MINUTE)
    assert is_marked(site)

    site.clock.move(STALE_MARK + SECOND)
    settle_all(site.context, until=site.now + MINUTE)
    assert not is_marked(site)


class Cut(MemoryStore):
    """The store is gone after so many more writes."""

    writes_left: int | None = None

    def _write(self) -> None:
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise ConnectionError("cut")
            self.writes_left -= 1

    def put(self, record: Record) -> Record:
        self._write()
        return super().put(record)

    def delete(self, record: Record) -> None:
        self._write()
        super().delete(record)

    def put_cursor(self, cursor: Any) -> Any:
        self._write()
        return super().put_cursor(cursor)

    def delete_cursor(self, cursor: Any) -> None:
        self._write()
        super().delete_cursor(cursor)

    def move_each(self, moves: Any) -> frozenset[str]:
        self._write()
        return super().move_each(moves)

    def delete_run(self, run: FlowRun) -> None:
        self._write()
        super().delete_run(run)


@pytest.fixture
def store(site: Site) -> Cut:
    site.store = Cut()
    site.context = site.on(site.store)
    return site.store


@pytest.mark.parametrize("writes", range(9))
def test_a_deletion_that_was_cut_anywhere_is_finished_by_a_pass_or_was_never_begun(
    site: Site, store: Cut, writes: int
) -> None:
    site.pool()
    deployment = site.deploy(schedules=[MINUTELY])
    runs = [waiting(site, deployment), *materialised(site)]
    store.writes_left = writes
    try:
        delete_deployment(site.context, "etl")
    except ConnectionError:
        was_cut = True
    else:
        was_cut = False
    store.writes_left = None

    settle_all(site.context, until=site.now + MINUTE)

    states = {site.now_of(run).state.name for run in runs}
    is_there = records.read(store, Deployment, "etl") is not None
    assert (is_there, states) == ((True, {Name.SCHEDULED}) if was_cut and writes < 2 else (False, {Name.CANCELLED}))
    cursor = store.get_cursor(deployment.schedules[0].id)
    assert (cursor is not None) == is_there


@pytest.mark.parametrize("writes", range(9))
def test_a_pause_that_was_cut_anywhere_is_finished_by_a_pass_or_was_never_begun(
    site: Site, store: Cut, writes: int
) -> None:
    site.pool()
    deployment = site.deploy(schedules=[MINUTELY])
    materialised(site)
    store.writes_left = writes
    with suppress(ConnectionError):
        change_deployment(site.context, "etl", paused=True)
    store.writes_left = None
    settle_all(site.context, until=site.now + MINUTE)

    cursor = store.get_cursor(deployment.schedules[0].id)
    assert cursor is not None
    if writes < 2:
        assert (len(site.runs()), cursor.next_at) == (2, NOW + 3 * MINUTE)
    else:
        assert (site.runs(), cursor.next_at, cursor.held_at) == ([], None, NOW + MINUTE)


def test_what_time_does_not_allow_the_next_pass_goes_on_with(site: Site, deployment: Deployment) -> None:
    run = waiting(site, deployment)
    records.write(site.store, replace(site.deployment(), deleted=True, unsettled=True))
    mark(site.context, "etl", site.now)

    assert settle(site.context, site.deployment(), until=site.now) is False
    assert site.now_of(run).state.name is Name.SCHEDULED

    settle_all(site.context, until=site.now)
    assert is_marked(site)

    settle_all(site.context, until=site.now + MINUTE)
    assert site.now_of(run).state.name is Name.CANCELLED
    assert not is_marked(site)


def test_a_deployment_that_changes_while_it_is_settled_stays_marked(site: Site, deployment: Deployment) -> None:
    mark(site.context, "etl", site.now)
    stale = replace(deployment, unsettled=True, version=deployment.version - 1)

    assert settle(site.context, stale, until=site.now + MINUTE) is False
    assert is_marked(site)


class Remarked(MemoryStore):
    """Somebody changes the deployment again while its runs are listed."""

    is_due = False

    def runs(self, wanted: RunFilter, *, after: str | None = None, limit: int = 50) -> Page[FlowRun]:
        if self.is_due:
            self.is_due = False
            old = self.get(UNSETTLED, "etl")
            self.put(Record(UNSETTLED, "etl", {"at": NOW.isoformat()}, version=old.version if old else 0))
        return super().runs(wanted, after=after, limit=limit)


def test_a_mark_that_was_made_anew_meanwhile_stays(site: Site) -> None:
    store = Remarked()
    site.store, site.context = store, site.on(store)
    site.pool()
    site.deploy()
    store.is_due = True

    change_deployment(site.context, "etl", paused=True)

    assert is_marked(site)


# deleting


def test_a_deleted_deployments_waiting_runs_are_cancelled_and_it_is_gone_with_its_cursors(
    site: Site, deployment: Deployment
) -> None:
    due, later = waiting(site, deployment), waiting(site, deployment, due_in=MINUTE)
    put_aside = parked(site.store, make_run(deployment_id=deployment.id))
    made = materialised(site)

    delete_deployment(site.context, "etl")

    for run in (due, later, put_aside, *made):
        assert site.now_of(run).state.name is Name.CANCELLED
        assert site.now_of(run).state.message == "deployment 'etl' was deleted"
    assert site.store.get_cursor(deployment.schedules[0].id) is None
    assert records.read(site.store, Deployment, "etl") is None


def test_runs_are_cancelled_in_pages(site: Site, deployment: Deployment) -> None:
    for _ in range(PAGE + 5):
        waiting(site, deployment)

    delete_deployment(site.context, "etl")

    assert {run.state.name for run in site.runs()} == {Name.CANCELLED}


def test_active_runs_of_a_deleted_deployment_finish(site: Site, deployment: Deployment) -> None:
    run = admitted(site.store, make_run(deployment_id=deployment.id))

    delete_deployment(site.context, "etl")

    assert site.now_of(run) == run


def test_runs_of_a_namesake_from_before_are_none_of_its(site: Site, deployment: Deployment) -> None:
    other = waiting(site, deployment, deployment_id=make_id("an earlier life"))

    delete_deployment(site.context, "etl")

    assert site.now_of(other).state.name is Name.SCHEDULED


# pausing


def test_a_pause_takes_the_schedules_runs_that_are_not_due_and_no_others(site: Site, deployment: Deployment) -> None:
    made = materialised(site)
    asked_for = waiting(site, deployment, due_in=MINUTE)
    throttled = admitted(site.store, make_run(deployment_id=deployment.id, schedule_id=deployment.schedules[0].id))
    site.store.move(refuse(throttled, due_in=2 * MINUTE))
    site.later(60)

    change_deployment(site.context, "etl", paused=True)

    assert {run.id for run in site.runs()} == {made[0].id, asked_for.id, throttled.id}
    assert not is_marked(site)


def test_a_deleted_schedule_takes_its_runs_that_are_not_due_and_its_cursor(site: Site, deployment: Deployment) -> None:
    made = materialised(site)
    site.later(60)

    after = delete_schedule(site.context, "etl", "regular")

    assert (after.schedules, [run.id for run in site.runs()]) == ((), [made[0].id])
    assert site.store.get_cursor(deployment.schedules[0].id) is None
    assert site.deployment().former_schedules == ()


def test_a_held_cursor_goes_on_where_it_was_and_a_run_that_was_due_is_not_made_again(
    site: Site, deployment: Deployment
) -> None:
    made = materialised(site)
    site.later(60)
    change_deployment(site.context, "etl", paused=True)
    change_deployment(site.context, "etl", paused=False)

    assert [run.due_at for run in materialised(site)] == [NOW + n * MINUTE for n in (1, 2, 3)]
    assert made[0] in site.runs()


def test_an_interval_without_an_anchor_keeps_its_dates_through_every_change(site: Site) -> None:
    site.pool()
    site.deploy(schedules=[{"interval": 3600}])
    site.later(600)

    again = site.deploy(schedules=[{"interval": 3600}], description="changed")

    cursor = site.store.get_cursor(again.schedules[0].id)
    assert cursor is not None
    assert cursor.next_at == NOW + timedelta(hours=1)


# moving


def test_a_deployment_that_names_another_pool_takes_its_waiting_runs_along(site: Site, deployment: Deployment) -> None:
    site.pool("other")
    due, put_aside = waiting(site, deployment), parked(site.store, make_run(deployment_id=deployment.id))
    running = admitted(site.store, make_run(deployment_id=deployment.id))

    site.deploy(pool="other", queue="fast", schedules=[MINUTELY])

    for run in (due, put_aside):
        assert (site.now_of(run).pool, site.now_of(run).queue) == ("other", "fast")
        assert not site.now_of(run).parked
    assert site.now_of(running).pool == POOL
    assert ("other", None, 0) in site.wakes.asked
    assert site.deployment().former_pools == (POOL,)


def test_another_queue_takes_them_along_too_but_for_those_that_named_their_own(
    site: Site, deployment: Deployment
) -> None:
    free, pinned = waiting(site, deployment), waiting(site, deployment, queue="mine", queue_pinned=True)

    site.deploy(queue="fast", schedules=[MINUTELY])

    assert (site.now_of(free).queue, site.now_of(pinned).queue) == ("fast", "mine")


def test_a_run_that_named_its_queue_does_not_find_it_in_another_pool(deployment: Deployment) -> None:
    pinned = make_run(queue="mine", queue_pinned=True)

    move = relocated(pinned, replace(deployment, pool="other", queue="fast"))

    assert move is not None
    assert (move.after.pool, move.after.queue) == ("other", "fast")


def test_a_run_that_is_where_it_belongs_is_not_moved(deployment: Deployment) -> None:
    assert relocated(make_run(), deployment) is None


def test_into_another_queue_a_run_is_moved_in_the_state_that_it_has() -> None:
    run = make_run(queue="gone", queue_pinned=True)

    move: Move = requeued(run, "default")

    assert (move.after.queue, move.after.queue_pinned, move.after.state) == ("default", False, run.state)
    assert move.after.state.type is StateType.SCHEDULED
