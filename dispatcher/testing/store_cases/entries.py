"""Active entries: heartbeats, and the repair of what a run and its slot records should agree on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from dispatcher.errors import InvalidInput, RunChanged
from dispatcher.ports import ActiveEntry, Move, Store
from dispatcher.runs import FlowRun, Name, Slot, amended, pool_limit, queue_limit
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    end,
    make_attempt,
    make_run,
    make_slots,
    refuse,
    retry,
    start,
)

SOON = NOW + timedelta(minutes=2)
LATER = NOW + timedelta(minutes=9)
QUEUE = queue_limit(POOL, "default")


def entry_of(store: Store, run: FlowRun) -> ActiveEntry:
    (entry,) = [entry for entry in store.active(POOL) if entry.run_id == run.id]
    return entry


def without_entry(store: Store, *, slot: str = "0", queue_slot: str = "0") -> FlowRun:
    """An active run that names slots of which there is no record."""
    run = replace(make_run(state=Name.RUNNING), attempts=(make_attempt(),))
    return store.create_run(replace(run, slots=make_slots(run, name=slot, queue=queue_slot)))


def leaked(store: Store) -> tuple[FlowRun, ActiveEntry]:
    """An active run that names no slots, and an entry with a queue's slot in its name."""
    run = store.create_run(replace(make_run(state=Name.SUBMITTING), attempts=(make_attempt(),)))
    store.restore_entry(replace(run, slots=make_slots(run, name="0", queue="0")), NOW)
    return run, entry_of(store, run)


