"""What deaths between two writes leave on DynamoDB, and what its own forgetting takes: nobody is misled by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from random import Random
from string import ascii_letters
from typing import Any

import pytest

from adapters.stores.dynamodb import DynamoStore
from adapters.stores.dynamodb.documents import parts_of, written
from adapters.stores.dynamodb.table import EXPIRES, HASH, RANGE
from dispatcher.ports import Move, RunFilter
from dispatcher.runs import Actor, FlowRun, StateType, amended
from dispatcher.testing.builders import (
    NOW,
    admitted,
    cancel,
    end,
    make_cursor,
    make_outbox_entry,
    make_run,
    retry,
)
from dispatcher.testing.racing import at_once

DAY = timedelta(days=1)
MIDDLE = {"text": "".join(Random(1).choices(ascii_letters, k=1000))}  # goes into the card
LARGE = {"text": "".join(Random(2).choices(ascii_letters, k=9000))}  # has an item of its own
Open = Callable[..., DynamoStore]


class Shelf:
    """What lies in the table, whatever it means."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def items(self) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("scan").paginate(TableName=self._table)
        return [item for page in pages for item in page["Items"]]

    def names(self) -> set[str]:
        """Of all but the table's own."""
        names = {f"{item[HASH]['S']} {item[RANGE]['S']}" for item in self.items()}
        return {name for name in names if not name.startswith(("meta ", "roster "))}

    def put(self, *items: dict[str, Any]) -> None:
        for item in items:
            self._client.put_item(TableName=self._table, Item=item)

    def remove(self, item: dict[str, Any]) -> None:
        self._client.delete_item(TableName=self._table, Key={name: item[name] for name in (HASH, RANGE)})

    def expire(self, before: datetime) -> None:
        """What DynamoDB does by its own clock."""
        for item in self.items():
            if EXPIRES in item and int(item[EXPIRES]["N"]) < before.timestamp():
                self.remove(item)

    def forget_expiry(self, prefix: str) -> None:
        """As if whoever was to write the expiry of these items had died before."""
        for item in self.items():
            if item[HASH]["S"].startswith(prefix) or item[RANGE]["S"].startswith(prefix):
                self.put({name: value for name, value in item.items() if name != EXPIRES})


@pytest.fixture
def shelf(dynamodb: Any, table: str) -> Shelf:
    return Shelf(dynamodb, table)


@pytest.fixture
def store(open_dynamo: Open) -> DynamoStore:
    return open_dynamo()


@pytest.mark.parametrize("parameters", [{}, {"a": 1}, MIDDLE, LARGE], ids=["none", "small", "middle", "large"])
class TestARunWith:
    def test_is_deleted_with_all_that_is_stored_of_it(
        self, store: DynamoStore, shelf: Shelf, parameters: dict[str, Any]
    ) -> None:
        run = store.create_run(make_run(parameters=parameters, idempotency_key="k"), keep_key_until=NOW + DAY)
        over = end(admitted(store, run))
        store.move(over)

        store.delete_run(over.after)

        assert shelf.names() == set()

    def test_is_forgotten_with_all_that_is_stored_of_it(
        self, store: DynamoStore, shelf: Shelf, parameters: dict[str, Any]
    ) -> None:
        run = store.create_run(make_run(parameters=parameters, idempotency_key="k"), keep_key_until=NOW + DAY)
        store.move(end(admitted(store, run), expires_at=NOW + 9 * DAY))

        shelf.expire(NOW + 8 * DAY)
        assert store.get_run(run.id) is not None
        shelf.expire(NOW + 10 * DAY)

        assert shelf.names() == set()

    def test_keeps_all_of_it_when_it_goes_on_after_its_end(
        self, store: DynamoStore, shelf: Shelf, parameters: dict[str, Any]
    ) -> None:
        run = store.create_run(make_run(parameters=parameters))
        over = end(admitted(store, run), expires_at=NOW + DAY)
        store.move(over)
        again = retry(over.after, actor=Actor.USER)
        store.move(again)

        shelf.expire(NOW + 100 * DAY)

        assert store.get_run(run.id) == again.after
        assert store.runs(RunFilter()).items == (again.after,)

    def test_is_read_as_gone_when_a_part_of_it_was_forgotten_first(
        self, store: DynamoStore, shelf: Shelf, parameters: dict[str, Any]
    ) -> None:
        run = store.create_run(make_run(parameters=parameters))
        store.move(cancel(run))
        for item in shelf.items():
            if item[RANGE]["S"] != "run" and item[HASH]["S"] not in ("meta", "roster"):
                shelf.remove(item)

        found = store.get_run(run.id)

        assert found is None or found.parameters == parameters
        assert found is None or parameters in ({}, {"a": 1})
        assert store.runs(RunFilter()).items == ()
        assert (run.id in store.get_runs([run.id])) == (found is not None)

    def test_gets_the_expiry_of_its_parts_from_who_lists_it_if_a_death_has_lost_it(
        self, store: DynamoStore, shelf: Shelf, parameters: dict[str, Any]
    ) -> None:
        run = store.create_run(make_run(parameters=parameters))
        store.move(cancel(run))
        shelf.forget_expiry("runs#")
        shelf.forget_expiry("payload#")

        assert len(store.runs(RunFilter()).items) == 1
        shelf.expire(NOW + 100 * DAY)

        assert shelf.names() == set()

    def test_is_created_after_a_death_that_left_its_parts(
        self, store: DynamoStore, shelf: Shelf, parameters: dict[str, Any]
    ) -> None:
        run, other = make_run(parameters=parameters), {"b": 2}
        shelf.put(*parts_of(run).items)
        assert store.runs(RunFilter(deployment="etl")).items == ()
        assert store.get_run(run.id) is None

        made = store.create_run(make_run(id=run.id, parameters=other))

        assert store.get_run(run.id) == made
        assert store.runs(RunFilter()).items == (made,)
        assert made.parameters == other


