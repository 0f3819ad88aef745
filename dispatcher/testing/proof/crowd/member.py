"""One dispatcher of a crowd: it hears what the cloud tells, makes a pass, and comes by again."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

from dispatcher import callbacks
from dispatcher.admitting import EVERYTHING, Selection
from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.errors import StoreUnavailable
from dispatcher.logs import JsonLines, log
from dispatcher.ports import Admission, Store
from dispatcher.testing.fake_cloud import TYPE
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.proof.crowd.commits import Commits, counted
from dispatcher.testing.proof.crowd.setting import QUEUES, Ground

PASS = timedelta(seconds=30)
DOUBLED, LATE = 0.1, 0.1  # of the events
HELD_UP = 0.1  # of the admissions, between plan and commit, for at most:
LONGEST_HOLD_SECONDS = 1.0
# Some serve all queues, others one alone: so they want the same slots for different runs.
SELECTIONS = (EVERYTHING, *(Selection(queues=frozenset({queue})) for queue in QUEUES))


@dataclass(frozen=True, slots=True)
class Seat:
    """One process's place in a crowd."""

    ground: Ground
    clock_offset: timedelta
    selection: int  # of SELECTIONS
    pause_seconds: float  # between two passes of which the first had nothing to do, on average
    seed: int


def attend(seat: Seat) -> None:
    """Goes on until it is told to end (SIGTERM), is killed, or whoever called it together is gone."""
    leaving = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for whoever called it together
    _log_to(seat.ground.troubles)
    caller, draw = multiprocessing.parent_process(), Random(seat.seed)  # noqa: S311
    far = FarSide(seat.ground.far)
    store = counted(_held_up(seat.ground.store.open(), draw), Commits(seat.ground.commits))
    context = seat.ground.context(store, far, seat.clock_offset)
    dispatcher, post, selection = Dispatcher(context), _Post(context, far, draw), SELECTIONS[seat.selection]
    while not leaving.is_set() and caller is not None and caller.is_alive():
        heard = post.deliver()
        made = dispatcher.tick(until=context.clock.now() + PASS, selection=selection)
        if not heard and not any(each.admitted for each in made):
            leaving.wait(draw.uniform(0, 2 * seat.pause_seconds))
    dispatcher.close()


def _log_to(path: Path) -> None:
    handler = logging.FileHandler(path)
    handler.setFormatter(JsonLines())
    handler.setLevel(logging.WARNING)
    log.addHandler(handler)
    log.propagate = False


class _HeldUp:
    """A store that is slow to be reached at times, when others are quick."""

    def __init__(self, behind: Store, draw: Random) -> None:
        self._behind, self._draw = behind, draw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def admit(self, admissions: Sequence[Admission]) -> None:
        if self._draw.random() < HELD_UP:
            time.sleep(self._draw.uniform(0, LONGEST_HOLD_SECONDS))
        self._behind.admit(admissions)


def _held_up(store: Store, draw: Random) -> Store:
    return cast("Store", _HeldUp(store, draw))


class _Post:
    """Brings the cloud's events to the installation: some twice, some late. A death loses those on their way."""

    def __init__(self, context: Context, far: FarSide, draw: Random) -> None:
        self._context, self._far, self._draw = context, far, draw
        self._late: list[Mapping[str, Any]] = []

    def deliver(self) -> bool:
        """True if there was any."""
        taken: list[Mapping[str, Any]] = [*self._far.take_events()]
        late, self._late = self._late, []
        for event in taken:
            fate = self._draw.random()
            if fate < LATE:
                self._late.append(event)
                continue
            for _ in range(2 if fate > 1 - DOUBLED else 1):
                self._hear(event)
        for event in late:
            self._hear(event)
        return bool(taken or late)

    def _hear(self, raw: Mapping[str, Any]) -> None:
        cloud = self._context.infrastructure(TYPE)
        event = cloud.parse_event(raw)
        assert event is not None, f"{raw} is no event of {TYPE}"
        try:
            callbacks.hear(self._context, cloud, event)
        except StoreUnavailable:
            self._late.append(raw)  # as a queue hands it out again
