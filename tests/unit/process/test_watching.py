"""The one thread that sleeps until processes end, and the table that says which process is which."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.infrastructure.process.processes import Identity, ProcTable, PsTable, is_alive, kill_family
from adapters.infrastructure.process.watching import Bell, PollBell, Watcher, best_bell

BELLS: list[Callable[[], Bell]] = [best_bell, PollBell]


@pytest.fixture(params=BELLS, ids=lambda bell: bell.__name__)
def watcher(request: pytest.FixtureRequest) -> Iterator[Watcher]:
    made = Watcher(request.param)
    yield made
    made.close()


def test_an_end_is_told(watcher: Watcher) -> None:
    ended = threading.Event()
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    watcher.follow(child.pid, ended.set)
    assert not ended.wait(0.15)

    child.communicate()

    assert ended.wait(10)


def test_one_that_has_ended_is_told_at_once(watcher: Watcher) -> None:
    ended = threading.Event()
    child = subprocess.Popen(["true"])
    child.wait()

    watcher.follow(child.pid, ended.set)

    assert ended.wait(10)


def test_a_time_comes(watcher: Watcher) -> None:
    order: list[str] = []
    done = threading.Event()

    watcher.later(0.4, done.set)
    watcher.later(0.1, lambda: order.append("second"))
    watcher.later(0.0, lambda: order.append("first"))

    assert done.wait(10)
    assert order == ["first", "second"]


def test_trouble_with_one_is_not_the_end_for_the_others(watcher: Watcher, caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    watcher.later(0, lambda: 1 // 0)  # type: ignore[arg-type]
    watcher.later(0.01, done.set)

    assert done.wait(10)
    assert "could not be dealt with" in caplog.text


def test_nothing_is_called_after_the_close(watcher: Watcher) -> None:
    called = threading.Event()
    watcher.later(0.05, called.set)

    watcher.close()

    assert not called.wait(0.1)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs a pidfd")
def test_an_end_is_told_within_100_milliseconds() -> None:
    """The best of five: the machine may be busy."""
    watcher = Watcher()
    delays = []
    for _ in range(5):
        told = threading.Event()
        child = subprocess.Popen(["sleep", "0.05"])
        watcher.follow(child.pid, told.set)
        child.wait()
        ended = time.monotonic()
        assert told.wait(10)
        delays.append(time.monotonic() - ended)
    watcher.close()

    assert min(delays) < 0.1


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs a pidfd")
def test_waiting_costs_nothing() -> None:
    watcher = Watcher()
    child = subprocess.Popen(["sleep", "60"])
    rung = threading.Event()
    watcher.follow(child.pid, rung.set)
    watcher.later(0, rung.set)
    assert rung.wait(10)
    spent = time.process_time()

    time.sleep(0.3)

    assert time.process_time() - spent < 0.1
    watcher.close()
    child.kill()
    child.wait()


@pytest.mark.skipif(shutil.which("ps") is None or not Path("/proc").exists(), reason="needs both ps and /proc")
def test_ps_and_proc_agree() -> None:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        for table in (ProcTable(), PsTable()):
            row = table.rows()[child.pid]
            assert (row.parent, row.session) == (os.getpid(), child.pid)
            assert table.birth(child.pid) == row.identity.birth
            assert is_alive(row.identity, table)
            assert not is_alive(Identity(child.pid, "another time"), table)
    finally:
        child.kill()
        child.wait()
    assert [table.birth(child.pid) for table in (ProcTable(), PsTable())] == [None, None]


@pytest.mark.skipif(shutil.which("ps") is None, reason="there is no ps")
def test_a_ps_that_fails_is_no_word_on_anything() -> None:
    with pytest.raises(OSError, match=r"\w"):
        PsTable()._ps("--no-such-option")


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(["true"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()
    until = time.monotonic() + 10
    while Path(f"/proc/{child.pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < until
        time.sleep(0.005)

    assert ProcTable().birth(child.pid) is None
    assert PsTable().birth(child.pid) is None
    child.communicate()


@pytest.mark.parametrize("table", [ProcTable(), PsTable()], ids=["proc", "ps"])
def test_the_family_of_a_stranger_is_left_alone(table: ProcTable | PsTable) -> None:
    child = subprocess.Popen(["sh", "-c", "sleep 60; true"], start_new_session=True)
    try:
        assert not kill_family(Identity(child.pid, "another time"), "MARK=none", table)
        assert child.poll() is None
        born = table.birth(child.pid)
        assert born is not None
        until = time.monotonic() + 10
        while not kill_family(Identity(child.pid, born), "MARK=none", table):
            assert time.monotonic() < until
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()
