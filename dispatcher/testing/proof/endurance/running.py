"""An endurance run from its beginning to its end, in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TypeAlias

from dispatcher.ports import Closing, Infrastructure, RunFilter, Store
from dispatcher.runs import FlowRun
from dispatcher.testing.fake_cloud import FakeCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.proof.endurance.figures import Cost, Endurance, Size, medians
from dispatcher.testing.proof.endurance.finding import COMPLETED, GO_THROUGH, costs_of_finding
from dispatcher.testing.proof.endurance.line import POOL, Line
from dispatcher.testing.proof.stores import stores

STRETCHES = 100
SEED = 6
KNOWN = 10  # runs of each stretch that are looked for later

Adapter: TypeAlias = Callable[[FarSide], Infrastructure]


def run(*, runs: int, folder: Path) -> Endurance:
    """On SQLite and a cloud that accepts at once; `runs` is at least `STRETCHES`. `folder` takes what it leaves."""
    return endure(FakeCloud, runs=runs, folder=folder)


def endure(adapter: Adapter, *, runs: int, folder: Path) -> Endurance:
    """Through that adapter: a function of a module, for the process to find it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_endure, adapter, runs // STRETCHES, folder).result()


def _endure(adapter: Adapter, by_stretch: int, folder: Path) -> Endurance:
    far = FarSide(folder / "far.db")
    far.behave(event_phases=())  # its containers speak for themselves
    with stores("sqlite", folder) as new:
        at = new()
        store, file = at.open(), Path(at.url.removeprefix("sqlite://"))
        line = Line.on(store, far, adapter(far), limit=by_stretch)
        figures = _measured(line, store, file, by_stretch)
        line.dispatcher.close()
        if isinstance(store, Closing):
            store.close()
    far.close()
    return figures


def _measured(line: Line, store: Store, file: Path, by_stretch: int) -> Endurance:
    draw, began = Random(SEED), time.monotonic()  # noqa: S311
    known: list[FlowRun] = []
    resident: list[int] = []
    found: list[Mapping[str, float]] = []
    sizes: list[Size] = []
    for stretch in range(1, STRETCHES + 1):
        known += line.create(by_stretch)[:KNOWN]
        if stretch in (STRETCHES // 10, STRETCHES):
            found.append(costs_of_finding(store, known, draw))
        line.work_off(by_stretch)
        resident.append(_resident_bytes())
        if stretch in (STRETCHES // 10, STRETCHES):
            sizes.append(Size(stretch * by_stretch, _file_bytes(file)))
    return Endurance(
        runs=STRETCHES * by_stretch,
        seconds=time.monotonic() - began,
        completed=_completed(store),
        slots_left=len(store.active(POOL)),
        resident=tuple(resident),
        early=sizes[0],
        late=sizes[1],
        costs=(
            *(Cost(what, *medians(seconds)) for what, seconds in line.spent.items()),
            *(Cost(f"finding {what}", found[0][what], found[1][what], what in GO_THROUGH) for what in found[0]),
        ),
    )


def _completed(store: Store) -> int:
    count, after = 0, None
    while True:
        page = store.runs(RunFilter(pool=POOL, types=COMPLETED), after=after, limit=200)
        count += len(page.items)
        if (after := page.after) is None:
            return count


def _file_bytes(file: Path) -> int:
    """With all that was written: the log is written back."""
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file.stat().st_size


def _resident_bytes() -> int:
    """This process's memory, as it is now."""
    command = ["ps", "-o", "rss=", "-p", str(os.getpid())]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    return int(said) * 1024
