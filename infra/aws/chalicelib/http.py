"""The routes of the core as Chalice's, and HTTP API events as the REST API events that Chalice goes by."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any

from chalice.app import Chalice, Response

from chalicelib import parts
from dispatcher.http.matching import Matcher
from dispatcher.http.messages import Problem, Request
from dispatcher.http.routes import ROUTES

NOWHERE = "/"  # what no route is for: the core says so, as everywhere


@cache
def _matcher() -> Matcher:
    return Matcher(ROUTES)


def bind(app: Chalice) -> None:
    """One Chalice route a path; the core lets in, reads and answers."""

    def answer(**_: str) -> Response:
        assert app.current_request is not None
        response = parts.api().answer(_request(app.current_request.to_original_event()))
        return Response(response.body.decode(), dict(response.headers), response.status)

    for path, methods in _paths():
        # No content types: what is not accepted is refused by the core.
        app.route(path, methods=methods, name=f"api{path}", content_types=[])(answer)


def _paths() -> Iterator[tuple[str, list[str]]]:
    yield NOWHERE, ["GET"]
    for path, routes in groupby(sorted(ROUTES, key=lambda route: route.path), key=lambda route: route.path):
        yield path, [route.method for route in routes]


def rest_event(event: dict[str, Any]) -> dict[str, Any]:
    """Payload format 2.0 of an HTTP API, or of a function URL, with what Chalice reads of a REST API's event.

    "Working with AWS Lambda proxy integrations for HTTP APIs" has both formats. `requestContext.resourcePath`, by which
    Chalice routes, is missing from 2.0.
    """
    http = event["requestContext"]["http"]
    path, method, names = NOWHERE, "GET", {}
    try:
        match = _matcher().match(http["method"], event["rawPath"])
        path, method, names = match.route.path, match.route.method, dict(match.names)
    except Problem:
        pass  # the core will raise it again, and answer it
    return {
        **event,
        "requestContext": {**event["requestContext"], "resourcePath": path, "httpMethod": method},
        "pathParameters": names,
        "multiValueQueryStringParameters": {},  # the core reads `rawQueryString`
        "stageVariables": None,
        "body": event.get("body"),
    }


def _request(event: dict[str, Any]) -> Request:
    body = event.get("body") or ""
    return Request(
        method=event["requestContext"]["http"]["method"],
        path=event["rawPath"],
        query=event.get("rawQueryString", ""),
        headers={name.lower(): value for name, value in event.get("headers", {}).items()},
        body=base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),
    )
