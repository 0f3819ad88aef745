"""Words from outside: who may claim, who is heard, and who is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher import callbacks
from dispatcher.callbacks import RENEW_BEFORE, Word
from dispatcher.errors import Conflict, Unauthorized
from dispatcher.ports import ActiveEntry, Cause, Event, Move, Observation, Phase
from dispatcher.rendering import TOKEN_GRACE
from dispatcher.runs import Actor, FlowRun, Name, Policy, StateType, Stop, StopReason, amended, moved, with_attempt
from dispatcher.testing.builders import POOL, admitted, make_run
from dispatcher.testing.memory import MemoryStore
from dispatcher.tokens import KeyRing, RunToken
from dispatcher.watch import Patience

if TYPE_CHECKING:
    from tests.unit.conftest import Site

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
ENDS = [Word.COMPLETED, Word.FAILED, Word.CRASHED]


@pytest.fixture
def run(site: Site) -> FlowRun:
    """PENDING/Submitting in its first attempt."""
    return admitted(site.store, make_run(policy=Policy(notify=("completed",))))


def named(site: Site, run: FlowRun) -> FlowRun:
    """Its handle is recorded."""
    after = amended(run, attempts=with_attempt(run, handle="h-1", submitted_at=site.now))
    site.context.store.move(Move(run, after))
    return after


@pytest.fixture
def claimed(site: Site, run: FlowRun) -> FlowRun:
    return site.say(named(site, run), Word.RUNNING)


def stop(site: Site, run: FlowRun, reason: StopReason = StopReason.CANCELLED) -> FlowRun:
    before = site.now_of(run)
    after = moved(before, Name.CANCELLING, actor=Actor.USER, at=site.now, stop=Stop(reason, site.now, "on request"))
    site.store.move(Move(before, after))
    return after


def entry_of(site: Site, run: FlowRun) -> ActiveEntry:
    return next(entry for entry in site.store.active(POOL) if entry.run_id == run.id)


# claims


def test_the_first_running_word_claims_the_attempt(site: Site, run: FlowRun) -> None:
    after = site.say(run, Word.RUNNING, instance="i-1")

    assert (after.state.name, after.started) == (Name.RUNNING, site.now)
    assert after.current is not None
    assert (after.current.claimed_by, after.current.started) == ("i-1", site.now)
    assert site.now_of(run) == after


def test_the_same_instance_may_repeat_it_and_nothing_changes(site: Site, claimed: FlowRun) -> None:
    site.later(10)

    assert site.say(claimed, Word.RUNNING) == claimed == site.now_of(claimed)


def test_another_instance_must_not_start(site: Site, claimed: FlowRun) -> None:
    with pytest.raises(Conflict, match="claimed by another container"):
        site.say(claimed, Word.RUNNING, instance="i-2")

    assert site.now_of(claimed) == claimed


def test_a_container_claims_though_the_cloud_was_quicker_to_say_that_it_runs(site: Site, run: FlowRun) -> None:
    seen = Observation(phase=Phase.RUNNING, handle="h-1", started=site.now - SECOND)
    callbacks.hear(site.context, site.cloud, Event(run.id, 1, seen))

    after = site.say(run, Word.RUNNING)

    assert after.current is not None
    assert (after.current.claimed_by, after.current.handle) == ("i-1", "h-1")


@pytest.fixture
def second(site: Site) -> FlowRun:
    """PENDING/Submitting in its second attempt; the first was `i-1`'s and failed."""
    first = admitted(site.store, make_run(policy=Policy(retries=1)))
    site.say(first, Word.RUNNING)
    return admitted(site.store, site.say(first, Word.FAILED))


@pytest.mark.parametrize("instance", ["i-1", "i-2"])
def test_of_an_older_attempt_nobody_may_start(site: Site, second: FlowRun, instance: str) -> None:
    with pytest.raises(Conflict, match="attempt 1 of run"):
        site.say(second, Word.RUNNING, instance=instance, attempt=1)

    assert site.now_of(second) == second


