"""The shell around a command, and what is told of the command's end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.infrastructure import process
from adapters.infrastructure.process import shim
from dispatcher.errors import Unreachable
from dispatcher.ports import Cause, Event, Phase, Rejected, Submission

if TYPE_CHECKING:
    from tests.unit.process.conftest import Bench


@pytest.fixture
def _signals_at_their_default() -> Iterator[None]:
    """Whoever starts the tests in the background has some ignored, and the command would inherit that."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.usefixtures("_signals_at_their_default")
def test_the_shell_survives_what_ends_its_command(bench: Bench, number: signal.Signals) -> None:
    bench.start(bench.open(), ["sleep", "60"])
    pid = bench.shim()
    bench.eventually(lambda: "sleep" in bench.names())

    os.killpg(pid, number)

    seen = bench.end()
    assert (seen.exit_code, seen.cause) == (128 + number, Cause.KILLED)
    assert seen.message == f"killed by {number.name}"
    assert seen.log_tail == ""


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "zsh"])
@pytest.mark.parametrize("proc", ["/proc/", "/nowhere/"])
def test_the_shell_may_be_any(bench: Bench, shell: str, proc: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    attempt = bench.attempt()
    attempt.claim({})
    options = ["sh", "-c"] if shell == "busybox" else ["-c"]
    script = shim.SHIM.replace("/proc/", proc)

    subprocess.run([shell, *options, script, str(attempt.folder), "/bin/sh", "-c", "exit 3"], check=False)

    who = attempt.identity()
    assert who is not None
    assert who.birth
    assert attempt.exit_line() == "3"


@pytest.mark.usefixtures("_signals_at_their_default")
def test_signals_are_as_the_command_expects_them(bench: Bench) -> None:
    show = "import signal; print([s.name for s in signal.Signals if signal.getsignal(s) is signal.SIG_IGN])"
    bench.start(bench.open(), [sys.executable, "-c", show])

    assert bench.end().log_tail == "['SIGPIPE', 'SIGXFSZ']\n"  # which Python itself ignores


def test_a_word_of_the_shell_is_no_command(bench: Bench) -> None:
    adapter = bench.open()

    outcome = adapter.submit(Submission(bench.run_id, 1, 1, adapter.request(bench.job(["exit", "0"])), bench.token))

    assert isinstance(outcome, Rejected)


def test_an_exit_without_its_newline_is_not_believed(bench: Bench) -> None:
    bench.start(bench.open(), ["sleep", "60"])
    bench.shim()

    (bench.root / bench.handle / "exit").write_text("0")

    assert bench.see().phase is Phase.RUNNING


def test_no_descriptor_of_the_dispatcher_is_handed_on(bench: Bench, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        bench.start(bench.open(), ["ls", "-l", "/dev/fd/"])

        seen = bench.end()

    assert "secret" not in seen.log_tail
    assert "output.log" in seen.log_tail


def test_the_last_lines_are_told(bench: Bench) -> None:
    bench.start(bench.open(), ["sh", "-c", "for i in $(seq 1 100); do echo line $i; done; echo last >&2"])

    tail = bench.end().log_tail.splitlines()

    assert len(tail) == 20
    assert tail[-2:] == ["line 100", "last"]


def test_a_long_line_is_cut(bench: Bench) -> None:
    bench.start(bench.open(), [sys.executable, "-c", "print('x' * 100_000)"])

    assert len(bench.end().log_tail) == 4096


def test_an_exit_code_beyond_the_signals_is_the_commands_own(bench: Bench) -> None:
    bench.start(bench.open(), ["sh", "-c", "exit 255"])

    seen = bench.end()

    assert (seen.exit_code, seen.cause) == (255, Cause.EXITED)


def test_cleaning_up_removes_the_attempt_and_spares_the_others(bench: Bench) -> None:
    adapter = bench.open()
    first = bench.start(adapter, ["true"])
    second = bench.start(adapter, ["sleep", "60"], attempt=2, grace_seconds=0.1)
    bench.end(first)
    bench.shim(second)

    adapter.cleanup(bench.target, first)
    with pytest.raises(Unreachable, match="has not ended"):
        adapter.cleanup(bench.target, second)

    assert bench.see(first).phase is Phase.MISSING
    assert bench.see(second).phase is Phase.RUNNING
    adapter.cancel(bench.target, second)
    bench.end(second)
    adapter.cleanup(bench.target, second)
    assert not (bench.root / bench.run_id).exists()


@pytest.mark.parametrize(
    "handle", ["../../etc", "/etc", "RUN/../x", "RUN", "", "../x/1-1", "RUN/1-1/..", "RUN/1-1\n", "./1-1", "../1-1"]
)
def test_a_handle_never_leads_elsewhere(bench: Bench, handle: str) -> None:
    adapter = bench.open()
    handle = handle.replace("RUN", bench.run_id)

    assert adapter.describe_many(bench.target, [handle])[handle].phase is Phase.MISSING
    assert adapter.links(bench.target, handle) == {}
    assert adapter.log(bench.target, handle) is None
    adapter.cleanup(bench.target, handle)
    assert Path("/etc").exists()


def test_attempts_are_kept_as_long_as_the_settings_say(tmp_path: Path) -> None:
    settings = {"state_directory": str(tmp_path), "host": "here", "log_retention_days": "1.5"}

    assert process.open(settings).traits.cleanup_after == timedelta(days=1.5)
    assert process.open(settings | {"log_retention_days": ""}).traits.cleanup_after == timedelta(days=7)


def children() -> set[str]:
    """Processes that this one has to reap."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_no_zombie_and_no_thread_is_left(bench: Bench) -> None:
    threads, before = threading.active_count(), children()
    told: list[Event] = []
    adapter = bench.open()
    adapter.watch(told.append)
    for attempt in range(1, 11):
        bench.start(adapter, ["true"], attempt=attempt)
    bench.eventually(lambda: len(told) == 10)
    adapter.close()

    bench.eventually(lambda: children() <= before)
    assert threading.active_count() == threads
