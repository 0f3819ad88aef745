"""A crowd from its beginning to its end: called together, thinned out and filled up again, and judged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from dispatcher.ports import Closing, Store
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.proof.crowd.crew import Crew
from dispatcher.testing.proof.crowd.figures import Course, Crowd
from dispatcher.testing.proof.crowd.judging import judged
from dispatcher.testing.proof.crowd.member import SELECTIONS, Seat
from dispatcher.testing.proof.crowd.setting import LIMIT, POOL, QUEUES, Ground, Opens, prepare
from dispatcher.testing.proof.stores import stores

SEED = 6
STUCK_SECONDS = 60.0  # without a submission, while runs are left
LOOK_SECONDS = 0.25
CLOCKS = (timedelta(seconds=1), timedelta(seconds=-1))
LOOKS_A_SECOND = 16  # of all dispatchers together, when there is nothing to do


def run(store: str, *, processes: int, runs: int, folder: Path) -> Crowd:
    """On a new store, of those that `stores` knows; `folder` takes what it leaves.

    :raises Missing: its server is not installed. :raises Broken: that does not come up.
    """
    with stores(store, folder) as new:
        return meet(new(), store, processes=processes, runs=runs, folder=folder)


def meet(at: Opens, name: str, *, processes: int, runs: int, folder: Path) -> Crowd:
    """On the empty store that is there."""
    ground = Ground.at(at, folder)
    draw = Random(SEED)  # noqa: S311
    with _opened(ground) as (store, far):
        # No repeat of a submission is the same container: that nothing starts twice is up to the dispatchers.
        far.behave(token_life=0.0)
        prepare(ground.context(store, far), runs, draw)
        crew = Crew([_seat(ground, processes / LOOKS_A_SECOND, place) for place in range(processes)], draw)
        began = time.monotonic()
        try:
            _wait(crew, store, far)
            seconds = time.monotonic() - began
        finally:
            crew.dismiss()
        return judged(store, far, ground, Course(name, processes, runs, seconds, crew.deaths, tuple(crew.fell)))


def _seat(ground: Ground, pause_seconds: float, place: int) -> Seat:
    """All selections come in turn, and each of them with either clock."""
    turn, selection = divmod(place, len(SELECTIONS))
    clock = CLOCKS[(turn + selection) % len(CLOCKS)]
    return Seat(ground, clock, selection, pause_seconds, seed=place)


@contextmanager
def _opened(ground: Ground) -> Iterator[tuple[Store, FarSide]]:
    far, store = FarSide(ground.far), ground.store.open()
    try:
        yield store, far
    finally:
        far.close()
        if isinstance(store, Closing):
            store.close()


def _wait(crew: Crew, store: Store, far: FarSide) -> None:
    """Until somebody has died and nothing is left to do, or nothing goes on any more."""
    submissions, at = 0, time.monotonic()
    while time.monotonic() < at + STUCK_SECONDS:
        crew.fill()
        if crew.deaths and _is_over(store):
            return
        time.sleep(LOOK_SECONDS)
        crew.thin_out()
        if far.highest("pool").get(POOL, 0) >= LIMIT:
            far.finish_all()
        if (now := far.counts().get("submit", 0)) != submissions:
            submissions, at = now, time.monotonic()


def _is_over(store: Store) -> bool:
    """A run waits or is active; one that has just gone back to waiting is seen at the second look."""
    return not (_waits(store) or store.active(POOL) or _waits(store))


def _waits(store: Store) -> bool:
    until = datetime.now(UTC) + timedelta(days=1)
    return any(store.due(POOL, queue, until, limit=1).items for queue in QUEUES)
