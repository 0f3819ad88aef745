"""How far schedules are, and the runs made with each step."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from dispatcher.errors import InvalidInput, RecordChanged
from dispatcher.ports import Store
from dispatcher.testing.builders import NOW, POOL, admitted, make_cursor, make_run

LATER = NOW + timedelta(hours=1)
ELSEWHERE = timezone(timedelta(hours=-5))


class ScheduleCases:
    @pytest.mark.parametrize("next_at", [NOW + timedelta(microseconds=1), None], ids=["more", "no more"])
    def test_a_cursor_comes_back_as_it_was_put(self, store: Store, next_at: datetime | None) -> None:
        cursor = make_cursor(schedule_id="s", next_at=next_at, schedule_version=3, held_at=LATER, pool=POOL)

        stored = store.put_cursor(cursor)

        assert stored.version > 0
        assert store.get_cursor("s") == stored == replace(cursor, version=stored.version)
        assert store.get_cursor("other") is None

    def test_a_cursor_put_as_new_while_one_is_stored_is_refused(self, store: Store) -> None:
        stored = store.put_cursor(make_cursor(schedule_id="s"))

        with pytest.raises(RecordChanged):
            store.put_cursor(make_cursor(schedule_id="s", next_at=LATER))

        assert store.get_cursor("s") == stored

    def test_a_cursor_put_on_an_older_version_is_refused(self, store: Store) -> None:
        first = store.put_cursor(make_cursor(schedule_id="s"))
        second = store.put_cursor(replace(first, next_at=LATER))

        with pytest.raises(RecordChanged):
            store.put_cursor(replace(first, next_at=None))

        assert store.get_cursor("s") == second

    def test_a_deleted_cursor_is_gone_and_never_due(self, store: Store) -> None:
        store.delete_cursor(store.put_cursor(make_cursor(schedule_id="s")))

        assert store.get_cursor("s") is None
        assert not store.cursors_due(NOW, limit=10)

    def test_a_cursor_deleted_on_an_older_version_stays(self, store: Store) -> None:
        first = store.put_cursor(make_cursor(schedule_id="s"))
        second = store.put_cursor(replace(first, next_at=LATER))

        with pytest.raises(RecordChanged):
            store.delete_cursor(first)

        assert store.get_cursor("s") == second

    def test_deleting_a_cursor_that_is_not_stored_is_refused(self, store: Store) -> None:
        with pytest.raises(RecordChanged):
            store.delete_cursor(make_cursor(version=1))

    def test_cursors_are_due_from_their_moment_on_the_earliest_first(self, store: Store) -> None:
        for name, seconds in (("now", 0), ("soon", 1), ("long ago", -90), ("a moment ago", -1)):
            store.put_cursor(make_cursor(schedule_id=name, next_at=NOW + timedelta(seconds=seconds)))
        store.put_cursor(make_cursor(schedule_id="never", next_at=None))

        due = store.cursors_due(NOW, limit=10)

        assert [cursor.schedule_id for cursor in due] == ["long ago", "a moment ago", "now"]
        assert due[0] == store.get_cursor("long ago")

    def test_no_more_cursors_are_due_than_asked_for(self, store: Store) -> None:
        for number in (2, 0, 1):
            store.put_cursor(make_cursor(schedule_id=str(number), next_at=NOW + timedelta(seconds=number)))

        assert [cursor.schedule_id for cursor in store.cursors_due(LATER, limit=2)] == ["0", "1"]

    def test_cursors_are_due_by_the_instant_whatever_the_zone(self, store: Store) -> None:
        stored = store.put_cursor(make_cursor(schedule_id="s", next_at=NOW.astimezone(ELSEWHERE)))

        assert store.get_cursor("s") == replace(stored, next_at=NOW)
        assert len(store.cursors_due(NOW.astimezone(timezone(timedelta(hours=9))), limit=10)) == 1
        assert not store.cursors_due((NOW - timedelta(seconds=1)).astimezone(ELSEWHERE), limit=10)

    def test_a_cursor_with_a_time_without_a_zone_is_refused(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="next_at"):
            store.put_cursor(make_cursor(schedule_id="s", next_at=NOW.replace(tzinfo=None)))

        assert store.get_cursor("s") is None

    def test_runs_come_to_be_as_their_cursor_moves_on(self, store: Store) -> None:
        cursor = store.put_cursor(make_cursor())
        runs = [make_run(schedule_id=cursor.schedule_id, due_in=timedelta(minutes=n)) for n in range(20)]

        moved_on = store.create_scheduled(cursor, runs, LATER)

        assert moved_on == replace(cursor, next_at=LATER, version=moved_on.version)
        assert moved_on.version != cursor.version
        assert store.get_cursor(cursor.schedule_id) == moved_on
        assert store.get_runs([run.id for run in runs]) == {run.id: run for run in runs}
        assert [item.run_id for item in store.due(POOL, "default", NOW, limit=10).items] == [runs[0].id]

    def test_a_cursor_may_move_on_without_a_run(self, store: Store) -> None:
        cursor = store.put_cursor(make_cursor())

        moved_on = store.create_scheduled(cursor, [], LATER)

        assert store.get_cursor(cursor.schedule_id) == moved_on
        assert not store.cursors_due(NOW, limit=10)

    def test_a_cursor_without_a_next_time_is_never_due(self, store: Store) -> None:
        cursor = store.put_cursor(make_cursor())

        store.create_scheduled(cursor, [make_run()], None)

        assert not store.cursors_due(NOW + timedelta(days=36500), limit=10)

    def test_from_a_cursor_that_is_not_as_read_nothing_is_made(self, store: Store) -> None:
        cursor = store.put_cursor(make_cursor())
        moved_on = store.create_scheduled(cursor, [], LATER)
        run = make_run()

        with pytest.raises(RecordChanged):
            store.create_scheduled(cursor, [run], LATER + timedelta(hours=1))

        assert store.get_run(run.id) is None
        assert store.get_cursor(cursor.schedule_id) == moved_on

    def test_from_a_cursor_that_is_gone_nothing_is_made(self, store: Store) -> None:
        cursor = store.put_cursor(make_cursor())
        store.delete_cursor(cursor)
        run = make_run()

        with pytest.raises(RecordChanged):
            store.create_scheduled(cursor, [run], LATER)

        assert store.get_run(run.id) is None
        assert store.get_cursor(cursor.schedule_id) is None

    def test_runs_that_are_there_stay_as_they_are_and_the_others_are_made(self, store: Store) -> None:
        cursor = store.put_cursor(make_cursor())
        first, second, third = make_run(), make_run(), make_run()
        known = admitted(store, second)

        store.create_scheduled(cursor, [first, second, third], LATER)

        assert store.get_runs([first.id, second.id, third.id]) == {
            first.id: first,
            second.id: known,
            third.id: third,
        }