class EntryCases:
    def test_a_beat_sets_the_times_of_its_entry_only(self, store: Store) -> None:
        run, other = admitted(store, make_run(), slot="0"), admitted(store, make_run(), slot="1")

        assert store.beat(run.slots[0], run.id, 1, heard_at=SOON, check_at=LATER)

        assert (entry_of(store, run).heard_at, entry_of(store, run).check_at) == (SOON, LATER)
        assert entry_of(store, other).heard_at is None
        assert store.get_run(run.id) == run

    def test_beats_may_go_on(self, store: Store) -> None:
        run = admitted(store, make_run())
        for time in (NOW, SOON):
            assert store.beat(run.slots[0], run.id, 1, heard_at=time, check_at=time + timedelta(minutes=1))

        assert entry_of(store, run).heard_at == SOON

    def test_a_beat_of_another_attempt_changes_nothing(self, store: Store) -> None:
        again = retry(admitted(store, make_run(), slot="0"))
        store.move(again)
        run = admitted(store, again.after, slot="0")
        before = entry_of(store, run)

        assert not store.beat(run.slots[0], run.id, 1, heard_at=SOON, check_at=LATER)

        assert entry_of(store, run) == before

    def test_a_beat_of_another_run_changes_nothing(self, store: Store) -> None:
        first = admitted(store, make_run(), slot="0")
        store.move(end(first))
        second = admitted(store, make_run(), slot="0")
        before = entry_of(store, second)

        assert not store.beat(first.slots[0], first.id, 1, heard_at=SOON, check_at=LATER)

        assert entry_of(store, second) == before

    def test_a_beat_of_an_entry_that_is_gone_brings_nothing_back(self, store: Store) -> None:
        run = admitted(store, make_run())
        store.move(end(run))

        assert not store.beat(run.slots[0], run.id, 1, heard_at=SOON, check_at=LATER)

        assert not store.active(POOL)

    def test_a_beat_without_a_zone_is_refused(self, store: Store) -> None:
        run = admitted(store, make_run())

        with pytest.raises(InvalidInput, match="heard_at"):
            store.beat(run.slots[0], run.id, 1, heard_at=SOON.replace(tzinfo=None), check_at=LATER)

        assert entry_of(store, run).heard_at is None

    def test_slot_records_that_an_active_run_lacks_are_put_back(self, store: Store) -> None:
        run = without_entry(store)

        store.restore_entry(run, SOON)

        assert entry_of(store, run) == ActiveEntry(
            slot=Slot(pool_limit(POOL), "0"),
            run_id=run.id,
            attempt=1,
            pool=POOL,
            queue="default",
            deployment_id=run.deployment_id,
            slots=run.slots,
            check_at=SOON,
        )
        assert store.held(QUEUE) == {"0": run.id}

    def test_slots_put_back_are_removed_with_the_runs_end(self, store: Store) -> None:
        run = without_entry(store)
        store.restore_entry(run, SOON)

        store.move(end(run))

        assert not store.active(POOL)
        assert store.held(QUEUE) == {}

    def test_an_entry_that_is_there_stays_as_it_is(self, store: Store) -> None:
        run = admitted(store, make_run(), queue_slot="0")
        store.beat(run.slots[0], run.id, 1, heard_at=NOW, check_at=SOON)
        before = entry_of(store, run)

        store.restore_entry(run, LATER)

        assert entry_of(store, run) == before
        assert store.held(QUEUE) == {"0": run.id}

    def test_slots_that_another_holds_stay_with_it(self, store: Store) -> None:
        holder = admitted(store, make_run(), slot="0", queue_slot="1")
        run = without_entry(store, slot="0", queue_slot="2")

        store.restore_entry(run, SOON)

        assert [entry.run_id for entry in store.active(POOL)] == [holder.id]
        assert store.held(QUEUE) == {"1": holder.id, "2": run.id}

    @pytest.mark.parametrize("leave", [end, retry], ids=["ended", "retried"])
    def test_slots_that_another_holds_stay_with_it_when_the_run_goes(
        self, store: Store, leave: Callable[[FlowRun], Move]
    ) -> None:
        holder = admitted(store, make_run(), slot="0", queue_slot="1")
        run = without_entry(store, slot="0", queue_slot="1")
        move = leave(run)

        store.move(move)

        assert store.get_run(run.id) == move.after
        assert [entry.run_id for entry in store.active(POOL)] == [holder.id]
        assert store.held(QUEUE) == {"1": holder.id}

    def test_an_entry_that_another_holds_hears_nothing_of_the_runs_moves(self, store: Store) -> None:
        holder = admitted(store, make_run(), slot="0")
        before = entry_of(store, holder)
        run = without_entry(store, slot="0")
        running = Move(run, amended(run), check_at=LATER)

        store.move(running)

        assert store.get_run(run.id) == running.after
        assert list(store.active(POOL)) == [before]

    def test_of_a_run_that_is_not_as_given_nothing_is_put_back(self, store: Store) -> None:
        run = without_entry(store)
        store.move(end(run))

        with pytest.raises(RunChanged):
            store.restore_entry(run, SOON)

        assert not store.active(POOL)
        assert store.held(QUEUE) == {}

    def test_of_a_run_that_is_gone_nothing_is_put_back(self, store: Store) -> None:
        with pytest.raises(RunChanged):
            store.restore_entry(replace(make_run(state=Name.RUNNING), attempts=(make_attempt(),)), SOON)

    def test_an_entry_whose_run_has_ended_is_dropped_with_all_its_slots(self, store: Store) -> None:
        run, entry = leaked(store)
        store.move(end(run))

        store.drop_entry(entry)

        assert not store.active(POOL)
        assert store.held(QUEUE) == {}

    def test_an_entry_whose_run_is_gone_is_dropped(self, store: Store) -> None:
        run, entry = leaked(store)
        over = end(run)
        store.move(over)
        store.delete_run(over.after)

        store.drop_entry(entry)

        assert not store.active(POOL)
        assert store.held(QUEUE) == {}

    def test_an_entry_whose_run_is_in_another_attempt_is_dropped(self, store: Store) -> None:
        run, entry = leaked(store)
        again = retry(run)
        store.move(again)
        second = admitted(store, again.after, slot="1", queue_slot="1")

        store.drop_entry(entry)

        assert [item.run_id for item in store.active(POOL)] == [second.id]
        assert entry_of(store, second).attempt == 2
        assert store.held(QUEUE) == {"1": second.id}

    def test_an_entry_whose_run_waits_again_is_dropped(self, store: Store) -> None:
        run, entry = leaked(store)
        store.move(refuse(run))

        store.drop_entry(entry)

        assert not store.active(POOL)

    def test_an_entry_of_a_run_that_is_active_in_that_attempt_stays(self, store: Store) -> None:
        run = admitted(store, make_run(), slot="0", queue_slot="0")
        store.move(start(run))
        entry = entry_of(store, run)

        store.drop_entry(entry)

        assert entry_of(store, run) == entry
        assert store.held(QUEUE) == {"0": run.id}

    def test_an_entry_that_has_become_another_runs_stays(self, store: Store) -> None:
        first = admitted(store, make_run(), slot="0", queue_slot="0")
        old = entry_of(store, first)
        store.move(end(first))
        second = admitted(store, make_run(), slot="0", queue_slot="0")

        store.drop_entry(old)

        assert [entry.run_id for entry in store.active(POOL)] == [second.id]
        assert store.held(QUEUE) == {"0": second.id}

    def test_an_entry_that_has_become_another_runs_stays_though_that_has_ended(self, store: Store) -> None:
        first = admitted(store, make_run(), slot="0")
        old = entry_of(store, first)
        store.move(end(first))
        second, entry = leaked(store)
        store.move(end(second))

        store.drop_entry(old)

        assert list(store.active(POOL)) == [entry]

    def test_an_entry_that_has_become_a_later_attempts_stays(self, store: Store) -> None:
        first = admitted(store, make_run(), slot="0", queue_slot="0")
        old = entry_of(store, first)
        again = retry(first)
        store.move(again)
        second = admitted(store, again.after, slot="0", queue_slot="0")

        store.drop_entry(old)

        assert entry_of(store, second).attempt == 2
        assert store.held(QUEUE) == {"0": second.id}

    def test_an_entry_that_is_gone_leaves_the_slots_it_named_to_their_holders(self, store: Store) -> None:
        first = admitted(store, make_run(), slot="0", queue_slot="0")
        old = entry_of(store, first)
        again = retry(first)
        store.move(again)
        second = admitted(store, again.after, slot="1", queue_slot="0")

        store.drop_entry(old)

        assert [entry.slot.name for entry in store.active(POOL)] == ["1"]
        assert store.held(QUEUE) == {"0": second.id}
