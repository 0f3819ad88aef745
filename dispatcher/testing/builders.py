"""Well-made values for tests: say what matters, the rest is filled in.

Everything happens at `NOW`; ids are new with every call unless they are made of a word or a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from dispatcher.deployments import Deployment
from dispatcher.pools import DEFAULT_QUEUE, WorkPool, WorkQueue
from dispatcher.ports import Admission, Cursor, Move, OutboxEntry, Record, Request, Store
from dispatcher.runs import (
    Actor,
    Attempt,
    FlowRun,
    Name,
    Slot,
    State,
    Target,
    deployment_limit,
    moved,
    pool_limit,
    queue_limit,
    with_attempt,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = Target("process", account="local")
POOL = "pool"

_numbers = count()


def make_id(word: str | None = None) -> str:
    """The id that belongs to `word`; without a word a new one."""
    return str(uuid5(NAMESPACE_URL, f"test/{next(_numbers)}" if word is None else f"test/word/{word}"))


def ordered_id(number: int) -> str:
    """An id that sorts by its number."""
    return str(UUID(int=number))


def make_pool(*, name: str = POOL, type: str = "process", **changes: Any) -> WorkPool:  # noqa: A002
    return WorkPool(name=name, type=type, created=NOW, updated=NOW, **changes)


def make_queue(*, pool: str = POOL, name: str = DEFAULT_QUEUE, priority: int = 1, **changes: Any) -> WorkQueue:
    return WorkQueue(pool=pool, name=name, priority=priority, created=NOW, updated=NOW, **changes)


def make_deployment(*, name: str = "etl", pool: str = POOL, queue: str = DEFAULT_QUEUE, **changes: Any) -> Deployment:
    """The deployment that `make_run` makes runs of."""
    fields: dict[str, Any] = {"id": make_id(name), "created": NOW, "updated": NOW}
    return Deployment(name=name, pool=pool, queue=queue, **{**fields, **changes})


def make_run(
    *,
    id: str | None = None,  # noqa: A002
    deployment: str = "etl",
    due_in: timedelta = timedelta(0),
    state: Name = Name.SCHEDULED,
    **changes: Any,
) -> FlowRun:
    """A run that was never admitted, scheduled for `due_in` after `NOW` and due then, unless said else."""
    run_id = make_id() if id is None else id
    scheduled_time = changes.pop("scheduled_time", NOW + due_in)
    fields: dict[str, Any] = {
        "id": run_id,
        "name": f"run-{run_id[:8]}",
        "deployment": deployment,
        "deployment_id": make_id(deployment),
        "pool": POOL,
        "queue": DEFAULT_QUEUE,
        "scheduled_time": scheduled_time,
        "due_at": scheduled_time,
        "state": State(state, NOW),
        "created": NOW,
        "history": (State(state, NOW),),
    }
    return FlowRun(**{**fields, **changes})


def make_attempt(*, number: int = 1, submit_seq: int = 1, at: datetime = NOW, **changes: Any) -> Attempt:
    fields: dict[str, Any] = {
        "target": TARGET,
        "admitted_at": at,
        "start_deadline": at + timedelta(minutes=15),
        "key_id": "k1",
        "token_expires": at + timedelta(days=1),
    }
    return Attempt(number=number, submit_seq=submit_seq, **{**fields, **changes})


def make_request(*, target: Target = TARGET, **body: Any) -> Request:
    return Request(target, {"command": ["python", "-m", "job"], "env": {"A": "1"}, **body})


def make_slots(
    run: FlowRun, *, name: str | None = None, queue: str | None = None, deployment: str | None = None
) -> tuple[Slot, ...]:
    """The pool's slot, named by the run unless named, and one of the queue and the deployment if named."""
    slots = [Slot(pool_limit(run.pool), run.id if name is None else name)]
    if queue is not None:
        slots.append(Slot(queue_limit(run.pool, run.queue), queue))
    if deployment is not None:
        slots.append(Slot(deployment_limit(run.deployment_id), deployment))
    return tuple(slots)


def make_admission(
    run: FlowRun,
    *,
    slot: str | None = None,
    queue_slot: str | None = None,
    deployment_slot: str | None = None,
    request: Request | None = None,
    at: datetime = NOW,
    check_in: timedelta = timedelta(minutes=1),
) -> Admission:
    """`run` into PENDING/Submitting with those slots, as `make_slots` has them."""
    attempt = make_attempt(number=run.attempt, submit_seq=run.submit_seq, at=at)
    earlier = tuple(old for old in run.attempts if old.number != run.attempt)
    after = moved(
        run,
        Name.SUBMITTING,
        actor=Actor.DISPATCHER,
        at=at,
        attempts=(*earlier, attempt),
        slots=make_slots(run, name=slot, queue=queue_slot, deployment=deployment_slot),
        parked=False,
    )
    return Admission(run, after, request or make_request(), at + check_in)


