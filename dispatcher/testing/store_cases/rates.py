"""Rate budgets that all who share a store share."""

from __future__ import annotations

from datetime import timedelta

from dispatcher.ports import Limit, Rate, Store, Window
from dispatcher.testing.builders import NOW
from dispatcher.testing.racing import OpenStore

TEN = Rate(burst=10, per_second=2.0)
SECOND = timedelta(seconds=1)
MINUTE = Window(calls=5, within=60 * SECOND)


class RateCases:
    def test_a_burst_is_granted_at_once_and_no_more(self, store: Store) -> None:
        assert store.spend("b", 4, [TEN], NOW) == 4
        assert store.spend("b", 100, [TEN], NOW) == 6
        assert store.spend("b", 1, [TEN], NOW) == 0

    def test_a_budget_is_refilled_as_time_goes_by(self, store: Store) -> None:
        store.spend("b", 10, [TEN], NOW)

        assert store.spend("b", 10, [TEN], NOW + SECOND / 4) == 0
        assert store.spend("b", 10, [TEN], NOW + SECOND / 2) == 1
        assert store.spend("b", 10, [TEN], NOW + 2 * SECOND) == 3

    def test_small_refills_add_up(self, store: Store) -> None:
        slow = Rate(burst=1, per_second=0.1)
        store.spend("b", 1, [slow], NOW)

        granted = [store.spend("b", 1, [slow], NOW + SECOND * n) for n in range(1, 21)]

        assert granted == [0] * 9 + [1] + [0] * 9 + [1]

    def test_a_budget_never_holds_more_than_its_burst(self, store: Store) -> None:
        store.spend("b", 10, [TEN], NOW)

        assert store.spend("b", 100, [TEN], NOW + timedelta(days=30)) == 10

    def test_every_rate_must_have_room(self, store: Store) -> None:
        rates = [TEN, Rate(burst=3, per_second=0.5)]

        assert store.spend("b", 5, rates, NOW) == 3
        assert store.spend("b", 5, rates, NOW + SECOND) == 0
        assert store.spend("b", 5, rates, NOW + 2 * SECOND) == 1

    def test_what_one_rate_refuses_is_not_taken_from_the_others(self, store: Store) -> None:
        rates = [TEN, Rate(burst=3, per_second=100.0)]
        store.spend("b", 10, rates, NOW)

        granted = [store.spend("b", 10, rates, NOW + SECOND / 20) for _ in range(2)]
        later = store.spend("b", 10, rates, NOW + SECOND / 10)
        last = store.spend("b", 10, rates, NOW + 3 * SECOND / 20)

        assert (granted, later, last) == ([3, 0], 3, 1)

    def test_nothing_is_granted_below_nothing(self, store: Store) -> None:
        assert store.spend("b", 0, [TEN], NOW) == 0
        assert store.spend("b", -5, [TEN], NOW) == 0
        store.spend("b", 10, [TEN], NOW)

        assert store.spend("b", 10, [TEN], NOW) == 0
        assert store.spend("b", 10, [TEN], NOW + SECOND) == 2

    def test_a_caller_whose_clock_is_behind_loses_nothing_and_gains_nothing(self, store: Store) -> None:
        store.spend("b", 4, [TEN], NOW + 2 * SECOND)

        assert store.spend("b", 10, [TEN], NOW) == 6
        assert store.spend("b", 10, [TEN], NOW + 2 * SECOND) == 0
        assert store.spend("b", 10, [TEN], NOW + 3 * SECOND) == 2

    def test_parts_of_a_call_are_not_lost(self, store: Store) -> None:
        store.spend("b", 10, [TEN], NOW)

        granted = [store.spend("b", 10, [TEN], NOW + SECOND * n / 4) for n in range(3, 9)]

        assert granted == [1, 1, 0, 1, 0, 1]

    def test_a_refill_is_whole_whatever_fractions_it_is_made_of(self, store: Store) -> None:
        rate = Rate(burst=100, per_second=0.29)
        store.spend("b", 100, [rate], NOW)

        assert store.spend("b", 100, [rate], NOW + 100 * SECOND) == 29

    def test_budgets_are_apart(self, store: Store) -> None:
        store.spend("a", 10, [TEN], NOW)

        assert store.spend("b", 10, [TEN], NOW) == 10

    def test_without_a_rate_all_is_granted(self, store: Store) -> None:
        assert store.spend("b", 1000, [], NOW) == 1000

    def test_a_budget_is_shared_by_all_who_open_the_store(self, open_store: OpenStore) -> None:
        here, there = open_store(), open_store()

        assert here.spend("b", 6, [TEN], NOW) == 6
        assert there.spend("b", 6, [TEN], NOW) == 4
        assert here.spend("b", 6, [TEN], NOW) == 0

    def test_no_span_of_a_window_has_more_calls_than_it_allows(self, store: Store) -> None:
        granted = [store.spend("b", 2, [MINUTE], NOW + 7 * SECOND * n) for n in range(60)]

        assert granted[:4] == [2, 2, 1, 0]
        for first in range(len(granted)):
            assert sum(granted[first : first + 9]) <= 5  # nine calls, seven seconds apart, fall into one minute
        assert sum(granted) >= 5 * 6

    def test_a_window_gives_back_what_left_it(self, store: Store) -> None:
        store.spend("b", 3, [MINUTE], NOW)
        store.spend("b", 2, [MINUTE], NOW + 30 * SECOND)

        assert store.spend("b", 9, [MINUTE], NOW + 60 * SECOND) == 0
        assert store.spend("b", 9, [MINUTE], NOW + 62 * SECOND) == 3
        assert store.spend("b", 9, [MINUTE], NOW + 92 * SECOND) == 2

    def test_windows_and_rates_hold_together(self, store: Store) -> None:
        limits: list[Limit] = [MINUTE, Window(calls=8, within=600 * SECOND), Rate(burst=3, per_second=1.0)]

        granted = [store.spend("b", 9, limits, NOW + 70 * SECOND * n) for n in range(4)]

        assert granted == [3, 3, 2, 0]

    def test_a_window_counts_the_calls_of_one_whose_clock_is_ahead(self, store: Store) -> None:
        store.spend("b", 4, [MINUTE], NOW + 2 * SECOND)

        assert store.spend("b", 9, [MINUTE], NOW) == 1

    def test_a_budget_says_when_it_has_room_again(self, store: Store) -> None:
        assert store.room_at("b", [MINUTE], NOW) == NOW
        store.spend("b", 3, [MINUTE], NOW)
        assert store.room_at("b", [MINUTE], NOW) == NOW
        store.spend("b", 2, [MINUTE], NOW + 30 * SECOND)

        at = store.room_at("b", [MINUTE], NOW + 31 * SECOND)

        assert NOW + 60 * SECOND < at <= NOW + 62 * SECOND
        assert store.spend("b", 9, [MINUTE], at - SECOND / 1000) == 0
        assert store.spend("b", 9, [MINUTE], at) == 3

    def test_the_slowest_limit_says_when_there_is_room(self, store: Store) -> None:
        limits: list[Limit] = [Rate(burst=2, per_second=0.5), MINUTE]
        store.spend("b", 2, limits, NOW)

        assert store.room_at("b", limits, NOW) == NOW + 2 * SECOND
        assert [store.spend("b", 2, limits, NOW + 4 * SECOND * n) for n in (1, 2)] == [2, 1]
        assert store.room_at("b", limits, NOW + 9 * SECOND) > NOW + 59 * SECOND

    def test_what_was_not_used_is_given_back(self, store: Store) -> None:
        limits: list[Limit] = [MINUTE, Rate(burst=9, per_second=0.001)]
        store.spend("b", 2, limits, NOW)
        assert store.spend("b", 9, limits, NOW + 30 * SECOND) == 3

        assert store.spend("b", -2, limits, NOW + 31 * SECOND) == 0

        assert store.spend("b", 9, limits, NOW + 32 * SECOND) == 2
        assert store.spend("b", 9, limits, NOW + 62 * SECOND) == 2  # of the first two; what was given back was the last

    def test_no_more_is_given_back_than_there_can_be(self, store: Store) -> None:
        store.spend("b", -7, [MINUTE, TEN], NOW)

        assert store.spend("b", 99, [MINUTE], NOW) == 5
        assert store.spend("b", 99, [MINUTE, TEN], NOW) == 0

    def test_one_who_was_never_asked_has_room(self, store: Store) -> None:
        assert store.room_at("nothing", [TEN], NOW) == NOW
        assert store.room_at("nothing", [], NOW) == NOW
