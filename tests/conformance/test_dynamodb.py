"""The store on DynamoDB keeps the contract of every store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random
from string import ascii_letters
from typing import Any

import pytest

from adapters.stores.dynamodb import DynamoStore, open_store
from adapters.stores.dynamodb.table import EXPIRES, HASH, RANGE, create_table, definition
from dispatcher.errors import StoreUnusable, TooLarge
from dispatcher.ports import RunFilter, Store
from dispatcher.testing.builders import NOW, cancel, make_admission, make_run
from dispatcher.testing.store_cases.forgetting import DAY, Forget
from dispatcher.testing.store_suite import OpenStore, StoreSuite


class TestDynamoDB(StoreSuite):
    @pytest.fixture
    def open_store(self, open_dynamo: Callable[..., DynamoStore]) -> OpenStore:
        return open_dynamo

    @pytest.fixture
    def forget(self, dynamodb: Any, table: str) -> Forget:
        """What DynamoDB does by its own clock: an item goes when the moment that it names has passed."""

        def expire(before: datetime, *, limit: int) -> int:
            forgotten = 0
            for page in dynamodb.get_paginator("scan").paginate(TableName=table):
                for item in page["Items"]:
                    if EXPIRES in item and int(item[EXPIRES]["N"]) < before.timestamp():
                        dynamodb.delete_item(TableName=table, Key={name: item[name] for name in (HASH, RANGE)})
                        forgotten += item[RANGE]["S"] in ("run", "key")
            return forgotten

        return expire

    @pytest.mark.skip(reason="DynamoDB forgets at its own pace")
    def test_no_more_is_forgotten_than_asked_for(self) -> None:  # type: ignore[override]
        """It has no limit that could be asked for."""

    def test_there_is_nothing_to_purge(self, store: Store) -> None:
        run = store.create_run(make_run())
        store.move(cancel(run))

        assert store.purge(NOW + 36500 * DAY, limit=10) == 0

        assert store.get_run(run.id) is not None


# what is peculiar to it


def test_the_table_is_made_as_it_is_deployed(dynamodb: Any, table: str) -> None:
    create_table(dynamodb, f"{table}-whole")

    made = dynamodb.describe_table(TableName=f"{table}-whole")["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=f"{table}-whole")["TimeToLiveDescription"]
    wanted = definition(f"{table}-whole")
    assert made["KeySchema"] == wanted["KeySchema"]
    assert made["BillingModeSummary"]["BillingMode"] == wanted["BillingMode"]
    (index,) = made["GlobalSecondaryIndexes"]
    assert {name: index[name] for name in ("IndexName", "KeySchema", "Projection")} == (
        wanted["GlobalSecondaryIndexes"][0]
    )
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", EXPIRES)
    dynamodb.delete_table(TableName=f"{table}-whole")


@pytest.mark.usefixtures("table")
def test_a_table_that_is_missing_is_said_to_be_so(dynamodb: Any) -> None:
    store = DynamoStore("no-such-table", client=dynamodb)

    with pytest.raises(StoreUnusable, match=r"'no-such-table' in eu-central-1 at http://127.*terraform apply"):
        store.get("work-pool", "p")
    with pytest.raises(StoreUnusable, match="no such table"):
        store.admit([make_admission(make_run())])


def test_a_table_of_a_newer_version_is_left_as_it_was(dynamodb: Any, table: str) -> None:
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "meta"}, "sk": {"S": "meta"}, "schema": {"N": "2"}})
    store = DynamoStore(table, client=dynamodb)

    for _ in range(2):
        with pytest.raises(StoreUnusable, match="schema version is 2, this pushpool knows 1; upgrade"):
            store.create_run(make_run())

    assert dynamodb.scan(TableName=table)["Count"] == 1


def test_the_first_to_come_says_the_version(dynamodb: Any, table: str) -> None:
    for _ in range(2):
        DynamoStore(table, client=dynamodb).get("work-pool", "p")

    assert dynamodb.get_item(TableName=table, Key={"pk": {"S": "meta"}, "sk": {"S": "meta"}})["Item"]["schema"] == {
        "N": "1"
    }


def test_what_no_item_can_hold_is_refused_with_the_limit(open_dynamo: Callable[..., DynamoStore]) -> None:
    store = open_dynamo()
    run = make_run(parameters={"text": "".join(Random(1).choices(ascii_letters, k=700_000))})

    with pytest.raises(TooLarge, match="400 KB"):
        store.create_run(run)

    assert store.get_run(run.id) is None
    assert store.runs(RunFilter()).items == ()


def test_a_process_of_its_own_opens_it_by_its_address(table: str) -> None:
    store = open_store(f"dynamodb://{table}")
    run = store.create_run(make_run())

    assert store.get_run(run.id) == run
    store.close()
    with pytest.raises(StoreUnusable, match="closed"):
        store.get_run(run.id)


def test_stores_that_share_a_client_are_closed_apart(open_dynamo: Callable[..., DynamoStore]) -> None:
    first, second = open_dynamo(), open_dynamo()
    first.close()

    assert second.get_run("r") is None
