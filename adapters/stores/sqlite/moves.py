"""What changes a run: admissions, moves, and the slot records that go with them.

Invariant: every function here runs inside one write transaction, so what it has looked up stays so.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.stores.sqlite import owed
from adapters.stores.sqlite.rows import (
    hot_text,
    instant,
    maybe_instant,
    maybe_micros,
    micros,
    run_columns,
)
from adapters.stores.sqlite.runs import in_parts
from adapters.texts import json_text
from dispatcher.documents import from_json, to_json
from dispatcher.errors import AdmissionRefused, RunChanged
from dispatcher.ports import ActiveEntry, Admission, Move, Request
from dispatcher.runs import FlowRun, Slot, Target, pool_limit

_ACTIVE_STATES = "('PENDING', 'RUNNING', 'CANCELLING')"


def admit(db: sqlite3.Connection, admissions: Sequence[Admission]) -> None:
    taken = _taken(db, [slot for each in admissions for slot in each.after.slots])
    changed = _changed(db, [each.before for each in admissions])
    if taken or changed:
        raise AdmissionRefused(taken=taken, changed=changed)
    for each in admissions:
        _rewrite(db, each.before, each.after)
        _hold(db, each.after, each.after.slots, each.check_at)
        _keep_request(db, each.after, each.request)


def _taken(db: sqlite3.Connection, slots: Sequence[Slot]) -> set[Slot]:
    """Those that somebody holds, and those that are asked for twice."""
    sql = "SELECT 1 FROM slot WHERE held_limit = ? AND name = ?"
    asked = Counter(slots)
    return {slot for slot, times in asked.items() if times > 1 or db.execute(sql, (slot.limit, slot.name)).fetchone()}


def _changed(db: sqlite3.Connection, runs: Sequence[FlowRun]) -> set[str]:
    """Ids of those that are not as read, and of those that are named twice."""
    now: dict[str, int] = {}
    for some, marks in in_parts([run.id for run in runs]):
        now.update(db.execute(f"SELECT id, version FROM run WHERE id IN ({marks})", some).fetchall())  # noqa: S608
    named = Counter(run.id for run in runs)
    return {run.id for run in runs if named[run.id] > 1 or now.get(run.id) != run.version}


def _keep_request(db: sqlite3.Connection, run: FlowRun, request: Request) -> None:
    sql = """
        INSERT OR REPLACE INTO request (run, attempt, target, body) SELECT seq, ?, ?, ? FROM run WHERE id = ?
    """
    body = json_text(request.body, f"the request of run {run.id}")
    db.execute(sql, (run.attempt, to_json(request.target), body, run.id))


def request(db: sqlite3.Connection, run_id: str, attempt: int) -> Request | None:
    sql = "SELECT target, body FROM request WHERE run = (SELECT seq FROM run WHERE id = ?) AND attempt = ?"
    row = db.execute(sql, (run_id, attempt)).fetchone()
    return None if row is None else Request(from_json(Target, row[0]), json.loads(row[1]))


def move(db: sqlite3.Connection, change: Move) -> None:
    before, after = change.before, change.after
    if not _rewrite(db, before, after):
        raise RunChanged(f"run {before.id} is not at version {before.version} any more")
    if before.slots != after.slots:
        _release(db, after.id, set(before.slots).difference(after.slots))
    if after.slots:
        _note(db, after, check_at=change.check_at)
    for entry in change.outbox:
        owed.put(db, entry)


def move_each(db: sqlite3.Connection, changes: Sequence[Move]) -> frozenset[str]:
    lost: set[str] = set()
    for change in changes:
        try:
            move(db, change)
        except RunChanged:  # it is the first thing that `move` finds out: nothing of it was written
            lost.add(change.before.id)
    return frozenset(lost)


def _rewrite(db: sqlite3.Connection, before: FlowRun, after: FlowRun) -> bool:
    """The run as `after` if it is at the version of `before`; whether it was."""
    new = run_columns(after)
    stored = db.execute(f"SELECT {', '.join(new)} FROM run WHERE id = ?", (before.id,)).fetchone()  # noqa: S608
    old: dict[str, Any] = dict(zip(new, stored or (), strict=False))
    if old.get("version") != before.version:
        return False
    # Only what is different: the indexes of the other columns need not be touched.
    columns: dict[str, Any] = {name: value for name, value in new.items() if value != old[name]}
    columns["hot"] = hot_text(after)
    changes = ", ".join(f"{name} = ?" for name in columns)
    db.execute(f"UPDATE run SET {changes} WHERE id = ?", (*columns.values(), before.id))  # noqa: S608
    return True


def _hold(db: sqlite3.Connection, run: FlowRun, slots: Iterable[Slot], check_at: datetime) -> None:
    """Slot records that are not there yet; the pool's is the active entry."""
    entry = (
        run.attempt,
        run.pool,
        run.queue,
        run.deployment_id,
        _slot_text(run.slots),
        micros(check_at, "check_at"),
    )
    nothing = (None,) * len(entry)
    sql = """
        INSERT OR IGNORE INTO slot
            (held_limit, name, run_id, attempt, pool, queue, deployment_id, slots, check_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    """
    pools = pool_limit(run.pool)
    for slot in slots:
        db.execute(sql, (slot.limit, slot.name, run.id, *(entry if slot.limit == pools else nothing)))


