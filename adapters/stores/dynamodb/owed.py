"""What is owed to the outside, and what may still be called of a cloud."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from adapters.stores.dynamodb.actions import ABSENT, PRESENT, STAMP, Action, delete, new_stamp, put, update
from adapters.stores.dynamodb.calls import ConditionLost, Table
from adapters.stores.dynamodb.due import due_items
from adapters.stores.dynamodb.keys import budget_key, instant, moment, owed_key, owed_partition
from adapters.stores.dynamodb.table import DUE_RANGE
from adapters.stores.dynamodb.values import Item, item
from adapters.texts import json_text
from dispatcher.budgets import room_at, spent
from dispatcher.errors import StoreUnavailable
from dispatcher.ports import Limit, OutboxEntry

_TRIES = 30  # to spend of a budget that others spend of


def new(entry: OutboxEntry) -> Action:
    """The entry, unless its id exists."""
    key = owed_key(entry.id)
    due_at = moment(entry.due_at, "due_at")
    body = json_text(entry.body, f"outbox entry {entry.id}")
    sent = item(
        pk=key[0], sk=key[1], due_pk=owed_partition(entry.pool), due_sk=f"{due_at}#{entry.id}",
        kind=entry.kind, pool=entry.pool, run=entry.run_id, tries=entry.tries, body=body, **{STAMP: new_stamp()},
    )  # fmt: skip
    return put(sent, ABSENT)


def put_new(table: Table, entry: OutboxEntry) -> bool:
    try:
        table.write(new(entry))
    except ConditionLost:
        return False
    return True


def due(table: Table, pool: str, before: datetime, limit: int) -> Sequence[OutboxEntry]:
    return [_entry(each) for each in due_items(table, owed_partition(pool), before, limit)]


def _entry(found: Item) -> OutboxEntry:
    time, _, entry_id = found[DUE_RANGE].partition("#")
    return OutboxEntry(
        id=entry_id,
        kind=found["kind"],
        pool=found["pool"],
        run_id=found["run"],
        due_at=instant(time),
        body=json.loads(found["body"]),
        tries=found["tries"],
    )


def settle(table: Table, entry: OutboxEntry, again_at: datetime | None) -> None:
    key = owed_key(entry.id)
    if again_at is None:
        table.write(delete(key))
        return
    due_sort = f"{moment(again_at, 'again_at')}#{entry.id}"
    change = f"SET #{DUE_RANGE} = :due_sk, #tries = :tries"
    try:
        table.write(update(key, change, PRESENT, due_sk=due_sort, tries=entry.tries + 1))
    except ConditionLost:
        return  # it is gone and stays gone


def spend(table: Table, budget: str, wanted: int, rates: Sequence[Limit], now: datetime) -> int:
    at = instant(moment(now, "now"))
    for _ in range(_TRIES):
        stored = table.get(budget_key(budget))
        taken, text = spent(_levels(stored), wanted, rates, at)
        if text is None:
            return 0
        if _saved(table, budget, text, stored):
            return taken
    raise StoreUnavailable(f"rate budget {budget!r}: too many others spend of it; try again")


def budget_room_at(table: Table, budget: str, rates: Sequence[Limit], now: datetime) -> datetime:
    return room_at(_levels(table.get(budget_key(budget))), rates, instant(moment(now, "now")))


def _levels(stored: Item | None) -> str | None:
    return stored["levels"] if stored else None


def _saved(table: Table, budget: str, levels: str, stored: Item | None) -> bool:
    key = budget_key(budget)
    sent = item(pk=key[0], sk=key[1], levels=levels, **{STAMP: new_stamp()})
    action = put(sent, ABSENT) if stored is None else put(sent, f"#{STAMP} = :was", was=stored[STAMP])
    try:
        table.write(action)
    except ConditionLost:
        return False
    return True
