"""A request and its answer, as every host can make and send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

JSON = "application/json"
PROBLEM = "application/problem+json"
MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What came in. `path` is percent-encoded, `query` what stands behind the question mark; header names lower-case.

    A host need not read more than MAX_BODY_BYTES + 1 of a body.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler says: a view, or text of its own media type, or nothing."""

    status: int = 200
    view: BaseModel | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: bytes | None = None
    media_type: str = JSON

    def response(self) -> Response:
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **self.headers}
        body = self.view.model_dump_json().encode() if self.view is not None else self.text
        if body is None:
            return Response(self.status, headers, b"")
        return Response(self.status, {"Content-Type": self.media_type, **headers}, body)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request."""

    path: str
    reason: str


class Problem(Exception):
    """A refusal that is none of the core's: of the path, the method, the headers or the shape of what was sent."""

    def __init__(
        self, status: int, detail: str, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = headers or {}