def test_between_two_attempts_nobody_may_start(site: Site) -> None:
    first = admitted(site.store, make_run(policy=Policy(retries=1)))
    site.say(first, Word.RUNNING)
    waiting = site.say(first, Word.FAILED)

    for attempt in (1, 2):
        with pytest.raises(Conflict):
            site.say(waiting, Word.RUNNING, attempt=attempt)


@pytest.mark.parametrize("instance", ["i-1", "i-2"])
def test_for_a_run_that_is_being_stopped_nobody_may_start(site: Site, run: FlowRun, instance: str) -> None:
    stop(site, run)

    with pytest.raises(Conflict, match="is being stopped"):
        site.say(run, Word.RUNNING, instance=instance)

    assert site.now_of(run).state.name is Name.CANCELLING


def test_not_even_the_claimer_claims_again_once_it_is_being_stopped(site: Site, claimed: FlowRun) -> None:
    stop(site, claimed)

    with pytest.raises(Conflict):
        site.say(claimed, Word.RUNNING)


@pytest.mark.parametrize("word", ENDS)
def test_after_the_end_nobody_may_start(site: Site, claimed: FlowRun, word: Word) -> None:
    site.say(claimed, word)

    with pytest.raises(Conflict, match="is over"):
        site.say(claimed, Word.RUNNING)


def test_a_claim_says_when_the_attempt_must_have_been_heard_of(site: Site, claimed: FlowRun) -> None:
    at = site.now + site.context.patience.heartbeat_grace

    assert entry_of(site, claimed).check_at == at
    assert at not in [woken for _, woken, _ in site.wakes.asked]  # the tick comes before it


def test_of_one_that_speaks_and_was_never_named_no_beat_puts_the_look_off(site: Site, run: FlowRun) -> None:
    look = site.now + site.context.patience.unnamed
    site.say(run, Word.RUNNING)
    at_first = entry_of(site, run).check_at
    site.later(20)
    site.beat(run)

    assert (at_first, entry_of(site, run).check_at) == (look, look)


def test_a_claim_under_a_short_timeout_is_looked_at_when_that_is_over(site: Site) -> None:
    run = admitted(site.store, make_run(policy=Policy(timeout_seconds=20)))

    site.say(run, Word.RUNNING)

    assert entry_of(site, run).check_at == site.now + 20 * SECOND
    assert (POOL, site.now + 20 * SECOND, 0) in site.wakes.asked


# ends


@pytest.mark.parametrize(
    ("word", "name"), [(Word.COMPLETED, Name.COMPLETED), (Word.FAILED, Name.FAILED), (Word.CRASHED, Name.CRASHED)]
)
def test_the_claimers_end_word_ends_the_attempt(site: Site, claimed: FlowRun, word: Word, name: Name) -> None:
    after = site.say(claimed, word, exit_code=3, message="why", log_tail="last words")

    assert (after.state.name, after.state.message, after.exit_code) == (name, "why", 3)
    assert after.attempts[0].log_tail == "last words"
    assert site.store.active(POOL) == []


def test_an_end_frees_a_slot_and_so_wakes_the_pool(site: Site, claimed: FlowRun) -> None:
    site.wakes.take()

    site.say(claimed, Word.COMPLETED)

    assert (POOL, None, 0) in site.wakes.asked


def test_a_failed_attempt_with_retries_left_wakes_the_pool_when_its_delay_is_over(site: Site) -> None:
    run = admitted(site.store, make_run(policy=Policy(retries=1, retry_delay_seconds=30)))
    site.say(run, Word.RUNNING)

    after = site.say(run, Word.FAILED)

    assert after.state.name is Name.AWAITING_RETRY
    assert (POOL, site.now + 30 * SECOND, 0) in site.wakes.asked


@pytest.mark.parametrize("word", ENDS)
def test_an_end_word_from_anyone_but_the_claimer_is_ignored(site: Site, claimed: FlowRun, word: Word) -> None:
    assert site.say(claimed, word, instance="i-2") == claimed == site.now_of(claimed)


@pytest.mark.parametrize("word", ENDS)
def test_an_end_word_without_a_claim_is_ignored(site: Site, run: FlowRun, word: Word) -> None:
    assert site.say(run, word) == run == site.now_of(run)


