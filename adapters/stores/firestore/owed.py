"""What is owed to the outside, and what may still be called of a cloud."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from google.cloud.firestore import FieldFilter

from adapters.stores.firestore.commits import carry_out
from adapters.stores.firestore.database import Database, Found, LostError, Seen, Write
from adapters.stores.firestore.layout import OWED
from adapters.stores.firestore.names import budget_path, instant, last_part, moment, owed_path
from adapters.texts import json_text
from dispatcher.budgets import room_at, spent
from dispatcher.ports import Limit, OutboxEntry


def new(entry: OutboxEntry) -> Write:
    """The entry, as one that is not there yet."""
    fields = {
        "kind": entry.kind,
        "pool": entry.pool,
        "run": entry.run_id,
        "due_at": moment(entry.due_at, "due_at"),
        "tries": entry.tries,
        "body": json_text(entry.body, f"outbox entry {entry.id}"),
    }
    return Write("create", owed_path(entry.id), fields)


def put_new(database: Database, entry: OutboxEntry) -> bool:
    debt, is_new = new(entry), True

    def plan(seen: Seen) -> list[Write]:
        nonlocal is_new
        is_new = debt.path not in seen
        return [debt] if is_new else []

    carry_out(database, plan, needs={}, news=[debt.path])
    return is_new


def due(database: Database, pool: str, before: datetime, limit: int) -> Sequence[OutboxEntry]:
    query = database.client.collection(OWED).where(filter=FieldFilter("pool", "==", pool))
    query = query.where(filter=FieldFilter("due_at", "<=", moment(before, "before"))).order_by("due_at").limit(limit)
    return [_entry(each) for each in database.query(query)]


def _entry(found: Found) -> OutboxEntry:
    said = found.fields
    return OutboxEntry(
        id=last_part(found.path),
        kind=said["kind"],
        pool=said["pool"],
        run_id=said["run"],
        due_at=instant(said["due_at"]),
        body=json.loads(said["body"]),
        tries=said["tries"],
    )


def settle(database: Database, entry: OutboxEntry, again_at: datetime | None) -> None:
    path = owed_path(entry.id)
    if again_at is None:
        database.commit([Write("delete", path)])
        return
    again = Write("update", path, {"due_at": moment(again_at, "again_at"), "tries": entry.tries + 1})
    try:
        database.commit([again])
    except LostError:
        return  # it is gone and stays gone


def spend(database: Database, budget: str, wanted: int, rates: Sequence[Limit], now: datetime) -> int:
    path, at = budget_path(budget), moment(now, "now")
    taken = 0

    def plan(seen: Seen) -> list[Write]:
        nonlocal taken
        stored = seen.get(path)
        taken, text = spent(_levels(stored), wanted, rates, at)
        if text is None:
            return []
        fields = {"levels": text}
        return [Write("create", path, fields) if stored is None else Write("update", path, fields, stored.at)]

    carry_out(database, plan, needs={path: {}}, afresh=True)
    return taken


def budget_room_at(database: Database, budget: str, rates: Sequence[Limit], now: datetime) -> datetime:
    path = budget_path(budget)
    return room_at(_levels(database.get(path)), rates, moment(now, "now"))


def _levels(stored: Found | None) -> str | None:
    return str(stored.fields["levels"]) if stored is not None else None
