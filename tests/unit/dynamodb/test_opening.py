"""A DynamoDB that cannot be used says why, and what to do; nothing here needs one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from adapters import aws
from adapters.stores.dynamodb import DynamoStore, open_store
from adapters.stores.dynamodb.table import definition
from dispatcher import registry
from dispatcher.errors import InvalidInput, Misconfigured, StoreUnavailable, StoreUnusable, TooLarge
from dispatcher.testing.builders import make_run
from dispatcher.testing.servers.processes import free_port


@pytest.fixture(autouse=True)
def _nothing_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")


class Said:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> Iterator[bytes]:
        yield self.content


def answering(code: str, message: str = "told to", **more: Any) -> DynamoStore:
    """A store whose DynamoDB has one answer."""
    client = aws.client("dynamodb")

    def answer(request: Any, **_: Any) -> AWSResponse:
        said = Said(json.dumps({"__type": f"x#{code}", "message": message, **more}).encode())
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, said)

    client.meta.events.register("before-send.dynamodb.*", answer)
    return DynamoStore("runs", client=client, wait_seconds=0.1)


def test_without_a_region_nothing_is_opened() -> None:
    with pytest.raises(Misconfigured, match="AWS_REGION"):
        open_store("pushpool")


@pytest.mark.parametrize("address", ["", "dynamodb://", "dynamodb:"])
def test_an_address_without_a_table_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="dynamodb://pushpool"):
        open_store(address)


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("address", ["runs", "dynamodb://runs"])
def test_an_address_is_the_tables_name(address: str) -> None:
    store = open_store(address)

    assert store._table.name == "runs"
    store.close()


@pytest.mark.usefixtures("credentials")
def test_the_store_is_found_by_its_url() -> None:
    store = registry.store("dynamodb://runs")

    assert isinstance(store, DynamoStore)
    store.close()


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    store = open_store("runs")

    with pytest.raises(StoreUnusable, match=r"'runs' in eu-west-3: no usable AWS credentials"):
        store.get_run("r")
    store.close()


@pytest.mark.usefixtures("credentials")
def test_expired_credentials_are_said_to_be_so() -> None:
    with pytest.raises(StoreUnusable, match=r"no usable AWS credentials \(ExpiredTokenException"):
        answering("ExpiredTokenException").get_run("r")


@pytest.mark.usefixtures("credentials")
def test_a_missing_table_is_named_with_its_region_and_the_way_out() -> None:
    with pytest.raises(StoreUnusable, match=r"'runs' in eu-west-3 at https://.*terraform apply.*AWS_REGION"):
        answering("ResourceNotFoundException").get_run("r")


@pytest.mark.usefixtures("credentials")
def test_what_is_not_allowed_is_named() -> None:
    with pytest.raises(StoreUnusable, match="dynamodb:GetItem is not allowed"):
        answering("AccessDeniedException").get_run("r")


@pytest.mark.usefixtures("credentials")
def test_any_other_refusal_is_told_in_dynamodbs_words() -> None:
    with pytest.raises(StoreUnusable, match=r"dynamodb:GetItem was refused: ValidationException: no such key"):
        answering("ValidationException", "no such key").get_run("r")


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(
    "said",
    [
        {"code": "ValidationException", "message": "Item size has exceeded the maximum allowed size"},
        {
            "code": "TransactionCanceledException",
            "CancellationReasons": [{"Code": "ValidationError", "Message": "Item size to update has exceeded"}],
        },
    ],
    ids=["alone", "in a transaction"],
)
def test_what_is_too_large_is_told_with_the_limit(said: dict[str, Any]) -> None:
    with pytest.raises(TooLarge, match="400 KB"):
        answering(**said).create_run(make_run())


@pytest.mark.usefixtures("credentials")
def test_a_dynamodb_out_of_reach_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{free_port()}")
    store = DynamoStore("runs", wait_seconds=0.1)

    with pytest.raises(StoreUnavailable, match=r"'runs' in eu-west-3: EndpointConnectionError.*try again"):
        store.get_run("r")
    store.close()


@pytest.mark.usefixtures("credentials")
def test_a_store_that_was_closed_says_so() -> None:
    store = open_store("runs")
    store.close()

    with pytest.raises(StoreUnusable, match="closed"):
        store.get_run("r")


def test_the_table_has_one_index_and_no_key_for_a_state() -> None:
    made = definition("runs")

    assert [index["IndexName"] for index in made["GlobalSecondaryIndexes"]] == ["due"]
    assert {each["AttributeName"] for each in made["AttributeDefinitions"]} == {"pk", "sk", "due_pk", "due_sk"}
    assert made["BillingMode"] == "PAY_PER_REQUEST"
    assert made["GlobalSecondaryIndexes"][0]["Projection"] == {"ProjectionType": "KEYS_ONLY"}
