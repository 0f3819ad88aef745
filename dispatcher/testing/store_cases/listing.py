"""Runs listed: newest first, by filters, in pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta, timezone
from typing import Any

import pytest

from dispatcher.errors import InvalidInput
from dispatcher.ports import RunFilter, Store
from dispatcher.runs import FlowRun, Name, StateType
from dispatcher.testing.builders import NOW, admitted, cancel, end, make_run, park, start

HOUR = timedelta(hours=1)


def pages(store: Store, wanted: RunFilter, limit: int = 50) -> Iterator[list[FlowRun]]:
    after: str | None = None
    while True:
        page = store.runs(wanted, after=after, limit=limit)
        assert len(page.items) <= limit
        yield list(page.items)
        after = page.after
        if after is None:
            return


def ids(store: Store, *, limit: int = 50, **wanted: Any) -> list[str]:
    found = pages(store, RunFilter(**wanted), limit)
    return [run.id for page in found for run in page]


def create(store: Store, number: int, **changes: Any) -> list[FlowRun]:
    """Runs an hour apart, the oldest first."""
    return [store.create_run(make_run(due_in=HOUR * n, **changes)) for n in range(number)]


def _one(what: str, value: object) -> dict[str, Any]:
    return {what: value}


class ListingCases:
    def test_the_newest_scheduled_run_comes_first(self, store: Store) -> None:
        first, third, second = (store.create_run(make_run(due_in=HOUR * n)) for n in (0, 2, 1))

        assert ids(store) == [third.id, second.id, first.id]

    def test_order_is_by_the_scheduled_time_not_by_due_at(self, store: Store) -> None:
        times = [NOW + HOUR * n for n in range(3)]
        runs = [
            store.create_run(make_run(scheduled_time=scheduled, due_at=due))
            for scheduled, due in zip(times, reversed(times), strict=True)
        ]

        assert ids(store) == ids(store, limit=1) == [run.id for run in reversed(runs)]

    def test_order_holds_across_states(self, store: Store) -> None:
        runs = create(store, 5)
        active = admitted(store, runs[1])
        store.move(end(admitted(store, runs[3])))
        store.move(cancel(runs[0]))
        store.move(start(active))

        assert ids(store) == [run.id for run in reversed(runs)]
        assert ids(store, deployment="etl", limit=2) == [run.id for run in reversed(runs)]

    def test_a_listed_run_is_whole(self, store: Store) -> None:
        run = admitted(store, make_run(parameters={"a": 1}, tags=("x",)))
        bare = store.create_run(make_run(due_in=HOUR))

        assert store.runs(RunFilter()).items == (bare, run)

    @pytest.mark.parametrize("what", ["deployment", "pool", "queue"])
    def test_runs_are_found_by_where_they_belong(self, store: Store, what: str) -> None:
        mine = create(store, 2, **{what: "mine"})
        create(store, 2, **{what: "another"})

        assert ids(store, **_one(what, "mine")) == [mine[1].id, mine[0].id]
        assert ids(store, **_one(what, "nobody's")) == []

    def test_runs_are_found_by_the_type_of_their_state(self, store: Store) -> None:
        waiting, running, done, gone = create(store, 4)
        store.move(start(admitted(store, running)))
        store.move(end(admitted(store, done)))
        store.move(cancel(gone))

        assert ids(store, types=frozenset({StateType.SCHEDULED})) == [waiting.id]
        assert ids(store, types=frozenset({StateType.RUNNING})) == [running.id]
        assert ids(store, types=frozenset({StateType.COMPLETED, StateType.CANCELLED})) == [gone.id, done.id]
        assert ids(store, types=frozenset({StateType.PENDING})) == []

    def test_runs_are_found_by_the_name_of_their_state(self, store: Store) -> None:
        waiting, held, failed, timed_out = create(store, 4)
        store.move(park(held))
        store.move(end(admitted(store, failed), name=Name.FAILED))
        store.move(end(admitted(store, timed_out), name=Name.TIMED_OUT))

        assert ids(store, names=frozenset({"TimedOut"})) == [timed_out.id]
        assert ids(store, names=frozenset({"Scheduled"})) == [waiting.id]
        assert ids(store, names=frozenset({"TimedOut", "AwaitingConcurrencySlot"})) == [timed_out.id, held.id]

    def test_late_is_no_stored_name(self, store: Store) -> None:
        create(store, 1)

        assert ids(store, names=frozenset({"Late"})) == []
        assert ids(store, names=frozenset({"no such name"})) == []

    def test_a_type_and_a_name_of_another_type_find_nothing(self, store: Store) -> None:
        create(store, 1)

        assert ids(store, names=frozenset({"Scheduled"}), types=frozenset({StateType.FAILED})) == []

    def test_runs_are_found_by_all_of_the_tags(self, store: Store) -> None:
        both = store.create_run(make_run(tags=("a", "b", "c"), due_in=HOUR))
        one = store.create_run(make_run(tags=("a",)))
        store.create_run(make_run(tags=("ab", "a,b", ",b", '"a"', "%", "A")))
        store.create_run(make_run())

        assert ids(store, tags=frozenset({"a"})) == [both.id, one.id]
        assert ids(store, tags=frozenset({"c", "a"})) == [both.id]
        assert ids(store, tags=frozenset({"a", "d"})) == []
        assert ids(store, tags=frozenset({","})) == ids(store, tags=frozenset({"_"})) == []

    def test_runs_are_found_since_and_before_a_time(self, store: Store) -> None:
        runs = create(store, 5)

        assert ids(store, since=NOW + HOUR, until=NOW + 3 * HOUR) == [runs[2].id, runs[1].id]
        assert ids(store, since=NOW + 4 * HOUR) == [runs[4].id]
        assert ids(store, until=NOW) == []

    def test_runs_are_found_by_instants_whatever_the_zone(self, store: Store) -> None:
        there = timezone(timedelta(hours=-10))
        first = store.create_run(make_run(scheduled_time=NOW.astimezone(there)))
        second = store.create_run(make_run(due_in=HOUR))

        assert ids(store) == [second.id, first.id]
        assert ids(store, since=NOW.astimezone(there), until=(NOW + HOUR).astimezone(there)) == [first.id]

    def test_filters_hold_together(self, store: Store) -> None:
        fit: dict[str, Any] = {"deployment": "d", "pool": "p", "queue": "q", "tags": ("x", "y")}
        mine = store.create_run(make_run(**fit))
        for what in ("deployment", "pool", "queue"):
            store.create_run(make_run(**{**fit, what: "another"}))
        store.create_run(make_run(**{**fit, "tags": ("y",)}))
        store.create_run(make_run(due_in=HOUR, **fit))
        store.move(cancel(store.create_run(make_run(**fit))))

        found = ids(
            store,
            deployment="d",
            pool="p",
            queue="q",
            tags=frozenset({"x"}),
            types=frozenset({StateType.SCHEDULED}),
            names=frozenset({"Scheduled"}),
            since=NOW,
            until=NOW + HOUR,
        )

        assert found == [mine.id]

    def test_where_no_run_fits_there_is_one_empty_page(self, store: Store) -> None:
        assert store.runs(RunFilter()).items == ()
        create(store, 1)

        page = store.runs(RunFilter(deployment="another"))

        assert (page.items, page.after) == ((), None)

    @pytest.mark.parametrize(
        "wanted",
        [
            RunFilter(),
            RunFilter(deployment="etl"),
            RunFilter(pool="pool"),
            RunFilter(types=frozenset({StateType.SCHEDULED})),
            RunFilter(tags=frozenset({"t"})),
        ],
        ids=["all", "deployment", "pool", "type", "tag"],
    )
    def test_runs_are_read_in_pages_that_hold_each_once(self, store: Store, wanted: RunFilter) -> None:
        runs = [store.create_run(make_run(due_in=HOUR * (n // 4), tags=("t",))) for n in range(11)]
        create(store, 2, deployment="another", pool="another", state=Name.CANCELLED)

        first = store.runs(wanted, limit=3)
        found = [run for page in pages(store, wanted, 3) for run in page]

        assert first.after is not None
        times = [run.scheduled_time for run in found]
        assert times == sorted(times, reverse=True)
        mine = {run.id for run in runs}
        assert sorted(run.id for run in found if run.id in mine) == sorted(mine)

    def test_pages_go_on_where_they_ended_though_runs_are_added(self, store: Store) -> None:
        runs = create(store, 6)
        first = store.runs(RunFilter(pool="pool"), limit=2)
        store.create_run(make_run(due_in=9 * HOUR))
        between = store.create_run(make_run(due_in=HOUR * 1.5))

        seen = [run.id for run in first.items]
        after = first.after
        while after is not None:
            page = store.runs(RunFilter(pool="pool"), after=after, limit=2)
            seen += [run.id for run in page.items]
            after = page.after

        expected = [runs[5], runs[4], runs[3], runs[2], between, runs[1], runs[0]]
        assert seen == [run.id for run in expected]

    def test_a_page_that_lies_before_the_mark_is_not_read_again_when_its_runs_go(self, store: Store) -> None:
        runs = create(store, 4)
        first = store.runs(RunFilter(), limit=2)
        for run in first.items:
            store.delete_run(run)

        second = store.runs(RunFilter(), after=first.after, limit=2)

        assert [run.id for run in second.items] == [runs[1].id, runs[0].id]

    def test_a_mark_of_no_page_of_runs_is_refused_by_name(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="after"):
            store.runs(RunFilter(), after="no such mark!")
