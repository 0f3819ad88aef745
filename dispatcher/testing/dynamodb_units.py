"""What steps cost on DynamoDB, in read and write units, as `ReturnConsumedCapacity` tells, table and indexes together.

DynamoDB Local (1.25) tells of a transaction neither all items nor the right factor. So each of its writes is made once
more alone, on a table beside, from the same item as it was: AWS charges a transaction twice that for the table
("Capacity management for transactions", Developer Guide), and for an index as ever: that follows later.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_SINGLE = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item", "ConditionCheck": "get_item"}
_READS = frozenset({"GetItem", "Query", "BatchGetItem"})
_KEYS = ("pk", "sk")
_NEITHER = ("ConditionExpression", "ReturnValuesOnConditionCheckFailure")


@dataclass(slots=True)
class Units:
    """Of one step. `calls`: how often each operation was called."""

    reads: float = 0
    writes: float = 0
    calls: Counter[str] = field(default_factory=Counter)


class Meter:
    """Counts what goes through `client`. `beside` is another client, `table` an empty table of the same kind."""

    def __init__(self, client: Any, *, beside: Any, table: str) -> None:
        self.client = client
        self._beside, self._table = beside, table
        self._transaction = 0.0
        self.now = Units()
        client.meta.events.register("provide-client-params.dynamodb.*", self._asked)
        client.meta.events.register("after-call.dynamodb.*", self._answered)

    @contextmanager
    def step(self) -> Iterator[Units]:
        """What is called in the block."""
        self.now = units = Units()
        yield units
        self.now = Units()

    def _asked(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if "TransactItems" in params:
            self._transaction = sum(self._alone(*next(iter(each.items()))) for each in params["TransactItems"])
        elif "ReturnConsumedCapacity" in model.input_shape.members:
            params["ReturnConsumedCapacity"] = "INDEXES"

    def _answered(self, http_response: Any, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        self.now.calls[model.name] += 1
        if http_response.status_code >= 300:
            return
        if model.name == "TransactWriteItems":
            self.now.writes += self._transaction
        elif model.name in _READS:
            self.now.reads += _told(parsed)
            # An empty answer is charged as the smallest one, which DynamoDB Local does not tell.
            if model.name != "BatchGetItem" and not _told(parsed):
                self.now.reads += 1 if not _is_of_index(parsed) else 0.5
        else:
            self.now.writes += _told(parsed)

    def _alone(self, kind: str, action: Mapping[str, Any]) -> float:
        key = {name: (action.get("Key") or action["Item"])[name] for name in _KEYS}
        was = self._beside.get_item(TableName=action["TableName"], Key=key, ConsistentRead=True).get("Item")
        if was is not None:
            self._beside.put_item(TableName=self._table, Item=was)
        if kind == "ConditionCheck":
            return 2.0
        used = set(re.findall(r"[#:]\w+", action.get("UpdateExpression", "")))
        single: dict[str, Any] = {name: given for name, given in action.items() if name not in _NEITHER}
        single["TableName"] = self._table
        for what in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            kept = {name: given for name, given in single.pop(what, {}).items() if name in used}
            single |= {what: kept} if kept else {}
        answer = getattr(self._beside, _SINGLE[kind])(**single, ReturnConsumedCapacity="INDEXES")
        self._beside.delete_item(TableName=self._table, Key=key)
        told = answer["ConsumedCapacity"]
        table = float(told["Table"]["CapacityUnits"])
        return 2 * table + float(told["CapacityUnits"]) - table


def _told(parsed: Mapping[str, Any]) -> float:
    told = parsed.get("ConsumedCapacity") or []
    return sum(float(each["CapacityUnits"]) for each in ([told] if isinstance(told, Mapping) else told))


def _is_of_index(parsed: Mapping[str, Any]) -> bool:
    told = parsed.get("ConsumedCapacity") or {}
    return "GlobalSecondaryIndexes" in told
