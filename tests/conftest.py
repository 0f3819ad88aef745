"""What every test relies on: no setting leaks in from the shell, and no test is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from uuid import uuid4

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from adapters.stores.dynamodb import DynamoStore
    from adapters.stores.firestore import FirestoreStore
    from dispatcher.testing.servers.aws_account import AwsAccount
    from dispatcher.testing.servers.processes import Missing

T = TypeVar("T")
ROOT = Path(__file__).parents[1]

# What the shipped suites assert is shown as what a test asserts.
pytest.register_assert_rewrite("dispatcher.testing")

# Workers share the machine: a deadline would measure the neighbour.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


FIRST = ("e2e/aws", "e2e/test_four_clouds", "faults/test_crash_points", "faults/test_crowd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: at the end a worker without work would prepare it once more, or wait for it."""
    items.sort(key=lambda item: next((n for n, name in enumerate(FIRST) if name in item.nodeid), len(FIRST)))


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


@pytest.fixture(scope="session")
def firestore_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Firestore emulator of this worker's own."""
    from dispatcher.testing.servers.firestore import firestore_emulator

    with ExitStack() as opened:
        yield _entered(opened, firestore_emulator(tmp_path_factory.mktemp("firestore")))


@pytest.fixture
def new_firestore(firestore_emulator: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Makes clients, each of an empty database: the emulator's projects come to be by being named.

    Like the service and unlike the emulator they answer no query without an index.
    """
    from google.api_core.exceptions import FailedPrecondition
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.firestore import Client

    from adapters.stores.firestore.layout import EXEMPTIONS, INDEXES
    from dispatcher.testing.firestore_calls import listen
    from dispatcher.testing.firestore_indexes import refusing

    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_emulator)

    def make() -> Any:
        client = Client(project=f"p-{uuid4().hex[:12]}", credentials=AnonymousCredentials(), database="(default)")
        listen(client, refusing(INDEXES, EXEMPTIONS, FailedPrecondition))
        return client

    return make


@pytest.fixture
def firestore(new_firestore: Callable[[], Any]) -> Any:
    """A client of an empty database."""
    return new_firestore()


@pytest.fixture
def open_firestore(firestore: Any) -> Iterator[Callable[..., FirestoreStore]]:
    """Opens the store in the database of `firestore` anew with each call."""
    from adapters.stores.firestore import FirestoreStore

    stores: list[FirestoreStore] = []

    def connect(**how: Any) -> FirestoreStore:
        stores.append(FirestoreStore(firestore.project, **{"client": firestore, **how}))
        return stores[-1]

    yield connect
    for store in stores:
        store.close()


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds what a cloud's functions are deployed as, with a script of `infra`, as `make` does: out of one wheel."""
    dist = tmp_path_factory.mktemp("dist")
    _run("-m", "build", "--no-isolation", "--wheel", "--outdir", str(dist), str(ROOT))

    def pack(script: str) -> Path:
        _run(str(ROOT / "infra" / script), "--dist", str(dist))
        (found,) = dist.glob(f"pushpool-{Path(script).parent}-*.zip")
        return found

    return pack


def _run(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


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
