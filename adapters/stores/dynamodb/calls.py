"""The one place that calls DynamoDB: what passes by itself is tried again, the rest is said in our words.

Invariant: a write whose reply was lost is told apart from one that lost a race. A single write carries a stamp that
it finds again; a transaction carries DynamoDB's own token, good for ten minutes (API reference, TransactWriteItems).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, local
from typing import Any

from adapters import aws
from adapters.failures import Failure, Trouble
from adapters.stores.dynamodb.actions import ABSENT, Action, names, put, sent_key
from adapters.stores.dynamodb.keys import META, Key
from adapters.stores.dynamodb.table import DUE_INDEX, HASH, RANGE
from adapters.stores.dynamodb.values import Item, item, plain, value
from adapters.tries import Tries
from dispatcher.errors import PushpoolError, StoreUnavailable, StoreUnusable, TooLarge

SCHEMA_VERSION = 1

_READS_AT_ONCE, _WRITES_AT_ONCE = 100, 25  # BatchGetItem, BatchWriteItem
_OPERATIONS = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}
_LOST = "ConditionalCheckFailed"
# Reasons of a cancelled transaction, and errors of a single write into the middle of one, that pass by themselves.
_PASSING = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "TransactionInProgressException"}
)
_CONFLICTS = frozenset({"TransactionConflictException", "ReplicatedWriteConflictException"})


class ConditionLost(Exception):
    """A single write's condition did not hold; nothing was written. `found`: the item, empty if there is none."""

    def __init__(self, found: Item) -> None:
        super().__init__()
        self.found = found


class Cancelled(Exception):
    """A transaction was not made. `lost`: by their place the actions whose condition failed, and what they found."""

    def __init__(self, lost: Mapping[int, Item]) -> None:
        super().__init__()
        self.lost = lost


