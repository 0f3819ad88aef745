"""Ten dispatchers share what Azure allows of a region in five minutes and in an hour, and none of them hears a no."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from itertools import chain
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.stores.sqlite import SqliteStore
from dispatcher.ports import Accepted, Infrastructure, Window
from dispatcher.testing.clock import HandClock
from dispatcher.testing.cloud_bench import CloudBench, submission
from dispatcher.testing.servers.azure import AzureApi
from dispatcher.testing.servers.azure.cloud import AzureCloud
from dispatcher.testing.servers.azure.limits import PUBLISHED, Limit

DISPATCHERS, WANTED = 10, 3
ON_THE_WAY = timedelta(seconds=40)  # from a grant to its request's arrival, at the most
ROUND = timedelta(seconds=62)  # five of them are a little more than five minutes
SMALL = (Limit(60, 60), Limit(20, 5))  # as a subscription's quotas may be


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[SqliteStore]]:
    """The same, as each dispatcher has it."""
    with ExitStack() as opened:
        yield [opened.enter_context(closing(SqliteStore(str(tmp_path / "pushpool.db")))) for _ in range(DISPATCHERS)]


class TestRates(CloudBench):
    def test_ten_that_share_a_budget_are_never_throttled(
        self, api: AzureApi, cloud: AzureCloud, stores: list[SqliteStore], clock: HandClock
    ) -> None:
        """What arrives late falls into one span with what arrives at once."""
        api.behave(rates=SMALL)
        api.fail_next("provisioning", times=1000)  # nothing needs to run
        quotas = AzureCloud(api, {"aci_creates_per_hour": "60", "aci_creates_per_five_minutes": "20"})
        infrastructure = quotas.open()
        rates = infrastructure.traits.rates["submit"]
        sent = Counter[bool]()

        def ask(store: SqliteStore) -> int:
            return store.spend("submit/westeurope", WANTED, rates, clock.now())

        def send(granted: int) -> list[bool]:
            return [self.is_accepted(quotas, infrastructure) for _ in range(granted)]

        with ThreadPoolExecutor(DISPATCHERS) as threads:
            for number in range(70):
                granted = list(threads.map(ask, stores))
                delay = ON_THE_WAY if number % 11 < 4 else timedelta(0)  # not so what follows five minutes later
                clock.move(delay)
                sent.update(chain(*threads.map(send, granted)))
                clock.move(ROUND - delay)
        quotas.close()

        assert sent[False] == 0
        assert sent[True] >= 80

    def is_accepted(self, cloud: AzureCloud, infrastructure: Infrastructure) -> bool:
        job = cloud.with_variables(str(uuid4()), region="westeurope")
        return isinstance(infrastructure.submit(submission(job, infrastructure.request(job))), Accepted)

    @pytest.mark.parametrize("call", ["submit", "cleanup"])
    def test_what_azure_allows_is_the_most_that_is_asked(self, infrastructure: Infrastructure, call: str) -> None:
        rates = infrastructure.traits.rates[call]

        for limit, rate in zip(sorted(PUBLISHED, key=lambda each: each.minutes), rates, strict=True):
            assert isinstance(rate, Window)
            assert rate.calls <= limit.calls
            assert rate.within >= timedelta(minutes=limit.minutes) + ON_THE_WAY
