"""What every waker keeps. Subclass `WakerSuite` and give it a fixture `hand`.

A waker that makes the passes itself, and so can keep them apart, passes `LocalWakerSuite`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import pytest

from dispatcher.ports import Waker

PATIENCE_SECONDS = 10.0
SECOND = timedelta(seconds=1)


class Hand(Protocol):
    """The test's hand on a waker and on the time that it goes by."""

    def open(self, run: Callable[[str, int], None]) -> Waker:
        """A waker whose wakes, by whatever way, end in `run(pool, hops)`. Closed when the test is over."""
        ...

    def now(self) -> datetime: ...

    def move(self, by: timedelta) -> None:
        """Let that much time go by."""
        ...


class Passes:
    """Notes the passes that were asked for. `hold()` keeps those that begin from ending until `release()`."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int]] = []
        self.at_once = 0
        self._running = 0
        self._changed = threading.Condition()
        self._free = threading.Event()
        self._free.set()

    def __call__(self, pool: str, hops: int) -> None:
        with self._changed:
            self.made.append((pool, hops))
            self._running += 1
            self.at_once = max(self.at_once, self._running)
            self._changed.notify_all()
        self._free.wait(PATIENCE_SECONDS)
        with self._changed:
            self._running -= 1

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def wait_for(self, count: int) -> list[tuple[str, int]]:
        """The passes made, once there are that many, or when waiting for them is no use any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.made) >= count, PATIENCE_SECONDS)
            return list(self.made)


class WakerSuite:
    """Wakes arrive, none too early, and those that are the same collapse."""

    @pytest.fixture
    def passes(self) -> Passes:
        return Passes()

    def settle(self) -> None:
        """Give a pass that should not be made the time to be made."""
        time.sleep(0.05)

    def test_a_wake_without_a_time_asks_for_a_pass_now(self, hand: Hand, passes: Passes) -> None:
        hand.open(passes).wake("pool")

        assert passes.wait_for(1) == [("pool", 0)]

    def test_a_wake_for_a_time_that_has_passed_asks_for_a_pass_now(self, hand: Hand, passes: Passes) -> None:
        hand.open(passes).wake("pool", hand.now() - timedelta(hours=1))

        assert passes.wait_for(1) == [("pool", 0)]

    def test_a_wake_for_later_is_not_early(self, hand: Hand, passes: Passes) -> None:
        hand.open(passes).wake("pool", hand.now() + 30 * SECOND)

        hand.move(29 * SECOND)
        self.settle()

        assert passes.made == []

    def test_a_wake_for_later_comes_when_it_is_time(self, hand: Hand, passes: Passes) -> None:
        hand.open(passes).wake("pool", hand.now() + 30 * SECOND)
        self.settle()

        hand.move(30 * SECOND)

        assert passes.wait_for(1) == [("pool", 0)]

    def test_times_come_in_their_order_whatever_the_order_of_the_wakes(self, hand: Hand, passes: Passes) -> None:
        waker = hand.open(passes)
        for seconds in (30, 10, 20):
            waker.wake(f"pool-{seconds}", hand.now() + seconds * SECOND)
        self.settle()

        for count in (1, 2, 3):
            hand.move(10 * SECOND)
            passes.wait_for(count)

        assert passes.made == [("pool-10", 0), ("pool-20", 0), ("pool-30", 0)]

    def test_the_same_wake_sent_often_is_not_as_many_passes(self, hand: Hand, passes: Passes) -> None:
        waker = hand.open(passes)
        at = hand.now() + 30 * SECOND
        for _ in range(50):
            waker.wake("pool", at)
        self.settle()

        hand.move(30 * SECOND)
        passes.wait_for(1)
        self.settle()

        assert passes.made == [("pool", 0)]

    def test_every_wake_of_a_second_has_a_pass_that_is_not_before_it(self, hand: Hand, passes: Passes) -> None:
        waker = hand.open(passes)
        second = hand.now().replace(microsecond=0) + 30 * SECOND
        for milliseconds in (500, 100, 900):
            waker.wake("pool", second + timedelta(milliseconds=milliseconds))
        self.settle()

        hand.move(second + SECOND - hand.now())  # one for all of them may come when the second is over
        passes.wait_for(1)
        self.settle()

        assert 1 <= len(passes.made) <= 2

    def test_each_pool_has_its_own_wakes(self, hand: Hand, passes: Passes) -> None:
        waker = hand.open(passes)
        at = hand.now() + 30 * SECOND
        waker.wake("left", at)
        waker.wake("right", at)
        self.settle()

        hand.move(30 * SECOND)

        assert sorted(passes.wait_for(2)) == [("left", 0), ("right", 0)]

    def test_hops_arrive(self, hand: Hand, passes: Passes) -> None:
        hand.open(passes).wake("pool", hops=3)

        assert passes.wait_for(1) == [("pool", 3)]

    def test_a_name_of_any_letters_arrives(self, hand: Hand, passes: Passes) -> None:
        hand.open(passes).wake("Größe 1/β")

        assert passes.wait_for(1) == [("Größe 1/β", 0)]


class LocalWakerSuite(WakerSuite):
    """Besides, passes over one pool are kept apart, and none is lost or made for nothing."""

    def test_the_last_wake_of_a_second_has_a_pass_that_is_not_before_it(self, hand: Hand, passes: Passes) -> None:
        waker = hand.open(passes)
        second = hand.now().replace(microsecond=0) + 30 * SECOND
        waker.wake("pool", second + timedelta(milliseconds=900))
        waker.wake("pool", second + timedelta(milliseconds=100))
        self.settle()

        hand.move(second + timedelta(milliseconds=100) - hand.now())
        passes.wait_for(1)
        hand.move(timedelta(milliseconds=800))

        assert passes.wait_for(2) == [("pool", 0)] * 2

    def test_a_wake_during_a_pass_makes_one_more(self, hand: Hand, passes: Passes) -> None:
        passes.hold()
        waker = hand.open(passes)
        waker.wake("pool")
        passes.wait_for(1)

        for _ in range(20):
            waker.wake("pool")
        self.settle()
        passes.release()
        passes.wait_for(2)
        self.settle()

        assert passes.made == [("pool", 0)] * 2
        assert passes.at_once == 1

    def test_passes_over_two_pools_go_on_at_once(self, hand: Hand, passes: Passes) -> None:
        passes.hold()
        waker = hand.open(passes)

        waker.wake("left")
        waker.wake("right")
        passes.wait_for(2)
        passes.release()

        assert passes.at_once == 2

    def test_of_wakes_that_collapse_the_fewest_hops_count(self, hand: Hand, passes: Passes) -> None:
        passes.hold()
        waker = hand.open(passes)
        waker.wake("pool")
        passes.wait_for(1)

        for hops in (7, 2, 5):
            waker.wake("pool", hops=hops)
        self.settle()
        passes.release()

        assert passes.wait_for(2) == [("pool", 0), ("pool", 2)]

    def test_a_pass_that_fails_is_not_the_last(self, hand: Hand, passes: Passes) -> None:
        def fail_first(pool: str, hops: int) -> None:
            passes(pool, hops)
            if len(passes.made) == 1:
                raise RuntimeError("the store is on fire")

        waker = hand.open(fail_first)
        waker.wake("pool")
        passes.wait_for(1)
        self.settle()
        waker.wake("pool")
        waker.wake("later", hand.now() + SECOND)
        self.settle()
        hand.move(SECOND)

        assert sorted(passes.wait_for(3)) == [("later", 0), ("pool", 0), ("pool", 0)]
