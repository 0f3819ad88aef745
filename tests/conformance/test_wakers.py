"""Every waker passes the one suite; then what is peculiar to each."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapters.wakers import neighbours
from adapters.wakers.neighbours import Neighbours
from adapters.wakers.timers import Timers
from dispatcher.ports import Waker
from dispatcher.testing.clock import HandClock
from dispatcher.testing.waker_suite import Hand, LocalWakerSuite, Passes


@pytest.fixture
def passes() -> Passes:
    return Passes()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder with a short name: a socket's address has room for about 100 bytes."""
    with tempfile.TemporaryDirectory(prefix="pp") as folder:
        yield Path(folder)


class TimersHand:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.opened: list[Timers] = []

    def open(self, run: Callable[[str, int], None]) -> Waker:
        self.opened.append(Timers(run, clock=self.clock))
        return self.opened[-1]

    def now(self) -> datetime:
        return self.clock.now()

    def move(self, by: timedelta) -> None:
        self.clock.move(by)

    def close(self) -> None:
        for timers in self.opened:
            timers.close()


class NeighboursHand(TimersHand):
    """One process asks and another makes the passes: here both are this one."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.joined: list[Neighbours] = []

    def open(self, run: Callable[[str, int], None]) -> Waker:
        super().open(run)
        listener, asker = Neighbours(self.folder), Neighbours(self.folder)
        listener.listen(self.opened[-1].wake)
        self.joined += [listener, asker]
        return asker

    def close(self) -> None:
        for each in self.joined:
            each.close()
        super().close()


class TestTimers(LocalWakerSuite):
    @pytest.fixture
    def hand(self) -> Iterator[Hand]:
        made = TimersHand()
        yield made
        made.close()


class TestNeighbours(LocalWakerSuite):
    @pytest.fixture
    def hand(self, shared: Path) -> Iterator[Hand]:
        made = NeighboursHand(shared)
        yield made
        made.close()


# timers


def test_without_a_clock_timers_go_by_the_machines(passes: Passes) -> None:
    timers = Timers(passes)
    begun = time.time()
    timers.wake("pool", datetime.now().astimezone() + timedelta(milliseconds=50))

    assert passes.wait_for(1) == [("pool", 0)]
    assert time.time() - begun >= 0.05
    timers.close()


def test_closing_waits_for_the_pass_that_has_begun_and_makes_no_other(passes: Passes) -> None:
    passes.hold()
    timers = Timers(passes, clock=HandClock(), workers=1)
    timers.wake("first")
    passes.wait_for(1)
    timers.wake("first")
    timers.wake("second")
    closing = threading.Thread(target=timers.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()

    passes.release()
    closing.join(10)

    assert not closing.is_alive()
    assert passes.made == [("first", 0)]


def test_a_wake_after_the_close_is_nothing(passes: Passes) -> None:
    timers = Timers(passes, clock=HandClock())
    timers.close()

    timers.wake("pool")
    timers.wake("pool", HandClock().now() + timedelta(seconds=1))

    assert passes.made == []


def test_timers_leave_no_thread_and_cost_nothing_while_they_wait(passes: Passes) -> None:
    threads = threading.active_count()
    timers = Timers(passes)
    timers.wake("pool")
    timers.wake("pool", datetime.now().astimezone() + timedelta(hours=1))
    passes.wait_for(1)
    spent = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - spent < 0.05

    timers.close()

    assert threading.active_count() == threads


def test_a_machine_out_of_threads_loses_a_wake_and_no_more(passes: Passes, monkeypatch: pytest.MonkeyPatch) -> None:
    timers = Timers(passes, clock=HandClock())

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", fail)
        timers.wake("pool")
        timers.wake("pool", HandClock().now() + timedelta(seconds=1))
    timers.wake("pool")

    assert passes.wait_for(1) == [("pool", 0)]
    timers.close()


def test_more_pools_than_workers_all_have_their_pass(passes: Passes) -> None:
    timers = Timers(passes, clock=HandClock(), workers=2)

    for number in range(50):
        timers.wake(f"pool-{number}")

    assert len(passes.wait_for(50)) == 50
    assert passes.at_once <= 2
    timers.close()


# neighbours


def test_every_process_that_shares_the_folder_is_woken(shared: Path) -> None:
    both = [Passes(), Passes()]
    listeners = [Neighbours(shared), Neighbours(shared)]
    for listener, passes in zip(listeners, both, strict=True):
        listener.listen(lambda pool, _at, *, hops, passes=passes: passes(pool, hops))

    script = (
        "import sys, pathlib; from adapters.wakers.neighbours import Neighbours\n"
        "Neighbours(pathlib.Path(sys.argv[1])).wake('pool', hops=2)"
    )
    subprocess.run([sys.executable, "-c", script, str(shared)], check=True)

    assert [passes.wait_for(1) for passes in both] == [[("pool", 2)]] * 2
    for listener in listeners:
        listener.close()


def test_nobody_wakes_itself(shared: Path, passes: Passes) -> None:
    only = Neighbours(shared)
    only.listen(lambda pool, _at, *, hops: passes(pool, hops))

    only.wake("pool")
    time.sleep(0.05)
    only.close()

    assert passes.made == []


def test_the_socket_of_a_killed_process_is_removed(shared: Path) -> None:
    (shared / "wakes").mkdir(mode=0o700)
    dead = shared / "wakes" / "1-dead.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(dead))

    Neighbours(shared).wake("pool")

    assert not dead.exists()


def test_a_closed_listener_leaves_no_socket_and_no_thread(shared: Path) -> None:
    threads = threading.active_count()
    listener = Neighbours(shared)
    listener.listen(lambda *_, **__: None)
    assert len(list((shared / "wakes").iterdir())) == 1

    listener.close()

    assert list((shared / "wakes").iterdir()) == []
    assert threading.active_count() == threads


def test_a_folder_with_a_long_name_is_served_elsewhere(shared: Path, passes: Passes) -> None:
    folder = shared / ("long-" * 30)
    folder.mkdir()
    listener, asker = Neighbours(folder), Neighbours(folder)
    listener.listen(lambda pool, _at, *, hops: passes(pool, hops))

    asker.wake("pool")

    assert passes.wait_for(1) == [("pool", 0)]
    assert not (folder / "wakes").exists()
    listener.close()
    neighbours.places(folder)[0].rmdir()


def test_a_folder_that_others_may_write_to_is_not_used(shared: Path) -> None:
    (shared / "wakes").mkdir()
    (shared / "wakes").chmod(0o777)
    listener = Neighbours(shared)

    listener.listen(lambda *_, **__: None)

    assert list((shared / "wakes").iterdir()) == []
    listener.close()


@pytest.mark.parametrize("datagram", [b"x", b"[]", b"{}", b'{"pool": "p", "at": "soon", "hops": 0}'])
def test_a_datagram_of_somebody_else_does_no_harm(shared: Path, passes: Passes, datagram: bytes) -> None:
    listener = Neighbours(shared)
    listener.listen(lambda pool, _at, *, hops: passes(pool, hops))
    (address,) = (shared / "wakes").iterdir()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(datagram, str(address))
    Neighbours(shared).wake("pool")

    assert passes.wait_for(1) == [("pool", 0)]
    listener.close()


def test_a_listener_that_is_not_heard_holds_nobody_up(shared: Path) -> None:
    busy = threading.Event()
    listener, asker = Neighbours(shared), Neighbours(shared)

    def be_busy(pool: str, at: datetime | None, *, hops: int) -> None:
        busy.wait(10)

    listener.listen(be_busy)

    begun = time.monotonic()
    for number in range(30):
        asker.wake(f"pool-{number}")

    assert time.monotonic() - begun < 10
    busy.set()
    listener.close()


def test_without_anybody_to_wake_nothing_happens(shared: Path) -> None:
    Neighbours(shared / "nowhere").wake("pool")

    assert not (shared / "nowhere").exists()
