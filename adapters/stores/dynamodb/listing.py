"""Runs listed, newest first. Two ways, for there is no index by state:

* those that are not over: from the due index and the slots, which hold them and no others;
* all others: from the cards of each deployment, merged.

Either way each run is read again by its id, so whatever was stale is left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import chain, islice

from adapters.stores.dynamodb import keys
from adapters.stores.dynamodb.calls import Table
from adapters.stores.dynamodb.documents import bare_run, far_payload
from adapters.stores.dynamodb.keys import LAST, Key, moment
from adapters.stores.dynamodb.moves import expiry
from adapters.stores.dynamodb.runs import Roster, hot_items, whole
from adapters.stores.dynamodb.table import EXPIRES, HASH, RANGE
from adapters.stores.dynamodb.values import Item
from adapters.texts import page_mark
from dispatcher.ports import Page, RunFilter
from dispatcher.runs import ACTIVE, TYPE_OF, FlowRun, StateType, pool_limit

_AT_ONCE = 100  # cards that are looked up together
_LOOKED_AT = 3000  # cards a call; a page may end before it is full
_UNFINISHED = ACTIVE | {StateType.SCHEDULED}


class Listing:
    """One call of `Store.runs`."""

    def __init__(self, table: Table, roster: Roster, threads: Executor, wanted: RunFilter, limit: int) -> None:
        self._table = table
        self._roster = roster
        self._threads = threads
        self._wanted = wanted
        self._limit = limit
        self._types = _types(wanted)

    def page(self, after: str | None) -> Page[FlowRun]:
        before = keys.page_key("run", after) if after is not None else None
        if not self._types:
            return Page(())
        if self._types <= _UNFINISHED:
            return self._of_unfinished(before)
        return self._of_all(before)

    # those that are not over

    def _of_unfinished(self, before: str | None) -> Page[FlowRun]:
        places = [place for place in self._roster.read() if self._may_have(*place)]
        looks: list[Callable[[], list[str]]] = []
        for pool in dict.fromkeys(pool for _, pool, _ in places):
            if StateType.SCHEDULED in self._types:
                looks.append(lambda pool=pool: self._waiting(keys.parked_partition(pool)))  # type: ignore[misc]
            if self._types & ACTIVE:
                looks.append(lambda pool=pool: self._active(pool))  # type: ignore[misc]
        if StateType.SCHEDULED in self._types:
            partitions = dict.fromkeys(keys.due_partition(pool, queue) for _, pool, queue in places)
            looks += [lambda partition=partition: self._waiting(partition) for partition in partitions]  # type: ignore[misc]
        ids = dict.fromkeys(run_id for found in self._at_once(looks) for run_id in found)
        hot = {_place(each): each for each in hot_items(self._table, ids) if self._fits(each)}
        chosen = sorted((place for place in hot if before is None or place < before), reverse=True)
        runs = whole(self._table, (hot[place] for place in chosen[: self._limit + 1]))
        return self._page([(place, run) for place in chosen if (run := runs.get(_id(place))) is not None])

    def _at_once(self, looks: Sequence[Callable[[], list[str]]]) -> list[list[str]]:
        return list(self._threads.map(lambda look: look(), looks))

    def _may_have(self, deployment: str, pool: str, queue: str) -> bool:
        wanted = self._wanted
        return all(
            asked in (None, has)
            for asked, has in ((wanted.deployment, deployment), (wanted.pool, pool), (wanted.queue, queue))
        )

    def _waiting(self, partition: str) -> list[str]:
        rows = self._table.query("#due_pk = :due_pk", {"due_pk": partition}, index=True)
        return [row[HASH].removeprefix("run#") for row in rows]

    def _active(self, pool: str) -> list[str]:
        partition = keys.slot_partition(pool_limit(pool))
        return [row["run"] for row in self._table.query("#pk = :pk", {"pk": partition}, only="#run")]

    # all others

    def _of_all(self, before: str | None) -> Page[FlowRun]:
        cards = self._cards(before)
        found: list[tuple[str, FlowRun]] = []
        looked_at, last = 0, None
        while len(found) <= self._limit and looked_at < _LOOKED_AT:
            some = list(islice(cards, min(_AT_ONCE, max(self._limit + 1, 10))))
            if not some:
                return self._page(found)
            looked_at += len(some)
            last = _card_place(some[-1])
            found += self._looked_up(some)
        page = self._page(found)
        return page if page.after is not None or last is None else Page(page.items, page_mark("run", last))

    def _cards(self, before: str | None) -> Iterator[Item]:
        wanted = self._wanted
        first = "0" if wanted.since is None else moment(wanted.since, "since")
        last = LAST if wanted.until is None else moment(wanted.until, "until")
        last = last if before is None else min(last, before)
        if wanted.deployment is not None:
            deployments = [wanted.deployment]
        else:
            deployments = list(
                dict.fromkeys(d for d, pool, queue in self._roster.read() if self._may_have(d, pool, queue))
            )
        lists = self._threads.map(lambda name: _begun(self._cards_of(name, first, last)), deployments)
        return heapq.merge(*lists, key=_card_place, reverse=True)

    def _cards_of(self, deployment: str, first: str, last: str) -> Iterator[Item]:
        """Those in [first, last), newest first."""
        if first > last:
            return
        rows = self._table.query(
            "#pk = :pk AND #sk BETWEEN :first AND :last",
            {"pk": keys.card_partition(deployment), "first": first, "last": last},
            newest_first=True, page=min(_AT_ONCE, self._limit + 1),
        )  # fmt: skip
        yield from (row for row in rows if _card_place(row) < last)

    def _looked_up(self, cards: Sequence[Item]) -> list[tuple[str, FlowRun]]:
        hot = {_id(_place(each)): each for each in hot_items(self._table, [_id(_card_place(card)) for card in cards])}
        mine = [card for card in cards if (each := hot.get(_id(_card_place(card)))) and _is_card_of(card, each)]
        self._make_up_for(mine, hot)
        fitting = [card for card in mine if self._fits(hot[_id(_card_place(card))])]
        known: dict[Key, Item] = {(card[HASH], card[RANGE]): card for card in fitting}
        runs = whole(self._table, (hot[_id(_card_place(card))] for card in fitting), known)
        places = [_card_place(card) for card in fitting]
        return [(place, run) for place in places if (run := runs.get(_id(place))) is not None]

    def _make_up_for(self, cards: Sequence[Item], hot: dict[str, Item]) -> None:
        """A dispatcher that died at an end has left a card that would outlive its run."""
        for card in cards:
            run = hot[_id(_card_place(card))]
            if EXPIRES not in run or EXPIRES in card:
                continue
            for key in [*far_payload(run), (card[HASH], card[RANGE])]:
                self._table.try_write(expiry(key, bare_run(run)))

    # both

    def _fits(self, hot: Item) -> bool:
        wanted = self._wanted
        type_of = TYPE_OF[hot["state"]]
        if type_of not in self._types or (wanted.names and hot["state"] not in wanted.names):
            return False
        if not self._may_have(hot["dep"], hot["pool"], hot["queue"]):
            return False
        if wanted.tags or wanted.since is not None or wanted.until is not None:
            run = bare_run(hot)
            return (
                wanted.tags <= set(run.tags)
                and (wanted.since is None or run.scheduled_time >= wanted.since)
                and (wanted.until is None or run.scheduled_time < wanted.until)
            )
        return True

    def _page(self, found: Sequence[tuple[str, FlowRun]]) -> Page[FlowRun]:
        mark = page_mark("run", found[self._limit - 1][0]) if len(found) > self._limit else None
        return Page(tuple(run for _, run in found[: self._limit]), mark)


def _types(wanted: RunFilter) -> frozenset[StateType]:
    types = wanted.types or frozenset(StateType)
    if wanted.names:
        types &= {kind for name, kind in TYPE_OF.items() if name in wanted.names}
    return types


def _place(hot: Item) -> str:
    """Where the run stands in every listing: its scheduled time and its id."""
    run = bare_run(hot)
    return f"{moment(run.scheduled_time, 'scheduled_time')}#{run.id}"


def _card_place(card: Item) -> str:
    return str(card[RANGE]).rpartition("#")[0]


def _id(place: str) -> str:
    return place.partition("#")[2]


def _is_card_of(card: Item, hot: Item) -> bool:
    """A run's card and not one that somebody wrote who came too late to make the run."""
    return bool(card[RANGE].rpartition("#")[2] == hot.get("card", ""))


def _begun(rows: Iterator[Item]) -> Iterator[Item]:
    """The same with its first page read."""
    first = next(rows, None)
    return rows if first is None else chain([first], rows)
