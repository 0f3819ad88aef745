"""Errors as RFC 9457 problem details. Invariant: never a trace, never a value that may be a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from dispatcher.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    PushpoolError,
    StoreUnavailable,
    TooLarge,
    Unauthorized,
    Unreachable,
)
from dispatcher.http.messages import PROBLEM, Fault, Problem, Reply
from dispatcher.http.views import FaultView, ProblemView

SHOWN_FAULTS = 20
LONGEST_PATH = 200

# The first that fits; whatever else is raised on purpose must be put right by whoever runs the installation.
_STATUS: tuple[tuple[type[PushpoolError], int], ...] = (
    (TooLarge, 413),
    (InvalidInput, 422),
    (NotFound, 404),
    (Conflict, 409),
    (Unauthorized, 401),
    (Forbidden, 403),
    (StoreUnavailable, 503),
    (Unreachable, 503),
    (PushpoolError, 500),
)

_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="pushpool"'},
    503: {"Retry-After": "1"},
}

_WORDS: Mapping[str, str] = {"missing": "is missing", "extra_forbidden": "is not known here; leave it out"}


def of_error(error: PushpoolError) -> Reply:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    path = error.path if isinstance(error, InvalidInput) else ""
    return reply(Problem(status, str(error), (Fault(path, str(error)),) if path else ()))


def unexpected() -> Reply:
    return reply(Problem(500, "something unexpected went wrong; the log says what"))


def reply(problem: Problem) -> Reply:
    view = ProblemView(
        type="about:blank",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        errors=[FaultView(path=fault.path, reason=fault.reason) for fault in problem.faults],
    )
    headers = {**_HEADERS.get(problem.status, {}), **problem.headers}
    return Reply(problem.status, view, headers, media_type=PROBLEM)


def invalid(where: str, errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Everything that pydantic found, by path; its messages do not repeat what was sent."""
    faults = tuple(_fault(error) for error in errors[:SHOWN_FAULTS])
    more = f" (and {len(errors) - SHOWN_FAULTS} more)" if len(errors) > SHOWN_FAULTS else ""
    said = "; ".join(f"{fault.path}: {fault.reason}" if fault.path else fault.reason for fault in faults)
    return Problem(422, f"{where}: {said}{more}", faults)


def _fault(error: Mapping[str, Any]) -> Fault:
    path = ".".join(str(part) for part in error["loc"])
    reason = _WORDS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    return Fault(path[:LONGEST_PATH], f"{reason[:1].lower()}{reason[1:]}")
