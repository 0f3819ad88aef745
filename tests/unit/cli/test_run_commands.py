"""`deployment run`, `flow-run` and `dispatch`, against the API in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.cli import client

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Shell


def test_a_run_is_created_with_what_was_typed(shell: Shell) -> None:
    """Values that are JSON are taken as that, others as text; -p wins over --params."""
    shell.applied()

    run = shell.json(
        "deployment", "run", "nightly", "--params", '{"day": 1, "x": [1]}', "-p", "day=2", "-p", "who=Ada=Lovelace",
        "-jv", "env.A=1", "-jv", 'env.B="2"', "--tag", "a", "--tag", "b", "--flow-run-name", "mine",
        "--start-at", "2031-01-02T03:04:05+02:00", "--idempotency-key", "k", "-q", "high",
    )  # fmt: skip

    assert run["parameters"] == {"day": 2, "x": [1], "who": "Ada=Lovelace"}
    assert run["job_variables"] == {"env.A": 1, "env.B": "2"}
    assert (run["name"], run["tags"], run["work_queue"]) == ("mine", ["a", "b"], "high")
    assert run["scheduled_time"] == "2031-01-02T01:04:05Z"


def test_parameters_may_come_from_stdin_and_the_same_key_gives_the_same_run(shell: Shell) -> None:
    """`--params -`, as Prefect has it."""
    shell.applied()
    words = ("deployment", "run", "nightly", "--params", "-", "--idempotency-key", "k", "--json")

    first, second = (json.loads(shell.ok(*words, input='{"day": 5}')) for _ in range(2))

    assert first["id"] == second["id"]
    assert first["parameters"] == {"day": 5}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-p", "day"), 2, "'day' is no key=value"),
        (("--params", "[1]"), 2, "it must be a JSON object"),
        (("--params", "{"), 2, "it is not JSON"),
        (("--start-in", "soon"), 2, "'soon' is no duration; write 90, 10m, '2 hours' or 1h30m"),
        (("--start-at", "noon"), 2, "'noon' is no time; write it as 2026-01-31T09:00:00Z"),
        (("--start-in", "1m", "--start-at", "2031-01-01"), 2, "give one of --start-in and --start-at"),
        (("-p", "day=monday"), 1, "parameter 'day'"),
        (("-q", "a b"), 1, "queue"),
    ],
)
def test_what_is_mistyped_makes_no_run(shell: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    """Misuse is 2, a refusal of the API is 1."""
    shell.applied()

    result = shell.run("deployment", "run", "nightly", *words)

    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())
    assert shell.json("flow-run", "ls") == []


def test_watching_ends_when_its_time_is_over(shell: Shell) -> None:
    """The run goes on, and the exit code is 1."""
    shell.applied()

    result = shell.run("deployment", "run", "adhoc", "--watch", "--watch-timeout", "0")

    assert result.exit_code == 1
    assert "Scheduled" in result.stdout
    assert "is Scheduled after 0 s; it goes on" in result.stderr


def test_runs_are_listed_shown_cancelled_retried_and_deleted(shell: Shell) -> None:
    """From the making of a run to its removal."""
    shell.applied()
    run = shell.json("deployment", "run", "adhoc", "--start-in", "1 hour", "-t", "a")["id"]

    assert [each["id"] for each in shell.json("flow-run", "ls", "--state", "scheduled", "--tag", "a")] == [run]
    assert shell.json("flow-run", "ls", "--state-type", "running") == []
    assert shell.json("flow-run", "ls", "--until", "2000-01-01") == []
    assert shell.json("flow-run", "inspect", run)["waits_for"].startswith("due at ")
    assert "never started" in shell.ok("flow-run", "logs", run)
    assert "has not ended" in shell.error("flow-run", "retry", run)
    assert shell.json("flow-run", "cancel", run, "--message", "no")["state_name"] == "Cancelled"
    assert "has ended already" in shell.error("flow-run", "cancel", run)
    watched = shell.run("flow-run", "watch", run)
    assert watched.exit_code == 1
    assert "Cancelled: no" in watched.stdout
    assert shell.json("flow-run", "retry", run)["state_name"] == "AwaitingRetry"
    shell.ok("flow-run", "cancel", run)
    shell.ok("flow-run", "delete", run, "--yes")
    assert "does not exist" in shell.error("flow-run", "inspect", run)


def test_runs_are_cancelled_by_what_is_said_of_them(shell: Shell) -> None:
    """All of them, and no other."""
    shell.applied()
    for tag in ("a", "a", "b"):
        shell.ok("deployment", "run", "adhoc", "--start-in", "1h", "--tag", tag)

    assert "give one ID, or say which runs by options" in shell.error("flow-run", "cancel", code=2)
    assert shell.json("flow-run", "cancel", "--deployment", "adhoc", "-t", "a", "--yes") == {"cancelled": 2}
    assert len(shell.json("flow-run", "ls", "--state", "Cancelled")) == 2


def test_logs_are_cut_as_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """--head and --tail, -n lines, reversed."""
    shell.applied()
    run = shell.json("deployment", "run", "adhoc", "--start-in", "1h")["id"]
    real, text, message = client.Api.get, "\n".join(str(n) for n in range(50)), ""

    def get(api: client.Api, *path: str, **query: Any) -> Any:
        found = real(api, *path, **query)
        return {**found, "text": text, "message": message} if path[-1] == "logs" else found

    monkeypatch.setattr(client.Api, "get", get)

    assert shell.ok("flow-run", "logs", run).splitlines() == text.splitlines()
    assert shell.ok("flow-run", "logs", run, "--tail", "-n", "2").split() == ["48", "49"]
    assert shell.ok("flow-run", "logs", run, "-h", "-n", "2", "-r").split() == ["1", "0"]
    assert len(shell.ok("flow-run", "logs", run, "--tail").split()) == 20
    assert "give one of" in shell.error("flow-run", "logs", run, "--head", "--tail", code=2)
    message = "the output is kept elsewhere"
    assert shell.ok("flow-run", "logs", run, "-t", "-n", "1").splitlines() == [message, "49"]


def test_a_pass_is_made_and_told(shell: Shell) -> None:
    """Over one pool or all; with a limit of 0 nothing is admitted."""
    assert shell.json("dispatch") == []
    shell.applied()
    shell.ok("deployment", "run", "adhoc")

    passes = shell.json(
        "dispatch",
        "--pool",
        "local",
        "--work-queue",
        "high",
        "--match",
        "hi",
        "--limit",
        "0",
        "--prefetch-seconds",
        "1",
    )

    assert [(each["pool"], each["admitted"]) for each in passes] == [("local", 0)]
    assert "local" in shell.ok("dispatch", "--limit", "0")
    assert "work pool 'nowhere' does not exist" in shell.error("dispatch", "-p", "nowhere")
