"""Creating, cancelling, retrying and deleting runs as people ask for it, in whatever state they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.catalogue import deployments, flow_runs, pools, queues
from dispatcher.deployments import Deployment
from dispatcher.dispatch import FORGETTING_EVERY
from dispatcher.errors import Conflict, InvalidInput, NotFound, TooLarge
from dispatcher.forms import MAX_PARAMETERS_BYTES, RunForm
from dispatcher.pools import WorkPool
from dispatcher.ports import Move, RunFilter
from dispatcher.runs import FINAL, Actor, FlowRun, Name, Policy, StateType, Stop, StopReason, amended, moved
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    end,
    make_attempt,
    make_id,
    make_run,
    park,
    refuse,
    retry,
    start,
)
from dispatcher.testing.memory import MemoryStore

if TYPE_CHECKING:
    from tests.unit.conftest import Site

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture
def pool(site: Site) -> WorkPool:
    return site.pool()


# creating runs


def test_a_run_is_made_of_its_deployment_and_its_form(site: Site, pool: WorkPool) -> None:
    site.deploy(parameters={"a": 1, "b": 1}, tags=["x", "y"], retries=2)

    run = site.order(parameters={"b": 2}, tags=["y", "z"], name="mine", job_variables={"image": "c"})

    assert (run.parameters, run.tags, run.name) == ({"a": 1, "b": 2}, ("x", "y", "z"), "mine")
    assert (run.job_variables, run.policy, run.state.name) == ({"image": "c"}, Policy(retries=2), Name.SCHEDULED)
    assert (run.pool, run.queue, run.queue_pinned) == (POOL, "default", False)
    assert run.scheduled_time == run.due_at == site.now
    assert site.now_of(run) == run


def test_a_run_for_now_wakes_its_pool_at_once_and_a_later_one_in_time(site: Site, pool: WorkPool) -> None:
    site.deploy()
    site.wakes.take()

    site.order()
    site.order(scheduled_time=site.now + 60 * SECOND)

    assert site.wakes.take() == [(POOL, None, 0), (POOL, site.now + 50 * SECOND, 0)]


def test_a_run_may_name_its_own_queue_and_stays_there(site: Site, pool: WorkPool) -> None:
    site.deploy()
    run = site.order(queue="mine")
    site.deploy(queue="other")

    assert (site.now_of(run).queue, run.queue_pinned) == ("mine", True)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"parameters": {"n": "one"}}, InvalidInput),
        ({"parameters": {"n": 1}, "job_variables": {"image": 3}}, InvalidInput),
        ({"parameters": {"n": 1, "text": "x" * MAX_PARAMETERS_BYTES}}, TooLarge),
        ({"parameters": {"n": 1}, "tags": [str(n) for n in range(50)]}, TooLarge),
    ],
)
def test_a_refused_run_is_not_created(site: Site, pool: WorkPool, form: dict[str, Any], error: type[Exception]) -> None:
    site.deploy(parameter_schema=SCHEMA, tags=["one more"])

    with pytest.raises(error):
        site.order(**form)

    assert site.runs() == []


def test_a_deployment_whose_pool_is_gone_or_going_takes_no_runs(site: Site, pool: WorkPool) -> None:
    site.deploy()
    pools.delete_pool(site.context, POOL, force=True)

    with pytest.raises(InvalidInput, match="was deleted"):
        site.order()


# idempotency keys


def create(site: Site, deployment: str = "etl", **form: Any) -> tuple[FlowRun, bool]:
    return flow_runs.create_run(site.context, deployment, RunForm(**form))


def test_the_same_key_with_the_same_body_gives_the_run_that_is_there(site: Site, pool: WorkPool) -> None:
    site.deploy()
    first, was_new = create(site, idempotency_key="k", parameters={"n": 1})
    site.later(60)

    again, is_new = create(site, idempotency_key="k", parameters={"n": 1})

    assert (again, was_new, is_new) == (first, True, False)
    assert len(site.runs()) == 1


def test_the_same_key_with_another_body_is_refused(site: Site, pool: WorkPool) -> None:
    site.deploy()
    create(site, idempotency_key="k", parameters={"n": 1})

    with pytest.raises(Conflict, match="with another body"):
        create(site, idempotency_key="k", parameters={"n": 2})


def test_a_key_gives_its_run_in_whatever_state_that_is_by_then(site: Site, pool: WorkPool) -> None:
    site.deploy()
    run, _ = create(site, idempotency_key="k")
    site.cancel(run)

    again, is_new = create(site, idempotency_key="k")

    assert (again.id, again.state.name, is_new) == (run.id, Name.CANCELLED, False)


def test_a_key_is_its_deployments_own(site: Site, pool: WorkPool) -> None:
    site.deploy()
    site.deploy("other")

    first, second = create(site, idempotency_key="k")[0], create(site, "other", idempotency_key="k")[0]
    deployments.delete_deployment(site.context, "etl")
    site.deploy()
    third = create(site, idempotency_key="k", parameters={"n": 1})[0]

    assert len({first.id, second.id, third.id}) == 3


def test_a_key_is_kept_for_seven_days(site: Site, pool: WorkPool) -> None:
    site.deploy()
    first, _ = create(site, idempotency_key="k")
    site.clock.move(7 * DAY - SECOND)
    site.tick()
    assert create(site, idempotency_key="k")[0].id == first.id

    site.clock.move(FORGETTING_EVERY)
    site.tick()
    assert create(site, idempotency_key="k", parameters={"n": 1})[1] is True


def test_without_a_key_each_call_is_a_run(site: Site, pool: WorkPool) -> None:
    site.deploy()

    assert create(site)[0].id != create(site)[0].id


# a run in every state


FINAL_NAMES = (Name.COMPLETED, Name.FAILED, Name.TIMED_OUT, Name.CRASHED)


def admit(run: FlowRun) -> Move:
    raise NotImplementedError("an admission is no move")


def accept(run: FlowRun) -> Move:
    return Move(run, amended(run, attempts=(make_attempt(handle="fake/1"),)))


def stop(run: FlowRun) -> Move:
    asked = Stop(StopReason.CANCELLED, NOW, "cancelled on request")
    return Move(run, moved(run, Name.CANCELLING, actor=Actor.USER, at=NOW, stop=asked))


STEPS: Mapping[Name, list[Callable[[FlowRun], Move]]] = {
    Name.SCHEDULED: [],
    Name.AWAITING_CONCURRENCY_SLOT: [park],
    Name.AWAITING_RETRY: [admit, partial(retry, due_in=60 * SECOND)],
    Name.LATE: [admit, partial(refuse, due_in=60 * SECOND)],  # it stands for one that was refused for now
    Name.SUBMITTING: [admit],
    Name.INFRASTRUCTURE_PENDING: [admit, accept],
    Name.RUNNING: [admit, accept, start],
    Name.CANCELLING: [admit, accept, start, stop],
    **{name: [admit, accept, start, partial(end, name=name)] for name in FINAL_NAMES},
}


def in_state(site: Site, name: Name) -> FlowRun:
    """A run of `etl` that got there step by step."""
    run = site.store.create_run(make_run(deployment_id=site.deployment().id))
    for step in STEPS[name]:
        run = admitted(site.store, run) if step is admit else move(site, step(run))
    return run


def move(site: Site, step: Move) -> FlowRun:
    site.store.move(step)
    return step.after


WAITING = [Name.SCHEDULED, Name.AWAITING_CONCURRENCY_SLOT, Name.AWAITING_RETRY, Name.LATE]
ACTIVE = [Name.SUBMITTING, Name.INFRASTRUCTURE_PENDING, Name.RUNNING]
ENDED = FINAL_NAMES


@pytest.fixture
def deployment(site: Site, pool: WorkPool) -> Deployment:
    return site.deploy()


@pytest.mark.parametrize("name", WAITING)
def test_a_waiting_run_is_cancelled_at_once(site: Site, deployment: Deployment, name: Name) -> None:
    after = flow_runs.cancel_run(site.context, in_state(site, name).id, "not wanted")

    assert (after.state.name, after.state.message, after.parked) == (Name.CANCELLED, "not wanted", False)
    assert after.expires_at == site.now + site.context.patience.retention
    assert site.now_of(after) == after


@pytest.mark.parametrize("name", ACTIVE)
def test_an_active_run_is_told_to_stop_and_keeps_its_slots_until_it_has(
    site: Site, deployment: Deployment, name: Name
) -> None:
    run = in_state(site, name)
    site.wakes.take()

    after = site.cancel(run)

    assert (after.state.name, after.slots) == (Name.CANCELLING, run.slots)
    [entry] = site.store.active(POOL)
    assert entry.check_at == site.now
    assert (POOL, None, 0) in site.wakes.asked


def test_cancelling_twice_is_cancelling_once(site: Site, deployment: Deployment) -> None:
    run = in_state(site, Name.CANCELLING)

    assert site.cancel(run) == run == site.now_of(run)


@pytest.mark.parametrize("name", [*ENDED, Name.CANCELLED])
def test_what_has_ended_cannot_be_cancelled(site: Site, deployment: Deployment, name: Name) -> None:
    run = site.cancel(in_state(site, Name.SCHEDULED)) if name is Name.CANCELLED else in_state(site, name)

    with pytest.raises(Conflict, match="has ended already"):
        site.cancel(run)

    assert site.now_of(run) == run


def test_a_cancel_that_meets_other_changes_is_made_on_the_run_as_it_is(site: Site) -> None:
    class Late(MemoryStore):
        times = 3

        def move(self, move: Move) -> None:
            if self.times:
                self.times -= 1
                run = self.get_run(move.before.id)
                assert run is not None
                super().move(Move(run, amended(run)))
            super().move(move)

    store = Late()
    site.store, site.context = store, site.on(store)
    run = store.create_run(make_run())

    assert site.cancel(run).state.name is Name.CANCELLED


def test_many_are_cancelled_those_too_that_are_stopped_to_start_elsewhere(site: Site) -> None:
    site.pool()
    site.deploy()
    moving, told = site.order(), site.order()
    site.over()
    for run, reason in ((moving, StopReason.NOT_STARTED), (told, StopReason.CANCELLED)):
        before = site.now_of(run)
        stop = Stop(reason, site.now, "no capacity")
        site.store.move(
            Move(
                before, moved(before, Name.STOPPING, actor=Actor.DISPATCHER, at=site.now, stop=stop), check_at=site.now
            )
        )

    assert flow_runs.cancel_matching(site.context, RunFilter()) == (1, False)

    stopping = site.now_of(moving).stop
    assert stopping is not None
    assert stopping.reason is StopReason.CANCELLED


@pytest.mark.parametrize("name", ENDED)
def test_a_finished_run_is_retried_in_a_new_attempt_with_its_budgets_given_back(
    site: Site, deployment: Deployment, name: Name
) -> None:
    run = in_state(site, name)
    spent = move(site, Move(run, amended(run, retries_used=2, free_attempts=3, late_noticed=True, exit_code=1)))
    site.wakes.take()

    after = flow_runs.retry_run(site.context, spent.id)

    assert (after.state.name, after.attempt, after.submit_seq) == (Name.AWAITING_RETRY, 2, 1)
    assert (after.retries_used, after.free_attempts, after.late_noticed) == (0, 0, False)
    assert (after.ended, after.exit_code, after.expires_at, after.due_at) == (None, None, None, site.now)
    assert after.attempts == spent.attempts
    assert site.wakes.take() == [(POOL, None, 0)]


def test_a_run_that_was_cancelled_before_it_began_is_retried_in_its_first_attempt(
    site: Site, deployment: Deployment
) -> None:
    run = site.cancel(in_state(site, Name.SCHEDULED))

    assert flow_runs.retry_run(site.context, run.id).attempt == 1


def test_a_retried_run_is_not_bound_to_its_schedule_or_lateness_any_more(site: Site, deployment: Deployment) -> None:
    run = site.store.create_run(
        make_run(deployment_id=deployment.id, schedule_id=make_id("s"), schedule_version=1, max_lateness_seconds=1)
    )
    site.cancel(run)
    site.later(3600)

    after = flow_runs.retry_run(site.context, run.id)
    site.over()

    assert site.now_of(after).is_active


@pytest.mark.parametrize("name", [*WAITING, *ACTIVE, Name.CANCELLING])
def test_what_has_not_ended_cannot_be_retried(site: Site, deployment: Deployment, name: Name) -> None:
    run = in_state(site, name)

    with pytest.raises(Conflict, match="has not ended"):
        flow_runs.retry_run(site.context, run.id)

    assert site.now_of(run) == run


def test_a_run_of_a_deployment_that_is_gone_or_another_by_now_cannot_be_retried(
    site: Site, deployment: Deployment
) -> None:
    run = in_state(site, Name.FAILED)
    deployments.delete_deployment(site.context, "etl")
    with pytest.raises(NotFound):
        flow_runs.retry_run(site.context, run.id)

    site.deploy()

    with pytest.raises(Conflict, match="earlier deployment"):
        flow_runs.retry_run(site.context, run.id)


def test_a_retry_goes_where_its_deployment_is_by_now(site: Site, deployment: Deployment) -> None:
    run = in_state(site, Name.FAILED)
    site.pool("other")
    site.deploy(pool="other", queue="fast")

    after = flow_runs.retry_run(site.context, run.id)

    assert (after.pool, after.queue) == ("other", "fast")


def test_a_retry_does_not_wait_in_a_queue_that_is_gone(site: Site, deployment: Deployment) -> None:
    site.queue("fast")
    run = in_state(site, Name.FAILED)
    move(site, Move(run, amended(run, queue="fast", queue_pinned=True)))
    queues.delete_queue(site.context, POOL, "fast")

    flow_runs.retry_run(site.context, run.id)
    site.over()

    assert site.now_of(run).is_active
    assert site.now_of(run).queue == "default"


def test_without_a_pool_there_is_no_retry(site: Site, deployment: Deployment) -> None:
    run = in_state(site, Name.FAILED)
    pools.delete_pool(site.context, POOL, force=True)

    with pytest.raises(Conflict, match="was deleted"):
        flow_runs.retry_run(site.context, run.id)

    assert site.now_of(run).state.name is Name.FAILED


@pytest.mark.parametrize("name", [Name.SCHEDULED, *ENDED])
def test_what_is_not_active_can_be_deleted(site: Site, deployment: Deployment, name: Name) -> None:
    run = in_state(site, name)

    flow_runs.delete_run(site.context, run.id)

    assert site.store.get_run(run.id) is None


@pytest.mark.parametrize("name", [*ACTIVE, Name.CANCELLING])
def test_what_is_active_cannot_be_deleted(site: Site, deployment: Deployment, name: Name) -> None:
    run = in_state(site, name)

    with pytest.raises(Conflict, match="cancel it first"):
        flow_runs.delete_run(site.context, run.id)

    assert site.now_of(run) == run


def test_a_run_is_found_however_its_id_is_written(site: Site, deployment: Deployment) -> None:
    run = in_state(site, Name.SCHEDULED)

    assert flow_runs.run_with_id(site.context, run.id.upper().replace("-", "")) == run


# many at once


def test_all_that_match_and_have_not_ended_are_cancelled(site: Site, deployment: Deployment) -> None:
    runs = {name: in_state(site, name) for name in (*WAITING, *ACTIVE, Name.CANCELLING, *ENDED)}

    told, more = flow_runs.cancel_matching(site.context, RunFilter(deployment="etl"))

    assert (told, more) == (len(WAITING) + len(ACTIVE), False)
    types = {name: site.now_of(run).state.type for name, run in runs.items()}
    assert {types[name] for name in WAITING} == {StateType.CANCELLED}
    assert {types[name] for name in ACTIVE} == {StateType.CANCELLING}
    assert all(site.now_of(runs[name]) == runs[name] for name in ENDED)


def test_only_those_that_match_are_cancelled(site: Site, deployment: Deployment) -> None:
    waiting, running = in_state(site, Name.SCHEDULED), in_state(site, Name.RUNNING)

    assert flow_runs.cancel_matching(site.context, RunFilter(types=frozenset({StateType.RUNNING}))) == (1, False)
    assert flow_runs.cancel_matching(site.context, RunFilter(types=FINAL)) == (0, False)

    assert site.now_of(waiting) == waiting
    assert site.now_of(running).state.name is Name.CANCELLING


def test_cancelling_many_stops_at_its_limit_and_says_that_there_are_more(site: Site, deployment: Deployment) -> None:
    for _ in range(250):
        in_state(site, Name.SCHEDULED)

    first = flow_runs.cancel_matching(site.context, RunFilter(deployment="etl"), limit=200)
    second = flow_runs.cancel_matching(site.context, RunFilter(deployment="etl"), limit=200)

    assert (first, second) == ((200, True), (50, False))
