"""Who may push, and what they are told apart by."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dispatcher.errors import Forbidden, Misconfigured, Unauthorized, Unreachable
from dispatcher.settings import Senders, read
from dispatcher.testing.servers.google.issuer import Issuer

AUDIENCE, ACCOUNT = "https://dispatch.example", "invoker@pushpool-test.iam.gserviceaccount.com"
REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"


class Hand:
    """A door, the clock that it goes by, and tokens for it."""

    def __init__(self, issuing: Issuer, *, signatures_removed: bool = False) -> None:
        senders = Senders(AUDIENCE, frozenset({ACCOUNT}), issuing.certs_url, signatures_removed)
        self.now = time.time()
        self.door: Any = sys.modules["gcpfunctions.door"].Door(senders, now=lambda: self.now)
        self.issuing = issuing

    def token(self, **how: Any) -> str:
        return self.issuing.token(**{"audience": AUDIENCE, "email": ACCOUNT, **how})

    def check(self, token: str = "", **headers: str) -> None:
        self.door.check({"authorization": f"Bearer {token or self.token()}", **headers})


@pytest.fixture
def hand(issuing: Issuer) -> Hand:
    return Hand(issuing)


@pytest.fixture
def behind_iam(issuing: Issuer) -> Hand:
    """Cloud Run checks signatures, and removes them."""
    return Hand(issuing, signatures_removed=True)


def without_signature(token: str) -> str:
    return f"{token.rpartition('.')[0]}.{REMOVED}"


def test_a_token_of_googles_for_this_function_is_let_in(hand: Hand) -> None:
    hand.check()
    hand.check(iss="accounts.google.com")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"audience": "https://other.example"}, "PUSHPOOL_OIDC_AUDIENCE is 'https://dispatch.example'"),
        ({"iss": "https://issuer.example"}, "made by 'https://issuer.example', not by Google"),
        ({"seconds": -30}, "Token expired"),
        ({"iat": 9_999_999_999}, "Token used too early"),
        ({"exp": "tomorrow"}, "none of Google's that is good"),
        ({"aud": [AUDIENCE]}, "is for"),
    ],
    ids=str,
)
def test_a_token_that_is_not_for_it_is_refused(hand: Hand, claims: Mapping[str, Any], why: str) -> None:
    with pytest.raises(Unauthorized, match=why):
        hand.check(hand.token(**claims))


@pytest.mark.parametrize(
    "claims", [{"email": "somebody@example"}, {"email": None}, {"email_verified": False}, {"email_verified": "true"}]
)
def test_another_account_is_forbidden(hand: Hand, claims: Mapping[str, Any]) -> None:
    with pytest.raises(Forbidden, match="whom PUSHPOOL_OIDC_ACCOUNTS does not name"):
        hand.check(hand.token(**claims))


def test_clocks_may_differ_a_little(hand: Hand) -> None:
    hand.check(hand.token(seconds=-5))


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_what_is_no_bearer_token_is_refused(hand: Hand, said: str) -> None:
    with pytest.raises(Unauthorized, match="the sender needs an OIDC token"):
        hand.door.check({"authorization": said})


@pytest.mark.parametrize("token", ["abc", "a.b.c", "W10.W10.W10", "e30.e30.e30", "é.é.é", "....", "." * 9999])
def test_nonsense_is_refused(hand: Hand, token: str) -> None:
    with pytest.raises(Unauthorized):
        hand.check(token)


def test_a_forged_signature_is_refused(hand: Hand, issuing: Issuer) -> None:
    with pytest.raises(Unauthorized, match="Could not verify token signature"):
        hand.check(issuing.forged(audience=AUDIENCE, email=ACCOUNT))


@pytest.mark.parametrize("removed", ["", REMOVED])
def test_a_token_without_its_signature_is_refused(hand: Hand, removed: str) -> None:
    with pytest.raises(Unauthorized):
        hand.check(f"{hand.token().rpartition('.')[0]}.{removed}")


def test_where_it_is_removed_by_cloud_run_the_log_says_what_to_set(hand: Hand) -> None:
    with pytest.raises(Unauthorized, match="set PUSHPOOL_OIDC_SIGNATURE=cloud-run"):
        hand.check(without_signature(hand.token()))


def test_behind_cloud_runs_own_check_a_token_without_signature_is_judged_by_what_it_claims(behind_iam: Hand) -> None:
    behind_iam.check(without_signature(behind_iam.token()))

    with pytest.raises(Unauthorized, match="is for"):
        behind_iam.check(without_signature(behind_iam.token(audience="https://other.example")))
    with pytest.raises(Unauthorized, match="is over"):
        behind_iam.check(without_signature(behind_iam.token(seconds=-30)))
    with pytest.raises(Forbidden):
        behind_iam.check(without_signature(behind_iam.token(email="owner@example")))


def test_behind_it_a_signature_that_is_there_still_counts(behind_iam: Hand, issuing: Issuer) -> None:
    behind_iam.check()

    with pytest.raises(Unauthorized):
        behind_iam.check(issuing.forged(audience=AUDIENCE, email=ACCOUNT))


def test_of_two_tokens_the_one_counts_that_cloud_run_has_checked(behind_iam: Hand) -> None:
    """Who may invoke, as themselves, could else bring a second token, of anybody, that nobody has checked."""
    checked = without_signature(behind_iam.token(email="owner@example"))

    with pytest.raises(Forbidden, match="owner@example"):
        behind_iam.check(without_signature(behind_iam.token()), **{"x-serverless-authorization": f"Bearer {checked}"})


def test_certificates_are_fetched_once_as_long_as_they_are_good(hand: Hand, issuing: Issuer) -> None:
    before = issuing.fetches
    for _ in range(3):
        hand.check()
    assert issuing.fetches == before + 1

    hand.now += issuing.max_age
    hand.check(hand.token(seconds=7200))
    assert issuing.fetches == before + 2


def test_a_new_key_of_googles_is_looked_for_but_not_all_the_time(
    hand: Hand, issuing: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.check()
    monkeypatch.setattr(issuing, "_key", issuing._key)
    issuing.rotate()
    before = issuing.fetches

    for _ in range(3):
        with pytest.raises(Unauthorized, match="not found"):
            hand.check()
    assert issuing.fetches == before

    hand.now += 60
    hand.check()
    assert issuing.fetches == before + 1


def test_certificates_that_cannot_be_had_are_no_word_on_the_token(
    hand: Hand, issuing: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing, "is_broken", True)

    with pytest.raises(Unreachable, match="it answers 500"):
        hand.check()


def test_nonsense_does_not_ask_for_certificates_again_and_again_while_they_cannot_be_had(
    hand: Hand, issuing: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = hand.token()
    hand.check(known)
    monkeypatch.setattr(issuing, "is_broken", True)
    monkeypatch.setattr(issuing, "_key", issuing._key)
    issuing.rotate()
    hand.now += 60

    with pytest.raises(Unreachable):
        hand.check()
    before = issuing.fetches
    with pytest.raises(Unauthorized, match="not found"):
        hand.check()
    hand.check(known)
    assert issuing.fetches == before


def certificates(url: str) -> Any:
    return sys.modules["gcpfunctions.certificates"].Certificates(url)


def test_nobody_there_is_no_word_on_the_token_either() -> None:
    with pytest.raises(Unreachable, match="cannot be had"):
        certificates("http://127.0.0.1:9/certs").of("1")


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"keys": []}'])
def test_certificates_of_another_form_are_refused(text: bytes) -> None:
    unread: Callable[[str, bytes], Any] = sys.modules["gcpfunctions.certificates"]._read

    with pytest.raises(Unreachable, match="cannot be read"):
        unread("https://certs.example", text)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"cache-control": "public, max-age=100, must-revalidate", "AGE": "40"}, 60),
        ({"Cache-Control": "max-age=100", "Age": "200"}, 0),
        ({"Cache-Control": "no-store"}, 0),
        ({}, 0),
    ],
)
def test_certificates_are_kept_as_long_as_their_answer_says(headers: Mapping[str, str], seconds: float) -> None:
    assert sys.modules["gcpfunctions.certificates"]._lifetime(headers) == seconds


@pytest.mark.parametrize("url", ["http://certs.example", "file:///etc/passwd", "http://127.0.0.1.example/"])
def test_certificates_come_from_a_safe_place_alone(url: str) -> None:
    with pytest.raises(Misconfigured, match="it must be https"):
        certificates(url)


def test_who_checks_signatures_is_one_of_two() -> None:
    assert read({"PUSHPOOL_OIDC_SIGNATURE": "cloud-run"}).senders.signatures_removed
    assert not read({}).senders.signatures_removed
    with pytest.raises(Misconfigured, match="checked by function or cloud-run"):
        read({"PUSHPOOL_OIDC_SIGNATURE": "nobody"})
