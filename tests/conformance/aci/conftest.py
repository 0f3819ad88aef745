"""A subscription of this machine, empty for each test, whose rates are counted anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dispatcher.testing.clock import HandClock
from dispatcher.testing.servers.azure import AzureApi, azure
from dispatcher.testing.servers.azure.cloud import AzureCloud


@pytest.fixture(scope="package")
def clock() -> HandClock:
    """By which the service counts."""
    return HandClock()


@pytest.fixture(scope="package")
def api(clock: HandClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureApi]:
    with azure(tmp_path_factory.mktemp("azure"), now=clock.now) as made:
        made.behave(grace_seconds=1.0)
        yield made


@pytest.fixture
def cloud(api: AzureApi, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureCloud]:
    for name, value in api.environment().items():
        monkeypatch.setenv(name, value)
    clock.move(timedelta(hours=1))
    hand = AzureCloud(api)
    yield hand
    hand.close()
