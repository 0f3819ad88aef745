"""What a pass admits: priorities, limits, slot names, pauses, collisions; case by case and against an oracle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dispatcher.admission import Plan, plan
from dispatcher.deployments import CollisionStrategy, Deployment, Schedule
from dispatcher.limits import Held, Names, free_names, nameless
from dispatcher.pools import WorkPool, WorkQueue
from dispatcher.ports import ActiveEntry
from dispatcher.runs import FlowRun, Name, Slot, deployment_limit, pool_limit, queue_limit
from dispatcher.schedules import CronSchedule
from dispatcher.testing.builders import NOW, POOL, make_attempt, make_id, make_pool, make_queue, make_run

SECOND = timedelta(seconds=1)
ENQUEUE, CANCEL_NEW, CANCEL_RUNNING = CollisionStrategy


def make_deployment(name: str = "etl", **changes: Any) -> Deployment:
    fields: dict[str, Any] = {"pool": POOL, "queue": "default", "created": NOW, "updated": NOW}
    return Deployment(id=make_id(name), name=name, **{**fields, **changes})


def due(seconds: float = 0, **changes: Any) -> FlowRun:
    """A run due that many seconds ago."""
    return make_run(due_in=-seconds * SECOND, **changes)


def tried(run: FlowRun) -> FlowRun:
    """The same run, admitted once before."""
    return replace(run, attempts=(make_attempt(),), attempt=2)


def holder(
    *,
    pool: str | None = None,
    queue: str | None = None,
    deployment: str | None = None,
    of: str = "etl",
    at: str = "default",
) -> ActiveEntry:
    """An active run with these slot names; without a name of a limit it is from before that limit was set."""
    run = make_run(deployment=of, queue=at)
    slots = [Slot(pool_limit(POOL), run.id if pool is None else pool)]
    slots += [Slot(queue_limit(POOL, at), queue)] if queue is not None else []
    slots += [Slot(deployment_limit(run.deployment_id), deployment)] if deployment is not None else []
    return ActiveEntry(slots[0], run.id, 1, POOL, at, run.deployment_id, tuple(slots), NOW)


@dataclass
class Scene:
    """One pool at `NOW`, with nothing in it unless said."""

    pool: WorkPool = field(default_factory=make_pool)
    queues: Sequence[WorkQueue] = field(default_factory=lambda: [make_queue()])
    deployments: Sequence[Deployment] = field(default_factory=lambda: [make_deployment()])
    active: Sequence[ActiveEntry] = ()
    held: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # deployment name → slot name → run id
    elsewhere: Mapping[str, int] = field(default_factory=dict)  # deployment name → nameless active runs

    def plan(self, *runs: FlowRun, room: int | None = None) -> Plan:
        ids = {deployment.name: deployment.id for deployment in self.deployments}
        held = Held(
            list(self.active),
            {ids[name]: dict(names) for name, names in self.held.items()},
            {ids[name]: count for name, count in self.elsewhere.items()},
        )
        known = {deployment.id: deployment for deployment in self.deployments}
        return plan(self.pool, self.queues, runs, held, deployments=known, now=NOW, room=room)


def started(planned: Plan) -> list[str]:
    return [run.id for run, _ in planned.admit]


def names_of(planned: Plan, limit: str) -> list[str]:
    return [slot.name for _, slots in planned.admit for slot in slots if slot.limit == limit]


def ids(*runs: FlowRun) -> list[str]:
    return [run.id for run in runs]


def of(entries: Iterable[tuple[FlowRun, str]]) -> dict[str, str]:
    return {run.id: reason for run, reason in entries}


# order


def test_a_higher_queue_goes_first_whatever_is_older_below() -> None:
    queues = [make_queue(name="low", priority=2), make_queue(name="high", priority=1)]
    low, high = due(3600, queue="low"), due(1, queue="high")

    planned = Scene(make_pool(concurrency_limit=1), queues).plan(low, high)

    assert started(planned) == ids(high)


def test_within_a_queue_the_oldest_goes_first() -> None:
    newer, oldest, newest = due(2), due(3), due(1)

    planned = Scene(make_pool(concurrency_limit=2)).plan(newest, newer, oldest)

    assert started(planned) == ids(oldest, newer)


def test_of_runs_due_at_the_same_moment_the_order_is_the_same_each_time() -> None:
    runs = [due() for _ in range(5)]

    assert started(Scene().plan(*runs)) == started(Scene().plan(*reversed(runs))) == sorted(ids(*runs))


def test_a_run_waits_from_when_it_is_due_again_not_from_its_nominal_time() -> None:
    throttled = tried(make_run(scheduled_time=NOW - timedelta(hours=1), due_at=NOW - SECOND))
    waiting = due(10)

    planned = Scene(make_pool(concurrency_limit=1)).plan(throttled, waiting)

    assert started(planned) == ids(waiting)


def test_a_full_queue_lets_the_next_one_start() -> None:
    queues = [make_queue(name="high", priority=1, concurrency_limit=1), make_queue(name="low", priority=2)]
    scene = Scene(make_pool(concurrency_limit=5), queues, active=[holder(pool="0", queue="0", at="high")])
    high, low = due(queue="high"), due(queue="low")

    assert started(scene.plan(high, low)) == ids(low)


# slot names


def test_an_admitted_run_holds_one_name_of_each_limit_the_pools_first() -> None:
    scene = Scene(
        make_pool(concurrency_limit=3), [make_queue(concurrency_limit=2)], [make_deployment(concurrency_limit=1)]
    )
    run = due()

    [(_, slots)] = scene.plan(run).admit

    assert slots == (
        Slot(pool_limit(POOL), "0"),
        Slot(queue_limit(POOL, "default"), "0"),
        Slot(deployment_limit(run.deployment_id), "0"),
    )


def test_in_an_unlimited_pool_the_slot_is_named_by_the_run() -> None:
    run = due()

    [(_, slots)] = Scene().plan(run).admit

    assert slots == (Slot(pool_limit(POOL), run.id),)


def test_no_name_is_handed_out_twice_and_none_that_is_held() -> None:
    scene = Scene(make_pool(concurrency_limit=5), active=[holder(pool="1"), holder(pool="3")])

    planned = scene.plan(*(due() for _ in range(9)))

    assert names_of(planned, pool_limit(POOL)) == ["0", "2", "4"]


def test_a_deployments_slots_are_its_own_whichever_pool_its_runs_are_in() -> None:
    scene = Scene(deployments=[make_deployment(concurrency_limit=2)], held={"etl": {"0": "a run in another pool"}})

    planned = scene.plan(due(2), due(1))

    assert names_of(planned, deployment_limit(make_id("etl"))) == ["1"]


def test_a_run_that_was_admitted_before_a_deployments_limit_was_set_counts_wherever_it_is() -> None:
    here = Scene(deployments=[make_deployment(concurrency_limit=2)], active=[holder(), holder()])
    there = Scene(deployments=[make_deployment(concurrency_limit=2)], elsewhere={"etl": 2})

    assert started(here.plan(due())) == started(there.plan(due())) == []


# limits


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
@pytest.mark.parametrize(("limit", "expected"), [(None, 4), (0, 0), (1, 1), (3, 3), (9, 4)])
def test_each_limit_holds_by_itself(what: str, limit: int | None, expected: int) -> None:
    limits = {name: limit if name == what else None for name in ("pool", "queue", "deployment")}
    scene = Scene(
        make_pool(concurrency_limit=limits["pool"]),
        [make_queue(concurrency_limit=limits["queue"])],
        [make_deployment(concurrency_limit=limits["deployment"])],
    )

    assert len(started(scene.plan(*(due() for _ in range(4))))) == expected


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
def test_while_a_lowered_limit_drains_nothing_starts(what: str) -> None:
    """Ten were active; the limit is five by now."""
    numbers = [str(n) for n in range(10)]
    held = [holder(**{what: number}) for number in numbers]
    scene = limited_to(5, what, held)

    assert started(scene.plan(due())) == []


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
def test_once_a_lowered_limit_has_drained_its_lowest_names_are_used(what: str) -> None:
    scene = limited_to(5, what, [holder(**{what: "7"}), holder(**{what: "8"})])

    planned = scene.plan(*(due() for _ in range(9)))

    assert names_of(planned, limit_key(what)) == ["0", "1", "2"]


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
def test_holders_within_and_outside_a_lowered_limit_together_never_exceed_it(what: str) -> None:
    """3 and 4 are names of the limit, 7 and 8 are not: together they leave room for one."""
    scene = limited_to(5, what, [holder(**{what: name}) for name in ("3", "4", "7", "8")])

    planned = scene.plan(*(due() for _ in range(9)))

    assert names_of(planned, limit_key(what)) == ["0"]


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
def test_a_limit_that_is_set_while_runs_without_a_slot_are_active_counts_them(what: str) -> None:
    scene = limited_to(3, what, [holder(), holder()])

    planned = scene.plan(due(2), due(1))

    assert names_of(planned, limit_key(what)) == ["0"]


def test_from_unlimited_to_limited_and_back_every_active_run_counts() -> None:
    unlimited = Scene()
    first = [entry_of(run, slots) for run, slots in unlimited.plan(due(), due()).admit]
    limited = Scene(make_pool(concurrency_limit=3), active=first)
    [(run, slots)] = limited.plan(due(2), due(1)).admit
    second = [*first, entry_of(run, slots)]

    assert slots == (Slot(pool_limit(POOL), "0"),)
    assert len(Scene(active=second).plan(due(), due()).admit) == 2
    assert Scene(make_pool(concurrency_limit=3), active=second).plan(due()).admit == []
    assert names_of(Scene(make_pool(concurrency_limit=4), active=second).plan(due(2), due(1)), pool_limit(POOL)) == [
        "1"
    ]


def test_free_names_of_no_limit_are_not_a_list() -> None:
    assert free_names(None, {"0": "run"}) is None


@settings(max_examples=150)
@given(
    limit=st.integers(0, 5),
    before=st.sets(st.integers(0, 9)),
    steps=st.lists(st.tuples(st.sampled_from(["read", "commit", "end"]), st.integers(0, 2), st.integers(1, 4))),
)
@example(
    limit=3,
    before={2, 5, 6},
    steps=[("end", 0, 1), ("read", 0, 1), ("end", 0, 1), ("read", 1, 1), ("commit", 1, 2), ("commit", 0, 2)],
)
def test_however_stale_the_readings_of_however_many_dispatchers_are_the_limit_holds(
    limit: int, before: set[int], steps: list[tuple[str, int, int]]
) -> None:
    """A commit takes new names or nothing, as the store does; what a dispatcher read may be of any age."""
    holders = {str(name): "from before" for name in before}
    views: dict[int, dict[str, str]] = {}
    for step, who, count in steps:
        if step == "read":
            views[who] = dict(holders)
        elif step == "end" and holders:
            del holders[sorted(holders)[count % len(holders)]]
        elif step == "commit" and who in views:
            wanted = (free_names(limit, views[who]) or [])[:count]
            if not holders.keys() & set(wanted):
                active = len(holders)
                holders |= dict.fromkeys(wanted, f"of {who}")
                assert len(holders) <= max(limit, active)


# when


def test_a_first_try_is_prefetched_for_the_runner_waits_for_its_time() -> None:
    soon, later = due(-10), due(-11)

    assert started(Scene(make_pool(prefetch_seconds=10)).plan(soon, later)) == ids(soon)


def test_the_delay_of_a_retry_or_a_backoff_is_not_cut_short() -> None:
    retry = tried(make_run(scheduled_time=NOW - timedelta(minutes=5), due_at=NOW + 5 * SECOND))
    over = tried(make_run(scheduled_time=NOW - timedelta(minutes=5), due_at=NOW))

    assert started(Scene().plan(retry, over)) == ids(over)


def test_no_more_is_admitted_than_can_still_be_submitted() -> None:
    runs = [due(9 - n) for n in range(5)]

    assert started(Scene().plan(*runs, room=2)) == ids(*runs[:2])


def test_a_run_that_is_not_scheduled_any_more_is_left_alone() -> None:
    planned = Scene().plan(*(due(state=name) for name in Name if name.name not in SCHEDULED_NAMES))

    assert planned == Plan()


# pauses


def test_a_paused_pool_or_queue_starts_nothing_and_changes_nothing() -> None:
    in_pool = Scene(make_pool(paused=True)).plan(due())
    in_queue = Scene(queues=[make_queue(paused=True)]).plan(due())

    assert in_pool == in_queue == Plan()


def test_a_queue_that_is_not_looked_at_in_this_pass_starts_nothing() -> None:
    assert Scene(queues=[make_queue(name="other")]).plan(due(queue="default")) == Plan()


def test_runs_of_a_paused_deployment_are_put_aside_once() -> None:
    scene = Scene(deployments=[make_deployment(paused=True)])
    new, parked = due(), due(parked=True)

    planned = scene.plan(new, parked)

    assert of(planned.park) == {new.id: "deployment 'etl' is paused"}
    assert (planned.admit, planned.cancel) == ([], [])


# runs that must not start


def test_a_run_of_a_deleted_deployment_is_cancelled_even_in_a_later_attempt() -> None:
    run, retry = due(), tried(due())

    assert of(Scene(deployments=[]).plan(run, retry).cancel).keys() == set(ids(run, retry))
    assert of(Scene(deployments=[make_deployment(deleted=True)]).plan(run).cancel) == {
        run.id: "deployment 'etl' was deleted"
    }


def test_a_run_whose_deployment_names_another_pool_by_now_moves_there() -> None:
    run = due()

    planned = Scene(deployments=[make_deployment(pool="elsewhere")]).plan(run)

    assert (planned.relocate, planned.admit) == ([run], [])


@pytest.mark.parametrize(
    ("version", "schedules", "starts"),
    [(2, True, True), (1, True, False), (2, False, False)],
    ids=["of the schedule as it is", "of an earlier version", "of a schedule that is gone"],
)
def test_a_scheduled_run_starts_only_under_its_schedules_own_version(
    version: int, schedules: bool, starts: bool
) -> None:
    schedule = Schedule(id=make_id("nightly"), timing=CronSchedule("0 3 * * *"), version=2)
    scene = Scene(deployments=[make_deployment(schedules=(schedule,) if schedules else ())])
    run = due(schedule_id=schedule.id, schedule_version=version)

    planned = scene.plan(run)

    assert (started(planned), list(of(planned.cancel))) == ((ids(run), []) if starts else ([], ids(run)))


def test_what_was_admitted_once_outlives_a_change_of_its_schedule_and_its_lateness() -> None:
    retry = tried(due(3600, schedule_id=make_id("gone"), schedule_version=1, max_lateness_seconds=60))

    assert started(Scene().plan(retry)) == ids(retry)


def test_a_run_over_its_lateness_is_cancelled_and_one_just_within_it_starts() -> None:
    within, over = due(60, max_lateness_seconds=60), due(61, max_lateness_seconds=60)

    planned = Scene().plan(within, over)

    assert started(planned) == ids(within)
    assert of(planned.cancel) == {over.id: "over its max_lateness_seconds of 60"}


# a deployment at its limit


def at_limit(limit: int, strategy: CollisionStrategy, *, holders: int | None = None, **pool: Any) -> Scene:
    active = [holder(pool=str(n), deployment=str(n)) for n in range(limit if holders is None else holders)]
    deployment = make_deployment(concurrency_limit=limit, collision_strategy=strategy)
    other = make_deployment("other")
    return Scene(make_pool(**pool), deployments=[deployment, other], active=active)


@pytest.mark.parametrize("limit", [1, 3])
def test_enqueue_puts_new_runs_aside_and_lets_other_deployments_pass(limit: int) -> None:
    blocked, parked, other = due(9), due(8, parked=True), due(1, deployment="other")

    planned = at_limit(limit, ENQUEUE).plan(blocked, parked, other)

    assert started(planned) == ids(other)
    assert of(planned.park) == {blocked.id: f"deployment 'etl' is at its limit of {limit}"}
    assert (planned.cancel, planned.make_room) == ([], [])


@pytest.mark.parametrize("limit", [1, 3])
def test_cancel_new_cancels_what_was_never_admitted_and_puts_a_retry_aside(limit: int) -> None:
    new, retry = due(2), tried(due(1))

    planned = at_limit(limit, CANCEL_NEW).plan(new, retry)

    assert list(of(planned.cancel)) == ids(new)
    assert list(of(planned.park)) == ids(retry)
    assert (planned.admit, planned.make_room) == ([], [])


@pytest.mark.parametrize("limit", [1, 3])
def test_cancel_new_counts_those_that_start_in_the_same_pass(limit: int) -> None:
    runs = [due(9 - n) for n in range(5)]

    planned = at_limit(limit, CANCEL_NEW, holders=0).plan(*runs)

    assert started(planned) == ids(*runs[:limit])
    assert list(of(planned.cancel)) == ids(*runs[limit:])


@pytest.mark.parametrize("strategy", [CANCEL_NEW, CANCEL_RUNNING])
@pytest.mark.parametrize("full", ["pool", "queue"])
def test_nothing_is_cancelled_or_stopped_where_the_pool_or_queue_is_full_too(
    strategy: CollisionStrategy, full: str
) -> None:
    scene = at_limit(1, strategy, **({"concurrency_limit": 1} if full == "pool" else {}))
    if full == "queue":
        scene = replace(scene, queues=[make_queue(concurrency_limit=1)])

    assert scene.plan(due(2), due(1)) == Plan()


@pytest.mark.parametrize("limit", [1, 3])
def test_cancel_running_stops_one_for_the_newest_and_supersedes_the_others(limit: int) -> None:
    oldest, older, newest = due(3), due(2), due(1)

    planned = at_limit(limit, CANCEL_RUNNING).plan(oldest, newest, older)

    assert planned.make_room == [make_id("etl")]
    assert of(planned.cancel) == dict.fromkeys(ids(oldest, older), f"superseded by run {newest.id}")
    assert list(of(planned.park)) == ids(newest)
    assert planned.admit == []


def test_cancel_running_with_a_free_slot_starts_the_newest_and_supersedes_the_older() -> None:
    older, newest = due(2), due(1)

    planned = at_limit(1, CANCEL_RUNNING, holders=0).plan(older, newest)

    assert started(planned) == ids(newest)
    assert of(planned.cancel) == {older.id: f"superseded by run {newest.id}"}
    assert planned.make_room == []


def test_cancel_running_keeps_as_many_of_the_newest_as_there_are_slots() -> None:
    runs = [due(9 - n) for n in range(5)]

    planned = at_limit(3, CANCEL_RUNNING, holders=1).plan(*runs)

    assert started(planned) == ids(*runs[3:])
    assert set(of(planned.cancel)) == set(ids(*runs[:3]))
    assert planned.make_room == []


def test_cancel_running_never_supersedes_a_retry() -> None:
    retry, newest = tried(due(9)), due(1)

    planned = at_limit(1, CANCEL_RUNNING).plan(retry, newest)

    assert planned.cancel == []


@pytest.mark.parametrize("limit", [1, 3])
def test_a_retry_stops_nothing_for_what_runs_may_be_newer(limit: int) -> None:
    retry = tried(due(9))

    planned = at_limit(limit, CANCEL_RUNNING).plan(retry)

    assert list(of(planned.park)) == ids(retry)
    assert planned.make_room == []


@pytest.mark.parametrize(
    "newest",
    [{"queue": "paused"}, {"due_in": 11 * SECOND}],
    ids=["in a paused queue", "not due yet"],
)
def test_a_newest_run_that_would_not_start_supersedes_nothing(newest: dict[str, Any]) -> None:
    scene = at_limit(1, CANCEL_RUNNING, holders=0)
    scene = replace(scene, queues=[make_queue(), make_queue(name="paused", priority=2, paused=True)])
    older = due(2)

    planned = scene.plan(older, make_run(**newest))

    assert started(planned) == ids(older)
    assert planned.cancel == []


def test_a_newest_run_that_the_pool_has_no_room_for_supersedes_nothing() -> None:
    """The pool's last slot goes to a retry of the same deployment."""
    retry, older, newest = tried(due(9)), due(2), due(1)

    planned = at_limit(1, CANCEL_RUNNING, holders=0, concurrency_limit=1).plan(retry, older, newest)

    assert started(planned) == ids(retry)
    assert (planned.cancel, planned.make_room) == ([], [])


