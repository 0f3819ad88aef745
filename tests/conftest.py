"""What every test relies on: no setting leaks in from the shell, and no test is timed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from uuid import uuid4

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from adapters.stores.dynamodb import DynamoStore
    from dispatcher.testing.servers.aws_account import AwsAccount
    from dispatcher.testing.servers.processes import Missing

T = TypeVar("T")

# What the shipped suites assert is shown as what a test asserts.
pytest.register_assert_rewrite("dispatcher.testing")

# Workers share the machine: a deadline would measure the neighbour.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest to prepare comes first: at the end a worker without work would prepare it once more."""
    items.sort(key=lambda item: "e2e/aws" not in item.nodeid)


@pytest.fixture(autouse=True)
def _no_settings_from_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PUSHPOOL_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def aws_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsAccount]:
    """An AWS account of this worker's own, with real containers; every test in it takes names that nobody else has."""
    from dispatcher.testing.servers.aws_account import aws_account

    with ExitStack() as opened:
        yield _entered(opened, aws_account(tmp_path_factory.mktemp("aws")))


@pytest.fixture(scope="session")
def dynamodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a DynamoDB Local of this worker's own."""
    from dispatcher.testing.servers.dynamodb_local import ENVIRONMENT, dynamodb_local

    with ExitStack() as opened:
        endpoint = _entered(opened, dynamodb_local(tmp_path_factory.mktemp("dynamodb")))
        environment = opened.enter_context(pytest.MonkeyPatch.context())
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": endpoint}.items():
            environment.setenv(name, value)
        from adapters import aws

        client = aws.client("dynamodb", connections=40)
        environment.undo()
        opened.callback(client.close)
        yield client


@pytest.fixture
def table(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an empty table, as it is deployed but for its expiry: tests forget when they say so."""
    from adapters.stores.dynamodb.table import create_table
    from dispatcher.testing.servers.dynamodb_local import ENVIRONMENT

    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.meta.endpoint_url}.items():
        monkeypatch.setenv(name, value)
    name = f"pushpool-{uuid4().hex[:12]}"
    create_table(dynamodb, name, expiry=False)
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def open_dynamo(dynamodb: Any, table: str) -> Iterator[Callable[..., DynamoStore]]:
    """Opens the store in `table` anew with each call."""
    from adapters.stores.dynamodb import DynamoStore

    stores: list[DynamoStore] = []

    def connect(**how: Any) -> DynamoStore:
        stores.append(DynamoStore(table, **{"client": dynamodb, **how}))
        return stores[-1]

    yield connect
    for store in stores:
        store.close()


def _entered(opened: ExitStack, server: AbstractContextManager[T]) -> T:
    """The server, started."""
    from dispatcher.testing.servers.processes import Missing

    try:
        return opened.enter_context(server)
    except Missing as exc:
        _do_without(exc)


def _do_without(missing: Missing) -> NoReturn:
    """On a laptop the test is skipped, with the hint; in CI it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(missing))
    pytest.skip(str(missing))
