"""The catalogue, and how far schedules are.

A record that has a parent is stored twice, in one commit: by its key, and as a child to be listed by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from adapters.stores.dynamodb.actions import ABSENT, STAMP, Action, delete, new_stamp, put
from adapters.stores.dynamodb.calls import Cancelled, ConditionLost, Table
from adapters.stores.dynamodb.due import due_items
from adapters.stores.dynamodb.keys import (
    CURSORS,
    child_key,
    cursor_key,
    maybe_moment,
    page_key,
    record_key,
)
from adapters.stores.dynamodb.table import DUE_HASH, DUE_RANGE, RANGE
from adapters.stores.dynamodb.values import Item, item, packed, unpacked
from adapters.texts import json_text, page_mark
from dispatcher.documents import from_json, to_json
from dispatcher.errors import RecordChanged
from dispatcher.ports import Cursor, Page, Record

_READABLE_BYTES = 512  # a longer body is packed: reads and writes are charged by size


def get(table: Table, kind: str, key: str) -> Record | None:
    found = table.get(record_key(kind, key))
    return None if found is None else _record(kind, found)


def _record(kind: str, found: Item) -> Record:
    body = found["body"]
    text = body if isinstance(body, str) else unpacked(body)
    return Record(kind, found[RANGE], json.loads(text), found.get("parent", ""), found["v"])


def put_record(table: Table, record: Record) -> Record:
    stored = replace(record, version=record.version + 1)
    text = json_text(record.body, f"{record.kind} {record.key}")
    body = text if len(text) <= _READABLE_BYTES else packed(text)
    fields = {"parent": record.parent or None, "v": stored.version, "body": body, STAMP: new_stamp()}

    def change(old_parent: str) -> list[Action]:
        key = record_key(record.kind, record.key)
        condition, given = _as_read(record, old_parent)
        actions = [put(item(pk=key[0], sk=key[1], **fields), condition, **given)]
        if record.parent:
            child = child_key(record.kind, record.parent, record.key)
            actions.append(put(item(pk=child[0], sk=child[1], **fields)))
        return [*actions, *_orphaned(record, old_parent, keeps=record.parent)]

    _commit(table, record, change)
    return stored


def delete_record(table: Table, record: Record) -> None:
    def change(old_parent: str) -> list[Action]:
        condition, given = _as_read(record, old_parent)
        gone = delete(record_key(record.kind, record.key), condition, **given)
        return [gone, *_orphaned(record, old_parent, keeps="")]

    if record.version == 0:
        raise _changed(record)
    _commit(table, record, change)


def _commit(table: Table, record: Record, change: Callable[[str], list[Action]]) -> None:
    """`change` is made for the parent that the stored record has; mostly that is the one that it is to have."""
    parent = record.parent
    while True:
        try:
            table.commit(change(parent))
        except Cancelled as cancelled:
            found = cancelled.lost[0]
            if found.get("v", 0) != record.version or found.get("parent", "") == parent:
                raise _changed(record) from cancelled
            parent = found.get("parent", "")
        else:
            return


def _as_read(record: Record, parent: str) -> tuple[str, dict[str, str | int]]:
    if record.version == 0:
        return ABSENT, {}
    if not parent:
        return "#v = :was AND attribute_not_exists(#parent)", {"was": record.version}
    return "#v = :was AND #parent = :old", {"was": record.version, "old": parent}


def _orphaned(record: Record, parent: str, *, keeps: str) -> list[Action]:
    if not parent or parent == keeps:
        return []
    return [delete(child_key(record.kind, parent, record.key))]


def _changed(record: Record) -> RecordChanged:
    return RecordChanged(f"{record.kind} {record.key!r} is not at version {record.version} any more; read it again")


def listing(table: Table, kind: str, parent: str | None, after: str | None, limit: int) -> Page[Record]:
    partition = child_key(kind, parent, "")[0] if parent else record_key(kind, "")[0]
    condition, values = "#pk = :pk", {"pk": partition}
    if after is not None:
        condition, values = "#pk = :pk AND #sk > :after", {"pk": partition, "after": page_key("record", after)}
    rows = (_record(kind, row) for row in table.query(condition, values, page=limit + 1))
    found = list(islice((each for each in rows if parent != "" or not each.parent), limit + 1))
    mark = page_mark("record", found[limit - 1].key) if len(found) > limit else None
    return Page(tuple(found[:limit]), mark)


# cursors


def get_cursor(table: Table, schedule_id: str) -> Cursor | None:
    found = table.get(cursor_key(schedule_id))
    return None if found is None else from_json(Cursor, found["doc"])


def cursor_step(cursor: Cursor) -> tuple[Cursor, Action]:
    """The cursor one version on, and the write that makes it so."""
    stored = replace(cursor, version=cursor.version + 1)
    next_at = maybe_moment(cursor.next_at, "next_at")
    maybe_moment(cursor.held_at, "held_at")
    key = cursor_key(cursor.schedule_id)
    due = {} if next_at is None else {DUE_HASH: CURSORS, DUE_RANGE: f"{next_at}#{cursor.schedule_id}"}
    sent = item(pk=key[0], sk=key[1], v=stored.version, doc=to_json(stored), **{STAMP: new_stamp()}, **due)
    if cursor.version == 0:
        return stored, put(sent, ABSENT)
    return stored, put(sent, "#v = :was", was=cursor.version)


def put_cursor(table: Table, cursor: Cursor) -> Cursor:
    stored, step = cursor_step(cursor)
    _write(table, step, cursor)
    return stored


def delete_cursor(table: Table, cursor: Cursor) -> None:
    _write(table, delete(cursor_key(cursor.schedule_id), "#v = :was", was=cursor.version), cursor)


def _write(table: Table, action: Action, cursor: Cursor) -> None:
    try:
        table.write(action)
    except ConditionLost as lost:
        raise RecordChanged(
            f"the cursor of schedule {cursor.schedule_id} is not at version {cursor.version} any more; read it again"
        ) from lost


def cursors_due(table: Table, before: datetime, limit: int) -> Sequence[Cursor]:
    return [from_json(Cursor, each["doc"]) for each in due_items(table, CURSORS, before, limit)]