def test_with_three_slots_free_and_room_for_one_in_the_pool_the_newest_supersedes_nothing() -> None:
    runs = [due(9 - n) for n in range(4)]

    planned = at_limit(3, CANCEL_RUNNING, holders=0, concurrency_limit=1).plan(*runs)

    assert started(planned) == ids(runs[1])
    assert planned.cancel == []


def test_a_limit_of_zero_parks_and_stops_nothing() -> None:
    run = due()

    planned = at_limit(0, CANCEL_RUNNING).plan(run)

    assert list(of(planned.park)) == ids(run)
    assert planned.make_room == []


# against an oracle

SCHEDULED_NAMES = {"SCHEDULED", "LATE", "AWAITING_RETRY", "AWAITING_CONCURRENCY_SLOT"}
LIMITS = st.none() | st.integers(0, 3)
QUEUES, DEPLOYMENTS = ("a", "b", "c"), ("x", "y", "z")


def limited_to(limit: int, what: str, active: Sequence[ActiveEntry]) -> Scene:
    return Scene(
        make_pool(concurrency_limit=limit if what == "pool" else None),
        [make_queue(concurrency_limit=limit if what == "queue" else None)],
        [make_deployment(concurrency_limit=limit if what == "deployment" else None)],
        active=active,
    )


