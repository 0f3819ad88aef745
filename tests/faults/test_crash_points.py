"""A dispatcher that dies before and after every call to the store and to the cloud: the promises hold each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.stores.sqlite import open_store
from dispatcher.ports import Store
from dispatcher.testing.crashes import DiedError, Fuse
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.memory import MemoryStore
from dispatcher.testing.world import World, live, start_at

PARTS = 8  # of the steps, so that several processes can share them
FAULTS = ("none", "reply lost", "throttled", "no answer", "denied", "doubled events", "no events")


def on_sqlite(folder: Path) -> Callable[[], Store]:
    store = open_store(str(folder / "store.db"))
    return lambda: store


def in_memory(folder: Path) -> Callable[[], Store]:
    store = MemoryStore()
    return lambda: store


def a_world(folder: Path, opener: Callable[[Path], Callable[[], Store]], fault: str = "none") -> World:
    folder.mkdir()
    clock = start_at()
    far = FarSide(folder / "far.db", now=clock.now)
    if fault == "doubled events":
        far.behave(event_copies=2, event_delay=30.0, newest_event_first=True)
    elif fault == "no events":
        far.behave(event_copies=0)
    elif fault != "none":
        far.behave(start_seconds=50.0)  # so that it is asked after before it can speak for itself
        far.fail_next({"no answer": "timeout"}.get(fault, fault), times=2)
    return World(opener(folder), far, clock)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_step_breaks_no_promise_on_sqlite(tmp_path: Path, part: int) -> None:
    steps = live(a_world(tmp_path / "whole", on_sqlite))

    assert len(steps) > 100
    for step in range(part, len(steps), PARTS):
        live(a_world(tmp_path / f"step-{step}", on_sqlite), step)


@pytest.mark.parametrize("fault", FAULTS[1:])
def test_a_death_at_any_step_under_a_fault_of_the_cloud_breaks_no_promise(tmp_path: Path, fault: str) -> None:
    steps = live(a_world(tmp_path / "whole", in_memory, fault))

    for step in range(len(steps)):
        live(a_world(tmp_path / f"step-{step}", in_memory, fault), step)


def test_the_fuse_stops_a_process_for_good(tmp_path: Path) -> None:
    world = a_world(tmp_path / "world", in_memory)
    world.prepare()
    world.order()
    before = world.runs(world.open_store())
    fuse = Fuse(0)

    with pytest.raises(DiedError):
        world.round(fuse)

    assert fuse.is_dead
    assert world.runs(world.open_store()) == before
