"""Google Cloud for every adapter that speaks to it: credentials, clients over gRPC, and its errors in our words.

Invariant: nobody else makes credentials, or reads the client libraries' exceptions.

Credentials are the ambient ones (Application Default Credentials), or those that PUSHPOOL_GOOGLE_CREDENTIALS
describes: the configuration of a workload identity federation, which holds no secret. PUSHPOOL_GOOGLE_EMULATOR, as in
127.0.0.1:8085, leads every client there, in plain text and without credentials; Firestore's own client goes where
FIRESTORE_EMULATOR_HOST says.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import google.auth
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.auth.credentials import AnonymousCredentials, Credentials

from adapters.failures import Failure, Trouble, one_line
from dispatcher.errors import Misconfigured

# What can come out of a call; a tuple, as `except` wants it.
ERRORS = (exceptions.GoogleAPIError, auth_exceptions.GoogleAuthError)

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

ClientT = TypeVar("ClientT")
T = TypeVar("T")

ATTEMPTS = 3

# google.rpc.Code, by what the caller does next. Whatever is not here is a definite no with a reason of its own.
_TROUBLES: tuple[tuple[type[exceptions.GoogleAPICallError], Trouble], ...] = (
    (exceptions.ResourceExhausted, Trouble.THROTTLED),
    (exceptions.TooManyRequests, Trouble.THROTTLED),
    (exceptions.Unauthenticated, Trouble.CREDENTIALS),
    (exceptions.Unauthorized, Trouble.CREDENTIALS),
    (exceptions.PermissionDenied, Trouble.DENIED),
    (exceptions.Forbidden, Trouble.DENIED),
    (exceptions.Cancelled, Trouble.NO_ANSWER),
    (exceptions.Unknown, Trouble.NO_ANSWER),
    (exceptions.DeadlineExceeded, Trouble.NO_ANSWER),
    (exceptions.DataLoss, Trouble.NO_ANSWER),
    (exceptions.MethodNotImplemented, Trouble.REFUSED),
    (exceptions.ServerError, Trouble.NO_ANSWER),
)
# What gRPC says of a request that never left.
_NO_CREDENTIALS = "Getting metadata from plugin failed"
_NO_TOKEN_YET = re.compile(r"timed? ?out|max retries|connection|unavailable|temporar|internal.?failure", re.IGNORECASE)
_NO_CONNECTION = ("failed to connect to all addresses", "DNS resolution failed")


def client(kind: type[ClientT], *, endpoint: str) -> ClientT:
    """A thread-safe client of one of Google's libraries, over gRPC, at `endpoint`, as in `run.googleapis.com`.

    Its methods repeat calls by themselves unless each is called with `retry=None` and a `timeout`.

    :raises Misconfigured: no credentials, or some that cannot be used.
    """
    made: Any = kind
    if emulator := os.environ.get("PUSHPOOL_GOOGLE_EMULATOR"):
        import grpc

        transport = made.get_transport_class("grpc")(channel=grpc.insecure_channel(emulator))
        return made(transport=transport)  # type: ignore[no-any-return]
    return made(credentials=credentials(), client_options={"api_endpoint": endpoint})  # type: ignore[no-any-return]


def credentials() -> Credentials:
    """:raises Misconfigured: there are none, or some that cannot be used."""
    return _found(*_ambience())[0]


def identity_token(audience: str) -> str:
    """Who this service account is, signed by Google for that audience; good for an hour. Raises of `ERRORS`."""
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    return str(id_token.fetch_id_token(Request(), audience))


def project() -> str:
    """The ambient one, as the environment, the credentials or the machine tell it; "" if none does."""
    told, *rest = _ambience()
    if told or rest[-1]:
        return told
    try:
        return _found(told, *rest)[1]
    except Misconfigured:
        return ""


def principal() -> str:
    """Whom the credentials speak for, as far as they tell; "" if they do not."""
    try:
        found = getattr(credentials(), "service_account_email", "")
    except Misconfigured:
        return ""
    return str(found) if found and found != "default" else ""


def _ambience() -> tuple[str, str, str, str]:
    """What decides on project and credentials."""
    env = os.environ
    return (
        env.get("GOOGLE_CLOUD_PROJECT", ""),
        env.get("PUSHPOOL_GOOGLE_CREDENTIALS", ""),
        env.get("GOOGLE_APPLICATION_CREDENTIALS", ""),
        env.get("PUSHPOOL_GOOGLE_EMULATOR", "") or env.get("FIRESTORE_EMULATOR_HOST", ""),
    )


@lru_cache(maxsize=1)
def _found(told: str, federation: str, file: str, emulator: str) -> tuple[Credentials, str]:
    """One for all clients of one environment, so that its token is fetched once."""
    del file
    if emulator:
        return AnonymousCredentials(), told
    try:
        if federation:
            return _federated(federation), told
        found, at = google.auth.default(scopes=_SCOPES)
    except auth_exceptions.GoogleAuthError as exc:
        way_out = "run where there are some, set GOOGLE_APPLICATION_CREDENTIALS, or PUSHPOOL_GOOGLE_CREDENTIALS"
        raise Misconfigured(f"Google Cloud: no credentials that can be used ({one_line(exc)}); {way_out}") from exc
    return found, told or at or ""


def _federated(described: str) -> Credentials:
    """Of a workload identity federation ("Configure Workload Identity Federation with AWS"), never of a stored key."""
    from google.auth import aws

    try:
        found: Credentials = aws.Credentials.from_info(json.loads(described), scopes=_SCOPES)
    except (ValueError, TypeError, AttributeError, auth_exceptions.GoogleAuthError) as exc:
        raise Misconfigured(
            f"PUSHPOOL_GOOGLE_CREDENTIALS cannot be used ({one_line(exc)}): it holds the JSON that Terraform's pool "
            "module puts out, and that `gcloud iam workload-identity-pools create-cred-config … --aws` writes"
        ) from exc
    return found


def repeated(call: Callable[[], T]) -> T:
    """What a call returns that may be made twice, tried again at once while it has no answer.

    A function that was frozen finds its connections dead.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return call()
        except ERRORS as exc:
            if failure(exc).trouble not in (Trouble.NOT_SENT, Trouble.NO_ANSWER):
                raise
    return call()