def limit_key(what: str) -> str:
    keys = {"queue": queue_limit(POOL, "default"), "deployment": deployment_limit(make_id("etl"))}
    return keys.get(what, pool_limit(POOL))


def entry_of(run: FlowRun, slots: tuple[Slot, ...]) -> ActiveEntry:
    return ActiveEntry(slots[0], run.id, 1, POOL, run.queue, run.deployment_id, slots, NOW)


@st.composite
def holders(draw: st.DrawFn) -> list[ActiveEntry]:
    """Active runs of whatever past: some hold names of a limit as it is, some of a higher one, some none."""
    free = {key: [str(n) for n in draw(st.permutations(list(range(6))))] for key in ("pool", *QUEUES, *DEPLOYMENTS)}

    def name(key: str) -> str | None:
        is_named: bool = draw(st.booleans())
        return free[key].pop() if free[key] and is_named else None

    count = draw(st.integers(0, 4))
    found = []
    for _ in range(count):
        queue, deployment = draw(st.sampled_from(QUEUES)), draw(st.sampled_from(DEPLOYMENTS))
        found.append(holder(pool=name("pool"), queue=name(queue), deployment=name(deployment), of=deployment, at=queue))
    return found


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    priorities = draw(st.permutations([1, 2, 3]))
    queues = [
        make_queue(name=name, priority=number, concurrency_limit=draw(LIMITS), paused=draw(st.integers(0, 5)) == 0)
        for name, number in zip(QUEUES, priorities, strict=True)
    ]
    deployments = [
        make_deployment(
            name,
            concurrency_limit=draw(LIMITS),
            collision_strategy=draw(st.sampled_from(CollisionStrategy)),
            paused=draw(st.integers(0, 5)) == 0,
        )
        for name in DEPLOYMENTS
    ]
    return Scene(make_pool(concurrency_limit=draw(LIMITS)), queues, deployments, draw(holders()))


