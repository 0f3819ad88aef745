"""The file: its connections, its transactions, and SQLite's errors as ours.

Invariant: a write holds SQLite's write lock from its start, so what it reads stays true until the commit.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from adapters.stores.sqlite import schema
from dispatcher.errors import InvalidInput, PushpoolError, StoreUnavailable, StoreUnusable

_KEPT_WAL_BYTES = 16 * 1024 * 1024  # what a burst leaves of the log; more is given back to the disk

_WAYS_OUT = {
    sqlite3.SQLITE_READONLY: "read-only, or moved while in use; make it and its directory writable",
    sqlite3.SQLITE_PERM: "no permission; make it and its directory readable and writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; make it and its directory readable and writable",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "the disk reported an error; check the disk and its space",
    sqlite3.SQLITE_NOTADB: "not a pushpool store, or damaged; name another file, or restore a backup",
    sqlite3.SQLITE_CORRUPT: "damaged; restore a backup, or recover it with `sqlite3 FILE .recover`",
}
_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})


class Database:
    """One SQLite file for this process's threads. A call waits up to `wait_seconds` for other writers."""

    def __init__(self, path: str, *, wait_seconds: float) -> None:
        self.path = str(Path(path).expanduser().absolute())
        # Half for the threads of this process, which queue at a lock, half for other processes.
        self._wait = wait_seconds / 2
        self._turn = threading.Lock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        _claim(Path(self.path))
        try:
            with self._connection() as db:
                schema.prepare(db, self.path, wait_seconds=self._wait)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Each statement sees one committed state; readers and writers do not wait for each other."""
        with self._connection() as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, alone: committed when the block ends, rolled back when it raises."""
        if not self._turn.acquire(timeout=self._wait):
            raise self._busy()
        try:
            with self._connection() as db:
                # IMMEDIATE takes the write lock now; a plain BEGIN would read first and could lose its turn.
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("COMMIT")
        finally:
            self._turn.release()

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection that no other thread uses meanwhile; after an error of SQLite's it is thrown away."""
        if self._closed:
            raise StoreUnusable(f"{self.path}: this store was closed; open it again")
        db: sqlite3.Connection | None = None
        try:
            db = self._take()
            yield db
        except sqlite3.DatabaseError as exc:
            if db is not None:
                db.close()
            if known := self._translated(exc):
                raise known from exc
            raise
        except BaseException as exc:
            if db is not None:
                self._give_up(db)
            if isinstance(exc, UnicodeEncodeError):
                raise InvalidInput(f"{exc.object!r} is not text that can be stored: {exc.reason}") from exc
            raise
        self._keep(db)

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a file that was deleted must not come back empty. Connections go from thread to thread.
        uri = f"file:{quote(self.path)}?mode=rw"
        db = sqlite3.connect(uri, uri=True, timeout=self._wait, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {_KEPT_WAL_BYTES}")
        return db

    def _give_up(self, db: sqlite3.Connection) -> None:
        if db.in_transaction:
            db.execute("ROLLBACK")
        self._keep(db)

    def _keep(self, db: sqlite3.Connection) -> None:
        if self._closed:
            db.close()
        else:
            self._idle.append(db)

    def _busy(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self.path}: others have been writing for {self._wait:g} s; try again")

    def _translated(self, exc: sqlite3.Error) -> PushpoolError | None:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF  # the upper bits only say more about the same
        if code in _PASSING:
            return self._busy()
        return StoreUnusable(f"{self.path}: {_WAYS_OUT[code]}") if code in _WAYS_OUT else None


def _claim(path: Path) -> None:
    """The file exists. If it is new only its owner may read it; SQLite gives the log the same mode."""
    try:
        if path.is_dir():
            raise StoreUnusable(f"{path}: a directory; name a file in it")
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileNotFoundError as exc:
        raise StoreUnusable(f"{path}: there is no directory {path.parent}; create it or name another") from exc
    except OSError as exc:
        raise StoreUnusable(f"{path}: cannot be created ({exc.strerror}); name a file in a writable directory") from exc
