"""The `Store` on Firestore: each method is what the other modules do, on one database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from google.cloud.firestore import Client

from adapters import google
from adapters.stores.firestore import listing, owed, records, slots
from adapters.stores.firestore import moves as changes
from adapters.stores.firestore import runs as flow_runs
from adapters.stores.firestore.database import Database
from dispatcher.contract import check_admissions, check_moves
from dispatcher.errors import InvalidInput
from dispatcher.ports import (
    ActiveEntry,
    Admission,
    Candidate,
    Cursor,
    Limit,
    Move,
    OutboxEntry,
    Page,
    Record,
    Request,
    RunFilter,
    Store,
)
from dispatcher.runs import FlowRun, Slot

_WAIT_SECONDS = 8.0
_DEFAULT = "(default)"
# As in API projects.databases.create, but of any length: the emulator takes shorter ones than Google.
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]*")
_DATABASE = re.compile(r"\(default\)|[a-z][a-z0-9-]*")


class FirestoreStore:
    """One database for any number of processes. A call goes on for `wait_seconds`, then raises StoreUnavailable.

    `client`: one that several stores share, made as this one makes its own.
    """

    def __init__(
        self, project: str, database: str = _DEFAULT, *, client: Any = None, wait_seconds: float = _WAIT_SECONDS
    ) -> None:
        self._own_client = None
        if client is None:
            client = Client(project=project, credentials=google.credentials(), database=database)
            self._own_client = client
        self._database = Database(client, wait_seconds)

    def close(self) -> None:
        """Further calls raise StoreUnusable."""
        self._database.close()
        if self._own_client is not None:
            self._own_client.close()

    def get(self, kind: str, key: str) -> Record | None:
        return records.get(self._database, kind, key)

    def put(self, record: Record) -> Record:
        return records.put_record(self._database, record)

    def delete(self, record: Record) -> None:
        records.delete_record(self._database, record)

    def get_cursor(self, schedule_id: str) -> Cursor | None:
        return records.get_cursor(self._database, schedule_id)

    def put_cursor(self, cursor: Cursor) -> Cursor:
        return records.put_cursor(self._database, cursor)

    def delete_cursor(self, cursor: Cursor) -> None:
        records.delete_cursor(self._database, cursor)

    def cursors_due(self, before: datetime, *, limit: int) -> Sequence[Cursor]:
        return records.cursors_due(self._database, before, limit)

    def create_scheduled(self, cursor: Cursor, runs: Sequence[FlowRun], next_at: datetime | None) -> Cursor:
        moved_on, step = records.cursor_step(replace(cursor, next_at=next_at))
        flow_runs.create_scheduled(self._database, step, runs)
        return moved_on

    def create_run(self, run: FlowRun, *, keep_key_until: datetime | None = None) -> FlowRun:
        return flow_runs.create(self._database, run, keep_key_until)

    def get_run(self, run_id: str) -> FlowRun | None:
        return flow_runs.get(self._database, run_id)

    def get_runs(self, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
        return flow_runs.get_many(self._database, run_ids)

    def due(self, pool: str, queue: str, before: datetime, *, after: str | None = None, limit: int) -> Page[Candidate]:
        return flow_runs.due(self._database, pool, queue, before, after=after, limit=_size(limit))

    def parked(self, pool: str) -> Sequence[str]:
        return flow_runs.parked(self._database, pool)

    def parked_runs(self, pool: str, deployment_id: str, *, limit: int) -> Sequence[Candidate]:
        return flow_runs.parked_runs(self._database, pool, deployment_id, limit)

    def active(self, pool: str) -> Sequence[ActiveEntry]:
        return slots.active(self._database, pool)

    def held(self, limit: str) -> Mapping[str, str]:
        return slots.held(self._database, limit)

    def admit(self, admissions: Sequence[Admission]) -> None:
        check_admissions(admissions)
        changes.admit(self._database, admissions)

    def request(self, run_id: str, attempt: int) -> Request | None:
        return changes.request(self._database, run_id, attempt)

    def move(self, move: Move) -> None:
        check_moves([move])
        changes.move(self._database, move)

    def move_each(self, moves: Sequence[Move]) -> frozenset[str]:
        check_moves(moves)
        return changes.move_each(self._database, moves)

    def beat(self, entry: Slot, run_id: str, attempt: int, *, heard_at: datetime, check_at: datetime) -> bool:
        return slots.beat(self._database, entry, run_id, attempt, heard_at, check_at)

    def restore_entry(self, run: FlowRun, check_at: datetime) -> None:
        slots.restore(self._database, run, check_at)

    def drop_entry(self, entry: ActiveEntry) -> None:
        slots.drop(self._database, entry)

    def runs(self, wanted: RunFilter, *, after: str | None = None, limit: int = 50) -> Page[FlowRun]:
        return listing.page(self._database, wanted, after, _size(limit))

    def delete_run(self, run: FlowRun) -> None:
        flow_runs.delete_run(self._database, run)

    def purge(self, before: datetime, *, limit: int) -> int:
        return flow_runs.purge(self._database, before, limit)

    def outbox_due(self, pool: str, before: datetime, *, limit: int) -> Sequence[OutboxEntry]:
        return owed.due(self._database, pool, before, limit)

    def put_outbox(self, entry: OutboxEntry) -> bool:
        return owed.put_new(self._database, entry)

    def settle_outbox(self, entry: OutboxEntry, *, again_at: datetime | None = None) -> None:
        owed.settle(self._database, entry, again_at)

    def spend(self, budget: str, wanted: int, rates: Sequence[Limit], now: datetime) -> int:
        return owed.spend(self._database, budget, wanted, rates, now)

    def room_at(self, budget: str, rates: Sequence[Limit], now: datetime) -> datetime:
        return owed.budget_room_at(self._database, budget, rates, now)

    # Last, for in a class body `list` would from here on be this method.
    def list(self, kind: str, *, parent: str | None = None, after: str | None = None, limit: int = 200) -> Page[Record]:
        return records.listing(self._database, kind, parent, after, _size(limit))


def open_store(address: str) -> FirestoreStore:
    """The store of an address like `firestore://PROJECT/DATABASE`; by itself it is the ambient project's default one.

    :raises InvalidInput: it cannot be told which.
    """
    named, _, database = address.removeprefix("firestore:").removeprefix("//").partition("/")
    project = named or google.project()
    if not _PROJECT.fullmatch(project) or not _DATABASE.fullmatch(database or _DEFAULT):
        raise InvalidInput(
            f"PUSHPOOL_STORE names no Firestore database: {address!r}; it is firestore://PROJECT or "
            "firestore://PROJECT/DATABASE, or GOOGLE_CLOUD_PROJECT says the project"
        )
    return FirestoreStore(project, database or _DEFAULT)


def _size(limit: int) -> int:
    if limit < 1:
        raise InvalidInput(f"limit: {limit}; a page has at least one item", path="limit")
    return limit


if TYPE_CHECKING:
    _: type[Store] = FirestoreStore
