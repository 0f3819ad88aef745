"""A whole installation of which everybody sees commits by halves, as Query on AWS may: nothing breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.stores.dynamodb import DynamoStore
from dispatcher.ports import Store
from dispatcher.testing.crashes import Fuse
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.half_visible import Blur
from dispatcher.testing.memory import MemoryStore
from dispatcher.testing.world import World, live, start_at

SEEDS = 10


class HalfSeen(World):
    """What goes on in it is decided on blurred lists; it is judged on clear ones."""

    def round(self, fuse: Fuse | None = None) -> None:
        clear, self.open_store = self.open_store, lambda: self.blur.store
        try:
            super().round(fuse)
        finally:
            self.open_store = clear

    blur: Blur


def half_seen(folder: Path, store: Store, seed: int) -> HalfSeen:
    folder.mkdir()
    clock = start_at()
    world = HalfSeen(lambda: store, FarSide(folder / "far.db", now=clock.now), clock)
    world.blur = Blur(store, seed)
    return world


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_promise_is_broken_whatever_is_seen_of_a_commit(tmp_path: Path, seed: int) -> None:
    world = half_seen(tmp_path / "whole", MemoryStore(), seed)

    steps = live(world)

    assert world.blur.blurred > 20
    for step in range(seed, len(steps), 3 * SEEDS):
        live(half_seen(tmp_path / f"step-{step}", MemoryStore(), seed), step)


@pytest.mark.parametrize("seed", range(2))
def test_no_promise_is_broken_on_dynamodb(tmp_path: Path, dynamodb: Any, table: str, seed: int) -> None:
    world = half_seen(tmp_path / "whole", DynamoStore(table, client=dynamodb), seed)

    live(world)

    assert world.blur.blurred > 20
