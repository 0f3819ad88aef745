"""A run's states: who may make which move, what a move leaves behind, and how a run reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest

from dispatcher.errors import IllegalMove
from dispatcher.runs import (
    ACTIVE,
    FINAL,
    HISTORY_KEPT,
    LATE_AFTER,
    MESSAGE_KEPT,
    MOVES,
    TYPE_OF,
    Actor,
    FlowRun,
    Name,
    Slot,
    StateType,
    amended,
    deployment_limit,
    moved,
    pool_limit,
    queue_limit,
    shown_name,
    with_attempt,
)
from dispatcher.testing.builders import NOW, make_attempt, make_run

SOME_NAME = {kind: next(name for name in Name if TYPE_OF[name] is kind) for kind in StateType}
PAIRS = list(product(StateType, StateType, Actor))
LEGAL = [(here, there, who) for here, there, who in PAIRS if who in MOVES.get((here, there), ())]
ILLEGAL = [case for case in PAIRS if case not in LEGAL]


def word(value: object) -> str:
    return str(getattr(value, "value", value))


def test_every_name_has_a_type_and_every_type_a_name() -> None:
    assert set(TYPE_OF) == set(Name)
    assert set(TYPE_OF.values()) == set(StateType)


def test_every_state_is_scheduled_active_or_final() -> None:
    assert ACTIVE | FINAL | {StateType.SCHEDULED} == set(StateType)
    assert not ACTIVE & FINAL


@pytest.mark.parametrize(("here", "there", "actor"), LEGAL, ids=word)
def test_a_legal_move_is_one_version_on_and_joins_the_history(here: StateType, there: StateType, actor: Actor) -> None:
    run = make_run(state=SOME_NAME[here])

    after = moved(run, SOME_NAME[there], actor=actor, at=NOW + LATE_AFTER, message="why")

    assert (after.state.type, after.state.at, after.state.message) == (there, NOW + LATE_AFTER, "why")
    assert after.version == run.version + 1
    assert after.history == (*run.history, after.state)


@pytest.mark.parametrize(("here", "there", "actor"), ILLEGAL, ids=word)
def test_a_move_that_the_table_lacks_is_refused_to_this_actor(here: StateType, there: StateType, actor: Actor) -> None:
    run = make_run(state=SOME_NAME[here])

    with pytest.raises(IllegalMove, match=f"run {run.id}: {actor} cannot move it from {SOME_NAME[here]}"):
        moved(run, SOME_NAME[there], actor=actor, at=NOW)


def test_from_an_end_only_a_user_leads_on_and_only_to_a_retry() -> None:
    onward = {(there, who) for here, there, who in LEGAL if here in FINAL}

    assert onward == {(StateType.SCHEDULED, Actor.USER)}


def test_nobody_gets_out_of_scheduled_into_running_without_an_admission() -> None:
    from_scheduled = {there for here, there, _ in LEGAL if here is StateType.SCHEDULED}

    assert from_scheduled & ACTIVE == {StateType.PENDING}
    assert MOVES[StateType.SCHEDULED, StateType.PENDING] == {Actor.DISPATCHER}


def test_every_unfinished_state_leads_to_an_end() -> None:
    for state in StateType:
        if state not in FINAL:
            assert {there for here, there, _ in LEGAL if here is state} & FINAL


def test_neither_a_user_nor_a_container_ends_an_active_attempt_as_cancelled_without_its_stop() -> None:
    direct = {(here, who) for here, there, who in LEGAL if there is StateType.CANCELLED and here in ACTIVE}

    assert {here for here, _ in direct} == {StateType.CANCELLING}
    assert Actor.USER not in {who for _, who in direct}


def test_a_moves_time_is_kept_in_utc() -> None:
    at = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    after = moved(make_run(), Name.SUBMITTING, actor=Actor.DISPATCHER, at=at)

    assert (after.state.at, after.state.at.tzinfo) == (NOW, UTC)


def test_a_move_changes_what_it_is_told_to_and_nothing_else() -> None:
    run = make_run(tags=("a",))

    after = moved(run, Name.SUBMITTING, actor=Actor.DISPATCHER, at=NOW, submit_seq=4)

    assert (after.submit_seq, after.tags, after.id, after.parameters) == (4, ("a",), run.id, run.parameters)


def test_the_history_keeps_the_latest_states() -> None:
    run = make_run()
    for number in range(HISTORY_KEPT + 5):
        run = moved(run, Name.SCHEDULED, actor=Actor.DISPATCHER, at=NOW, message=str(number))

    assert len(run.history) == HISTORY_KEPT
    assert (run.history[0].message, run.history[-1].message) == ("5", str(HISTORY_KEPT + 4))


def test_a_message_is_cut_where_it_gets_long() -> None:
    after = moved(make_run(), Name.CANCELLED, actor=Actor.USER, at=NOW, message="x" * (MESSAGE_KEPT + 1))

    assert after.state.message == after.history[-1].message == "x" * MESSAGE_KEPT


def test_an_amended_run_is_one_version_on_in_the_same_state() -> None:
    run = make_run()

    after = amended(run, queue="other")

    assert (after.version, after.queue, after.state, after.history) == (2, "other", run.state, run.history)


@pytest.mark.parametrize(
    ("name", "seconds", "shown"),
    [
        (Name.SCHEDULED, 15, Name.SCHEDULED),
        (Name.SCHEDULED, 15.001, Name.LATE),
        (Name.AWAITING_RETRY, 3600, Name.AWAITING_RETRY),
        (Name.AWAITING_CONCURRENCY_SLOT, 3600, Name.AWAITING_CONCURRENCY_SLOT),
        (Name.RUNNING, 3600, Name.RUNNING),
        (Name.COMPLETED, 3600, Name.COMPLETED),
    ],
)
def test_a_scheduled_run_reads_late_once_it_is_over_15_seconds_past_due(
    name: Name, seconds: float, shown: Name
) -> None:
    assert shown_name(make_run(state=name), NOW + timedelta(seconds=seconds)) is shown


def test_lateness_counts_from_when_the_run_is_due_again() -> None:
    run = make_run(scheduled_time=NOW - timedelta(days=1), due_at=NOW)

    assert shown_name(run, NOW) is Name.SCHEDULED


def test_late_is_only_a_reading_and_changes_no_stored_state() -> None:
    run = make_run()

    shown_name(run, NOW + timedelta(hours=1))

    assert run.state.name is Name.SCHEDULED


def test_a_run_that_was_never_admitted_has_no_current_attempt() -> None:
    run = make_run()

    assert (run.current, run.was_admitted, run.is_active, run.is_final) == (None, False, False, False)


def test_the_current_attempt_is_the_one_that_the_run_is_in() -> None:
    first, second = make_attempt(number=1), make_attempt(number=2)

    assert make_run(attempts=(first, second), attempt=2).current == second
    assert make_run(attempts=(first, second), attempt=3).current is None


def test_changing_the_current_attempt_leaves_the_earlier_ones() -> None:
    first, second = make_attempt(number=1), make_attempt(number=2)
    run = make_run(attempts=(first, second), attempt=2)

    kept, changed = with_attempt(run, handle="h-1")

    assert kept == first
    assert (changed.number, changed.handle) == (2, "h-1")


def test_an_attempt_that_is_not_there_cannot_be_changed() -> None:
    with pytest.raises(AssertionError, match="has no attempt 1"):
        with_attempt(make_run(), handle="h-1")


def test_the_names_of_limits_cannot_be_confused() -> None:
    limits = {pool_limit("a"), queue_limit("a", "b"), queue_limit("b", "a"), deployment_limit("a")}

    assert len(limits) == 4
    assert Slot(pool_limit("a"), "0") != Slot(deployment_limit("a"), "0")


@pytest.mark.parametrize("state", list(Name), ids=word)
def test_each_state_is_active_or_final_as_its_type_is(state: Name) -> None:
    run: FlowRun = make_run(state=state)

    assert run.is_active is (TYPE_OF[state] in ACTIVE)
    assert run.is_final is (TYPE_OF[state] in FINAL)
