"""The `Store` on SQLite: each method is one transaction around what the other modules do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from adapters.stores.sqlite import moves as changes
from adapters.stores.sqlite import owed, records, runs
from adapters.stores.sqlite.file import Database
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

_WAIT_SECONDS = 10.0


class SqliteStore:
    """A file for all processes and threads of one machine; it must not lie on a network drive.

    A call waits at most `wait_seconds` for other writers, then raises StoreUnavailable. A forked process opens
    the file anew: it must not use what its parent opened.
    """

    def __init__(self, path: str, *, wait_seconds: float = _WAIT_SECONDS) -> None:
        self._db = Database(path, wait_seconds=wait_seconds)

    def close(self) -> None:
        """Give the file back; the last to close it empties the log. Further calls raise StoreUnusable."""
        self._db.close()

    def get(self, kind: str, key: str) -> Record | None:
        with self._db.reading() as db:
            return records.get(db, kind, key)

    def put(self, record: Record) -> Record:
        with self._db.writing() as db:
            return records.put(db, record)

    def delete(self, record: Record) -> None:
        with self._db.writing() as db:
            records.delete(db, record)

    def get_cursor(self, schedule_id: str) -> Cursor | None:
        with self._db.reading() as db:
            return records.get_cursor(db, schedule_id)

    def put_cursor(self, cursor: Cursor) -> Cursor:
        with self._db.writing() as db:
            return records.put_cursor(db, cursor)

    def delete_cursor(self, cursor: Cursor) -> None:
        with self._db.writing() as db:
            records.delete_cursor(db, cursor)

    def cursors_due(self, before: datetime, *, limit: int) -> Sequence[Cursor]:
        with self._db.reading() as db:
            return records.cursors_due(db, before, limit)

    def create_scheduled(self, cursor: Cursor, runs: Sequence[FlowRun], next_at: datetime | None) -> Cursor:
        with self._db.writing() as db:
            return records.create_scheduled(db, cursor, runs, next_at)

    def create_run(self, run: FlowRun, *, keep_key_until: datetime | None = None) -> FlowRun:
        with self._db.writing() as db:
            return runs.create(db, run, keep_key_until)

    def get_run(self, run_id: str) -> FlowRun | None:
        with self._db.reading() as db:
            return runs.get(db, run_id)

    def get_runs(self, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
        with self._db.reading() as db:
            return runs.get_many(db, run_ids)

    def due(self, pool: str, queue: str, before: datetime, *, after: str | None = None, limit: int) -> Page[Candidate]:
        with self._db.reading() as db:
            return runs.due(db, pool, queue, before, after=after, limit=_size(limit))

    def parked(self, pool: str) -> Sequence[str]:
        with self._db.reading() as db:
            return runs.parked(db, pool)

    def parked_runs(self, pool: str, deployment_id: str, *, limit: int) -> Sequence[Candidate]:
        with self._db.reading() as db:
            return runs.parked_runs(db, pool, deployment_id, limit)

    def active(self, pool: str) -> Sequence[ActiveEntry]:
        with self._db.reading() as db:
            return changes.active(db, pool)

    def held(self, limit: str) -> Mapping[str, str]:
        with self._db.reading() as db:
            return changes.held(db, limit)

    def admit(self, admissions: Sequence[Admission]) -> None:
        check_admissions(admissions)
        with self._db.writing() as db:
            changes.admit(db, admissions)

    def request(self, run_id: str, attempt: int) -> Request | None:
        with self._db.reading() as db:
            return changes.request(db, run_id, attempt)

    def move(self, move: Move) -> None:
        check_moves([move])
        with self._db.writing() as db:
            changes.move(db, move)

    def move_each(self, moves: Sequence[Move]) -> frozenset[str]:
        check_moves(moves)
        with self._db.writing() as db:
            return changes.move_each(db, moves)

    def beat(self, entry: Slot, run_id: str, attempt: int, *, heard_at: datetime, check_at: datetime) -> bool:
        with self._db.writing() as db:
            return changes.beat(db, entry, run_id, attempt, heard_at=heard_at, check_at=check_at)

    def restore_entry(self, run: FlowRun, check_at: datetime) -> None:
        with self._db.writing() as db:
            changes.restore_entry(db, run, check_at)

    def drop_entry(self, entry: ActiveEntry) -> None:
        with self._db.writing() as db:
            changes.drop_entry(db, entry)

    def runs(self, wanted: RunFilter, *, after: str | None = None, limit: int = 50) -> Page[FlowRun]:
        with self._db.reading() as db:
            return runs.listing(db, wanted, after, _size(limit))

    def delete_run(self, run: FlowRun) -> None:
        with self._db.writing() as db:
            runs.delete(db, run)

    def purge(self, before: datetime, *, limit: int) -> int:
        with self._db.writing() as db:
            return runs.purge(db, before, limit)

    def outbox_due(self, pool: str, before: datetime, *, limit: int) -> Sequence[OutboxEntry]:
        with self._db.reading() as db:
            return owed.due(db, pool, before, limit)

    def put_outbox(self, entry: OutboxEntry) -> bool:
        with self._db.writing() as db:
            return owed.put(db, entry)

    def settle_outbox(self, entry: OutboxEntry, *, again_at: datetime | None = None) -> None:
        with self._db.writing() as db:
            owed.settle(db, entry, again_at)

    def spend(self, budget: str, wanted: int, rates: Sequence[Limit], now: datetime) -> int:
        with self._db.writing() as db:
            return owed.spend(db, budget, wanted, rates, now)

    def room_at(self, budget: str, rates: Sequence[Limit], now: datetime) -> datetime:
        with self._db.reading() as db:
            return owed.budget_room_at(db, budget, rates, now)

    # Last, for in a class body `list` would from here on be this method.
    def list(self, kind: str, *, parent: str | None = None, after: str | None = None, limit: int = 200) -> Page[Record]:
        with self._db.reading() as db:
            return records.listing(db, kind, parent, after, _size(limit))


def open_store(path: str) -> SqliteStore:
    """The store at a path, or at a URL like `sqlite:///var/lib/pushpool.db`."""
    if path.startswith("sqlite:"):
        path = path.removeprefix("sqlite:").removeprefix("//")
    if not path:
        raise InvalidInput("a SQLite store needs a path, as in sqlite:///var/lib/pushpool.db")
    return SqliteStore(path)


def _size(limit: int) -> int:
    if limit < 1:
        raise InvalidInput(f"limit: {limit}; a page has at least one item", path="limit")
    return limit


if TYPE_CHECKING:
    _: type[Store] = SqliteStore
