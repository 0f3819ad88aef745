"""One thread that sleeps until a process ends or a time comes.

With a pidfd on Linux, kqueue on macOS; by looking ten times a second where neither is to be had.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import selectors
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeAlias

from adapters.infrastructure.process.processes import TABLE

if sys.platform != "linux":
    import select

log = logging.getLogger("pushpool")

POLL_SECONDS = 0.1

Then: TypeAlias = Callable[[], None]


class Bell(Protocol):
    """What the thread waits on. `add` and `ring` may be called from any thread."""

    def add(self, pid: int) -> bool:
        """False if there is no such process any more."""
        ...

    def ring(self) -> None: ...

    def wait(self, seconds: float | None) -> list[int]:
        """The processes that ended; none if the time was up or the bell was rung."""
        ...

    def close(self) -> None: ...


class _Pipe:
    """How a bell is rung."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"\0")

    def empty(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.reader, 4096)

    def close(self) -> None:
        os.close(self.reader)
        os.close(self._writer)


class PidfdBell:
    """Linux 5.3 or later."""

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pipe.reader, selectors.EVENT_READ, 0)

    def add(self, pid: int) -> bool:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        self._selector.register(descriptor, selectors.EVENT_READ, pid)
        return True

    def ring(self) -> None:
        self._pipe.ring()

    def wait(self, seconds: float | None) -> list[int]:
        ready = [key for key, _ in self._selector.select(seconds)]
        self._pipe.empty()
        for key in ready:
            if key.data:
                self._selector.unregister(key.fileobj)
                os.close(key.fd)
        return [key.data for key in ready if key.data]

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data:
                os.close(key.fd)
        self._selector.close()
        self._pipe.close()


class PollBell:
    """Where the system cannot tell: looks ten times a second, as long as there is something to look at."""

    def __init__(self) -> None:
        self._pids: set[int] = set()
        self._rung = threading.Event()

    def add(self, pid: int) -> bool:
        self._pids.add(pid)
        self._rung.set()
        return True

    def ring(self) -> None:
        self._rung.set()

    def wait(self, seconds: float | None) -> list[int]:
        poll = POLL_SECONDS if self._pids else None
        self._rung.wait(min((each for each in (seconds, poll) if each is not None), default=None))
        self._rung.clear()
        ended = [pid for pid in list(self._pids) if TABLE.birth(pid) is None]
        self._pids.difference_update(ended)
        return ended

    def close(self) -> None:
        self._pids.clear()


if sys.platform != "linux":

    class KqueueBell:
        """macOS and the BSDs."""

        def __init__(self) -> None:
            self._pipe = _Pipe()
            self._queue = select.kqueue()
            rung = select.kevent(self._pipe.reader, select.KQ_FILTER_READ, select.KQ_EV_ADD)
            self._queue.control([rung], 0)

        def add(self, pid: int) -> bool:
            flags = select.KQ_EV_ADD | select.KQ_EV_ONESHOT
            end = select.kevent(pid, select.KQ_FILTER_PROC, flags, select.KQ_NOTE_EXIT)
            try:
                self._queue.control([end], 0)
            except ProcessLookupError:
                return False
            return True

        def ring(self) -> None:
            self._pipe.ring()

        def wait(self, seconds: float | None) -> list[int]:
            ready = self._queue.control(None, 64, seconds)
            self._pipe.empty()
            return [event.ident for event in ready if event.filter == select.KQ_FILTER_PROC]

        def close(self) -> None:
            self._queue.close()
            self._pipe.close()


def best_bell() -> Bell:
    if sys.platform != "linux":
        return KqueueBell() if hasattr(select, "kqueue") else PollBell()
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return PollBell()
    return PidfdBell()


class Watcher:
    """Calls back when a process has ended or a time has come, from one thread that starts when needed."""

    def __init__(self, bell: Callable[[], Bell] = best_bell) -> None:
        self._make_bell = bell
        self._lock = threading.Lock()
        self._following: dict[int, Then] = {}
        self._later: list[tuple[float, int, Then]] = []
        self._numbers = itertools.count()
        self._bell: Bell | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def follow(self, pid: int, then: Then) -> None:
        """`then()` once the process has ended; at once if it has. No effect if it is followed already."""
        with self._lock:
            if self._is_closed or pid in self._following:
                return
            self._following[pid] = then
            lives = self._started().add(pid)
            if not lives:
                del self._following[pid]
        if not lives:
            self.later(0, then)

    def later(self, seconds: float, then: Then) -> None:
        with self._lock:
            if self._is_closed:
                return
            heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), then))
            self._started().ring()

    def close(self) -> None:
        """What is followed stays as it is; nothing is called back any more."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            thread, bell = self._thread, self._bell
        if thread is not None and bell is not None:
            bell.ring()
            if thread is not threading.current_thread():
                thread.join()

    def _started(self) -> Bell:
        if self._bell is None:
            self._bell = self._make_bell()
            self._thread = threading.Thread(target=self._run, args=(self._bell,), name="process", daemon=True)
            self._thread.start()
        return self._bell

    def _run(self, bell: Bell) -> None:
        with contextlib.closing(bell):
            while not self._is_closed:
                for then in self._ended(bell.wait(self._left())) + self._due():
                    if not self._is_closed:
                        _call(then)

    def _left(self) -> float | None:
        with self._lock:
            return max(0.0, self._later[0][0] - time.monotonic()) if self._later else None

    def _ended(self, pids: list[int]) -> list[Then]:
        with self._lock:
            return [self._following.pop(pid) for pid in pids if pid in self._following]

    def _due(self) -> list[Then]:
        due = []
        with self._lock:
            while self._later and self._later[0][0] <= time.monotonic():
                due.append(heapq.heappop(self._later)[2])
        return due


def _call(then: Then) -> None:
    try:
        then()
    except Exception:  # one attempt's trouble must not end the watch over the others
        log.exception("an ended process could not be dealt with")