@st.composite
def waiting_runs(draw: st.DrawFn) -> list[FlowRun]:
    def one() -> FlowRun:
        run = due(
            draw(st.integers(-30, 30)),
            queue=draw(st.sampled_from(QUEUES)),
            deployment=draw(st.sampled_from(DEPLOYMENTS)),
            parked=draw(st.booleans()),
        )
        return tried(run) if draw(st.integers(0, 3)) == 0 else run

    return [one() for _ in range(draw(st.integers(0, 6)))]


def active_after(scene: Scene, runs: Iterable[FlowRun]) -> dict[str, tuple[int, int | None]]:
    """By limit: (how many are active with `runs`, the limit)."""
    pairs = [(entry.queue, entry.deployment_id) for entry in scene.active]
    pairs += [(run.queue, run.deployment_id) for run in runs]
    counts = {"pool": (len(pairs), scene.pool.concurrency_limit)}
    for queue in scene.queues:
        counts[f"queue {queue.name}"] = (sum(q == queue.name for q, _ in pairs), queue.concurrency_limit)
    for each in scene.deployments:
        counts[f"deployment {each.name}"] = (sum(d == each.id for _, d in pairs), each.concurrency_limit)
    return counts


def can_be_added(scene: Scene, runs: Sequence[FlowRun]) -> bool:
    """No limit that any of `runs` is under is exceeded."""
    before, after = active_after(scene, []), active_after(scene, runs)
    return all(limit is None or count <= limit or count == before[key][0] for key, (count, limit) in after.items())


