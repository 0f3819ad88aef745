"""A file for a store, and the store at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.stores.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., SqliteStore]]:
    """Opens the store at `path` anew with each call."""
    stores: list[SqliteStore] = []

    def connect(**how: Any) -> SqliteStore:
        stores.append(SqliteStore(str(path), **how))
        return stores[-1]

    yield connect
    for store in stores:
        store.close()
