"""Wakes within this process: timers, and threads that make the passes."""

from __future__ import annotations

import contextlib
import heapq
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from dispatcher.ports import Clock

log = logging.getLogger("pushpool")

LONGEST_SLEEP_SECONDS = 60.0  # a timeout does not see that the machine slept, or that its clock was set


@runtime_checkable
class Moved(Protocol):
    """A further ability of a clock: it says when it was set."""

    def on_move(self, tell: Callable[[], None], /) -> None: ...


class _MachineClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(slots=True)
class _Alarm:
    """The wakes of a pool in one second: a pass at the first, and one more at the last."""

    first: datetime
    last: datetime
    hops: int

    def add(self, at: datetime, hops: int) -> None:
        self.first, self.last = min(self.first, at), max(self.last, at)
        self.hops = min(self.hops, hops)


@contextlib.contextmanager
def _logged_if_out_of_threads() -> Iterator[None]:
    """A wake never raises; the next one tries again."""
    try:
        yield
    except RuntimeError as error:
        log.warning("wake not kept", extra={"why": str(error)})


class Timers:
    """Calls `run(pool, hops)`: never twice at once for a pool, and once more for any wake that came meanwhile.

    Wakes that collapse count as the one with the fewest hops. Nothing runs while there is nothing to do.
    """

    def __init__(self, run: Callable[[str, int], None], *, clock: Clock | None = None, workers: int = 4) -> None:
        self._run = run
        self._clock = clock or _MachineClock()
        self._changed = threading.Condition()
        self._alarms: dict[tuple[str, int], _Alarm] = {}
        self._heap: list[tuple[datetime, tuple[str, int]]] = []
        self._wanted: dict[str, int] = {}  # pool → hops of a pass that has not begun
        self._busy: set[str] = set()
        self._closed = False
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="pass")
        self._thread: threading.Thread | None = None
        if isinstance(self._clock, Moved):
            self._clock.on_move(self._look_again)

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None:
        with self._changed:
            if self._closed:
                return
            if at is None or at <= self._clock.now():
                self._want(pool, hops)
            else:
                self._set(pool, at, hops)

    def close(self) -> None:
        """Waits for the passes that have begun; no other will."""
        with self._changed:
            self._closed = True
            self._wanted.clear()
            self._changed.notify_all()
        self._workers.shutdown(wait=True)
        if self._thread is not None:
            self._thread.join()

    def _set(self, pool: str, at: datetime, hops: int) -> None:
        key = (pool, int(at.timestamp()))
        alarm = self._alarms.get(key)
        if alarm is None:
            self._alarms[key] = _Alarm(at, at, hops)
        elif at < alarm.first:
            alarm.add(at, hops)
        else:
            alarm.add(at, hops)
            return
        heapq.heappush(self._heap, (at, key))
        if self._heap[0][1] == key:
            self._wake_thread()

    def _wake_thread(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._sleep_and_fire, name="timers", daemon=True)
            with _logged_if_out_of_threads():
                thread.start()
                self._thread = thread
        self._changed.notify_all()

    def _look_again(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _sleep_and_fire(self) -> None:
        with self._changed:
            while not self._closed:
                now = self._clock.now()
                while self._heap and self._heap[0][0] <= now:
                    self._fire(heapq.heappop(self._heap), now)
                self._changed.wait(self._seconds_left(now))

    def _fire(self, due: tuple[datetime, tuple[str, int]], now: datetime) -> None:
        at, key = due
        alarm = self._alarms.get(key)
        if alarm is None or alarm.first != at:
            return  # an earlier one took its place
        del self._alarms[key]
        self._want(key[0], alarm.hops)
        if alarm.last > now:
            self._alarms[key] = _Alarm(alarm.last, alarm.last, alarm.hops)
            heapq.heappush(self._heap, (alarm.last, key))

    def _seconds_left(self, now: datetime) -> float | None:
        if not self._heap:
            return None
        return min((self._heap[0][0] - now).total_seconds(), LONGEST_SLEEP_SECONDS)

    def _want(self, pool: str, hops: int) -> None:
        self._wanted[pool] = min(hops, self._wanted.get(pool, hops))
        if pool not in self._busy:
            with _logged_if_out_of_threads():
                self._workers.submit(self._pass, pool)
                self._busy.add(pool)

    def _pass(self, pool: str) -> None:
        with self._changed:
            hops = self._wanted.pop(pool, None)
        if hops is not None:
            try:
                self._run(pool, hops)
            except Exception:  # whatever a pass met, the next one starts from the store again
                log.exception("pass failed", extra={"pool": pool})
        with self._changed:
            self._busy.discard(pool)
            if pool in self._wanted and not self._closed:
                self._want(pool, self._wanted[pool])
