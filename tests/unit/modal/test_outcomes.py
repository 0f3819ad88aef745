"""What becomes of each exception that Modal's client can raise."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from modal import exception as theirs
from modal_proto import api_pb2

from adapters.failures import Trouble
from adapters.infrastructure.modal import outcomes
from dispatcher.ports import NotNow, Outcome, PoolUnavailable, Rejected, Unknown

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def of(error: BaseException) -> Outcome:
    return outcomes.of_submission(outcomes.failure_of(error), now=NOW)


def said(outcome: Outcome) -> str:
    return outcome.reason if isinstance(outcome, PoolUnavailable) else str(getattr(outcome, "message", ""))


EXHAUSTED = theirs.ResourceExhaustedError
# What comes out of Sandbox.create, then what that means, and a word of what to do.
ERRORS: list[tuple[BaseException, type[Outcome], str]] = [
    (
        theirs.AuthError("Token ID or token secret is invalid."),
        PoolUnavailable,
        "invalid; make one with `modal token new`",
    ),
    (theirs.PermissionDeniedError("no write access"), PoolUnavailable, "the right to it"),
    (EXHAUSTED("Rate limit exceeded"), NotNow, "throttled"),
    (EXHAUSTED("Insufficient capacity to create sandbox."), NotNow, "throttled"),
    (EXHAUSTED("Workspace has reached its limit of 100 concurrent containers."), PoolUnavailable, "lower concurrency"),
    (EXHAUSTED("Workspace spend limit reached"), PoolUnavailable, "billing"),
    (theirs.InvalidError("Unknown region: 'mars'"), Rejected, "set `region`"),
    (theirs.InvalidError("Unknown GPU type: 'B9'"), Rejected, "set `gpu`"),
    (theirs.InvalidError("GPU 'H100' is not available in region 'ap-x'"), Rejected, "choose another `region`"),
    (theirs.InvalidError("Sandbox definition is invalid."), Rejected, "definition is invalid"),
    (theirs.RequestSizeError("too large"), Rejected, "too large"),
    (theirs.NotFoundError("App not found"), PoolUnavailable, "an app is made when"),
    (theirs.UnimplementedError("SandboxCreateV2"), PoolUnavailable, "upgrade pushpool"),
    (theirs.VersionError("1.6.4 is too old"), PoolUnavailable, "upgrade pushpool"),
    (theirs.ConflictError("App is stopped."), Rejected, "stopped"),
    (theirs.ConnectionError("Could not connect to the Modal server."), NotNow, "did not reach Modal"),
    (ConnectionRefusedError("refused"), NotNow, "did not reach Modal"),
    (socket.gaierror("no such host"), NotNow, "did not reach Modal"),
    (theirs.ConnectionError("reset"), Unknown, "Sandbox.create"),
    (theirs.ServiceError("unavailable"), Unknown, "unavailable"),
    (theirs.InternalError("internal"), Unknown, "internal"),
    (theirs.TimeoutError("late"), Unknown, "late"),
    (theirs.ClientClosed("closed"), Unknown, "closed"),
    (TimeoutError(), Unknown, "TimeoutError"),
    (ConnectionResetError("reset"), Unknown, "reset"),
]


@pytest.mark.parametrize(("error", "kind", "word"), ERRORS, ids=lambda value: str(value)[:60])
def test_an_error_to_a_create_is_an_outcome(error: BaseException, kind: type[Outcome], word: str) -> None:
    outcome = of(error)

    assert isinstance(outcome, kind)
    assert word in said(outcome)
    assert not said(outcome).endswith(".")


@pytest.mark.parametrize("error", [error for error, kind, _ in ERRORS if kind is Unknown], ids=str)
def test_what_starts_nothing_is_a_definite_no_without_an_answer(error: BaseException) -> None:
    outcome = outcomes.of_failure(outcomes.failure_of(error), "App.lookup", now=NOW)

    assert isinstance(outcome, NotNow)
    assert "App.lookup" in outcome.message


def test_who_has_no_token_is_told_where_it_is_looked_for() -> None:
    words = said(of(theirs.AuthError("Token missing.")))
    places = ["PUSHPOOL_SECRETS", "PUSHPOOL_SECRET_MODAL_TOKEN", "secrets/modal-token", "MODAL_TOKEN_ID"]

    assert sorted(places, key=words.index) == places


def test_modal_says_how_long_to_wait() -> None:
    error = EXHAUSTED("Container limit reached")
    error._grpc_details = [api_pb2.RPCRetryPolicy(retry_after_secs=7)]

    assert of(error) == NotNow(
        "throttled: Sandbox.create: ResourceExhaustedError: Container limit reached", timedelta(seconds=7)
    )


def test_a_limit_opens_the_circuit_for_a_while() -> None:
    outcome = of(EXHAUSTED("GPU quota of the workspace reached"))

    assert isinstance(outcome, PoolUnavailable)
    assert outcome.until == NOW + outcomes.LIMIT_PAUSE


def test_an_aborted_one_is_tried_again() -> None:
    error = theirs.ConflictError("changed meanwhile")
    error._grpc_status = SimpleNamespace(name="ABORTED")  # type: ignore[assignment]

    assert isinstance(of(error), NotNow)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("failed with the exception:\nmanifest unknown", Rejected),
        ("terminated due to external shut-down. Please try again.", NotNow),
    ],
)
def test_a_build_that_was_cut_off_is_tried_again_and_one_that_failed_is_not(words: str, kind: type[Outcome]) -> None:
    error = theirs.ImageBuildError(f"Image build for im-1 {words}", "im-1")

    outcome = outcomes.of_failure(outcomes.failure_of(error), "Image.build", now=NOW)

    assert isinstance(outcome, kind)
    assert "im-1" in said(outcome)


@pytest.mark.parametrize("kind", ["secret", "volume"])
def test_what_the_job_names_and_modal_does_not_have_is_the_jobs_trouble(kind: str) -> None:
    failure = outcomes.failure_of(theirs.NotFoundError("not found"))

    outcome = outcomes.of_failure(failure, f"{kind} 'lake'", now=NOW)

    assert isinstance(outcome, Rejected)
    assert f"`modal {kind} create`" in outcome.message


def test_every_exception_that_the_table_names_is_one_of_the_clients_or_of_sockets() -> None:
    known = {*vars(theirs), "ConnectionRefusedError", "gaierror"}

    assert outcomes._TROUBLES.keys() <= known
    assert set(outcomes._TROUBLES.values()) < set(Trouble)
