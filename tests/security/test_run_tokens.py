"""What the token of a run's attempt may do: something to that attempt, while it lives, and to nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.http.routes import ROUTES, Access
from dispatcher.runs import FlowRun
from dispatcher.testing.api_bench import Answer, ApiBench
from dispatcher.testing.builders import admitted, end, make_run
from dispatcher.tokens import RunToken

Json = dict[str, Any]

STATE, HEARTBEAT, PARAMETERS = (f"/v1/callbacks/{word}" for word in ("state", "heartbeat", "parameters"))
MINE, THEIRS = "i-mine", "i-theirs"
WORDS: list[tuple[str, str, Json | None]] = [
    *(("POST", STATE, {"state": state}) for state in ("RUNNING", "COMPLETED", "FAILED", "CRASHED")),
    ("POST", STATE, {"state": "FAILED", "signalled": True, "exit_code": 143}),
    ("POST", HEARTBEAT, {}),
    ("GET", PARAMETERS, None),
]


def called(word: tuple[str, str, Json | None]) -> str:
    _, path, body = word
    return "_".join(str(part) for part in [path.rsplit("/", 1)[1], *(body or {}).values()])


def token(bench: ApiBench, run: FlowRun, attempt: int) -> str:
    said = RunToken(run.id, attempt, bench.clock.now() + timedelta(days=2))
    return bench.ring.sign(said, key_id=bench.ring.current)


def running(bench: ApiBench, instance: str, **fields: Any) -> FlowRun:
    """A run that `instance` has claimed."""
    run = admitted(bench.store, make_run(**fields))
    claimed = bench.call("POST", STATE, {"state": "RUNNING", "instance": instance}, key=token(bench, run, run.attempt))
    assert claimed.status == 200
    return now_of(bench, run)


def now_of(bench: ApiBench, run: FlowRun) -> FlowRun:
    found = bench.store.get_run(run.id)
    assert found is not None
    return found


def send(bench: ApiBench, key: str, word: tuple[str, str, Json | None], instance: str, **more: Any) -> Answer:
    method, path, body = word
    return bench.call(method, path, None if body is None else {"instance": instance, **body, **more}, key=key)


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench()


def test_these_are_all_the_routes_that_a_run_token_opens() -> None:
    assert {route.path for route in ROUTES if route.access is Access.RUN_TOKEN} == {path for _, path, _ in WORDS}


def _of_an_older_attempt(bench: ApiBench) -> tuple[FlowRun, int]:
    return running(bench, MINE, attempt=3), 2


def _of_an_attempt_to_come(bench: ApiBench) -> tuple[FlowRun, int]:
    return running(bench, MINE, attempt=3), 4


def _of_a_run_that_has_ended(bench: ApiBench) -> tuple[FlowRun, int]:
    run = running(bench, MINE)
    move = end(run)
    bench.store.move(move)
    return move.after, 1


def _of_a_run_that_waits(bench: ApiBench) -> tuple[FlowRun, int]:
    return bench.store.create_run(make_run()), 1


STALE: dict[str, Callable[[ApiBench], tuple[FlowRun, int]]] = {
    "of an older attempt": _of_an_older_attempt,
    "of an attempt to come": _of_an_attempt_to_come,
    "of a run that has ended": _of_a_run_that_has_ended,
    "of a run that waits": _of_a_run_that_waits,
}


@pytest.mark.parametrize("word", WORDS, ids=called)
@pytest.mark.parametrize("whose", STALE)
def test_a_stale_token_changes_nothing(bench: ApiBench, whose: str, word: tuple[str, str, Json | None]) -> None:
    """Ends are passed over, so that nobody repeats them; all else is refused. Not even parameters are told."""
    run, attempt = STALE[whose](bench)
    before = bench.contents()

    answer = send(bench, token(bench, run, attempt), word, MINE)

    is_end = word[1] == STATE and word[2] is not None and word[2]["state"] != "RUNNING"
    assert answer.status == (200 if is_end else 409)
    assert bench.contents() == before


@pytest.mark.parametrize("word", WORDS, ids=called)
def test_a_token_of_a_run_that_is_not_here_is_refused(bench: ApiBench, word: tuple[str, str, Json | None]) -> None:
    before = bench.contents()

    assert send(bench, token(bench, make_run(), 1), word, MINE).status == 401
    assert bench.contents() == before


# Whatever a body might call another run by.
CLAIMS: list[Callable[[FlowRun], Json]] = [
    lambda run: {"run": run.id, "run_id": run.id, "id": run.id, "flow_run_id": run.id},
    lambda run: {"run": {"id": run.id}, "attempt": run.attempt, "token": {"run": run.id, "att": run.attempt}},
    lambda run: {"handle": "theirs", "deployment": run.deployment, "pool": run.pool, "slots": [str(run.slots[0])]},
]


@pytest.mark.parametrize("word", WORDS, ids=called)
@pytest.mark.parametrize("claim", range(len(CLAIMS)))
@pytest.mark.parametrize("instance", [MINE, THEIRS])
def test_a_token_reaches_its_own_run_alone(
    bench: ApiBench, word: tuple[str, str, Json | None], claim: int, instance: str
) -> None:
    mine, theirs = running(bench, MINE), running(bench, THEIRS, parameters={"secret": "theirs"})
    entries = [entry for entry in bench.store.active(theirs.pool) if entry.run_id == theirs.id]

    answer = send(bench, token(bench, mine, 1), word, instance, **CLAIMS[claim](theirs))

    assert answer.status < 500
    assert "theirs" not in answer.body.decode().replace(THEIRS, "")
    assert now_of(bench, theirs) == theirs
    assert [entry for entry in bench.store.active(theirs.pool) if entry.run_id == theirs.id] == entries


@pytest.mark.parametrize("word", WORDS, ids=called)
def test_a_token_in_another_container_changes_nothing(bench: ApiBench, word: tuple[str, str, Json | None]) -> None:
    """But for its parameters, which the runner fetches before it says who it is."""
    run = running(bench, MINE)
    before = bench.contents()

    answer = send(bench, token(bench, run, 1), word, THEIRS)

    assert bench.contents() == before
    assert answer.status == (
        200 if word[1] == PARAMETERS or (word[2] or {}).get("state", "RUNNING") != "RUNNING" else 409
    )


def test_a_renewed_token_is_of_the_same_attempt(bench: ApiBench) -> None:
    run = running(bench, MINE)
    brief = RunToken(run.id, 1, bench.clock.now() + timedelta(minutes=5))
    key = bench.ring.sign(brief, key_id=bench.ring.current)

    renewed = send(bench, key, ("POST", HEARTBEAT, {}), MINE).json["token"]

    said = bench.ring.verify(renewed, now=bench.clock.now())
    assert (said.run_id, said.attempt, said.scope) == (run.id, 1, brief.scope)
