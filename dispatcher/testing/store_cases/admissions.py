"""Admission: slots and runs in one commit, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.errors import AdmissionRefused, InvalidInput
from dispatcher.ports import ActiveEntry, Admission, Store
from dispatcher.runs import FlowRun, Name, Slot, State, Target, pool_limit
from dispatcher.testing.builders import (
    NOW,
    POOL,
    TARGET,
    admitted,
    end,
    make_admission,
    make_attempt,
    make_id,
    make_request,
    make_run,
    park,
    parked,
    refuse,
    retry,
)

MINUTE = timedelta(minutes=1)


def create(store: Store, number: int) -> list[FlowRun]:
    return [store.create_run(make_run()) for _ in range(number)]


def assert_untouched(store: Store, runs: Sequence[FlowRun]) -> None:
    """Nothing of a refused batch is there: no state, no slot; each is due as before."""
    ids = [run.id for run in runs]
    assert store.get_runs(ids) == {run.id: run for run in runs}
    assert {item.run_id for item in store.due(POOL, "default", NOW, limit=100).items} >= set(ids)
    assert not set(ids) & {entry.run_id for entry in store.active(POOL)}


class AdmissionCases:
    def test_an_admitted_run_reads_as_it_became(self, store: Store) -> None:
        run = store.create_run(make_run(parameters={"a": 1}))
        admission = make_admission(run, slot="0", queue_slot="3", deployment_slot="1")

        store.admit([admission])

        assert store.get_run(run.id) == admission.after
        assert admission.after.state.name is Name.SUBMITTING

    def test_its_slots_are_held_in_its_name(self, store: Store) -> None:
        run = admitted(store, make_run(queue="high"), slot="0", queue_slot="3", deployment_slot="1")

        assert store.held("queue/pool/high") == {"3": run.id}
        assert store.held(f"deployment/{run.deployment_id}") == {"1": run.id}
        assert store.held("queue/pool/default") == {}
        assert store.held(f"deployment/{make_id('another')}") == {}

    def test_its_pool_slot_is_its_active_entry(self, store: Store) -> None:
        run = admitted(store, make_run(), slot="4", queue_slot="3", deployment_slot="1", check_in=MINUTE)

        assert list(store.active(POOL)) == [
            ActiveEntry(
                slot=Slot(pool_limit(POOL), "4"),
                run_id=run.id,
                attempt=1,
                pool=POOL,
                queue="default",
                deployment_id=run.deployment_id,
                slots=run.slots,
                check_at=NOW + MINUTE,
                heard_at=None,
            )
        ]
        assert not store.active("another")

    def test_every_active_entry_of_a_pool_is_listed(self, store: Store) -> None:
        runs = create(store, 60)
        for some in (runs[:25], runs[25:50], runs[50:]):
            store.admit([make_admission(run) for run in some])
        admitted(store, make_run(pool="another"))

        assert {entry.run_id for entry in store.active(POOL)} == {run.id for run in runs}

    def test_without_a_limit_any_number_of_runs_is_admitted_by_their_ids(self, store: Store) -> None:
        runs = create(store, 3)

        store.admit([make_admission(run) for run in runs])

        assert {entry.slot.name for entry in store.active(POOL)} == {run.id for run in runs}

    def test_a_parked_run_is_admitted_and_parked_no_more(self, store: Store) -> None:
        run = parked(store, make_run())

        store.admit([make_admission(run)])

        assert not store.parked_runs(POOL, run.deployment_id, limit=10)
        assert {entry.run_id for entry in store.active(POOL)} == {run.id}

    def test_25_runs_with_three_slots_each_are_admitted_in_one_commit(self, store: Store) -> None:
        runs = create(store, 25)
        names = [str(number) for number in range(25)]

        store.admit(
            [
                make_admission(run, slot=name, queue_slot=name, deployment_slot=name)
                for run, name in zip(runs, names, strict=True)
            ]
        )

        by_name = {name: run.id for run, name in zip(runs, names, strict=True)}
        assert {entry.slot.name: entry.run_id for entry in store.active(POOL)} == by_name
        assert store.held("queue/pool/default") == by_name
        assert store.held(f"deployment/{make_id('etl')}") == by_name
        assert store.due(POOL, "default", NOW, limit=10).items == ()

    def test_runs_of_several_queues_and_deployments_are_admitted_in_one_commit(self, store: Store) -> None:
        high = store.create_run(make_run(queue="high", deployment="a"))
        low = store.create_run(make_run(queue="low", deployment="b"))

        store.admit(
            [
                make_admission(high, slot="0", queue_slot="0", deployment_slot="0"),
                make_admission(low, slot="1", queue_slot="0", deployment_slot="0"),
            ]
        )

        assert store.held("queue/pool/high") == {"0": high.id}
        assert store.held("queue/pool/low") == {"0": low.id}
        assert {entry.run_id: entry.queue for entry in store.active(POOL)} == {high.id: "high", low.id: "low"}

    @pytest.mark.parametrize("limit", ["slot", "queue_slot", "deployment_slot"])
    def test_a_slot_that_is_taken_refuses_the_whole_batch(self, store: Store, limit: str) -> None:
        holder = admitted(store, make_run(), slot="0", queue_slot="0", deployment_slot="0")
        runs = create(store, 3)
        names: dict[str, Any] = {"slot": "9", "queue_slot": "9", "deployment_slot": "9", limit: "0"}
        batch = [make_admission(runs[0]), make_admission(runs[1], **names), make_admission(runs[2])]

        with pytest.raises(AdmissionRefused) as refused:
            store.admit(batch)

        where = ["slot", "queue_slot", "deployment_slot"].index(limit)
        assert refused.value.taken == {holder.slots[where]}
        assert not refused.value.changed
        assert_untouched(store, runs)
        assert {entry.run_id for entry in store.active(POOL)} == {holder.id}
        assert store.held("queue/pool/default") == {"0": holder.id}

    def test_a_run_that_is_not_as_read_refuses_the_whole_batch(self, store: Store) -> None:
        runs = create(store, 3)
        move = park(runs[2])
        store.move(move)

        with pytest.raises(AdmissionRefused) as refused:
            store.admit([make_admission(run, queue_slot=str(n)) for n, run in enumerate(runs)])

        assert refused.value.changed == {runs[2].id}
        assert not refused.value.taken
        assert_untouched(store, runs[:2])
        assert store.get_run(runs[2].id) == move.after
        assert store.held("queue/pool/default") == {}

    def test_a_run_that_is_gone_refuses_the_whole_batch(self, store: Store) -> None:
        runs = create(store, 2)
        store.delete_run(runs[1])

        with pytest.raises(AdmissionRefused) as refused:
            store.admit([make_admission(run) for run in runs])

        assert refused.value.changed == {runs[1].id}
        assert_untouched(store, runs[:1])
        assert store.get_run(runs[1].id) is None

    def test_a_refusal_names_every_taken_slot_and_every_changed_run(self, store: Store) -> None:
        for name in ("0", "1"):
            admitted(store, make_run(), slot=name, queue_slot=name)
        runs = create(store, 4)
        for run in runs[:2]:
            store.move(park(run))
        batch = [
            make_admission(runs[0]),
            make_admission(runs[1], slot="0"),
            make_admission(runs[2], slot="1", queue_slot="0"),
            make_admission(runs[3], slot="2"),
        ]

        with pytest.raises(AdmissionRefused) as refused:
            store.admit(batch)

        pool = pool_limit(POOL)
        assert refused.value.taken == {Slot(pool, "0"), Slot(pool, "1"), Slot("queue/pool/default", "0")}
        assert refused.value.changed == {runs[0].id, runs[1].id}
        assert_untouched(store, runs[2:])

    @pytest.mark.parametrize("limit", ["slot", "queue_slot", "deployment_slot"])
    def test_a_slot_that_two_of_a_batch_ask_for_is_refused(self, store: Store, limit: str) -> None:
        runs = create(store, 2)
        names: dict[str, Any] = {limit: "0"}
        batch = [make_admission(run, **names) for run in runs]

        with pytest.raises(AdmissionRefused) as refused:
            store.admit(batch)

        assert refused.value.taken == set(batch[0].after.slots) & set(batch[1].after.slots)
        assert_untouched(store, runs)

    def test_a_run_that_a_batch_names_twice_is_refused(self, store: Store) -> None:
        runs = create(store, 1)

        with pytest.raises(AdmissionRefused) as refused:
            store.admit([make_admission(runs[0], slot="0"), make_admission(runs[0], slot="1")])

        assert refused.value.changed == {runs[0].id}
        assert_untouched(store, runs)

    def test_an_active_run_is_not_admitted_again(self, store: Store) -> None:
        run = store.create_run(make_run())
        active = admitted(store, run, slot="0")

        with pytest.raises(AdmissionRefused):
            store.admit([make_admission(run, slot="1")])

        assert store.get_run(run.id) == active
        assert [entry.slot.name for entry in store.active(POOL)] == ["0"]

    def test_a_slot_is_free_again_after_the_end(self, store: Store) -> None:
        first = admitted(store, make_run(), slot="0", queue_slot="0", deployment_slot="0")
        store.move(end(first))

        second = admitted(store, make_run(), slot="0", queue_slot="0", deployment_slot="0")

        assert [entry.run_id for entry in store.active(POOL)] == [second.id]
        assert store.held("queue/pool/default") == {"0": second.id}

    def test_the_request_comes_back_to_the_letter(self, store: Store) -> None:
        body = {"z": [1, 1.0, None, "ß"], "a": {"": 2**60, "b": [{"y": 1, "x": "\u2028\n"}]}}
        request = make_request(target=Target("ecs:push", "123456789012", "eu-west-1", "main"), **body)

        run = admitted(store, make_run(), request=request)

        stored = store.request(run.id, 1)
        assert stored == request
        assert stored is not None
        assert json.dumps(stored.body) == json.dumps(request.body)

    def test_an_attempt_that_was_never_admitted_has_no_request(self, store: Store) -> None:
        waiting = store.create_run(make_run())
        active = admitted(store, make_run())

        assert store.request(waiting.id, 1) is None
        assert store.request(active.id, 2) is None

    def test_a_later_submission_of_an_attempt_replaces_its_request(self, store: Store) -> None:
        first = admitted(store, make_run(), request=make_request(n=1))
        again = refuse(first)
        store.move(again)

        admitted(store, again.after, request=make_request(n=2))

        assert store.request(first.id, 1) == make_request(n=2)

    def test_an_admission_that_is_refused_leaves_the_request_of_the_one_that_was_not(self, store: Store) -> None:
        run = store.create_run(make_run())
        admitted(store, run, request=make_request(n=1))

        with pytest.raises(AdmissionRefused):
            store.admit([make_admission(run, request=make_request(n=2))])

        assert store.request(run.id, 1) == make_request(n=1)

    def test_every_attempt_keeps_its_request(self, store: Store) -> None:
        first = admitted(store, make_run(), request=make_request(n=1))
        again = retry(first)
        store.move(again)

        second = admitted(store, again.after, request=make_request(n=2))

        assert store.request(first.id, 1) == make_request(n=1)
        assert store.request(first.id, 2) == make_request(n=2)
        assert [entry.attempt for entry in store.active(POOL)] == [second.attempt] == [2]

    def test_more_than_25_are_refused_at_once(self, store: Store) -> None:
        runs = create(store, 26)

        with pytest.raises(InvalidInput, match="25"):
            store.admit([make_admission(run) for run in runs])

        assert_untouched(store, runs)

    def test_an_admission_must_take_a_slot_of_its_pool_first(self, store: Store) -> None:
        run = store.create_run(make_run())
        good = make_admission(run, slot="0", queue_slot="0")
        none = replace(good, after=replace(good.after, slots=()))
        turned = replace(good, after=replace(good.after, slots=good.after.slots[::-1]))

        for bad in (none, turned):
            with pytest.raises(InvalidInput, match="slot"):
                store.admit([bad])

        assert_untouched(store, [run])

    def test_an_admission_must_lead_to_pending(self, store: Store) -> None:
        run = store.create_run(make_run())
        good = make_admission(run)
        running = replace(good.after, state=State(Name.RUNNING, NOW))

        with pytest.raises(InvalidInput, match="Running"):
            store.admit([replace(good, after=running)])

        assert_untouched(store, [run])

    def test_an_admission_without_a_zone_is_refused(self, store: Store) -> None:
        run = store.create_run(make_run())
        after = make_admission(run).after

        with pytest.raises(InvalidInput, match="check_at"):
            store.admit([Admission(run, after, make_request(), NOW.replace(tzinfo=None))])

        assert_untouched(store, [run])

    def test_a_request_that_json_cannot_say_is_refused(self, store: Store) -> None:
        runs = create(store, 2)
        bad = make_request(value=object())

        with pytest.raises(InvalidInput):
            store.admit([make_admission(runs[0]), make_admission(runs[1], request=bad)])

        assert_untouched(store, runs)

    def test_a_retried_run_is_admitted_with_its_earlier_attempts(self, store: Store) -> None:
        again = retry(admitted(store, make_run()))
        store.move(again)

        run = admitted(store, again.after)

        assert store.get_run(run.id) == run
        assert [attempt.number for attempt in run.attempts] == [1, 2]
        assert run.attempts[1] == make_attempt(number=2, target=TARGET)
