"""Where the token for Modal comes from, and what becomes of a submission without one. Nothing is asked of Modal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from adapters.infrastructure import modal
from adapters.infrastructure.modal.clients import token_of
from dispatcher.errors import Misconfigured, PushpoolError, Unreachable
from dispatcher.ports import Job, NotNow, PoolUnavailable, Submission

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"


class Unreadable(Mapping[str, str]):
    """Settings whose values are fetched, and cannot be."""

    def __init__(self, error: PushpoolError) -> None:
        self.error = error

    def __getitem__(self, key: str) -> str:
        raise self.error

    def __iter__(self) -> Iterator[str]:
        raise self.error

    def __len__(self) -> int:
        return 1


def test_a_token_has_an_id_and_a_secret() -> None:
    assert token_of('{"token_id": "ak-1", "token_secret": "as-2"}') == ("ak-1", "as-2")


@pytest.mark.parametrize("text", [None, ""])
def test_without_one_modals_own_configuration_counts(text: str | None) -> None:
    assert token_of(text) is None


@pytest.mark.parametrize(
    "text",
    ["ak-1:as-hidden", "[]", '"as-hidden"', '{"token_id": "ak-1"}', '{"token_id": "", "token_secret": "as-hidden"}',
     '{"token_id": 1, "token_secret": "as-hidden"}'],
)  # fmt: skip
def test_what_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(Misconfigured, match="modal token new") as refused:
        token_of(text)

    assert "hidden" not in str(refused.value)


def test_without_a_token_that_can_be_read_nothing_is_started(make_job: Callable[..., Job]) -> None:
    for error, outcome in ((Unreachable("later"), NotNow("later")), (Misconfigured("never"), PoolUnavailable("never"))):
        adapter = modal.open(Unreadable(error))
        request = adapter.request(make_job())

        assert adapter.submit(Submission(RUN, 1, 1, request, "token")) == outcome
        with pytest.raises(Unreachable, match=str(error)):
            adapter.find(request.target, RUN, 1, 1)


def test_a_diagnosis_says_what_is_wrong_with_the_token(make_job: Callable[..., Job]) -> None:
    checks = modal.open(Unreadable(Misconfigured("no such secret"))).diagnose(make_job(image=None).configuration)

    assert checks == [("configuration", True, ""), ("token", False, "no such secret")]


def test_a_diagnosis_ends_where_the_configuration_does(adapter: modal.Modal, make_job: Callable[..., Job]) -> None:
    (check,) = adapter.diagnose(make_job(gpu="H100:9").configuration)

    assert check[:2] == ("configuration", False)
    assert "H100:2" in check[2]