def may_start(scene: Scene, run: FlowRun) -> bool:
    queue = next(queue for queue in scene.queues if queue.name == run.queue)
    deployment = next(each for each in scene.deployments if each.id == run.deployment_id)
    ahead = scene.pool.prefetch_seconds * SECOND if run.due_at == run.scheduled_time else 0 * SECOND
    return not queue.paused and not deployment.paused and run.due_at <= NOW + ahead


def best(scene: Scene, runs: Sequence[FlowRun]) -> set[str]:
    """Of all sets of runs that may start together the one that no other beats at the first run they differ in."""
    priority = {queue.name: queue.priority for queue in scene.queues}
    ordered = sorted((r for r in runs if may_start(scene, r)), key=lambda r: (priority[r.queue], r.due_at, r.id))
    found: tuple[int, ...] = ()
    for choice in product((1, 0), repeat=len(ordered)):
        chosen = [run for run, taken in zip(ordered, choice, strict=True) if taken]
        if choice > found and can_be_added(scene, chosen):
            found = choice
    return {run.id for run, taken in zip(ordered, found, strict=False) if taken}


@settings(max_examples=80)
@given(scene=scenes(), runs=waiting_runs())
def test_no_limit_is_exceeded_and_every_name_is_new_and_of_its_limit(scene: Scene, runs: list[FlowRun]) -> None:
    planned = scene.plan(*runs)

    limits = {pool_limit(POOL): scene.pool.concurrency_limit}
    limits |= {queue_limit(POOL, queue.name): queue.concurrency_limit for queue in scene.queues}
    limits |= {deployment_limit(each.id): each.concurrency_limit for each in scene.deployments}
    taken = [slot for _, slots in planned.admit for slot in slots]
    assert can_be_added(scene, [run for run, _ in planned.admit])
    assert len(set(taken)) == len(taken)
    assert not set(taken) & {slot for entry in scene.active for slot in entry.slots}
    for run, slots in planned.admit:
        mine = [pool_limit(POOL), queue_limit(POOL, run.queue), deployment_limit(run.deployment_id)]
        expected = [mine[0], *(limit for limit in mine[1:] if limits[limit] is not None)]
        assert [slot.limit for slot in slots] == expected
    for slot in taken:
        limit = limits[slot.limit]
        assert slot.name in {run.id for run in runs} if limit is None else 0 <= int(slot.name) < limit


