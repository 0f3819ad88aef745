"""The far side of `FakeCloud`: the cloud itself, in a file, so that it outlives every process that talks to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dispatcher.ports import Cause
from dispatcher.testing.far_machine import Machine, Manner, Order, handle_of, instant, number_of

FAILURES = frozenset(
    {
        "throttled",  # a definite no: too many requests
        "no capacity",  # a definite no: nothing free
        "denied",  # a definite no: credentials
        "quota",  # a definite no, for a minute
        "rejected",  # a definite no: this job never starts
        "timeout",  # no answer, and no effect
        "unavailable",  # an error of the cloud's, and no effect
        "reply lost",  # no answer, and the effect
    }
)
CALLS = frozenset({"submit", "find", "describe", "cancel", "cleanup"})


@dataclass(frozen=True, slots=True)
class Start:
    """One container that was really started."""

    run_id: str
    attempt: int
    submit_seq: int
    at: datetime
    handle: str


class FarSide:
    """The test's hand on the cloud. Any number of these, in any processes, on one path are the same cloud."""

    def __init__(self, path: Path, *, now: Callable[[], datetime] | None = None) -> None:
        self.path = path
        self._machine = Machine(path, now or (lambda: datetime.now(UTC)))

    def close(self) -> None:
        self._machine.close()

    # what the test says

    def behave(self, **changes: Any) -> Manner:
        """From now on, for every process: as before, but for these."""
        with self._machine.turn():
            manner = replace(self._machine.manner(), **changes)
            self._machine.set_manner(manner)
            return manner

    def fail_next(self, kind: str, *, times: int = 1, call: str = "submit") -> None:
        """The next calls of that kind meet with this, one of `FAILURES`."""
        assert kind in FAILURES, f"{kind!r} is none of {sorted(FAILURES)}"
        assert call in CALLS, f"{call!r} is none of {sorted(CALLS)}"
        with self._machine.turn() as db:
            db.execute("INSERT INTO failures VALUES (?, ?, ?)", [call, kind, times])

    def finish(self, handle: str, exit_code: int = 0, *, output: str = "") -> None:
        self._machine.end(handle, exit_code, Cause.EXITED, output=output)

    def finish_all(self) -> None:
        """What would go on until it is told exits with 0."""
        with self._machine.turn() as db:
            db.execute(
                "UPDATE containers SET ends_at = ?, exit_code = 0, cause = ? WHERE ended IS NULL AND ends_at IS NULL",
                [self._machine.seconds(), Cause.EXITED],
            )
            self._machine.settle()

    def kill(self, handle: str) -> None:
        """As the out-of-memory killer does."""
        self._machine.end(handle, 137, Cause.KILLED, message="killed: out of memory")

    def crash(self, handle: str) -> None:
        """Its host is lost."""
        self._machine.end(handle, None, Cause.INFRASTRUCTURE, message="host lost")

    def refuse(self, handle: str) -> None:
        """It can never start: the image is not there."""
        self._machine.end(handle, None, Cause.REFUSED, message="image not found")

    def lose(self, handle: str) -> None:
        """The cloud forgets it, without a word."""
        self._machine.end(handle, None, Cause.INFRASTRUCTURE, lost=True)

    # what the test asks

    def started(self, run_id: str | None = None) -> list[Start]:
        """Everything that was ever started, in order."""
        rows = self._machine.rows(
            "SELECT * FROM containers WHERE ? IS NULL OR run_id = ? ORDER BY number", run_id, run_id
        )
        return [
            Start(row["run_id"], row["attempt"], row["submit_seq"], instant(row["at"]), handle_of(row["number"]))
            for row in rows
        ]

    def doubles(self) -> list[tuple[str, int]]:
        """(run, attempt) of which more than one container was started."""
        rows = self._machine.rows(
            "SELECT run_id, attempt FROM containers GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1, 2"
        )
        return [(row["run_id"], row["attempt"]) for row in rows]

    def live(self) -> list[str]:
        """Handles of what has not ended."""
        rows = self._machine.rows("SELECT number FROM containers WHERE ended IS NULL ORDER BY number")
        return [handle_of(row["number"]) for row in rows]

    def highest(self, kind: str = "all") -> Mapping[str, int]:
        """The highest number ever live at once: in `all`, or of each `pool`, `deployment`, `group` or `run`."""
        rows = self._machine.rows("SELECT name, highest FROM peaks WHERE kind = ?", kind)
        return {row["name"]: row["highest"] for row in rows}

    def counts(self) -> Mapping[str, int]:
        """How often each call was made, and what became of it: `submit`, `submit: throttled`, …"""
        return {row["what"]: row["count"] for row in self._machine.rows("SELECT * FROM counts")}

    def left(self) -> list[str]:
        """Handles of what has ended and was not cleaned up, if this cloud keeps such."""
        rows = self._machine.rows("SELECT number FROM containers WHERE kept AND ended IS NOT NULL ORDER BY number")
        return [handle_of(row["number"]) for row in rows]

    def environment(self, handle: str) -> dict[str, str]:
        """What the container sees, its token too: with it a test speaks as the container."""
        row = self.container(handle)
        assert row is not None, f"there is no {handle}"
        return {str(name): str(value) for name, value in json.loads(row["environment"]).items()}

    def take_events(self) -> list[dict[str, Any]]:
        """What has to be delivered by now; each is given out once a copy."""
        with self._machine.turn() as db:
            rows = db.execute(
                "SELECT * FROM events WHERE at <= ? ORDER BY number", [self._machine.seconds()]
            ).fetchall()
            db.executemany("DELETE FROM events WHERE number = ?", [[row["number"]] for row in rows])
            if self._machine.manner().newest_event_first:
                rows.reverse()
        return [json.loads(row["body"]) for row in rows]

    def next_event_in(self) -> float | None:
        """Seconds until there is an event to take, as far as is known now."""
        with self._machine.turn() as db:
            times = [
                db.execute(f"SELECT min({at}) AS at FROM {table}").fetchone()["at"]  # noqa: S608 - three constants
                for at, table in (
                    ("at", "events"),
                    ("ends_at", "containers WHERE ended IS NULL"),
                    ("runs_at", "containers WHERE said_running = 0"),
                )
            ]
        soonest = min((at for at in times if at is not None), default=None)
        return None if soonest is None else max(0.0, soonest - self._machine.seconds())

    def wait_for_change(self, seen: int, seconds: float | None) -> int:
        """Sleeps until a call of this object has changed anything since it returned `seen`, or the time is up."""
        return self._machine.wait_for_change(seen, seconds)

    # what the adapter asks

    def now(self) -> datetime:
        return instant(self._machine.seconds())

    @property
    def manner(self) -> Manner:
        with self._machine.turn():
            return self._machine.manner()

    def met(self, call: str) -> str | None:
        """Counts the call; what it meets with, if that was asked for."""
        with self._machine.turn() as db:
            row = db.execute("SELECT rowid, * FROM failures WHERE call = ? ORDER BY rowid LIMIT 1", [call]).fetchone()
            kind = str(row["kind"]) if row else None
            if row and row["times"] > 1:
                db.execute("UPDATE failures SET times = times - 1 WHERE rowid = ?", [row["rowid"]])
            elif row:
                db.execute("DELETE FROM failures WHERE rowid = ?", [row["rowid"]])
            self._machine.count(call)
            if kind is not None:
                self._machine.count(f"{call}: {kind}")
            return kind

    def start(self, order: Order) -> str | None:
        """The handle of the container, new or that of the same submission; None: over the rate limit."""
        with self._machine.turn() as db:
            manner, now = self._machine.manner(), self._machine.seconds()
            since = -1.0 if manner.token_life is None else now - manner.token_life
            if not self._machine.has_rate(manner, now):
                self._machine.count("submit: throttled")
                return None
            row = db.execute(
                "SELECT number FROM containers WHERE run_id = ? AND attempt = ? AND submit_seq = ? AND at > ?"
                " ORDER BY number DESC LIMIT 1",
                [order.run_id, order.attempt, order.submit_seq, since],
            ).fetchone()
            number = row["number"] if row else self._machine.insert(order, manner, now)
            return handle_of(number)

    def submitted(self, run_id: str, attempt: int, submit_seq: int) -> str | None:
        rows = self._machine.rows(
            "SELECT number FROM containers WHERE run_id = ? AND attempt = ? AND submit_seq = ? AND at + ? <= ?"
            " AND NOT lost ORDER BY number LIMIT 1",
            run_id, attempt, submit_seq, self.manner.visibility_delay, self._machine.seconds(),
        )  # fmt: skip
        return handle_of(rows[0]["number"]) if rows else None

    def container(self, handle: str, *, visible: bool = False) -> sqlite3.Row | None:
        """`visible`: only if it can be seen from outside by now."""
        number = number_of(handle)
        rows = self._machine.rows(
            "SELECT *, runs_at <= ? AS running FROM containers WHERE number = ?", self._machine.seconds(), number
        )
        if not rows or not visible:
            return rows[0] if rows else None
        seen = rows[0]["at"] + self.manner.visibility_delay <= self._machine.seconds()
        return rows[0] if seen and not rows[0]["lost"] else None

    def stop(self, handle: str) -> None:
        with self._machine.turn() as db:
            seconds = self._machine.manner().stop_seconds
            if seconds is None:
                return
            db.execute(
                "UPDATE containers SET ends_at = ?, exit_code = 143, cause = ?, message = 'stopped on request'"
                " WHERE number = ? AND ended IS NULL AND (ends_at IS NULL OR ends_at > ?)",
                [
                    self._machine.seconds() + seconds,
                    Cause.STOPPED,
                    number_of(handle),
                    self._machine.seconds() + seconds,
                ],
            )
            self._machine.settle()

    def clean(self, handle: str) -> bool:
        """False: it has not ended, and stays."""
        with self._machine.turn() as db:
            number = number_of(handle)
            db.execute("UPDATE containers SET kept = 0 WHERE number = ? AND ended IS NOT NULL", [number])
            row = db.execute("SELECT kept FROM containers WHERE number = ?", [number]).fetchone()
            return row is None or not row["kept"]
