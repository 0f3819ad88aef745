"""The catalogue's records as pools, queues, deployments and pulses, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from dispatcher.deployments import Deployment
from dispatcher.documents import from_document, to_document
from dispatcher.pools import PoolPulse, WorkPool, WorkQueue
from dispatcher.ports import Record, Store

POOL, QUEUE, DEPLOYMENT, PULSE = "work-pool", "work-queue", "deployment", "pool-pulse"

E = TypeVar("E", WorkPool, WorkQueue, Deployment, PoolPulse)

_KINDS: dict[type, str] = {WorkPool: POOL, WorkQueue: QUEUE, Deployment: DEPLOYMENT, PoolPulse: PULSE}


def _address(entity: WorkPool | WorkQueue | Deployment | PoolPulse) -> tuple[str, str]:
    """(key, parent)."""
    match entity:
        case WorkPool():
            return entity.name, ""
        case WorkQueue():
            return f"{entity.pool}/{entity.name}", entity.pool
        case Deployment():
            return entity.name, entity.pool
        case PoolPulse():
            return entity.pool, ""


def _record(entity: WorkPool | WorkQueue | Deployment | PoolPulse) -> Record:
    key, parent = _address(entity)
    return Record(_KINDS[type(entity)], key, to_document(entity), parent, entity.version)


def _entity(kind: type[E], record: Record) -> E:
    return replace(from_document(kind, record.body), version=record.version)


def read(store: Store, kind: type[E], key: str) -> E | None:
    record = store.get(_KINDS[kind], key)
    return _entity(kind, record) if record is not None else None


def write(store: Store, entity: E) -> E:
    """Store it on the version it carries. :raises RecordChanged: somebody was quicker."""
    return replace(entity, version=store.put(_record(entity)).version)


def remove(store: Store, entity: WorkPool | WorkQueue | Deployment | PoolPulse) -> None:
    """:raises RecordChanged: somebody was quicker."""
    store.delete(_record(entity))


def each(store: Store, kind: type[E], *, parent: str | None = None) -> Iterator[E]:
    """All of them by key, read in pages."""
    after: str | None = None
    while True:
        page = store.list(_KINDS[kind], parent=parent, after=after)
        yield from (_entity(kind, record) for record in page.items)
        after = page.after
        if after is None:
            return


def queues_of(store: Store, pool: str) -> list[WorkQueue]:
    """By priority, the first to be served first."""
    return sorted(each(store, WorkQueue, parent=pool), key=lambda queue: (queue.priority, queue.name))