@settings(max_examples=80)
@given(scene=scenes(), runs=waiting_runs())
def test_no_run_is_passed_over_that_could_start_and_no_deployment_starves_another(
    scene: Scene, runs: list[FlowRun]
) -> None:
    """But for CANCEL_RUNNING, where a newer run may take an older one's place."""
    kept = [run for run in runs if strategy_of(scene, run) is not CANCEL_RUNNING]

    assert set(started(scene.plan(*kept))) == best(scene, kept)


@settings(max_examples=80)
@given(scene=scenes(), runs=waiting_runs())
def test_each_run_meets_one_fate_and_only_its_deployments_limit_changes_it(scene: Scene, runs: list[FlowRun]) -> None:
    planned = scene.plan(*runs)

    admitted, parked, cancelled = set(started(planned)), set(of(planned.park)), set(of(planned.cancel))
    assert len(admitted) + len(parked) + len(cancelled) == len(admitted | parked | cancelled)
    assert not any(run.parked for run, _ in planned.park)
    for run, reason in planned.cancel:
        assert not run.was_admitted
        assert may_start(scene, run)
        assert ("superseded" in reason) == (strategy_of(scene, run) is CANCEL_RUNNING)
    full = {
        key
        for key, (count, limit) in active_after(scene, [run for run, _ in planned.admit]).items()
        if count >= (limit if limit is not None else count + 1)
    }
    for run, reason in planned.park:
        assert "is paused" in reason or f"deployment {run.deployment}" in full