@pytest.mark.parametrize("second", ENDS)
@pytest.mark.parametrize("first", ENDS)
def test_after_the_end_any_end_word_is_ignored(site: Site, claimed: FlowRun, first: Word, second: Word) -> None:
    ended = site.say(claimed, first, exit_code=1)

    assert site.say(claimed, second, exit_code=0) == ended == site.now_of(claimed)


@pytest.mark.parametrize("word", ENDS)
def test_an_end_word_of_an_older_attempt_does_not_end_the_one_that_runs(
    site: Site, second: FlowRun, word: Word
) -> None:
    running = site.say(second, Word.RUNNING, instance="i-1")

    assert site.say(running, word, instance="i-1", attempt=1) == running == site.now_of(running)


def test_an_end_word_ends_what_is_being_stopped_as_its_stop_says(site: Site, claimed: FlowRun) -> None:
    stop(site, claimed)

    after = site.say(claimed, Word.FAILED, exit_code=143, signalled=True)

    assert (after.state.name, after.state.message, after.slots) == (Name.CANCELLED, "on request", ())


def test_done_before_the_stop_reached_it_is_completed(site: Site, claimed: FlowRun) -> None:
    stop(site, claimed)

    assert site.say(claimed, Word.COMPLETED, exit_code=0).state.name is Name.COMPLETED


def test_done_because_it_was_told_to_stop_is_cancelled(site: Site, claimed: FlowRun) -> None:
    stop(site, claimed)

    assert site.say(claimed, Word.COMPLETED, exit_code=0, signalled=True).state.name is Name.CANCELLED


def test_a_run_has_started_when_it_was_claimed_whenever_its_container_came_up(site: Site, run: FlowRun) -> None:
    came_up = Observation(phase=Phase.RUNNING, handle="h-1", started=site.now - timedelta(seconds=9))
    callbacks.hear(site.context, site.cloud, Event(run.id, 1, came_up))

    assert site.say(run, Word.RUNNING).started == site.now


# told to stop from outside


def interrupted(site: Site, claimed: FlowRun) -> FlowRun:
    return site.say(claimed, Word.FAILED, exit_code=143, signalled=True, message="killed by SIGTERM", log_tail="bye")


def test_told_to_stop_by_its_platform_it_waits_for_the_clouds_word(site: Site, claimed: FlowRun) -> None:
    after = interrupted(site, claimed)

    assert (after.state.name, after.slots) == (Name.STOPPING, claimed.slots)
    assert after.state.message == "told to stop from outside (killed by SIGTERM)"
    (entry,) = site.store.active(POOL)
    assert entry.check_at == site.now + site.context.patience.stop


@pytest.mark.parametrize(
    ("cause", "name", "free"),
    [
        (Cause.INFRASTRUCTURE, Name.AWAITING_RETRY, 1),
        (Cause.STOPPED, Name.CRASHED, 0),
        (Cause.EXITED, Name.FAILED, 0),
    ],
)
def test_the_cloud_says_whose_fault_an_interruption_was(
    site: Site, claimed: FlowRun, cause: Cause, name: Name, free: int
) -> None:
    interrupted(site, claimed)
    seen = Observation(phase=Phase.STOPPED, handle="h-1", cause=cause, exit_code=143, message="spot taken back")

    after = callbacks.hear(site.context, site.cloud, Event(claimed.id, 1, seen))

    assert after is not None
    assert (after.state.name, after.free_attempts, after.retries_used) == (name, free, 0)
    assert after.state.message == "spot taken back"
    assert after.attempts[0].log_tail == "bye"


def test_a_word_of_an_interruption_that_is_repeated_changes_nothing(site: Site, claimed: FlowRun) -> None:
    first = interrupted(site, claimed)

    assert interrupted(site, claimed) == first


def test_an_interrupted_run_can_be_cancelled(site: Site, claimed: FlowRun) -> None:
    interrupted(site, claimed)
    site.cancel(claimed)
    seen = Observation(phase=Phase.STOPPED, handle="h-1", cause=Cause.INFRASTRUCTURE)

    after = callbacks.hear(site.context, site.cloud, Event(claimed.id, 1, seen))

    assert after is not None
    assert after.state.name is Name.CANCELLED


