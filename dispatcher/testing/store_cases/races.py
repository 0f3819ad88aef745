"""Several who do the same at the same moment, each with a store of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from dispatcher.errors import RecordChanged, RunChanged, StoreUnavailable
from dispatcher.ports import Cursor, Move, Rate, Record, RunFilter, Store
from dispatcher.runs import Actor, FlowRun, Name, StateType, moved
from dispatcher.testing.builders import NOW, POOL, admitted, make_cursor, make_record, make_run, start
from dispatcher.testing.racing import OpenStore, admit_all, at_once

T = TypeVar("T")

FOUR = 4
ROUNDS = 10


def moves_it(store: Store, move: Move) -> bool:
    try:
        store.move(move)
    except (RunChanged, StoreUnavailable):
        return False
    return True


def puts_it(store: Store, record: Record) -> bool:
    try:
        store.put(record)
    except (RecordChanged, StoreUnavailable):
        return False
    return True


def makes_it(store: Store, cursor: Cursor, run: FlowRun) -> bool:
    try:
        store.create_scheduled(cursor, [run], None)
    except (RecordChanged, StoreUnavailable):
        return False
    return True


def until_done(call: Callable[[], T]) -> T:
    """The answer; who finds the store busy tries again."""
    while True:
        try:
            return call()
        except StoreUnavailable:
            continue


def creates_it(store: Store, run: FlowRun) -> FlowRun:
    return until_done(partial(store.create_run, run, keep_key_until=NOW))


def spends_it(store: Store) -> int:
    rate = Rate(burst=20, per_second=0.001)
    return sum(until_done(partial(store.spend, "b", 3, [rate], NOW)) for _ in range(10))


class RaceCases:
    def test_of_four_who_admit_50_runs_into_7_slots_none_goes_over_and_no_run_goes_twice(
        self, open_store: OpenStore
    ) -> None:
        store = open_store()
        runs = [store.create_run(make_run()) for _ in range(50)]

        tallies = at_once([partial(admit_all, open_store, 7, seed) for seed in range(FOUR)])

        admissions = Counter(run_id for tally in tallies for run_id in tally.admitted)
        assert admissions == {run.id: 1 for run in runs}
        assert max(tally.most_held for tally in tallies) == 7
        assert set().union(*(tally.names for tally in tallies)) <= set("0123456")
        assert not store.active(POOL)
        done = store.get_runs([run.id for run in runs]).values()
        assert {run.state.type for run in done} == {StateType.COMPLETED}

    def test_of_two_moves_of_one_run_one_wins(self, open_store: OpenStore) -> None:
        stores = [open_store() for _ in range(FOUR)]
        for _ in range(ROUNDS):
            run = admitted(stores[0], make_run())
            running, stopping = start(run), moved(run, Name.CANCELLING, actor=Actor.USER, at=NOW)
            moves = [running, Move(run, stopping)] * 2

            won = at_once([partial(moves_it, *each) for each in zip(stores, moves, strict=True)])

            winners = [move for move, did in zip(moves, won, strict=True) if did]
            assert len(winners) == 1
            assert stores[0].get_run(run.id) == winners[0].after

    def test_of_several_who_make_a_run_under_one_key_all_get_the_same(self, open_store: OpenStore) -> None:
        stores = [open_store() for _ in range(FOUR)]
        for number in range(ROUNDS):
            runs = [make_run(idempotency_key=f"k{number}", deployment=f"d{number}") for _ in stores]

            made = at_once([partial(creates_it, *each) for each in zip(stores, runs, strict=True)])

            found = stores[0].runs(RunFilter(deployment=f"d{number}")).items
            assert len(found) == 1
            assert {run.id for run in made} == {found[0].id}

    def test_of_several_who_move_a_schedule_on_one_makes_its_run(self, open_store: OpenStore) -> None:
        stores = [open_store() for _ in range(FOUR)]
        for _ in range(ROUNDS):
            cursor = stores[0].put_cursor(make_cursor())
            runs = [make_run() for _ in stores]

            won = at_once([partial(makes_it, s, cursor, run) for s, run in zip(stores, runs, strict=True)])

            assert won.count(True) == 1
            assert list(stores[0].get_runs([run.id for run in runs])) == [runs[won.index(True)].id]

    def test_of_several_who_put_a_record_on_one_version_one_wins(self, open_store: OpenStore) -> None:
        stores = [open_store() for _ in range(FOUR)]
        for number in range(ROUNDS):
            records = [make_record(key=f"p{number}", by=n) for n in range(FOUR)]

            won = at_once([partial(puts_it, *each) for each in zip(stores, records, strict=True)])

            assert won.count(True) == 1
            stored = stores[0].get("work-pool", f"p{number}")
            assert stored is not None
            assert stored.body == {"by": won.index(True)}

    def test_several_who_spend_do_not_spend_more_than_there_is(self, open_store: OpenStore) -> None:
        stores = [open_store() for _ in range(FOUR)]

        spent = at_once([partial(spends_it, store) for store in stores])

        assert sum(spent) == 20
