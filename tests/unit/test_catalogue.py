"""Registering, running, cancelling, retrying, deleting: idempotent, checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher import pulses, records
from dispatcher.catalogue import deployments, flow_runs, pools, queues
from dispatcher.catalogue.changes import change_deployment
from dispatcher.catalogue.registering import Change
from dispatcher.catalogue.schedules import add_schedule, delete_schedule, set_schedule_active
from dispatcher.errors import Conflict, InvalidInput, NotFound, RecordChanged, ScheduleError
from dispatcher.forms import (
    DeploymentForm,
    ScheduleForm,
    WebhookForm,
    WorkPoolForm,
    WorkQueueForm,
)
from dispatcher.pools import WorkPool, WorkQueue
from dispatcher.ports import PoolUnavailable, Record
from dispatcher.runs import Name
from dispatcher.testing.builders import (
    POOL,
    admitted,
    end,
    make_id,
    make_outbox_entry,
    make_run,
)
from dispatcher.testing.memory import MemoryStore

if TYPE_CHECKING:
    from tests.unit.conftest import Site

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
HOURLY = {"interval": 3600, "anchor_date": "2026-03-01T12:00:00Z"}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def put_pool(site: Site, name: str = POOL, **form: Any) -> Change:
    return pools.put_pool(site.context, name, pool_form(site, **form)).change


def pool_form(site: Site, **form: Any) -> WorkPoolForm:
    del site
    template = {
        "job_configuration": {"image": "{{ image }}"},
        "variables": {"properties": {"image": {"type": "string"}}},
    }
    return WorkPoolForm(**{"type": "process", "base_job_template": template, **form})


def put_deployment(site: Site, name: str = "etl", **form: Any) -> Change:
    schedules = [ScheduleForm(**each) for each in form.pop("schedules", [])]
    fields: dict[str, Any] = {"pool": POOL, "schedules": schedules, **form}
    return deployments.put_deployment(site.context, name, DeploymentForm(**fields)).change


def records_of(site: Site) -> dict[tuple[str, str], Record]:
    kinds = ("work-pool", "work-queue", "deployment")
    return {(kind, record.key): record for kind in kinds for record in site.store.list(kind).items}


def priorities(site: Site) -> dict[str, int]:
    return {queue.name: queue.priority for queue in records.queues_of(site.store, POOL)}


@pytest.fixture
def pool(site: Site) -> WorkPool:
    return site.pool()


# pools


def test_the_same_pool_twice_changes_nothing(site: Site) -> None:
    first = put_pool(site, concurrency_limit=3, variables={"image": "a"})
    before = records_of(site)
    site.later(60)
    second = put_pool(site, concurrency_limit=3, variables={"image": "a"})

    assert (first, second) == (Change.CREATED, Change.UNCHANGED)
    assert records_of(site) == before


def test_a_new_form_replaces_all_of_a_pool(site: Site) -> None:
    put_pool(site, concurrency_limit=3, description="old", variables={"image": "a"}, prefetch_seconds=30)
    created = site.now
    site.later(60)

    assert put_pool(site, concurrency_limit=5) is Change.CHANGED

    pool = records.read(site.store, WorkPool, POOL)
    assert pool is not None
    assert (pool.concurrency_limit, pool.description, pool.variables, pool.prefetch_seconds) == (5, "", {}, 10)
    assert (pool.created, pool.updated) == (created, site.now)


def test_a_pool_comes_with_a_default_queue_and_gets_it_back(site: Site) -> None:
    put_pool(site)
    assert priorities(site) == {"default": 1}
    queue = records.read(site.store, WorkQueue, f"{POOL}/default")
    assert queue is not None
    records.remove(site.store, queue)

    put_pool(site)

    assert priorities(site) == {"default": 1}


def test_a_pools_type_never_changes(site: Site, pool: WorkPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.registry.INFRASTRUCTURE", {"process": "", "docker": ""})

    with pytest.raises(Conflict, match="never changes"):
        put_pool(site, type="docker")


@pytest.mark.parametrize(
    "form",
    [{"type": "abacus"}, {"variables": {"image": 3}}, {"base_job_template": {"job_configuration": "x"}}],
    ids=["unknown type", "variables against their schema", "no template"],
)
def test_a_refused_pool_leaves_everything_as_it_was(site: Site, pool: WorkPool, form: dict[str, Any]) -> None:
    before = records_of(site)

    with pytest.raises(InvalidInput):
        put_pool(site, **form)

    assert records_of(site) == before


def test_left_out_a_pause_stays_as_it_is(site: Site) -> None:
    put_pool(site)
    pools.pause_pool(site.context, POOL, paused=True)
    put_pool(site)
    assert queues.pool_named(site.context, POOL).paused

    put_pool(site, paused=False)
    assert not queues.pool_named(site.context, POOL).paused


def test_pausing_twice_is_pausing_once(site: Site, pool: WorkPool) -> None:
    first = pools.pause_pool(site.context, POOL, paused=True)

    assert pools.pause_pool(site.context, POOL, paused=True) == first


def test_resuming_a_pool_closes_its_circuit_and_wakes_it(site: Site, pool: WorkPool) -> None:
    pulses.opened(site.store, POOL, PoolUnavailable("no credentials"), site.now)
    site.wakes.take()

    pools.pause_pool(site.context, POOL, paused=False)

    assert pulses.pulse_of(site.store, POOL).circuit is None
    assert (POOL, None, 0) in site.wakes.asked


def test_what_is_not_there_is_not_found(site: Site, pool: WorkPool) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: pools.pause_pool(site.context, "none", paused=True),
        lambda: pools.delete_pool(site.context, "none"),
        lambda: queues.put_queue(site.context, "none", "q", WorkQueueForm()),
        lambda: queues.delete_queue(site.context, POOL, "none"),
        lambda: put_deployment(site, pool="none"),
        lambda: deployments.delete_deployment(site.context, "none"),
        lambda: site.order("none"),
        lambda: flow_runs.cancel_run(site.context, make_id()),
        lambda: flow_runs.retry_run(site.context, "no uuid"),
        lambda: flow_runs.delete_run(site.context, make_id()),
    ]

    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()


# deleting pools


def test_an_unused_pool_is_gone_at_once_with_its_queues(site: Site, pool: WorkPool) -> None:
    site.queue("fast")
    site.over()

    assert pools.delete_pool(site.context, POOL) is True

    assert records_of(site) == {}
    assert pulses.pulse_of(site.store, POOL).version == 0


@pytest.mark.parametrize("busy", ["deployment", "waiting run", "active run"])
def test_a_pool_in_use_is_not_deleted_unless_forced(site: Site, pool: WorkPool, busy: str) -> None:
    if busy == "deployment":
        site.deploy()
    else:
        run = site.store.create_run(make_run())
        if busy == "active run":
            admitted(site.store, run)
    before = records_of(site)

    with pytest.raises(Conflict, match="is in use"):
        pools.delete_pool(site.context, POOL)

    assert records_of(site) == before


def test_forced_a_pool_takes_no_new_work_until_its_last_run_has_ended_and_then_goes(site: Site, pool: WorkPool) -> None:
    waiting = site.store.create_run(make_run())
    run = admitted(site.store, make_run())

    assert pools.delete_pool(site.context, POOL, force=True) is False

    assert site.now_of(waiting).state.name is Name.CANCELLED
    with pytest.raises(Conflict, match="being deleted"):
        put_pool(site)
    with pytest.raises(NotFound):
        site.deploy()
    site.over()
    assert records.read(site.store, WorkPool, POOL) is not None
    site.store.move(end(run))
    site.over()
    assert records_of(site) == {}


def test_a_pool_that_still_owes_a_clean_up_goes_when_that_is_done(site: Site, pool: WorkPool) -> None:
    entry = make_outbox_entry(due_at=site.now + 60 * SECOND, body={"target": {"type": "fake"}, "handle": "fake/1"})
    site.store.put_outbox(entry)

    assert pools.delete_pool(site.context, POOL) is False
    site.over()
    assert records.read(site.store, WorkPool, POOL) is not None

    site.later(60)
    site.over()
    site.over()
    assert site.store.outbox_due(POOL, site.now + 99 * DAY, limit=9) == []
    assert records.read(site.store, WorkPool, POOL) is None


def test_a_deployment_may_be_re_pointed_away_from_a_pool_that_is_being_deleted(site: Site, pool: WorkPool) -> None:
    site.pool("other")
    site.deploy()
    running = admitted(site.store, make_run(deployment_id=site.deployment().id))
    pools.delete_pool(site.context, POOL, force=True)

    site.deploy(pool="other")
    site.store.move(end(running))
    site.tick()

    assert site.deployment().pool == "other"
    assert records.read(site.store, WorkPool, POOL) is None


# queues


def test_the_same_queue_twice_changes_nothing(site: Site, pool: WorkPool) -> None:
    site.queue("fast", priority=1, concurrency_limit=2)
    before = records_of(site)
    site.later(60)

    again = queues.put_queue(site.context, POOL, "fast", WorkQueueForm(priority=1, concurrency_limit=2))

    assert again.change is Change.UNCHANGED
    assert records_of(site) == before


def test_a_queue_without_a_priority_takes_the_first_that_is_free(site: Site, pool: WorkPool) -> None:
    site.queue("c", priority=3)
    site.queue("b")
    site.queue("d")

    assert priorities(site) == {"default": 1, "b": 2, "c": 3, "d": 4}


def test_taking_a_taken_priority_pushes_the_others_down_up_to_the_first_gap(site: Site, pool: WorkPool) -> None:
    for name, priority in (("b", 2), ("c", 3), ("e", 5)):
        site.queue(name, priority=priority)

    site.queue("a", priority=1)

    assert priorities(site) == {"a": 1, "default": 2, "b": 3, "c": 4, "e": 5}


def test_a_queue_that_moves_up_leaves_its_place_to_those_it_pushes(site: Site, pool: WorkPool) -> None:
    for name in ("b", "c", "d"):
        site.queue(name)

    site.queue("c", priority=1)

    assert priorities(site) == {"c": 1, "default": 2, "b": 3, "d": 4}


def test_without_a_priority_an_existing_queue_keeps_its_own(site: Site, pool: WorkPool) -> None:
    site.queue("b", priority=7)

    site.queue("b", concurrency_limit=3)

    assert priorities(site)["b"] == 7


def test_a_queues_limit_that_is_left_out_is_cleared_and_its_pause_is_kept(site: Site, pool: WorkPool) -> None:
    site.queue("b", concurrency_limit=3)
    queues.pause_queue(site.context, POOL, "b", paused=True)

    after = site.queue("b")

    assert (after.concurrency_limit, after.paused) == (None, True)


def test_queues_appear_when_a_deployment_or_a_run_names_them(site: Site, pool: WorkPool) -> None:
    site.deploy(queue="fast")
    site.order(queue="faster")

    assert priorities(site) == {"default": 1, "fast": 2, "faster": 3}


def test_the_default_queue_is_never_deleted(site: Site, pool: WorkPool) -> None:
    with pytest.raises(Conflict, match="cannot be deleted"):
        queues.delete_queue(site.context, POOL, "default", force=True)


def test_a_queue_in_use_is_not_deleted_unless_forced_and_then_its_runs_go_to_the_default_one(
    site: Site, pool: WorkPool
) -> None:
    site.deploy(queue="fast")
    run, pinned = site.order(), site.order("etl", queue="fast")
    with pytest.raises(Conflict, match="deployments name it: etl"):
        queues.delete_queue(site.context, POOL, "fast")

    queues.delete_queue(site.context, POOL, "fast", force=True)

    assert priorities(site) == {"default": 1}
    assert site.deployment().queue == "default"
    assert {site.now_of(each).queue for each in (run, pinned)} == {"default"}


def test_a_queue_with_active_runs_is_not_deleted_unless_forced(site: Site, pool: WorkPool) -> None:
    site.queue("fast")
    run = admitted(site.store, make_run(queue="fast"))
    with pytest.raises(Conflict, match="unfinished runs"):
        queues.delete_queue(site.context, POOL, "fast")

    queues.delete_queue(site.context, POOL, "fast", force=True)

    after = site.now_of(run)
    assert (after.state, after.slots, after.queue) == (run.state, run.slots, "default")


def test_a_run_that_was_active_in_a_deleted_queue_is_tried_again_in_the_default_one(site: Site, pool: WorkPool) -> None:
    site.deploy(retries=1)
    run = site.order(queue="fast")
    site.over()
    queues.delete_queue(site.context, POOL, "fast", force=True)
    site.far.finish(site.handle(run), 1)
    site.hear()

    site.over()

    assert (site.now_of(run).is_active, site.now_of(run).attempt) == (True, 2)


def test_an_unused_queue_is_gone_at_once(site: Site, pool: WorkPool) -> None:
    site.queue("fast")

    queues.delete_queue(site.context, POOL, "fast")

    assert priorities(site) == {"default": 1}


# deployments


def test_the_same_deployment_twice_changes_nothing(site: Site, pool: WorkPool) -> None:
    form: dict[str, Any] = {
        "image": "a:1", "parameters": {"n": 1}, "parameter_schema": SCHEMA, "tags": ["x", "y"], "retries": 2,
        "command": ["python", "-m", "job"], "job_variables": {"image": "b"}, "concurrency_limit": 1,
        "schedules": [{"cron": "0 3 * * *"}, {"interval": 60}, {"rrule": "FREQ=DAILY", "parameters": {"n": 2}}],
        "webhooks": [WebhookForm(url="https://example.com/x", on=["failed"], secret="12345678")],
    }  # fmt: skip
    first = put_deployment(site, **form)
    before, cursors = records_of(site), cursors_of(site)
    site.later(60)
    second = put_deployment(site, **form)

    assert (first, second) == (Change.CREATED, Change.UNCHANGED)
    assert (records_of(site), cursors_of(site)) == (before, cursors)


def cursors_of(site: Site) -> list[Any]:
    return [site.store.get_cursor(schedule.id) for schedule in site.deployment().schedules]


def test_a_new_form_replaces_all_of_a_deployment_and_an_empty_override_clears(site: Site, pool: WorkPool) -> None:
    put_deployment(site, image="a:1", job_variables={"image": "b"}, parameters={"n": 1}, tags=["x"], retries=3)
    old = site.deployment()

    assert put_deployment(site, job_variables={}) is Change.CHANGED

    new = site.deployment()
    assert (new.image, new.job_variables, new.parameters, new.tags, new.retries) == (None, {}, {}, (), 0)
    assert (new.id, new.created) == (old.id, old.created)


@pytest.mark.parametrize(
    "form",
    [
        {"job_variables": {"image": 7}},
        {"parameters": {"n": "seven"}, "parameter_schema": SCHEMA},
        {"parameter_schema": {"type": "nonsense"}},
        {"parameter_schema": SCHEMA, "schedules": [{"cron": "@daily"}]},
        {"schedules": [{"cron": "every day"}]},
        {"schedules": [{"cron": "@daily"}, {"cron": "@daily"}]},
        {"webhooks": [WebhookForm(url="http://example.com", on=["failed"])]},
        {"webhooks": [WebhookForm(url="https://me:secret@example.com", on=["failed"])]},
    ],
)
def test_a_refused_deployment_leaves_everything_as_it_was(site: Site, pool: WorkPool, form: dict[str, Any]) -> None:
    before = records_of(site)

    with pytest.raises(InvalidInput):
        put_deployment(site, queue="new", **form)

    assert records_of(site) == before


def test_a_required_parameter_may_be_left_to_the_run(site: Site, pool: WorkPool) -> None:
    put_deployment(site, parameter_schema=SCHEMA)

    with pytest.raises(InvalidInput):
        site.order()
    assert site.order(parameters={"n": 1}).parameters == {"n": 1}


def test_left_out_a_deployments_pause_and_a_schedules_activity_stay_as_they_are(site: Site, pool: WorkPool) -> None:
    put_deployment(site, schedules=[HOURLY])
    change_deployment(site.context, "etl", paused=True)
    set_schedule_active(site.context, "etl", site.deployment().schedules[0].id, active=False)

    put_deployment(site, schedules=[HOURLY])
    assert (site.deployment().paused, site.deployment().schedules[0].active) == (True, False)

    put_deployment(site, paused=False, schedules=[{**HOURLY, "active": True}])
    assert (site.deployment().paused, site.deployment().schedules[0].active) == (False, True)


def test_created_anew_after_its_deletion_it_is_another_one(site: Site, pool: WorkPool) -> None:
    site.deploy(schedules=[HOURLY])
    old = site.deployment()
    deployments.delete_deployment(site.context, "etl")

    assert put_deployment(site, schedules=[HOURLY]) is Change.CREATED

    assert site.deployment().id != old.id
    assert site.deployment().schedules[0].id != old.schedules[0].id


def test_one_that_is_still_being_deleted_is_seen_off_first(site: Site, pool: WorkPool) -> None:
    old = site.deploy()
    run = site.order()
    records.write(site.store, replace(site.deployment(), deleted=True, unsettled=True))

    site.deploy()

    assert site.deployment().id != old.id
    assert site.now_of(run).state.name is Name.CANCELLED


def test_a_waiting_run_may_be_moved_to_a_pool_and_back(site: Site, pool: WorkPool) -> None:
    site.pool("other")
    site.deploy()
    run = site.order()
    site.deploy(pool="other")
    moved = site.now_of(run)
    site.deploy()

    assert (moved.pool, site.now_of(run).pool) == ("other", POOL)
    assert site.deployment().former_pools == ("other",)


# schedules


def test_an_unchanged_schedule_keeps_its_id_and_its_cursor_whatever_stands_beside_it(
    site: Site, pool: WorkPool
) -> None:
    site.deploy(schedules=[{"cron": "0 3 * * *"}])
    [old] = site.deployment().schedules
    cursor = site.store.get_cursor(old.id)

    site.deploy(schedules=[HOURLY, {"cron": "0 3 * * *"}], description="changed")

    assert site.deployment().schedules[1] == old
    assert site.store.get_cursor(old.id) == cursor


def test_by_its_slug_a_changed_schedule_keeps_its_id_and_begins_anew(site: Site, pool: WorkPool) -> None:
    site.deploy(schedules=[{"cron": "0 3 * * *", "slug": "nightly"}])
    [old] = site.deployment().schedules

    site.deploy(schedules=[{"cron": "0 4 * * *", "slug": "nightly"}])

    [new] = site.deployment().schedules
    cursor = site.store.get_cursor(new.id)
    assert cursor is not None
    assert (new.id, new.version > old.version) == (old.id, True)
    assert cursor.next_at is not None
    assert (cursor.next_at.hour, cursor.schedule_version) == (4, new.version)


def test_without_a_slug_a_changed_schedule_is_another_one_and_the_old_cursor_goes(site: Site, pool: WorkPool) -> None:
    site.deploy(schedules=[{"cron": "0 3 * * *"}])
    [old] = site.deployment().schedules

    site.deploy(schedules=[{"cron": "0 4 * * *"}])

    assert site.deployment().schedules[0].id != old.id
    assert site.store.get_cursor(old.id) is None


def test_another_catch_up_is_no_change_of_the_dates(site: Site, pool: WorkPool) -> None:
    site.deploy(schedules=[{"cron": "0 3 * * *"}])
    [old] = site.deployment().schedules

    site.deploy(schedules=[{"cron": "0 3 * * *", "catchup": "all", "max_lateness_seconds": 60}])

    [new] = site.deployment().schedules
    assert (new.id, new.version, new.max_lateness_seconds) == (old.id, old.version, 60)


def test_schedules_are_added_paused_and_deleted_one_by_one(site: Site, pool: WorkPool) -> None:
    site.deploy(schedules=[HOURLY])
    [first] = site.deployment().schedules

    add_schedule(site.context, "etl", ScheduleForm(cron="@daily", slug="daily"))
    assert [schedule.slug for schedule in site.deployment().schedules] == [None, "daily"]

    set_schedule_active(site.context, "etl", "daily", active=False)
    assert [schedule.active for schedule in site.deployment().schedules] == [True, False]

    delete_schedule(site.context, "etl", first.id)
    assert [schedule.slug for schedule in site.deployment().schedules] == ["daily"]

    add_schedule(site.context, "etl", ScheduleForm(cron="@weekly"), only=True)
    assert [schedule.slug for schedule in site.deployment().schedules] == [None]
    with pytest.raises(NotFound):
        delete_schedule(site.context, "etl", "daily")


def test_an_added_schedule_is_checked_as_any_other(site: Site, pool: WorkPool) -> None:
    site.deploy(parameter_schema=SCHEMA)

    with pytest.raises(InvalidInput):
        add_schedule(site.context, "etl", ScheduleForm(cron="@daily"))
    with pytest.raises(ScheduleError):
        add_schedule(site.context, "etl", ScheduleForm(cron="nonsense", parameters={"n": 1}))


class Meddled(MemoryStore):
    """Somebody else is quicker: before the next record of that kind is stored, something else happens."""

    before: Callable[[], object] | None = None
    kind = "deployment"

    def put(self, record: Record) -> Record:
        turn = self.before if record.kind == self.kind else None
        if turn is not None:
            self.before = None
            turn()
        return super().put(record)


def test_two_who_add_a_schedule_at_once_both_have_theirs(site: Site) -> None:
    store = Meddled()
    site.store, site.context = store, site.on(store)
    site.pool()
    site.deploy()

    def other() -> None:
        add_schedule(site.context, "etl", ScheduleForm(cron="@daily", slug="theirs"))

    store.before = other
    add_schedule(site.context, "etl", ScheduleForm(cron="@daily", slug="ours"))

    timetable = site.deployment().schedules
    assert [schedule.slug for schedule in timetable] == ["theirs", "ours"]
    assert all(site.store.get_cursor(schedule.id) for schedule in timetable)
    assert site.deployment().former_schedules == ()


def test_two_who_register_at_once_agree_on_the_later(site: Site) -> None:
    store = Meddled()
    site.store, site.context = store, site.on(store)
    site.pool()
    site.deploy()
    store.before = lambda: site.deploy(description="theirs")

    site.deploy(description="ours")

    assert site.deployment().description == "ours"
    assert not site.deployment().unsettled


def test_one_who_is_never_let_in_is_told_to_try_again(site: Site, pool: WorkPool) -> None:
    class Busy(MemoryStore):
        def put(self, record: Record) -> Record:
            raise RecordChanged("always")

    context = site.on(Busy())

    with pytest.raises(Conflict, match="try again"):
        pools.put_pool(context, POOL, pool_form(site))
