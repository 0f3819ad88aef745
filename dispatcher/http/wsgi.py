"""The API as a WSGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dispatcher.http.api import Api
from dispatcher.http.messages import MAX_BODY_BYTES, Request

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

Application = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


def application(api: Api) -> Application:
    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response = api.answer(_request(environ))
        headers = dict(response.headers)
        status = HTTPStatus(response.status)
        if status is not HTTPStatus.NO_CONTENT:
            headers.setdefault("Content-Length", str(len(response.body)))
        start_response(f"{status.value} {status.phrase}", list(headers.items()))
        return [response.body]

    return answer


def _request(environ: dict[str, Any]) -> Request:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    headers["content-length"] = environ.get("CONTENT_LENGTH", "")
    length = headers["content-length"]
    wanted = min(int(length[:20]), MAX_BODY_BYTES + 1) if length.isdecimal() else 0
    return Request(
        method=environ["REQUEST_METHOD"],
        path=quote(environ.get("PATH_INFO", "").encode("latin-1"), safe="/:"),
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=environ["wsgi.input"].read(wanted) if wanted else b"",
    )
