"""On Firestore a dispatcher dies after every kind of write, and of submission: the promises hold each time.

A commit is there whole or not at all, so a death before a step is one after the step before it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.stores.firestore import FirestoreStore
from dispatcher.testing.crashes import STORE_CALLS
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.world import World, live, start_at

PARTS = 2  # of the steps, so that several processes can share them
LAST = frozenset(f"after {call}" for call in (*STORE_CALLS, "submit"))


@pytest.fixture
def a_world(new_firestore: Callable[[], Any], tmp_path: Path) -> Callable[[], World]:
    """Each on a database of its own."""
    made = 0

    def make() -> World:
        nonlocal made
        made += 1
        client, clock = new_firestore(), start_at()
        # A store for each life of the process, which remembers nothing of the one before; they share the connection.
        return World(
            lambda: FirestoreStore(client.project, client=client),
            FarSide(tmp_path / f"far-{made}.db", now=clock.now),
            clock,
        )

    return make


@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_after_any_kind_of_write_breaks_no_promise(a_world: Callable[[], World], part: int) -> None:
    steps = live(a_world())

    assert len(steps) > 100
    for name in sorted(LAST & set(steps))[part::PARTS]:
        places = [at for at, step in enumerate(steps) if step == name]
        live(a_world(), places[len(places) // 2])
