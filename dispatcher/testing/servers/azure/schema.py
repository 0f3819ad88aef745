"""The SDK's own models as the judge of a request: unknown fields, types, what is required, enumerations."""

from __future__ import annotations

import inspect
import re
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from dispatcher.testing.servers.azure.refusals import bad_content
from dispatcher.testing.servers.azure.theirs import Json, models

_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str, "int": int, "bool": bool, "float": (int, float), "object": object,
}  # fmt: skip
_NAMED = re.compile(r"_models\.(\w+)")


class Leaf(NamedTuple):
    """One field: its type as serialisation maps spell it, and whether it must be there or is the service's own."""

    type: str
    required: bool
    readonly: bool
    choices: frozenset[str]


Tree = dict[str, Any]  # names → a Leaf, or a Tree of what is flattened in the model


def check(kind: str, value: Any, path: str = "") -> None:
    """`value` as the model `kind`. :raises Refused: it does not fit; the path says where."""
    _check_object(_tree(kind), value, path, kind)


@cache
def _tree(kind: str) -> Tree:
    """`properties.containers` of a model's map is `containers` in `properties` of a request."""
    model: Any = getattr(models(), kind)
    tree: Tree = {}
    parameters = inspect.signature(model.__init__).parameters
    for name, place in model._attribute_map.items():  # noqa: SLF001 - what the SDK serialises by
        rule = model._validation.get(name, {})  # noqa: SLF001
        *nested, last = place["key"].split(".")
        at: Tree = tree
        for each in nested:
            at = at.setdefault(each, {})
        choices = _choices(parameters[name].annotation) if name in parameters else frozenset()
        at[last] = Leaf(place["type"], rule.get("required", False), rule.get("readonly", False), choices)
    return tree


def _choices(annotation: object) -> frozenset[str]:
    """Of an enumeration, lower case: the service compares so."""
    found = _NAMED.search(str(annotation))
    named = getattr(models(), found[1], None) if found else None
    if named is None or not issubclass(named, Enum):
        return frozenset()
    return frozenset(str(member.value).lower() for member in named)


def _check_object(tree: Tree, value: Any, path: str, kind: str) -> None:
    if not isinstance(value, dict):
        raise bad_content(path, f"Error converting value {value!r} to type '{kind}'.")
    for name, item in value.items():
        at = f"{path}.{name}".lstrip(".")
        if name not in tree:
            raise bad_content(at, f"Could not find member '{name}' on object of type '{kind}'.")
        if item is not None:
            _check_member(tree[name], item, at, kind)
    _check_required(tree, value, path, kind)


def _check_required(tree: Tree, value: Json, path: str, kind: str) -> None:
    for name, field in tree.items():
        at = f"{path}.{name}".lstrip(".")
        if isinstance(field, dict):
            _check_required(field, value.get(name) or {}, at, kind)
        elif field.required and value.get(name) is None:
            raise bad_content(at, f"Required property '{name}' not found in JSON.")


def _check_member(field: Leaf | Tree, item: Any, path: str, kind: str) -> None:
    if isinstance(field, dict):
        _check_object(field, item, path, kind)
    elif not field.readonly:
        _check_value(field.type, item, path)
        if field.choices and str(item).lower() not in field.choices:
            raise bad_content(path, f"Error converting value {item!r}; one of {', '.join(sorted(field.choices))}.")


def _check_value(kind: str, item: Any, path: str) -> None:
    if kind[0] in "[{":
        wanted = list if kind[0] == "[" else dict
        if not isinstance(item, wanted):
            raise bad_content(path, f"Error converting value {item!r} to type '{kind}'.")
        pairs = enumerate(item) if isinstance(item, list) else item.items()
        for key, each in pairs:
            _check_value(kind[1:-1], each, f"{path}[{key}]")
    elif kind in _TYPES:
        is_number = kind in ("int", "float")
        if not isinstance(item, _TYPES[kind]) or (is_number and isinstance(item, bool)):
            raise bad_content(path, f"Error converting value {item!r} to type '{kind}'.")
    else:
        check(kind, item, path)
