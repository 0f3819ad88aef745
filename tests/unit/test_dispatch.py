"""Passes over a store and a cloud: from due to done, whatever the cloud, the clock and others do meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher import callbacks, pulses, records
from dispatcher.admitting import PARKED, Selection
from dispatcher.callbacks import StateWord, Word
from dispatcher.catalogue import pools, queues
from dispatcher.catalogue.changes import change_deployment
from dispatcher.dispatch import FORGETTING_EVERY, MAX_HOPS
from dispatcher.ends import FREE_ATTEMPTS
from dispatcher.errors import AdapterUnavailable, AdmissionRefused, Conflict, StoreUnavailable, TooLarge
from dispatcher.pools import WorkPool
from dispatcher.ports import (
    Accepted,
    ActiveEntry,
    Admission,
    Infrastructure,
    Job,
    Move,
    Observation,
    PoolUnavailable,
    Rate,
    Request,
    Traits,
    Window,
)
from dispatcher.runs import FlowRun, Name, StateType, Target, amended, deployment_limit
from dispatcher.submitting import Submitter, record
from dispatcher.testing.builders import POOL, TARGET, admitted, make_admission, make_attempt, make_request, make_run
from dispatcher.testing.fake_cloud import FakeCloud
from dispatcher.testing.memory import MemoryStore
from dispatcher.testing.racing import at_once
from dispatcher.tokens import KeyRing
from dispatcher.waiting import why

if TYPE_CHECKING:
    from tests.unit.conftest import Site

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SUBMIT_DEADLINE = timedelta(seconds=5)  # of the fake cloud


@pytest.fixture
def site(site: Site) -> Site:
    """With an unlimited pool and a deployment, `etl`, in it."""
    site.pool()
    site.deploy()
    return site


def state(site: Site, run: FlowRun) -> tuple[Name, int]:
    """(state, attempt)."""
    now = site.now_of(run)
    return now.state.name, now.attempt


def claim(site: Site, run: FlowRun, *, instance: str = "i-1") -> FlowRun:
    """As the container that was started last, with the token that is in its environment."""
    environment = site.far.environment(site.far.started(run.id)[-1].handle)
    token = callbacks.authenticate(site.context, environment["PUSHPOOL_RUN_TOKEN"])
    return callbacks.say(site.context, token, StateWord(state=Word.RUNNING, instance=instance))


def started(site: Site, run: FlowRun) -> FlowRun:
    """Submitted, and claimed by its container."""
    site.over()
    return claim(site, run)


def without_events(site: Site) -> None:
    site.far.behave(event_copies=0)


# from due to done


def test_a_due_run_is_started_with_what_its_container_needs_and_ends_with_its_word(site: Site) -> None:
    run = site.order(parameters={"n": 1})

    done = site.over()

    assert (done.admitted, done.accepted) == (1, 1)
    assert state(site, run) == (Name.INFRASTRUCTURE_PENDING, 1)
    environment = site.far.environment(site.handle(run))
    assert environment["PUSHPOOL_API_URL"] == "https://api.example"
    assert environment["PUSHPOOL_RUN_ID"] == run.id
    assert environment["PUSHPOOL_PARAMETERS"] == '{"n":1}'
    assert environment["PUSHPOOL_SCHEDULED_TIME"] == "2026-03-01T12:00:00.000Z"
    claim(site, run)
    assert site.say(run, Word.COMPLETED, exit_code=0).state.name is Name.COMPLETED
    assert site.store.active(POOL) == []


def test_without_a_runner_the_clouds_events_tell_the_outcome(site: Site) -> None:
    run = site.order()
    site.over()

    site.hear()
    assert state(site, run) == (Name.RUNNING, 1)
    site.far.finish(site.handle(run), 3, output="last words")
    site.hear()

    after = site.now_of(run)
    assert (after.state.name, after.exit_code, after.attempts[0].log_tail) == (Name.FAILED, 3, "last words")


def test_without_events_either_the_cloud_is_asked(site: Site) -> None:
    without_events(site)
    site.declare(pushes_events=False)
    run = site.order()
    site.over()

    site.later(60)
    site.over()
    assert state(site, run) == (Name.RUNNING, 1)
    site.far.finish(site.handle(run))
    site.later(60)
    site.over()

    assert state(site, run) == (Name.COMPLETED, 1)


def test_a_run_that_is_due_soon_is_submitted_now_and_its_runner_waits(site: Site) -> None:
    run = site.order(scheduled_time=site.now + 8 * SECOND)

    site.over()

    assert site.far.environment(site.handle(run))["PUSHPOOL_SCHEDULED_TIME"] == "2026-03-01T12:00:08.000Z"


def test_a_run_that_is_due_later_brings_the_pass_back_in_time(site: Site) -> None:
    site.order(scheduled_time=site.now + 5 * MINUTE)
    site.wakes.take()

    done = site.over()

    assert (done.admitted, done.come_back) == (0, site.now + 5 * MINUTE - 10 * SECOND)
    assert (POOL, done.come_back, 0) in site.wakes.take()


def test_what_is_due_in_a_quarter_of_an_hour_or_later_is_left_to_the_tick(site: Site) -> None:
    site.order(scheduled_time=site.now + 16 * MINUTE)
    site.wakes.take()

    assert site.over().come_back is None
    assert site.wakes.take() == []


def test_a_schedules_run_is_made_started_and_done_by_ticks_alone(site: Site) -> None:
    site.deploy(schedules=[{"interval": 60, "anchor_date": "2026-03-01T12:00:30Z", "active": True}])
    site.far.behave(run_seconds=1)

    for _ in range(8):
        site.tick()
        site.later(15)
        site.hear()

    done = site.runs(StateType.COMPLETED)
    assert sorted(run.scheduled_time for run in done) == [site.clock.now() - n * SECOND for n in (90, 30)]
    assert len(site.far.started()) == 2


def test_a_higher_queue_is_served_first_through_the_whole_pass(site: Site) -> None:
    site.pool(concurrency_limit=150)
    site.queue("low", priority=2)
    low = [site.store.create_run(late_run(site, queue="low", minutes=9)) for _ in range(120)]
    high = [site.store.create_run(late_run(site, minutes=1)) for _ in range(120)]

    site.over()

    assert all(site.now_of(run).is_active for run in high)
    assert sum(site.now_of(run).is_active for run in low) == 30


def late_run(site: Site, *, minutes: float = 0, of: str = "etl", **changes: Any) -> FlowRun:
    deployment = site.deployment(of)
    return make_run(deployment=of, deployment_id=deployment.id, scheduled_time=site.now - minutes * MINUTE, **changes)


def test_what_was_rendered_is_sent_again_byte_for_byte_whatever_was_changed_since(site: Site) -> None:
    without_events(site)
    site.far.fail_next("timeout")
    run = site.order()
    site.over()
    stored = site.store.request(run.id, 1)
    site.pool(variables={"image": "job:2"})
    site.deploy(image="job:3")

    site.later(6)
    site.over()

    assert site.store.request(run.id, 1) == stored
    [start] = site.far.started()
    assert site.far.environment(start.handle)["PUSHPOOL_ATTEMPT"] == "1"
    assert state(site, run) == (Name.INFRASTRUCTURE_PENDING, 1)


# limits


def test_a_pool_is_filled_and_no_more_and_a_freed_slot_is_taken_by_the_next(site: Site) -> None:
    site.pool(concurrency_limit=2)
    runs = [site.order() for _ in range(3)]
    site.over()
    active = [run for run in runs if site.now_of(run).is_active]
    assert len(active) == 2

    site.far.finish(site.handle(active[0]))
    site.hear()
    site.over()

    assert sum(site.now_of(run).is_active for run in runs) == 2
    assert site.far.highest()[""] == 2


def test_a_limit_that_was_lowered_holds_while_the_others_finish(site: Site) -> None:
    runs = [site.order() for _ in range(4)]
    site.over()
    site.pool(concurrency_limit=2)
    waiting = site.order()
    site.over()
    assert not site.now_of(waiting).is_active

    for run in runs[:3]:
        site.far.finish(site.handle(run))
    site.hear()
    site.over()

    assert site.now_of(waiting).is_active
    assert len(site.store.active(POOL)) == 2


class Counted(MemoryStore):
    """Counts its calls, and how many runs were read."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def forget(self) -> None:
        self.calls.clear()

    def get_runs(self, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
        self.calls["get_runs"] += 1
        self.calls["runs read"] += len(run_ids)
        return super().get_runs(run_ids)

    def parked_runs(self, pool: str, deployment_id: str, *, limit: int) -> Any:
        self.calls["parked_runs"] += 1
        return super().parked_runs(pool, deployment_id, limit=limit)

    def due(self, pool: str, queue: str, before: Any, *, after: str | None = None, limit: int) -> Any:
        self.calls["due"] += 1
        return super().due(pool, queue, before, after=after, limit=limit)

    def admit(self, admissions: Sequence[Admission]) -> None:
        self.calls["admit"] += 1
        super().admit(admissions)


@pytest.fixture
def counted(site: Site) -> Counted:
    """The site on a store that counts, with its pool and its deployment."""
    store = Counted()
    site.store, site.context = store, site.on(store)
    site.pool()
    site.deploy()
    return store


def test_1500_blocked_runs_in_front_do_not_starve_another_deployment_and_later_cost_one_look(
    site: Site, counted: Counted
) -> None:
    site.deploy("blocked", concurrency_limit=1)
    blocked = [counted.create_run(late_run(site, of="blocked", minutes=60)) for _ in range(1500)]
    behind = site.order()

    site.over()

    assert site.now_of(behind).is_active
    assert sum(run.is_active for run in counted.get_runs([run.id for run in blocked]).values()) == 1
    counted.forget()
    site.later(1)
    newcomer = site.order()
    site.over()
    assert site.now_of(newcomer).is_active
    assert counted.calls["parked_runs"] == 1
    assert counted.calls["due"] == 1
    assert counted.calls["runs read"] <= 3
    counted.forget()

    [entry] = [e for e in counted.active(POOL) if e.deployment_id == site.deployment("blocked").id]
    site.far.finish(site.handle(site.store.get_runs([entry.run_id])[entry.run_id]))
    site.hear()
    site.over()

    assert counted.held(deployment_limit(site.deployment("blocked").id)).keys() == {"0"}
    assert counted.calls["runs read"] <= 10


def test_many_due_runs_are_admitted_in_few_commits(site: Site, counted: Counted) -> None:
    for _ in range(400):
        counted.create_run(late_run(site))
    counted.forget()

    done = site.over()

    assert (done.admitted, done.accepted) == (400, 400)
    assert counted.calls["admit"] <= 20


def test_after_a_pause_all_that_was_put_aside_starts_in_one_pass(site: Site) -> None:
    change_deployment(site.context, "etl", paused=True)
    runs = [site.store.create_run(late_run(site)) for _ in range(2 * PARKED + 5)]
    site.over()
    assert {site.now_of(run).state.name for run in runs} == {Name.AWAITING_CONCURRENCY_SLOT}

    change_deployment(site.context, "etl", paused=False)
    site.over()

    assert all(site.now_of(run).is_active for run in runs)


def test_a_paused_deployment_costs_one_look_too(site: Site, counted: Counted) -> None:
    change_deployment(site.context, "etl", paused=True)
    for _ in range(30):
        counted.create_run(late_run(site))
    site.over()
    counted.forget()

    site.over()

    assert counted.calls["runs read"] == 1


# pauses


def test_a_pause_stops_admission_and_what_was_admitted_goes_on(site: Site) -> None:
    first = site.order()
    site.over()
    pools.pause_pool(site.context, POOL, paused=True)
    second = site.order()

    site.over()
    site.far.finish(site.handle(first))
    site.hear()

    assert state(site, first) == (Name.COMPLETED, 1)
    assert state(site, second) == (Name.SCHEDULED, 1)


class Interrupted(MemoryStore):
    """Somebody else gets a turn in the middle of a pass: after it read candidates, or before they are admitted."""

    after_reading: Callable[[], object] | None = None
    before_admission: Callable[[], object] | None = None

    def get_runs(self, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
        found = super().get_runs(run_ids)
        turn, self.after_reading = self.after_reading, None
        if turn is not None:
            turn()
        return found

    def admit(self, admissions: Sequence[Admission]) -> None:
        turn, self.before_admission = self.before_admission, None
        if turn is not None:
            turn()
        super().admit(admissions)


@pytest.fixture
def interrupted(site: Site) -> Interrupted:
    store = Interrupted()
    site.store, site.context = store, site.on(store)
    site.pool()
    site.deploy()
    return store


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
def test_a_pause_that_comes_while_a_pass_plans_is_seen_before_it_commits(
    site: Site, interrupted: Interrupted, what: str
) -> None:
    pause: dict[str, Callable[[], object]] = {
        "pool": lambda: pools.pause_pool(site.context, POOL, paused=True),
        "queue": lambda: queues.pause_queue(site.context, POOL, "default", paused=True),
        "deployment": lambda: change_deployment(site.context, "etl", paused=True),
    }
    run = site.order()
    interrupted.after_reading = pause[what]

    site.over()

    assert not site.now_of(run).is_active
    assert site.far.started() == []


@pytest.mark.parametrize("what", ["pool", "queue", "deployment"])
def test_a_limit_that_is_lowered_while_a_pass_plans_is_held(site: Site, interrupted: Interrupted, what: str) -> None:
    lower: dict[str, Callable[[], object]] = {
        "pool": lambda: site.pool(concurrency_limit=1),
        "queue": lambda: site.queue("default", concurrency_limit=1),
        "deployment": lambda: site.deploy(concurrency_limit=1),
    }
    for _ in range(3):
        site.order()
    interrupted.after_reading = lower[what]

    site.over()

    assert len(site.store.active(POOL)) == 1


def test_a_run_that_is_cancelled_while_a_pass_plans_is_dropped_and_the_others_start(
    site: Site, interrupted: Interrupted
) -> None:
    runs = [site.order() for _ in range(3)]
    interrupted.before_admission = lambda: site.cancel(runs[1])

    site.over()

    assert [site.now_of(run).is_active for run in runs] == [True, False, True]
    assert state(site, runs[1]) == (Name.CANCELLED, 1)


def test_a_run_that_others_keep_changing_is_left_to_the_next_pass_and_not_tried_in_a_loop(site: Site) -> None:
    class Restless(MemoryStore):
        commits = 0

        def admit(self, admissions: Sequence[Admission]) -> None:
            self.commits += 1
            run = self.get_run(restless.id)
            assert run is not None
            if not run.is_active:
                self.move(Move(run, amended(run)))
            super().admit(admissions)

    store = Restless()
    site.store, site.context = store, site.on(store)
    site.pool()
    site.deploy()
    restless, other = site.order(), site.order()

    site.over()

    assert not site.now_of(restless).is_active
    assert site.now_of(other).is_active
    assert store.commits == 2


# several dispatchers


@pytest.mark.parametrize("when", ["after_reading", "before_admission"])
@pytest.mark.parametrize("limit", [None, 3])
def test_of_two_dispatchers_that_read_the_same_runs_each_run_is_started_once(
    site: Site, interrupted: Interrupted, when: str, limit: int | None
) -> None:
    site.pool(concurrency_limit=limit)
    runs = [site.order() for _ in range(7)]
    other = site.dispatcher()
    setattr(interrupted, when, lambda: other.over(POOL, until=site.now + MINUTE))

    site.over()

    active = [run for run in runs if site.now_of(run).is_active]
    assert len(active) == (limit or len(runs))
    assert len(site.far.started()) == len(active)
    assert site.far.doubles() == []


def test_dispatchers_that_race_never_exceed_a_limit_and_start_each_run_once(site: Site) -> None:
    site.pool(concurrency_limit=5)
    site.queue("default", concurrency_limit=4)
    site.far.behave(run_seconds=0)
    for _ in range(30):
        site.order()
    dispatchers = [site.dispatcher() for _ in range(3)]

    for _ in range(12):
        at_once([lambda d=d: d.over(POOL, until=site.now + MINUTE) for d in dispatchers])  # type: ignore[misc]
        assert len(site.store.active(POOL)) <= 4
        site.hear()
        site.later(1)

    assert len(site.runs(StateType.COMPLETED)) == 30
    assert (site.far.doubles(), len(site.far.started())) == ([], 30)


def test_a_pass_that_always_loses_leaves_the_field_to_the_others(site: Site) -> None:
    class Taken(MemoryStore):
        tries = 0

        def admit(self, admissions: Sequence[Admission]) -> None:
            self.tries += 1
            raise AdmissionRefused(taken=admissions[0].after.slots)

    store = Taken()
    site.store, site.context = store, site.on(store)
    site.pool(concurrency_limit=3)
    site.deploy()
    site.order()

    site.over()

    assert 1 < store.tries < 20


class Narrow(MemoryStore):
    """Takes no more than `most` admissions in one commit, and none of the run `never`."""

    most, never = 4, ""

    def admit(self, admissions: Sequence[Admission]) -> None:
        if len(admissions) > self.most or any(each.before.id == self.never for each in admissions):
            raise TooLarge("a commit may have 10 MiB")
        super().admit(admissions)


def test_what_is_too_large_for_one_commit_goes_in_several(site: Site) -> None:
    site.store = Narrow()
    site.context = site.on(site.store)
    site.pool()
    site.deploy()
    runs = [site.order() for _ in range(10)]

    site.over()

    assert len(site.far.started()) == len(runs)


def test_a_run_that_is_too_large_alone_crashes_and_holds_up_no_other(site: Site) -> None:
    store = Narrow()
    site.store, site.context = store, site.on(store)
    site.pool()
    site.deploy()
    runs = [site.order() for _ in range(10)]
    store.never = runs[3].id

    site.over()

    assert state(site, runs[3])[0] is Name.CRASHED
    assert site.now_of(runs[3]).state.message.endswith("a commit may have 10 MiB")
    assert len(site.far.started()) == 9


# a definite no


def test_throttled_it_is_tried_again_later_as_a_new_submission(site: Site) -> None:
    site.pool(concurrency_limit=1)
    site.far.fail_next("throttled")
    run = site.order()

    done = site.over()

    assert state(site, run) == (Name.SCHEDULED, 1)
    assert (site.now_of(run).submit_seq, site.store.active(POOL)) == (2, [])
    assert site.now_of(run).due_at == site.now + 2 * SECOND
    assert done.accepted == 0
    site.later(1.9)
    site.over()
    assert site.far.started() == []
    site.later(0.1)
    site.over()
    assert [start.submit_seq for start in site.far.started()] == [2]


def test_the_pass_after_a_throttled_one_comes_in_time(site: Site) -> None:
    site.far.fail_next("throttled")
    run = site.order()
    site.over()
    site.wakes.take()

    done = site.over()

    assert done.come_back is not None
    assert done.come_back <= site.now_of(run).due_at


def test_rejected_it_has_crashed_and_frees_its_slot_for_the_next(site: Site) -> None:
    site.pool(concurrency_limit=1)
    site.far.fail_next("rejected")
    run = site.order()

    site.over()

    after = site.now_of(run)
    assert (after.state.name, after.state.message) == (Name.CRASHED, "there is no such image")
    assert site.store.active(POOL) == []


def test_what_cannot_be_rendered_has_crashed_and_holds_nobody_up(site: Site) -> None:
    site.pool(concurrency_limit=1)
    bad = site.order(job_variables={"fake": {"unheard of": 1}})
    site.later(1)
    good = site.order()

    done = site.over()
    assert done.come_back == site.now
    site.over()

    assert state(site, bad) == (Name.CRASHED, 1)
    assert "unheard of" in site.now_of(bad).state.message
    assert site.now_of(good).is_active


def test_an_adapters_bug_in_one_run_holds_nobody_up(site: Site) -> None:
    class Buggy(FakeCloud):
        def request(self, job: Job) -> Request:
            if job.configuration["image"] == "broken":
                raise KeyError("image")
            return super().request(job)

    site.cloud = Buggy(site.far)
    bad, good = site.order(job_variables={"image": "broken"}), site.order()

    site.over()

    assert state(site, bad) == (Name.CRASHED, 1)
    assert site.now_of(good).is_active


# no answer


@pytest.mark.parametrize("kind", ["timeout", "unavailable", "reply lost"])
def test_without_an_answer_the_submission_is_found_or_repeated_and_started_once(site: Site, kind: str) -> None:
    without_events(site)
    site.far.fail_next(kind)
    run = site.order()
    site.over()
    assert state(site, run) == (Name.SUBMITTING, 1)

    site.later(4)
    site.over()
    assert len(site.far.started()) == (1 if kind == "reply lost" else 0)

    site.later(1)
    site.over()
    assert len(site.far.started()) == 1
    assert site.now_of(run).current is not None
    assert site.handle(run) == site.far.started()[0].handle


def test_after_an_unknown_a_throttle_is_not_a_definite_no(site: Site) -> None:
    without_events(site)
    site.far.fail_next("timeout")
    site.far.fail_next("throttled", times=2)
    run = site.order()
    site.over()

    for _ in range(2):
        site.later(5)
        site.over()
        assert state(site, run) == (Name.SUBMITTING, 1)
        assert site.now_of(run).submit_seq == 1

    site.later(5)
    site.over()
    assert [start.submit_seq for start in site.far.started()] == [1]


def test_past_the_tokens_life_an_unknown_outcome_has_crashed_and_a_late_container_must_not_start(site: Site) -> None:
    site.far.behave(event_copies=0, token_life=4.0, visibility_delay=1000.0)
    site.declare(token_life=4 * SECOND, visibility_delay=timedelta(0))
    site.far.fail_next("reply lost")
    run = site.order()
    site.over()
    [start] = site.far.started()

    site.later(5)
    site.over()

    assert state(site, run) == (Name.CRASHED, 1)
    assert "it may have run" in site.now_of(run).state.message
    with pytest.raises(Conflict):
        claim(site, run)
    assert site.far.started() == [start]


class WithoutTokens(FakeCloud):
    """In general a repeat is safe; where this one sends its runs none is, and its containers have to be cleaned up."""

    def traits_of(self, target: Target) -> Traits:
        return replace(self.traits, token_life=timedelta(0), cleanup_after=timedelta(hours=1))


def test_where_no_repeat_is_safe_an_unanswered_submission_is_not_repeated(site: Site) -> None:
    without_events(site)
    site.cloud = WithoutTokens(site.far)
    site.far.fail_next("timeout")
    run = site.order()
    site.over()
    submitted = site.far.counts()["submit"]

    site.later(6)
    site.over()

    assert state(site, run) == (Name.CRASHED, 1)
    assert "it may have run" in site.now_of(run).state.message
    assert site.far.counts()["submit"] == submitted
    assert site.now_of(run).attempts[-1].cleanup_seconds == 3600


def test_the_find_that_is_not_answered_is_asked_again(site: Site) -> None:
    without_events(site)
    site.far.fail_next("reply lost")
    site.far.fail_next("timeout", call="find")
    run = site.order()
    site.over()

    site.later(5)
    site.over()
    assert state(site, run) == (Name.SUBMITTING, 1)
    site.later(30)
    site.over()

    assert site.handle(run) == site.far.started()[0].handle


def test_two_dispatchers_that_find_nothing_repeat_it_once(site: Site) -> None:
    without_events(site)
    site.far.fail_next("timeout")
    site.order()
    site.over()
    site.later(5)
    submitted = site.far.counts()["submit"]

    dispatchers = [site.dispatcher() for _ in range(3)]
    at_once([lambda d=d: d.over(POOL, until=site.now + MINUTE) for d in dispatchers])  # type: ignore[misc]

    assert site.far.counts()["submit"] == submitted + 1
    assert len(site.far.started()) == 1


def test_a_frozen_dispatcher_whose_no_comes_after_anothers_repeat_gives_no_new_submission(site: Site) -> None:
    """Its request was refused; before it says so another one repeats it, and that one's reply is lost."""
    without_events(site)

    class Frozen(FakeCloud):
        thaw: Callable[[], object] | None = None

        def submit(self, submission: Any) -> Any:
            outcome = super().submit(submission)
            turn, self.thaw = self.thaw, None
            if turn is not None:
                turn()
            return outcome

    def meanwhile() -> None:
        site.later(10)
        site.far.fail_next("reply lost")
        site.dispatcher().over(POOL, until=site.now + MINUTE)

    frozen = site.cloud = Frozen(site.far)
    frozen.thaw = meanwhile
    site.far.fail_next("throttled")
    run = site.order()
    site.over()

    assert site.now_of(run).submit_seq == 1
    for _ in range(5):
        site.later(30)
        site.over()
    assert site.far.doubles() == []
    assert len(site.far.started()) == 1


def test_a_handle_that_comes_too_late_is_cancelled_where_it_was_sent_not_where_the_run_is_by_now(site: Site) -> None:
    asked: list[tuple[str, str]] = []

    class Noting(FakeCloud):
        def cancel(self, target: Target, handle: str) -> None:
            asked.append((target.region, handle))

    first = admitted(site.store, make_run(), request=make_request())
    there = replace(TARGET, region="north")
    sent = replace(first, attempts=(replace(first.attempts[0], target=there),))
    attempts = (
        replace(sent.attempts[0], ended=site.now),
        make_attempt(number=2, target=replace(TARGET, region="south")),
    )
    site.store.move(Move(first, amended(first, attempt=2, attempts=attempts)))

    record(site.context, Noting(site.far), sent, Accepted("fake/7"), first=True)

    assert asked == [("north", "fake/7")]


def test_a_handle_whose_run_was_deleted_meanwhile_is_cancelled(site: Site) -> None:
    class Slow(FakeCloud):
        def submit(self, submission: Any) -> Any:
            outcome = super().submit(submission)
            run = site.now_of(FlowRunRef(submission.run_id))
            over = Move(run, amended(run, slots=(), state=replace(run.state, name=Name.CRASHED)))
            site.store.move(over)
            site.store.delete_run(over.after)
            return outcome

    site.cloud = Slow(site.far)
    site.order()
    site.over()

    assert len(site.far.started()) == 1
    assert site.far.live() == []


def FlowRunRef(run_id: str) -> FlowRun:  # noqa: N802
    return make_run(id=run_id)


# the circuit


def circuit(site: Site) -> Any:
    return pulses.pulse_of(site.store, POOL).circuit


def test_what_holds_for_the_whole_pool_opens_its_circuit_and_its_runs_wait(site: Site) -> None:
    site.far.fail_next("denied")
    first = site.order()

    done = site.over()

    assert circuit(site).reason.startswith("access denied")
    assert state(site, first) == (Name.SCHEDULED, 1)
    assert done.come_back == circuit(site).until == site.now + 30 * SECOND
    site.order()
    site.later(29)
    assert site.over().admitted == 0


def test_the_cloud_may_say_until_when(site: Site) -> None:
    site.far.fail_next("quota")
    site.order()

    site.over()

    assert circuit(site).until == site.now + MINUTE


def test_when_its_time_has_come_one_probe_is_made_and_closes_it(site: Site) -> None:
    site.far.fail_next("denied")
    for _ in range(3):
        site.order()
    site.over()
    started_before = len(site.far.started())
    site.later(31)
    site.wakes.take()

    done = site.over()

    assert done.admitted == 1
    assert len(site.far.started()) == started_before + 1
    assert circuit(site) is None
    assert (POOL, None, 0) in site.wakes.take()
    site.over()
    assert len(site.far.started()) == 3


def test_a_probe_that_fails_keeps_it_open_for_longer(site: Site) -> None:
    site.far.fail_next("denied", times=2)
    site.order()
    site.over()
    opened = circuit(site)
    site.later(30)

    site.over()

    assert circuit(site).since == opened.since
    assert (circuit(site).failures, circuit(site).until) == (2, site.now + MINUTE)


@pytest.mark.parametrize(("kind", "closes"), [("throttled", True), ("rejected", True), ("timeout", False)])
def test_a_probe_that_is_answered_at_all_closes_it(site: Site, kind: str, closes: bool) -> None:
    site.far.fail_next("denied")
    site.order()
    site.over()
    site.far.fail_next(kind)
    site.later(31)

    site.over()

    assert (circuit(site) is None) is closes


def test_of_two_dispatchers_one_probes(site: Site) -> None:
    pulses.opened(site.store, POOL, PoolUnavailable("denied"), site.now)
    for _ in range(3):
        site.order()
    site.later(30)
    site.far.behave(hold_before=0.02)

    dispatchers = [site.dispatcher() for _ in range(2)]
    done = at_once([lambda d=d: d.over(POOL, until=site.now + MINUTE) for d in dispatchers])  # type: ignore[misc]

    assert sorted(each.admitted for each in done) in ([0, 1], [1, 2])


def test_while_it_is_open_what_is_active_is_looked_after(site: Site) -> None:
    without_events(site)
    site.declare(pushes_events=False)
    run = site.order()
    site.over()
    pulses.opened(site.store, POOL, PoolUnavailable("denied"), site.now)
    site.far.finish(site.handle(run))
    site.later(60)

    site.over()

    assert state(site, run) == (Name.COMPLETED, 1)


def test_a_circuit_of_a_pool_that_is_being_deleted_does_not_bring_passes_back_again_and_again(site: Site) -> None:
    site.order()
    site.over()
    pulses.opened(site.store, POOL, PoolUnavailable("denied"), site.now)
    pools.delete_pool(site.context, POOL, force=True)
    site.later(120)

    done = site.over()

    assert done.come_back is None or done.come_back > site.now


# collisions


def test_cancel_running_stops_the_running_one_for_the_newest_and_supersedes_the_rest(site: Site) -> None:
    site.deploy(concurrency_limit=1, collision_strategy="CANCEL_RUNNING")
    site.far.behave(stop_seconds=10)
    running = site.order()
    started(site, running)
    site.later(60)
    older, newest = site.store.create_run(late_run(site, minutes=0.5)), site.store.create_run(late_run(site))

    site.over()
    assert state(site, running) == (Name.CANCELLING, 1)
    assert state(site, older) == (Name.CANCELLED, 1)
    assert state(site, newest) == (Name.AWAITING_CONCURRENCY_SLOT, 1)
    site.over()
    site.over()
    assert state(site, newest) == (Name.AWAITING_CONCURRENCY_SLOT, 1)

    site.later(10)
    site.hear()
    site.over()

    assert state(site, running) == (Name.CANCELLED, 1)
    assert "superseded" in site.now_of(running).state.message
    assert site.now_of(newest).is_active
    assert site.far.highest("deployment")["etl"] == 1


def test_cancel_running_of_a_deployment_with_three_slots_stops_one_at_a_time(site: Site) -> None:
    site.deploy(concurrency_limit=3, collision_strategy="CANCEL_RUNNING")
    site.far.behave(stop_seconds=10)
    running = [site.store.create_run(late_run(site, minutes=9 - n)) for n in range(3)]
    site.over()
    site.hear()
    newest = site.order()

    for _ in range(4):
        site.over()
        site.later(2)
    assert [site.now_of(run).state.name for run in running] == [Name.CANCELLING, Name.RUNNING, Name.RUNNING]
    site.later(10)
    site.hear()
    site.over()

    assert [site.now_of(run).state.name for run in running] == [Name.CANCELLED, Name.RUNNING, Name.RUNNING]
    assert site.now_of(newest).is_active


def test_cancel_new_cancels_what_comes_while_one_runs(site: Site) -> None:
    site.deploy(concurrency_limit=1, collision_strategy="CANCEL_NEW")
    first = site.order()
    site.over()
    second = site.order()

    site.over()

    assert site.now_of(first).is_active
    assert state(site, second) == (Name.CANCELLED, 1)


def test_a_failed_runs_retry_waits_for_the_newer_one_and_does_not_stop_it(site: Site) -> None:
    site.deploy(concurrency_limit=1, collision_strategy="CANCEL_RUNNING", retries=1, retry_delay_seconds=10)
    first = site.order()
    site.over()
    site.far.finish(site.handle(first), 1)
    site.hear()
    newer = site.order()
    site.over()
    assert site.now_of(newer).is_active

    site.later(10)
    for _ in range(3):
        site.over()
        site.later(1)
    assert site.now_of(newer).state.type is StateType.PENDING
    assert state(site, first) == (Name.AWAITING_CONCURRENCY_SLOT, 2)
    site.far.finish(site.handle(newer))
    site.hear()
    site.over()

    assert state(site, newer) == (Name.COMPLETED, 1)
    assert site.now_of(first).is_active


# timeouts, heartbeats, cancels


def test_over_its_timeout_a_run_is_stopped_and_timed_out_once_it_has(site: Site) -> None:
    site.deploy(timeout_seconds=60)
    site.far.behave(stop_seconds=20)
    run = site.order()
    started(site, run)

    site.later(60)
    site.over()
    assert state(site, run) == (Name.STOPPING, 1)
    assert site.far.counts()["cancel"] == 1
    site.later(19)
    site.over()
    assert site.now_of(run).slots

    site.later(1)
    site.hear()

    after = site.now_of(run)
    assert (after.state.name, after.state.message) == (Name.TIMED_OUT, "over its timeout of 60 s")


def test_what_does_not_listen_is_told_again_and_keeps_its_slot(site: Site) -> None:
    site.pool(concurrency_limit=1)
    site.deploy(timeout_seconds=60)
    site.far.behave(stop_seconds=None)
    run, waiting = site.order(), None
    started(site, run)
    site.later(60)
    site.over()
    waiting = site.order()

    for _ in range(4):
        site.later(15)
        site.over()

    assert site.far.counts()["cancel"] == 5
    assert not site.now_of(waiting).is_active


def test_a_cancel_that_is_not_delivered_is_sent_again(site: Site) -> None:
    run = site.order()
    started(site, run)
    site.far.fail_next("timeout", call="cancel")
    site.cancel(run)

    site.over()
    assert state(site, run) == (Name.CANCELLING, 1)
    site.later(15)
    site.over()
    site.hear()

    assert state(site, run) == (Name.CANCELLED, 1)


def test_a_container_that_falls_silent_is_stopped_and_tried_again(site: Site) -> None:
    site.deploy(retries=1)
    run = site.order()
    started(site, run)
    for _ in range(2):
        site.later(120)
        site.beat(run)
        site.over()
    assert state(site, run) == (Name.RUNNING, 1)

    for _ in range(3):
        site.later(100)
        site.over()
    site.hear()

    assert state(site, run) == (Name.AWAITING_RETRY, 2)
    assert "no heartbeat" in site.now_of(run).state.message


@pytest.mark.parametrize("down", [160, 299, 300, 3600])
def test_after_we_were_away_nobody_is_lost_who_could_not_be_heard(site: Site, down: float) -> None:
    """The container beats every 120 s, and within a minute after we are back."""
    run = site.order()
    started(site, run)
    site.later(119)
    site.over()
    site.later(down)

    site.over()
    for _ in range(5):
        site.later(10)
        site.over()
    site.beat(run)

    assert state(site, run) == (Name.RUNNING, 1)


class Slow(MemoryStore):
    """What was read of the pool may be from a moment ago."""

    read: Sequence[ActiveEntry] | None = None

    def active(self, pool: str) -> Sequence[ActiveEntry]:
        return super().active(pool) if self.read is None else self.read


def test_a_slow_start_that_was_looked_at_is_not_lost_when_it_is_claimed(site: Site) -> None:
    store = Slow()
    site.store, site.context = store, site.on(store)
    site.pool()
    site.deploy()
    site.far.behave(start_seconds=600, event_copies=0)
    site.declare(pushes_events=False)
    run = site.order()
    for _ in range(10):
        site.over()
        site.later(60)

    store.read = store.active(POOL)
    claim(site, run)
    site.over()

    assert state(site, run) == (Name.RUNNING, 1)


def test_what_is_not_running_by_its_start_deadline_is_a_free_attempt(site: Site) -> None:
    without_events(site)
    site.far.behave(start_seconds=100_000)
    run = site.order()
    site.over()

    for _ in range(17):
        site.later(60)
        site.over()

    assert site.now_of(run).attempt == 2
    assert site.now_of(run).free_attempts == 1


def test_cancelled_while_it_waits_it_never_starts(site: Site) -> None:
    run = site.order()

    site.cancel(run)
    site.over()

    assert state(site, run) == (Name.CANCELLED, 1)
    assert site.far.started() == []


def test_cancelled_while_it_is_pending_its_container_is_stopped(site: Site) -> None:
    site.far.behave(start_seconds=60)
    run = site.order()
    site.over()
    site.cancel(run)

    site.over()
    site.hear()

    assert state(site, run) == (Name.CANCELLED, 1)
    assert site.far.live() == []


def test_cancelled_while_it_runs_its_container_is_stopped(site: Site) -> None:
    run = site.order()
    started(site, run)
    site.cancel(run)
    with pytest.raises(Conflict):
        site.beat(run)

    site.over()
    site.hear()

    assert state(site, run) == (Name.CANCELLED, 1)


def test_cancelled_with_its_reply_lost_the_container_is_found_and_stopped(site: Site) -> None:
    without_events(site)
    site.far.fail_next("reply lost")
    run = site.order()
    site.over()
    site.cancel(run)

    site.over()
    assert state(site, run) == (Name.CANCELLING, 1)
    site.later(15)
    site.over()

    assert state(site, run) == (Name.CANCELLED, 1)
    assert site.far.live() == []


def test_cancelled_with_nothing_started_it_ends_when_nothing_can_come_any_more(site: Site) -> None:
    site.far.fail_next("timeout")
    run = site.order()
    site.over()
    site.cancel(run)

    site.over()
    assert state(site, run) == (Name.CANCELLING, 1)
    site.later(5)
    site.over()

    assert state(site, run) == (Name.CANCELLED, 1)
    assert site.far.started() == []


def test_cancelled_between_its_submission_and_the_answer_it_is_stopped_at_once(site: Site) -> None:
    class Slow(FakeCloud):
        def submit(self, submission: Any) -> Any:
            outcome = super().submit(submission)
            site.cancel(make_run(id=submission.run_id))
            return outcome

    site.cloud = Slow(site.far)
    run = site.order()

    site.over()

    assert site.far.live() == []
    site.hear()
    assert state(site, run) == (Name.CANCELLED, 1)


# further attempts


def test_a_failed_run_is_tried_again_after_its_delay(site: Site) -> None:
    site.deploy(retries=1, retry_delay_seconds=30)
    run = site.order()
    site.over()
    site.far.finish(site.handle(run), 1)
    site.hear()
    assert state(site, run) == (Name.AWAITING_RETRY, 2)

    site.later(29)
    site.over()
    assert len(site.far.started()) == 1
    site.later(1)
    site.over()
    site.far.finish(site.handle(run), 1)
    site.hear()

    assert state(site, run) == (Name.FAILED, 2)
    assert [(start.attempt, start.submit_seq) for start in site.far.started()] == [(1, 1), (2, 1)]


def test_a_lost_host_is_a_free_attempt_but_not_for_ever(site: Site) -> None:
    run = site.order()

    for _ in range(FREE_ATTEMPTS + 3):
        site.over()
        if site.now_of(run).is_active:
            site.far.crash(site.handle(run))
            site.hear()
        site.later(60)

    assert state(site, run) == (Name.CRASHED, FREE_ATTEMPTS + 1)
    assert len(site.far.started()) == FREE_ATTEMPTS + 1
    assert site.now_of(run).retries_used == 0


def test_what_is_over_is_forgotten_now_and_then_and_not_with_every_tick(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def purge(before: datetime, *, limit: int) -> int:
        asked.append(before)
        return 0

    monkeypatch.setattr(site.store, "purge", purge)
    dispatcher = site.dispatcher()

    for _ in range(15):
        dispatcher.tick(until=site.now + MINUTE)
        site.later(60)

    assert len(asked) == 2


def test_what_the_cloud_forgets_without_a_word_is_noticed(site: Site) -> None:
    run = site.order()
    site.over()
    site.hear()
    site.far.lose(site.handle(run))

    site.later(600)
    site.over()

    assert state(site, run) == (Name.AWAITING_RETRY, 2)


def test_events_that_are_late_doubled_and_out_of_order_come_to_the_same(site: Site) -> None:
    site.far.behave(event_copies=2, newest_event_first=True, event_delay=30)
    run = site.order()
    site.over()
    site.far.finish(site.handle(run), 0)
    site.later(30)

    site.hear()

    assert state(site, run) == (Name.COMPLETED, 1)


# rates


def test_no_more_is_admitted_than_the_clouds_rate_allows_and_the_rest_comes_back(site: Site) -> None:
    site.far.behave(burst=2, per_second=1.0)
    site.declare()
    runs = [site.order() for _ in range(5)]

    done = site.over()

    assert done.admitted == 2
    assert done.come_back is not None
    assert done.come_back <= site.now + SECOND
    assert sum(site.now_of(run).state.name is Name.SCHEDULED for run in runs) == 3
    for _ in range(3):
        site.later(1)
        site.over()
    assert len(site.far.started()) == 5
    assert "submit: throttled" not in site.far.counts()


def test_the_rate_is_one_for_all_dispatchers(site: Site) -> None:
    site.far.behave(burst=3, per_second=1.0)
    site.declare()
    for _ in range(9):
        site.order()

    for _ in range(3):
        site.dispatcher().over(POOL, until=site.now + MINUTE)

    assert len(site.far.started()) == 3


def test_a_pass_that_was_asked_for_goes_on_at_the_clouds_rate(site: Site) -> None:
    site.declare(rates={"submit": (Rate(4, 4.0),)})
    for _ in range(20):
        site.order()
    begun = site.now

    done = site.woken()

    assert (done.admitted, done.more) == (20, False)
    assert (site.now - begun).total_seconds() == pytest.approx(16 / 4.0, abs=0.75)


def test_a_pass_that_waits_for_the_cloud_ends_in_time_and_asks_for_the_next(site: Site) -> None:
    site.declare(rates={"submit": (Rate(2, 1.0),)})
    for _ in range(60):
        site.order()
    begun, until = site.now, site.now + timedelta(seconds=60)

    done = site.woken(seconds=60, hops=3)

    assert done.more
    assert begun < site.now <= until - site.cloud.traits.submit_deadline + SECOND
    assert (POOL, None, 4) in site.wakes.take()


def test_a_tick_does_not_wait_for_the_cloud_while_other_pools_wait_for_it(site: Site) -> None:
    site.declare(rates={"submit": (Rate(2, 1.0),)})
    for _ in range(5):
        site.order()

    site.tick()

    assert site.slept == []
    assert POOL in [pool for pool, _, _ in site.wakes.take()]


def test_one_that_the_cloud_does_not_answer_for_holds_up_no_other(site: Site) -> None:
    class Deaf(FakeCloud):
        def describe_many(self, target: Target, handles: Sequence[str]) -> Mapping[str, Observation]:
            return {handle: seen for handle, seen in super().describe_many(target, handles).items() if handle != deaf}

    without_events(site)
    runs = [site.order() for _ in range(3)]
    site.over()
    deaf = site.handle(runs[1])
    site.cloud = Deaf(site.far)
    for run in runs:
        site.far.finish(site.handle(run))

    site.later(700)
    site.over()

    assert [site.now_of(run).is_final for run in runs] == [True, False, True]


def test_each_region_has_a_budget_of_its_own_and_a_run_that_was_refused_goes_to_the_next(site: Site) -> None:
    site.declare(rates={"submit": (Window(2, HOUR),)})
    site.pool(variables={"fake": {"regions": ["east", "west"]}})
    for _ in range(3):
        site.order()
    site.far.fail_next("throttled", times=2)

    site.woken()
    site.later(5)
    site.woken()

    regions = [run.attempts[-1].target.region for run in site.runs() if run.is_active]
    assert regions == ["west", "west"]
    waiting = next(run for run in site.runs() if not run.is_active)
    assert why(site.store, waiting, site.now).startswith("work pool 'pool' starts no more until 13:0")


def test_what_others_were_faster_to_admit_is_given_back_to_the_budget(site: Site, interrupted: Interrupted) -> None:
    site.declare(rates={"submit": (Window(6, HOUR),)})
    for _ in range(3):
        site.order()
    other = site.dispatcher()
    interrupted.before_admission = lambda: other.over(POOL, until=site.now + MINUTE)

    site.over()
    for _ in range(4):
        site.order()
    site.over()

    assert len(site.far.started()) == 6


def test_a_budget_that_is_used_up_for_long_is_not_waited_for_and_says_until_when(site: Site) -> None:
    site.declare(rates={"submit": (Window(2, HOUR),)})
    for _ in range(3):
        site.order()

    done = site.woken()

    assert (done.admitted, site.slept) == (2, [])
    spent = pulses.pulse_of(site.store, POOL).spent
    assert spent is not None
    assert site.now + HOUR < spent.until < site.now + HOUR + 2 * MINUTE
    assert spent.reason == "as many were started in cloud as may be: 2 in 3600 s"
    site.clock.move(spent.until - site.now)
    site.tick()
    assert len(site.far.started()) == 3


class Inline(ThreadPoolExecutor):
    """Has done what it is given before it returns."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*args, **kwargs))
        return done


def test_however_many_answers_come_at_once_they_are_recorded(site: Site) -> None:
    body = {"pool": POOL, "deployment": "etl", "configuration": {}, "environment": {}}
    admissions = [make_admission(site.store.create_run(make_run()), request=Request(TARGET, body)) for _ in range(150)]
    for start in range(0, 150, 25):
        site.store.admit(admissions[start : start + 25])

    with Inline() as threads:
        submitter = Submitter(site.context, site.cloud, threads)
        submitter.start(admissions)
        submitter.drain()

    assert submitter.accepted == 150
    assert {run.state.name for run in site.runs()} == {Name.INFRASTRUCTURE_PENDING}


# what is left behind


def test_what_the_cloud_keeps_is_cleaned_up_after_the_end(site: Site) -> None:
    site.far.behave(keeps=True)
    site.declare()
    run = site.order()
    site.over()
    site.far.finish(site.handle(run))
    site.hear()
    assert site.far.left() == [site.handle(run)]

    site.over()

    assert site.far.left() == []


def test_a_clean_up_that_fails_is_done_later(site: Site) -> None:
    site.far.behave(keeps=True, run_seconds=0)
    site.declare()
    site.far.fail_next("timeout", call="cleanup")
    site.order()
    site.over()
    site.hear()

    site.over()
    assert site.far.left() != []
    site.later(10)
    site.over()

    assert site.far.left() == []


def test_finished_runs_are_forgotten_after_their_retention(site: Site) -> None:
    site.far.behave(run_seconds=0)
    run = site.order()
    site.over()
    site.hear()
    site.clock.move(site.context.patience.retention - SECOND)
    site.tick()
    assert site.store.get_run(run.id) is not None

    site.clock.move(FORGETTING_EVERY)
    site.tick()

    assert site.store.get_run(run.id) is None


# deleted pools


def test_a_deleted_pool_starts_nothing_finishes_what_runs_and_is_gone(site: Site) -> None:
    site.far.behave(keeps=True)
    site.declare()
    running = site.order()
    site.over()
    waiting = site.order()
    pools.delete_pool(site.context, POOL, force=True)

    site.tick()
    assert state(site, waiting) == (Name.CANCELLED, 1)
    assert site.now_of(running).is_active
    site.far.finish(site.handle(running))
    site.hear()
    site.tick()
    site.tick()

    assert state(site, running) == (Name.COMPLETED, 1)
    assert site.far.left() == []
    assert records.read(site.store, WorkPool, POOL) is None


def test_a_retry_in_a_pool_that_is_being_deleted_is_cancelled(site: Site) -> None:
    site.deploy(retries=3)
    run = site.order()
    site.over()
    pools.delete_pool(site.context, POOL, force=True)
    site.far.finish(site.handle(run), 1)
    site.hear()

    site.tick()

    assert state(site, run) == (Name.CANCELLED, 2)


def test_a_retry_whose_deployment_has_left_the_pool_that_is_being_deleted_goes_after_it(site: Site) -> None:
    site.deploy(retries=1)
    run = site.order()
    site.over()
    site.pool("other")
    site.deploy(retries=1, pool="other")
    pools.delete_pool(site.context, POOL, force=True)
    site.far.finish(site.handle(run), 1)
    site.hear()

    site.tick()
    site.tick()

    assert (site.now_of(run).pool, site.now_of(run).is_active) == ("other", True)
    assert records.read(site.store, WorkPool, POOL) is None


# deployments that move


def test_a_waiting_run_whose_deployment_moved_starts_in_the_other_pool(site: Site) -> None:
    site.pool("other")
    run = site.order()
    stale = site.now_of(run)
    site.deploy(pool="other")
    moved = site.now_of(run)
    site.store.move(Move(moved, amended(moved, pool=stale.pool, queue=stale.queue)))

    site.wakes.take()
    site.over()
    assert ("other", None, 0) in site.wakes.take()
    site.over("other")

    assert site.now_of(run).pool == "other"
    assert site.now_of(run).is_active


def test_a_moved_deployments_limit_counts_its_runs_in_the_pool_that_it_left(site: Site) -> None:
    site.pool("other")
    site.deploy(concurrency_limit=2)
    first, second = site.order(), site.order()
    site.over()
    site.deploy(pool="other", concurrency_limit=2)
    third = site.order()

    site.over("other")
    assert not site.now_of(third).is_active
    site.far.finish(site.handle(first))
    site.hear()
    site.over("other")

    assert site.now_of(third).is_active
    assert site.now_of(second).pool == POOL


def test_a_limit_that_was_set_after_the_move_counts_them_too(site: Site) -> None:
    site.pool("other")
    first = site.order()
    site.over()
    site.deploy(pool="other", concurrency_limit=1)
    second = site.order()

    site.over("other")
    assert not site.now_of(second).is_active
    site.far.finish(site.handle(first))
    site.hear()
    site.over("other")

    assert site.now_of(second).is_active


# time


def test_a_pass_without_time_left_wakes_itself_with_a_bound_on_hops(site: Site) -> None:
    run = site.order()
    site.wakes.take()

    first = site.over(seconds=1, hops=0)
    last = site.over(seconds=1, hops=MAX_HOPS)

    assert (first.more, first.admitted, last.more) == (True, 0, True)
    assert site.wakes.take() == [(POOL, None, 1)]
    assert state(site, run) == (Name.SCHEDULED, 1)


def test_a_pass_that_runs_out_of_time_has_recorded_what_it_submitted(site: Site) -> None:
    for _ in range(60):
        site.order()
    deadline = site.now + 80 * SECOND

    class Ticking(FakeCloud):
        def submit(self, submission: Any) -> Any:
            site.later(1)
            return super().submit(submission)

    site.cloud = Ticking(site.far, traits=replace(site.cloud.traits, submit_deadline=40 * SECOND, parallel=2))
    done = site.dispatcher().over(POOL, until=deadline)

    assert done.more
    assert 0 < done.admitted < 60
    assert len(site.far.started()) == done.accepted == done.admitted
    assert len(site.runs(StateType.PENDING)) == done.admitted


def test_what_is_admitted_and_not_sent_in_time_is_left_to_a_repeat(site: Site) -> None:
    """A function may be frozen between two submissions, and thawed any time later."""
    runs = [site.order() for _ in range(2)]

    class Frozen(FakeCloud):
        def submit(self, submission: Any) -> Any:
            outcome = super().submit(submission)
            site.later(self.traits.submit_deadline.total_seconds())
            return outcome

    site.cloud = Frozen(site.far, traits=replace(site.cloud.traits, parallel=1))
    site.dispatcher().over(POOL, until=site.now + 2 * MINUTE)

    assert len(site.far.started()) == 1
    assert all(site.now_of(run).state.type is StateType.PENDING for run in runs)
    site.later(90)
    site.over()
    assert len(site.far.started()) == 2
    assert site.far.doubles() == []


def test_where_no_repeat_is_safe_what_was_not_sent_in_time_starts_anew(site: Site) -> None:
    runs = [site.order() for _ in range(2)]

    class Frozen(WithoutTokens):
        def submit(self, submission: Any) -> Any:
            outcome = super().submit(submission)
            site.later(self.traits.submit_deadline.total_seconds())
            return outcome

    site.cloud = Frozen(site.far, traits=replace(site.cloud.traits, parallel=1))
    site.dispatcher().over(POOL, until=site.now + 2 * MINUTE)

    assert sorted(site.now_of(run).state.type for run in runs) == [StateType.PENDING, StateType.SCHEDULED]
    site.later(90)
    site.over()
    assert len(site.far.started()) == 2
    assert site.far.doubles() == []


def test_a_pass_that_fails_leaves_nothing_to_be_sent_behind_it(site: Site) -> None:
    for _ in range(60):
        site.order()

    class Failing(MemoryStore):
        commits = 0

        def admit(self, admissions: Any) -> None:
            self.commits += 1
            if self.commits == 2:
                raise StoreUnavailable("throttled")
            super().admit(admissions)

    store = Failing()
    store._data = site.store._data  # type: ignore[attr-defined]
    site.far.behave(hold_before=0.02)
    dispatcher = site.dispatcher(site.on(store))
    with pytest.raises(StoreUnavailable):
        dispatcher.over(POOL, until=site.now + MINUTE)

    sent = len(site.far.started())
    dispatcher.close()
    assert len(site.far.started()) == sent < 25


def test_a_look_that_is_far_off_is_left_to_the_tick(site: Site) -> None:
    site.order()
    site.over()
    site.wakes.take()

    again = site.over()

    assert again.come_back is not None
    assert again.come_back > site.now + MINUTE
    assert site.wakes.take() == []


def test_a_pass_with_nothing_to_do_asks_for_nothing(site: Site) -> None:
    site.wakes.take()

    assert site.over().come_back is None
    assert site.wakes.take() == []


def test_a_pass_comes_back_when_somebody_must_have_been_heard_of(site: Site) -> None:
    site.order()

    done = site.over()

    [entry] = site.store.active(POOL)
    assert done.come_back == entry.check_at


def test_no_pass_brings_itself_back_at_once_twice_in_a_row(site: Site) -> None:
    """Whatever state it is in: what is done once is done."""
    site.far.behave(stop_seconds=None)
    site.pool(concurrency_limit=2)
    site.deploy(concurrency_limit=1, collision_strategy="CANCEL_RUNNING")
    for _ in range(3):
        site.order()
        passes = [site.over() for _ in range(6)]
        assert passes[-1].come_back is None or passes[-1].come_back > site.now


# which pools, which queues


def test_a_tick_serves_every_pool(site: Site) -> None:
    site.pool("other")
    site.deploy("second", pool="other")
    runs = [site.order(), site.order("second")]

    site.tick()

    assert all(site.now_of(run).is_active for run in runs)


@pytest.mark.parametrize("error", [AdapterUnavailable("boto3 is missing"), ValueError("a bug")])
def test_a_pool_that_cannot_be_served_does_not_hold_up_the_others(site: Site, error: Exception) -> None:
    site.pool("a-first")
    site.deploy("second", pool="a-first")
    site.order("second")
    run = site.order()
    calls: list[str] = []

    def infrastructure(kind: str) -> Infrastructure:
        calls.append(kind)
        if len(calls) == 1:
            raise error
        return site.cloud

    site.context = replace(site.context, infrastructure=infrastructure)

    site.tick()

    assert site.now_of(run).is_active


def test_a_schedule_whose_dates_cannot_be_told_here_does_not_hold_up_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timezone that this machine does not know any more."""
    site.deploy("bad", schedules=[{"cron": "* * * * *", "timezone": "Europe/Berlin"}])
    site.deploy("good", schedules=[{"cron": "* * * * *", "timezone": "UTC"}])
    from dispatcher import wall_clock
    from dispatcher.errors import ScheduleError

    known = wall_clock.zone

    def zone(name: str) -> Any:
        if name == "Europe/Berlin":
            raise ScheduleError(f"timezone {name!r} is unknown")
        return known(name)

    monkeypatch.setattr(wall_clock, "zone", zone)
    change = replace(site.deployment("bad"), unsettled=True)
    records.write(site.store, change)
    from dispatcher.settling import mark

    mark(site.context, "bad", site.now)
    run = site.order()

    site.tick()

    assert site.now_of(run).is_active
    assert site.runs(deployment="good")


def test_a_pass_may_be_limited_to_queues_by_name_or_prefix(site: Site) -> None:
    runs = {name: site.order(queue=name) for name in ("etl-a", "etl-b", "other", "third")}

    site.over(selection=Selection(queues=frozenset({"other"}), match=("etl-",)))

    assert {name for name, run in runs.items() if site.now_of(run).is_active} == {"etl-a", "etl-b", "other"}


def test_a_pass_may_be_limited_in_how_many_it_brings_the_pool_to(site: Site) -> None:
    runs = [site.order() for _ in range(5)]

    site.over(selection=Selection(limit=3))
    site.over(selection=Selection(limit=3))

    assert sum(site.now_of(run).is_active for run in runs) == 3


def test_a_pass_may_look_further_ahead_than_its_pool_says(site: Site) -> None:
    run = site.order(scheduled_time=site.now + MINUTE)

    site.over(selection=Selection(prefetch_seconds=60))

    assert site.now_of(run).is_active


def test_a_pool_that_is_not_there_is_no_error(site: Site) -> None:
    assert site.over("nowhere").admitted == 0


# what goes wrong holds nobody up


@pytest.mark.parametrize("call", ["find", "describe_many", "cancel"])
def test_an_adapters_bug_in_a_look_holds_up_neither_other_runs_nor_what_is_due(site: Site, call: str) -> None:
    without_events(site)
    site.declare(pushes_events=False)
    if call == "find":
        site.far.fail_next("timeout")
    broken = site.order()
    site.over()
    other = site.order()
    site.over()
    site.far.finish(site.handle(other))
    waiting = site.order(scheduled_time=site.now + 2 * MINUTE)
    site.later(120)
    if call == "cancel":
        site.cancel(broken)

    class Buggy(FakeCloud):
        def find(self, *args: Any) -> Any:
            raise KeyError("a bug")

        def describe_many(self, target: Any, handles: Sequence[str]) -> Any:
            if call == "describe_many":
                raise KeyError("a bug")
            return super().describe_many(target, handles)

        def cancel(self, target: Any, handle: str) -> None:
            raise KeyError("a bug")

    site.cloud = Buggy(site.far, traits=site.cloud.traits)
    done = site.over()

    assert site.now_of(waiting).is_active
    assert not site.now_of(broken).is_final
    assert site.now_of(other).is_final == (call != "describe_many")
    assert done.come_back is None or done.come_back > site.now


def test_a_record_that_cannot_be_read_does_not_hold_up_what_is_due(site: Site) -> None:
    """As one that a newer version wrote."""
    site.deploy("newer", schedules=[{"cron": "* * * * *"}])
    record = site.store.get("deployment", "newer")
    assert record is not None
    site.store.put(replace(record, body={**record.body, "on_unknown": "something new"}))
    run = site.order()

    site.tick()

    assert site.now_of(run).is_active


# repairs


class Leaky(MemoryStore):
    def lose_run(self, run_id: str) -> None:
        del self._data.runs[run_id]


def test_an_entry_without_its_run_is_removed(site: Site) -> None:
    store = Leaky()
    site.store, site.context = store, site.on(store)
    site.pool(concurrency_limit=1)
    site.deploy()
    run = site.order()
    site.over()
    store.lose_run(run.id)
    waiting = site.order()
    site.later(600)

    site.over()

    assert [entry.run_id for entry in store.active(POOL)] == [waiting.id]


def test_a_retired_key_holds_up_its_own_run_and_no_other(site: Site) -> None:
    """Against all advice a signing key was removed while an attempt that it signed had still to be repeated."""
    without_events(site)
    site.far.fail_next("timeout")
    stuck = site.order()
    site.over()
    site.context = replace(site.context, keys=KeyRing({"k2": b"2" * 32}, "k2"))
    waiting = site.order()
    site.later(5)

    site.dispatcher(site.context).over(POOL, until=site.now + MINUTE)

    assert site.now_of(waiting).is_active
    assert state(site, stuck) == (Name.SUBMITTING, 1)


@pytest.mark.parametrize("runner", [True, False])
def test_parameters_that_nobody_would_fetch_are_refused_and_not_left_out(site: Site, runner: bool) -> None:
    site.declare(parameters_bytes=100)
    site.pool(base_job_template={"job_configuration": {"fake": {}, "runner": runner}, "variables": {}})
    run = site.order(parameters={"text": "x" * 100})

    site.over()

    found = site.now_of(run)
    assert found.is_active is runner
    assert ("without the runner" in found.state.message) is not runner
