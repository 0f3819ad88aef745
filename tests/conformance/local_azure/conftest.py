"""A subscription of this machine and a resource group in it, empty for each test, whose rates are counted anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dispatcher.testing.clock import HandClock
from dispatcher.testing.servers.azure import AzureApi, azure
from dispatcher.testing.servers.azure.resource_group import ResourceGroup


@pytest.fixture(scope="package")
def clock() -> HandClock:
    """By which the service counts."""
    return HandClock()


@pytest.fixture(scope="package")
def api(clock: HandClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureApi]:
    with azure(tmp_path_factory.mktemp("azure"), now=clock.now) as made:
        yield made


@pytest.fixture
def mine(api: AzureApi, clock: HandClock) -> Iterator[ResourceGroup]:
    """Its creates and deletes are the first within an hour."""
    clock.move(timedelta(hours=1))
    api.behave(grace_seconds=0.5)
    made = ResourceGroup(api)
    yield made
    api.forget_faults()
    for name in api.groups():
        api.delete(name)
    made.close()
