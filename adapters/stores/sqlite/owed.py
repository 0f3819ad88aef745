"""What is owed to the outside, and what may still be called of a cloud."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from adapters.stores.sqlite.rows import instant, json_text, micros
from dispatcher.ports import OutboxEntry, Rate

_NEARLY = 1e-9  # ten refills of a tenth are one call, whatever floats make of it


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


def spend(db: sqlite3.Connection, budget: str, wanted: int, rates: Sequence[Rate], now: datetime) -> int:
    """Each rate is a bucket of `burst` calls: how many are left, and when that was."""
    at = micros(now, "now")
    row = db.execute("SELECT levels FROM budget WHERE name = ?", (budget,)).fetchone()
    saved: list[tuple[float, int]] = json.loads(row[0]) if row else []
    full = [(float(rate.burst), at) for rate in rates[len(saved) :]]
    levels = [_refilled(rate, *level, at) for rate, level in zip(rates, [*saved, *full], strict=False)]
    taken = max(0, min([wanted, *(int(left + _NEARLY) for left, _ in levels)]))
    if taken:
        text = json.dumps([(max(0.0, left - taken), since) for left, since in levels])
        db.execute("INSERT OR REPLACE INTO budget (name, levels) VALUES (?, ?)", (budget, text))
    return taken


def _refilled(rate: Rate, left: float, since: int, at: int) -> tuple[float, int]:
    """The level at `at`. A caller whose clock is behind finds it as it was."""
    seconds = max(0, at - since) / 1_000_000
    return min(float(rate.burst), left + seconds * rate.per_second), max(at, since)
