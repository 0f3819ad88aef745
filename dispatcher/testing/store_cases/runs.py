"""Runs are created once and read as they are."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.errors import InvalidInput
from dispatcher.ports import Move, Store
from dispatcher.runs import Name, OnUnknown, Policy, Stop, StopReason
from dispatcher.testing.builders import NOW, admitted, end, make_attempt, make_id, make_run, make_slots, start
from dispatcher.testing.racing import OpenStore

WEEK = NOW + timedelta(days=7)


class RunCases:
    def test_a_run_comes_back_as_it_was_created(self, store: Store) -> None:
        run = make_run(
            scheduled_time=NOW + timedelta(microseconds=123_457),
            due_at=NOW + timedelta(seconds=1),
            parameters={"größe": [1, 2.5, None, {"a": "\n\x00\u2028"}], "big": 2**70, "ratio": 1.0},
            job_variables={"cpu": "512", "env": {"A": ""}},
            tags=("nightly", 'a "quoted", one'),
            schedule_id=make_id("schedule"),
            schedule_version=4,
            max_lateness_seconds=60,
            idempotency_key="key",
            policy=Policy(2, 30, 600, OnUnknown.RETRY, ("failed", "crashed")),
        )

        assert store.create_run(run) == run
        assert store.get_run(run.id) == run

    def test_a_run_comes_back_with_all_that_an_attempt_adds(self, store: Store) -> None:
        run = make_run(state=Name.CANCELLING)
        attempt = make_attempt(handle="arn:1", links={"console": "https://x"}, claimed_by="i", log_tail="end\n")
        stop = Stop(StopReason.TIMED_OUT, NOW, "over 10 minutes")
        full = replace(run, attempts=(attempt,), slots=make_slots(run, queue="1"), stop=stop, started=NOW)

        store.create_run(full)

        assert store.get_run(full.id) == full

    def test_json_keeps_the_order_of_its_keys_and_the_kind_of_its_numbers(self, store: Store) -> None:
        parameters = {"z": 1, "a": 1.0, "m": {"y": 0, "b": False}}
        run = store.create_run(make_run(parameters=parameters))

        read = store.get_run(run.id)

        assert read is not None
        assert json.dumps(read.parameters) == json.dumps(parameters)

    def test_a_run_that_was_never_created_is_none(self, store: Store) -> None:
        assert store.get_run(make_id()) is None

    def test_a_payload_as_large_as_is_allowed_comes_back(self, store: Store) -> None:
        run = make_run(parameters={"text": "x" * (256 * 1024 - 20)})

        store.create_run(run)

        assert store.get_run(run.id) == run

    def test_a_payload_stays_through_moves(self, store: Store) -> None:
        active = admitted(store, make_run(parameters={"a": 1}, job_variables={"b": 2}))
        move = end(active)

        store.move(move)

        assert store.get_run(active.id) == move.after

    def test_an_id_that_is_taken_keeps_its_run(self, store: Store) -> None:
        run = store.create_run(make_run(name="first"))

        again = store.create_run(replace(run, name="second"))

        assert again == run
        assert store.get_run(run.id) == run

    def test_creating_a_run_again_returns_it_as_it_is_by_now(self, store: Store) -> None:
        run = make_run()
        active = admitted(store, run)

        assert store.create_run(run) == active
        assert store.get_run(run.id) == active

    def test_a_key_that_is_taken_returns_its_run(self, store: Store) -> None:
        run = store.create_run(make_run(idempotency_key="k"), keep_key_until=WEEK)
        second = make_run(idempotency_key="k")

        assert store.create_run(second, keep_key_until=WEEK) == run
        assert store.get_run(second.id) is None

    def test_a_key_that_is_taken_returns_its_run_as_it_is_by_now(self, store: Store) -> None:
        run = store.create_run(make_run(idempotency_key="k"), keep_key_until=WEEK)
        active = admitted(store, run)

        assert store.create_run(make_run(idempotency_key="k"), keep_key_until=WEEK) == active

    def test_a_key_is_its_deployments_own(self, store: Store) -> None:
        store.create_run(make_run(idempotency_key="k"), keep_key_until=WEEK)
        other = make_run(idempotency_key="k", deployment="another")

        assert store.create_run(other, keep_key_until=WEEK) == other
        assert store.get_run(other.id) == other

    def test_another_key_makes_another_run(self, store: Store) -> None:
        store.create_run(make_run(idempotency_key="k"), keep_key_until=WEEK)
        other = store.create_run(make_run(idempotency_key="l"), keep_key_until=WEEK)

        assert store.get_run(other.id) == other

    def test_runs_without_a_key_have_nothing_in_common(self, store: Store) -> None:
        first, second = store.create_run(make_run()), store.create_run(make_run())

        assert set(store.get_runs([first.id, second.id])) == {first.id, second.id}

    def test_of_many_ids_those_that_exist_are_read(self, store: Store) -> None:
        runs = [store.create_run(make_run()) for _ in range(120)]
        asked = [make_id(), *(run.id for run in runs), make_id(), runs[0].id]

        assert store.get_runs(asked) == {run.id: run for run in runs}
        assert store.get_runs([]) == {}

    def test_many_runs_are_read_as_they_are_now(self, open_store: OpenStore) -> None:
        here, there = open_store(), open_store()
        active = admitted(here, make_run())
        assert there.get_runs([active.id]) == {active.id: active}

        move = start(active)
        here.move(move)

        assert there.get_runs([active.id]) == {active.id: move.after}

    @pytest.mark.parametrize("what", ["scheduled_time", "due_at", "created"])
    def test_a_run_with_a_time_without_a_zone_is_refused(self, store: Store, what: str) -> None:
        times: dict[str, Any] = {what: NOW.replace(tzinfo=None)}
        run = make_run(**times)

        with pytest.raises(InvalidInput, match=what):
            store.create_run(run)

        assert store.get_run(run.id) is None

    @pytest.mark.parametrize("value", [float("inf"), object()], ids=["infinity", "object"])
    def test_parameters_that_json_cannot_say_are_refused(self, store: Store, value: Any) -> None:
        run = make_run(parameters={"value": value}, idempotency_key="k")

        with pytest.raises(InvalidInput, match="parameters"):
            store.create_run(run)

        assert store.get_run(run.id) is None
        assert store.create_run(replace(run, parameters={})) == replace(run, parameters={})

    def test_what_a_caller_does_to_parameters_later_changes_nothing_stored(self, store: Store) -> None:
        parameters: dict[str, Any] = {"list": [1]}
        run = store.create_run(make_run(parameters=parameters))
        parameters["list"].append(2)
        read = store.get_run(run.id)
        assert read is not None
        read.parameters["list"].append(3)

        again = store.get_run(run.id)

        assert again is not None
        assert again.parameters == {"list": [1]}

    def test_a_run_that_is_created_with_slots_takes_none(self, store: Store) -> None:
        """So a repair can be tested: an active run without its entry."""
        run = make_run(state=Name.RUNNING)
        store.create_run(replace(run, attempts=(make_attempt(),), slots=make_slots(run, queue="0")))

        assert not store.active(run.pool)
        assert not store.held(f"queue/{run.pool}/{run.queue}")

    def test_a_change_must_raise_the_version(self, store: Store) -> None:
        active = admitted(store, make_run())

        with pytest.raises(InvalidInput, match="version"):
            store.move(Move(active, replace(active, exit_code=1)))

        assert store.get_run(active.id) == active
