"""The far sides of a proof: each cloud can be made to do what clouds do, and what really runs comes to the gate."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from dispatcher import job_templates, registry
from dispatcher.ports import (
    Accepted,
    Cause,
    Closing,
    Infrastructure,
    Job,
    NotNow,
    Observation,
    Outcome,
    Phase,
    PoolUnavailable,
    Request,
    Unknown,
)
from dispatcher.testing.cloud_bench import submission
from dispatcher.testing.proof.clouds import CLOUDS, clouds, gated
from dispatcher.testing.proof.clouds.gated import Gated
from dispatcher.testing.proof.clouds.process import process
from dispatcher.testing.proof.far import Container, Far, NewFar, Unsettled
from dispatcher.testing.proof.gate import Gate

# How a container is lost: an attempt that ends so costs no retry where the infrastructure is to blame.
LOSSES = {
    "process": Cause.INFRASTRUCTURE,
    "ecs:push": Cause.INFRASTRUCTURE,
    "azure-container-instance:push": Cause.INFRASTRUCTURE,
    "cloud-run-v2:push": Cause.KILLED,
    "modal:push": Cause.KILLED,
}
TELLING = ("ecs:push", "cloud-run-v2:push")
OUTCOMES = {"throttled": NotNow, "denied": PoolUnavailable, "timeout": Unknown, "reply lost": Unknown}


class Dispatcher:
    """One that submits to a far side, by the real adapter."""

    def __init__(self, far: Far) -> None:
        assert isinstance(far, Gated)
        self.far = far
        self.infrastructure: Infrastructure = registry.infrastructure(far.type, far.settings)

    def submit(self, run_id: str, *, attempt: int = 1) -> tuple[Request, Outcome]:
        said = self.far.job("etl")
        variables = {"command": said["command"], **said["job_variables"]}
        job = Job(
            pool="pool",
            run_id=run_id,
            run_name="brisk-otter",
            deployment="etl",
            attempt=attempt,
            submit_seq=1,
            configuration=job_templates.render(self.far.template, self.far.variables, variables),
            environment={"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": str(attempt)},
        )
        request = self.infrastructure.request(job)
        return request, self.infrastructure.submit(submission(job, request))

    def start(self, *, attempt: int = 1) -> tuple[Request, str, Container]:
        """It is up when this returns."""
        run_id = str(uuid4())
        request, outcome = self.submit(run_id, attempt=attempt)
        assert isinstance(outcome, Accepted), outcome
        self.far.settle()
        (container,) = self.of(run_id)
        return request, outcome.handle, container

    def of(self, run_id: str) -> list[Container]:
        return [each for each in self.far.containers() if each.run_id == run_id]

    def describe(self, request: Request, handle: str) -> Observation:
        return self.infrastructure.describe_many(request.target, [handle])[handle]

    def finish(self, container: Container, exit_code: int) -> None:
        """It is gone when this returns."""
        self.far.finish(container.name, exit_code)
        self.far.settle()

    def close(self) -> None:
        if isinstance(self.infrastructure, Closing):
            self.infrastructure.close()
        self.far.close()


@pytest.fixture(scope="module", params=[name for name in CLOUDS if name != "scripted"])  # that one has no gate
def new_far(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewFar]:
    if request.param == "ecs":
        account = request.getfixturevalue("aws_account")
        from dispatcher.testing.proof.clouds.ecs import ecs_in

        yield ecs_in(account)
        return
    with clouds(request.param, tmp_path_factory.mktemp(request.param)) as new:
        yield new


@pytest.fixture
def it(new_far: NewFar, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatcher]:
    far = new_far()
    for name, value in far.environment.items():
        monkeypatch.setenv(name, value)
    with closing(Dispatcher(far)) as made:
        yield made


def living(gate: Gate) -> list[int]:
    """Pids of all on this machine that were told of it."""
    mark, found = f"GATE={gate.address}".encode(), []
    for each in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in each.read_bytes().split(b"\0"):
                found.append(int(each.parent.name))
    return found


@contextmanager
def held(gate: Gate) -> Iterator[None]:
    """Its containers stand still while the block lasts."""
    pids = living(gate)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def impatience() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(gated, "PATIENCE_SECONDS", 0.2)
        yield


def test_a_container_comes_to_the_gate_and_exits_as_it_is_told_there(it: Dispatcher) -> None:
    request, handle, container = it.start(attempt=2)
    running = it.describe(request, handle)

    it.finish(container, 3)

    (ended,), seen = it.far.containers(), it.describe(request, handle)
    assert (container.is_up, container.attempt, container.deployment) == (True, 2, "etl")
    assert container.token == "pp1.the-token-that-nobody-else-may-see"
    assert running.phase is Phase.RUNNING
    assert not ended.is_up
    assert ended.ended is not None
    assert ended.began == container.began <= ended.ended <= it.far.seconds()
    assert (seen.phase, seen.cause, seen.exit_code) == (Phase.STOPPED, Cause.EXITED, 3)


def test_one_that_is_lost_is_told_of_as_this_cloud_does(it: Dispatcher) -> None:
    request, handle, container = it.start()

    it.far.crash(container.name)
    it.far.settle()
    again = [each for each in it.of(container.run_id) if each.name != container.name]
    named = list(it.far.restarted())
    for each in again:
        it.finish(each, 75)

    assert named == [each.name for each in again]
    assert len(again) == (1 if it.far.type.startswith("azure") else 0)
    assert it.of(container.run_id)[0].ended is not None
    seen = it.describe(request, handle)
    assert (seen.phase, seen.cause) == (Phase.STOPPED, LOSSES[it.far.type])


def test_one_that_is_forgotten_is_gone_and_unknown(it: Dispatcher) -> None:
    request, handle, container = it.start()

    it.far.forget(container.name)
    it.far.settle()

    (seen,) = it.far.containers()
    assert not seen.is_up
    assert it.describe(request, handle).phase is Phase.MISSING
    assert it.infrastructure.find(request.target, container.run_id, 1, 1) is None
    assert it.far.left() == []


def test_one_that_the_cloud_is_asked_to_stop_has_ended_when_all_is_settled(it: Dispatcher) -> None:
    request, handle, _ = it.start()

    it.infrastructure.cancel(request.target, handle)
    it.far.settle()

    (ended,) = it.far.containers()
    assert ended.ended is not None
    seen = it.describe(request, handle)
    assert (seen.phase, seen.cause) == (Phase.STOPPED, Cause.STOPPED)


def test_one_that_takes_its_time_to_stop_is_waited_for(it: Dispatcher) -> None:
    request, handle, _ = it.start()
    has_grace = it.far.type != "process"  # there it may have been killed meanwhile
    expected = pytest.raises(Unsettled, match="on the way to a start or an end") if has_grace else suppress(Unsettled)
    with held(it.far.gate), impatience():
        it.infrastructure.cancel(request.target, handle)
        with expected:
            it.far.settle()

    it.far.settle()

    assert [each.is_up for each in it.far.containers()] == [False]


@pytest.mark.parametrize("kind", OUTCOMES)
def test_submissions_meet_with_what_was_ordered_and_the_next_does_not(it: Dispatcher, kind: str) -> None:
    run_ids = [str(uuid4()), str(uuid4())]
    if kind not in it.far.faults:
        with pytest.raises(ValueError, match=kind):
            it.far.fail_next(kind)
        return

    it.far.fail_next(kind, times=2)
    outcomes = [it.submit(run_id)[1] for run_id in run_ids]
    it.far.settle()

    assert [type(outcome) for outcome in outcomes] == [OUTCOMES[kind]] * 2
    assert [len(it.of(run_id)) for run_id in run_ids] == ([1, 1] if kind == "reply lost" else [0, 0])
    it.start()


def test_what_the_cloud_tells_is_taken_once_and_is_of_this_life(it: Dispatcher, new_far: NewFar) -> None:
    with closing(Dispatcher(new_far())) as other:
        _, _, container = it.start()
        _, _, others = other.start()

        it.finish(container, 4)
        other.finish(others, 0)
        told = [it.infrastructure.parse_event(raw) for raw in it.far.take_events()]

    events = [event for event in told if event is not None]
    assert {event.run_id for event in events} <= {container.run_id}
    ends = {(each.observation.phase, each.observation.exit_code) for each in events}
    assert ((Phase.STOPPED, 4) in ends) == (it.far.type in TELLING)
    assert it.far.take_events() == []


def test_what_is_left_is_named_until_somebody_has_removed_it(it: Dispatcher, new_far: NewFar) -> None:
    with closing(Dispatcher(new_far())) as other:
        other.start()
        request, handle, container = it.start()
        live = it.far.left()

        it.finish(container, 0)
        is_kept = it.infrastructure.traits.cleanup_after is not None
        ended = it.far.left()
        it.infrastructure.cleanup(request.target, handle)

        assert len(live) == 1
        assert ended == (live if is_kept else [])
        assert it.far.left() == []
        assert len(other.far.left()) == 1


def test_nothing_runs_or_is_kept_when_it_is_closed(new_far: NewFar, monkeypatch: pytest.MonkeyPatch) -> None:
    far = new_far()
    for name, value in far.environment.items():
        monkeypatch.setenv(name, value)
    with closing(Dispatcher(far)) as it:
        it.start()
        _, _, ended = it.start()
        it.finish(ended, 0)
        assert living(it.far.gate)

    until = time.monotonic() + 10
    while living(it.far.gate) and time.monotonic() < until:  # a container's own shell goes a moment after its command
        time.sleep(0.01)
    assert living(it.far.gate) == []
    assert far.type == "ecs:push" or far.left() == []  # there the cluster is gone
    assert "gate" not in [thread.name for thread in threading.enumerate()]


# this machine's own


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Dispatcher]:
    with process(tmp_path) as new, closing(Dispatcher(new())) as made:
        yield made


def test_who_waits_too_long_is_told_for_what(here: Dispatcher) -> None:
    _, _, container = here.start()

    with held(here.far.gate), impatience():
        here.far.finish(container.name, 0)
        with pytest.raises(Unsettled, match=f"told to exit and still there: .*{container.name}"):
            here.far.settle()


def test_a_container_that_the_cloud_has_and_the_gate_has_not_is_waited_for(
    here: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gated, "job", lambda *_: {"command": ["sleep", "60"], "job_variables": {}})
    run_id = str(uuid4())
    here.submit(run_id)

    words = f"the cloud says that .*{run_id}/1.* run, and in truth \\[\\] do"
    with impatience(), pytest.raises(Unsettled, match=words):
        here.far.settle()


def test_a_claim_whose_dispatcher_was_killed_before_it_started_anything_is_given_up(here: Dispatcher) -> None:
    run_id = str(uuid4())
    folder = Path(here.far.settings["state_directory"]) / run_id / "1-1"
    folder.mkdir(parents=True)
    request, _, _ = here.start()

    seen = here.describe(request, f"{run_id}/1-1")

    assert (seen.phase, seen.cause) == (Phase.STOPPED, Cause.INFRASTRUCTURE)
