"""The processes of a crowd: filled up, thinned out by killing, and sent home."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from random import Random

from dispatcher import registry
from dispatcher.testing.proof.crowd.member import Seat, attend

LIFE_SECONDS = 12.0  # of a dispatcher, until it is killed, on average
LEAVE_SECONDS = 30.0


class Crew:
    """A process for each of `seats`. `deaths`: how many were killed; `fell`: exit codes of what ended by itself."""

    def __init__(self, seats: Sequence[Seat], draw: Random) -> None:
        self._draw = draw
        self._context = multiprocessing.get_context("forkserver")
        # A process that takes a dead one's place is there at once: what it imports is imported before it is forked.
        self._context.set_forkserver_preload([attend.__module__, *_adapters()])
        self._empty = list(seats)
        self._taken: list[tuple[Seat, ForkServerProcess]] = []
        self._killed_at = time.monotonic()
        self.deaths = 0
        self.fell: list[int] = []

    def fill(self) -> None:
        """In every seat there is a process again."""
        for place in list(self._taken):
            if place[1].exitcode is not None:
                self.fell.append(place[1].exitcode)
                self._leave(*place)
        for seat in self._empty:
            process = self._context.Process(target=attend, args=(seat,), daemon=True)
            process.start()
            self._taken.append((seat, process))
        self._empty = []

    def thin_out(self) -> None:
        """Kill one of them, if it is time for that."""
        if time.monotonic() < self._killed_at + LIFE_SECONDS / len(self._taken):
            return
        self._killed_at = time.monotonic()
        seat, process = self._draw.choice(self._taken)
        if process.exitcode is None:
            process.kill()
            process.join()
            self._leave(seat, process)
            self.deaths += 1

    def dismiss(self) -> None:
        """All of them end, in the middle of nothing."""
        for _, process in self._taken:
            process.terminate()
        for seat, process in list(self._taken):
            process.join(LEAVE_SECONDS)
            if process.exitcode is None:
                process.kill()
                process.join()
            if process.exitcode and process.exitcode != -signal.SIGTERM:  # which came before it could listen
                self.fell.append(process.exitcode)
            self._leave(seat, process)

    def _leave(self, seat: Seat, process: ForkServerProcess) -> None:
        """Whoever comes next has luck of its own."""
        process.close()
        self._taken.remove((seat, process))
        self._empty.append(replace(seat, seed=self._draw.getrandbits(32)))


def _adapters() -> list[str]:
    return [where.partition(":")[0] for where in registry.STORES.values()]
