"""What becomes of a run when an attempt ends: what is written, whether it is tried again, what is owed for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.ends import (
    FREE_ATTEMPTS,
    LOG_TAIL_BYTES,
    RUNNER_REFUSED,
    TO_BE_FOUND,
    End,
    EndKind,
    cancelled,
    ended,
    notices,
    observed_end,
    unstartable,
)
from dispatcher.ports import Cause, Observation, OutboxEntry, Phase
from dispatcher.runs import Actor, FlowRun, Name, OnUnknown, Policy, StateType, Stop, StopReason
from dispatcher.testing.builders import NOW, TARGET, make_attempt, make_run, make_slots
from dispatcher.watch import Patience

PATIENCE = Patience()
SECOND = timedelta(seconds=1)
HANDLED = [kind for kind in EndKind if kind is not EndKind.COMPLETED]


def active(state: Name = Name.RUNNING, *, attempt: dict[str, Any] | None = None, **changes: Any) -> FlowRun:
    """A run in its first attempt, which has a handle, with a slot of its pool."""
    fields = {"handle": "h-1", **(attempt or {})}
    run = make_run(state=state, attempts=(make_attempt(**fields),), **changes)
    return replace(run, slots=make_slots(run))


def stopping(reason: StopReason, **changes: Any) -> FlowRun:
    return active(Name.STOPPING, stop=Stop(reason, NOW, f"because {reason}"), **changes)


def end(run: FlowRun, kind: EndKind, *, actor: Actor = Actor.CLOUD, **fields: Any) -> FlowRun:
    return ended(run, End(kind=kind, **fields), actor=actor, now=NOW, patience=PATIENCE)[0]


def owed(run: FlowRun, kind: EndKind) -> tuple[OutboxEntry, ...]:
    return ended(run, End(kind=kind), actor=Actor.CLOUD, now=NOW, patience=PATIENCE)[1]


# every end


@pytest.mark.parametrize("kind", EndKind)
@pytest.mark.parametrize("retries", [0, 1], ids=["the last attempt", "with a retry left"])
@pytest.mark.parametrize("reason", [None, *StopReason])
def test_every_end_takes_the_slots_and_the_stop_away_and_is_noted_in_the_attempt(
    kind: EndKind, retries: int, reason: StopReason | None
) -> None:
    policy = Policy(retries=retries)
    run = active(policy=policy) if reason is None else stopping(reason, policy=policy)

    after = end(run, kind, exit_code=3, log_tail="last words")

    assert (after.slots, after.stop, after.is_active) == ((), None, False)
    assert (after.attempts[-1].ended, after.attempts[-1].exit_code) == (NOW, 3)
    assert after.attempts[-1].log_tail == "last words"
    assert after.attempts[-1].outcome


@pytest.mark.parametrize("kind", EndKind)
def test_a_final_run_says_when_it_ended_and_when_it_may_be_forgotten(kind: EndKind) -> None:
    run = active(free_attempts=FREE_ATTEMPTS)

    after = end(run, kind, at=NOW - SECOND)

    assert after.is_final
    assert after.ended == NOW - SECOND
    assert after.expires_at == NOW + PATIENCE.retention


def test_of_a_long_output_the_last_bytes_are_kept() -> None:
    after = end(active(), EndKind.FAILED, log_tail="é" * LOG_TAIL_BYTES + "done")

    tail = after.attempts[-1].log_tail
    assert tail.endswith("ééédone")
    assert LOG_TAIL_BYTES - 3 <= len(tail.encode()) <= LOG_TAIL_BYTES


# without a stop


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (EndKind.COMPLETED, Name.COMPLETED),
        (EndKind.FAILED, Name.FAILED),
        (EndKind.CRASHED, Name.CRASHED),
        (EndKind.REFUSED, Name.CRASHED),
        (EndKind.UNKNOWN, Name.CRASHED),
    ],
)
def test_an_end_without_retries_is_final(kind: EndKind, name: Name) -> None:
    after = end(active(), kind, message="why")

    assert (after.state.name, after.state.message) == (name, "why")
    assert after.attempts[-1].outcome == f"{name}: why"


@pytest.mark.parametrize("kind", [EndKind.FAILED, EndKind.CRASHED])
def test_a_retry_is_a_new_attempt_after_its_delay(kind: EndKind) -> None:
    run = active(policy=Policy(retries=2, retry_delay_seconds=30), submit_seq=4)

    after = end(run, kind)

    assert after.state.name is Name.AWAITING_RETRY
    assert (after.attempt, after.submit_seq, after.retries_used) == (2, 1, 1)
    assert after.due_at == NOW + 30 * SECOND
    assert (after.scheduled_time, after.ended, after.expires_at) == (run.scheduled_time, None, None)
    assert after.current is None


def test_when_its_retries_are_used_up_a_run_has_failed() -> None:
    after = end(active(policy=Policy(retries=2), retries_used=2), EndKind.FAILED)

    assert after.state.name is Name.FAILED


@pytest.mark.parametrize("kind", [EndKind.COMPLETED, EndKind.REFUSED, EndKind.UNKNOWN])
def test_what_is_done_can_never_start_or_may_have_run_is_not_retried(kind: EndKind) -> None:
    assert end(active(policy=Policy(retries=5)), kind).is_final


def test_an_infrastructure_crash_costs_no_retry_and_waits_longer_each_time() -> None:
    run, delays = active(policy=Policy(retries=1)), []
    for _ in range(FREE_ATTEMPTS):
        after = end(run, EndKind.INFRASTRUCTURE)
        delays.append(after.due_at - NOW)
        run = active(policy=run.policy, free_attempts=after.free_attempts, retries_used=after.retries_used)

    assert delays == [5 * SECOND, 10 * SECOND, 20 * SECOND]
    assert run.retries_used == 0


def test_free_attempts_are_bounded_and_after_them_retries_are_used() -> None:
    run = active(policy=Policy(retries=1), free_attempts=FREE_ATTEMPTS)

    second = end(run, EndKind.INFRASTRUCTURE)
    last = end(replace(run, retries_used=1), EndKind.INFRASTRUCTURE)

    assert (second.state.name, second.retries_used, second.free_attempts) == (Name.AWAITING_RETRY, 1, FREE_ATTEMPTS)
    assert last.state.name is Name.CRASHED


def test_an_unknown_outcome_is_tried_again_only_where_the_deployment_says_so_and_bounded() -> None:
    policy = Policy(on_unknown=OnUnknown.RETRY)

    assert end(active(policy=policy), EndKind.UNKNOWN).state.name is Name.AWAITING_RETRY
    assert end(active(policy=policy, free_attempts=FREE_ATTEMPTS), EndKind.UNKNOWN).state.name is Name.CRASHED


# with a stop


@pytest.mark.parametrize("kind", HANDLED)
@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (StopReason.CANCELLED, Name.CANCELLED),
        (StopReason.SUPERSEDED, Name.CANCELLED),
        (StopReason.TIMED_OUT, Name.TIMED_OUT),
        (StopReason.LOST, Name.CRASHED),
    ],
)
def test_a_stop_says_what_is_written_however_the_attempt_ended(reason: StopReason, name: Name, kind: EndKind) -> None:
    after = end(stopping(reason), kind, message="exit code 143")

    assert (after.state.name, after.state.message) == (name, f"because {reason}")


@pytest.mark.parametrize("kind", EndKind)
@pytest.mark.parametrize("reason", [StopReason.CANCELLED, StopReason.SUPERSEDED])
def test_what_was_cancelled_is_never_tried_again(reason: StopReason, kind: EndKind) -> None:
    run = stopping(reason, policy=Policy(retries=9, on_unknown=OnUnknown.RETRY))

    assert end(run, kind).is_final


@pytest.mark.parametrize("reason", [StopReason.TIMED_OUT, StopReason.LOST])
def test_a_timeout_and_a_lost_container_use_a_retry(reason: StopReason) -> None:
    after = end(stopping(reason, policy=Policy(retries=1)), EndKind.CRASHED)

    assert (after.state.name, after.retries_used, after.free_attempts) == (Name.AWAITING_RETRY, 1, 0)
    assert after.state.message == f"because {reason}"


def test_what_never_started_is_tried_again_freely_and_bounded() -> None:
    run = stopping(StopReason.NOT_STARTED)

    first = end(run, EndKind.CRASHED)
    last = end(replace(run, free_attempts=FREE_ATTEMPTS), EndKind.CRASHED)

    assert (first.state.name, first.free_attempts, first.retries_used) == (Name.AWAITING_RETRY, 1, 0)
    assert last.state.name is Name.CRASHED


@pytest.mark.parametrize("reason", [StopReason.CANCELLED, StopReason.SUPERSEDED, StopReason.LOST])
def test_what_was_done_before_the_stop_reached_it_is_completed(reason: StopReason) -> None:
    after = end(stopping(reason), EndKind.COMPLETED, message="done", signalled=False)

    assert (after.state.name, after.state.message) == (Name.COMPLETED, "done")


@pytest.mark.parametrize("reason", [StopReason.CANCELLED, StopReason.SUPERSEDED, StopReason.LOST])
def test_what_ended_well_because_it_was_told_to_stop_is_not_completed(reason: StopReason) -> None:
    after = end(stopping(reason), EndKind.COMPLETED, signalled=True, exit_code=0)

    assert after.state.name is not Name.COMPLETED
    assert after.state.message == f"because {reason}"


def test_over_its_timeout_is_timed_out_even_if_it_got_done_in_the_end() -> None:
    after = end(stopping(StopReason.TIMED_OUT), EndKind.COMPLETED)

    assert (after.state.name, after.state.type) == (Name.TIMED_OUT, StateType.FAILED)
    assert after.state.message == "because timed_out"


def test_a_stop_that_turns_into_a_definite_no_ends_by_the_dispatchers_hand() -> None:
    for reason in StopReason:
        run = stopping(reason, free_attempts=FREE_ATTEMPTS)
        assert end(run, EndKind.REFUSED, actor=Actor.DISPATCHER).is_final


# runs that never started


def test_a_scheduled_run_is_cancelled_at_once() -> None:
    after, _ = cancelled(make_run(parked=True), "no longer", actor=Actor.USER, now=NOW, patience=PATIENCE)

    assert (after.state.name, after.state.message) == (Name.CANCELLED, "no longer")
    assert (after.ended, after.expires_at, after.parked) == (NOW, NOW + PATIENCE.retention, False)


def test_a_run_whose_request_cannot_be_made_has_crashed() -> None:
    after, _ = unstartable(make_run(parked=True), "cpu is 3", now=NOW, patience=PATIENCE)

    assert (after.state.name, after.state.message) == (Name.CRASHED, "cpu is 3")
    assert (after.ended, after.expires_at, after.parked) == (NOW, NOW + PATIENCE.retention, False)


# what the cloud says


def seen(cause: Cause | None = None, code: int | None = None, **fields: Any) -> Observation:
    return Observation(phase=Phase.STOPPED, handle="h-1", cause=cause, exit_code=code, **fields)


@pytest.mark.parametrize(
    ("cause", "code", "kind"),
    [
        (Cause.EXITED, 0, EndKind.COMPLETED),
        (Cause.EXITED, 1, EndKind.FAILED),
        (Cause.EXITED, None, EndKind.FAILED),
        (Cause.KILLED, 137, EndKind.CRASHED),
        (Cause.KILLED, 0, EndKind.CRASHED),
        (Cause.STOPPED, 0, EndKind.CRASHED),
        (Cause.INFRASTRUCTURE, None, EndKind.INFRASTRUCTURE),
        (Cause.REFUSED, None, EndKind.REFUSED),
        (None, None, EndKind.CRASHED),
    ],
)
def test_the_clouds_cause_says_what_kind_of_end_it_was(cause: Cause | None, code: int | None, kind: EndKind) -> None:
    assert observed_end(active(), seen(cause, code)).kind is kind


def test_the_clouds_times_and_words_are_kept() -> None:
    told = observed_end(active(), seen(Cause.KILLED, 137, message="out of memory", ended=NOW - SECOND, log_tail="x"))

    assert (told.message, told.at, told.log_tail, told.exit_code) == ("out of memory", NOW - SECOND, "x", 137)


def test_75_before_a_claim_is_the_runner_that_could_not_start_a_free_attempt() -> None:
    told = observed_end(active(Name.INFRASTRUCTURE_PENDING), seen(Cause.EXITED, RUNNER_REFUSED))

    assert told.kind is EndKind.INFRASTRUCTURE
    assert "could it reach the API?" in told.message


def test_75_after_a_claim_is_a_runner_that_gave_its_command_up_and_never_its_outcome() -> None:
    run = active(attempt={"claimed_by": "i-1"})

    assert observed_end(run, seen(Cause.EXITED, RUNNER_REFUSED)).kind is EndKind.CRASHED


# what is owed


def test_what_the_cloud_keeps_is_owed_a_clean_up_for_a_retry_as_for_an_end() -> None:
    run = active(attempt={"cleanup_seconds": 60}, policy=Policy(retries=1))
    expected = OutboxEntry(
        f"cleanup/{run.id}/1", "cleanup", run.pool, run.id, NOW + 60 * SECOND,
        {"target": {"type": TARGET.type, "account": TARGET.account}, "handle": "h-1"},
    )  # fmt: skip

    assert owed(run, EndKind.FAILED) == owed(run, EndKind.COMPLETED) == (expected,)


@pytest.mark.parametrize(("attempt", "kind"), [({"claimed_by": "i-1"}, EndKind.COMPLETED), ({}, EndKind.UNKNOWN)])
def test_what_was_never_named_and_may_be_there_is_to_be_found_and_cleaned_up(
    attempt: dict[str, Any], kind: EndKind
) -> None:
    run = active(attempt={"cleanup_seconds": 60, "handle": None, **attempt})

    (entry,) = owed(run, kind)

    assert entry.due_at == NOW + 60 * SECOND + TO_BE_FOUND
    assert (entry.body["attempt"], entry.body["submit_seq"], "handle" in entry.body) == (1, 1, False)


@pytest.mark.parametrize("attempt", [{"cleanup_seconds": None}, {"cleanup_seconds": 0, "handle": None}])
def test_nothing_is_owed_where_the_cloud_keeps_nothing_or_nothing_was_started(attempt: dict[str, Any]) -> None:
    assert owed(active(attempt=attempt), EndKind.COMPLETED) == ()


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        (Name.COMPLETED, ("completed",), "completed"),
        (Name.FAILED, ("failed",), "failed"),
        (Name.CRASHED, ("crashed",), "crashed"),
        (Name.CANCELLED, ("cancelled", "completed"), "cancelled"),
        (Name.TIMED_OUT, ("timed_out",), "timed_out"),
        (Name.TIMED_OUT, ("failed",), "timed_out"),
        (Name.FAILED, ("timed_out",), None),
        (Name.COMPLETED, ("failed", "crashed", "cancelled", "timed_out", "late"), None),
        (Name.COMPLETED, (), None),
    ],
)
def test_a_notice_is_owed_where_the_deployment_asked_for_it(
    name: Name, words: tuple[str, ...], said: str | None
) -> None:
    run = make_run(state=name, policy=Policy(notify=words))

    told = notices(run, NOW)

    assert [entry.body["on"] for entry in told] == ([said] if said else [])
    assert [entry.kind for entry in told] == ["notify"] * len(told)


def test_each_ends_notice_has_a_name_of_its_own() -> None:
    run = active(policy=Policy(notify=("failed",)))
    again = replace(run, attempt=2, attempts=(*run.attempts, make_attempt(number=2)))

    assert owed(run, EndKind.FAILED)[-1].id != owed(again, EndKind.FAILED)[-1].id


def test_a_retry_is_no_end_and_nobody_is_told() -> None:
    assert owed(active(policy=Policy(retries=1, notify=("failed",))), EndKind.FAILED) == ()
