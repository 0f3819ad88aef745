"""Run tokens: made from a key that only the installation has; whatever is changed in one is noticed."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dispatcher.errors import Misconfigured, Unauthorized
from dispatcher.testing.builders import NOW
from dispatcher.tokens import KeyRing, RunToken

TOKEN = RunToken("00000000-0000-4000-8000-000000000001", 2, NOW + timedelta(hours=1))


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing.generate()


def _signed(ring: KeyRing, **changes: Any) -> str:
    return ring.sign(replace(TOKEN, **changes), key_id=ring.current)


def _with_payload(text: str, **changes: Any) -> str:
    version, key_id, payload, signature = text.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**said, **changes}).encode()).rstrip(b"=").decode()
    return f"{version}.{key_id}.{changed}.{signature}"


def test_a_token_says_what_was_signed(ring: KeyRing) -> None:
    assert ring.verify(_signed(ring), now=NOW) == TOKEN


def test_a_token_is_derived_so_a_repeat_has_the_same_bytes(ring: KeyRing) -> None:
    assert _signed(ring) == _signed(KeyRing.parse(ring.to_text()))


def test_a_token_expires_on_the_second(ring: KeyRing) -> None:
    text = _signed(ring)

    ring.verify(text, now=TOKEN.expires - timedelta(seconds=1))
    with pytest.raises(Unauthorized):
        ring.verify(text, now=TOKEN.expires)


def test_a_token_of_another_installation_is_refused(ring: KeyRing) -> None:
    with pytest.raises(Unauthorized):
        ring.verify(_signed(KeyRing.generate()), now=NOW)


def test_a_token_signed_by_another_key_under_a_known_id_is_refused(ring: KeyRing) -> None:
    other = KeyRing({ring.current: b"x" * 32}, ring.current)

    with pytest.raises(Unauthorized):
        ring.verify(_signed(other), now=NOW)


def test_a_token_of_another_scope_is_refused(ring: KeyRing) -> None:
    text = _signed(ring, scope="logs")

    assert ring.verify(text, now=NOW, scope="logs").scope == "logs"
    with pytest.raises(Unauthorized):
        ring.verify(text, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "00000000-0000-4000-8000-000000000002"},
        {"att": 3},
        {"scp": "admin"},
        {"exp": int((NOW + timedelta(days=999)).timestamp())},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_payload_that_was_changed_is_refused(ring: KeyRing, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        ring.verify(_with_payload(_signed(ring), **changes), now=NOW)


@pytest.mark.parametrize("where", range(4))
def test_a_change_in_any_part_is_refused(ring: KeyRing, where: int) -> None:
    parts = _signed(ring).split(".")
    parts[where] = ("A" if parts[where][0] != "A" else "B") + parts[where][1:]

    with pytest.raises(Unauthorized):
        ring.verify(".".join(parts), now=NOW)


@pytest.mark.parametrize(
    "text",
    ["", ".", "...", "v1", "v1.a.b", "v1.a.b.c.d", "v1.k.é.é", "v1.k.%%%.%%%", "\x00.\x00.\x00.\x00", "v1." * 4000],
)
def test_what_is_no_token_is_refused(ring: KeyRing, text: str) -> None:
    with pytest.raises(Unauthorized):
        ring.verify(text, now=NOW)


@pytest.mark.parametrize(
    "payload", [b"[]", b"null", b'{"run":"x"}', b'{"run":"x","att":1,"exp":"soon","scp":"callback"}']
)
def test_a_signed_payload_that_says_something_else_is_refused(ring: KeyRing, payload: bytes) -> None:
    text = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    signed = f"v1.{ring.current}.{text}.{ring._signature(ring.current, text)}"

    with pytest.raises(Unauthorized):
        ring.verify(signed, now=NOW)


def test_no_refusal_says_which_part_was_wrong(ring: KeyRing) -> None:
    spoiled = ["", _signed(KeyRing.generate()), _signed(ring, scope="logs"), _with_payload(_signed(ring), att=9)]
    said = set()
    for text in spoiled:
        with pytest.raises(Unauthorized) as refusal:
            ring.verify(text, now=NOW)
        said.add(str(refusal.value))

    assert len(said) == 1


def test_a_retired_key_can_sign_nothing_and_says_so(ring: KeyRing) -> None:
    with pytest.raises(Misconfigured, match="put it back"):
        ring.sign(TOKEN, key_id="retired")


def test_a_ring_never_shows_its_keys(ring: KeyRing) -> None:
    secret = ring.to_text()

    assert all(part not in repr(ring) for part in secret.replace(":", " ").replace(",", " ").split() if len(part) > 12)
