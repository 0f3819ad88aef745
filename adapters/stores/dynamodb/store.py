"""The `Store` on DynamoDB: each method is what the other modules do, on one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from adapters import aws
from adapters.stores.dynamodb import moves as changes
from adapters.stores.dynamodb import owed, records, slots
from adapters.stores.dynamodb import runs as flow_runs
from adapters.stores.dynamodb.calls import Table
from adapters.stores.dynamodb.listing import Listing
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
_AT_ONCE = 16  # single writes and reads of one call


class DynamoStore:
    """One table for any number of processes. A call goes on for `wait_seconds`, then raises StoreUnavailable.

    `client`: one that several stores share, made as this one makes its own.

    Runs and keys are forgotten by DynamoDB itself, within days after their expiry: `purge` has nothing to do.
    """

    def __init__(self, table: str, *, wait_seconds: float = _WAIT_SECONDS, client: Any = None) -> None:
        # botocore must not try again by itself: it could not tell whose write it finds then.
        own = (
            None
            if client is not None
            else aws.client("dynamodb", attempts=1, connect_seconds=2, read_seconds=5, connections=2 * _AT_ONCE)
        )
        self._own_client = own
        self._table = Table(table, wait_seconds, client or own)
        self._roster = flow_runs.Roster(self._table)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="dynamodb")

    def close(self) -> None:
        """Further calls raise StoreUnusable."""
        self._threads.shutdown()
        self._table.close()
        if self._own_client is not None:
            self._own_client.close()

    def get(self, kind: str, key: str) -> Record | None:
        return records.get(self._table, kind, key)

    def put(self, record: Record) -> Record:
        return records.put_record(self._table, record)

    def delete(self, record: Record) -> None:
        records.delete_record(self._table, record)

    def get_cursor(self, schedule_id: str) -> Cursor | None:
        return records.get_cursor(self._table, schedule_id)

    def put_cursor(self, cursor: Cursor) -> Cursor:
        return records.put_cursor(self._table, cursor)

    def delete_cursor(self, cursor: Cursor) -> None:
        records.delete_cursor(self._table, cursor)

    def cursors_due(self, before: datetime, *, limit: int) -> Sequence[Cursor]:
        return records.cursors_due(self._table, before, limit)

    def create_scheduled(self, cursor: Cursor, runs: Sequence[FlowRun], next_at: datetime | None) -> Cursor:
        moved_on, step = records.cursor_step(replace(cursor, next_at=next_at))
        flow_runs.create_scheduled(self._table, self._roster, step, cursor, runs)
        return moved_on

    def create_run(self, run: FlowRun, *, keep_key_until: datetime | None = None) -> FlowRun:
        return flow_runs.create(self._table, self._roster, run, keep_key_until)

    def get_run(self, run_id: str) -> FlowRun | None:
        return flow_runs.get(self._table, run_id)

    def get_runs(self, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
        return flow_runs.get_many(self._table, run_ids)

    def due(self, pool: str, queue: str, before: datetime, *, after: str | None = None, limit: int) -> Page[Candidate]:
        return flow_runs.due(self._table, pool, queue, before, after=after, limit=_size(limit))

    def parked(self, pool: str) -> Sequence[str]:
        return flow_runs.parked(self._table, pool)

    def parked_runs(self, pool: str, deployment_id: str, *, limit: int) -> Sequence[Candidate]:
        return flow_runs.parked_runs(self._table, pool, deployment_id, limit)

    def active(self, pool: str) -> Sequence[ActiveEntry]:
        return slots.active(self._table, pool)

    def held(self, limit: str) -> Mapping[str, str]:
        return slots.held(self._table, limit)

    def admit(self, admissions: Sequence[Admission]) -> None:
        check_admissions(admissions)
        changes.admit(self._table, admissions)

    def request(self, run_id: str, attempt: int) -> Request | None:
        return changes.request(self._table, run_id, attempt)

    def move(self, move: Move) -> None:
        check_moves([move])
        changes.move(self._table, self._roster, move)

    def move_each(self, moves: Sequence[Move]) -> frozenset[str]:
        check_moves(moves)
        return changes.move_each(partial(changes.move, self._table, self._roster), moves, self._threads)

    def beat(self, entry: Slot, run_id: str, attempt: int, *, heard_at: datetime, check_at: datetime) -> bool:
        return slots.beat(self._table, entry, run_id, attempt, heard_at, check_at)

    def restore_entry(self, run: FlowRun, check_at: datetime) -> None:
        slots.restore(self._table, run, check_at)

    def drop_entry(self, entry: ActiveEntry) -> None:
        slots.drop(self._table, entry)

    def runs(self, wanted: RunFilter, *, after: str | None = None, limit: int = 50) -> Page[FlowRun]:
        return Listing(self._table, self._roster, self._threads, wanted, _size(limit)).page(after)

    def delete_run(self, run: FlowRun) -> None:
        flow_runs.delete_run(self._table, run)

    def purge(self, before: datetime, *, limit: int) -> int:  # noqa: ARG002  # DynamoDB forgets by its own clock
        return 0

    def outbox_due(self, pool: str, before: datetime, *, limit: int) -> Sequence[OutboxEntry]:
        return owed.due(self._table, pool, before, limit)

    def put_outbox(self, entry: OutboxEntry) -> bool:
        return owed.put_new(self._table, entry)

    def settle_outbox(self, entry: OutboxEntry, *, again_at: datetime | None = None) -> None:
        owed.settle(self._table, entry, again_at)

    def spend(self, budget: str, wanted: int, rates: Sequence[Limit], now: datetime) -> int:
        return owed.spend(self._table, budget, wanted, rates, now)

    def room_at(self, budget: str, rates: Sequence[Limit], now: datetime) -> datetime:
        return owed.budget_room_at(self._table, budget, rates, now)

    # Last, for in a class body `list` would from here on be this method.
    def list(self, kind: str, *, parent: str | None = None, after: str | None = None, limit: int = 200) -> Page[Record]:
        return records.listing(self._table, kind, parent, after, _size(limit))


def open_store(address: str) -> DynamoStore:
    """The store in a table, by its name or a URL like `dynamodb://pushpool`; region and credentials are ambient."""
    name = address.removeprefix("dynamodb:").removeprefix("//")
    if not name:
        raise InvalidInput("a DynamoDB store needs the table's name, as in dynamodb://pushpool")
    return DynamoStore(name)


def _size(limit: int) -> int:
    if limit < 1:
        raise InvalidInput(f"limit: {limit}; a page has at least one item", path="limit")
    return limit


if TYPE_CHECKING:
    _: type[Store] = DynamoStore