@dataclass(slots=True)
class Table:
    """The table of one installation, for all threads of this process."""

    name: str
    wait_seconds: float
    client: Any
    _is_checked: bool = field(default=False, init=False)
    _is_closed: bool = field(default=False, init=False)
    _guard: Lock = field(default_factory=Lock, init=False)
    _checking: local = field(default_factory=local, init=False)  # whether this thread is the one that looks

    def close(self) -> None:
        self._is_closed = True

    # reading; strongly consistent wherever DynamoDB can be

    def get(self, key: Key) -> Item | None:
        found = self._call("get_item", Key=sent_key(key), ConsistentRead=True).get("Item")
        return None if found is None else plain(found)

    def get_all(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Those that exist."""
        found: dict[Key, Item] = {}
        asked = [sent_key(key) for key in dict.fromkeys(keys)]
        for start in range(0, len(asked), _READS_AT_ONCE):
            for stored in self._batches("batch_get_item", _reads(asked[start : start + _READS_AT_ONCE])):
                each = plain(stored)
                found[each[HASH], each[RANGE]] = each
        return found

    def query(
        self,
        condition: str,
        values: Mapping[str, str],
        *,
        index: bool = False,
        newest_first: bool = False,
        page: int | None = None,
        only: str = "",
    ) -> Iterator[Item]:
        """Items in the order of their sort key, `page` at a time, as far as they are asked for."""
        request: dict[str, Any] = {
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names(condition, only),
            "ExpressionAttributeValues": {f":{name}": value(given) for name, given in values.items()},
            "ScanIndexForward": not newest_first,
        }
        request |= {"IndexName": DUE_INDEX} if index else {"ConsistentRead": True}
        request |= {"Limit": page} if page is not None else {}
        request |= {"ProjectionExpression": only} if only else {}
        while True:
            answer = self._call("query", **request)
            yield from map(plain, answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    # writing

    def write(self, action: Action) -> None:
        """:raises ConditionLost: unless it is our own write that is found."""
        tries = self._tries()
        try:
            self._call(_OPERATIONS[action.kind], tries=tries, **action.body)
        except ConditionLost as lost:
            if not (tries.doubt and action.is_done(lost.found)):
                raise

    def try_write(self, action: Action) -> None:
        """If its condition holds, DynamoDB answers, and we may; nothing depends on it."""
        with suppress(ConditionLost, StoreUnavailable, StoreUnusable):
            self.write(action)

    def transact(self, actions: Sequence[Action]) -> None:
        """All of them or none. :raises Cancelled: a condition did not hold."""
        items = [{action.kind: {"TableName": self.name, **action.body}} for action in actions]
        token = secrets.token_hex(16)
        self._call("transact_write_items", TransactItems=items, ClientRequestToken=token)

    def commit(self, must: Sequence[Action], may: Sequence[Action] = ()) -> None:
        """All of `must` at once, and those of `may` whose condition holds. :raises Cancelled: one of `must` lost."""
        while True:
            try:
                return self._commit([*must, *may])
            except Cancelled as cancelled:
                if any(at < len(must) for at in cancelled.lost):
                    raise
                may = [action for at, action in enumerate(may, len(must)) if at not in cancelled.lost]

    def _commit(self, actions: Sequence[Action]) -> None:
        if len(actions) > 1 or actions[0].kind == "ConditionCheck":
            self.transact(actions)
            return
        try:
            self.write(actions[0])  # half the price
        except ConditionLost as lost:
            raise Cancelled({0: lost.found}) from lost

    def put_all(self, items: Sequence[Item]) -> None:
        """Each by itself, whatever is there."""
        for start in range(0, len(items), _WRITES_AT_ONCE):
            some = items[start : start + _WRITES_AT_ONCE]
            for _ in self._batches("batch_write_item", [{"PutRequest": {"Item": each}} for each in some]):
                pass

    def _batches(self, operation: str, asked: Any) -> Iterator[Mapping[str, Any]]:
        """What came back; what was not processed is asked for again, with pauses."""
        tries = self._tries()
        while asked:
            answer = self._call(operation, tries=tries, RequestItems={self.name: asked})
            yield from answer.get("Responses", {}).get(self.name, ())
            left = answer.get("UnprocessedKeys") or answer.get("UnprocessedItems") or {}
            asked = left.get(self.name)
            if asked and not tries.wait():
                raise StoreUnavailable(f"{self._where()}: throttled; try again")

    # calling

    def _tries(self) -> Tries:
        return Tries.for_seconds(self.wait_seconds)

    def _call(self, operation: str, *, tries: Tries | None = None, **request: Any) -> Any:
        if self._is_closed:
            raise StoreUnusable(f"{self._where()}: this store was closed; open it again")
        if not self._is_checked and not getattr(self._checking, "now", False):
            self._check_once()
        if "RequestItems" not in request and "TransactItems" not in request:
            request["TableName"] = self.name
        tries = tries or self._tries()
        while True:
            try:
                return getattr(self.client, operation)(**request)
            except aws.ERRORS as exc:
                failure = aws.failure(exc)
                _tell_lost(failure)
                if not _passes(failure):
                    raise self._translated(operation, failure) from exc
                tries.doubt |= failure.trouble is Trouble.NO_ANSWER
                if not tries.wait():
                    raise StoreUnavailable(f"{self._where()}: {failure}; try again") from exc

    def _check_once(self) -> None:
        """Whoever comes first looks; the others wait for it."""
        with self._guard:
            if self._is_checked:
                return
            self._checking.now = True
            try:
                self._check_version()
            finally:
                self._checking.now = False
            self._is_checked = True

    def _check_version(self) -> None:
        """One read a process. :raises StoreUnusable: newer code has changed the layout."""
        try:
            stored = self.get(META)
            if stored is None:
                new = item(pk=META[0], sk=META[1], schema=SCHEMA_VERSION)
                self.write(put(new, ABSENT))
        except ConditionLost as lost:
            stored = lost.found
        if stored is not None and stored["schema"] > SCHEMA_VERSION:
            raise StoreUnusable(
                f"{self._where()}: its schema version is {stored['schema']}, this pushpool knows {SCHEMA_VERSION}; "
                "upgrade pushpool, or name another table"
            )

    def _where(self) -> str:
        return f"DynamoDB table {self.name!r} in {self.client.meta.region_name}"

    def _translated(self, operation: str, failure: Failure) -> PushpoolError:
        action = "".join(word.capitalize() for word in operation.split("_"))
        where = self._where()
        if failure.trouble is Trouble.CREDENTIALS:
            return StoreUnusable(f"{where}: no usable AWS credentials ({failure}); set them, or the role that has them")
        if failure.trouble is Trouble.DENIED:
            return StoreUnusable(f"{where}: dynamodb:{action} is not allowed ({failure}); add it to the role's policy")
        if failure.code == "ResourceNotFoundException":
            return StoreUnusable(
                f"{where} at {self.client.meta.endpoint_url}: no such table, or without its index {DUE_INDEX!r}; "
                "create it with `terraform apply`, or set AWS_REGION to where it is"
            )
        said = " ".join([failure.message, *(str(reason.get("Message", "")) for reason in _reasons(failure))])
        if "size" in said.lower():
            return TooLarge(f"{where}: an item may have 400 KB, and a transaction 4 MB; DynamoDB said: {said.strip()}")
        return StoreUnusable(f"{where}: dynamodb:{action} was refused: {failure}")


def _tell_lost(failure: Failure) -> None:
    """:raises ConditionLost: :raises Cancelled: a condition did not hold, and no trying again would help."""
    if failure.code == "ConditionalCheckFailedException":
        raise ConditionLost(plain(failure.answer.get("Item") or {}))
    if failure.code == "TransactionCanceledException":
        lost = {at: plain(r.get("Item") or {}) for at, r in enumerate(_reasons(failure)) if r.get("Code") == _LOST}
        if lost:
            raise Cancelled(lost)


def _passes(failure: Failure) -> bool:
    if failure.trouble in (Trouble.THROTTLED, Trouble.NOT_SENT, Trouble.NO_ANSWER) or failure.code in _CONFLICTS:
        return True
    if failure.code != "TransactionCanceledException":
        return False
    codes = {reason.get("Code") for reason in _reasons(failure)} - {"None", None}
    return bool(codes) and codes <= _PASSING


def _reasons(failure: Failure) -> Sequence[Mapping[str, Any]]:
    """Why a transaction was cancelled, one for each of its actions."""
    reasons: Sequence[Mapping[str, Any]] = failure.answer.get("CancellationReasons", ())
    return reasons


def _reads(keys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Keys": list(keys), "ConsistentRead": True}
