"""A container group held against the API's model, as the management library's serialisation maps have it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from adapters.commands import is_mark
from adapters.infrastructure.aci.arm import PATH
from adapters.infrastructure.aci.clients import models
from dispatcher.errors import InvalidInput

_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "iso-8601": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "object": (object,),
}
_ENUM = re.compile(r"_models\.(\w+)")


class _Field(NamedTuple):
    """One field of a model: its type as the map spells it, and what its constructor allows."""

    type: str
    readonly: bool
    required: bool
    choices: tuple[str, ...]


_Tree = dict[str, Any]  # names → a _Field, or a _Tree where the model is flattened


def check_group(group: Mapping[str, Any]) -> None:
    """:raises InvalidInput: a field that container groups lack, or that is missing; a wrong type or choice."""
    _check_model("ContainerGroup", group, PATH)


@cache
def _tree(model: str) -> _Tree:
    """`properties.containers` in a map is `containers` in `properties`."""
    kind: Any = getattr(models(), model)
    parameters = inspect.signature(kind.__init__).parameters
    tree: _Tree = {}
    for name, place in kind._attribute_map.items():  # noqa: SLF001 - what the library serialises by
        rules = kind._validation.get(name, {})  # noqa: SLF001
        *outer, last = place["key"].split(".")
        at = tree
        for key in outer:
            at = at.setdefault(key, {})
        choices = _choices(str(parameters[name].annotation)) if name in parameters else ()
        at[last] = _Field(place["type"], rules.get("readonly", False), rules.get("required", False), choices)
    return tree


def _choices(annotation: str) -> tuple[str, ...]:
    """Of an enumeration; none for anything else."""
    named = _ENUM.search(annotation)
    kind: Any = getattr(models(), named[1]) if named else ()
    return tuple(str(each.value) for each in kind) if named and hasattr(kind, "__members__") else ()


def _check_model(model: str, value: object, path: str) -> None:
    _check_object(_tree(model), value, path)


def _check_object(tree: _Tree, value: object, path: str) -> None:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{path} is {value!r}: write an object", path=path)
    if unknown := next((key for key in value if key not in tree), None):
        raise _unfit(f"{path}.{unknown}", f"there is no such field; there are {', '.join(sorted(tree))}")
    for key, field in tree.items():
        if key in value:
            _check_field(field, value[key], f"{path}.{key}")
        elif not isinstance(field, dict) and field.required:
            raise _unfit(f"{path}.{key}", "it has to be there")


def _check_field(field: _Field | _Tree, value: object, path: str) -> None:
    if isinstance(field, dict):
        _check_object(field, value, path)
        return
    if field.readonly:
        raise _unfit(path, "Azure sets it itself; leave it out")
    _check_value(field.type, value, path)
    if field.choices and str(value).lower() not in map(str.lower, field.choices):
        raise _unfit(path, f"{value!r} is none of {', '.join(field.choices)}")


def _check_value(kind: str, value: object, path: str) -> None:
    if kind[0] in "[{":
        wanted = list if kind[0] == "[" else Mapping
        if not isinstance(value, wanted):
            raise _unfit(path, f"{value!r} is no {'list' if kind[0] == '[' else 'object'}")
        for key, part in enumerate(value) if isinstance(value, list) else dict(value).items():
            _check_value(kind[1:-1], part, f"{path}[{key}]")
    elif kind in _TYPES:
        is_flag = isinstance(value, bool) and kind in ("int", "float")
        if is_flag or not (isinstance(value, _TYPES[kind]) or (kind == "str" and is_mark(value))):
            raise _unfit(path, f"{value!r} is no {kind}")
    else:
        _check_model(kind, value, path)


def _unfit(path: str, why: str) -> InvalidInput:
    return InvalidInput(f"{path} does not fit Azure's API: {why}", path=path)
