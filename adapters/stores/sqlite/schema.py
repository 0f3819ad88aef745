"""The tables, their version, and which files are refused.

`SCHEMA_VERSION` goes up only when older code could no longer use the file: what it can ignore (a further
index, a nullable column, a new key in a JSON text) does not count, so old and new code share a file during
an upgrade.

Invariant: a file that is not ours, or is of a newer version, is left as it was found.
"""

from __future__ import annotations

import sqlite3
import time

from dispatcher.errors import StoreUnusable

APPLICATION_ID = 0x70757368  # "push"
SCHEMA_VERSION = 1

# Times are whole microseconds since 1970 in UTC. `run.hot` is the run as JSON without its payload, which may
# be large and never changes; what the other columns repeat is there to be searched. The last columns of an index
# are not searched by: with them it answers without the table.
_TABLES = """
CREATE TABLE record (
    kind TEXT NOT NULL, key TEXT NOT NULL, parent TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX record_by_parent ON record (kind, parent, key);

CREATE TABLE schedule_cursor (
    schedule_id TEXT PRIMARY KEY, next_at INTEGER, version INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX schedule_cursor_due ON schedule_cursor (next_at, schedule_id) WHERE next_at IS NOT NULL;

CREATE TABLE run (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
    state TEXT NOT NULL, name TEXT NOT NULL, attempt INTEGER NOT NULL,
    pool TEXT NOT NULL, queue TEXT NOT NULL, deployment TEXT NOT NULL, deployment_id TEXT NOT NULL,
    scheduled_time INTEGER NOT NULL, due_at INTEGER NOT NULL, parked INTEGER NOT NULL, expires_at INTEGER,
    tags TEXT NOT NULL, hot TEXT NOT NULL
);
CREATE INDEX run_due ON run (pool, queue, due_at, id, deployment_id, state, parked)
    WHERE state = 'SCHEDULED' AND parked = 0;
CREATE INDEX run_parked ON run (pool, deployment_id, due_at, id, state, parked)
    WHERE state = 'SCHEDULED' AND parked = 1;
CREATE INDEX run_by_state ON run (state, scheduled_time, id);
CREATE INDEX run_by_pool ON run (pool, state, scheduled_time, id);
CREATE INDEX run_by_queue ON run (pool, queue, state, scheduled_time, id);
CREATE INDEX run_by_deployment ON run (deployment, state, scheduled_time, id);
CREATE INDEX run_expiry ON run (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE payload (run INTEGER PRIMARY KEY, body TEXT NOT NULL);

CREATE TABLE idempotency_key (
    deployment_id TEXT NOT NULL, key TEXT NOT NULL, run_id TEXT NOT NULL, keep_until INTEGER,
    PRIMARY KEY (deployment_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_key_of_run ON idempotency_key (run_id);
CREATE INDEX idempotency_key_expiry ON idempotency_key (keep_until) WHERE keep_until IS NOT NULL;

CREATE TABLE request (
    run INTEGER NOT NULL, attempt INTEGER NOT NULL, target TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (run, attempt)
) WITHOUT ROWID;

CREATE TABLE slot (
    held_limit TEXT NOT NULL, name TEXT NOT NULL, run_id TEXT NOT NULL,
    attempt INTEGER, pool TEXT, queue TEXT, deployment_id TEXT, slots TEXT,
    check_at INTEGER, heard_at INTEGER,
    PRIMARY KEY (held_limit, name)
) WITHOUT ROWID;

CREATE TABLE outbox (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, pool TEXT NOT NULL, run_id TEXT NOT NULL,
    due_at INTEGER NOT NULL, tries INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (pool, due_at, id);

CREATE TABLE budget (name TEXT PRIMARY KEY, levels TEXT NOT NULL) WITHOUT ROWID;
"""


def prepare(db: sqlite3.Connection, path: str, *, wait_seconds: float) -> None:
    """The file is ours, of this version, in WAL mode and writable.

    :raises StoreUnusable: it is somebody else's, or of a version that this code does not know.
    """
    db.execute("BEGIN")  # one look: what another process is making would be half of a store
    fresh = _is_fresh(db, path)
    db.execute("COMMIT")
    _use_wal(db, wait_seconds)
    db.execute("BEGIN IMMEDIATE")
    fresh = fresh and _is_fresh(db, path)  # another process may have been quicker
    if fresh:
        for statement in filter(str.strip, _TABLES.split(";")):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # Also in a file that is ready, and then taken back: only a write tells that the file is read-only.
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT" if fresh else "ROLLBACK")


def _is_fresh(db: sqlite3.Connection, path: str) -> bool:
    """True of an empty file, False of a store of this version."""
    application = _pragma(db, "application_id")
    version = _pragma(db, "user_version")
    if application == APPLICATION_ID and version == SCHEMA_VERSION:
        return False
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version, tables) == (0, 0, 0):
        return True
    if application != APPLICATION_ID:
        raise StoreUnusable(f"{path}: not a pushpool store but another program's database; name another file")
    raise StoreUnusable(
        f"{path}: its schema version is {version}, this pushpool knows {SCHEMA_VERSION}; upgrade pushpool, "
        "or name another file"
    )


def _use_wal(db: sqlite3.Connection, wait_seconds: float) -> None:
    """Switch to WAL unless it is on. SQLite does not wait for others by itself here: it says BUSY at once."""
    deadline = time.monotonic() + wait_seconds
    while _pragma(db, "journal_mode") != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _pragma(db: sqlite3.Connection, name: str) -> object:
    (value,) = db.execute(f"PRAGMA {name}").fetchone()
    return value
