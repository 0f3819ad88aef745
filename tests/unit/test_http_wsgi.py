"""The API as a WSGI application, as any host may call it; the standard library's validator looks on."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from dispatcher.api_keys import Scope
from dispatcher.http.wsgi import application
from dispatcher.testing.api_bench import ApiBench


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench().with_pool()


@dataclass
class Said:
    """What an application says to its host."""

    status: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        self.status, self.headers = status, dict(headers)
        return lambda _: None


def call(bench: ApiBench, method: str, path: str, body: bytes = b"", *, length: str | None = None) -> Said:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "HTTP_AUTHORIZATION": f"Bearer {bench.keys[Scope.ADMIN]}",
        "CONTENT_LENGTH": str(len(body)) if length is None else length,
        "wsgi.input": io.BytesIO(body),
        **({"CONTENT_TYPE": "application/json"} if body else {}),
    }
    setup_testing_defaults(environ)
    said = Said()
    app: Any = application(bench.api)
    answered: Any = (app if length is not None else validator(app))(environ, said.start)
    said.body = b"".join(answered)
    if length is None:
        answered.close()
    return said


def test_a_request_is_answered(bench: ApiBench) -> None:
    said = call(bench, "GET", "/v1/work-pools")

    assert said.status == "200 OK"
    assert said.headers["Content-Length"] == str(len(said.body))
    assert b'"name":"local"' in said.body


def test_a_body_is_read_as_long_as_it_says(bench: ApiBench) -> None:
    said = call(bench, "PUT", "/v1/deployments/d", b'{"pool":"local"}')

    assert said.status == "201 Created"


@pytest.mark.parametrize("length", ["", "x", "-1", "9" * 30])
def test_a_length_that_is_none_is_no_reason_to_fail(bench: ApiBench, length: str) -> None:
    assert call(bench, "GET", "/v1/work-pools", length=length).status == "200 OK"


def test_no_content_has_neither_length_nor_type(bench: ApiBench) -> None:
    said = call(bench, "DELETE", "/v1/work-pools/local")

    assert (said.status, said.body) == ("204 No Content", b"")
    assert not {"Content-Length", "Content-Type"} & set(said.headers)


def test_head_says_the_length_and_sends_nothing(bench: ApiBench) -> None:
    said = call(bench, "HEAD", "/v1/work-pools")

    assert (said.status, said.body) == ("200 OK", b"")
    assert int(said.headers["Content-Length"]) > 0


def test_a_path_that_is_no_text_is_no_name(bench: ApiBench) -> None:
    assert call(bench, "GET", "/v1/work-pools/\xff\xfe").status.startswith("422")


def test_a_slash_in_a_name_makes_another_path(bench: ApiBench) -> None:
    assert call(bench, "GET", "/v1/work-pools/a/b/c/d").status.startswith("404")
