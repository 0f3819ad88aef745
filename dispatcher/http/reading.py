"""A request's query and body as models, or a problem that says everything that is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from dispatcher.http.messages import JSON, MAX_BODY_BYTES, Fault, Problem, Request
from dispatcher.http.problems import invalid

M = TypeVar("M", bound=BaseModel)
MAX_QUERY_FIELDS = 200


def read_query(request: Request, model: type[M]) -> M:
    """:raises Problem: 400 or 422."""
    sent = _query(request.query)
    many = {name for name, field in model.model_fields.items() if get_origin(field.annotation) is list}
    for name, values in sent.items():
        if len(values) > 1 and name not in many:
            raise Problem(422, f"query: {name[:60]} is given twice", [Fault(name[:60], "is given twice")])
    given = {name: values if name in many else values[0] for name, values in sent.items()}
    try:
        return model.model_validate(given)
    except ValidationError as exc:
        raise invalid("query", _errors(exc)) from None


def _query(text: str) -> dict[str, list[str]]:
    sent: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise Problem(400, f"the query is not UTF-8, or has more than {MAX_QUERY_FIELDS} parts") from None
    for name, value in pairs:
        sent.setdefault(name, []).append(value)
    return sent


def read_body(request: Request, model: type[M], *, required: bool) -> M:
    """:raises Problem: 400, 413, 415 or 422."""
    if not request.body and not required:
        return _validated(b"{}", model)
    _check_size(request)
    _check_type(request)
    _check_json(request.body)
    return _validated(request.body, model)


def _check_size(request: Request) -> None:
    declared = request.headers.get("content-length", "")
    if len(request.body) > MAX_BODY_BYTES or (declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES):
        raise Problem(413, f"the body is over the limit of {MAX_BODY_BYTES} bytes; pass references instead")


def _check_type(request: Request) -> None:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != JSON:
        raise Problem(415, f"the body must be JSON: send Content-Type: {JSON}", headers={"Accept": JSON})


def _check_json(body: bytes) -> None:
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as exc:
        raise Problem(400, f"the body is not JSON: {exc}") from None
    if any(not math.isfinite(number) for number in _floats(value)):
        raise Problem(400, "the body has a number that is too large")


def _floats(value: Any) -> Iterable[float]:
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)
        elif isinstance(each, float):
            yield each


def _validated(body: bytes, model: type[M]) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        raise invalid("body", _errors(exc)) from None


def _errors(error: ValidationError) -> list[Mapping[str, Any]]:
    return [dict(each) for each in error.errors(include_url=False, include_context=False, include_input=False)]
