"""What the outcome of a submission changes: five outcomes, in whatever state the run is by then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.ports import Accepted, Move, NotNow, Outcome, PoolUnavailable, Rejected, Traits, Unknown
from dispatcher.runs import FlowRun, Name, Policy, Stop, StopReason
from dispatcher.submissions import LONGEST_BACKOFF, Recorded, backoff, recorded, repeated
from dispatcher.testing.builders import NOW, make_attempt, make_run, make_slots
from dispatcher.watch import Patience

PATIENCE = Patience()
TRAITS = Traits(submit_deadline=timedelta(seconds=30), visibility_delay=timedelta(seconds=10))
SECOND = timedelta(seconds=1)

ACCEPTED = Accepted("h-1", {"console": "https://cloud.example/h-1"})
NOT_NOW = NotNow("too many requests")
UNAVAILABLE = PoolUnavailable("access denied")
REJECTED = Rejected("no such image")
UNKNOWN = Unknown("no answer in 30 s")
NOES: list[Outcome] = [NOT_NOW, UNAVAILABLE, REJECTED]
WITHOUT_HANDLE: list[Outcome] = [*NOES, UNKNOWN]
EVERY: list[Outcome] = [ACCEPTED, *WITHOUT_HANDLE]

CANCEL = Stop(StopReason.CANCELLED, NOW, "cancelled on request")


def kind(outcome: object) -> str:
    return type(outcome).__name__ if not isinstance(outcome, bool) else f"first={outcome}"


def active(state: Name = Name.SUBMITTING, *, attempt: dict[str, Any] | None = None, **changes: Any) -> FlowRun:
    run = make_run(state=state, attempts=(make_attempt(**(attempt or {})),), **changes)
    return replace(run, slots=make_slots(run))


def record(run: FlowRun, outcome: Outcome, *, first: bool = True, attempt: int = 1) -> Recorded:
    return recorded(run, attempt, outcome, first=first, now=NOW, traits=TRAITS, patience=PATIENCE)


def moved_to(result: Recorded) -> FlowRun:
    assert result.move is not None
    return result.move.after


# accepted


def test_a_run_that_an_event_has_named_gets_its_links() -> None:
    run = active(Name.RUNNING, attempt={"handle": "h-1", "submitted_at": NOW - SECOND})

    after = moved_to(record(run, ACCEPTED))

    assert after.current is not None
    assert (after.current.links, after.current.submitted_at) == (ACCEPTED.links, NOW - SECOND)
    assert after.state == run.state
    assert record(after, ACCEPTED) == Recorded()


def test_a_run_that_an_event_has_ended_gets_its_links() -> None:
    run = make_run(state=Name.COMPLETED, attempts=(make_attempt(handle="h-1", ended=NOW),))

    result = record(run, ACCEPTED)

    assert moved_to(result).attempts[0].links == ACCEPTED.links
    assert moved_to(result).state == run.state


@pytest.mark.parametrize("first", [True, False], ids=kind)
def test_an_accepted_run_has_its_handle_and_links_and_waits_for_its_infrastructure(first: bool) -> None:
    run = active()

    result = record(run, ACCEPTED, first=first)

    after = moved_to(result)
    assert after.state.name is Name.INFRASTRUCTURE_PENDING
    assert after.current is not None
    assert (after.current.handle, after.current.links, after.current.submitted_at) == ("h-1", ACCEPTED.links, NOW)
    assert after.slots == run.slots
    assert result.cancel is None


def test_a_container_that_spoke_before_the_cloud_answered_keeps_running_and_gets_its_handle() -> None:
    run = active(Name.RUNNING, attempt={"claimed_by": "i-1", "started": NOW})

    result = record(run, ACCEPTED)

    after = moved_to(result)
    assert (after.state, after.attempts[-1].handle, result.cancel) == (run.state, "h-1", None)


@pytest.mark.parametrize("name", [Name.CANCELLING, Name.STOPPING])
def test_accepted_while_it_is_being_stopped_the_handle_is_kept_and_cancelled_at_once(name: Name) -> None:
    run = active(name, stop=CANCEL)

    result = record(run, ACCEPTED)

    assert (moved_to(result).state, moved_to(result).attempts[-1].handle) == (run.state, "h-1")
    assert result.cancel == "h-1"


@pytest.mark.parametrize("state", [Name.INFRASTRUCTURE_PENDING, Name.RUNNING, Name.CANCELLING])
def test_the_same_handle_again_changes_nothing(state: Name) -> None:
    assert record(active(state, attempt={"handle": "h-1", "links": ACCEPTED.links}), ACCEPTED) == Recorded()


@pytest.mark.parametrize("state", [Name.INFRASTRUCTURE_PENDING, Name.RUNNING, Name.CANCELLING])
def test_another_handle_than_the_recorded_one_is_cancelled(state: Name) -> None:
    assert record(active(state, attempt={"handle": "h-0"}), ACCEPTED) == Recorded(cancel="h-1")


# accepted too late


@pytest.mark.parametrize("state", [Name.CRASHED, Name.CANCELLED, Name.AWAITING_RETRY, Name.SCHEDULED])
def test_a_handle_of_an_attempt_that_is_over_is_kept_for_its_logs_and_cancelled(state: Name) -> None:
    run = make_run(state=state, attempts=(make_attempt(ended=NOW),), attempt=2)

    result = record(run, ACCEPTED)

    assert (moved_to(result).state, moved_to(result).attempts[0].handle) == (run.state, "h-1")
    assert result.cancel == "h-1"


def test_a_handle_of_an_attempt_that_its_own_container_ended_is_kept_and_not_cancelled() -> None:
    run = make_run(state=Name.COMPLETED, attempts=(make_attempt(ended=NOW, claimed_by="i-1"),))

    result = record(run, ACCEPTED)

    assert (moved_to(result).attempts[0].handle, result.cancel) == ("h-1", None)


def test_what_a_too_late_container_leaves_in_its_cloud_is_owed_a_clean_up() -> None:
    run = make_run(state=Name.CRASHED, attempts=(make_attempt(ended=NOW, cleanup_seconds=60),))

    result = record(run, ACCEPTED)

    assert result.move is not None
    [entry] = result.move.outbox
    assert (entry.kind, entry.body["handle"], entry.due_at) == ("cleanup", "h-1", NOW + 60 * SECOND)


def test_a_handle_of_an_attempt_that_ended_under_another_handle_is_only_cancelled() -> None:
    run = make_run(state=Name.CRASHED, attempts=(make_attempt(ended=NOW, handle="h-0"),))

    assert record(run, ACCEPTED) == Recorded(cancel="h-1")


def test_a_handle_of_an_earlier_attempt_does_not_touch_the_one_that_runs_now() -> None:
    first, second = make_attempt(ended=NOW), make_attempt(number=2, handle="h-2")
    run = make_run(state=Name.RUNNING, attempts=(first, second), attempt=2)

    result = record(run, ACCEPTED)

    assert (moved_to(result).attempts[0].handle, moved_to(result).attempts[1]) == ("h-1", second)
    assert result.cancel == "h-1"


def test_a_handle_of_an_attempt_that_is_not_kept_any_more_is_cancelled() -> None:
    run = make_run(state=Name.RUNNING, attempts=(make_attempt(number=40),), attempt=40)

    assert record(run, ACCEPTED) == Recorded(cancel="h-1")


# a definite no


@pytest.mark.parametrize("outcome", [NOT_NOW, UNAVAILABLE], ids=kind)
def test_a_definite_no_for_now_frees_the_slots_and_makes_a_new_submission_due_later(outcome: Outcome) -> None:
    after = moved_to(record(active(submit_seq=3), outcome))

    assert after.state.name is Name.SCHEDULED
    assert (after.slots, after.attempt, after.submit_seq) == ((), 1, 4)
    assert after.due_at == NOW + backoff(3)
    assert after.attempts[-1].outcome.startswith("not started: ")


def test_the_cloud_may_ask_for_more_patience_than_the_backoff_but_not_for_less() -> None:
    longer = moved_to(record(active(), NotNow("busy", retry_after=60 * SECOND)))
    shorter = moved_to(record(active(submit_seq=5), NotNow("busy", retry_after=SECOND)))

    assert (longer.due_at, shorter.due_at) == (NOW + 60 * SECOND, NOW + backoff(5))


def test_the_backoff_doubles_up_to_its_longest() -> None:
    assert [backoff(n) / SECOND for n in (1, 2, 3, 4)] == [2, 4, 8, 16]
    assert backoff(9) == backoff(10_000) == LONGEST_BACKOFF


def test_a_rejected_job_has_crashed_with_the_clouds_words_and_is_not_retried() -> None:
    after = moved_to(record(active(policy=Policy(retries=5)), REJECTED))

    assert (after.state.name, after.state.message, after.slots) == (Name.CRASHED, "no such image", ())


@pytest.mark.parametrize("outcome", NOES, ids=kind)
def test_a_definite_no_ends_what_is_being_cancelled(outcome: Outcome) -> None:
    after = moved_to(record(active(Name.CANCELLING, stop=CANCEL), outcome))

    assert (after.state.name, after.state.message, after.slots) == (Name.CANCELLED, CANCEL.message, ())


# an uncertain no


@pytest.mark.parametrize("outcome", WITHOUT_HANDLE, ids=kind)
@pytest.mark.parametrize("state", [Name.SUBMITTING, Name.CANCELLING])
def test_a_no_to_a_repeat_is_not_definite_and_leaves_the_run_where_it_is(state: Name, outcome: Outcome) -> None:
    run = active(state, stop=CANCEL if state is Name.CANCELLING else None)

    result = record(run, outcome, first=False)

    stays(run, result.move)


@pytest.mark.parametrize(
    ("state", "wait"), [(Name.SUBMITTING, timedelta(0)), (Name.CANCELLING, TRAITS.visibility_delay)]
)
def test_without_an_answer_the_run_stays_and_is_looked_after_once_that_can_help(state: Name, wait: timedelta) -> None:
    run = active(state, stop=CANCEL if state is Name.CANCELLING else None)

    result = record(run, UNKNOWN)

    stays(run, result.move, wait=wait)
    assert moved_to(result).attempts[-1].outcome == "submission without a certain answer: no answer in 30 s"


@pytest.mark.parametrize("outcome", NOES, ids=kind)
def test_a_first_answer_that_comes_after_a_repeat_was_begun_is_not_definite_any_more(outcome: Outcome) -> None:
    """Its dispatcher was frozen, and another took over meanwhile: what that one sends may have started."""
    run = repeated(active())

    stays(run, record(run, outcome, first=True).move)


@pytest.mark.parametrize("outcome", NOES, ids=kind)
def test_a_first_answer_that_comes_after_a_repeat_without_an_answer_is_not_definite_either(outcome: Outcome) -> None:
    run = moved_to(record(active(), UNKNOWN, first=False))

    stays(run, record(run, outcome, first=True).move)


def test_an_accepted_repeat_is_as_good_as_a_first() -> None:
    assert moved_to(record(repeated(active()), ACCEPTED)).state.name is Name.INFRASTRUCTURE_PENDING


def stays(run: FlowRun, move: Move | None, *, wait: timedelta = TRAITS.visibility_delay) -> None:
    assert move is not None
    assert (move.after.state, move.after.slots, move.after.submit_seq) == (run.state, run.slots, run.submit_seq)
    assert move.after.attempt == run.attempt
    assert move.check_at == NOW + TRAITS.submit_deadline + wait
    assert move.outbox == ()


# where the run has moved on


@pytest.mark.parametrize("outcome", WITHOUT_HANDLE, ids=kind)
@pytest.mark.parametrize("first", [True, False], ids=kind)
@pytest.mark.parametrize(
    "run",
    [
        active(Name.INFRASTRUCTURE_PENDING, attempt={"handle": "h-0"}),
        active(Name.CANCELLING, attempt={"handle": "h-0"}, stop=CANCEL),
        active(Name.RUNNING, attempt={"claimed_by": "i-1"}),
        make_run(attempts=(make_attempt(),), submit_seq=2),
        make_run(state=Name.AWAITING_RETRY, attempts=(make_attempt(ended=NOW),), attempt=2),
        make_run(state=Name.SUBMITTING, attempts=(make_attempt(), make_attempt(number=2)), attempt=2),
        *(make_run(state=name, attempts=(make_attempt(ended=NOW),)) for name in (Name.COMPLETED, Name.FAILED)),
        *(make_run(state=name, attempts=(make_attempt(ended=NOW),)) for name in (Name.CRASHED, Name.CANCELLED)),
    ],
    ids=lambda run: f"{run.state.name}-{run.attempt}",
)
def test_what_is_no_handle_changes_nothing_once_the_run_has_moved_on(
    run: FlowRun, outcome: Outcome, first: bool
) -> None:
    assert record(run, outcome, first=first) == Recorded()


@pytest.mark.parametrize("outcome", EVERY, ids=kind)
@pytest.mark.parametrize("first", [True, False], ids=kind)
@pytest.mark.parametrize("reason", StopReason)
def test_no_outcome_starts_anything_anew_for_a_run_that_was_cancelled(
    reason: StopReason, outcome: Outcome, first: bool
) -> None:
    """Whatever comes of it, it is not SCHEDULED again unless its stop says so."""
    run = active(Name.CANCELLING, stop=Stop(reason, NOW), free_attempts=9)

    result = record(run, outcome, first=first)

    assert result.move is None or result.move.after.state.name is not Name.SCHEDULED
