"""The catalogue, and how far schedules are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from google.cloud.firestore import FieldFilter

from adapters.stores.firestore.commits import IsDone, carry_out, gone
from adapters.stores.firestore.database import Database, Fields, Found, Seen, Write
from adapters.stores.firestore.documents import packed, unpacked
from adapters.stores.firestore.layout import CURSORS, RECORDS
from adapters.stores.firestore.names import cursor_path, maybe_moment, moment, page_place, record_path
from adapters.texts import json_text, page_mark
from dispatcher.documents import from_json, to_json
from dispatcher.errors import RecordChanged
from dispatcher.ports import Cursor, Page, Record


def get(database: Database, kind: str, key: str) -> Record | None:
    found = database.get(record_path(kind, key))
    return None if found is None else _record(found)


def _record(found: Found) -> Record:
    said = found.fields
    return Record(said["kind"], said["key"], json.loads(unpacked(said["body"])), said["parent"], said["version"])


def put_record(database: Database, record: Record) -> Record:
    stored = replace(record, version=record.version + 1)
    body = packed(json_text(record.body, f"{record.kind} {record.key}"))
    fields = {"kind": record.kind, "key": record.key, "parent": record.parent, "version": stored.version, "body": body}
    step = Step(record_path(record.kind, record.key), _what(record), record.version, fields)
    step.carry_out(database)
    return stored


def delete_record(database: Database, record: Record) -> None:
    Step(record_path(record.kind, record.key), _what(record), record.version, None).carry_out(database)


def _what(record: Record) -> str:
    return f"{record.kind} {record.key!r}"


def listing(database: Database, kind: str, parent: str | None, after: str | None, limit: int) -> Page[Record]:
    query = database.client.collection(RECORDS).where(filter=FieldFilter("kind", "==", kind))
    if parent is not None:
        query = query.where(filter=FieldFilter("parent", "==", parent))
    query = query.order_by("key").limit(limit + 1)
    if after is not None:
        query = query.start_after({"key": page_place("record", after)[0]})
    found = [_record(each) for each in database.query(query)]
    mark = page_mark("record", found[limit - 1].key) if len(found) > limit else None
    return Page(tuple(found[:limit]), mark)


@dataclass(frozen=True, slots=True)
class Step:
    """A record or a cursor one version on; `fields` None: gone."""

    path: str
    what: str
    version: int  # that it is to have now; 0: it is to be new
    fields: Fields | None

    @property
    def needs(self) -> dict[str, Fields]:
        return {self.path: {"version": self.version}} if self.version else {}

    def write(self, seen: Seen) -> Write:
        """:raises RecordChanged: it is not at that version."""
        stored = seen.get(self.path)
        is_new = stored is None and self.version == 0 and self.fields is not None
        if not is_new and (stored is None or not stored.says({"version": self.version})):
            raise RecordChanged(f"{self.what} is not at version {self.version} any more; read it again")
        if self.fields is None:
            return Write("delete", self.path, at=stored.at if stored is not None else None)
        if stored is None:
            return Write("create", self.path, self.fields)
        return Write("update", self.path, self.fields, stored.at)

    def carry_out(self, database: Database) -> None:
        plan: Callable[[Seen], list[Write]] = lambda seen: [self.write(seen)]  # noqa: E731
        is_done: IsDone | None = gone(self.path) if self.fields is None else None
        carry_out(database, plan, needs=self.needs, news=[] if self.needs else [self.path], is_done=is_done)


# cursors


def get_cursor(database: Database, schedule_id: str) -> Cursor | None:
    found = database.get(cursor_path(schedule_id))
    return None if found is None else from_json(Cursor, found.fields["doc"])


def cursor_step(cursor: Cursor) -> tuple[Cursor, Step]:
    """The cursor one version on, and what makes it so."""
    stored = replace(cursor, version=cursor.version + 1)
    maybe_moment(cursor.held_at, "held_at")
    next_at = maybe_moment(cursor.next_at, "next_at")
    fields = {"version": stored.version, "next_at": next_at, "doc": to_json(stored)}
    return stored, Step(cursor_path(cursor.schedule_id), _which(cursor), cursor.version, fields)


def _which(cursor: Cursor) -> str:
    return f"the cursor of schedule {cursor.schedule_id}"


def put_cursor(database: Database, cursor: Cursor) -> Cursor:
    stored, step = cursor_step(cursor)
    step.carry_out(database)
    return stored


def delete_cursor(database: Database, cursor: Cursor) -> None:
    Step(cursor_path(cursor.schedule_id), _which(cursor), cursor.version, None).carry_out(database)


def cursors_due(database: Database, before: datetime, limit: int) -> Sequence[Cursor]:
    query = database.client.collection(CURSORS).where(filter=FieldFilter("next_at", "<=", moment(before, "before")))
    query = query.order_by("next_at").limit(limit)
    return [from_json(Cursor, each.fields["doc"]) for each in database.query(query)]
