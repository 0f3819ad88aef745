"""What others have left of a refused batch: who is admitted at once, and into which slots."""

from __future__ import annotations

from collections.abc import Sequence

from dispatcher.admission import left_of
from dispatcher.errors import AdmissionRefused
from dispatcher.ports import Admission
from dispatcher.runs import Slot, pool_limit, queue_limit
from dispatcher.testing.builders import POOL, make_admission, make_run

LIMIT, HIGH, LOW = pool_limit(POOL), queue_limit(POOL, "high"), queue_limit(POOL, "low")


def batch_of(queues: Sequence[str]) -> list[Admission]:
    """A run of each queue, in the pool's slots from 0 on, and in its queue's."""
    return [
        make_admission(make_run(queue=queue), slot=str(number), queue_slot=str(queues[:number].count(queue)))
        for number, queue in enumerate(queues)
    ]


def slots_of(left: Sequence[Admission], batch: Sequence[Admission]) -> list[tuple[int, ...]]:
    """For each run that is left, its place in the batch and the names of its slots."""
    order = [item.before.id for item in batch]
    return [(order.index(item.before.id), *(int(slot.name) for slot in item.after.slots)) for item in left]


def test_a_slot_that_was_taken_goes_to_none_and_the_last_in_order_goes_without() -> None:
    batch = batch_of(["high", "high", "high"])

    left = left_of(batch, AdmissionRefused(taken={Slot(LIMIT, "0")}))

    assert slots_of(left, batch) == [(0, 1, 0), (1, 2, 1)]


def test_a_run_that_was_taken_leaves_its_place_to_the_others() -> None:
    batch = batch_of(["high", "high", "low"])

    left = left_of(batch, AdmissionRefused(taken={Slot(LIMIT, "0"), Slot(HIGH, "0")}, changed={batch[0].before.id}))

    assert slots_of(left, batch) == [(1, 1, 1), (2, 2, 0)]


def test_a_slot_of_a_queue_goes_to_no_run_of_another() -> None:
    batch = batch_of(["high", "low", "low"])

    left = left_of(batch, AdmissionRefused(taken={Slot(HIGH, "0"), Slot(LOW, "0")}))

    assert slots_of(left, batch) == [(1, 1, 1)]


def test_a_run_that_lost_its_queues_slot_loses_the_pools_last_to_none_that_comes_after_it() -> None:
    """Its queue may have another slot, which it is planned into next."""
    batch = batch_of(["high", "low"])

    assert left_of(batch, AdmissionRefused(taken={Slot(LIMIT, "0"), Slot(HIGH, "0")})) == []


def test_a_slot_that_is_named_by_its_run_goes_to_no_other() -> None:
    batch = [make_admission(run, slot=run.id) for run in (make_run(), make_run())]

    left = left_of(batch, AdmissionRefused(taken={batch[0].after.slots[0]}))

    assert [(item.before.id, item.after.slots[0].name) for item in left] == [(batch[1].before.id, batch[1].before.id)]


def test_a_refusal_that_names_nothing_leaves_nothing() -> None:
    assert left_of(batch_of(["high", "low"]), AdmissionRefused()) == []
