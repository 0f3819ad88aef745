"""Python values as DynamoDB's attribute values and back, texts made small, and what is refused before it is sent."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, TypeAlias

from adapters.stores.dynamodb.dictionary import DICTIONARY
from dispatcher.errors import InvalidInput

Item: TypeAlias = dict[str, Any]

_PLAIN, _DEFLATED = b"\x00", b"\x01"  # the first byte of a packed text; 1 means deflated with DICTIONARY
_NEAR_BYTES = 16_384  # deflate looks 32 KB back


def value(given: str | int | bytes) -> dict[str, Any]:
    if isinstance(given, str):
        return {"S": text(given)}
    return {"B": given} if isinstance(given, bytes) else {"N": str(given)}


def item(**attributes: str | int | bytes | None) -> Item:
    """An item as it is sent; what is None is left out."""
    return {name: value(given) for name, given in attributes.items() if given is not None}


def plain(stored: Mapping[str, Mapping[str, Any]]) -> Item:
    """An item as it came, as Python's own values."""
    return {name: _plain(*next(iter(given.items()))) for name, given in stored.items()}


def _plain(kind: str, given: Any) -> Any:
    if kind == "N":
        return int(given)
    return bytes(given) if kind == "B" else given


def text(given: str) -> str:
    """:raises InvalidInput: it is not Unicode."""
    try:
        given.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(f"{given!r} is not text that can be stored: {exc.reason}") from exc
    return given


def packed(given: str, *, near: str = "") -> bytes:
    """The text in as few bytes as may be. `near`: a text that it repeats parts of, needed again to unpack it."""
    raw = given.encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _dictionary(near))
    small = deflate.compress(raw) + deflate.flush()
    return _DEFLATED + small if len(small) < len(raw) else _PLAIN + raw


def unpacked(stored: bytes, *, near: str = "") -> str:
    if stored[:1] == _PLAIN:
        return stored[1:].decode()
    inflate = zlib.decompressobj(-15, _dictionary(near))
    return (inflate.decompress(stored[1:]) + inflate.flush()).decode()


def _dictionary(near: str) -> bytes:
    return near.encode()[-_NEAR_BYTES:] + DICTIONARY


def size(sent: Item) -> int:
    """The bytes that DynamoDB counts: names and values (Developer Guide, "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _size(*next(iter(given.items()))) for name, given in sent.items())


def _size(kind: str, given: Any) -> int:
    if kind == "N":
        return len(given) // 2 + 2
    return len(given) if kind == "B" else len(given.encode())