def failure(exc: BaseException) -> Failure:
    """What a caught one of `ERRORS` tells."""
    if isinstance(exc, auth_exceptions.GoogleAuthError):
        # A token could not be had, so the call was not made.
        unreached = isinstance(exc, auth_exceptions.TransportError) or exc.retryable
        return Failure(Trouble.NOT_SENT if unreached else Trouble.CREDENTIALS, type(exc).__name__, one_line(exc))
    if not isinstance(exc, exceptions.GoogleAPICallError):
        return Failure(Trouble.NO_ANSWER, type(exc).__name__, one_line(exc))  # RetryError, for one
    message = one_line(exc.message or "")
    answer = {"reason": exc.reason, "metadata": dict(exc.metadata or {}), "details": list(exc.details or ())}
    return Failure(_trouble(exc, message), _code(exc), message, answer)


def _code(exc: exceptions.GoogleAPICallError) -> str:
    """The canonical one, as in ALREADY_EXISTS."""
    status = exc.grpc_status_code
    return str(status.name) if status is not None else type(exc).__name__


def _trouble(exc: exceptions.GoogleAPICallError, message: str) -> Trouble:
    if _NO_CREDENTIALS in message:
        # Who hands out tokens was not reached, or has refused one.
        return Trouble.NOT_SENT if _NO_TOKEN_YET.search(message) else Trouble.CREDENTIALS
    if isinstance(exc, exceptions.ServiceUnavailable) and any(words in message for words in _NO_CONNECTION):
        return Trouble.NOT_SENT
    return next((trouble for kind, trouble in _TROUBLES if isinstance(exc, kind)), Trouble.REFUSED)
