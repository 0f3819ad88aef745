"""Values as they go over the wire, and what a provider does with them by its schema alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

msgpack: Any = import_module("msgpack")

UNKNOWN = msgpack.ExtType(0, b"\0")

# Of an attribute's dotted path and its type, the value.
Maker = Callable[[str, Any], Any]


def is_unknown(value: object) -> bool:
    return isinstance(value, msgpack.ExtType)


def packed(value: Any) -> bytes:
    return bytes(msgpack.packb(value))


def unpacked(value: bytes) -> Any:
    return msgpack.unpackb(value, strict_map_key=False) if value else None


def planned(block: Mapping[str, Any], proposed: Any, config: Any) -> Any:
    """The proposal with what only the apply will tell unknown, and without what is only written."""
    if not isinstance(proposed, dict) or not isinstance(config, dict):
        return proposed
    made = dict(proposed)
    for name, attribute in block.get("attributes", {}).items():
        if attribute.get("write_only"):
            made[name] = None
        elif attribute.get("computed") and made[name] is None and config[name] is None:
            made[name] = UNKNOWN
    for name, nested in block.get("block_types", {}).items():
        made[name] = _in_each(nested, made[name], config[name])
    return made


def _in_each(nested: Mapping[str, Any], proposed: Any, config: Any) -> Any:
    if not isinstance(proposed, list) or not isinstance(config, list) or len(proposed) != len(config):
        return planned(nested["block"], proposed, config)
    return [planned(nested["block"], *pair) for pair in zip(proposed, config, strict=True)]


def completed(block: Mapping[str, Any], value: Any, make: Maker, *, path: str = "") -> Any:
    """What was planned, with everything unknown made."""
    if not isinstance(value, dict):
        return value
    made = dict(value)
    for name, attribute in block.get("attributes", {}).items():
        if is_unknown(made[name]):
            made[name] = make(f"{path}{name}", attribute["type"])
    for name, nested in block.get("block_types", {}).items():
        below = f"{path}{name}."
        if isinstance(made[name], list):
            made[name] = [completed(nested["block"], each, make, path=below) for each in made[name]]
        else:
            made[name] = completed(nested["block"], made[name], make, path=below)
    return made


def emptiest(kind: Any, text: str) -> Any:
    """Something of a type; texts are `text`, and of what is computed as a list there is one."""
    if isinstance(kind, str):
        return {"string": text, "number": 0, "bool": False}[kind]
    outer, inner = kind
    if outer == "object":
        return {name: emptiest(each, f"{text}.{name}") for name, each in inner.items()}
    return {} if outer == "map" else [emptiest(inner, text)] if not isinstance(inner, str) else []
