"""A clock that tests move by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class HandClock:
    """Stands still until it is moved; safe from several threads. Whoever sleeps by it is told of each move."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()
        self._moved: list[Callable[[], None]] = []

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def move(self, by: timedelta) -> datetime:
        """On, or back as a machine's clock may be set; returns the new time."""
        with self._lock:
            self._now += by
            now, moved = self._now, tuple(self._moved)
        for tell in moved:
            tell()
        return now

    def move_to(self, at: datetime) -> datetime:
        return self.move(at - self.now())

    def on_move(self, tell: Callable[[], None]) -> None:
        """From now on call `tell` after each move, in the thread that moves."""
        with self._lock:
            self._moved.append(tell)
