"""Runs listed, newest first: one query, whose equalities are served by merged indexes.

Two filters on the state cannot both be a list (documentation, "Query limitations", 30 disjunctions), so names that are
asked for stand for their types. Of several tags Firestore looks for one; the others are looked for here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.cloud.firestore import FieldFilter, Query

from adapters.stores.firestore.database import Database, Found
from adapters.stores.firestore.documents import as_run
from adapters.stores.firestore.layout import RUNS
from adapters.stores.firestore.names import instant, last_part, moment, page_place, run_path
from adapters.texts import page_mark
from dispatcher.ports import Page, RunFilter
from dispatcher.runs import TYPE_OF, FlowRun, StateType

_LOOKED_AT = 1000  # runs a call; a page may end before it is full


def page(database: Database, wanted: RunFilter, after: str | None, limit: int) -> Page[FlowRun]:
    place = None if after is None else page_place("run", after)
    query = _query(database.client, wanted)
    found: list[Found] = []
    looked_at = 0
    while query is not None and looked_at < _LOOKED_AT:
        some = database.query(_from(database, query, place).limit(limit + 1))
        looked_at += len(some)
        found += [each for each in some if wanted.tags <= set(each.fields["tags"])]
        if len(found) > limit or len(some) <= limit:
            place = _place(found[limit - 1]) if len(found) > limit else None
            break
        place = _place(some[-1])
    mark = page_mark("run", *place) if place is not None and query is not None else None
    return Page(tuple(map(as_run, found[:limit])), mark)


def _query(client: Any, wanted: RunFilter) -> Query | None:
    """None if no run can fit."""
    query = Query(client.collection(RUNS))
    for field in ("deployment", "pool", "queue"):
        if (value := getattr(wanted, field)) is not None:
            query = query.where(filter=FieldFilter(field, "==", value))
    if wanted.types or wanted.names:
        field, values = _states(wanted)
        if not values:
            return None
        query = query.where(
            filter=FieldFilter(field, "==", values[0]) if len(values) == 1 else FieldFilter(field, "in", values)
        )
    if wanted.tags:
        query = query.where(filter=FieldFilter("tags", "array_contains", min(wanted.tags)))
    if wanted.since is not None:
        query = query.where(filter=FieldFilter("scheduled_time", ">=", moment(wanted.since, "since")))
    if wanted.until is not None:
        query = query.where(filter=FieldFilter("scheduled_time", "<", moment(wanted.until, "until")))
    return query.order_by("scheduled_time", Query.DESCENDING).order_by("__name__", Query.DESCENDING)


def _states(wanted: RunFilter) -> tuple[str, list[str]]:
    """The field to filter by, and its values."""
    if not wanted.names:
        return "type", sorted(wanted.types)
    types = wanted.types or frozenset(StateType)
    return "name", sorted(name for name, kind in TYPE_OF.items() if name in wanted.names and kind in types)


def _place(found: Found) -> list[str]:
    return [instant(found.fields["scheduled_time"]).isoformat(), last_part(found.path)]


def _from(database: Database, query: Query, place: list[str] | None) -> Query:
    if place is None:
        return query
    at, run_id = place
    start = {"scheduled_time": datetime.fromisoformat(at), "__name__": database.client.document(run_path(run_id))}
    return query.start_after(start)
