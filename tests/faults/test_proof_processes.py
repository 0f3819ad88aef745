"""Dispatcher processes that do what nobody planned: that is told as what it is, and no proof waits for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from dispatcher.testing.clock import START
from dispatcher.testing.proof.far import CLOCK, Unsettled
from dispatcher.testing.proof.processes import Installation, Processes, processes
from dispatcher.testing.proof.scripted import Scripted
from dispatcher.testing.proof.shared_clock import SharedClock
from dispatcher.testing.proof.stores import StoreAt
from dispatcher.tokens import KeyRing

CALL_SECONDS = 2.0  # less than the store waits for a lock


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Processes]:
    with ExitStack() as opened:
        clock = opened.enter_context(closing(SharedClock(tmp_path / CLOCK)))
        clock.set(START)
        far = opened.enter_context(closing(Scripted(tmp_path / "far.db", clock)))
        store = StoreAt(f"sqlite://{tmp_path / 'store.db'}")
        keys = KeyRing.generate().to_text()
        installation = Installation(store, far.type, clock.path, keys, far.settings, call_seconds=CALL_SECONDS)
        yield opened.enter_context(processes(installation))


def test_one_that_falls_is_told_of(product: Processes) -> None:
    with pytest.raises(Unsettled, match="ended by itself, with exit code 1"):
        product.call("no such function")


def test_a_call_that_would_never_end_ends_the_process(product: Processes, tmp_path: Path) -> None:
    product.tick()
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(Unsettled, match="ended by itself, with exit code 1"):
            product.tick()
