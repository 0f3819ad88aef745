"""What to admit: a pure function of what was read. Strict priority across queues, oldest first within one.

Invariant: reads no clock, writes nothing, knows no store; that a limit holds is decided by the commit, not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dispatcher.deployments import CollisionStrategy, Deployment
from dispatcher.errors import AdmissionRefused
from dispatcher.limits import Held, Names
from dispatcher.pools import WorkPool, WorkQueue
from dispatcher.ports import Admission
from dispatcher.runs import FlowRun, Slot, StateType


@dataclass(slots=True)
class Plan:
    """What a pass should do with its candidates. A candidate in none of the lists stays as it is."""

    admit: list[tuple[FlowRun, tuple[Slot, ...]]] = field(default_factory=list)
    park: list[tuple[FlowRun, str]] = field(default_factory=list)  # with the reason
    cancel: list[tuple[FlowRun, str]] = field(default_factory=list)
    relocate: list[FlowRun] = field(default_factory=list)  # their deployment names another pool by now
    make_room: list[str] = field(default_factory=list)  # deployments of which one active run is to be stopped


def plan(
    pool: WorkPool,
    queues: Sequence[WorkQueue],
    candidates: Iterable[FlowRun],
    held: Held,
    *,
    deployments: Mapping[str, Deployment],
    now: datetime,
    room: int | None = None,
) -> Plan:
    """Which of `candidates` start, wait aside, are cancelled or belong elsewhere.

    `deployments` by id, without those that are gone. `room`: how many can still be submitted.
    """
    result = Plan()
    by_name = {queue.name: queue for queue in queues}
    fit = [run for run in candidates if _fits(run, pool, deployments.get(run.deployment_id), now, result)]
    due = [run for run in fit if _is_due(run, pool, by_name.get(run.queue), now)]
    names = _names(pool, queues, deployments, held)
    rivals = _rivals(due, deployments, names)
    older = {key: runs[max(1, len(names.of_deployment[key] or ())) :] for key, runs in rivals.items()}
    aside = {run.id for runs in older.values() for run in runs}
    placed: set[str] = set()
    for run in sorted((run for run in due if run.id not in aside), key=lambda run: _order(run, by_name)):
        if room is not None and len(result.admit) >= room:
            break
        if _place(run, deployments[run.deployment_id], names, result):
            placed.add(run.id)
    for key, runs in older.items():
        newest = rivals[key][0].id
        if newest in placed:
            result.cancel += [(run, f"superseded by run {newest}") for run in runs]
    return result


def left_of(batch: Sequence[Admission], refused: AdmissionRefused) -> list[Admission]:
    """What others have left of a refused batch: runs that are as they were, in slots that were not taken.

    In the order of the plan, so that none gets a slot before one that precedes it: a run that lacks one, since others
    have it, may find another when it is planned anew, and leaves its place in the other limits free until then. Empty
    if the refusal names nothing.
    """
    same = [item for item in batch if item.before.id not in refused.changed]
    free: dict[tuple[str, str], list[Slot]] = {}
    for item in same:
        for slot in item.after.slots:
            if slot not in refused.taken:
                free.setdefault(_whose(item, slot), []).append(slot)
    left = []
    for item in same:
        names = [free.get(_whose(item, slot)) for slot in item.after.slots]
        slots = tuple(of_limit.pop(0) for of_limit in names if of_limit)
        if len(slots) == len(names):
            left.append(replace(item, after=replace(item.after, slots=slots)))
    return left if len(left) < len(batch) else []


def _whose(item: Admission, slot: Slot) -> tuple[str, str]:
    """Which runs may have a slot instead of that one: any in its limit, or only the run that it is named by."""
    return slot.limit, slot.name if slot.name == item.before.id else ""


def due_before(pool: WorkPool, now: datetime) -> datetime:
    """Runs due until then are candidates."""
    return now + timedelta(seconds=pool.prefetch_seconds)


def _is_due(run: FlowRun, pool: WorkPool, queue: WorkQueue | None, now: datetime) -> bool:
    """Only a first try is prefetched: the runner waits for the scheduled time, not for the end of a delay."""
    if pool.paused or queue is None or queue.paused:
        return False
    return run.due_at <= (due_before(pool, now) if run.due_at == run.scheduled_time else now)


def _order(run: FlowRun, queues: Mapping[str, WorkQueue]) -> tuple[int, datetime, str]:
    priority = queues[run.queue].priority if run.queue in queues else 0
    return (priority, run.due_at, run.id)


def _fits(run: FlowRun, pool: WorkPool, deployment: Deployment | None, now: datetime, result: Plan) -> bool:
    """Whether the run may be admitted here at all; sorts those that may not into the plan."""
    if run.state.type is not StateType.SCHEDULED:
        return False
    if deployment is None or deployment.deleted:
        result.cancel.append((run, f"deployment {run.deployment!r} was deleted"))
    elif deployment.pool != run.pool or run.pool != pool.name:
        result.relocate.append(run)
    elif reason := stale(run, deployment, now):
        result.cancel.append((run, reason))
    elif deployment.paused:
        if not run.parked:
            result.park.append((run, f"deployment {deployment.name!r} is paused"))
    else:
        return True
    return False


def stale(run: FlowRun, deployment: Deployment, now: datetime) -> str | None:
    """Why a run that was never admitted must not start any more."""
    if run.was_admitted:
        return None
    if run.schedule_id is not None:
        schedule = next((s for s in deployment.schedules if s.id == run.schedule_id), None)
        if schedule is None or schedule.version != run.schedule_version:
            return "its schedule was changed or deleted"
    lateness = run.max_lateness_seconds
    if lateness is not None and now - run.scheduled_time > timedelta(seconds=lateness):
        return f"over its max_lateness_seconds of {lateness}"
    return None


def _names(pool: WorkPool, queues: Sequence[WorkQueue], deployments: Mapping[str, Deployment], held: Held) -> Names:
    return Names(
        pool.name,
        held.in_pool(pool.concurrency_limit),
        {queue.name: held.in_queue(pool.name, queue.name, queue.concurrency_limit) for queue in queues},
        {d.id: held.in_deployment(d.id, d.concurrency_limit) for d in deployments.values()},
    )


def _rivals(due: Sequence[FlowRun], deployments: Mapping[str, Deployment], names: Names) -> dict[str, list[FlowRun]]:
    """Due runs of each CANCEL_RUNNING deployment, the newest first: it replaces those that find no slot besides it."""
    mine: dict[str, list[FlowRun]] = {}
    for run in sorted(due, key=lambda run: (run.scheduled_time, run.id), reverse=True):
        deployment = deployments[run.deployment_id]
        replaces = deployment.collision_strategy is CollisionStrategy.CANCEL_RUNNING
        if replaces and names.of_deployment[deployment.id] is not None and not run.was_admitted:
            mine.setdefault(deployment.id, []).append(run)
    return mine


def _place(run: FlowRun, deployment: Deployment, names: Names, result: Plan) -> bool:
    """Admit the run if every limit has a name left; else say what becomes of it. True if it starts or is made room."""
    lacking = names.lacks(run.queue, deployment.id)
    if lacking is None:
        result.admit.append((run, names.take(run.id, run.queue, deployment.id)))
        return True
    return lacking == "deployment" and _collide(run, deployment, result)


def _collide(run: FlowRun, deployment: Deployment, result: Plan) -> bool:
    """The deployment is at its limit, and nothing else is in the way. True if another run has to make room."""
    reason = f"deployment {deployment.name!r} is at its limit of {deployment.concurrency_limit}"
    strategy = deployment.collision_strategy
    if strategy is CollisionStrategy.CANCEL_NEW and not run.was_admitted:
        result.cancel.append((run, f"{reason} (collision strategy CANCEL_NEW)"))
        return False
    if not run.parked:
        result.park.append((run, reason))
    replaces = strategy is CollisionStrategy.CANCEL_RUNNING and not run.was_admitted
    if not replaces or not deployment.concurrency_limit:
        return False
    result.make_room.append(deployment.id)
    return True
