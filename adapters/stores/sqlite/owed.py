"""What is owed to the outside, and what may still be called of a cloud."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from adapters.stores.sqlite.rows import instant, micros
from adapters.texts import json_text
from dispatcher.budgets import room_at, spent
from dispatcher.ports import Limit, OutboxEntry


def due(db: sqlite3.Connection, pool: str, before: datetime, limit: int) -> Sequence[OutboxEntry]:
    sql = """
        SELECT id, kind, pool, run_id, due_at, body, tries FROM outbox
        WHERE pool = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?
    """
    return [
        OutboxEntry(key, kind, pool, run_id, instant(due_at), json.loads(body), tries)
        for key, kind, pool, run_id, due_at, body, tries in db.execute(sql, (pool, micros(before, "before"), limit))
    ]


def put(db: sqlite3.Connection, entry: OutboxEntry) -> bool:
    sql = """
        INSERT OR IGNORE INTO outbox (id, kind, pool, run_id, due_at, body, tries)
        VALUES (?, ?, ?, ?, ?, ?, ?)
    """
    body = json_text(entry.body, f"outbox entry {entry.id}")
    row = (entry.id, entry.kind, entry.pool, entry.run_id, micros(entry.due_at, "due_at"), body, entry.tries)
    return db.execute(sql, row).rowcount == 1


def settle(db: sqlite3.Connection, entry: OutboxEntry, again_at: datetime | None) -> None:
    if again_at is None:
        db.execute("DELETE FROM outbox WHERE id = ?", (entry.id,))
    else:
        sql = "UPDATE outbox SET due_at = ?, tries = ? WHERE id = ?"
        db.execute(sql, (micros(again_at, "again_at"), entry.tries + 1, entry.id))


def spend(db: sqlite3.Connection, budget: str, wanted: int, rates: Sequence[Limit], now: datetime) -> int:
    at = instant(micros(now, "now"))
    taken, text = spent(_saved(db, budget), wanted, rates, at)
    if text is not None:
        db.execute("INSERT OR REPLACE INTO budget (name, levels) VALUES (?, ?)", (budget, text))
    return taken


def budget_room_at(db: sqlite3.Connection, budget: str, rates: Sequence[Limit], now: datetime) -> datetime:
    return room_at(_saved(db, budget), rates, instant(micros(now, "now")))


def _saved(db: sqlite3.Connection, budget: str) -> str | None:
    row = db.execute("SELECT levels FROM budget WHERE name = ?", (budget,)).fetchone()
    return row[0] if row else None