def test_an_end_writes_the_notice_that_it_owes_in_the_same_commit(site: Site, claimed: FlowRun) -> None:
    site.say(claimed, Word.COMPLETED)

    assert [entry.body["on"] for entry in site.store.outbox_due(POOL, site.now, limit=9)] == ["completed"]


# exit code 75


def ended(site: Site, run: FlowRun, code: int) -> FlowRun | None:
    seen = Observation(phase=Phase.STOPPED, handle="h-1", cause=Cause.EXITED, exit_code=code)
    return callbacks.hear(site.context, site.cloud, Event(run.id, run.attempt, seen))


def test_75_without_a_claim_is_a_free_attempt(site: Site, run: FlowRun) -> None:
    after = ended(site, run, 75)

    assert after is not None
    assert (after.state.name, after.retries_used, after.free_attempts) == (Name.AWAITING_RETRY, 0, 1)


def test_75_of_a_claimed_attempt_is_no_outcome_of_its_command(site: Site, claimed: FlowRun) -> None:
    after = ended(site, claimed, 75)

    assert after is not None
    assert after.state.name is Name.CRASHED


def test_75_of_a_container_that_was_not_recorded_does_not_end_the_claimer(site: Site, claimed: FlowRun) -> None:
    known = amended(claimed, attempts=(replace(claimed.attempts[0], handle="h-0"),))
    site.store.move(Move(claimed, known))

    assert ended(site, claimed, 75) is None
    assert site.now_of(claimed) == known


def test_the_claimers_own_end_word_counts_and_what_its_runner_exits_with_after_it_does_not(
    site: Site, claimed: FlowRun
) -> None:
    after = site.say(claimed, Word.COMPLETED, exit_code=0)

    assert ended(site, claimed, 75) is None
    assert site.now_of(claimed) == after


# heartbeats


def test_a_heartbeat_is_one_small_write_that_puts_the_next_look_off(site: Site, claimed: FlowRun) -> None:
    site.later(100)

    answer = site.beat(claimed)

    entry = entry_of(site, claimed)
    assert (entry.heard_at, entry.check_at) == (site.now, site.now + site.context.patience.heartbeat_grace)
    assert site.now_of(claimed) == claimed
    assert answer == {"heartbeat_seconds": 120.0}


def test_no_heartbeat_puts_the_end_of_a_timeout_off(site: Site) -> None:
    run = named(site, admitted(site.store, make_run(policy=Policy(timeout_seconds=130))))
    site.say(run, Word.RUNNING)
    over = site.now + 130 * SECOND
    site.later(120)

    site.beat(run)

    assert entry_of(site, run).check_at == over


def unclaimed(site: Site, run: FlowRun) -> None:
    del site, run


def by_another(site: Site, run: FlowRun) -> None:
    site.say(run, Word.RUNNING, instance="i-2")


def stopped(site: Site, run: FlowRun) -> None:
    site.say(run, Word.RUNNING)
    stop(site, run)


def over(site: Site, run: FlowRun) -> None:
    site.say(run, Word.RUNNING)
    site.say(run, Word.COMPLETED)


@pytest.mark.parametrize("before", [unclaimed, by_another, stopped, over], ids=lambda step: step.__name__)
def test_a_heartbeat_that_is_too_late_or_not_the_claimers_says_stop_and_changes_nothing(
    site: Site, run: FlowRun, before: Callable[[Site, FlowRun], None]
) -> None:
    before(site, run)
    was, entries = site.now_of(run), site.store.active(POOL)

    with pytest.raises(Conflict):
        site.beat(run)

    assert (site.now_of(run), site.store.active(POOL)) == (was, entries)


def test_a_beat_that_crosses_a_cancel_does_not_put_the_stop_off(site: Site, claimed: FlowRun) -> None:
    class Crossed(MemoryStore):
        def beat(self, *args: Any, **kwargs: Any) -> bool:
            if site.now_of(claimed).state.name is Name.RUNNING:
                site.cancel(claimed)
            return super().beat(*args, **kwargs)

    store = Crossed()
    store._data = site.store._data  # type: ignore[attr-defined]
    callbacks.beat(site.on(store), site.token(claimed), "i-1")

    assert entry_of(site, claimed).check_at <= site.now


