"""Dispatchers as processes: two at a time, whose clocks differ by two seconds; who is killed is replaced."""

from __future__ import annotations

import faulthandler
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, NoReturn, cast

from dispatcher import registry
from dispatcher.context import Context
from dispatcher.errors import PushpoolError
from dispatcher.ports import Infrastructure, Observation
from dispatcher.runs import Target
from dispatcher.testing.clock import START
from dispatcher.testing.crashes import Blow, Fuse, fused_cloud, fused_store, unheard
from dispatcher.testing.proof.far import Unsettled
from dispatcher.testing.proof.planted import BUGS
from dispatcher.testing.proof.product import Answer, Died, Functions, Silent
from dispatcher.testing.proof.shared_clock import SharedClock
from dispatcher.testing.proof.stores import StoreAt
from dispatcher.tokens import KeyRing

SKEW = timedelta(seconds=1)  # ahead of the time, or behind it
NARROW = ("narrow",)  # of two at once one serves these queues alone: so they want the same slots for different runs
SCRIPTED = "dispatcher.testing.proof.scripted:open"
PRELOADED = "dispatcher.testing.proof.preloaded"


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything that a process of it has to be told.

    `settings`, `environment`: the adapter's. `planted`: a bug of `planted.BUGS`. `call_seconds`: in which a call is
    over, however slow the machine; else it would never be, and the process ends.
    """

    store: StoreAt
    type: str
    clock: Path
    keys: str
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    planted: str | None = None
    call_seconds: float = 180.0

    def context(self, *, skew: timedelta = timedelta(0), fuse: Fuse | None = None) -> Context:
        store, cloud = self.store.open(), self.cloud()
        if fuse is not None:
            store, cloud = fused_store(store, fuse), fused_cloud(cloud, fuse)
        clock = SharedClock(self.clock, skew=skew)
        lagging = cast("Infrastructure", _Lagging(cloud, clock))
        return Context(store, lambda _: lagging, Silent(), KeyRing.parse(self.keys), clock, "http://127.0.0.1:4280")

    def cloud(self) -> Infrastructure:
        os.environ.update(self.environment)
        opened: Infrastructure = registry.load(self.type, registry.INFRASTRUCTURE.get(self.type, SCRIPTED))(
            self.settings
        )
        return opened


@dataclass(frozen=True, slots=True)
class Trip:
    """Where trouble comes, counted in steps of one life. `how`: killed, or unheard."""

    at: int
    how: str = "killed"


class _Lagging:
    """A cloud that finds nothing yet of what was submitted at first, for as long as it says that this may be."""

    def __init__(self, behind: Infrastructure, clock: SharedClock) -> None:
        self._behind, self._clock = behind, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def find(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Observation | None:
        found = self._behind.find(target, run_id, attempt, submit_seq)
        return found if self._clock.now() >= START + self._behind.traits.visibility_delay else None


class Processes:
    """A `Product` of two processes. They make passes at the same time, and take turns in everything else.

    `steps`: all that the one whose turn it was has passed. `tripped`: the step of them at which it went wrong.
    :raises Unsettled: one ended by itself, or a call would not end; its stacks are on stderr.
    """

    def __init__(self, installation: Installation, trip: Trip | None = None) -> None:
        self._installation, self._trip = installation, trip
        self.steps: list[str] = []
        self.tripped: str | None = None
        self._mine, self._others = _Process(installation, SKEW), _Process(installation, -SKEW)

    def call(self, name: str, *arguments: Any) -> Answer:
        self._begin(name, arguments)
        return self._ended()

    def tick(self) -> None:
        self._begin("tick", ())
        self._others.begin("tick", (NARROW,))
        try:
            self._ended()
        finally:
            self._others.ended()
            self._mine, self._others = self._others, self._mine

    def _begin(self, name: str, arguments: tuple[Any, ...]) -> None:
        trip = None
        if self._trip is not None and self.tripped is None:
            trip = Trip(self._trip.at - len(self.steps), self._trip.how)
        self._mine.begin(name, arguments, trip)

    def _ended(self) -> Answer:
        answer, steps = self._mine.ended()
        self.steps += steps
        if self._trip is not None and self.tripped is None and len(self.steps) > self._trip.at:
            self.tripped = self.steps[self._trip.at]
        if answer is None:
            self._mine.close()
            self._mine = _Process(self._installation, self._mine.skew)
            raise Died(steps[-1])
        return answer

    def close(self) -> None:
        self._mine.close()
        self._others.close()


@contextmanager
def processes(installation: Installation, trip: Trip | None = None) -> Iterator[Processes]:
    made = Processes(installation, trip)
    try:
        yield made
    finally:
        made.close()


class _Process:
    def __init__(self, installation: Installation, skew: timedelta) -> None:
        self.skew = skew
        self._line, theirs = multiprocessing.Pipe()
        self._process: ForkServerProcess = _forks().Process(
            target=_serve, args=(theirs, installation, skew), daemon=True
        )
        self._process.start()
        theirs.close()

    def begin(self, name: str, arguments: tuple[Any, ...], trip: Trip | None = None) -> None:
        self._line.send((name, arguments, trip))

    def ended(self) -> tuple[Answer | None, list[str]]:
        """Its answer, or None if it was killed; and the steps that it passed. :raises Unsettled:"""
        try:
            answer, steps = self._line.recv()
        except (EOFError, ConnectionResetError):  # reset: it had not read all
            self._process.join(10)
            raise Unsettled(f"a dispatcher ended by itself, with exit code {self._process.exitcode}") from None
        return answer, steps

    def close(self) -> None:
        self._line.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


@cache
def _forks() -> ForkServerContext:
    """Processes that begin with everything imported and nothing opened."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload([PRELOADED, __name__])
    return made


def _serve(line: Connection, installation: Installation, skew: timedelta) -> None:
    """One process, until its line is cut, it is killed, or a call does not end."""
    faulthandler.dump_traceback_later(installation.call_seconds, exit=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides
    logging.disable(logging.CRITICAL)  # passes log the trouble that they are given
    fuse = _Fuse(line)
    context = installation.context(skew=skew, fuse=fuse)
    functions = Functions(context if installation.planted is None else BUGS[installation.planted].plant(context))
    while True:
        faulthandler.cancel_dump_traceback_later()
        try:
            name, arguments, trip = line.recv()
        except EOFError:
            os._exit(0)
        faulthandler.dump_traceback_later(installation.call_seconds, exit=True)
        fuse.begin(trip)
        refused = None
        try:
            getattr(functions, name)(*arguments)
        except PushpoolError as exc:
            refused = type(exc).__name__
        line.send((Answer(refused), fuse.steps))


class _Fuse(Fuse):
    """One for the whole life of a process, set anew for each call."""

    def __init__(self, line: Connection) -> None:
        super().__init__()
        self._blows: Mapping[str, Blow] = {"killed": self._kill, "unheard": unheard}
        self._line = line

    def begin(self, trip: Trip | None) -> None:
        self.steps, self._count = [], 0
        self._at, self._blow = (None, unheard) if trip is None else (trip.at, self._blows[trip.how])

    def _kill(self, fuse: Fuse) -> NoReturn:
        self._line.send((None, fuse.steps))
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()
        raise AssertionError
