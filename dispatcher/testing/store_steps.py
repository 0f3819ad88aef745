"""Everything that changes a store, in a dozen steps that check their own effect: for a store whose line is bad.

Each is made on a store that may lose requests and replies, and finds in the end what one making leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from dispatcher.ports import Rate, Store
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    cancel,
    end,
    make_cursor,
    make_outbox_entry,
    make_record,
    make_run,
    start,
)

WEEK = NOW + timedelta(days=7)


def creates(store: Store) -> None:
    run = make_run(parameters={"a": "x" * 3000})
    assert store.create_run(run) == run


def creates_with_a_key(store: Store) -> None:
    run = make_run(idempotency_key="k")
    assert store.create_run(run, keep_key_until=WEEK) == run


def creates_scheduled(store: Store) -> None:
    cursor = store.put_cursor(make_cursor(schedule_id="s"))
    run = make_run()
    moved_on = store.create_scheduled(cursor, [run], WEEK)
    assert store.get_cursor("s") == moved_on
    assert store.get_run(run.id) == run


def admits_and_ends(store: Store) -> None:
    run = admitted(store, make_run(), slot="0", queue_slot="1")
    first = start(run, check_at=WEEK)
    store.move(first)
    over = end(first.after, outbox=[make_outbox_entry(run_id=run.id)])
    store.move(over)
    assert store.get_run(run.id) == over.after
    assert not store.active(POOL)
    assert len(store.outbox_due(POOL, WEEK, limit=9)) == 1


def moves_many(store: Store) -> None:
    moves = [cancel(store.create_run(make_run())) for _ in range(3)]
    assert store.move_each(moves) == frozenset()


def deletes(store: Store) -> None:
    run = store.create_run(make_run(idempotency_key="k"), keep_key_until=WEEK)
    store.delete_run(run)
    assert store.get_run(run.id) is None


def keeps_records(store: Store) -> None:
    record = store.put(make_record(n=1))
    child = store.put(make_record(kind="work-queue", parent=POOL, n=1))
    assert store.get(record.kind, record.key) == record
    store.delete(record)
    store.delete(child)
    assert not store.list("work-queue", parent=POOL).items


def keeps_cursors(store: Store) -> None:
    cursor = store.put_cursor(make_cursor(schedule_id="s"))
    store.delete_cursor(store.put_cursor(cursor))
    assert store.get_cursor("s") is None


def owes(store: Store) -> None:
    entry = make_outbox_entry()
    assert store.put_outbox(entry)
    store.settle_outbox(entry, again_at=NOW)
    (again,) = store.outbox_due(POOL, NOW, limit=2)
    assert again.tries == 1
    store.settle_outbox(again)


def spends(store: Store) -> None:
    rates = [Rate(burst=10, per_second=0.001)]
    assert [store.spend("b", 6, rates, NOW) for _ in range(3)] == [6, 4, 0]


def repairs(store: Store) -> None:
    run = admitted(store, make_run(), slot="0")
    (entry,) = store.active(POOL)
    assert store.beat(entry.slot, run.id, 1, heard_at=NOW, check_at=WEEK)
    store.restore_entry(run, NOW)
    store.drop_entry(entry)
    assert [each.check_at for each in store.active(POOL)] == [WEEK]


STEPS: tuple[Callable[[Store], None], ...] = (
    creates, creates_with_a_key, creates_scheduled, admits_and_ends, moves_many, deletes, keeps_records, keeps_cursors,
    owes, spends, repairs,
)  # fmt: skip
