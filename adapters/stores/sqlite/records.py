"""The catalogue, and how far schedules are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from adapters.stores.sqlite import runs
from adapters.stores.sqlite.rows import maybe_micros, micros, page_key
from adapters.texts import json_text, page_mark
from dispatcher.documents import from_json, to_json
from dispatcher.errors import InvalidInput, RecordChanged
from dispatcher.ports import Cursor, Page, Record
from dispatcher.runs import FlowRun

_RECORD = "SELECT kind, key, body, parent, version FROM record"
_CURSOR = "SELECT body FROM schedule_cursor"


def get(db: sqlite3.Connection, kind: str, key: str) -> Record | None:
    row = db.execute(f"{_RECORD} WHERE kind = ? AND key = ?", (kind, key)).fetchone()
    return None if row is None else _record(row)


def put(db: sqlite3.Connection, record: Record) -> Record:
    stored = replace(record, version=record.version + 1)
    body = json_text(record.body, f"{record.kind} {record.key}")
    if record.version == 0:
        sql = "INSERT OR IGNORE INTO record (parent, version, body, kind, key) VALUES (?, ?, ?, ?, ?)"
        given: list[Any] = []
    else:
        sql = "UPDATE record SET parent = ?, version = ?, body = ? WHERE kind = ? AND key = ? AND version = ?"
        given = [record.version]
    done = db.execute(sql, [record.parent, stored.version, body, record.kind, record.key, *given])
    _refuse_unless_one(done, f"{record.kind} {record.key!r}", record.version)
    return stored


def delete(db: sqlite3.Connection, record: Record) -> None:
    sql = "DELETE FROM record WHERE kind = ? AND key = ? AND version = ?"
    done = db.execute(sql, (record.kind, record.key, record.version))
    _refuse_unless_one(done, f"{record.kind} {record.key!r}", record.version)


def listing(db: sqlite3.Connection, kind: str, parent: str | None, after: str | None, limit: int) -> Page[Record]:
    where, given = ["kind = ?"], [kind]
    if parent is not None:
        where.append("parent = ?")
        given.append(parent)
    if after is not None:
        where.append("key > ?")
        given.extend(page_key("record", after))
    sql = f"{_RECORD} WHERE {' AND '.join(where)} ORDER BY key LIMIT ?"
    found = [_record(row) for row in db.execute(sql, [*given, limit + 1])]
    more = len(found) > limit
    return Page(tuple(found[:limit]), page_mark("record", found[limit - 1].key) if more else None)


def _record(row: tuple[Any, ...]) -> Record:
    kind, key, body, parent, version = row
    return Record(kind=kind, key=key, body=json.loads(body), parent=parent, version=version)


def get_cursor(db: sqlite3.Connection, schedule_id: str) -> Cursor | None:
    row = db.execute(f"{_CURSOR} WHERE schedule_id = ?", (schedule_id,)).fetchone()
    return None if row is None else from_json(Cursor, row[0])


def put_cursor(db: sqlite3.Connection, cursor: Cursor) -> Cursor:
    stored = replace(cursor, version=cursor.version + 1)
    maybe_micros(cursor.held_at, "held_at")
    row = [maybe_micros(cursor.next_at, "next_at"), stored.version, to_json(stored), cursor.schedule_id]
    if cursor.version == 0:
        sql = "INSERT OR IGNORE INTO schedule_cursor (next_at, version, body, schedule_id) VALUES (?, ?, ?, ?)"
    else:
        sql = "UPDATE schedule_cursor SET next_at = ?, version = ?, body = ? WHERE schedule_id = ? AND version = ?"
        row.append(cursor.version)
    _refuse_unless_one(db.execute(sql, row), f"the cursor of schedule {cursor.schedule_id}", cursor.version)
    return stored


def delete_cursor(db: sqlite3.Connection, cursor: Cursor) -> None:
    sql = "DELETE FROM schedule_cursor WHERE schedule_id = ? AND version = ?"
    done = db.execute(sql, (cursor.schedule_id, cursor.version))
    _refuse_unless_one(done, f"the cursor of schedule {cursor.schedule_id}", cursor.version)


def cursors_due(db: sqlite3.Connection, before: datetime, limit: int) -> Sequence[Cursor]:
    sql = f"{_CURSOR} WHERE next_at <= ? ORDER BY next_at, schedule_id LIMIT ?"
    return [from_json(Cursor, body) for (body,) in db.execute(sql, (micros(before, "before"), limit))]


def _refuse_unless_one(done: sqlite3.Cursor, what: str, version: int) -> None:
    if done.rowcount != 1:
        raise RecordChanged(f"{what} is not at version {version} any more; read it again")


def create_scheduled(
    db: sqlite3.Connection, cursor: Cursor, made: Sequence[FlowRun], next_at: datetime | None
) -> Cursor:
    if len(made) > 20:
        raise InvalidInput(f"{len(made)} scheduled runs in one commit; at most 20 fit")
    moved_on = put_cursor(db, replace(cursor, next_at=next_at))
    known = runs.existing(db, [run.id for run in made])
    for run in made:
        if run.id not in known:
            known.add(run.id)
            runs.insert(db, run)
    return moved_on
