"""A cloud's word on an attempt, as a move: late, doubled, out of order, or of another container."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.observations import observed, with_handle
from dispatcher.ports import Cause, Move, Observation, Phase, Traits
from dispatcher.runs import ACTIVE, FlowRun, Name, StateType, Stop, StopReason
from dispatcher.testing.builders import NOW, make_attempt, make_run, make_slots
from dispatcher.watch import Patience

SECOND = timedelta(seconds=1)
TRAITS = Traits(pushes_events=True)
PATIENCE = Patience()


def active(state: Name = Name.RUNNING, *, handle: str | None = "h-1", **changes: Any) -> FlowRun:
    attempt = make_attempt(handle=handle, **changes.pop("attempt", {}))
    run = make_run(state=state, attempts=(attempt,), **changes)
    return replace(run, slots=make_slots(run))


def see(phase: Phase, **fields: Any) -> Observation:
    return Observation(phase=phase, **{"handle": "h-1", **fields})


STOPPED = see(Phase.STOPPED, cause=Cause.EXITED, exit_code=0)


def observe(run: FlowRun, seen: Observation) -> Move | None:
    return observed(run, seen, now=NOW, traits=TRAITS, patience=PATIENCE)


def after(move: Move | None) -> FlowRun:
    assert move is not None
    return move.after


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize(
    "state", [name for name in Name if name is not Name.LATE and make_run(state=name).state.type not in ACTIVE]
)
def test_of_a_run_that_is_not_active_no_word_changes_anything(state: Name, phase: Phase) -> None:
    run = make_run(state=state, attempts=(make_attempt(handle="h-1"),))

    assert observe(run, see(phase, cause=Cause.EXITED, exit_code=0)) is None


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("state", [Name.INFRASTRUCTURE_PENDING, Name.RUNNING, Name.CANCELLING])
def test_a_word_of_another_container_than_the_recorded_one_is_stale(state: Name, phase: Phase) -> None:
    assert observe(active(state), see(phase, handle="h-0", cause=Cause.EXITED, exit_code=0)) is None


def test_an_end_counts_for_the_recorded_handle() -> None:
    assert after(observe(active(), STOPPED)).state.name is Name.COMPLETED


def test_if_none_is_recorded_yet_the_event_records_it() -> None:
    running = after(observe(active(Name.SUBMITTING, handle=None), see(Phase.RUNNING)))
    pending = after(observe(active(Name.SUBMITTING, handle=None), see(Phase.PENDING)))
    stopped = after(observe(active(Name.SUBMITTING, handle=None), STOPPED))

    assert [run.attempts[0].handle for run in (running, pending, stopped)] == ["h-1"] * 3
    assert [run.attempts[0].submitted_at for run in (running, pending, stopped)] == [NOW] * 3
    assert [run.state.name for run in (running, pending, stopped)] == [Name.RUNNING, Name.SUBMITTING, Name.COMPLETED]


def test_a_word_without_a_handle_is_about_the_attempt_that_it_names() -> None:
    move = observe(active(), see(Phase.STOPPED, handle="", cause=Cause.KILLED))

    assert after(move).state.name is Name.CRASHED


def test_running_is_running_since_the_cloud_says_so() -> None:
    move = observe(active(Name.INFRASTRUCTURE_PENDING), see(Phase.RUNNING, started=NOW - SECOND))

    assert after(move).state.name is Name.RUNNING
    assert (after(move).started, after(move).attempts[0].started) == (NOW - SECOND, NOW - SECOND)
    assert move is not None
    assert move.check_at == NOW + PATIENCE.events


def test_in_a_later_attempt_a_run_still_started_with_its_first() -> None:
    first, second = make_attempt(), make_attempt(number=2, handle="h-1")
    run = make_run(state=Name.INFRASTRUCTURE_PENDING, attempts=(first, second), attempt=2, started=NOW - SECOND)

    moved = after(observe(replace(run, slots=make_slots(run)), see(Phase.RUNNING)))

    assert (moved.started, moved.attempts[1].started) == (NOW - SECOND, NOW)


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (Name.RUNNING, Phase.RUNNING),
        (Name.RUNNING, Phase.PENDING),
        (Name.INFRASTRUCTURE_PENDING, Phase.PENDING),
        (Name.CANCELLING, Phase.RUNNING),
        (Name.CANCELLING, Phase.PENDING),
        (Name.RUNNING, Phase.MISSING),
    ],
)
def test_what_is_known_already_changes_nothing(state: Name, phase: Phase) -> None:
    assert observe(active(state), see(phase)) is None


def test_running_said_after_the_end_changes_nothing() -> None:
    ended = after(observe(active(), STOPPED))

    assert observe(ended, see(Phase.RUNNING)) is None
    assert observe(ended, STOPPED) is None


def test_while_it_is_being_stopped_running_is_no_news_but_a_new_handle_is() -> None:
    run = active(Name.CANCELLING, handle=None, stop=Stop(StopReason.CANCELLED, NOW))

    move = observe(run, see(Phase.RUNNING))

    assert (after(move).state, after(move).attempts[0].handle) == (run.state, "h-1")
    assert move is not None
    assert move.check_at == NOW + PATIENCE.stop


def test_what_the_cloud_saw_end_while_it_was_being_stopped_ends_as_the_stop_says() -> None:
    run = active(Name.CANCELLING, stop=Stop(StopReason.CANCELLED, NOW, "on request"))

    move = observe(run, see(Phase.STOPPED, cause=Cause.STOPPED, exit_code=143))

    assert (after(move).state.type, after(move).state.message) == (StateType.CANCELLED, "on request")


def test_an_end_before_running_was_ever_seen_is_an_end() -> None:
    assert after(observe(active(Name.INFRASTRUCTURE_PENDING), STOPPED)).state.name is Name.COMPLETED


def test_a_recorded_handle_is_never_replaced() -> None:
    run = active()

    assert with_handle(run, "h-2", NOW) is run
    assert with_handle(run, "", NOW) is run
    assert with_handle(waiting := make_run(), "h-2", NOW) is waiting
