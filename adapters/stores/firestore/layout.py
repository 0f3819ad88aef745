"""The database: its collections, its indexes, and what is kept out of them, for Terraform and for tests.

| document | holds |
|---|---|
| `runs/RUN` | a run, with beside it the fields that it is found by |
| `requests/RUN~ATTEMPT` | a rendered submission |
| `limits/LIMIT/slots/NAME` | a slot that is held; the pool's is the active entry |
| `keys/HASH` | an idempotency key and its run |
| `records/KIND~KEY` | a record of the catalogue |
| `cursors/SCHEDULE` | how far a schedule is |
| `owed/ID` | an outbox entry |
| `budgets/NAME` | what is left of a rate |
| `meta/schema` | the layout's version |

A document is in a composite index only if it has all of its fields (Firestore documentation, "Index types", "Index
definition and structure"): a run that does not wait lacks `due_in` and `parked_in`, so the due query never meets it.

Listing filters by any of several fields and sorts by one. Its indexes are not one for each combination but one for each
field, which Firestore merges (same page, "Take advantage of index merging"); `in` uses the index of `==`.

Of the indexes that Firestore makes by itself for every field only those are kept that a query uses: a field that grows
with time would limit its whole collection to 500 writes a second (documentation, "Best practices", "Hotspots"). What is
kept out of them can still be part of a composite index ("Index types", "Single-field index exemptions").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SCHEMA_VERSION = 1

RUNS, REQUESTS, LIMITS, SLOTS, KEYS = "runs", "requests", "limits", "slots", "keys"
RECORDS, CURSORS, OWED, BUDGETS, META = "records", "cursors", "owed", "budgets", "meta"


class Mode(StrEnum):
    """How an index has a field, in the API's words."""

    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"
    CONTAINS = "CONTAINS"  # of an array: each of its values


@dataclass(frozen=True, slots=True)
class Index:
    """A composite index, of scope COLLECTION; by `__name__` at last, in the direction of its last field."""

    collection: str
    fields: tuple[tuple[str, Mode], ...]


def _index(collection: str, **fields: Mode) -> Index:
    return Index(collection, tuple(fields.items()))


_UP, _DOWN, _ANY = Mode.ASCENDING, Mode.DESCENDING, Mode.CONTAINS

INDEXES: tuple[Index, ...] = (
    _index(RUNS, due_in=_UP, due_at=_UP),
    _index(RUNS, parked_in=_UP, deployment_id=_UP, due_at=_UP),
    _index(RUNS, deployment=_UP, scheduled_time=_DOWN),
    _index(RUNS, pool=_UP, scheduled_time=_DOWN),
    _index(RUNS, queue=_UP, scheduled_time=_DOWN),
    _index(RUNS, type=_UP, scheduled_time=_DOWN),
    _index(RUNS, name=_UP, scheduled_time=_DOWN),
    _index(RUNS, tags=_ANY, scheduled_time=_DOWN),
    _index(OWED, pool=_UP, due_at=_UP),
    _index(RECORDS, kind=_UP, key=_UP),
    _index(RECORDS, kind=_UP, parent=_UP, key=_UP),
)

# By collection group: the single fields that have an index of their own. All others, `*`, have none.
EXEMPTIONS: Mapping[str, Mapping[str, tuple[Mode, ...]]] = {
    RUNS: {"*": (), "scheduled_time": (_DOWN,), "expires_at": (_UP,)},
    REQUESTS: {"*": ()},
    SLOTS: {"*": ()},
    KEYS: {"*": (), "expires_at": (_UP,)},
    RECORDS: {"*": ()},
    CURSORS: {"*": (), "next_at": (_UP,)},
    OWED: {"*": ()},
    BUDGETS: {"*": ()},
    META: {"*": ()},
}
