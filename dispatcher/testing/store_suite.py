"""What every `Store` must do: subclass `StoreSuite` as `Test…`, give it `open_store`, and change nothing else.

```python
class TestMine(StoreSuite):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:  # each call connects anew to the same data
        return partial(MyStore, tmp_path / "runs.db")
```

Each test starts with an empty store. A case that a backend cannot meet is overridden with `pytest.skip(reason)`
in its own class, so gaps can be searched for. An index that lags behind has to be waited for in the store under test.
"""

from __future__ import annotations

from datetime import datetime

import pytest

from dispatcher.ports import Store
from dispatcher.testing.racing import OpenStore
from dispatcher.testing.store_cases.admissions import AdmissionCases
from dispatcher.testing.store_cases.catalogue import CatalogueCases
from dispatcher.testing.store_cases.entries import EntryCases
from dispatcher.testing.store_cases.forgetting import Forget, ForgettingCases
from dispatcher.testing.store_cases.half_visible import HalfVisibleCases
from dispatcher.testing.store_cases.listing import ListingCases
from dispatcher.testing.store_cases.moves import MoveCases
from dispatcher.testing.store_cases.owed import OwedCases
from dispatcher.testing.store_cases.races import RaceCases
from dispatcher.testing.store_cases.rates import RateCases
from dispatcher.testing.store_cases.runs import RunCases
from dispatcher.testing.store_cases.schedules import ScheduleCases
from dispatcher.testing.store_cases.waiting import WaitingCases

__all__ = ["OpenStore", "StoreSuite"]


class StoreSuite(
    CatalogueCases,
    ScheduleCases,
    RunCases,
    WaitingCases,
    AdmissionCases,
    MoveCases,
    EntryCases,
    ListingCases,
    ForgettingCases,
    OwedCases,
    RateCases,
    RaceCases,
    HalfVisibleCases,
):
    """The contract of `Store`, one test a sentence."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError("override `open_store`: a factory that connects anew to the same data")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Store:
        return open_store()

    @pytest.fixture
    def forget(self, store: Store) -> Forget:
        """What makes the store forget. Override it where the backend forgets by itself: do what it would have done."""

        def purge(before: datetime, *, limit: int) -> int:
            return store.purge(before, limit=limit)

        return purge
