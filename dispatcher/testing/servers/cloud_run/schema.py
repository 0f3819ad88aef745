"""The official discovery document of the API, as the judge of a request: unknown fields, types, enums, formats."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from dispatcher.testing.servers.cloud_run import theirs
from dispatcher.testing.servers.cloud_run.refusals import invalid

PREFIX = "GoogleCloudRunV2"
_DURATION = re.compile(r"\d+(\.\d{1,9})?s")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "boolean": bool, "number": (int, float), "array": list, "object": dict,
}  # fmt: skip


@cache
def document() -> dict[str, Any]:
    """run.v2.json, as google-api-python-client ships it. :raises Missing:"""
    folder = Path(theirs.module("googleapiclient").__file__).parent / "discovery_cache" / "documents"
    found: dict[str, Any] = json.loads((folder / "run.v2.json").read_text(encoding="utf-8"))
    return found


@cache
def regions() -> frozenset[str]:
    """That have an endpoint of their own."""
    return frozenset(str(each["location"]) for each in document()["endpoints"])


def check(kind: str, value: Any, path: str) -> None:
    """`value` as `GoogleCloudRunV2{kind}`. :raises Refused: it does not fit; the path says where."""
    _check({"$ref": f"{PREFIX}{kind}"}, value, path)


def _check(schema: dict[str, Any], value: Any, path: str) -> None:
    if "$ref" in schema:
        _check_object(document()["schemas"][schema["$ref"]], value, path)
    elif schema.get("type") == "array":
        _check_type("array", value, path)
        for number, item in enumerate(value):
            _check(schema["items"], item, f"{path}[{number}]")
    elif schema.get("type") == "object" and "additionalProperties" in schema:
        _check_type("object", value, path)
        for key, item in value.items():
            _check(schema["additionalProperties"], item, f"{path}.{key}")
    else:
        _check_scalar(schema, value, path)


def _check_object(schema: dict[str, Any], value: Any, path: str) -> None:
    _check_type("object", value, path)
    properties = schema.get("properties", {})
    for key, item in value.items():
        if key not in properties:
            raise invalid(path, f'Unknown name "{key}": Cannot find field.')
        _check(properties[key], item, f"{path}.{key}")
    for key, part in properties.items():
        if str(part.get("description", "")).startswith("Required.") and not value.get(key):
            raise invalid(f"{path}.{key}", "must be set.")


def _check_scalar(schema: dict[str, Any], value: Any, path: str) -> None:
    kind = str(schema.get("type", "any"))
    if kind in _TYPES:
        _check_type(kind, value, path)
    if "enum" in schema and value not in schema["enum"]:
        raise invalid(path, f'Invalid value: "{value}"; one of {", ".join(schema["enum"])}.')
    if schema.get("format") == "google-duration" and not _DURATION.fullmatch(str(value)):
        raise invalid(path, f'Illegal duration format: "{value}".')


def _check_type(kind: str, value: Any, path: str) -> None:
    wanted = _TYPES[kind]
    if not isinstance(value, wanted) or (kind in ("integer", "number") and isinstance(value, bool)):
        raise invalid(path, f"Invalid value: {value!r} is no {kind}.")
