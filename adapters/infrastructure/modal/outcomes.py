"""What an exception of Modal's client means for the submission. Pure: it goes by names, and imports no client.

The client makes an exception of each gRPC status (`modal.exception`), and lets those of sockets and streams through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from adapters.failures import Failure, Trouble, one_line
from dispatcher.ports import NotNow, Outcome, PoolUnavailable, Rejected, Unknown

RATE_PAUSE, LIMIT_PAUSE, BUDGET_PAUSE = timedelta(seconds=20), timedelta(seconds=30), timedelta(minutes=10)
EXISTS, MISSING = "AlreadyExistsError", "NotFoundError"
RENEWAL = (
    "make one with `modal token new`; with PUSHPOOL_SECRETS it is the installation's secret `modal-token`; without, it "
    "is looked for, in this order, in PUSHPOOL_SECRET_MODAL_TOKEN, in secrets/modal-token in PUSHPOOL_HOME, in "
    "MODAL_TOKEN_ID and MODAL_TOKEN_SECRET, and where that command puts it"
)

# By the exception's name, or that of the first of its bases that is here.
_TROUBLES: Mapping[str, Trouble] = {
    "AuthError": Trouble.CREDENTIALS,
    "PermissionDeniedError": Trouble.DENIED,
    "ResourceExhaustedError": Trouble.THROTTLED,
    "ConnectionRefusedError": Trouble.NOT_SENT,
    "gaierror": Trouble.NOT_SENT,
    "AlreadyExistsError": Trouble.REFUSED,
    "ConflictError": Trouble.REFUSED,
    "ImageBuildError": Trouble.REFUSED,
    "InvalidError": Trouble.REFUSED,
    "NotFoundError": Trouble.REFUSED,
    "RequestSizeError": Trouble.REFUSED,
    "UnimplementedError": Trouble.REFUSED,
    "VersionError": Trouble.REFUSED,
}
_NO_CONNECTION = "Could not connect to the Modal server"
_BUDGET = re.compile(r"billing|budget|spend|payment|credit|\bplan\b", re.IGNORECASE)
_RATE = re.compile(r"\brate\b|too many requests|throttl|slow down|per (second|minute|hour)", re.IGNORECASE)
_LIMIT = re.compile(r"limit|quota|concurren|maximum", re.IGNORECASE)
_AGAIN = re.compile(r"external shut-down|try again$", re.IGNORECASE)
_GPU = re.compile(r"\bgpus?\b", re.IGNORECASE)
_REGION = re.compile(r"\bregions?\b", re.IGNORECASE)


def failure_of(exc: BaseException) -> Failure:
    """What an exception tells. What no name says has no certain answer."""
    names = [kind.__name__ for kind in type(exc).__mro__]
    trouble = next((_TROUBLES[name] for name in names if name in _TROUBLES), Trouble.NO_ANSWER)
    message = one_line(exc).rstrip(".")
    if _NO_CONNECTION in message:
        trouble = Trouble.NOT_SENT
    status = getattr(exc, "_grpc_status", None)
    waits = [getattr(detail, "retry_after_secs", None) for detail in getattr(exc, "_grpc_details", None) or ()]
    answer = {"status": getattr(status, "name", ""), "retry_after": next((w for w in waits if w), None)}
    return Failure(trouble, names[0], message, answer)


def of_submission(failure: Failure, *, now: datetime) -> Outcome:
    """Creating the sandbox failed: without an answer nobody knows whether it was done."""
    if failure.trouble is Trouble.NO_ANSWER:
        return Unknown(f"Sandbox.create: {failure}")
    return of_failure(failure, "Sandbox.create", now=now)


def of_failure(failure: Failure, call: str, *, now: datetime) -> Outcome:
    """A definite no: either Modal said so, or the call starts nothing."""
    said = f"{call}: {failure}"
    match failure.trouble:
        case Trouble.THROTTLED:
            return _of_exhausted(failure, said, now)
        case Trouble.NO_ANSWER | Trouble.NOT_SENT:
            return NotNow(f"{call} did not reach Modal: {failure}")
        case Trouble.CREDENTIALS:
            return PoolUnavailable(f"Modal wants a token that is valid: {failure}; {RENEWAL}")
        case Trouble.DENIED:
            return PoolUnavailable(f"{said}; give the token's owner the right to it in Modal's workspace")
        case Trouble.REFUSED:
            return _of_no(failure, call, said)


def _of_exhausted(failure: Failure, said: str, now: datetime) -> Outcome:
    told = failure.answer.get("retry_after")
    if _BUDGET.search(failure.message):
        return PoolUnavailable(f"{said}; see the workspace's usage and billing in Modal's settings", now + BUDGET_PAUSE)
    if _LIMIT.search(failure.message) and not _RATE.search(failure.message) and not told:
        more = "give the pool a lower concurrency limit, or ask Modal for more"
        return PoolUnavailable(f"{said}; {more}", now + LIMIT_PAUSE)
    return NotNow(f"throttled: {said}", timedelta(seconds=told) if told else RATE_PAUSE)


def _of_no(failure: Failure, call: str, said: str) -> Outcome:
    if failure.code == "ImageBuildError":
        return _of_build(failure)
    if failure.code in ("UnimplementedError", "VersionError"):
        return PoolUnavailable(f"{said}; Modal no longer serves this version of its client: upgrade pushpool")
    if failure.code == MISSING:
        return _of_missing(call, said)
    if failure.answer.get("status") == "ABORTED":
        return NotNow(said)
    return Rejected("; ".join(part for part in (said, _advice(failure.message)) if part))


def _of_build(failure: Failure) -> Outcome:
    if _AGAIN.search(failure.message):
        return NotNow(failure.message, RATE_PAUSE)
    way_out = "check the image's name and tag, its registry's secret, and pip_packages; it has to be for linux/amd64"
    return Rejected(f"{failure.message}; {way_out}")


def _of_missing(call: str, said: str) -> Outcome:
    """What the job names is its own trouble; its app and environment are the pool's."""
    kind = call.partition(" ")[0]
    if kind in ("secret", "volume"):
        return Rejected(f"{said}; make it with `modal {kind} create`, in the environment of the pool")
    way_out = "check `environment`, or make it with `modal environment create`; an app is made when it is first needed"
    return PoolUnavailable(f"{said}; {way_out}")


def _advice(message: str) -> str:
    of_gpu, of_region = _GPU.search(message), _REGION.search(message)
    if of_gpu and of_region:
        return "choose another `region` for this `gpu`, or leave `region` out"
    if of_gpu:
        return "set `gpu` to a kind that Modal has, as in A10G or H100:2"
    return "set `region` to one of Modal's, as in us-east, or leave it out" if of_region else ""
