"""What has come due of a partition of the index, as it is now."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from adapters.stores.dynamodb.calls import Table
from adapters.stores.dynamodb.keys import LAST, moment
from adapters.stores.dynamodb.table import DUE_RANGE, HASH, RANGE
from adapters.stores.dynamodb.values import Item


def due_items(table: Table, partition: str, before: datetime, limit: int) -> list[Item]:
    """At most `limit`, earliest first. The index may be behind: what counts is the item itself."""
    until = moment(before, "before") + LAST
    rows = table.query(
        f"#due_pk = :due_pk AND #{DUE_RANGE} <= :until",
        {"due_pk": partition, "until": until},
        index=True, page=limit,
    )  # fmt: skip
    found: list[Item] = []
    while some := [(row[HASH], row[RANGE]) for row in islice(rows, limit - len(found))]:
        there = table.get_all(some)
        found += [there[key] for key in some if key in there and there[key].get(DUE_RANGE, LAST) <= until]
    return sorted(found, key=lambda each: str(each[DUE_RANGE]))
