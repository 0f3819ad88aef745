"""A whole installation of which everybody sees commits by halves, as Query on AWS may: nothing breaks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.stores.dynamodb import DynamoStore
from dispatcher.context import Context
from dispatcher.ports import Store
from dispatcher.testing.crashes import Fuse, fused_cloud, fused_store
from dispatcher.testing.fake_cloud import FakeCloud
from dispatcher.testing.half_visible import Blur
from dispatcher.testing.memory import MemoryStore
from dispatcher.testing.proof.cast import WHOLE
from dispatcher.testing.proof.far import CLOCK
from dispatcher.testing.proof.here import Here
from dispatcher.testing.proof.life import Life
from dispatcher.testing.proof.product import Silent
from dispatcher.testing.proof.promises import breaches
from dispatcher.testing.proof.scripted import scripted
from dispatcher.testing.proof.shared_clock import SharedClock
from dispatcher.tokens import KeyRing

SEEDS = 10


def lived(folder: Path, store: Store, seed: int, at: int | None = None) -> Sequence[str]:
    """The steps of a life in which all is decided on blurred lists, with a death at one; it is judged on clear ones."""
    folder.mkdir()
    with closing(SharedClock(folder / CLOCK)) as clock, scripted(folder) as new_far, closing(new_far()) as far:
        cloud, blur, fuse = FakeCloud(far.side), Blur(store, seed), Fuse(at)
        clear = Context(store, lambda _: cloud, Silent(), KeyRing.generate(), clock, "http://127.0.0.1:4280")

        def blurred(fuse: Fuse) -> Context:
            fused = fused_cloud(cloud, fuse)
            return replace(clear, store=fused_store(blur.store, fuse), infrastructure=lambda _: fused)

        life = Life(clear, far, Here(blurred, fuse), clock, WHOLE)
        life.prepare()
        life.live()
        assert breaches(life) == []
        assert blur.blurred > 20
        return fuse.steps


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_promise_is_broken_whatever_is_seen_of_a_commit(tmp_path: Path, seed: int) -> None:
    steps = lived(tmp_path / "whole", MemoryStore(), seed)

    for step in range(seed, len(steps), 3 * SEEDS):
        lived(tmp_path / f"step-{step}", MemoryStore(), seed, step)


@pytest.mark.parametrize("seed", range(2))
def test_no_promise_is_broken_on_dynamodb(tmp_path: Path, dynamodb: Any, table: str, seed: int) -> None:
    lived(tmp_path / "whole", DynamoStore(table, client=dynamodb), seed)
