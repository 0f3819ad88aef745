"""The fake cloud does what a test asks of it, and keeps count of what was done to it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dispatcher.errors import InvalidInput, Unreachable
from dispatcher.ports import (
    Accepted,
    Cause,
    Event,
    Job,
    NotNow,
    Outcome,
    Phase,
    PoolUnavailable,
    Rate,
    Request,
    Submission,
    Unknown,
)
from dispatcher.runs import Target
from dispatcher.testing import fake_cloud
from dispatcher.testing.clock import START, HandClock
from dispatcher.testing.fake_cloud import FakeCloud, TellingCloud
from dispatcher.testing.far_side import FarSide

TARGET = Target("fake", account="cloud")
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def far(tmp_path: Path, clock: HandClock) -> Iterator[FarSide]:
    made = FarSide(tmp_path / "far.db", now=clock.now)
    yield made
    made.close()


def submit(far: FarSide, run_id: str = "run", *, attempt: int = 1, submit_seq: int = 1, **fake: Any) -> Outcome:
    job = Job(
        pool="pool",
        run_id=run_id,
        run_name="name",
        deployment="etl",
        attempt=attempt,
        submit_seq=submit_seq,
        configuration={"fake": fake},
        environment={"PUSHPOOL_RUN_ID": run_id},
    )
    cloud = FakeCloud(far)
    return cloud.submit(Submission(run_id, attempt, submit_seq, cloud.request(job), f"token of {run_id}"))


def start(far: FarSide, run_id: str = "run", **more: Any) -> str:
    outcome = submit(far, run_id, **more)
    assert isinstance(outcome, Accepted), outcome
    return outcome.handle


def phase_of(far: FarSide, handle: str) -> Phase:
    return FakeCloud(far).describe_many(TARGET, [handle])[handle].phase


def test_a_container_goes_on_until_it_is_told_otherwise(far: FarSide, clock: HandClock) -> None:
    handle = start(far)
    clock.move(timedelta(days=1))
    assert phase_of(far, handle) is Phase.RUNNING
    assert far.live() == [handle]

    far.finish(handle, 3, output="bye")

    seen = FakeCloud(far).describe_many(TARGET, [handle])[handle]
    assert (seen.phase, seen.exit_code, seen.cause, seen.log_tail) == (Phase.STOPPED, 3, Cause.EXITED, "bye")
    assert (seen.started, seen.ended) == (START, START + timedelta(days=1))
    assert far.live() == []


def test_a_container_ends_by_itself_when_its_time_has_come(far: FarSide, clock: HandClock) -> None:
    far.behave(start_seconds=10, run_seconds=20)
    handle = start(far)
    phases = []
    for _ in range(3):
        phases.append(phase_of(far, handle))
        clock.move(15 * SECOND)

    assert phases == [Phase.PENDING, Phase.RUNNING, Phase.STOPPED]


def test_containers_without_an_end_of_their_own_can_be_told_to_end_at_once(far: FarSide) -> None:
    endless, ending = start(far), start(far, "another", run_seconds=20)

    far.finish_all()

    assert phase_of(far, endless) is Phase.STOPPED
    assert far.live() == [ending]


def test_an_instant_cloud_is_over_before_it_answers(far: FarSide) -> None:
    far.behave(run_seconds=0)

    assert phase_of(far, start(far)) is Phase.STOPPED


@pytest.mark.parametrize(
    ("how", "cause"),
    [("kill", Cause.KILLED), ("crash", Cause.INFRASTRUCTURE), ("refuse", Cause.REFUSED)],
)
def test_a_container_can_end_badly(far: FarSide, how: str, cause: Cause) -> None:
    handle = start(far)

    getattr(far, how)(handle)

    assert FakeCloud(far).describe_many(TARGET, [handle])[handle].cause is cause


def test_what_is_lost_is_missing_and_says_nothing(far: FarSide) -> None:
    handle = start(far)
    far.take_events()

    far.lose(handle)

    assert phase_of(far, handle) is Phase.MISSING
    assert FakeCloud(far).find(TARGET, "run", 1, 1) is None
    assert far.take_events() == []


def test_only_what_lives_can_be_finished(far: FarSide) -> None:
    handle = start(far)
    far.finish(handle)

    with pytest.raises(AssertionError, match="not live"):
        far.finish(handle)


def test_after_the_tokens_life_a_repeat_is_a_double(far: FarSide, clock: HandClock) -> None:
    far.behave(token_life=60)
    first = start(far)
    clock.move(59 * SECOND)
    assert start(far) == first
    assert far.doubles() == []

    clock.move(2 * SECOND)

    assert start(far) != first
    assert far.doubles() == [("run", 1)]
    assert far.highest("run") == {"run": 2}
    assert [(each.run_id, each.attempt, each.submit_seq) for each in far.started()] == [("run", 1, 1)] * 2


def test_nothing_is_seen_before_the_visibility_delay(far: FarSide, clock: HandClock) -> None:
    far.behave(visibility_delay=5)
    handle = start(far)
    assert FakeCloud(far).find(TARGET, "run", 1, 1) is None
    assert phase_of(far, handle) is Phase.MISSING

    clock.move(5 * SECOND)

    found = FakeCloud(far).find(TARGET, "run", 1, 1)
    assert found is not None
    assert found.handle == handle


def test_the_highest_number_at_once_is_kept_for_all_and_for_each(far: FarSide) -> None:
    first = start(far, "a", group="left")
    start(far, "b", group="right")
    far.finish(first)
    start(far, "c", group="left")
    start(far, "d", group="left")

    assert far.highest() == {"": 3}
    assert far.highest("pool") == {"pool": 3}
    assert far.highest("deployment") == {"etl": 3}
    assert far.highest("group") == {"left": 2, "right": 1}


def test_a_cancelled_container_stops_when_it_pleases(far: FarSide, clock: HandClock) -> None:
    far.behave(stop_seconds=30)
    handle = start(far)
    FakeCloud(far).cancel(TARGET, handle)
    clock.move(10 * SECOND)
    FakeCloud(far).cancel(TARGET, handle)
    assert phase_of(far, handle) is Phase.RUNNING

    clock.move(20 * SECOND)

    seen = FakeCloud(far).describe_many(TARGET, [handle])[handle]
    assert (seen.exit_code, seen.cause) == (143, Cause.STOPPED)


def test_one_that_does_not_listen_goes_on(far: FarSide, clock: HandClock) -> None:
    far.behave(stop_seconds=None)
    handle = start(far)

    FakeCloud(far).cancel(TARGET, handle)
    clock.move(timedelta(days=1))

    assert phase_of(far, handle) is Phase.RUNNING


def test_a_rate_is_enforced_and_throttles_are_counted(far: FarSide, clock: HandClock) -> None:
    far.behave(burst=2, per_second=1)
    outcomes = [type(submit(far, f"run-{number}")) for number in range(4)]
    clock.move(1.5 * SECOND)
    outcomes += [type(submit(far, f"later-{number}")) for number in range(2)]

    assert outcomes == [Accepted, Accepted, NotNow, NotNow, Accepted, NotNow]
    assert far.counts()["submit: throttled"] == 3
    assert far.counts()["submit"] == 6
    assert FakeCloud(far).traits.rates == {"submit": (Rate(2, 1.0),)}


def test_failures_come_in_the_order_asked_for_and_as_often(far: FarSide) -> None:
    far.fail_next("throttled", times=2)
    far.fail_next("quota")
    far.fail_next("unavailable")

    outcomes = [submit(far) for _ in range(5)]

    assert [type(each) for each in outcomes] == [NotNow, NotNow, PoolUnavailable, Unknown, Accepted]
    assert isinstance(outcomes[2], PoolUnavailable)
    assert outcomes[2].until == START + 60 * SECOND
    assert len(far.started("run")) == 1


def test_other_calls_fail_before_or_after_their_effect(far: FarSide) -> None:
    cloud = FakeCloud(far)
    handle = start(far)
    far.fail_next("unavailable", call="cancel")
    far.fail_next("reply lost", call="cancel")
    far.fail_next("unavailable", call="describe")
    far.fail_next("unavailable", call="find")

    with pytest.raises(Unreachable):
        cloud.cancel(TARGET, handle)
    with pytest.raises(Unreachable):
        cloud.describe_many(TARGET, [handle])
    with pytest.raises(Unreachable):
        cloud.find(TARGET, "run", 1, 1)
    assert far.live() == [handle]
    with pytest.raises(Unreachable):
        cloud.cancel(TARGET, handle)

    assert far.live() == []


def test_a_mistyped_failure_is_refused(far: FarSide) -> None:
    with pytest.raises(AssertionError, match="is none of"):
        far.fail_next("throtled")


def test_what_is_kept_has_to_be_cleaned_up(far: FarSide) -> None:
    far.behave(keeps=True, run_seconds=0)
    handle = start(far)
    assert far.left() == [handle]
    assert FakeCloud(far).traits.cleanup_after == timedelta(0)

    FakeCloud(far).cleanup(TARGET, handle)

    assert far.left() == []
    assert phase_of(far, handle) is Phase.STOPPED


def events_of(far: FarSide) -> list[tuple[str, Phase]]:
    said = [FakeCloud(far).parse_event(raw) for raw in far.take_events()]
    return [(event.run_id, event.observation.phase) for event in said if event is not None]


def test_events_are_given_out_once(far: FarSide) -> None:
    far.finish(start(far))

    assert events_of(far) == [("run", Phase.RUNNING), ("run", Phase.STOPPED)]
    assert events_of(far) == []


def test_events_can_be_lost_doubled_late_and_out_of_order(far: FarSide, clock: HandClock) -> None:
    far.behave(event_copies=0)
    start(far, "lost")
    far.behave(event_copies=2, event_phases=(Phase.STOPPED,))
    far.finish(start(far, "doubled"))
    far.behave(event_copies=1, event_delay=30, newest_event_first=True)
    far.finish(start(far, "late"))
    far.finish(start(far, "later"))

    assert events_of(far) == [("doubled", Phase.STOPPED)] * 2
    clock.move(30 * SECOND)
    assert events_of(far) == [("later", Phase.STOPPED), ("late", Phase.STOPPED)]


def test_the_containers_token_is_for_the_test_alone(far: FarSide) -> None:
    handle = start(far)

    assert far.environment(handle) == {"PUSHPOOL_RUN_ID": "run", "PUSHPOOL_RUN_TOKEN": "token of run"}


def test_a_cloud_tells_of_what_its_own_calls_bring_about(far: FarSide) -> None:
    cloud = TellingCloud(far)
    told: list[Event] = []
    done = threading.Event()

    def tell(event: Event) -> None:
        told.append(event)
        if len(told) == 1:
            raise RuntimeError("the store is on fire")
        if event.observation.phase is Phase.STOPPED:
            done.set()

    cloud.watch(tell)
    start(far, run_seconds=0)

    assert done.wait(10)
    assert [event.observation.phase for event in told] == [Phase.RUNNING, Phase.STOPPED]
    cloud.close()


def test_the_cloud_outlives_a_killed_process_and_is_shared(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from dispatcher.ports import Request, Submission\n"
        "from dispatcher.runs import Target\n"
        "from dispatcher.testing import fake_cloud\n"
        "cloud = fake_cloud.open({'path': sys.argv[1]})\n"
        "body = {'pool': 'p', 'deployment': 'd', 'configuration': {}, 'environment': {}}\n"
        "cloud.submit(Submission('run', 1, 1, Request(Target('fake'), body), 'token'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / "far.db")], check=False)

    cloud = fake_cloud.open({"path": str(tmp_path / "far.db")})

    assert len(cloud.far.started("run")) == 1
    found = cloud.find(TARGET, "run", 1, 1)
    assert found is not None
    assert found.phase is Phase.RUNNING
    cloud.far.close()


def test_many_threads_and_far_sides_lose_nothing(tmp_path: Path) -> None:
    fars = [FarSide(tmp_path / "far.db") for _ in range(4)]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: start(fars[number % 4], f"run-{number % 50}"), range(200)))

    assert len(fars[0].started()) == 50
    assert fars[0].highest() == {"": 50}
    assert fars[0].counts()["submit"] == 200
    for far in fars:
        far.close()


def test_a_wish_that_it_does_not_know_is_refused(far: FarSide) -> None:
    with pytest.raises(InvalidInput, match="run_seconds"):
        submit(far, runs_seconds=3)


def test_a_request_is_stored_whole(far: FarSide) -> None:
    cloud = FakeCloud(far)
    job = Job(
        pool="pool", run_id="r", run_name="n", deployment="d", attempt=1, submit_seq=1,
        configuration={"image": "etl:1", "fake": {}}, environment={"A": "1"},
    )  # fmt: skip

    assert cloud.request(job) == Request(
        TARGET,
        {
            "pool": "pool",
            "deployment": "d",
            "configuration": {"image": "etl:1", "fake": {}},
            "environment": {"A": "1"},
        },
    )


def test_a_clock_stands_still_until_it_is_moved() -> None:
    clock = HandClock()
    moves: list[int] = []
    clock.on_move(lambda: moves.append(1))

    assert clock.now() == clock.now() == START
    assert clock.move(SECOND) == clock.now() == START + SECOND
    assert clock.move_to(START) == START
    assert len(moves) == 2
