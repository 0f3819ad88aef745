"""Texts that every store keeps or hands out: bodies as JSON, and the marks that pages end with. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dispatcher.errors import InvalidInput


def json_text(body: Mapping[str, Any], what: str) -> str:
    """The body exactly: what JSON cannot say is refused, not rewritten. :raises InvalidInput:"""
    try:
        text = json.dumps(dict(body), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError) as exc:
        raise InvalidInput(f"{what} cannot be stored as JSON: {exc}", path=what) from exc
    return text


def page_mark(kind: str, *place: str | int) -> str:
    """Where a page of this kind ended, as opaque text."""
    return base64.urlsafe_b64encode(json.dumps([kind, *place]).encode()).decode().rstrip("=")


def page_place(kind: str, mark: str, parts: Sequence[type]) -> list[Any]:
    """Where a page of this kind ended, which has parts of these types.

    :raises InvalidInput: no mark, or another listing's.
    """
    try:
        found: list[Any] = json.loads(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)))
        if found[0] == kind and [type(part) for part in found[1:]] == list(parts):
            return found[1:]
    except (binascii.Error, ValueError, TypeError, LookupError):
        pass
    raise no_mark(mark)


def no_mark(mark: str) -> InvalidInput:
    return InvalidInput(f"after: {mark!r} is not where a page of this list ended; leave it out to start", path="after")
