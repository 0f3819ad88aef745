"""Signing keys that are kept elsewhere: fetched seldom, and at once where a new one is met."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from dispatcher.errors import Misconfigured, Unauthorized, Unreachable
from dispatcher.testing.builders import NOW
from dispatcher.testing.clock import HandClock
from dispatcher.tokens import FetchedKeys, KeyRing, RunToken

TOKEN = RunToken("00000000-0000-4000-8000-000000000001", 2, NOW + timedelta(days=30))
OLD = KeyRing({"k1": b"1" * 32}, "k1")
BOTH = KeyRing({"k2": b"2" * 32, "k1": b"1" * 32}, "k2")


class Place:
    """Where the keys are kept."""

    def __init__(self) -> None:
        self.text = OLD.to_text()
        self.reads = 0
        self.error: Exception | None = None

    def fetch(self) -> str:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.text


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def keys(place: Place, clock: HandClock) -> FetchedKeys:
    return FetchedKeys(place.fetch, clock.now)


def test_they_are_fetched_on_first_use_and_kept(keys: FetchedKeys, place: Place, clock: HandClock) -> None:
    assert place.reads == 0
    assert keys.current == "k1"

    text = keys.sign(TOKEN, key_id="k1")
    clock.move(timedelta(minutes=4))

    assert keys.verify(text, now=clock.now()) == TOKEN
    assert place.reads == 1


def test_a_new_key_in_front_is_signed_with_before_long(keys: FetchedKeys, place: Place, clock: HandClock) -> None:
    assert keys.current == "k1"
    place.text = BOTH.to_text()

    clock.move(timedelta(minutes=6))

    assert keys.current == "k2"


def test_a_token_of_a_key_that_is_not_known_yet_is_known_at_once(
    keys: FetchedKeys, place: Place, clock: HandClock
) -> None:
    assert keys.current == "k1"
    place.text = BOTH.to_text()
    clock.move(timedelta(seconds=11))

    assert keys.verify(BOTH.sign(TOKEN, key_id="k2"), now=clock.now()) == TOKEN


def test_tokens_that_name_made_up_keys_do_not_make_it_fetch_each_time(keys: FetchedKeys, place: Place) -> None:
    for number in range(20):
        with pytest.raises(Unauthorized):
            keys.verify(f"v1.made-up-{number}.e30.x", now=NOW)

    assert place.reads == 1


@pytest.mark.parametrize("error", [Unreachable("no answer"), Misconfigured("gone")])
def test_what_was_fetched_goes_on_being_used_if_it_cannot_be_fetched_anew(
    keys: FetchedKeys, place: Place, clock: HandClock, error: Exception
) -> None:
    text = keys.sign(TOKEN, key_id="k1")
    place.error = error
    clock.move(timedelta(minutes=6))

    assert keys.verify(text, now=clock.now()) == TOKEN
    assert place.reads == 2


@pytest.mark.parametrize(
    "use", [lambda keys: keys.current, lambda keys: keys.verify("v1.k1.e30.x", now=NOW)], ids=["current", "verify"]
)
def test_before_anything_was_fetched_the_error_is_told(
    keys: FetchedKeys, place: Place, use: Callable[[FetchedKeys], object]
) -> None:
    place.error = Unreachable("no answer")

    with pytest.raises(Unreachable, match="no answer"):
        use(keys)