def test_a_heartbeat_of_an_older_attempt_says_stop(site: Site, second: FlowRun) -> None:
    site.say(second, Word.RUNNING, instance="i-1")

    with pytest.raises(Conflict):
        site.beat(second, instance="i-1", attempt=1)


def test_a_token_that_is_about_to_expire_is_renewed_with_the_attempts_own_key(site: Site, claimed: FlowRun) -> None:
    token = RunToken(claimed.id, 1, site.now + RENEW_BEFORE - SECOND)
    of_old = amended(claimed, attempts=(replace(claimed.attempts[0], key_id="k2"),))
    site.store.move(Move(claimed, of_old))

    answer = callbacks.beat(site.context, token, "i-1")

    assert answer["token"].split(".")[1] == "k2"
    renewed = callbacks.authenticate(site.context, answer["token"])
    assert renewed == RunToken(claimed.id, 1, site.now + Patience().max_life + TOKEN_GRACE)


def test_a_token_that_lives_long_enough_is_not_renewed(site: Site, claimed: FlowRun) -> None:
    token = RunToken(claimed.id, 1, site.now + RENEW_BEFORE)

    assert "token" not in callbacks.beat(site.context, token, "i-1")


class Leaky(MemoryStore):
    """A store that can lose what it must not."""

    def lose_slots(self) -> None:
        self._data.entries.clear()
        self._data.slots.clear()


def test_an_active_run_without_its_entry_gets_it_back_with_its_next_beat(site: Site) -> None:
    store = Leaky()
    site.context = site.on(store)
    run = named(site, admitted(store, make_run(), queue_slot="0"))
    running = site.say(run, Word.RUNNING)
    store.lose_slots()

    site.beat(running)

    [entry] = store.active(POOL)
    assert (entry.run_id, entry.slots) == (run.id, run.slots)
    assert entry.check_at == site.now + site.context.patience.heartbeat_grace


class Meddled(MemoryStore):
    """Somebody else is quicker: before each of the next moves, the run is changed."""

    times = 0

    def move(self, move: Move) -> None:
        if self.times > 0:
            self.times -= 1
            self._meddle(move.before.id)
        super().move(move)

    def restore_entry(self, run: FlowRun, check_at: Any) -> None:
        if self.times > 0:
            self.times -= 1
            self._meddle(run.id)
        super().restore_entry(run, check_at)

    def _meddle(self, run_id: str) -> None:
        run = self.get_run(run_id)
        assert run is not None
        super().move(Move(run, amended(run)))

    def beat(self, *args: Any, **kwargs: Any) -> bool:
        return self.times == 0 and super().beat(*args, **kwargs)


def test_a_word_is_said_again_on_the_run_as_others_left_it(site: Site) -> None:
    store = Meddled()
    site.context = site.on(store)
    run = admitted(store, make_run())
    store.times = 3

    after = site.say(run, Word.RUNNING)

    assert (after.state.name, after.version) == (Name.RUNNING, run.version + 4)


def test_a_word_that_never_finds_its_moment_is_to_be_said_again(site: Site) -> None:
    store = Meddled()
    site.context = site.on(store)
    run = admitted(store, make_run())
    store.times = 99

    with pytest.raises(Conflict, match="say it again"):
        site.say(run, Word.RUNNING)


def test_a_run_that_changes_while_its_entry_is_repaired_says_try_again(site: Site) -> None:
    store = Meddled()
    site.context = site.on(store)
    run = admitted(store, make_run())
    site.say(run, Word.RUNNING)
    store.times = 1

    with pytest.raises(Conflict, match="say it again"):
        site.beat(run)


# tokens


def sign(site: Site, token: RunToken, **how: Any) -> str:
    return site.context.keys.sign(token, key_id=how.get("key_id", "k1"))


def test_the_run_and_attempt_are_the_tokens(site: Site, run: FlowRun) -> None:
    token = site.token(run)

    said = callbacks.authenticate(site.context, sign(site, token))

    assert (said.run_id, said.attempt) == (run.id, 1)