def _release(db: sqlite3.Connection, run_id: str, slots: Iterable[Slot]) -> None:
    """Slot records that are the run's; one that has become another's stays."""
    sql = "DELETE FROM slot WHERE held_limit = ? AND name = ? AND run_id = ?"
    db.executemany(sql, [(slot.limit, slot.name, run_id) for slot in slots])


def _note(db: sqlite3.Connection, run: FlowRun, *, check_at: datetime | None) -> None:
    """The active entry says what the run says of its slots, and the new time if there is one."""
    sql = """
        UPDATE slot SET slots = ?, check_at = coalesce(?, check_at)
        WHERE held_limit = ? AND name = ? AND run_id = ? AND attempt = ?
    """
    pools = run.slots[0]
    time = maybe_micros(check_at, "check_at")
    db.execute(sql, (_slot_text(run.slots), time, pools.limit, pools.name, run.id, run.attempt))


def active(db: sqlite3.Connection, pool: str) -> Sequence[ActiveEntry]:
    sql = """
        SELECT held_limit, name, run_id, attempt, pool, queue, deployment_id, slots, check_at, heard_at
        FROM slot WHERE held_limit = ? ORDER BY name
    """
    return [_entry(*row) for row in db.execute(sql, (pool_limit(pool),))]


def _entry(limit: str, name: str, *row: Any) -> ActiveEntry:
    run_id, attempt, pool, queue, deployment_id, slots, check_at, heard_at = row
    return ActiveEntry(
        slot=Slot(limit, name),
        run_id=run_id,
        attempt=attempt,
        pool=pool,
        queue=queue,
        deployment_id=deployment_id,
        slots=tuple(Slot(*each) for each in json.loads(slots)),
        check_at=instant(check_at),
        heard_at=maybe_instant(heard_at),
    )


def _slot_text(slots: Iterable[Slot]) -> str:
    return json.dumps([(slot.limit, slot.name) for slot in slots])


def held(db: sqlite3.Connection, limit: str) -> Mapping[str, str]:
    return dict(db.execute("SELECT name, run_id FROM slot WHERE held_limit = ?", (limit,)).fetchall())


def beat(
    db: sqlite3.Connection, entry: Slot, run_id: str, attempt: int, *, heard_at: datetime, check_at: datetime
) -> bool:
    sql = """
        UPDATE slot SET heard_at = ?, check_at = ?
        WHERE held_limit = ? AND name = ? AND run_id = ? AND attempt = ?
    """
    times = (micros(heard_at, "heard_at"), micros(check_at, "check_at"))
    return db.execute(sql, (*times, entry.limit, entry.name, run_id, attempt)).rowcount == 1


def restore_entry(db: sqlite3.Connection, run: FlowRun, check_at: datetime) -> None:
    if _changed(db, [run]):
        raise RunChanged(f"run {run.id} is not at version {run.version} any more")
    _hold(db, run, run.slots, check_at)


def drop_entry(db: sqlite3.Connection, entry: ActiveEntry) -> None:
    """Only what is still this attempt's, and only if the run is not in it now, whatever the caller read."""
    sql = f"""
        DELETE FROM slot WHERE held_limit = ? AND name = ? AND run_id = ? AND attempt = ?
        AND NOT EXISTS (
            SELECT 1 FROM run
            WHERE run.id = slot.run_id AND run.attempt = slot.attempt AND run.state IN {_ACTIVE_STATES}
        )
    """  # noqa: S608
    done = db.execute(sql, (entry.slot.limit, entry.slot.name, entry.run_id, entry.attempt))
    if done.rowcount:
        _release(db, entry.run_id, entry.slots)
