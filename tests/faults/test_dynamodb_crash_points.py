"""On DynamoDB a dispatcher dies at every kind of step: the promises hold each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.stores.dynamodb import DynamoStore
from adapters.stores.dynamodb.table import create_table
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.world import World, live, start_at

PARTS = 4  # of the steps, so that several processes can share them


@pytest.fixture
def a_world(dynamodb: Any, table: str, tmp_path: Path) -> Callable[[], World]:
    """Each on a table of its own."""
    made = 0

    def make() -> World:
        nonlocal made
        made += 1
        name = f"{table}-{made}"
        create_table(dynamodb, name, expiry=False)
        clock = start_at()
        # A store for each life of the process; the connections are what they share.
        return World(
            lambda: DynamoStore(name, client=dynamodb), FarSide(tmp_path / f"far-{made}.db", now=clock.now), clock
        )

    return make


@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_kind_of_step_breaks_no_promise(a_world: Callable[[], World], part: int) -> None:
    steps = live(a_world())

    assert len(steps) > 100
    for name in sorted(set(steps))[part::PARTS]:
        places = [at for at, step in enumerate(steps) if step == name]
        live(a_world(), places[len(places) // 2])
