"""What each step costs on Firestore, in the documents that Google charges, and in calls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from adapters.stores.firestore import FirestoreStore
from dispatcher.ports import Move, Rate, RunFilter
from dispatcher.runs import StateType, amended
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    cancel,
    end,
    make_admission,
    make_cursor,
    make_record,
    make_run,
    park,
    parked,
    start,
)
from dispatcher.testing.firestore_calls import Meter
from dispatcher.testing.lives import life

OpenFirestore = Callable[..., FirestoreStore]


@pytest.fixture
def meter(firestore: Any) -> Meter:
    return Meter(firestore)


@pytest.fixture
def store(meter: Meter, open_firestore: OpenFirestore) -> FirestoreStore:
    return warm(open_firestore())


def warm(store: FirestoreStore) -> FirestoreStore:
    """What is done once a process is done."""
    store.get("work-pool", "warm")
    return store


def cost(meter: Meter, call: Callable[[], object]) -> tuple[int, int, int, dict[str, int]]:
    """Reads, writes, deletes, calls."""
    with meter.step() as charges:
        call()
    return charges.reads, charges.writes, charges.deletes, dict(charges.calls)


@pytest.mark.parametrize("limits", [1, 2, 3])
def test_each_step_of_a_runs_life_is_one_commit_and_reads_nothing(
    store: FirestoreStore, meter: Meter, limits: int
) -> None:
    steps = life(store, meter, limits=limits)

    assert {what: (charges.writes, charges.deletes) for what, charges in steps.items()} == {
        "create": (1, 0),
        "admit": (2 + limits, 0),  # the run, its request, each slot
        "record the handle": (2, 0),  # the run, its active entry
        "claim": (2, 0),
        "beat": (1, 0),
        "end": (1, limits),  # each slot
    }
    assert all(dict(charges.calls) == {"Commit": 1} for charges in steps.values())
    assert not any(charges.reads for charges in steps.values())


def test_who_does_not_remember_the_slots_reads_them_once(
    store: FirestoreStore, meter: Meter, open_firestore: OpenFirestore
) -> None:
    """As the function that hears the container does: another process than the one that admitted."""
    run = admitted(store, make_run(), slot="0", queue_slot="0", deployment_slot="0")
    claim = start(run, check_at=NOW + timedelta(minutes=5))
    other = warm(open_firestore())
    other.get_run(run.id)

    assert cost(meter, lambda: other.move(claim)) == (1, 2, 0, {"BatchGetDocuments": 1, "Commit": 1})

    one = warm(open_firestore())
    at = NOW + timedelta(minutes=2)
    beat = lambda: one.beat(run.slots[0], run.id, 1, heard_at=at, check_at=at)  # noqa: E731
    assert cost(meter, beat) == (1, 1, 0, {"BatchGetDocuments": 1, "Commit": 1})
    assert cost(meter, beat) == (0, 1, 0, {"Commit": 1})

    last = warm(open_firestore())
    last.get_run(run.id)
    assert cost(meter, lambda: last.move(end(claim.after))) == (3, 1, 3, {"BatchGetDocuments": 1, "Commit": 1})


def test_many_admissions_are_one_commit(store: FirestoreStore, meter: Meter) -> None:
    runs = [store.create_run(make_run()) for _ in range(25)]

    assert cost(meter, lambda: store.admit([make_admission(run) for run in runs])) == (0, 75, 0, {"Commit": 1})


def test_many_moves_are_one_commit(store: FirestoreStore, meter: Meter) -> None:
    runs = [store.create_run(make_run(parked=True)) for _ in range(100)]
    moves = [Move(run, amended(run, late_noticed=True)) for run in runs]

    assert cost(meter, lambda: store.move_each(moves)) == (0, 100, 0, {"Commit": 1})


def test_a_key_costs_one_write_more(store: FirestoreStore, meter: Meter) -> None:
    run = make_run(idempotency_key="k")

    assert cost(meter, lambda: store.create_run(run, keep_key_until=NOW)) == (0, 2, 0, {"Commit": 1})
    assert cost(meter, lambda: store.create_run(run)) == (2, 0, 0, {"Commit": 1, "BatchGetDocuments": 1})


def test_20_scheduled_runs_are_one_commit(store: FirestoreStore, meter: Meter) -> None:
    cursor = store.put_cursor(make_cursor())
    runs = [make_run() for _ in range(20)]

    assert cost(meter, lambda: store.create_scheduled(cursor, runs, NOW)) == (0, 21, 0, {"Commit": 1})


def test_a_record_costs_one_write_and_a_budget_one_of_each(store: FirestoreStore, meter: Meter) -> None:
    assert cost(meter, lambda: store.put(make_record(parent=POOL))) == (0, 1, 0, {"Commit": 1})
    spend = lambda: store.spend("b", 3, [Rate(10, 1.0)], NOW)  # noqa: E731
    assert cost(meter, spend) == (1, 1, 0, {"BatchGetDocuments": 1, "Commit": 1})


def test_what_an_idle_pass_looks_at_costs_a_read_each(store: FirestoreStore, meter: Meter) -> None:
    store.move(cancel(store.create_run(make_run())))
    looks: dict[str, tuple[Callable[[], object], int]] = {
        "due": (lambda: store.due("idle", "default", NOW, limit=100), 1),
        "parked": (lambda: store.parked("idle"), 1),
        "outbox_due": (lambda: store.outbox_due("idle", NOW, limit=100), 1),
        "cursors_due": (lambda: store.cursors_due(NOW, limit=100), 1),
        "active": (lambda: store.active("idle"), 1),
        "held": (lambda: store.held("queue/idle/default"), 1),
        "get": (lambda: store.get("work-pool", "idle"), 1),
        "list": (lambda: store.list("work-queue", parent="idle"), 1),
        "purge": (lambda: store.purge(NOW, limit=500), 2),  # runs, keys
    }

    costs = {what: cost(meter, look)[:3] for what, (look, _) in looks.items()}

    assert costs == {what: (reads, 0, 0) for what, (_, reads) in looks.items()}


def test_the_due_query_costs_what_is_due_and_not_what_is_stored(store: FirestoreStore, meter: Meter) -> None:
    def look() -> object:
        return store.due(POOL, "default", NOW, limit=100)

    for _ in range(10):
        store.create_run(make_run())
    few = cost(meter, look)
    for number in range(40):
        store.create_run(make_run(due_in=timedelta(days=1)))
        if number % 4 == 0:
            store.move(end(admitted(store, make_run())))

    assert cost(meter, look) == few == (10, 0, 0, {"RunQuery": 1})


def test_a_deployment_that_is_full_costs_a_look_and_not_a_read_a_run(store: FirestoreStore, meter: Meter) -> None:
    for deployment in ("a", "b"):
        for _ in range(5):
            parked(store, make_run(deployment=deployment))

    assert cost(meter, lambda: store.parked(POOL)) == (3, 0, 0, {"RunQuery": 3})


def test_a_page_of_runs_costs_its_runs_whatever_the_filters(store: FirestoreStore, meter: Meter) -> None:
    for number in range(12):
        run = store.create_run(make_run(tags=("a", "b") if number % 2 else ("a",)))
        if number % 4 == 0:
            store.move(park(run))

    def listed(wanted: RunFilter) -> int:
        return cost(meter, lambda: store.runs(wanted, limit=4))[0]

    types = frozenset({StateType.SCHEDULED, StateType.RUNNING})
    assert listed(RunFilter()) == 5
    assert listed(RunFilter(pool=POOL, queue="default", types=types, tags=frozenset({"b"}))) == 5
    assert listed(RunFilter(deployment="etl", names=frozenset({"AwaitingConcurrencySlot"}))) == 3


def test_forgetting_costs_a_read_and_the_deletes(store: FirestoreStore, meter: Meter) -> None:
    for _ in range(3):
        store.move(end(admitted(store, make_run()), expires_at=NOW))

    reads, writes, deletes, calls = cost(meter, lambda: store.purge(NOW + timedelta(days=1), limit=3))

    assert (reads, writes, deletes) == (3, 0, 6)
    assert calls == {"RunQuery": 1, "Commit": 1}
