"""JSON of the REST API as Google's messages, and back. Their import takes a while: here, and only when it is needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from adapters.commands import is_mark
from dispatcher.errors import InvalidInput

Json = dict[str, Any]

# What protobuf's json_format says, with a preface for each level.
_PREFACE = re.compile(r"Failed to parse (?P<field>[\w.\[\]]+) field: ")
_AT = re.compile(r'\s*\bat "?Job\.?(?P<path>[\w.\[\]]*\w\]?)"?')
_UNKNOWN = re.compile(r'has no field named "(?P<field>\w+)".*?\[(?P<known>[^\]]*)\]"?$')


def check_job(job: Mapping[str, Any]) -> None:
    """:raises InvalidInput: a field that jobs lack, a wrong type, an enum that has no such name."""
    _checked(job, _kind("Job"))


def create_request(body: Mapping[str, Any]) -> Any:
    """A `CreateJobRequest`. :raises InvalidInput: it is none."""
    return _message(body, _kind("CreateJobRequest"))


def run_request(body: Mapping[str, Any]) -> Any:
    """A `RunJobRequest`. :raises InvalidInput: it is none."""
    return _message(body, _kind("RunJobRequest"))


def json_of(message: Any) -> Json:
    """Names in camel case, enums by name, nothing that has its default."""
    json_format = _json_format()

    found: Json = json_format.MessageToDict(type(message).pb(message))
    return found


def _kind(name: str) -> Any:
    return getattr(import_module("google.cloud.run_v2"), name)


def _json_format() -> Any:
    """It has no types of its own."""
    return import_module("google.protobuf.json_format")


def _message(body: Mapping[str, Any], kind: Any) -> Any:
    json_format = _json_format()
    try:
        return kind.wrap(json_format.ParseDict(dict(body), kind.pb()()))
    except (json_format.ParseError, ValueError, TypeError) as error:
        raise InvalidInput(f"this is no {kind.__name__}: {' '.join(str(error).split())}", path="job_body") from error


def _checked(value: Mapping[str, Any], kind: Any) -> None:
    json_format = _json_format()
    try:
        json_format.ParseDict(_without_marks(value), kind.pb()())
    except (json_format.ParseError, ValueError, TypeError) as error:
        path, why = _told(" ".join(str(error).split()).rstrip("."))
        raise InvalidInput(f"{path} does not fit Cloud Run's API: {why}", path=path) from error


def _told(said: str) -> tuple[str, str]:
    """Where in the template, as far as protobuf tells it, and what is wrong there."""
    fields = [found["field"] for found in _PREFACE.finditer(said)]
    why = _PREFACE.sub("", said)
    at = _AT.search(why)
    path = at["path"] if at is not None else ".".join(fields)
    if (unknown := _UNKNOWN.search(why)) is not None:
        known = unknown["known"].replace("'", "")
        whole = ".".join(part for part in ("job_body", path, unknown["field"]) if part)
        return whole, f"there is no such field; there are {known}"
    return f"job_body.{path}".rstrip("."), _AT.sub("", why)


def _without_marks(value: Any) -> Any:
    """With an empty text in place of each secret that is filled in when the request is sent."""
    if is_mark(value):
        return ""
    if isinstance(value, Mapping):
        return {key: _without_marks(part) for key, part in value.items()}
    return [_without_marks(part) for part in value] if isinstance(value, list) else value