def test_an_expiry_that_comes_late_does_not_touch_a_run_that_has_gone_on(
    open_dynamo: Open, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dispatcher is held up between the end's commit and the card's expiry; meanwhile somebody retries the run."""
    slow, quick = open_dynamo(), open_dynamo()
    run = slow.create_run(make_run(parameters=MIDDLE))
    over = end(admitted(slow, run), expires_at=NOW + DAY)
    again = retry(over.after, actor=Actor.USER)
    write = type(slow._table).try_write

    def held_up(table: Any, action: Any) -> None:
        monkeypatch.undo()
        quick.move(again)
        write(table, action)

    monkeypatch.setattr(type(slow._table), "try_write", held_up)
    slow.move(over)

    shelf.expire(NOW + 100 * DAY)

    assert quick.get_run(run.id) == again.after


def test_who_comes_too_late_to_create_a_run_leaves_nothing(store: DynamoStore, shelf: Shelf) -> None:
    run = store.create_run(make_run(parameters=MIDDLE))
    before = shelf.names()

    assert store.create_run(make_run(id=run.id, parameters=LARGE)) == run

    assert shelf.names() == before


def test_a_key_whose_run_is_gone_is_taken_over_by_one_only(store: DynamoStore, shelf: Shelf) -> None:
    first = store.create_run(make_run(idempotency_key="k"), keep_key_until=NOW + 60 * DAY)
    store.move(cancel(first))
    shelf.expire(NOW + 40 * DAY)

    second, third = (store.create_run(make_run(idempotency_key="k"), keep_key_until=NOW + 60 * DAY) for _ in range(2))

    assert second == third
    assert second.id != first.id


def test_of_several_who_take_over_a_key_at_once_one_does(store: DynamoStore, open_dynamo: Open, shelf: Shelf) -> None:
    stores = [open_dynamo() for _ in range(4)]
    for number in range(8):
        first = store.create_run(make_run(idempotency_key=f"k{number}"), keep_key_until=NOW + 60 * DAY)
        store.move(cancel(first))
        shelf.expire(NOW + 40 * DAY)
        runs = [make_run(idempotency_key=f"k{number}") for _ in stores]

        made = at_once([partial(each.create_run, run) for each, run in zip(stores, runs, strict=True)])

        assert len({run.id for run in made}) == 1
        assert len(store.get_runs([run.id for run in runs])) == 1


def test_scheduled_runs_are_made_after_a_death_that_left_their_parts(store: DynamoStore, shelf: Shelf) -> None:
    cursor = store.put_cursor(make_cursor())
    runs = [make_run(parameters=MIDDLE) for _ in range(3)]
    shelf.put(*(item for run in runs for item in parts_of(run).items))

    store.create_scheduled(cursor, runs, None)

    assert store.get_runs([run.id for run in runs]) == {run.id: run for run in runs}
    assert len(store.runs(RunFilter()).items) == 3


def test_what_is_settled_leaves_nothing_however_often_it_is_settled(store: DynamoStore, shelf: Shelf) -> None:
    entry = make_outbox_entry()
    store.put_outbox(entry)

    store.settle_outbox(entry)
    store.settle_outbox(entry, again_at=NOW)

    assert shelf.names() == set()


def test_no_index_key_says_the_state(store: DynamoStore, shelf: Shelf) -> None:
    run = store.create_run(make_run())
    store.move(end(admitted(store, run)))
    waiting = store.create_run(make_run())

    keys = {item[HASH]["S"]: {n for n in item if n.endswith(("_pk", "_sk"))} for item in shelf.items()}

    assert keys[f"run#{run.id}"] == set()
    assert keys[f"run#{waiting.id}"] == {"due_pk", "due_sk"}
    assert not any(str(kind) in str(written(waiting).attributes["due_sk"]) for kind in StateType)


def test_a_page_of_rare_runs_ends_early_rather_than_never(store: DynamoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from adapters.stores.dynamodb import listing

    monkeypatch.setattr(listing, "_LOOKED_AT", 20)
    rare = store.create_run(make_run())
    store.move(cancel(rare))
    for number in range(40):
        run = store.create_run(make_run(due_in=timedelta(minutes=number + 1)))
        store.move(end(admitted(store, run)))
    wanted = RunFilter(types=frozenset({StateType.CANCELLED}))

    pages, after = [store.runs(wanted, limit=5)], None
    while (after := pages[-1].after) is not None:
        pages.append(store.runs(wanted, after=after, limit=5))

    assert [run.id for page in pages for run in page.items] == [rare.id]
    assert len(pages) == 3


def test_a_re_pointed_run_is_listed_where_it_is(store: DynamoStore) -> None:
    run = store.create_run(make_run())
    move = Move(run, amended(run, pool="elsewhere", queue="high"))
    store.move(move)

    def listed(**wanted: Any) -> list[FlowRun]:
        return list(store.runs(RunFilter(**wanted)).items)

    assert listed(pool="elsewhere") == [move.after]
    assert listed(pool="elsewhere", types=frozenset({StateType.SCHEDULED})) == [move.after]
    assert listed(pool="pool") == listed(pool="pool", types=frozenset({StateType.SCHEDULED})) == []