def admitted(store: Store, run: FlowRun, **how: Any) -> FlowRun:
    """The run, stored if it is not yet, after its admission; `how` as in `make_admission`."""
    admission = make_admission(store.create_run(run), **how)
    store.admit([admission])
    return admission.after


def parked(store: Store, run: FlowRun) -> FlowRun:
    """The run, stored if it is not yet, waiting for a slot of its deployment."""
    move = park(store.create_run(run))
    store.move(move)
    return move.after


def park(run: FlowRun, *, at: datetime = NOW) -> Move:
    after = moved(run, Name.AWAITING_CONCURRENCY_SLOT, actor=Actor.DISPATCHER, at=at, parked=True)
    return Move(run, after)


def unpark(run: FlowRun, *, at: datetime = NOW) -> Move:
    return Move(run, moved(run, Name.SCHEDULED, actor=Actor.DISPATCHER, at=at, parked=False))


def cancel(run: FlowRun, *, at: datetime = NOW) -> Move:
    """A SCHEDULED run, cancelled at once."""
    changes: dict[str, Any] = {"parked": False, "ended": at, "expires_at": at + timedelta(days=30)}
    return Move(run, moved(run, Name.CANCELLED, actor=Actor.USER, at=at, **changes))


def start(run: FlowRun, *, at: datetime = NOW, check_at: datetime | None = None) -> Move:
    """The first RUNNING word of a container."""
    attempts = with_attempt(run, claimed_by="instance-1", started=at)
    return Move(run, moved(run, Name.RUNNING, actor=Actor.CONTAINER, at=at, started=at, attempts=attempts), check_at)


def end(
    run: FlowRun,
    *,
    name: Name = Name.COMPLETED,
    at: datetime = NOW,
    expires_at: datetime | None = None,
    outbox: Iterable[OutboxEntry] = (),
) -> Move:
    """The end of the run and of its attempt, by the cloud's word."""
    after = moved(
        run,
        name,
        actor=Actor.CLOUD,
        at=at,
        ended=at,
        slots=(),
        expires_at=at + timedelta(days=30) if expires_at is None else expires_at,
        attempts=with_attempt(run, ended=at, outcome=name.value),
    )
    return Move(run, after, outbox=tuple(outbox))


def refuse(run: FlowRun, *, at: datetime = NOW, due_in: timedelta = timedelta(seconds=5)) -> Move:
    """A definite no to the submission: SCHEDULED again, the same attempt with the next `submit_seq`."""
    changes: dict[str, Any] = {"slots": (), "due_at": at + due_in, "submit_seq": run.submit_seq + 1}
    return Move(run, moved(run, Name.SCHEDULED, actor=Actor.DISPATCHER, at=at, **changes))


def retry(run: FlowRun, *, actor: Actor = Actor.CLOUD, at: datetime = NOW, due_in: timedelta = timedelta(0)) -> Move:
    """A further attempt: of an active run by the cloud's word, of one that has ended by a user's."""
    changes: dict[str, Any] = {
        "slots": (),
        "due_at": at + due_in,
        "attempt": run.attempt + 1,
        "submit_seq": 1,
        "expires_at": None,
    }
    return Move(run, moved(run, Name.AWAITING_RETRY, actor=actor, at=at, **changes))


def make_record(*, kind: str = "work-pool", key: str = POOL, parent: str = "", version: int = 0, **body: Any) -> Record:
    return Record(kind, key, body, parent, version)


def make_cursor(
    *, schedule_id: str | None = None, deployment: str = "etl", next_at: datetime | None = NOW, **changes: Any
) -> Cursor:
    return Cursor(schedule_id or make_id(), deployment, next_at, **{"schedule_version": 1, **changes})


def make_outbox_entry(
    *,
    id: str | None = None,  # noqa: A002
    kind: str = "cleanup",
    pool: str = POOL,
    due_at: datetime = NOW,
    run_id: str | None = None,
    body: Mapping[str, Any] | None = None,
) -> OutboxEntry:
    run_id = run_id or make_id()
    return OutboxEntry(id or f"{kind}/{run_id}/1", kind, pool, run_id, due_at, body or {"handle": "h-1"})
