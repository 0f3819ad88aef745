"""The outbox: what is owed to the outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from dispatcher.errors import InvalidInput
from dispatcher.ports import OutboxEntry, Store
from dispatcher.testing.builders import NOW, POOL, make_outbox_entry

SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(hours=1)


class OwedCases:
    def test_an_entry_comes_back_as_it_was_put(self, store: Store) -> None:
        body = {"target": {"type": "ecs:push"}, "handle": "arn:ß", "n": [1, 0.5, None]}
        entry = OutboxEntry("cleanup/r/1", "cleanup", POOL, "r", NOW, body, tries=2)

        assert store.put_outbox(entry) is True

        assert list(store.outbox_due(POOL, NOW, limit=10)) == [entry]

    def test_entries_are_due_from_their_moment_on_the_earliest_first(self, store: Store) -> None:
        for seconds in (0, 1, -5, -1):
            store.put_outbox(make_outbox_entry(id=str(seconds), due_at=NOW + SECOND * seconds))

        assert [entry.id for entry in store.outbox_due(POOL, NOW, limit=10)] == ["-5", "-1", "0"]
        assert [entry.id for entry in store.outbox_due(POOL, NOW, limit=2)] == ["-5", "-1"]

    def test_entries_of_other_pools_are_unseen(self, store: Store) -> None:
        store.put_outbox(make_outbox_entry(pool="another"))

        assert not store.outbox_due(POOL, LATER, limit=10)

    def test_entries_are_due_by_the_instant_whatever_the_zone(self, store: Store) -> None:
        there = timezone(timedelta(hours=-7))
        store.put_outbox(make_outbox_entry(due_at=NOW.astimezone(there)))

        assert len(store.outbox_due(POOL, NOW.astimezone(timezone(timedelta(hours=7))), limit=10)) == 1
        assert not store.outbox_due(POOL, (NOW - SECOND).astimezone(there), limit=10)

    def test_an_id_that_is_there_keeps_its_entry(self, store: Store) -> None:
        first = make_outbox_entry(id="notify/r/1/failed")
        store.put_outbox(first)

        assert store.put_outbox(replace(first, due_at=NOW - SECOND, body={"n": 2})) is False

        assert list(store.outbox_due(POOL, LATER, limit=10)) == [first]

    def test_a_settled_entry_is_gone(self, store: Store) -> None:
        first, second = make_outbox_entry(), make_outbox_entry()
        for entry in (first, second):
            store.put_outbox(entry)

        store.settle_outbox(first)

        assert list(store.outbox_due(POOL, LATER, limit=10)) == [second]

    def test_an_entry_owed_again_is_due_then_with_one_more_try(self, store: Store) -> None:
        entry = make_outbox_entry()
        store.put_outbox(entry)

        store.settle_outbox(entry, again_at=NOW + SECOND)

        assert not store.outbox_due(POOL, NOW, limit=10)
        (again,) = store.outbox_due(POOL, NOW + SECOND, limit=10)
        assert again == replace(entry, due_at=NOW + SECOND, tries=1)
        store.settle_outbox(again, again_at=LATER)
        assert [item.tries for item in store.outbox_due(POOL, LATER, limit=10)] == [2]

    def test_an_entry_that_is_gone_stays_gone(self, store: Store) -> None:
        entry = make_outbox_entry()
        store.put_outbox(entry)
        store.settle_outbox(entry)

        store.settle_outbox(entry)
        store.settle_outbox(entry, again_at=NOW)

        assert not store.outbox_due(POOL, LATER, limit=10)

    def test_an_entry_with_a_time_without_a_zone_is_refused(self, store: Store) -> None:
        entry = make_outbox_entry()

        with pytest.raises(InvalidInput, match="due_at"):
            store.put_outbox(replace(entry, due_at=NOW.replace(tzinfo=None)))
        store.put_outbox(entry)
        with pytest.raises(InvalidInput, match="again_at"):
            store.settle_outbox(entry, again_at=LATER.replace(tzinfo=None))

        assert list(store.outbox_due(POOL, LATER, limit=10)) == [entry]
