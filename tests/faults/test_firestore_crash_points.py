"""On Firestore a dispatcher dies after every kind of step that changes something: the promises hold each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.stores.firestore import FirestoreStore
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.world import World, changes, live, start_at

PARTS = 2  # of the steps, so that several processes can share them


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
def test_a_death_after_any_kind_of_change_breaks_no_promise(
    a_world: Callable[[], World], part: int, tmp_path: Path
) -> None:
    kinds = changes(tmp_path)

    assert {"after admit", "after move", "after submit", "after cancel"} <= kinds.keys()
    for name, number in list(kinds.items())[part::PARTS]:
        assert live(a_world(), number, of=name)[-1] == name
