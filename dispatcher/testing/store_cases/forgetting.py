"""Runs deleted, and runs and keys forgotten when their time has come."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Protocol

import pytest

from dispatcher.errors import Conflict, RunChanged
from dispatcher.ports import Move, RunFilter, Store
from dispatcher.runs import Actor, amended
from dispatcher.testing.builders import NOW, POOL, admitted, cancel, end, make_run, park, parked, retry, start

DAY = timedelta(days=1)
WEEK = NOW + 7 * DAY


class Forget(Protocol):
    """Lets the store forget what expired before a moment: runs and keys, at most `limit`; how many there were."""

    def __call__(self, before: datetime, *, limit: int) -> int: ...


class ForgettingCases:
    def test_a_run_that_was_never_admitted_is_deleted(self, store: Store) -> None:
        run, held = store.create_run(make_run(parameters={"a": 1})), parked(store, make_run())

        store.delete_run(run)
        store.delete_run(held)

        assert store.get_runs([run.id, held.id]) == {}
        assert store.due(POOL, "default", NOW, limit=10).items == ()
        assert not store.parked_runs(POOL, held.deployment_id, limit=10)
        assert store.runs(RunFilter()).items == ()

    def test_a_run_that_has_ended_is_deleted_with_its_requests(self, store: Store) -> None:
        over = end(admitted(store, make_run()))
        store.move(over)

        store.delete_run(over.after)

        assert store.get_run(over.after.id) is None
        assert store.request(over.after.id, 1) is None
        assert store.runs(RunFilter(deployment="etl")).items == ()

    def test_a_deleted_run_may_come_to_be_again_without_what_it_had(self, store: Store) -> None:
        run = make_run(parameters={"a": 1})
        over = end(admitted(store, run))
        store.move(over)
        store.delete_run(over.after)
        anew = replace(run, parameters={})

        assert store.create_run(anew) == anew

        assert store.get_run(run.id) == anew
        assert store.request(run.id, 1) is None

    def test_the_key_of_a_deleted_run_is_free(self, store: Store) -> None:
        store.delete_run(store.create_run(make_run(idempotency_key="k"), keep_key_until=WEEK))
        second = make_run(idempotency_key="k")

        assert store.create_run(second, keep_key_until=WEEK) == second
        assert store.get_run(second.id) == second

    def test_deleting_a_run_leaves_others_alone(self, store: Store) -> None:
        first, second = make_run(idempotency_key="k"), make_run(idempotency_key="l", parameters={"a": 1})
        for run in (first, second):
            store.create_run(run, keep_key_until=WEEK)

        store.delete_run(first)

        assert store.create_run(make_run(idempotency_key="l"), keep_key_until=WEEK) == second

    @pytest.mark.parametrize("step", ["submitting", "running", "awaiting retry"])
    def test_a_run_that_is_under_way_is_not_deleted(self, store: Store, step: str) -> None:
        run = admitted(store, make_run(), slot="0")
        if step != "submitting":
            move = start(run) if step == "running" else retry(run)
            store.move(move)
            run = move.after

        with pytest.raises(Conflict):
            store.delete_run(run)

        assert store.get_run(run.id) == run

    def test_a_run_that_is_not_as_read_is_not_deleted(self, store: Store) -> None:
        run = store.create_run(make_run())
        active = admitted(store, run)

        with pytest.raises(RunChanged):
            store.delete_run(run)

        assert store.get_run(run.id) == active

    def test_a_run_that_is_gone_is_not_deleted_again(self, store: Store) -> None:
        run = store.create_run(make_run())
        store.delete_run(run)

        with pytest.raises(RunChanged):
            store.delete_run(run)

    def test_runs_are_forgotten_once_their_expiry_has_passed(self, store: Store, forget: Forget) -> None:
        runs = [admitted(store, make_run()) for _ in range(3)]
        for run, days in zip(runs, (1, 2, 3), strict=True):
            store.move(end(run, expires_at=NOW + days * DAY))

        assert forget(NOW + 2 * DAY, limit=10) == 1

        assert set(store.get_runs([run.id for run in runs])) == {runs[1].id, runs[2].id}
        assert store.request(runs[0].id, 1) is None
        assert forget(NOW + 2 * DAY, limit=10) == 0

    def test_expiry_is_an_instant_whatever_the_zone(self, store: Store, forget: Forget) -> None:
        there = timezone(timedelta(hours=13))
        store.move(cancel(store.create_run(make_run())))
        expiry = NOW + 30 * DAY

        assert forget(expiry.astimezone(there), limit=10) == 0
        assert forget((expiry + timedelta(seconds=1)).astimezone(there), limit=10) == 1

    def test_no_more_is_forgotten_than_asked_for(self, store: Store, forget: Forget) -> None:
        for _ in range(5):
            store.move(cancel(store.create_run(make_run())))

        forgotten = [forget(NOW + 31 * DAY, limit=2) for _ in range(4)]

        assert forgotten == [2, 2, 1, 0]
        assert store.runs(RunFilter()).items == ()

    def test_runs_without_an_expiry_stay(self, store: Store, forget: Forget) -> None:
        waiting, active = store.create_run(make_run()), admitted(store, make_run())

        assert forget(NOW + 36500 * DAY, limit=10) == 0

        assert set(store.get_runs([waiting.id, active.id])) == {waiting.id, active.id}

    def test_a_retried_run_whose_expiry_was_cleared_stays(self, store: Store, forget: Forget) -> None:
        over = end(admitted(store, make_run()), expires_at=NOW + DAY)
        store.move(over)
        again = retry(over.after, actor=Actor.USER)
        store.move(again)

        assert forget(NOW + 2 * DAY, limit=10) == 0

        assert store.get_run(again.after.id) == again.after

    def test_an_expiry_may_be_put_off(self, store: Store, forget: Forget) -> None:
        over = end(admitted(store, make_run()), expires_at=NOW + DAY)
        store.move(over)
        store.move(Move(over.after, amended(over.after, expires_at=NOW + 3 * DAY)))

        assert forget(NOW + 2 * DAY, limit=10) == 0
        assert forget(NOW + 4 * DAY, limit=10) == 1

    def test_a_key_is_kept_until_its_time_and_then_forgotten(self, store: Store, forget: Forget) -> None:
        first = store.create_run(make_run(idempotency_key="k"), keep_key_until=WEEK)
        second = make_run(idempotency_key="k")

        assert forget(WEEK, limit=10) == 0
        assert store.create_run(second, keep_key_until=WEEK) == first

        assert forget(WEEK + timedelta(microseconds=1), limit=10) == 1
        assert store.create_run(second, keep_key_until=WEEK + 7 * DAY) == second
        assert store.get_runs([first.id, second.id]) == {first.id: first, second.id: second}

    def test_the_key_of_a_forgotten_run_is_free(self, store: Store, forget: Forget) -> None:
        run = store.create_run(make_run(idempotency_key="k"), keep_key_until=NOW + 60 * DAY)
        store.move(cancel(run))
        forget(NOW + 31 * DAY, limit=10)
        second = make_run(idempotency_key="k")

        assert store.create_run(second, keep_key_until=WEEK) == second

    def test_a_run_that_is_parked_and_active_by_turns_is_never_forgotten(self, store: Store, forget: Forget) -> None:
        run = store.create_run(make_run())
        move = park(run)
        store.move(move)

        assert forget(NOW + 36500 * DAY, limit=10) == 0
        assert store.get_run(run.id) == move.after
