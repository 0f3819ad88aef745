"""Records by name, with compare-and-set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.errors import InvalidInput, RecordChanged
from dispatcher.ports import Record, Store
from dispatcher.testing.builders import make_record
from dispatcher.testing.racing import OpenStore


def keys(store: Store, kind: str, *, parent: str | None = None, limit: int = 200) -> Iterator[list[str]]:
    """The keys of each page."""
    after: str | None = None
    while True:
        page = store.list(kind, parent=parent, after=after, limit=limit)
        assert len(page.items) <= limit
        yield [record.key for record in page.items]
        after = page.after
        if after is None:
            return


class CatalogueCases:
    def test_a_record_comes_back_as_it_was_put(self, store: Store) -> None:
        body = {"name": "größe", "n": 1, "f": 0.5, "list": [1, "a", None, True], "nested": {"": {"k": []}}}
        stored = store.put(Record("work-pool", "p/1", body, parent="top"))

        assert stored.version > 0
        assert store.get("work-pool", "p/1") == stored == Record("work-pool", "p/1", body, "top", stored.version)

    def test_a_record_that_was_never_put_is_none(self, store: Store) -> None:
        store.put(make_record(kind="work-pool", key="a"))

        assert store.get("work-pool", "b") is None
        assert store.get("work-queue", "a") is None

    def test_the_same_key_in_another_kind_is_another_record(self, store: Store) -> None:
        store.put(make_record(kind="work-pool", key="a", n=1))
        store.put(make_record(kind="deployment", key="a", n=2))

        pool, deployment = store.get("work-pool", "a"), store.get("deployment", "a")

        assert pool is not None
        assert deployment is not None
        assert (pool.body, deployment.body) == ({"n": 1}, {"n": 2})

    def test_a_record_put_on_its_version_is_replaced(self, store: Store) -> None:
        first = store.put(make_record(n=1, gone=True))

        second = store.put(replace(first, body={"n": 2}))

        assert second.version != first.version
        assert store.get(first.kind, first.key) == second

    def test_a_record_put_as_new_while_one_is_stored_is_refused(self, store: Store) -> None:
        stored = store.put(make_record(n=1))

        with pytest.raises(RecordChanged):
            store.put(make_record(n=2))

        assert store.get(stored.kind, stored.key) == stored

    def test_a_record_put_on_an_older_version_is_refused(self, store: Store) -> None:
        first = store.put(make_record(n=1))
        second = store.put(replace(first, body={"n": 2}))

        with pytest.raises(RecordChanged):
            store.put(replace(first, body={"n": 3}))

        assert store.get(first.kind, first.key) == second

    def test_a_record_put_on_a_version_of_nothing_is_refused(self, store: Store) -> None:
        with pytest.raises(RecordChanged):
            store.put(make_record(version=1))

        assert store.get("work-pool", "pool") is None

    def test_a_deleted_record_is_gone_and_can_be_put_anew(self, store: Store) -> None:
        store.delete(store.put(make_record(n=1)))

        assert store.get("work-pool", "pool") is None
        assert store.put(make_record(n=2)) == store.get("work-pool", "pool")

    def test_a_record_deleted_on_an_older_version_stays(self, store: Store) -> None:
        first = store.put(make_record(n=1))
        second = store.put(replace(first, body={"n": 2}))

        with pytest.raises(RecordChanged):
            store.delete(first)

        assert store.get(first.kind, first.key) == second

    @pytest.mark.parametrize("version", [0, 1])
    def test_deleting_a_record_that_is_not_stored_is_refused(self, store: Store, version: int) -> None:
        with pytest.raises(RecordChanged):
            store.delete(make_record(version=version))

    def test_a_kind_is_listed_by_key(self, store: Store) -> None:
        for key in ("b", "a/2", "a", "ä", "B", "c"):
            store.put(make_record(kind="work-queue", key=key))
        store.put(make_record(kind="work-pool", key="aa"))

        assert list(keys(store, "work-queue")) == [["B", "a", "a/2", "b", "c", "ä"]]

    def test_a_kind_of_which_nothing_is_stored_is_an_empty_page(self, store: Store) -> None:
        store.put(make_record(kind="work-pool", key="a", parent="x"))

        assert store.list("work-queue").items == ()
        assert store.list("work-pool", parent="y").items == ()

    def test_records_are_listed_by_their_parent(self, store: Store) -> None:
        for key, parent in (("x/2", "x"), ("y/1", "y"), ("x/1", "x"), ("top", "")):
            store.put(make_record(kind="work-queue", key=key, parent=parent))

        assert list(keys(store, "work-queue", parent="x")) == [["x/1", "x/2"]]
        assert list(keys(store, "work-queue", parent="")) == [["top"]]

    def test_a_record_that_changed_its_parent_is_listed_there_only(self, store: Store) -> None:
        store.put(replace(store.put(make_record(key="d", parent="x")), parent="y"))

        assert list(keys(store, "work-pool", parent="x")) == [[]]
        assert list(keys(store, "work-pool", parent="y")) == [["d"]]

    @pytest.mark.parametrize("parent", [None, "x"])
    def test_a_list_is_read_in_pages_that_hold_each_record_once(self, store: Store, parent: str | None) -> None:
        names = [f"q{number}" for number in range(7)]
        for name in reversed(names):
            store.put(make_record(kind="work-queue", key=name, parent="x"))

        first = store.list("work-queue", parent=parent, limit=3)
        pages = list(keys(store, "work-queue", parent=parent, limit=3))

        assert first.after is not None
        assert [key for page in pages for key in page] == names

    def test_a_mark_of_no_page_of_records_is_refused_by_name(self, store: Store) -> None:
        with pytest.raises(InvalidInput, match="after"):
            store.list("work-pool", after="no such mark!")

    @pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}], ids=["nan", "object", "set"])
    def test_a_body_that_json_cannot_say_is_refused(self, store: Store, value: Any) -> None:
        with pytest.raises(InvalidInput):
            store.put(make_record(value=value))

        assert store.get("work-pool", "pool") is None

    def test_what_a_caller_does_to_a_body_later_changes_nothing_stored(self, store: Store) -> None:
        body: dict[str, Any] = {"list": [1]}
        store.put(Record("work-pool", "pool", body))
        body["list"].append(2)
        read = store.get("work-pool", "pool")
        assert read is not None
        read.body["list"].append(3)

        again = store.get("work-pool", "pool")

        assert again is not None
        assert again.body == {"list": [1]}

    def test_what_one_puts_another_sees(self, open_store: OpenStore) -> None:
        here, there = open_store(), open_store()

        stored = here.put(make_record(n=1))

        assert there.get(stored.kind, stored.key) == stored
        with pytest.raises(RecordChanged):
            there.put(make_record(n=2))
