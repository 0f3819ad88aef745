"""Our dataclasses as JSON text and back, for stores and for catalogue records.

Values equal to their default are left out; keys that this version does not know are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(value: object) -> str:
    return _adapter(type(value)).dump_json(value, exclude_defaults=True).decode()


def from_json(kind: type[T], text: str | bytes) -> T:
    value: T = _adapter(kind).validate_json(text)
    return value


def to_document(value: object) -> dict[str, Any]:
    """A JSON object as Python's own types."""
    document: dict[str, Any] = _adapter(type(value)).dump_python(value, mode="json", exclude_defaults=True)
    return document


def from_document(kind: type[T], document: Mapping[str, Any]) -> T:
    value: T = _adapter(kind).validate_python(document)
    return value


def canonical(value: Any) -> str:
    """JSON with one spelling for one value; what fingerprints are made of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
