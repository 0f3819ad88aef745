"""Pages of lists: the store's marks are our cursors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from dispatcher import records
from dispatcher.deployments import Deployment
from dispatcher.documents import from_document
from dispatcher.errors import InvalidInput
from dispatcher.http.bodies import PageQuery
from dispatcher.pools import WorkPool
from dispatcher.ports import Store

E = TypeVar("E", WorkPool, Deployment)


@contextmanager
def named_cursor() -> Iterator[None]:
    """What a store says of a mark is said of the query's `cursor`."""
    try:
        yield
    except (InvalidInput, OverflowError) as exc:  # the latter from a number that no store can compare
        if isinstance(exc, InvalidInput) and exc.path != "after":
            raise
        raise InvalidInput(
            "cursor: it is not where a page of this list ended; leave it out to start", path="cursor"
        ) from exc


def catalogue_page(
    store: Store, kind: type[E], query: PageQuery, *, parent: str | None = None
) -> tuple[list[E], str | None]:
    """(those of the page, the cursor of the next). Those marked deleted are among them."""
    stored_as = records.POOL if kind is WorkPool else records.DEPLOYMENT
    with named_cursor():
        page = store.list(stored_as, parent=parent, after=query.cursor, limit=query.limit)
    return [from_document(kind, record.body) for record in page.items], page.after
