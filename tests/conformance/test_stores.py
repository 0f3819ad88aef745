"""Every store keeps the same contract."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.stores.sqlite import SqliteStore
from dispatcher.ports import Store
from dispatcher.testing.memory import MemoryStore
from dispatcher.testing.store_suite import OpenStore, StoreSuite


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store: to copy it takes a tenth of the time that making one takes."""
    path = tmp_path_factory.mktemp("stores") / "empty.db"
    SqliteStore(str(path)).close()
    return path


class TestSqlite(StoreSuite):
    @pytest.fixture
    def open_store(self, tmp_path: Path, empty: Path) -> Iterator[OpenStore]:
        opened: list[SqliteStore] = []
        path = shutil.copy(empty, tmp_path / "runs.db")

        def connect() -> Store:
            opened.append(SqliteStore(str(path)))
            return opened[-1]

        yield connect
        for store in opened:
            store.close()


class TestMemory(StoreSuite):
    @pytest.fixture
    def open_store(self) -> OpenStore:
        store = MemoryStore()
        return lambda: store


def test_no_case_hides_another_of_the_same_name() -> None:
    names = Counter(name for part in StoreSuite.__bases__ for name in vars(part) if name.startswith("test_"))

    assert [name for name, times in names.items() if times > 1] == []
