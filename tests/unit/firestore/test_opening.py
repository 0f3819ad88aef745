"""A Firestore that cannot be used says why, and what to do; nothing here needs one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import RefreshError
from google.cloud.firestore import Client

from adapters.stores.firestore import FirestoreStore, open_store
from dispatcher import registry
from dispatcher.errors import InvalidInput, Misconfigured, StoreUnavailable, StoreUnusable, TooLarge
from dispatcher.testing.builders import make_run
from dispatcher.testing.servers.processes import free_port


@pytest.fixture(autouse=True)
def _nothing_of_google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody asks anything."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")


def failing(error: Exception) -> FirestoreStore:
    """A store whose Firestore has one answer."""
    client = Client(project="acme", credentials=AnonymousCredentials(), database="runs")

    def answer(**_: Any) -> Any:
        raise error

    api = client._firestore_api
    api.commit = api.run_query = api.batch_get_documents = answer
    return FirestoreStore("acme", "runs", client=client, wait_seconds=0.1)


def place(store: FirestoreStore) -> tuple[str, str]:
    return store._database.client.project, store._database.client._database


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("acme", ("acme", "(default)")),
        ("acme/", ("acme", "(default)")),
        ("acme/runs", ("acme", "runs")),
        ("firestore://acme/runs", ("acme", "runs")),
        ("", ("ambient", "(default)")),
        ("/runs", ("ambient", "runs")),
    ],
)
def test_an_address_is_a_project_and_a_database(
    address: str, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "ambient")
    store = open_store(address)

    assert place(store) == expected
    store.close()


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("address", ["", "firestore://", "acme/runs/more", "Acme", "acme/AB"])
def test_an_address_that_names_no_database_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match=r"firestore://PROJECT/DATABASE.*GOOGLE_CLOUD_PROJECT"):
        open_store(address)


@pytest.mark.usefixtures("emulator")
def test_the_store_is_found_by_its_url() -> None:
    store = registry.store("firestore://acme/runs")

    assert isinstance(store, FirestoreStore)
    assert place(store) == ("acme", "runs")
    store.close()


def test_without_credentials_nothing_is_opened() -> None:
    with pytest.raises(Misconfigured, match="no credentials that can be used"):
        open_store("acme")


@pytest.mark.usefixtures("emulator")
def test_a_firestore_out_of_reach_may_come_back() -> None:
    store = FirestoreStore("acme", wait_seconds=0.1)

    with pytest.raises(StoreUnavailable, match=r"'\(default\)' of project 'acme': UNAVAILABLE.*try again"):
        store.get_run("r")
    store.close()


@pytest.mark.usefixtures("emulator")
def test_a_store_that_was_closed_says_so() -> None:
    store = open_store("acme")
    store.close()

    with pytest.raises(StoreUnusable, match="closed"):
        store.get_run("r")


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            exceptions.PermissionDenied("no"),
            r"'runs' of project 'acme': BatchGetDocuments is not.*roles/datastore\.user",
        ),
        (RefreshError("expired"), "no usable Google credentials"),
        (
            exceptions.NotFound("The database runs does not exist for project acme Please visit https://x"),
            r"'runs' of project 'acme': there is no such database; create it with `terraform apply`",
        ),
        (exceptions.InvalidArgument("no such thing"), "BatchGetDocuments was refused: INVALID_ARGUMENT: no such thing"),
        (exceptions.FailedPrecondition("not for the Datastore mode database"), "--type=firestore-native"),
        (
            exceptions.FailedPrecondition("The query requires an index."),
            "lacks an index, which `terraform apply` makes",
        ),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_a_person_must_mend_is_said_with_the_way_out(error: Exception, said: str) -> None:
    with pytest.raises(StoreUnusable, match=said):
        failing(error).get_run("r")


@pytest.mark.usefixtures("emulator")
def test_a_database_that_is_missing_is_no_lost_race() -> None:
    error = exceptions.NotFound("The database runs does not exist for project acme Please visit https://x")
    store = failing(error)
    store._database._is_checked = True
    store._database.client._firestore_api.batch_get_documents = lambda **_: iter(())

    with pytest.raises(StoreUnusable, match="gcloud firestore databases create"):
        store.create_run(make_run())


@pytest.mark.usefixtures("emulator")
def test_an_api_that_is_off_is_to_be_switched_on() -> None:
    class Info:
        reason, domain = "SERVICE_DISABLED", "googleapis.com"
        metadata: Mapping[str, str] = MappingProxyType({})

    error = exceptions.PermissionDenied("Cloud Firestore API has not been used", error_info=Info())

    with pytest.raises(StoreUnusable, match="gcloud services enable firestore"):
        failing(error).get_run("r")


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(
    "error",
    [
        exceptions.InvalidArgument("Document 'runs/r' cannot be written because its size (2,000,000 bytes) exceeds"),
        exceptions.InvalidArgument("Transaction too big. Decrease transaction size."),
        exceptions.InvalidArgument('The value of property "doc" is longer than 1048487 bytes.'),
        exceptions.ResourceExhausted("Sent message larger than max (5 vs. 4)"),
    ],
)
def test_what_is_too_large_is_told_with_the_limit(error: Exception) -> None:
    with pytest.raises(TooLarge, match="1 MiB"):
        failing(error).create_run(make_run())


@pytest.mark.usefixtures("emulator")
def test_an_index_that_is_being_built_is_waited_for() -> None:
    error = exceptions.FailedPrecondition("The query requires an index. That index is currently building")

    with pytest.raises(StoreUnavailable, match="being built"):
        failing(error).active("p")


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.runs(None, limit=0),
        lambda store: store.due("p", "q", None, limit=0),
        lambda store: store.list("k", limit=-1),
    ],
    ids=["runs", "due", "list"],
)
def test_a_page_has_at_least_one_item(call: Callable[[Any], object]) -> None:
    store = open_store("acme")

    with pytest.raises(InvalidInput, match="at least one"):
        call(store)
    store.close()