@settings(max_examples=80)
@given(scene=scenes(), runs=waiting_runs())
def test_a_run_is_superseded_only_where_the_newest_starts_or_waits_for_its_deployment_alone(
    scene: Scene, runs: list[FlowRun]
) -> None:
    planned = scene.plan(*runs)

    superseded = {run.id for run, reason in planned.cancel if "superseded" in reason}
    for each in scene.deployments:
        mine = [r for r in runs if r.deployment == each.name and not r.was_admitted and may_start(scene, r)]
        if not superseded & {run.id for run in mine}:
            continue
        newest = max(mine, key=lambda run: (run.scheduled_time, run.id))
        assert newest.id in started(planned) or each.id in planned.make_room
        assert newest.id not in superseded
    for deployment_id in planned.make_room:
        each = next(each for each in scene.deployments if each.id == deployment_id)
        assert each.collision_strategy is CANCEL_RUNNING
        assert each.concurrency_limit


def strategy_of(scene: Scene, run: FlowRun) -> CollisionStrategy:
    return next(each.collision_strategy for each in scene.deployments if each.id == run.deployment_id)


# the parts


def test_runs_without_a_slot_of_their_deployment_are_counted() -> None:
    entries = [holder(), holder(deployment="0"), holder(of="other")]

    assert nameless(make_id("etl"), entries) == 1


def test_what_is_lacking_is_named_from_the_widest_limit_on() -> None:
    names = Names(POOL, [], {"default": []}, {"d": []})

    assert names.lacks("default", "d") == "pool"
    names.of_pool = None
    assert names.lacks("default", "d") == "queue"
    names.of_queue["default"] = ["0"]
    assert names.lacks("default", "d") == "deployment"
    assert names.lacks("default", "another") is None
