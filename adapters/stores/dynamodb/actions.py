"""Conditional writes as DynamoDB takes them: alone, or several in a transaction.

In conditions and changes `#name` is an attribute and `:name` a value that is given by that name.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from adapters.stores.dynamodb.keys import Key
from adapters.stores.dynamodb.table import HASH, RANGE
from adapters.stores.dynamodb.values import Item, value

STAMP = "w"  # says whose write it was
ABSENT, PRESENT = "attribute_not_exists(#pk)", "attribute_exists(#pk)"

Kind: TypeAlias = Literal["Put", "Update", "Delete", "ConditionCheck"]


@dataclass(frozen=True, slots=True)
class Action:
    """One write. `stamp`: what it leaves behind, to be known again by."""

    kind: Kind
    body: Mapping[str, Any]
    stamp: str | int | bytes | None = None

    def is_done(self, found: Item) -> bool:
        """Whether it was this write that made the item what it is."""
        return found.get(STAMP) == self.stamp if self.stamp else self.kind == "Delete" and not found


def new_stamp() -> str:
    return secrets.token_urlsafe(6)


def put(sent: Item, condition: str = "", **values: str | int) -> Action:
    stamp = sent.get(STAMP, {}).get("S")
    return Action("Put", {"Item": sent, **_conditional(condition, "", values)}, stamp)


def update(key: Key, change: str, condition: str, **values: str | int | bytes) -> Action:
    body = {"Key": sent_key(key), "UpdateExpression": change, **_conditional(condition, change, values)}
    return Action("Update", body, values.get(STAMP))


def delete(key: Key, condition: str = "", **values: str | int) -> Action:
    return Action("Delete", {"Key": sent_key(key), **_conditional(condition, "", values)})


def check(key: Key, condition: str, **values: str | int) -> Action:
    return Action("ConditionCheck", {"Key": sent_key(key), **_conditional(condition, "", values)})


def _conditional(condition: str, change: str, values: Mapping[str, str | int | bytes]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if condition:
        body |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if aliases := names(condition, change):
        body["ExpressionAttributeNames"] = aliases
    if values:
        body["ExpressionAttributeValues"] = {f":{name}": value(given) for name, given in values.items()}
    return body


def names(*expressions: str) -> dict[str, str]:
    """Every attribute by an alias, for DynamoDB reserves 573 words."""
    return {f"#{name}": name for expression in expressions for name in re.findall(r"#(\w+)", expression)}


def sent_key(key: Key) -> dict[str, Any]:
    return {HASH: value(key[0]), RANGE: value(key[1])}
