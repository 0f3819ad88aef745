"""What each step costs on DynamoDB, in the units that AWS charges; and how small a run stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters import aws
from adapters.stores.dynamodb import DynamoStore
from adapters.stores.dynamodb.table import create_table
from adapters.stores.dynamodb.values import size
from dispatcher.ports import Move, Rate, RunFilter
from dispatcher.runs import Actor, StateType, amended, with_attempt
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
    retry,
    start,
)
from dispatcher.testing.dynamodb_units import Meter, Units
from dispatcher.testing.lives import life


@pytest.fixture
def meter(dynamodb: Any, table: str) -> Iterator[Meter]:
    """Counts what `store` costs, once what is done once a process is done."""
    create_table(dynamodb, f"{table}-beside", expiry=False)
    client = aws.client("dynamodb", connections=40)
    yield Meter(client, beside=dynamodb, table=f"{table}-beside")
    client.close()
    dynamodb.delete_table(TableName=f"{table}-beside")


@pytest.fixture
def store(meter: Meter, table: str) -> DynamoStore:
    store = DynamoStore(table, client=meter.client)
    life(store, meter, seed=0)
    store.create_run(make_run(id="warm"))
    return store


def total(steps: dict[str, Units]) -> float:
    return sum(units.writes for what, units in steps.items() if what != "beat")


@pytest.mark.parametrize("limits", [1, 2, 3])
@pytest.mark.parametrize("parameters", [0, 200, 1000])
def test_a_runs_life_costs_18_write_units_and_4_for_each_further_limit(
    store: DynamoStore, meter: Meter, limits: int, parameters: int
) -> None:
    steps = life(store, meter, limits=limits, parameters=parameters)

    assert {what: units.writes for what, units in steps.items()} == {
        "create": 3,  # the run, its entry in the due index, its card
        "admit": 4 + 2 * limits,  # the request, the run (twice), its removal from the index, each slot (twice)
        "record the handle": 2,  # the run, its active entry
        "claim": 2,
        "beat": 1,
        "end": 3 + 2 * limits,  # the run (twice), each slot (twice), the card's expiry
    }
    assert total(steps) == 14 + 4 * limits
    assert not sum(units.reads for units in steps.values())


def test_a_life_with_more_parameters_costs_their_bytes_twice_and_nothing_else(store: DynamoStore, meter: Meter) -> None:
    steps = life(store, meter, parameters=8000)

    kilobytes = 7  # of 8,000 characters of 6 bits
    assert total(steps) == 18 + 2 * kilobytes


def test_many_admissions_cost_no_more_than_one_each(store: DynamoStore, meter: Meter) -> None:
    runs = [store.create_run(make_run()) for _ in range(25)]
    with meter.step() as units:
        store.admit([make_admission(run) for run in runs])

    assert units.writes == 25 * 6
    assert units.calls == {"BatchWriteItem": 1, "TransactWriteItems": 1}


def test_many_moves_that_touch_their_run_alone_cost_one_unit_each(store: DynamoStore, meter: Meter) -> None:
    runs = [store.create_run(make_run(parked=True, due_at=NOW)) for _ in range(30)]
    moves = [Move(run, amended(run, late_noticed=True)) for run in runs]
    with meter.step() as units:
        store.move_each(moves)

    assert units.writes == 30
    assert units.calls == {"UpdateItem": 30}


def test_a_parked_run_moves_within_the_index(store: DynamoStore, meter: Meter) -> None:
    run = store.create_run(make_run())
    with meter.step() as units:
        store.move(park(run))

    assert units.writes == 3  # the run, its old place and its new one


def test_what_an_idle_pass_looks_at_costs_what_is_there(store: DynamoStore, meter: Meter) -> None:
    store.move(cancel(store.create_run(make_run())))
    looks: dict[str, tuple[Callable[[], object], float]] = {
        "due": (lambda: store.due("idle", "default", NOW, limit=100), 0.5),
        "parked": (lambda: store.parked("idle"), 0.5),
        "outbox_due": (lambda: store.outbox_due("idle", NOW, limit=100), 0.5),
        "cursors_due": (lambda: store.cursors_due(NOW, limit=100), 0.5),
        "active": (lambda: store.active("idle"), 1),
        "get": (lambda: store.get("work-pool", "idle"), 1),
        "list": (lambda: store.list("work-queue", parent="idle"), 1),
        "purge": (lambda: store.purge(NOW, limit=500), 0),
    }
    costs = {}
    for what, (look, _) in looks.items():
        with meter.step() as units:
            look()
        costs[what] = units.reads

    assert costs == {what: cost for what, (_, cost) in looks.items()}


def test_the_due_query_costs_what_is_due_and_not_what_is_stored(store: DynamoStore, meter: Meter) -> None:
    def cost() -> float:
        with meter.step() as units:
            assert len(store.due(POOL, "default", NOW, limit=100).items) == 11  # the warm one too
        return units.reads

    for _ in range(10):
        store.create_run(make_run())
    few = cost()
    for number in range(40):
        store.create_run(make_run(due_in=timedelta(days=1)))
        if number % 4 == 0:
            store.move(end(admitted(store, make_run(queue="high"))))

    assert cost() == few == 0.5


def test_runs_that_are_not_over_are_found_without_those_that_are(store: DynamoStore, meter: Meter) -> None:
    wanted = RunFilter(pool=POOL, types=frozenset({StateType.SCHEDULED, StateType.RUNNING}))
    running = start(admitted(store, make_run()))
    store.move(running)
    with meter.step() as before:
        found = store.runs(wanted).items
    for _ in range(40):
        store.move(cancel(store.create_run(make_run())))
    with meter.step() as after:
        again = store.runs(wanted).items

    assert {run.id for run in found} == {run.id for run in again} == {"warm", running.after.id}
    assert after.reads == before.reads < 10


def test_a_record_costs_one_unit_and_a_child_four(store: DynamoStore, meter: Meter) -> None:
    with meter.step() as single:
        store.put(store.put(make_record(kind="pool-pulse", n=1)))
    with meter.step() as child:
        store.put(make_record(kind="work-queue", parent=POOL))

    assert single.writes == 2
    assert child.writes == 4


def test_20_scheduled_runs_are_one_commit(store: DynamoStore, meter: Meter) -> None:
    cursor = store.put_cursor(make_cursor())
    with meter.step() as units:
        store.create_scheduled(cursor, [make_run() for _ in range(20)], NOW + timedelta(hours=1))

    assert units.calls == {"BatchGetItem": 1, "BatchWriteItem": 1, "TransactWriteItems": 1}
    # The cursor (twice) with its two places in the index; each run twice, its place, its card.
    assert units.writes == 4 + 20 * 4


def test_a_budget_costs_one_read_and_one_write(store: DynamoStore, meter: Meter) -> None:
    with meter.step() as units:
        store.spend("b", 3, [Rate(10, 1.0)], NOW)

    assert (units.reads, units.writes) == (1, 1)


# how small a run stays


def hot_bytes(dynamodb: Any, table: str, run_id: str) -> int:
    key = {"pk": {"S": f"run#{run_id}"}, "sk": {"S": "run"}}
    return size(dynamodb.get_item(TableName=table, Key=key)["Item"])


def test_a_run_stays_below_1_kb_through_its_life(store: DynamoStore, meter: Meter, dynamodb: Any, table: str) -> None:
    life(store, meter, limits=3, parameters=150, seed=3)

    sizes = [hot_bytes(dynamodb, table, run.id) for run in store.runs(RunFilter(deployment="nightly-report")).items]
    assert len(sizes) == 2
    assert max(sizes) < 800


def test_long_texts_do_not_blow_up_what_every_step_rewrites(store: DynamoStore, dynamodb: Any, table: str) -> None:
    run = admitted(store, make_run())
    tail = "".join(f"line {n}: {n * 7919 % 1000}\n" for n in range(400))
    failed = end(run)
    attempts = with_attempt(failed.after, log_tail=tail, outcome="\0 odd")
    over = replace(failed.after, attempts=attempts, state=replace(failed.after.state, message="why " * 100))
    store.move(Move(run, over))

    assert store.get_run(run.id) == over
    assert store.runs(RunFilter(deployment="etl", types=frozenset({StateType.COMPLETED}))).items == (over,)
    assert hot_bytes(dynamodb, table, run.id) < 1024
    again = retry(over, actor=Actor.USER)
    store.move(again)
    assert store.get_run(run.id) == again.after
