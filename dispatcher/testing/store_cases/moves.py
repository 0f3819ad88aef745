"""One conditional change of a run, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.errors import InvalidInput, RunChanged
from dispatcher.ports import Move, Store
from dispatcher.runs import Actor, FlowRun, Name, amended, moved, queue_limit
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    cancel,
    end,
    make_outbox_entry,
    make_run,
    park,
    refuse,
    retry,
    start,
)
from dispatcher.testing.racing import OpenStore

LATER = NOW + timedelta(minutes=9)
QUEUE = queue_limit(POOL, "default")


def full(store: Store) -> FlowRun:
    """An active run that holds one slot of each limit."""
    return admitted(store, make_run(), slot="0", queue_slot="1", deployment_slot="2")


class MoveCases:
    def test_a_moved_run_reads_as_it_became(self, store: Store) -> None:
        move = start(full(store))

        store.move(move)

        assert store.get_run(move.after.id) == move.after

    def test_a_run_that_is_not_as_read_keeps_all_it_has(self, store: Store) -> None:
        run = full(store)
        first = start(run)
        store.move(first)
        entries = list(store.active(POOL))

        with pytest.raises(RunChanged):
            store.move(replace(end(run, outbox=[make_outbox_entry()]), check_at=LATER))

        assert store.get_run(run.id) == first.after
        assert list(store.active(POOL)) == entries
        assert store.held(QUEUE) == {"1": run.id}
        assert not store.outbox_due(POOL, LATER, limit=10)

    def test_a_run_that_is_gone_is_not_as_read(self, store: Store) -> None:
        run = store.create_run(make_run())
        store.delete_run(run)

        with pytest.raises(RunChanged):
            store.move(park(run))

        assert store.get_run(run.id) is None

    def test_a_move_read_here_and_lost_there_is_refused_here(self, open_store: OpenStore) -> None:
        here, there = open_store(), open_store()
        run = full(here)
        read = there.get_run(run.id)
        assert read is not None
        there.move(end(read))

        with pytest.raises(RunChanged):
            here.move(start(run))

    @pytest.mark.parametrize("leave", [end, refuse, retry], ids=["ended", "refused", "retried"])
    def test_slots_that_the_run_no_longer_names_are_removed(
        self, store: Store, leave: Callable[[FlowRun], Move]
    ) -> None:
        run = full(store)

        store.move(leave(run))

        assert not store.active(POOL)
        assert store.held(QUEUE) == {}
        assert store.held(f"deployment/{run.deployment_id}") == {}

    def test_slots_that_the_run_still_names_stay(self, store: Store) -> None:
        run = full(store)

        store.move(start(run))

        assert [entry.slots for entry in store.active(POOL)] == [run.slots]
        assert store.held(QUEUE) == {"1": run.id}
        assert store.held(f"deployment/{run.deployment_id}") == {"2": run.id}

    def test_one_slot_of_several_may_be_given_back(self, store: Store) -> None:
        run = full(store)

        store.move(Move(run, amended(run, slots=run.slots[:2])))

        assert store.held(f"deployment/{run.deployment_id}") == {}
        assert store.held(QUEUE) == {"1": run.id}
        assert [(entry.run_id, entry.slots) for entry in store.active(POOL)] == [(run.id, run.slots[:2])]

    def test_the_slots_of_others_stay(self, store: Store) -> None:
        run, other = full(store), admitted(store, make_run(), slot="1", queue_slot="2")

        store.move(end(run))

        assert [entry.run_id for entry in store.active(POOL)] == [other.id]
        assert store.held(QUEUE) == {"2": other.id}

    def test_a_move_sets_when_the_attempt_must_be_heard_of(self, store: Store) -> None:
        run, other = full(store), admitted(store, make_run())

        store.move(start(run, check_at=LATER))

        times = {entry.run_id: entry.check_at for entry in store.active(POOL)}
        assert times == {run.id: LATER, other.id: NOW + timedelta(minutes=1)}

    def test_a_move_without_a_check_time_leaves_the_entry_as_it_is(self, store: Store) -> None:
        run = full(store)
        store.beat(run.slots[0], run.id, 1, heard_at=NOW, check_at=LATER)
        before = list(store.active(POOL))

        store.move(start(run))

        assert list(store.active(POOL)) == before

    def test_what_is_owed_is_written_with_the_move(self, store: Store) -> None:
        run = full(store)
        cleanup = make_outbox_entry(run_id=run.id)
        notice = make_outbox_entry(kind="notify", run_id=run.id, due_at=NOW + timedelta(seconds=1))

        store.move(end(run, outbox=[cleanup, notice]))

        assert list(store.outbox_due(POOL, LATER, limit=10)) == [cleanup, notice]

    def test_what_is_owed_already_stays_as_it_is(self, store: Store) -> None:
        run = full(store)
        known = make_outbox_entry(run_id=run.id, body={"handle": "first"})
        store.put_outbox(known)

        store.move(end(run, outbox=[replace(known, body={"handle": "second"}, due_at=LATER)]))

        assert list(store.outbox_due(POOL, LATER, limit=10)) == [known]

    def test_a_move_that_owes_what_json_cannot_say_changes_nothing(self, store: Store) -> None:
        run = full(store)
        good, bad = make_outbox_entry(), make_outbox_entry(body={"handle": object()})

        with pytest.raises(InvalidInput):
            store.move(end(run, outbox=[good, bad]))

        assert store.get_run(run.id) == run
        assert store.held(QUEUE) == {"1": run.id}
        assert [entry.slots for entry in store.active(POOL)] == [run.slots]
        assert not store.outbox_due(POOL, LATER, limit=10)

    def test_a_run_may_be_moved_before_it_is_admitted(self, store: Store) -> None:
        move = cancel(store.create_run(make_run()))

        store.move(move)

        assert store.get_run(move.after.id) == move.after
        assert store.due(POOL, "default", NOW, limit=10).items == ()

    def test_two_steps_may_be_one_move(self, store: Store) -> None:
        run = full(store)
        stopping = moved(run, Name.CANCELLING, actor=Actor.USER, at=NOW)

        store.move(Move(run, end(stopping, name=Name.CRASHED).after))

        assert store.get_run(run.id) == end(stopping, name=Name.CRASHED).after
        assert not store.active(POOL)

    def test_a_run_cannot_become_another(self, store: Store) -> None:
        run, other = store.create_run(make_run()), store.create_run(make_run())

        with pytest.raises(InvalidInput, match=other.id):
            store.move(Move(run, amended(other, tags=("a",))))

        assert store.get_runs([run.id, other.id]) == {run.id: run, other.id: other}

    def test_a_move_takes_no_slots(self, store: Store) -> None:
        run = admitted(store, make_run(), slot="0")
        more = (*run.slots, replace(run.slots[0], limit=QUEUE))

        with pytest.raises(InvalidInput, match="slots"):
            store.move(Move(run, amended(run, slots=more)))

        assert store.get_run(run.id) == run
        assert store.held(QUEUE) == {}

    @pytest.mark.parametrize("what", ["parameters", "job_variables"])
    def test_a_move_changes_no_payload(self, store: Store, what: str) -> None:
        payload: dict[str, Any] = {what: {"a": 1}}
        run = store.create_run(make_run(**payload))

        with pytest.raises(InvalidInput, match=what):
            store.move(Move(run, amended(run, **{what: {"a": 2}})))

        assert store.get_run(run.id) == run

    @pytest.mark.parametrize("what", ["due_at", "expires_at", "ended"])
    def test_a_move_to_a_time_without_a_zone_is_refused(self, store: Store, what: str) -> None:
        run = store.create_run(make_run())

        with pytest.raises(InvalidInput, match=what):
            store.move(Move(run, amended(run, **{what: NOW.replace(tzinfo=None)})))

        assert store.get_run(run.id) == run

    def test_each_of_many_moves_is_made(self, store: Store) -> None:
        runs = [store.create_run(make_run()) for _ in range(100)]
        moves = [cancel(run) for run in runs]

        assert store.move_each(moves) == frozenset()

        assert store.get_runs([run.id for run in runs]) == {move.after.id: move.after for move in moves}

    def test_of_many_moves_those_that_are_lost_are_named_and_the_others_made(self, store: Store) -> None:
        runs = [admitted(store, make_run(), queue_slot=str(number)) for number in range(4)]
        winners = [start(runs[1]), end(runs[2])]
        for winner in winners:
            store.move(winner)
        gone = store.create_run(make_run())
        store.delete_run(gone)
        moves = [end(run, outbox=[make_outbox_entry(run_id=run.id)]) for run in runs]

        lost = store.move_each([*moves, cancel(gone)])

        assert lost == {runs[1].id, runs[2].id, gone.id}
        assert store.get_runs([run.id for run in runs]) == {
            runs[0].id: moves[0].after,
            runs[1].id: winners[0].after,
            runs[2].id: winners[1].after,
            runs[3].id: moves[3].after,
        }
        assert [entry.run_id for entry in store.active(POOL)] == [runs[1].id]
        assert store.held(QUEUE) == {"1": runs[1].id}
        owed = {entry.run_id for entry in store.outbox_due(POOL, NOW, limit=10)}
        assert owed == {runs[0].id, runs[3].id}

    def test_many_moves_free_slots_and_set_check_times_too(self, store: Store) -> None:
        run, other = full(store), admitted(store, make_run())

        store.move_each([end(run), start(other, check_at=LATER)])

        assert [(entry.run_id, entry.check_at) for entry in store.active(POOL)] == [(other.id, LATER)]
        assert store.held(QUEUE) == {}

    def test_no_moves_are_no_moves(self, store: Store) -> None:
        assert store.move_each([]) == frozenset()

    def test_more_than_100_moves_are_refused_at_once(self, store: Store) -> None:
        runs = [store.create_run(make_run()) for _ in range(101)]

        with pytest.raises(InvalidInput, match="100"):
            store.move_each([cancel(run) for run in runs])

        assert store.get_run(runs[0].id) == runs[0]
