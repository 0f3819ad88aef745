"""What containers may say over HTTP, and what the runner relies on in the answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dispatcher import runner
from dispatcher.runs import FlowRun
from dispatcher.testing.api_bench import Answer, ApiBench
from dispatcher.testing.builders import admitted, end, make_run
from dispatcher.tokens import RunToken

STATE, HEARTBEAT, PARAMETERS = (f"/v1/callbacks/{word}" for word in ("state", "heartbeat", "parameters"))


class Container:
    """One attempt's container towards the API."""

    def __init__(self, bench: ApiBench, run: FlowRun, attempt: int = 1, life: timedelta = timedelta(days=2)) -> None:
        token = RunToken(run.id, attempt, bench.clock.now() + life)
        self.bench, self.run, self.token = bench, run, bench.ring.sign(token, key_id=bench.ring.current)

    def say(self, state: str, instance: str = "i-1", **more: Any) -> Answer:
        return self.bench.call("POST", STATE, {"state": state, "instance": instance, **more}, key=self.token)

    def beat(self, instance: str = "i-1") -> Answer:
        return self.bench.call("POST", HEARTBEAT, {"instance": instance}, key=self.token)

    @property
    def stored(self) -> FlowRun:
        run = self.bench.store.get_run(self.run.id)
        assert run is not None
        return run


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench()


@pytest.fixture
def container(bench: ApiBench) -> Container:
    run = make_run(parameters={"day": "today"})
    return Container(bench, admitted(bench.store, run))


def test_the_paths_are_those_that_the_runner_calls() -> None:
    assert (runner.STATE, runner.HEARTBEAT, runner.PARAMETERS) == (STATE, HEARTBEAT, PARAMETERS)


def test_the_first_running_word_claims_the_attempt(container: Container) -> None:
    answer = container.say("RUNNING")

    assert (answer.status, answer.json) == (200, {"state": "RUNNING", "heartbeat_seconds": 120.0})
    assert container.stored.state.type == "RUNNING"


def test_the_claimer_may_say_it_again(container: Container) -> None:
    container.say("RUNNING")

    assert container.say("RUNNING").json["state"] == "RUNNING"


def test_another_instance_may_not_start(container: Container) -> None:
    container.say("RUNNING")
    before = container.bench.contents()

    answer = container.say("RUNNING", "i-2")

    assert answer.status == 409
    assert "claimed by another container" in answer.json["detail"]
    assert container.bench.contents() == before


def test_a_container_of_an_older_attempt_may_not_start(bench: ApiBench) -> None:
    run = admitted(bench.store, make_run(attempt=2))
    before = bench.contents()

    assert Container(bench, run, attempt=1).say("RUNNING").status == 409
    assert bench.contents() == before


def test_a_run_that_is_being_stopped_may_not_start(container: Container) -> None:
    container.bench.call("POST", f"/v1/runs/{container.run.id}/cancel")

    assert container.say("RUNNING").status == 409


def test_the_claimer_ends_the_run(container: Container) -> None:
    container.say("RUNNING")

    answer = container.say("FAILED", exit_code=3, message="exit code 3", log_tail="boom")

    run = container.stored
    assert (answer.status, answer.json["state"]) == (200, "FAILED")
    assert (run.exit_code, run.attempts[-1].log_tail) == (3, "boom")


@pytest.mark.parametrize("word", ["COMPLETED", "FAILED", "CRASHED"])
def test_an_end_word_from_another_is_passed_over(container: Container, word: str) -> None:
    container.say("RUNNING")
    before = container.bench.contents()

    answer = container.say(word, "i-2")

    assert (answer.status, answer.json["state"]) == (200, "RUNNING")
    assert container.bench.contents() == before


def test_an_end_word_after_the_end_is_passed_over(container: Container) -> None:
    container.say("RUNNING")
    container.say("COMPLETED", exit_code=0)
    before = container.bench.contents()

    answer = container.say("FAILED", exit_code=1)

    assert (answer.status, answer.json["state"]) == (200, "COMPLETED")
    assert container.bench.contents() == before


def test_what_a_newer_runner_adds_is_passed_over(container: Container) -> None:
    assert container.say("RUNNING", weather="fine").status == 200


def test_long_texts_are_cut_and_not_refused(container: Container) -> None:
    container.say("RUNNING")

    answer = container.say("COMPLETED", exit_code=0, log_tail="x" * 500_000, message="y" * 5_000)

    assert answer.status == 200
    assert len(container.stored.attempts[-1].log_tail) < 10_000
    assert container.stored.state.message == "y" * 2_000


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({"state": "RUNNING"}, "instance"),
        ({"state": "RUNNING", "instance": ""}, "instance"),
        ({"state": "PAUSED", "instance": "i"}, "state"),
        ({"state": "FAILED", "instance": "i", "exit_code": "1"}, "exit_code"),
        ({"state": "FAILED", "instance": "i", "exit_code": 2**40}, "exit_code"),
    ],
)
def test_a_word_that_is_none_is_refused(container: Container, form: dict[str, Any], wrong: str) -> None:
    before = container.bench.contents()

    answer = container.bench.call("POST", STATE, form, key=container.token)

    assert (answer.status, list(answer.faults)) == (422, [wrong])
    assert container.bench.contents() == before


def test_the_run_is_the_tokens_whatever_the_body_says(bench: ApiBench, container: Container) -> None:
    other = admitted(bench.store, make_run())

    container.say("RUNNING", run_id=other.id, attempt=1)

    assert container.stored.state.type == "RUNNING"
    assert bench.store.get_run(other.id) == other


def test_a_beat_says_when_the_next_is_wanted(container: Container) -> None:
    container.say("RUNNING")

    answer = container.beat()

    assert (answer.status, answer.json) == (200, {"heartbeat_seconds": 120.0, "token": None})


def test_a_token_near_its_end_is_renewed(bench: ApiBench) -> None:
    container = Container(bench, admitted(bench.store, make_run()), life=timedelta(minutes=5))
    container.say("RUNNING")

    renewed = container.beat().json["token"]
    bench.clock.move(timedelta(days=1))
    container.token = renewed

    assert container.beat().status == 200


@pytest.mark.parametrize("when", ["before the claim", "from another", "after the end"])
def test_a_beat_that_is_too_late_stops_the_command(container: Container, when: str) -> None:
    if when != "before the claim":
        container.say("RUNNING")
    if when == "after the end":
        container.say("COMPLETED", exit_code=0)

    assert container.beat("i-2" if when == "from another" else "i-1").status == 409


def test_parameters_are_fetched_with_the_token(container: Container) -> None:
    answer = container.bench.call("GET", PARAMETERS, key=container.token)

    assert answer.json == {"parameters": {"day": "today"}}


def test_the_parameters_of_an_attempt_that_is_over_are_not_handed_out(container: Container) -> None:
    container.bench.store.move(end(container.stored))

    assert container.bench.call("GET", PARAMETERS, key=container.token).status == 409


def test_a_token_for_a_run_that_is_not_known_is_refused(bench: ApiBench) -> None:
    assert Container(bench, make_run()).say("RUNNING").status == 401


def test_the_runner_takes_the_answers_as_they_are(container: Container) -> None:
    claim = container.say("RUNNING")
    refusal = container.say("RUNNING", "i-2")

    yes = runner.Answer(claim.status, claim.body.decode(), state="RUNNING")
    no = runner.Answer(refusal.status, refusal.body.decode())

    assert (yes.is_yes, yes.body["heartbeat_seconds"]) == (True, 120.0)
    assert (no.is_final_no, no.reason.startswith("409 attempt 1")) == (True, True)
