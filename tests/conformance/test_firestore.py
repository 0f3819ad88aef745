"""The store on Firestore keeps the contract of every store; each of its queries has its index, or it is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from string import ascii_letters
from typing import Any

import pytest
from google.api_core.exceptions import FailedPrecondition

from adapters.stores.firestore import FirestoreStore, open_store
from adapters.stores.firestore.layout import EXEMPTIONS, INDEXES
from dispatcher.errors import InvalidInput, StoreUnusable, TooLarge
from dispatcher.ports import Move, Record, RunFilter
from dispatcher.runs import Name, State, StateType, amended, with_attempt
from dispatcher.testing.builders import NOW, POOL, admitted, end, make_admission, make_outbox_entry, make_run
from dispatcher.testing.firestore_calls import listen
from dispatcher.testing.firestore_indexes import refusing
from dispatcher.testing.store_suite import OpenStore, StoreSuite

OpenFirestore = Callable[..., FirestoreStore]


class TestFirestore(StoreSuite):
    @pytest.fixture
    def open_store(self, open_firestore: OpenFirestore) -> OpenStore:
        return open_firestore


# what is peculiar to it


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_an_index_that_was_not_made_is_noticed(firestore: Any, open_firestore: OpenFirestore, index: Any) -> None:
    """So every one that is declared is needed, and the cases above would notice one that is not declared."""
    store = open_firestore()
    listen(firestore, refusing([each for each in INDEXES if each != index], EXEMPTIONS, FailedPrecondition))
    looks: list[Callable[[], object]] = [
        lambda: store.due(POOL, "default", NOW, limit=1),
        lambda: store.parked(POOL),
        lambda: store.runs(RunFilter(deployment="d", pool="p", queue="q", tags=frozenset("t"))),
        lambda: store.runs(RunFilter(types=frozenset({StateType.RUNNING}))),
        lambda: store.runs(RunFilter(names=frozenset({"Running"}))),
        lambda: store.outbox_due(POOL, NOW, limit=1),
        lambda: store.list("k"),
        lambda: store.list("k", parent="p"),
    ]

    with pytest.raises(StoreUnusable, match=r"lacks an index, which `terraform apply` makes"):
        [look() for look in looks]


def test_a_database_of_a_newer_version_is_left_as_it_was(firestore: Any, open_firestore: OpenFirestore) -> None:
    firestore.document("meta/schema").set({"schema": 2})
    store = open_firestore()

    for _ in range(2):
        with pytest.raises(StoreUnusable, match="schema version is 2, this pushpool knows 1; upgrade"):
            store.create_run(make_run())

    assert [each.id for each in firestore.collections()] == ["meta"]


def test_the_first_to_come_says_the_version(firestore: Any, open_firestore: OpenFirestore) -> None:
    for _ in range(2):
        open_firestore().get("work-pool", "p")

    assert firestore.document("meta/schema").get().to_dict() == {"schema": 1}


def test_what_no_document_can_hold_is_refused_with_the_limit(open_firestore: OpenFirestore) -> None:
    store = open_firestore()
    run = make_run(parameters={"text": "".join(Random(1).choices(ascii_letters, k=2_000_000))})

    with pytest.raises(TooLarge, match="1 MiB"):
        store.create_run(run)

    assert store.get_run(run.id) is None
    assert store.runs(RunFilter()).items == ()


def test_a_long_history_and_long_logs_are_kept(open_firestore: OpenFirestore) -> None:
    store, draw = open_firestore(), Random(1)
    run = admitted(store, make_run(parameters={"text": "".join(draw.choices(ascii_letters, k=200_000))}))
    over = end(run)
    words = ["".join(draw.choices(ascii_letters, k=2000)) for _ in range(40)]
    history = tuple(State(Name.RUNNING, NOW, word) for word in words)
    attempts = with_attempt(over.after, log_tail="\n".join(words))
    long = replace(over.after, history=history, attempts=attempts)
    store.move(Move(run, long))

    assert store.get_run(run.id) == long


def test_a_name_may_hold_what_a_path_may_not(open_firestore: OpenFirestore) -> None:
    store = open_firestore()
    odd = "a/b%2F~.. ../__x__"
    run = admitted(store, make_run(pool=odd, queue=odd, deployment=odd, tags=(odd,)), slot=odd, queue_slot="..")
    waiting = store.create_run(make_run(pool=odd, queue=odd, deployment=odd))
    record = store.put(Record(odd, odd, {}, parent=odd))
    store.put_outbox(entry := make_outbox_entry(id=odd, pool=odd))

    assert [each.slot.name for each in store.active(odd)] == [odd]
    assert store.held(f"queue/{odd}/{odd}") == {"..": run.id}
    assert [each.run_id for each in store.due(odd, odd, NOW, limit=9).items] == [waiting.id]
    assert {each.id for each in store.runs(RunFilter(pool=odd, queue=odd, deployment=odd)).items} == {
        run.id,
        waiting.id,
    }
    assert store.list(odd, parent=odd).items == (record,)
    assert list(store.outbox_due(odd, NOW, limit=9)) == [entry]


def test_a_name_that_is_too_long_is_refused(open_firestore: OpenFirestore) -> None:
    with pytest.raises(InvalidInput, match="too long for a name"):
        open_firestore().put(Record("work-pool", "p" * 1501, {}))


def test_every_tag_counts_though_firestore_looks_for_one(open_firestore: OpenFirestore) -> None:
    store = open_firestore()
    both = [store.create_run(make_run(tags=("a", "b"), due_in=timedelta(hours=n))) for n in range(3)]
    for number in range(9):
        store.create_run(make_run(tags=("a",), due_in=timedelta(minutes=number)))
    wanted = RunFilter(tags=frozenset({"a", "b"}))

    first = store.runs(wanted, limit=2)
    second = store.runs(wanted, after=first.after, limit=2)

    assert [*first.items, *second.items] == both[::-1]
    assert second.after is None


def test_a_run_that_is_moved_twice_at_once_is_moved_twice(open_firestore: OpenFirestore) -> None:
    store = open_firestore()
    run = store.create_run(make_run())
    once = Move(run, amended(run, late_noticed=True))
    twice = Move(once.after, amended(once.after, queue="high"))

    assert store.move_each([once, twice, Move(run, amended(run, name="lost"))]) == {run.id}

    assert store.get_run(run.id) == twice.after


def test_a_process_of_its_own_opens_it_by_its_address(firestore: Any) -> None:
    store = open_store(f"firestore://{firestore.project}")
    run = store.create_run(make_run())

    assert store.get_run(run.id) == run
    store.close()
    with pytest.raises(StoreUnusable, match="closed"):
        store.get_run(run.id)


def test_databases_of_one_project_are_apart(firestore: Any) -> None:
    assert os.environ["FIRESTORE_EMULATOR_HOST"]
    one, other = open_store(f"{firestore.project}/one"), open_store(f"{firestore.project}/other")
    run = one.create_run(make_run())

    assert other.get_run(run.id) is None
    assert one.get_run(run.id) == run
    for store in (one, other):
        store.close()


def test_an_admission_needs_no_memory(open_firestore: OpenFirestore) -> None:
    """It came by another process's reading."""
    run = open_firestore().create_run(make_run())
    admission = make_admission(run, slot="0")

    open_firestore().admit([admission])

    assert open_firestore().get_run(run.id) == admission.after
