"""Whether an answer is one that the OpenAPI document has: its status, its media type, its shape."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from dispatcher.http.matching import Matcher
from dispatcher.http.messages import Problem, Response
from dispatcher.http.openapi import document
from dispatcher.http.routes import ROUTES


def check_conforms(method: str, path: str, response: Response) -> None:
    """:raises AssertionError: naming what the document does not have. A path or method of no route is passed over."""
    try:
        route = _matcher().match(method, path).route
    except Problem:
        return
    answers = _document()["paths"][route.path][route.method.lower()]["responses"]
    where = f"{route.name} {response.status}"
    assert str(response.status) in answers, f"{where} is not documented"
    content = answers[str(response.status)].get("content", {})
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    assert list(content) == ([media_type] if media_type else []), f"{where}: {media_type!r} is not documented"
    if media_type.endswith("json") and method != "HEAD":
        schema = content[media_type]["schema"]
        _validator(json.dumps(schema)).validate(json.loads(response.body))


@cache
def _matcher() -> Matcher:
    return Matcher(ROUTES)


@cache
def _document() -> dict[str, Any]:
    return document(ROUTES)


@cache
def _validator(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "components": _document()["components"]}
    return Draft202012Validator(whole, validate_formats=True)
