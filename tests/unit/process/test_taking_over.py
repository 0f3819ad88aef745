"""What a dispatcher started outlives it, and the next one knows it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapters.infrastructure.process import stopping
from adapters.infrastructure.process.processes import TABLE
from dispatcher.errors import Unreachable
from dispatcher.ports import Cause, Event, Phase

if TYPE_CHECKING:
    from tests.unit.process.conftest import Bench


@pytest.fixture
def orphan(bench: Bench) -> Callable[[Sequence[str]], int]:
    """Starts a command from a process that is killed at once, and returns the pid of the shell."""

    def start(command: Sequence[str]) -> int:
        script = (
            "import os, signal, sys\n"
            "from adapters.infrastructure import process\n"
            "from dispatcher.ports import Job, Submission\n"
            "p = process.open({'state_directory': sys.argv[1], 'host': 'here'})\n"
            "c = {'command': sys.argv[3:], 'runner': False, 'grace_seconds': 0.2}\n"
            "j = Job(pool='p', run_id=sys.argv[2], run_name='n', deployment='d', attempt=1, submit_seq=1,\n"
            "        configuration=c, environment={})\n"
            "p.submit(Submission(sys.argv[2], 1, 1, p.request(j), 'token'))\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        done = subprocess.run([sys.executable, "-c", script, str(bench.root), bench.run_id, *command], check=False)
        assert done.returncode == -signal.SIGKILL
        return bench.shim()

    return start


def test_what_a_killed_dispatcher_started_goes_on_and_is_known(
    bench: Bench, orphan: Callable[[Sequence[str]], int]
) -> None:
    orphan(["sh", "-c", "while [ ! -e go ]; do sleep 0.01; done; echo done; exit 3", str(bench.folder)])
    adapter = bench.open()

    found = adapter.find(bench.target, bench.run_id, 1, 1)
    assert found is not None
    assert (found.phase, found.handle) == (Phase.RUNNING, bench.handle)
    adapter.cancel(bench.target, bench.handle)

    assert bench.end().cause is Cause.STOPPED


def test_the_end_of_what_another_started_is_told(bench: Bench, orphan: Callable[[Sequence[str]], int]) -> None:
    orphan(["sh", "-c", f"while [ ! -e {bench.folder}/go ]; do sleep 0.01; done; exit 3"])
    told: list[Event] = []
    bench.open().watch(told.append)

    (bench.folder / "go").touch()

    bench.eventually(lambda: told)
    assert (told[0].run_id, told[0].attempt, told[0].observation.exit_code) == (bench.run_id, 1, 3)


def test_an_end_that_came_while_nobody_watched_is_told_once(
    bench: Bench, orphan: Callable[[Sequence[str]], int]
) -> None:
    orphan(["sh", "-c", "exit 3"])
    bench.end()
    first: list[Event] = []
    second: list[Event] = []

    bench.open().watch(first.append)
    bench.eventually(lambda: first and bench.attempt().is_told)
    adapter = bench.open()
    adapter.watch(second.append)
    bench.start(adapter, ["true"], attempt=2)
    bench.eventually(lambda: second)

    assert [event.attempt for event in first] == [1]
    assert [event.attempt for event in second] == [2]


def born_before(pid: int) -> str:
    """What an earlier process with that pid would have said of itself."""
    birth = TABLE.birth(pid)
    assert birth is not None
    return f"{pid} {birth.rpartition(' ')[0]} 1\n"


def test_a_reused_pid_is_not_believed(bench: Bench) -> None:
    bench.start(bench.open(), ["sleep", "60"])
    bench.shim()
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    (bench.root / bench.handle / "process").write_text(born_before(stranger.pid))

    seen = bench.see()

    assert (seen.phase, seen.cause) == (Phase.STOPPED, Cause.INFRASTRUCTURE)
    stranger.kill()
    stranger.wait()


def test_a_reused_pid_is_not_signalled(bench: Bench) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    attempt = bench.attempt()
    attempt.claim({"grace_seconds": 0.0})
    (attempt.folder / "begun").touch()
    (attempt.folder / "process").write_text(born_before(stranger.pid))
    adapter = bench.open()

    stopping.stop(attempt, lambda _, then: then())
    adapter.cancel(bench.target, bench.handle)
    adapter.cleanup(bench.target, bench.handle)

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_shell_that_was_killed_leaves_no_command_behind(bench: Bench) -> None:
    told: list[Event] = []
    adapter = bench.open()
    adapter.watch(told.append)
    bench.start(adapter, ["sleep", "60"])
    pid = bench.shim()
    bench.eventually(lambda: len(bench.left()) == 2)

    os.kill(pid, signal.SIGKILL)

    bench.eventually(lambda: told)
    assert told[0].observation.cause is Cause.INFRASTRUCTURE
    bench.eventually(lambda: not bench.left())


def test_a_machine_out_of_descriptors_says_nothing_of_what_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = bench.open()
    bench.start(adapter, ["sleep", "60"])
    bench.shim()

    def fail(path: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", fail)
        with pytest.raises(Unreachable, match="Too many open files"):
            adapter.describe_many(bench.target, [bench.handle])

    assert bench.see().phase is Phase.RUNNING


def test_a_state_directory_that_is_gone_says_nothing_of_what_was_in_it(bench: Bench) -> None:
    """A disk that is not mounted yet must not make every run a lost one."""
    adapter = bench.open()
    bench.end(bench.start(adapter, ["true"]))

    bench.root.rename(bench.folder / "elsewhere")
    bench.root.mkdir()

    for ask in (
        lambda: adapter.find(bench.target, bench.run_id, 1, 1),
        lambda: adapter.describe_many(bench.target, [bench.handle]),
        lambda: adapter.cancel(bench.target, bench.handle),
        lambda: adapter.cleanup(bench.target, bench.handle),
    ):
        with pytest.raises(Unreachable, match="bring it back"):
            ask()
