"""The due index and the parked one: what may be admitted, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from dispatcher.errors import InvalidInput
from dispatcher.ports import Candidate, Move, Store
from dispatcher.runs import Actor, amended
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    cancel,
    end,
    make_admission,
    make_id,
    make_run,
    ordered_id,
    park,
    parked,
    refuse,
    retry,
    unpark,
)

SECOND = timedelta(seconds=1)
LATER = NOW + timedelta(hours=1)
ELSEWHERE = timezone(timedelta(hours=5, minutes=30))


def due_pages(store: Store, before: datetime, *, queue: str = "default", limit: int = 50) -> Iterator[list[str]]:
    """The run ids of each page."""
    after: str | None = None
    while True:
        page = store.due(POOL, queue, before, after=after, limit=limit)
        assert len(page.items) <= limit
        yield [item.run_id for item in page.items]
        after = page.after
        if after is None:
            return


def due(store: Store, before: datetime = NOW, *, queue: str = "default") -> list[str]:
    return [run_id for page in due_pages(store, before, queue=queue) for run_id in page]


class WaitingCases:
    def test_a_run_is_due_from_its_moment_on(self, store: Store) -> None:
        now = store.create_run(make_run())
        store.create_run(make_run(due_in=timedelta(microseconds=1)))

        assert due(store) == [now.id]
        assert due(store, NOW - timedelta(microseconds=1)) == []

    def test_a_candidate_says_when_it_is_due_and_of_which_deployment(self, store: Store) -> None:
        run = store.create_run(make_run(scheduled_time=NOW - SECOND, due_at=NOW))

        page = store.due(POOL, "default", NOW, limit=10)

        assert page.items == (Candidate(run.id, NOW, run.deployment_id),)

    def test_the_oldest_due_comes_first_and_then_the_lower_id(self, store: Store) -> None:
        for number, seconds in ((4, -1), (2, -1), (1, 0), (3, -1), (5, -2)):
            store.create_run(make_run(id=ordered_id(number), due_in=timedelta(seconds=seconds)))

        assert due(store) == [ordered_id(number) for number in (5, 2, 3, 4, 1)]

    def test_order_is_by_due_at_not_by_the_scheduled_time(self, store: Store) -> None:
        retried = store.create_run(make_run(scheduled_time=NOW - SECOND, due_at=NOW))
        first = store.create_run(make_run(scheduled_time=NOW, due_at=NOW - SECOND))

        assert due(store) == [first.id, retried.id]

    def test_other_pools_and_queues_are_unseen(self, store: Store) -> None:
        mine = store.create_run(make_run())
        store.create_run(make_run(pool="another"))
        high = store.create_run(make_run(queue="high"))

        assert due(store) == [mine.id]
        assert due(store, queue="high") == [high.id]

    def test_a_run_is_due_by_the_instant_whatever_the_zone(self, store: Store) -> None:
        there = make_run(scheduled_time=NOW.astimezone(ELSEWHERE), due_at=NOW.astimezone(ELSEWHERE))
        here = make_run(due_in=-SECOND)
        store.create_run(there)
        store.create_run(here)

        assert due(store) == [here.id, there.id]
        assert due(store, NOW.astimezone(timezone(-timedelta(hours=8)))) == [here.id, there.id]
        assert due(store, (NOW - SECOND).astimezone(ELSEWHERE)) == [here.id]

    def test_where_nothing_is_due_there_is_one_empty_page(self, store: Store) -> None:
        store.create_run(make_run(due_in=SECOND))

        page = store.due(POOL, "default", NOW, limit=10)

        assert (page.items, page.after) == ((), None)

    def test_due_runs_are_read_in_pages_that_hold_each_once(self, store: Store) -> None:
        ids = [ordered_id(number) for number in range(8)]
        for number in (5, 2, 7, 0, 1, 6, 3, 4):
            store.create_run(make_run(id=ids[number], due_in=-SECOND if number < 5 else timedelta(0)))

        pages = list(due_pages(store, NOW, limit=3))

        assert [run_id for page in pages for run_id in page] == ids

    def test_a_page_ends_where_the_next_begins_though_rows_come_and_go(self, store: Store) -> None:
        runs = [store.create_run(make_run(due_in=SECOND * number)) for number in range(1, 6)]
        first = store.due(POOL, "default", LATER, limit=2)
        store.create_run(make_run(due_in=timedelta(0)))
        store.admit([make_admission(runs[1])])
        last = store.create_run(make_run(due_in=SECOND * 9))

        second = store.due(POOL, "default", LATER, after=first.after, limit=10)

        assert [item.run_id for item in first.items] == [run.id for run in runs[:2]]
        assert [item.run_id for item in second.items] == [run.id for run in [*runs[2:], last]]

    def test_a_mark_of_no_page_of_due_runs_is_refused_by_name(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="after"):
            store.due(POOL, "default", NOW, after="no such mark!", limit=10)

    def test_an_admitted_run_is_not_due(self, store: Store) -> None:
        active = admitted(store, make_run())
        assert due(store) == []

        store.move(end(active))

        assert due(store, LATER) == []

    def test_a_run_whose_submission_was_refused_is_due_at_its_new_time(self, store: Store) -> None:
        active = admitted(store, make_run())

        store.move(refuse(active, due_in=SECOND))

        assert due(store) == []
        assert due(store, NOW + SECOND) == [active.id]

    def test_a_run_that_is_retried_after_its_end_is_due_again(self, store: Store) -> None:
        over = end(admitted(store, make_run()))
        store.move(over)

        store.move(retry(over.after, actor=Actor.USER))

        assert due(store) == [over.after.id]

    def test_a_run_that_is_moved_to_another_queue_is_due_there(self, store: Store) -> None:
        run = store.create_run(make_run())

        store.move(Move(run, amended(run, queue="high")))

        assert due(store) == []
        assert due(store, queue="high") == [run.id]

    def test_a_parked_run_is_not_due(self, store: Store) -> None:
        run = parked(store, make_run())
        other = store.create_run(make_run())

        assert due(store) == [other.id]
        assert [item.run_id for item in store.parked_runs(POOL, run.deployment_id, limit=10)] == [run.id]

    def test_a_run_created_parked_is_not_due(self, store: Store) -> None:
        run = store.create_run(make_run(parked=True))

        assert due(store) == []
        assert list(store.parked(POOL)) == [run.deployment_id]

    def test_a_parked_run_that_is_moved_unparked_is_due_again(self, store: Store) -> None:
        run = parked(store, make_run())

        store.move(unpark(run))

        assert due(store) == [run.id]
        assert not store.parked_runs(POOL, run.deployment_id, limit=10)

    def test_deployments_with_parked_runs_are_named_once_and_by_pool(self, store: Store) -> None:
        for deployment in ("b", "a", "b", "c"):
            parked(store, make_run(deployment=deployment))
        parked(store, make_run(deployment="d", pool="another"))
        store.create_run(make_run(deployment="e"))

        named = list(store.parked(POOL))

        assert sorted(named) == sorted({make_id("a"), make_id("b"), make_id("c")})
        assert list(store.parked("another")) == [make_id("d")]
        assert not store.parked("a third")

    def test_parked_runs_come_oldest_due_first_and_no_more_than_asked_for(self, store: Store) -> None:
        late, now, early = (make_run(due_in=SECOND * seconds) for seconds in (5, 0, -3))
        for run in (now, late, early):
            parked(store, run)
        parked(store, make_run(deployment="another"))
        parked(store, make_run(pool="another"))

        found = store.parked_runs(POOL, make_id("etl"), limit=2)

        assert list(found) == [
            Candidate(early.id, NOW - 3 * SECOND, make_id("etl")),
            Candidate(now.id, NOW, make_id("etl")),
        ]
        assert len(store.parked_runs(POOL, make_id("etl"), limit=10)) == 3

    def test_a_parked_run_that_is_admitted_or_cancelled_is_parked_no_more(self, store: Store) -> None:
        first, second = parked(store, make_run()), parked(store, make_run())

        admitted(store, first)
        store.move(cancel(second))

        assert not store.parked_runs(POOL, first.deployment_id, limit=10)
        assert due(store) == []

    def test_a_run_that_ended_while_it_was_parked_waits_no_more(self, store: Store) -> None:
        over = cancel(parked(store, make_run()))

        store.move(replace(over, after=replace(over.after, parked=True)))

        assert not store.parked_runs(POOL, over.after.deployment_id, limit=10)

    def test_parking_keeps_the_moment(self, store: Store) -> None:
        run = store.create_run(make_run(due_in=-SECOND))
        store.move(park(run))

        assert store.parked_runs(POOL, run.deployment_id, limit=1)[0].due_at == NOW - SECOND
