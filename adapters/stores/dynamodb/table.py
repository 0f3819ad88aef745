"""The table: its keys, its one index and its expiry, for Terraform, for tests, and to make it by hand.

One kind of item a key prefix (`keys.py`); the layout and what each step costs are told in ARCHITECTURE.md. There is no
index by state and none for listing: runs are listed from the base table.
"""

from __future__ import annotations

from typing import Any

HASH, RANGE = "pk", "sk"
DUE_INDEX, DUE_HASH, DUE_RANGE = "due", "due_pk", "due_sk"  # sparse: what waits for its moment, and nothing else
EXPIRES = "expires"  # seconds since 1970; DynamoDB removes the item within days after


def definition(name: str) -> dict[str, Any]:
    """What `CreateTable` takes."""
    keys = (HASH, RANGE, DUE_HASH, DUE_RANGE)
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
        "KeySchema": _schema(HASH, RANGE),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": DUE_INDEX,
                "KeySchema": _schema(DUE_HASH, DUE_RANGE),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    }


def create_table(client: Any, name: str, *, expiry: bool = True) -> None:
    """The table as Terraform makes it, ready for use. `expiry` False leaves DynamoDB's own forgetting off."""
    client.create_table(**definition(name))
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    if expiry:
        client.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES})


def _schema(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": range_key, "KeyType": "RANGE"},
    ]
