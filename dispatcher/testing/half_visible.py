"""Commits seen by halves: whoever reads many items at once may see some of a commit, and others as they were before.

DynamoDB's Query does so while a transaction is under way, and its indexes and any replica for longer; no emulator does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from random import Random
from typing import Any, TypeVar, cast

from dispatcher.ports import ActiveEntry, Candidate, OutboxEntry, Page, RunFilter, Store
from dispatcher.runs import FlowRun

T = TypeVar("T")


class _HalfVisible:
    """A store whose lists mix, item by item, what they are with what they were when they were last read.

    What is read by its id is as it is.
    """

    def __init__(self, behind: Store, seed: int) -> None:
        self._behind = behind
        self._random = Random(seed)  # noqa: S311
        self._last: dict[tuple[object, ...], dict[Any, Any]] = {}
        self.blurred = 0  # items that were shown as they were, or not at all

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def active(self, pool: str) -> Sequence[ActiveEntry]:
        return list(self._mixed(("active", pool), {e.slot: e for e in self._behind.active(pool)}).values())

    def held(self, limit: str) -> Mapping[str, str]:
        return self._mixed(("held", limit), dict(self._behind.held(limit)))

    def due(self, pool: str, queue: str, before: datetime, *, after: str | None = None, limit: int) -> Page[Candidate]:
        page = self._behind.due(pool, queue, before, after=after, limit=limit)
        found = self._mixed(("due", pool, queue, after), {item.run_id: item for item in page.items})
        items = sorted((i for i in found.values() if i.due_at <= before), key=lambda item: (item.due_at, item.run_id))
        return Page(tuple(items[:limit]), page.after)

    def parked(self, pool: str) -> Sequence[str]:
        return list(self._mixed(("parked", pool), {name: name for name in self._behind.parked(pool)}))

    def parked_runs(self, pool: str, deployment_id: str, *, limit: int) -> Sequence[Candidate]:
        now = self._behind.parked_runs(pool, deployment_id, limit=limit)
        found = self._mixed(("parked", pool, deployment_id), {item.run_id: item for item in now})
        return sorted(found.values(), key=lambda item: (item.due_at, item.run_id))[:limit]

    def outbox_due(self, pool: str, before: datetime, *, limit: int) -> Sequence[OutboxEntry]:
        now = self._behind.outbox_due(pool, before, limit=limit)
        return list(self._late(("outbox", pool), now, key=lambda entry: entry.id))

    def runs(self, wanted: RunFilter, *, after: str | None = None, limit: int = 50) -> Page[FlowRun]:
        page = self._behind.runs(wanted, after=after, limit=limit)
        return Page(tuple(self._late(("runs", wanted, after), page.items, key=lambda run: run.id)), page.after)

    def _mixed(self, what: tuple[object, ...], now: dict[Any, T]) -> dict[Any, T]:
        """Each item as it is or as it was; one that came or went may be there or not."""
        last, self._last[what] = self._last.get(what, now), now
        seen: dict[Any, T] = {}
        for key in [*now, *(key for key in last if key not in now)]:
            was = now.get(key) != last.get(key) and self._random.random() < 0.5
            source = last if was else now
            self.blurred += was
            if key in source:
                seen[key] = source[key]
        return seen

    def _late(self, what: tuple[object, ...], now: Sequence[T], *, key: Callable[[T], str]) -> Iterator[T]:
        """For what is read again by its id before it is shown: what is new may be missing, and that is all."""
        last, self._last[what] = self._last.get(what, {}), {key(item): item for item in now}
        for item in now:
            if key(item) not in last and self._random.random() < 0.5:
                self.blurred += 1
            else:
                yield item


class Blur:
    """The hand on such a store."""

    def __init__(self, store: Store, seed: int) -> None:
        self._half = _HalfVisible(store, seed)

    @property
    def store(self) -> Store:
        return cast("Store", self._half)

    @property
    def blurred(self) -> int:
        """How many items were not shown as they are."""
        return self._half.blurred
