"""What the cloud behind `FakeCloud` is made of: its tables, and what time does to them.

Invariant: each turn is one transaction that begins with everything settled that has happened by then.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dispatcher.ports import Cause, Phase

_SCHEMA = """
CREATE TABLE IF NOT EXISTS manner (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS containers (
    number INTEGER PRIMARY KEY, run_id TEXT NOT NULL, attempt INTEGER NOT NULL, submit_seq INTEGER NOT NULL,
    pool TEXT NOT NULL, deployment TEXT NOT NULL, grouped TEXT NOT NULL, environment TEXT NOT NULL,
    at REAL NOT NULL, runs_at REAL NOT NULL, ends_at REAL, ended REAL, exit_code INTEGER, cause TEXT,
    message TEXT NOT NULL DEFAULT '', output TEXT NOT NULL DEFAULT '',
    said_running INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS containers_of_run ON containers (run_id, attempt, submit_seq);
CREATE INDEX IF NOT EXISTS containers_ending ON containers (ends_at) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS containers_starting ON containers (runs_at) WHERE said_running = 0;
CREATE TABLE IF NOT EXISTS peaks (
    kind TEXT, name TEXT, now INTEGER NOT NULL, highest INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (call TEXT NOT NULL, kind TEXT NOT NULL, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counts (what TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bucket (one INTEGER PRIMARY KEY CHECK (one = 1), tokens REAL NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, at REAL NOT NULL, body TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the cloud behaves. Times are seconds; None is never."""

    token_life: float | None = None  # a repeat within it is the same container; None: always
    visibility_delay: float = 0.0  # until a container is found and described
    start_seconds: float = 0.0  # from acceptance to RUNNING
    run_seconds: float | None = None  # from there to its end; None: by hand, or when cancelled
    exit_code: int = 0
    stop_seconds: float | None = 0.0  # from `cancel` to the end; None: it does not listen
    keeps: bool = False  # an ended container is there until it is cleaned up
    burst: int = 0  # submissions at once; 0: no rate limit
    per_second: float = 1.0
    event_phases: tuple[Phase, ...] = (Phase.RUNNING, Phase.STOPPED)
    event_copies: int = 1  # 0: lost, 2: doubled
    event_delay: float = 0.0
    newest_event_first: bool = False
    hold_before: float = 0.0  # a real sleep in `submit` before the effect, and after it:
    hold_after: float = 0.0  # where a test kills the caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a submission asks for."""

    run_id: str
    attempt: int
    submit_seq: int
    pool: str
    deployment: str
    group: str
    environment: Mapping[str, str]
    wishes: Mapping[str, Any]  # run_seconds, exit_code, output: of this container alone


class Machine:
    """The cloud's state, in a file that any number of processes share."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._stirred = threading.Condition()
        self._stirs = 0
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")  # it outlives a process, not a power cut
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def seconds(self) -> float:
        return self._now().timestamp()

    @contextmanager
    def turn(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            before = self._db.total_changes
            try:
                self.settle()
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            changed = self._db.total_changes != before
        if changed:
            with self._stirred:
                self._stirs += 1
                self._stirred.notify_all()

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self.turn() as db:
            return db.execute(query, values).fetchall()

    def wait_for_change(self, seen: int, seconds: float | None) -> int:
        """Sleeps until this object has changed anything since it returned `seen`, or the time is up."""
        with self._stirred:
            self._stirred.wait_for(lambda: self._stirs != seen, seconds)
            return self._stirs

    def manner(self) -> Manner:
        row = self._db.execute("SELECT body FROM manner").fetchone()
        if row is None:
            return Manner()
        kept = json.loads(row["body"])
        return Manner(**{**kept, "event_phases": tuple(Phase(name) for name in kept["event_phases"])})

    def set_manner(self, manner: Manner) -> None:
        self._db.execute("REPLACE INTO manner VALUES (1, ?)", [json.dumps(asdict(manner))])

    def insert(self, order: Order, manner: Manner, now: float) -> int:
        runs_at = now + manner.start_seconds
        seconds = order.wishes.get("run_seconds", manner.run_seconds)
        cursor = self._db.execute(
            "INSERT INTO containers (run_id, attempt, submit_seq, pool, deployment, grouped, environment, at, runs_at,"
            " ends_at, exit_code, cause, output, kept) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                order.run_id, order.attempt, order.submit_seq, order.pool, order.deployment, order.group,
                json.dumps(dict(order.environment)), now, runs_at, None if seconds is None else runs_at + seconds,
                order.wishes.get("exit_code", manner.exit_code), Cause.EXITED,
                order.wishes.get("output", ""), manner.keeps,
            ],
        )  # fmt: skip
        self._peak(_names(order.pool, order.deployment, order.group, order.run_id), 1)
        self.settle()
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def end(
        self, handle: str, code: int | None, cause: Cause, *, message: str = "", output: str = "", lost: bool = False
    ) -> None:
        with self.turn() as db:
            cursor = db.execute(
                "UPDATE containers SET ends_at = ?, exit_code = ?, cause = ?, message = ?, output = output || ?,"
                " lost = ? WHERE number = ? AND ended IS NULL",
                [self.seconds(), code, cause, message, output, lost, number_of(handle)],
            )
            assert cursor.rowcount, f"{handle} is not live"
            self.settle()

    def settle(self) -> None:
        """What has happened by now, in its order: starts and ends, with their events."""
        now, manner = self.seconds(), self.manner()
        rows = self._db.execute("SELECT * FROM containers WHERE said_running = 0 AND runs_at <= ?", [now]).fetchall()
        for row in rows:
            self._db.execute("UPDATE containers SET said_running = 1 WHERE number = ?", [row["number"]])
            self._emit(row, Phase.RUNNING, row["runs_at"], manner)
        rows = self._db.execute(
            "SELECT * FROM containers WHERE ended IS NULL AND ends_at <= ? ORDER BY ends_at, number", [now]
        ).fetchall()
        for row in rows:
            self._db.execute(
                "UPDATE containers SET ended = ends_at, said_running = 1 WHERE number = ?", [row["number"]]
            )
            self._peak(_names(row["pool"], row["deployment"], row["grouped"], row["run_id"]), -1)
            if not row["lost"]:
                self._emit(row, Phase.STOPPED, row["ends_at"], manner)

    def _emit(self, row: sqlite3.Row, phase: Phase, at: float, manner: Manner) -> None:
        if phase not in manner.event_phases:
            return
        stopped = phase is Phase.STOPPED
        body = {
            "source": "fake",
            "handle": handle_of(row["number"]),
            "run_id": row["run_id"],
            "attempt": row["attempt"],
            "phase": phase,
            "started": row["runs_at"],
            "ended": at if stopped else None,
            "exit_code": row["exit_code"] if stopped else None,
            "cause": row["cause"] if stopped else None,
            "message": row["message"] if stopped else "",
            "log_tail": row["output"] if stopped else "",
        }
        copies = [[at + manner.event_delay, json.dumps(body)]] * manner.event_copies
        self._db.executemany("INSERT INTO events (at, body) VALUES (?, ?)", copies)

    def _peak(self, names: list[tuple[str, str]], change: int) -> None:
        self._db.executemany(
            "INSERT INTO peaks VALUES (?, ?, ?3, max(?3, 0)) ON CONFLICT DO UPDATE"
            " SET now = now + ?3, highest = max(highest, now + ?3)",
            [(kind, name, change) for kind, name in names],
        )

    def count(self, what: str) -> None:
        self._db.execute("INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1", [what])

    def has_rate(self, manner: Manner, now: float) -> bool:
        if not manner.burst:
            return True
        row = self._db.execute("SELECT * FROM bucket").fetchone()
        tokens, at = (row["tokens"], row["at"]) if row else (float(manner.burst), now)
        tokens = min(float(manner.burst), tokens + (now - at) * manner.per_second)
        allowed = bool(tokens >= 1)
        self._db.execute("REPLACE INTO bucket VALUES (1, ?, ?)", [tokens - allowed, now])
        return allowed


def _names(pool: str, deployment: str, group: str, run_id: str) -> list[tuple[str, str]]:
    return [("all", ""), ("pool", pool), ("deployment", deployment), ("group", group), ("run", run_id)]


def handle_of(number: int) -> str:
    return f"fake/{number}"


def number_of(handle: str) -> int:
    word, _, number = handle.partition("/")
    return int(number) if word == "fake" and number.isdecimal() else -1


def instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
