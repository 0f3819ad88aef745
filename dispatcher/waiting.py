"""Why a run waits: computed when somebody asks, never written. Pure but for the reads that it is given."""

from __future__ import annotations

from datetime import datetime

from dispatcher import records
from dispatcher.deployments import Deployment
from dispatcher.limits import Held
from dispatcher.pools import WorkPool, WorkQueue
from dispatcher.ports import Store
from dispatcher.pulses import pulse_of, used_up_until
from dispatcher.runs import FlowRun, StateType, deployment_limit

SOON = "a pass is about to look at it"


def why(store: Store, run: FlowRun, now: datetime) -> str:
    """One line for a SCHEDULED run; empty for others."""
    if run.state.type is not StateType.SCHEDULED:
        return ""
    if run.due_at > now:
        return f"due at {run.due_at:%Y-%m-%d %H:%M:%S} UTC"
    pool = records.read(store, WorkPool, run.pool)
    queue = records.read(store, WorkQueue, f"{run.pool}/{run.queue}")
    deployment = records.read(store, Deployment, run.deployment)
    if pool is None or queue is None:
        return f"its work pool {run.pool!r} or queue {run.queue!r} is gone"
    return (
        _paused(pool, queue, deployment)
        or _unavailable(store, pool, now)
        or _full(store, pool, queue, deployment)
        or SOON
    )


def _paused(pool: WorkPool, queue: WorkQueue, deployment: Deployment | None) -> str:
    if pool.paused:
        return f"work pool {pool.name!r} is paused"
    if queue.paused:
        return f"queue {queue.name!r} is paused"
    return f"deployment {deployment.name!r} is paused" if deployment is not None and deployment.paused else ""


def _unavailable(store: Store, pool: WorkPool, now: datetime) -> str:
    pulse = pulse_of(store, pool.name)
    if (circuit := pulse.circuit) is not None:
        return f"work pool {pool.name!r} is unavailable until {circuit.until:%H:%M:%S} UTC: {circuit.reason}"
    if (spent := used_up_until(pulse, now)) is not None:
        return f"work pool {pool.name!r} starts no more until {spent.until:%H:%M:%S} UTC: {spent.reason}"
    return ""


def _full(store: Store, pool: WorkPool, queue: WorkQueue, deployment: Deployment | None) -> str:
    held = Held(list(store.active(pool.name)))
    if held.in_pool(pool.concurrency_limit) == []:
        return f"work pool {pool.name!r} is at its limit of {pool.concurrency_limit}"
    if held.in_queue(pool.name, queue.name, queue.concurrency_limit) == []:
        return f"queue {queue.name!r} is at its limit of {queue.concurrency_limit}"
    if deployment is None or deployment.concurrency_limit is None:
        return ""
    held.deployments[deployment.id] = dict(store.held(deployment_limit(deployment.id)))
    if held.in_deployment(deployment.id, deployment.concurrency_limit) == []:
        return f"deployment {deployment.name!r} is at its limit of {deployment.concurrency_limit}"
    return ""