def test_a_key_that_is_not_the_current_one_any_more_still_counts(site: Site, run: FlowRun) -> None:
    assert callbacks.authenticate(site.context, sign(site, site.token(run), key_id="k2")).run_id == run.id


@pytest.mark.parametrize(
    "word", ["", "v1", "v1.k1.e30.x", "v2.k1.e30.x", "v1.none.e30.x", "\N{SNOWMAN}.a.b.c", "a.b.c.d.e"]
)
def test_what_is_no_token_of_ours_is_refused(site: Site, word: str) -> None:
    with pytest.raises(Unauthorized):
        callbacks.authenticate(site.context, word)


def test_an_expired_forged_or_foreign_token_is_refused_and_never_said_why(site: Site, run: FlowRun) -> None:
    good = sign(site, site.token(run))
    version, key, _, signature = good.split(".")
    other = sign(site, replace(site.token(run), run_id=make_run().id)).split(".")[2]
    foreign = KeyRing.generate()
    bad = [
        sign(site, replace(site.token(run), expires=site.now)),
        sign(site, replace(site.token(run), scope="admin")),
        f"{version}.{key}.{other}.{signature}",
        good[:-2],
        good + "A",
        foreign.sign(site.token(run), key_id=foreign.current),
    ]

    for text in bad:
        with pytest.raises(Unauthorized) as refusal:
            callbacks.authenticate(site.context, text)
        assert str(refusal.value) == "this run token is not valid for this installation, or has expired"


@pytest.mark.parametrize("word", Word)
def test_a_token_of_a_run_that_is_not_here_is_refused(site: Site, word: Word) -> None:
    with pytest.raises(Unauthorized):
        site.say(make_run(), word)
    with pytest.raises(Unauthorized):
        site.beat(make_run())


# parameters


def test_parameters_are_handed_to_a_living_attempt_only(site: Site) -> None:
    run = admitted(site.store, make_run(parameters={"n": 1}))

    assert callbacks.parameters(site.context, site.token(run)) == {"n": 1}
    site.say(run, Word.RUNNING)
    site.say(run, Word.COMPLETED)
    with pytest.raises(Conflict):
        callbacks.parameters(site.context, site.token(run))


# events


def test_an_event_of_a_run_or_attempt_that_is_not_there_changes_nothing(site: Site, claimed: FlowRun) -> None:
    seen = Observation(phase=Phase.STOPPED, handle="h-1", cause=Cause.EXITED, exit_code=0)

    assert callbacks.hear(site.context, site.cloud, Event(make_run().id, 1, seen)) is None
    assert callbacks.hear(site.context, site.cloud, Event(claimed.id, 2, seen)) is None
    assert site.now_of(claimed) == claimed


def test_an_event_of_another_submission_of_the_attempt_changes_nothing(site: Site) -> None:
    site.pool()
    site.deploy()
    site.far.fail_next("timeout")
    run = site.order()
    site.over()
    waiting = site.now_of(run)
    seen = Observation(phase=Phase.STOPPED, handle="h-7", cause=Cause.EXITED, exit_code=0)

    assert callbacks.hear(site.context, site.cloud, Event(run.id, 1, seen, submit_seq=2)) is None
    assert site.now_of(run) == waiting
    heard = callbacks.hear(site.context, site.cloud, Event(run.id, 1, seen, submit_seq=1))
    assert heard is not None
    assert heard.state.name is Name.COMPLETED


def test_a_doubled_event_is_heard_once(site: Site, run: FlowRun) -> None:
    first, second = ended(site, run, 0), ended(site, run, 1)

    assert first is not None
    assert (first.state.name, second) == (Name.COMPLETED, None)


def test_an_event_is_applied_to_the_run_as_others_left_it(site: Site) -> None:
    store = Meddled()
    site.context = site.on(store)
    run = admitted(store, make_run())
    store.times = 2

    after = ended(site, run, 0)

    assert after is not None
    assert after.state.type is StateType.COMPLETED


def test_an_event_that_never_finds_its_moment_is_left_to_the_next_look(site: Site) -> None:
    store = Meddled()
    site.context = site.on(store)
    run = admitted(store, make_run())
    store.times = 99

    assert ended(site, run, 0) is None
    assert store.active(POOL) != []
