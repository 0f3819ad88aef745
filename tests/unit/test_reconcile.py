"""What is overdue: which question is asked of it, and what each answer means. And when to look again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from dispatcher.ports import ActiveEntry, Cause, Observation, Phase, Traits
from dispatcher.reconcile import Bench, Question, Verdict, judge, question
from dispatcher.runs import FlowRun, Name, OnUnknown, Policy, Slot, StateType, Stop, StopReason, pool_limit
from dispatcher.submissions import repeated
from dispatcher.testing.builders import NOW, POOL, TARGET, make_attempt, make_run, make_slots
from dispatcher.watch import Patience, end_of_life, next_check

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PATIENCE = Patience()
TRAITS = Traits(submit_deadline=30 * SECOND, visibility_delay=10 * SECOND, start_deadline=15 * MINUTE, token_life=HOUR)
SENT = NOW + 2 * TRAITS.submit_deadline  # of an attempt admitted at NOW
VISIBLE = SENT + TRAITS.visibility_delay
LATER = NOW + 5 * MINUTE


def active(state: Name = Name.RUNNING, *, attempt: dict[str, Any] | None = None, **changes: Any) -> FlowRun:
    """An attempt admitted at `NOW`; it has a handle unless said."""
    fields = {"handle": "h-1", "submitted_at": NOW, **(attempt or {})}
    run = make_run(state=state, attempts=(make_attempt(**fields),), **changes)
    return replace(run, slots=make_slots(run))


def pending(**changes: Any) -> FlowRun:
    return active(Name.INFRASTRUCTURE_PENDING, **changes)


def without_handle(state: Name = Name.SUBMITTING, **changes: Any) -> FlowRun:
    return active(state, attempt={"handle": None, "submitted_at": None, **changes.pop("attempt", {})}, **changes)


def claimed(*, started: datetime = NOW, **changes: Any) -> FlowRun:
    return active(attempt={"claimed_by": "i-1", "started": started, **changes.pop("attempt", {})}, **changes)


def entry_of(run: FlowRun, *, heard_at: datetime | None = None, **changes: Any) -> ActiveEntry:
    slot = run.slots[0] if run.slots else Slot(pool_limit(POOL), run.id)
    entry = ActiveEntry(slot, run.id, run.attempt, run.pool, run.queue, run.deployment_id, run.slots, NOW, heard_at)
    return replace(entry, **changes)


def see(phase: Phase, **fields: Any) -> Observation:
    return Observation(phase=phase, **{"handle": "h-1", **fields})


PENDING, RUNNING, MISSING = see(Phase.PENDING), see(Phase.RUNNING), see(Phase.MISSING)


def judged(
    run: FlowRun,
    seen: Observation | None,
    *,
    at: datetime = LATER,
    away: bool = False,
    heard_at: datetime | None = None,
    **traits: Any,
) -> Verdict:
    bench = Bench(replace(TRAITS, **traits), PATIENCE, away)
    return judge(run, entry_of(run, heard_at=heard_at), seen, now=at, bench=bench)


def after(verdict: Verdict) -> FlowRun:
    assert verdict.move is not None
    return verdict.move.after


# the question


def test_of_an_attempt_with_a_handle_the_cloud_is_asked_how_it_is() -> None:
    run = active()

    assert question(run, entry_of(run)) is Question.DESCRIBE


@pytest.mark.parametrize("state", [Name.SUBMITTING, Name.RUNNING, Name.CANCELLING])
def test_of_an_attempt_without_one_the_cloud_is_asked_whether_it_has_anything_of_it(state: Name) -> None:
    run = without_handle(state)

    assert question(run, entry_of(run)) is Question.FIND


@pytest.mark.parametrize(
    ("run", "changes"),
    [
        (None, {}),
        (active(Name.COMPLETED), {}),
        (active(Name.AWAITING_RETRY), {}),
        (active(), {"attempt": 2}),
        (active(), {"slot": Slot(pool_limit(POOL), "another")}),
    ],
    ids=["gone", "over", "waiting", "in another attempt", "in another slot"],
)
def test_an_entry_that_is_no_active_attempts_is_forgotten(run: FlowRun | None, changes: dict[str, Any]) -> None:
    entry = entry_of(run or make_run(), **changes)

    assert question(run, entry) is Question.FORGET


# it has stopped


@pytest.mark.parametrize("state", [Name.INFRASTRUCTURE_PENDING, Name.RUNNING])
@pytest.mark.parametrize(("code", "name"), [(0, Name.COMPLETED), (1, Name.FAILED)])
def test_what_has_stopped_has_ended_as_the_cloud_says(state: Name, code: int, name: Name) -> None:
    verdict = judged(active(state), see(Phase.STOPPED, cause=Cause.EXITED, exit_code=code))

    assert (after(verdict).state.name, after(verdict).slots) == (name, ())
    assert (verdict.cancel, verdict.resubmit) == (False, False)


def test_what_has_stopped_is_found_with_its_handle_and_owes_its_clean_up() -> None:
    run = without_handle(attempt={"cleanup_seconds": 0})

    verdict = judged(run, see(Phase.STOPPED, cause=Cause.EXITED, exit_code=0, handle="h-9"))

    assert after(verdict).attempts[-1].handle == "h-9"
    assert verdict.move is not None
    assert [entry.body["handle"] for entry in verdict.move.outbox] == ["h-9"]


@pytest.mark.parametrize(
    ("reason", "name"), [(StopReason.CANCELLED, Name.CANCELLED), (StopReason.TIMED_OUT, Name.TIMED_OUT)]
)
def test_what_was_told_to_stop_and_has_ended_as_its_stop_says(reason: StopReason, name: Name) -> None:
    run = active(Name.STOPPING, stop=Stop(reason, NOW))

    assert after(judged(run, see(Phase.STOPPED, cause=Cause.STOPPED))).state.name is name


# it lives


def test_found_and_not_yet_running_the_handle_is_recorded() -> None:
    verdict = judged(without_handle(), PENDING, at=VISIBLE)

    assert (after(verdict).state.type, after(verdict).attempts[-1].handle) == (StateType.PENDING, "h-1")
    assert verdict.look_again == VISIBLE + PATIENCE.poll


def test_running_by_the_clouds_word_it_is_running_since_then() -> None:
    verdict = judged(pending(), see(Phase.RUNNING, started=NOW + SECOND))

    assert (after(verdict).state.name, after(verdict).started) == (Name.RUNNING, NOW + SECOND)
    assert after(verdict).attempts[-1].started == NOW + SECOND


def test_all_is_well_and_nothing_new_only_the_next_look_is_put_off() -> None:
    verdict = judged(claimed(started=LATER - MINUTE), RUNNING)

    assert verdict == Verdict(look_again=LATER + PATIENCE.heartbeat_grace)


def test_not_running_by_its_start_deadline_it_is_stopped_for_a_free_attempt() -> None:
    run = pending()

    before = judged(run, PENDING, at=NOW + TRAITS.start_deadline - SECOND)
    verdict = judged(run, PENDING, at=NOW + TRAITS.start_deadline)

    assert (before.move, before.cancel) == (None, False)
    assert (after(verdict).state.name, verdict.cancel) == (Name.STOPPING, True)
    assert after(verdict).stop == Stop(
        StopReason.NOT_STARTED, NOW + TRAITS.start_deadline, "not running by 12:15:00 UTC"
    )


@pytest.mark.parametrize(
    ("cause", "reason", "name"),
    [
        (Cause.INFRASTRUCTURE, StopReason.NOT_STARTED, Name.AWAITING_RETRY),
        (Cause.REFUSED, StopReason.REFUSED, Name.CRASHED),
    ],
)
def test_what_its_cloud_has_given_up_is_stopped_at_once_for_it_may_start_yet(
    cause: Cause, reason: StopReason, name: Name
) -> None:
    verdict = judged(pending(policy=Policy(retries=1)), see(Phase.PENDING, cause=cause, message="no capacity"))
    stopping = after(verdict)

    assert (stopping.state.name, stopping.stop, verdict.cancel) == (
        Name.STOPPING,
        Stop(reason, LATER, "no capacity"),
        True,
    )
    assert stopping.slots
    over = after(judged(stopping, MISSING, at=LATER + MINUTE))
    assert (over.state.name, over.state.message, over.retries_used) == (name, "no capacity", 0)


def test_running_past_the_start_deadline_is_no_reason_to_stop_it() -> None:
    verdict = judged(pending(), see(Phase.RUNNING, started=NOW), at=NOW + HOUR)

    assert (after(verdict).state.name, verdict.cancel) == (Name.RUNNING, False)


def test_over_its_timeout_it_is_stopped_and_holds_its_slots_until_it_has() -> None:
    run = active(attempt={"started": NOW}, policy=Policy(timeout_seconds=60))

    before = judged(run, RUNNING, at=NOW + MINUTE - SECOND)
    verdict = judged(run, RUNNING, at=NOW + MINUTE)

    assert before.move is None
    assert (after(verdict).state.name, verdict.cancel) == (Name.STOPPING, True)
    assert after(verdict).slots == run.slots
    assert after(verdict).stop == Stop(StopReason.TIMED_OUT, NOW + MINUTE, "over its timeout of 60 s")
    assert verdict.move is not None
    assert verdict.move.check_at == NOW + MINUTE + PATIENCE.stop


def test_without_a_timeout_a_run_has_a_longest_life() -> None:
    run = active(attempt={"started": NOW})

    assert judged(run, RUNNING, at=NOW + PATIENCE.max_life - SECOND).cancel is False
    assert judged(run, RUNNING, at=NOW + PATIENCE.max_life).cancel is True


def test_a_timeout_counts_from_the_start_not_from_the_admission() -> None:
    run = active(attempt={"started": NOW + 10 * MINUTE}, policy=Policy(timeout_seconds=60))

    assert judged(run, RUNNING, at=NOW + 10 * MINUTE + 59 * SECOND).cancel is False


# heartbeats


def test_a_claimed_attempt_that_fell_silent_is_lost_and_stopped() -> None:
    heard, grace = NOW + HOUR, PATIENCE.heartbeat_grace

    before = judged(claimed(), RUNNING, heard_at=heard, at=heard + grace - SECOND)
    verdict = judged(claimed(), RUNNING, heard_at=heard, at=heard + grace)

    assert before.move is None
    assert (after(verdict).state.name, verdict.cancel) == (Name.STOPPING, True)
    assert after(verdict).stop == Stop(StopReason.LOST, heard + grace, "no heartbeat for 300 s")


def test_one_that_never_beat_is_silent_since_its_claim() -> None:
    run = claimed(started=LATER)

    assert judged(run, RUNNING, at=LATER + PATIENCE.heartbeat_grace - SECOND).cancel is False
    assert judged(run, RUNNING, at=LATER + PATIENCE.heartbeat_grace).cancel is True


def test_looks_from_before_the_claim_do_not_count_as_silence() -> None:
    """A slow start was looked at each minute; then it is claimed, just after this pass read the entry."""
    run = claimed(started=NOW + 10 * MINUTE)

    verdict = judged(run, RUNNING, heard_at=NOW + MINUTE, at=NOW + 10 * MINUTE + SECOND)

    assert (verdict.move, verdict.cancel) == (None, False)


def test_without_a_runner_nobody_waits_for_heartbeats() -> None:
    assert judged(active(attempt={"started": NOW}), RUNNING, at=NOW + HOUR).cancel is False


def test_after_we_were_away_silence_proves_nothing_but_a_timeout_does() -> None:
    silent = judged(claimed(), RUNNING, at=NOW + HOUR, away=True)
    over = judged(claimed(policy=Policy(timeout_seconds=60)), RUNNING, at=NOW + HOUR, away=True)

    assert (silent.move, silent.cancel) == (None, False)
    assert after(over).state.name is Name.STOPPING


# it is being stopped


@pytest.mark.parametrize("seen", [PENDING, RUNNING], ids=lambda seen: seen.phase)
def test_until_it_has_stopped_it_is_asked_again_and_again(seen: Observation) -> None:
    run = active(Name.CANCELLING, stop=Stop(StopReason.CANCELLED, NOW))

    verdict = judged(run, seen, at=NOW + HOUR)

    assert verdict == Verdict(look_again=NOW + HOUR + PATIENCE.stop, cancel=True)


def test_found_while_it_is_being_stopped_it_gets_its_handle_and_is_cancelled() -> None:
    run = without_handle(Name.CANCELLING, stop=Stop(StopReason.CANCELLED, NOW))

    verdict = judged(run, RUNNING)

    assert (after(verdict).state, after(verdict).attempts[-1].handle, verdict.cancel) == (run.state, "h-1", True)


# there is nothing


@pytest.mark.parametrize("state", [Name.CANCELLING, Name.RUNNING])
def test_before_anything_could_be_seen_finding_nothing_means_nothing(state: Name) -> None:
    run = without_handle(state, stop=Stop(StopReason.CANCELLED, NOW) if state is Name.CANCELLING else None)

    assert judged(run, None, at=VISIBLE - SECOND) == Verdict(look_again=VISIBLE)


@pytest.mark.parametrize("at", [SENT, VISIBLE])
def test_nothing_of_it_there_the_submission_is_repeated_and_said_to_be_before(at: datetime) -> None:
    """The same token starts nothing twice, so nobody need wait until what it may have started can be seen."""
    run = without_handle()

    verdict = judged(run, None, at=at)

    assert verdict.resubmit
    assert after(verdict) == repeated(run)
    assert verdict.look_again == at + TRAITS.submit_deadline + TRAITS.visibility_delay


def test_a_submission_that_may_still_be_answered_is_not_repeated() -> None:
    assert judged(without_handle(), None, at=SENT - SECOND) == Verdict(look_again=SENT)


def test_one_that_is_known_to_have_had_no_answer_is_repeated_sooner() -> None:
    unanswered = without_handle(attempt={"outcome": "submission without a certain answer: timeout"})
    at = NOW + TRAITS.submit_deadline

    assert judged(unanswered, None, at=at - SECOND) == Verdict(look_again=at)
    assert judged(unanswered, None, at=at).resubmit


def test_a_submission_without_a_token_is_not_repeated_before_it_could_be_seen() -> None:
    verdict = judged(without_handle(), None, at=VISIBLE - SECOND, token_life=timedelta(0))

    assert verdict == Verdict(look_again=VISIBLE)


@pytest.mark.parametrize("token_life", [30 * SECOND, timedelta(0)])
def test_a_submission_is_not_repeated_once_its_token_may_be_forgotten(token_life: timedelta) -> None:
    verdict = judged(without_handle(), None, token_life=token_life)

    assert not verdict.resubmit
    assert (after(verdict).state.name, after(verdict).slots) == (Name.CRASHED, ())
    assert after(verdict).state.message == "the outcome of its submission is unknown: it may have run"


def test_a_token_that_is_never_forgotten_is_good_until_the_start_deadline() -> None:
    run = without_handle()

    assert judged(run, None, token_life=None, at=NOW + TRAITS.start_deadline - SECOND).resubmit
    assert after(judged(run, None, token_life=None, at=NOW + TRAITS.start_deadline)).state.name is Name.CRASHED


def test_an_unknown_outcome_is_a_new_attempt_where_the_deployment_says_so() -> None:
    run = without_handle(policy=Policy(on_unknown=OnUnknown.RETRY))

    verdict = judged(run, None, at=NOW + HOUR)

    assert (after(verdict).state.name, after(verdict).attempt) == (Name.AWAITING_RETRY, 2)


def test_cancelling_without_a_handle_ends_once_nothing_can_have_been_started() -> None:
    run = without_handle(Name.CANCELLING, stop=Stop(StopReason.CANCELLED, NOW, "on request"))

    verdict = judged(run, None, at=VISIBLE)

    assert (after(verdict).state.name, after(verdict).state.message) == (Name.CANCELLED, "on request")
    assert not verdict.resubmit


@pytest.mark.parametrize("run", [pending(), active(), claimed()], ids=["pending", "running", "claimed"])
def test_what_the_cloud_has_forgotten_is_an_infrastructure_crash(run: FlowRun) -> None:
    verdict = judged(run, MISSING)

    assert (after(verdict).state.name, after(verdict).free_attempts) == (Name.AWAITING_RETRY, 1)
    assert after(verdict).state.message == "the cloud no longer knows it"


def test_a_container_that_speaks_and_whose_submission_is_not_seen_goes_on() -> None:
    run = claimed(attempt={"handle": None})
    beaten = LATER - MINUTE

    verdict = judged(run, None, heard_at=beaten)

    assert verdict == Verdict(look_again=LATER + PATIENCE.unnamed)
    assert after(judged(run, None, heard_at=LATER - PATIENCE.heartbeat_grace)).state.name is Name.AWAITING_RETRY
    assert judged(run, None, heard_at=NOW, away=True).move is None


def test_a_container_that_speaks_and_is_never_seen_is_stopped_at_its_timeout() -> None:
    run = claimed(attempt={"handle": None}, policy=Policy(timeout_seconds=60))

    stopping = after(judged(run, None, heard_at=LATER - SECOND))

    assert (stopping.state.name, stopping.stop and stopping.stop.reason) == (Name.STOPPING, StopReason.TIMED_OUT)


def test_a_container_that_speaks_and_is_found_is_named() -> None:
    found = after(judged(claimed(started=LATER - MINUTE, attempt={"handle": None}), see(Phase.RUNNING, handle="h-9")))

    assert (found.state.name, found.attempts[-1].handle) == (Name.RUNNING, "h-9")


def test_missing_is_not_believed_until_what_was_accepted_must_be_visible() -> None:
    run = pending(attempt={"submitted_at": NOW + MINUTE})

    verdict = judged(run, MISSING, at=NOW + MINUTE + 9 * SECOND)

    assert verdict == Verdict(look_again=NOW + MINUTE + TRAITS.visibility_delay)


def test_a_container_that_spoke_and_whose_submission_left_nothing_is_lost_with_its_host() -> None:
    run = without_handle(Name.RUNNING, attempt={"claimed_by": "i-1", "started": NOW})

    verdict = judged(run, None, at=LATER)

    assert after(verdict).state.name is Name.AWAITING_RETRY
    assert not verdict.resubmit


def test_forgotten_by_the_cloud_while_it_is_being_stopped_it_has_stopped() -> None:
    run = active(Name.CANCELLING, stop=Stop(StopReason.CANCELLED, NOW))

    assert after(judged(run, MISSING)).state.name is Name.CANCELLED


# every verdict moves on


@pytest.mark.parametrize("seen", [None, MISSING, PENDING, RUNNING, see(Phase.STOPPED, cause=Cause.KILLED)])
@pytest.mark.parametrize(
    "run",
    [
        without_handle(),
        pending(),
        active(attempt={"started": NOW}),
        claimed(),
        without_handle(Name.RUNNING, attempt={"claimed_by": "i-1", "started": NOW}),
        active(Name.STOPPING, stop=Stop(StopReason.LOST, NOW)),
        without_handle(Name.CANCELLING, stop=Stop(StopReason.CANCELLED, NOW)),
    ],
    ids=lambda run: f"{run.state.name} {run.attempts[0].handle}",
)
def test_whatever_is_answered_the_entry_is_gone_or_looked_at_later(run: FlowRun, seen: Observation | None) -> None:
    for at, away in product([NOW, VISIBLE, LATER, NOW + HOUR, NOW + timedelta(days=30)], [True, False]):
        verdict = judged(run, seen, at=at, away=away)

        times = [verdict.look_again, verdict.move.check_at if verdict.move else None]
        is_over = verdict.move is not None and not verdict.move.after.is_active
        assert is_over or max(time for time in times if time is not None) > at, (at, away)


# when to look


@pytest.mark.parametrize("state", [Name.SUBMITTING, Name.CANCELLING])
def test_without_a_handle_the_next_look_is_when_the_submission_can_be_found(state: Name) -> None:
    assert (
        next_check(without_handle(state), TRAITS, PATIENCE, NOW)
        == NOW + TRAITS.submit_deadline + TRAITS.visibility_delay
    )


@pytest.mark.parametrize(
    ("run", "traits", "wait"),
    [
        (active(Name.CANCELLING), TRAITS, PATIENCE.stop),
        (pending(), TRAITS, PATIENCE.poll),
        (pending(), replace(TRAITS, pushes_events=True), PATIENCE.events),
        (claimed(), TRAITS, PATIENCE.heartbeat_grace),
        (claimed(policy=Policy(timeout_seconds=20)), TRAITS, 20 * SECOND),
        (active(attempt={"started": NOW}, policy=Policy(timeout_seconds=20)), TRAITS, 20 * SECOND),
        (active(attempt={"started": NOW - HOUR}, policy=Policy(timeout_seconds=20)), TRAITS, SECOND),
    ],
)
def test_the_next_look_is_when_somebody_must_have_heard_of_it(run: FlowRun, traits: Traits, wait: timedelta) -> None:
    assert next_check(run, traits, PATIENCE, NOW) == NOW + wait


@pytest.mark.parametrize(("hears", "wait"), [({TARGET.type}, PATIENCE.events), ({"elsewhere"}, PATIENCE.poll)])
def test_a_cloud_whose_events_do_not_come_here_is_asked_more_often(hears: set[str], wait: timedelta) -> None:
    traits, patience = replace(TRAITS, pushes_events=True), replace(PATIENCE, hears=frozenset(hears))

    assert next_check(pending(), traits, patience, NOW) == NOW + wait


def test_a_pending_attempt_is_looked_at_when_its_start_deadline_comes() -> None:
    at = NOW + TRAITS.start_deadline - 20 * SECOND

    assert next_check(pending(), TRAITS, PATIENCE, at) == NOW + TRAITS.start_deadline


def test_what_has_not_started_has_no_end_of_life() -> None:
    assert end_of_life(pending(), PATIENCE) is None
    assert end_of_life(make_run(), PATIENCE) is None
