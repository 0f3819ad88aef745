"""Workers that race for the same runs, for threads and for processes alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from threading import Barrier
from typing import TypeAlias, TypeVar

from dispatcher.errors import AdmissionRefused, StoreUnavailable
from dispatcher.ports import Store
from dispatcher.runs import FlowRun, StateType
from dispatcher.testing.builders import NOW, POOL, end, make_admission

T = TypeVar("T")

OpenStore: TypeAlias = Callable[[], Store]


_LOOKS = 20_000  # far more than any race takes
_A_MOMENT = 0.001  # in which the others read what this one has read


@dataclass(slots=True)
class Tally:
    """What one worker did and saw."""

    admitted: list[str] = field(default_factory=list)
    refused: int = 0
    most_held: int = 0
    names: set[str] = field(default_factory=set)


def admit_all(open_store: OpenStore, limit: int, seed: int) -> Tally:
    """Admit what is due in `POOL` into `limit` slots, a few runs at a time, until nothing is due.

    Everybody wants the first free slots for some of the oldest runs; runs are ended only to make room.
    """
    store, tally, random = open_store(), Tally(), Random(seed)  # noqa: S311
    held: list[FlowRun] = []
    for _ in range(_LOOKS):
        candidates = store.due(POOL, "default", NOW, limit=8).items
        if not candidates:
            held = _end(store, held)
            if not held:
                return tally
            continue
        free = _free(store, limit, tally)
        few = random.sample(candidates, min(len(candidates), random.randint(1, 3)))
        runs = store.get_runs([item.run_id for item in few]).values()
        waiting = [run for run in runs if run.state.type is StateType.SCHEDULED]
        time.sleep(_A_MOMENT)
        if free:
            held += _admit(store, dict(zip(free, waiting, strict=False)), tally)
        else:
            held = _end(store, held)
    raise AssertionError(f"runs are still due after {_LOOKS} looks")


def _free(store: Store, limit: int, tally: Tally) -> list[str]:
    names = {entry.slot.name for entry in store.active(POOL)}
    tally.most_held = max(tally.most_held, len(names))
    tally.names |= names
    return sorted({str(number) for number in range(limit)} - names)


def _admit(store: Store, runs: dict[str, FlowRun], tally: Tally) -> list[FlowRun]:
    admissions = [make_admission(run, slot=name) for name, run in runs.items()]
    if not admissions:
        return []
    try:
        store.admit(admissions)
    except AdmissionRefused:
        tally.refused += 1
        return []
    except StoreUnavailable:
        return []
    admitted = [each.after for each in admissions]
    holders = {entry.run_id for entry in store.active(POOL)}
    assert holders >= {run.id for run in admitted}, "a run was admitted into a slot of another"
    tally.most_held = max(tally.most_held, len(holders))
    tally.admitted += [run.id for run in admitted]
    return admitted


def _end(store: Store, runs: list[FlowRun]) -> list[FlowRun]:
    """Those that are left: none, unless the store was busy."""
    if not runs:
        return []
    try:
        lost = store.move_each([end(run) for run in runs])
    except StoreUnavailable:
        return runs
    assert not lost, f"runs {lost} were changed by somebody else"
    return []


def at_once(work: Sequence[Callable[[], T]]) -> list[T]:
    """Each in a thread of its own, all let go at the same moment."""
    barrier = Barrier(len(work))

    def started(each: Callable[[], T]) -> T:
        barrier.wait(timeout=30)
        return each()

    with ThreadPoolExecutor(len(work)) as threads:
        return [future.result() for future in [threads.submit(started, each) for each in work]]
