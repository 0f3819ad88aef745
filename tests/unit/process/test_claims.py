"""What is started, what is not, and who sees the token."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from adapters.infrastructure import process
from adapters.infrastructure.process import folders, shim
from adapters.infrastructure.process.rendering import Launch
from dispatcher.errors import Unreachable
from dispatcher.ports import Cause, Phase, PoolUnavailable, Rejected, Submission, Unknown

if TYPE_CHECKING:
    from tests.unit.process.conftest import Bench


def test_what_was_claimed_and_never_started_is_a_free_attempt(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = bench.open()
    bench.attempt().claim({})

    assert bench.see().phase is Phase.PENDING
    assert bench.start(adapter, ["true"]) == bench.handle
    monkeypatch.setattr(folders, "PATIENCE_SECONDS", 0.0)
    seen = bench.see()

    assert (seen.phase, seen.cause) == (Phase.STOPPED, Cause.INFRASTRUCTURE)
    assert "never started" in seen.message
    assert seen.ended is not None


def test_a_claim_is_made_once(bench: Bench) -> None:
    bench.attempt().claim({})

    with pytest.raises(FileExistsError):
        bench.attempt().claim({})


def test_a_repeat_is_accepted_though_the_command_is_gone_by_now(bench: Bench) -> None:
    command = bench.folder / "job"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o700)
    adapter = bench.open()
    handle = bench.start(adapter, [str(command)])
    bench.end(handle)
    command.unlink()

    assert bench.start(adapter, [str(command)]) == handle


def test_a_shell_that_comes_too_late_does_not_run_its_command(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = bench.attempt()
    attempt.claim({})
    monkeypatch.setattr(folders, "PATIENCE_SECONDS", 0.0)
    assert bench.see().phase is Phase.STOPPED

    command = Launch(("/bin/sh", "-c", f"touch {tmp_path}/ran"), None, dict(os.environ))
    with attempt.log.open("ab") as output:
        pid = shim.start(attempt.folder, command, output)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == shim.NOT_BEGUN

    assert not (tmp_path / "ran").exists()
    assert bench.see().phase is Phase.STOPPED


def test_a_cancel_that_comes_before_the_shell_keeps_it_from_beginning(bench: Bench) -> None:
    attempt = bench.attempt()
    attempt.claim({})

    bench.open().cancel(bench.target, bench.handle)

    seen = bench.see()
    assert (seen.phase, seen.cause) == (Phase.STOPPED, Cause.STOPPED)


@pytest.mark.parametrize(
    ("command", "more"),
    [
        (["no-such-command"], {}),
        (["true"], {"working_dir": "/no/such/folder"}),
        (["echo", "a\0b"], {}),
        (["true"], {"env": {"A": "a\0b"}}),
        (["echo", "x" * 4_000_000], {}),
    ],
)
def test_what_can_never_start_is_rejected_and_leaves_nothing(
    bench: Bench, command: list[str], more: dict[str, Any]
) -> None:
    adapter = bench.open()

    outcome = adapter.submit(Submission(bench.run_id, 1, 1, adapter.request(bench.job(command, **more)), bench.token))

    assert isinstance(outcome, Rejected)
    assert bench.see().phase is Phase.MISSING


def test_a_state_directory_that_cannot_be_used_closes_the_pool(bench: Bench) -> None:
    bench.root.write_text("a file in its place")
    adapter = bench.open()

    outcome = adapter.submit(Submission(bench.run_id, 1, 1, adapter.request(bench.job(["true"])), bench.token))

    assert isinstance(outcome, PoolUnavailable)
    assert str(bench.root) in outcome.reason


def test_another_machine_starts_nothing_and_says_nothing(bench: Bench) -> None:
    sent = bench.open().request(bench.job(["true"]))
    other = process.open({"state_directory": str(bench.folder / "other"), "host": "there"})

    assert isinstance(other.submit(Submission(bench.run_id, 1, 1, sent, bench.token)), Unknown)
    for ask in (
        lambda: other.find(sent.target, bench.run_id, 1, 1),
        lambda: other.describe_many(sent.target, [bench.handle]),
        lambda: other.cancel(sent.target, bench.handle),
        lambda: other.cleanup(sent.target, bench.handle),
    ):
        with pytest.raises(Unreachable, match="sent to the process pool of 'here'"):
            ask()


def test_the_token_is_in_the_environment_alone(bench: Bench) -> None:
    bench.start(bench.open(), ["sh", "-c", "sleep 60; true"])
    bench.shim()
    pids = bench.eventually(lambda: bench.left() if len(bench.left()) == 3 else [])

    words = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
    files = [path.read_bytes() for path in bench.root.rglob("*") if path.is_file()]

    assert all(bench.token.encode() in Path(f"/proc/{pid}/environ").read_bytes() for pid in pids)
    assert len(files) >= 4
    assert bench.token.encode() not in b"".join(words + files)


def test_what_is_kept_is_for_this_user_alone(bench: Bench) -> None:
    bench.start(bench.open(), ["true"])

    assert bench.root.stat().st_mode & 0o777 == 0o700
    bench.end()


def test_name_and_labels_are_kept_with_the_process(bench: Bench) -> None:
    bench.start(bench.open(), ["true"], name="nightly", labels={"team": "data"}, grace_seconds=3)
    bench.end()

    about = json.loads((bench.root / bench.handle / "about.json").read_text())

    assert about == {"name": "nightly", "labels": {"team": "data"}, "grace_seconds": 3.0}
