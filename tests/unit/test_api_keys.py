"""API keys: shown once, stored hashed, checked in constant time."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from dispatcher import api_keys, tokens
from dispatcher.api_keys import Scope
from dispatcher.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from dispatcher.testing.builders import NOW
from dispatcher.testing.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_a_key_opens_what_its_scope_holds(store: MemoryStore) -> None:
    _, key = api_keys.create(store, "ci", Scope.RUN, now=NOW)

    assert api_keys.check(store, key, Scope.READ, now=NOW).name == "ci"
    assert api_keys.check(store, key, Scope.RUN, now=NOW).name == "ci"
    with pytest.raises(Forbidden, match="scope run; this needs admin"):
        api_keys.check(store, key, Scope.ADMIN, now=NOW)


def test_no_two_keys_are_alike(store: MemoryStore) -> None:
    keys = {api_keys.create(store, "same", Scope.READ, now=NOW)[1] for _ in range(20)}

    assert len(keys) == 20
    assert all(len(key.split("_", 2)[2]) == 43 for key in keys)


def test_only_the_hash_is_stored(store: MemoryStore) -> None:
    stored, key = api_keys.create(store, "ci", Scope.READ, now=NOW)

    record = store.get(api_keys.KIND, stored.id)
    assert record is not None
    assert key.split("_", 2)[2] not in str(record)
    assert stored.hash in str(record)


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda key: None,
        lambda key: "",
        lambda key: key[:-1],
        lambda key: f"{key}x",
        lambda key: key.upper(),
        lambda key: key.replace("pp_", "qq_"),
        lambda key: f"pp_00000000_{key.split('_', 2)[2]}",
        lambda key: f"pp_{key.split('_', 2)[1]}_",
        lambda key: f"pp_../../x_{key.split('_', 2)[2]}",
        lambda key: f" {key}",
    ],
)
def test_a_key_that_is_not_exactly_right_opens_nothing(store: MemoryStore, spoiled: Any) -> None:
    _, key = api_keys.create(store, "ci", Scope.ADMIN, now=NOW)

    with pytest.raises(Unauthorized):
        api_keys.check(store, spoiled(key), Scope.READ, now=NOW)


def test_a_revoked_key_opens_nothing_from_then_on(store: MemoryStore) -> None:
    stored, key = api_keys.create(store, "ci", Scope.ADMIN, now=NOW)

    revoked = api_keys.revoke(store, stored.id, now=NOW)
    again = api_keys.revoke(store, stored.id, now=NOW + timedelta(days=1))

    assert revoked.revoked == again.revoked == NOW
    with pytest.raises(Unauthorized):
        api_keys.check(store, key, Scope.READ, now=NOW)


def test_a_key_expires_on_the_second(store: MemoryStore) -> None:
    _, key = api_keys.create(store, "ci", Scope.READ, now=NOW, expires=NOW + timedelta(hours=1))

    api_keys.check(store, key, Scope.READ, now=NOW + timedelta(minutes=59, seconds=59))
    with pytest.raises(Unauthorized):
        api_keys.check(store, key, Scope.READ, now=NOW + timedelta(hours=1))


def test_a_key_that_has_expired_is_not_made(store: MemoryStore) -> None:
    with pytest.raises(InvalidInput, match="of no use"):
        api_keys.create(store, "ci", Scope.READ, now=NOW, expires=NOW)
    assert list(api_keys.every(store)) == []


def test_a_key_that_is_not_there_cannot_be_revoked(store: MemoryStore) -> None:
    with pytest.raises(NotFound, match="'gone'"):
        api_keys.revoke(store, "gone", now=NOW)


def test_unknown_and_known_ids_cost_the_same_comparison(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def noted(a: str, b: str) -> bool:
        compared.append((len(a), len(b)))
        return tokens.same(a, b)

    monkeypatch.setattr(api_keys, "same", noted)
    _, key = api_keys.create(store, "ci", Scope.READ, now=NOW)

    for presented in (key, f"{key}x", "pp_00000000_abc"):
        with suppress(Unauthorized):
            api_keys.check(store, presented, Scope.READ, now=NOW)

    assert compared == [(64, 64)] * 3


def test_every_key_is_listed_however_many(store: MemoryStore) -> None:
    for n in range(205):
        api_keys.create(store, f"key-{n}", Scope.READ, now=NOW)

    assert len(list(api_keys.every(store))) == 205
