"""A store that lives as long as the process: for tests of what stands on a store."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from dispatcher.budgets import room_at, spent
from dispatcher.contract import check_admissions, check_aware, check_moves
from dispatcher.errors import AdmissionRefused, IllegalMove, InvalidInput, RunChanged
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
from dispatcher.runs import FlowRun, Slot, pool_limit
from dispatcher.testing.memory_rules import (
    candidates,
    check_stored,
    check_version,
    copied,
    exact,
    matches,
    owing,
    page,
    read,
    written,
)


@dataclass(slots=True)
class _Data:
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    runs: dict[str, FlowRun] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[str, datetime | None]] = field(default_factory=dict)  # run id, kept until
    requests: dict[tuple[str, int], Request] = field(default_factory=dict)
    slots: dict[Slot, str] = field(default_factory=dict)  # who holds it
    entries: dict[Slot, ActiveEntry] = field(default_factory=dict)
    outbox: dict[str, OutboxEntry] = field(default_factory=dict)
    budgets: dict[str, str] = field(default_factory=dict)


class MemoryStore:
    """A `Store` in this process, one call at a time; what goes in and out is copied, as if written down."""

    def __init__(self) -> None:
        self._data = _Data()
        self._lock = threading.RLock()

    def get(self, kind: str, key: str) -> Record | None:
        with self._lock:
            found = self._data.records.get((kind, key))
            return None if found is None else copied(found)

    def put(self, record: Record) -> Record:
        stored = replace(record, version=record.version + 1, body=exact(record.body, record.key))
        with self._lock:
            check_version(self._data.records.get((record.kind, record.key)), record)
            self._data.records[record.kind, record.key] = stored
        return replace(record, version=stored.version)

    def delete(self, record: Record) -> None:
        with self._lock:
            check_stored(self._data.records.get((record.kind, record.key)), record)
            del self._data.records[record.kind, record.key]

    def get_cursor(self, schedule_id: str) -> Cursor | None:
        with self._lock:
            return self._data.cursors.get(schedule_id)

    def put_cursor(self, cursor: Cursor) -> Cursor:
        check_aware(cursor.next_at, "next_at")
        check_aware(cursor.held_at, "held_at")
        stored = replace(cursor, version=cursor.version + 1)
        with self._lock:
            check_version(self._data.cursors.get(cursor.schedule_id), cursor)
            self._data.cursors[cursor.schedule_id] = stored
        return stored

    def delete_cursor(self, cursor: Cursor) -> None:
        with self._lock:
            check_stored(self._data.cursors.get(cursor.schedule_id), cursor)
            del self._data.cursors[cursor.schedule_id]

    def cursors_due(self, before: datetime, *, limit: int) -> Sequence[Cursor]:
        with self._lock:
            waiting = [(c.next_at, c.schedule_id, c) for c in self._data.cursors.values() if c.next_at]
        due = sorted((row for row in waiting if row[0] <= before), key=lambda row: row[:2])
        return [cursor for *_, cursor in due[:limit]]

    def create_scheduled(self, cursor: Cursor, runs: Sequence[FlowRun], next_at: datetime | None) -> Cursor:
        if len(runs) > 20:
            raise InvalidInput(f"{len(runs)} scheduled runs in one commit; at most 20 fit")
        copies = [written(run) for run in runs]
        with self._lock:
            moved_on = self.put_cursor(replace(cursor, next_at=next_at))
            for run in copies:
                self._data.runs.setdefault(run.id, run)
            return moved_on

    def create_run(self, run: FlowRun, *, keep_key_until: datetime | None = None) -> FlowRun:
        check_aware(keep_key_until, "keep_key_until")
        copy, key = written(run), (run.deployment_id, run.idempotency_key or "")
        with self._lock:
            earlier = self._data.runs.get(run.id)
            if earlier is None and run.idempotency_key is not None and key in self._data.keys:
                earlier = self._data.runs[self._data.keys[key][0]]
            if earlier is not None:
                return read(earlier)
            self._data.runs[run.id] = copy
            if run.idempotency_key is not None:
                self._data.keys[key] = run.id, keep_key_until
            return run

    def get_run(self, run_id: str) -> FlowRun | None:
        return self.get_runs([run_id]).get(run_id)

    def get_runs(self, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
        with self._lock:
            return {key: read(self._data.runs[key]) for key in run_ids if key in self._data.runs}

    def due(self, pool: str, queue: str, before: datetime, *, after: str | None = None, limit: int) -> Page[Candidate]:
        found = [item for item in self._waiting(pool, queue) if item.due_at <= before]
        return page(found, lambda item: [item.due_at.timestamp(), item.run_id], after, limit)

    def _waiting(self, pool: str, queue: str) -> list[Candidate]:
        with self._lock:
            return candidates(
                run for run in self._data.runs.values() if (run.pool, run.queue, run.parked) == (pool, queue, False)
            )

    def parked(self, pool: str) -> Sequence[str]:
        with self._lock:
            parked = candidates(run for run in self._data.runs.values() if run.pool == pool and run.parked)
        return sorted({item.deployment_id for item in parked})

    def parked_runs(self, pool: str, deployment_id: str, *, limit: int) -> Sequence[Candidate]:
        with self._lock:
            parked = candidates(run for run in self._data.runs.values() if run.pool == pool and run.parked)
        return [item for item in parked if item.deployment_id == deployment_id][:limit]

    def active(self, pool: str) -> Sequence[ActiveEntry]:
        with self._lock:
            return [entry for slot, entry in self._data.entries.items() if slot.limit == pool_limit(pool)]

    def held(self, limit: str) -> Mapping[str, str]:
        with self._lock:
            return {slot.name: run_id for slot, run_id in self._data.slots.items() if slot.limit == limit}

    def admit(self, admissions: Sequence[Admission]) -> None:
        check_admissions(admissions)
        copies = [written(each.after) for each in admissions]
        bodies = [exact(each.request.body, each.after.id) for each in admissions]
        with self._lock:
            asked = Counter(slot for run in copies for slot in run.slots)
            named = Counter(run.id for run in copies)
            taken = {slot for slot, times in asked.items() if times > 1 or slot in self._data.slots}
            changed = {e.before.id for e in admissions if named[e.before.id] > 1 or not self._is(e.before)}
            if taken or changed:
                raise AdmissionRefused(taken=taken, changed=changed)
            for each, run, body in zip(admissions, copies, bodies, strict=True):
                self._data.runs[run.id] = run
                self._data.requests[run.id, run.attempt] = Request(each.request.target, body)
                self._hold(run, each.check_at)

    def request(self, run_id: str, attempt: int) -> Request | None:
        with self._lock:
            found = self._data.requests.get((run_id, attempt))
            return None if found is None else copied(found)

    def move(self, move: Move) -> None:
        check_moves([move])
        before, after, owed = move.before, written(move.after), [owing(entry) for entry in move.outbox]
        with self._lock:
            self._refuse_unless(before)
            self._data.runs[after.id] = after
            self._release(after.id, set(before.slots) - set(after.slots))
            known = self._data.entries.get(after.slots[0]) if after.slots else None
            if known is not None and (known.run_id, known.attempt) == (after.id, after.attempt):
                check_at = move.check_at or known.check_at
                self._data.entries[known.slot] = replace(known, slots=after.slots, check_at=check_at)
            for entry in owed:
                self._data.outbox.setdefault(entry.id, entry)

    def move_each(self, moves: Sequence[Move]) -> frozenset[str]:
        check_moves(moves)
        lost: set[str] = set()
        for move in moves:
            try:
                self.move(move)
            except RunChanged:
                lost.add(move.before.id)
        return frozenset(lost)

    def beat(self, entry: Slot, run_id: str, attempt: int, *, heard_at: datetime, check_at: datetime) -> bool:
        check_aware(heard_at, "heard_at")
        check_aware(check_at, "check_at")
        with self._lock:
            known = self._data.entries.get(entry)
            if known is None or (known.run_id, known.attempt) != (run_id, attempt):
                return False
            self._data.entries[entry] = replace(known, heard_at=heard_at, check_at=check_at)
            return True

    def restore_entry(self, run: FlowRun, check_at: datetime) -> None:
        check_aware(check_at, "check_at")
        with self._lock:
            self._refuse_unless(run)
            self._hold(run, check_at)

    def drop_entry(self, entry: ActiveEntry) -> None:
        with self._lock:
            known, run = self._data.entries.get(entry.slot), self._data.runs.get(entry.run_id)
            if known is None or (known.run_id, known.attempt) != (entry.run_id, entry.attempt):
                return
            if run is None or not run.is_active or run.attempt != entry.attempt:
                self._release(entry.run_id, {entry.slot, *entry.slots})

    def runs(self, wanted: RunFilter, *, after: str | None = None, limit: int = 50) -> Page[FlowRun]:
        with self._lock:
            found = [run for run in self._data.runs.values() if matches(run, wanted)]
        found.sort(key=lambda run: run.id)
        found.sort(key=lambda run: run.scheduled_time, reverse=True)
        result = page(found, lambda run: [-run.scheduled_time.timestamp(), run.id], after, limit)
        return Page(tuple(map(read, result.items)), result.after)

    def delete_run(self, run: FlowRun) -> None:
        with self._lock:
            self._refuse_unless(run)
            if not run.is_final and (run.was_admitted or run.is_active):
                raise IllegalMove(f"run {run.id} is {run.state.name}: it can be deleted once it has ended")
            self._forget(run.id)

    def purge(self, before: datetime, *, limit: int) -> int:
        with self._lock:
            old = [run for run in self._data.runs.values() if run.expires_at is not None and run.expires_at < before]
            for run in old[:limit]:
                self._forget(run.id)
            keys = [key for key, (_, until) in self._data.keys.items() if until is not None and until < before]
            for key in keys[: limit - len(old[:limit])]:
                del self._data.keys[key]
            return min(limit, len(old) + len(keys))

    def outbox_due(self, pool: str, before: datetime, *, limit: int) -> Sequence[OutboxEntry]:
        with self._lock:
            due = [entry for entry in self._data.outbox.values() if entry.pool == pool and entry.due_at <= before]
        return [copied(entry) for entry in sorted(due, key=lambda entry: (entry.due_at, entry.id))[:limit]]

    def put_outbox(self, entry: OutboxEntry) -> bool:
        stored = owing(entry)
        with self._lock:
            return self._data.outbox.setdefault(entry.id, stored) is stored

    def settle_outbox(self, entry: OutboxEntry, *, again_at: datetime | None = None) -> None:
        check_aware(again_at, "again_at")
        with self._lock:
            known = self._data.outbox.pop(entry.id, None)
            if known is not None and again_at is not None:
                self._data.outbox[entry.id] = replace(known, due_at=again_at, tries=entry.tries + 1)

    def spend(self, budget: str, wanted: int, rates: Sequence[Limit], now: datetime) -> int:
        with self._lock:
            taken, text = spent(self._data.budgets.get(budget), wanted, rates, now)
            if text is not None:
                self._data.budgets[budget] = text
            return taken

    def room_at(self, budget: str, rates: Sequence[Limit], now: datetime) -> datetime:
        with self._lock:
            return room_at(self._data.budgets.get(budget), rates, now)

    def _is(self, run: FlowRun) -> bool:
        stored = self._data.runs.get(run.id)
        return stored is not None and stored.version == run.version

    def _refuse_unless(self, run: FlowRun) -> None:
        if not self._is(run):
            raise RunChanged(f"run {run.id} is not at version {run.version} any more")

    def _hold(self, run: FlowRun, check_at: datetime) -> None:
        for slot in run.slots:
            if slot not in self._data.slots:
                self._data.slots[slot] = run.id
                if slot.limit == pool_limit(run.pool):
                    self._data.entries[slot] = ActiveEntry(
                        slot, run.id, run.attempt, run.pool, run.queue, run.deployment_id, run.slots, check_at
                    )

    def _release(self, run_id: str, slots: Iterable[Slot]) -> None:
        for slot in slots:
            if self._data.slots.get(slot) == run_id:
                del self._data.slots[slot]
                self._data.entries.pop(slot, None)

    def _forget(self, run_id: str) -> None:
        data = self._data
        del data.runs[run_id]
        data.requests = {key: kept for key, kept in data.requests.items() if key[0] != run_id}
        data.keys = {key: kept for key, kept in data.keys.items() if kept[0] != run_id}

    # Last, for in a class body `list` would from here on be this method.
    def list(self, kind: str, *, parent: str | None = None, after: str | None = None, limit: int = 200) -> Page[Record]:
        with self._lock:
            found = [record for record in self._data.records.values() if record.kind == kind]
        found = sorted((r for r in found if parent in (None, r.parent)), key=lambda record: record.key)
        result = page(found, lambda record: [record.key], after, limit)
        return Page(tuple(map(copied, result.items)), result.after)


if TYPE_CHECKING:
    _: type[Store] = MemoryStore
