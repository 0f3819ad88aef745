"""JSON Schemas (Draft 2020-12) of job variables and parameters, and what does not fit them.

Schemas are read as Prefect reads them: what is not required may be null, a list of `items` is `prefixItems`. Nothing
is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING, Any

from dispatcher.errors import InvalidInput

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

Path = tuple[str | int, ...]

_SCHEMA_MAPS = ("properties", "patternProperties", "definitions", "$defs", "dependentSchemas")
_VALUES = ("default", "const", "enum", "examples")


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not fit, and why. The reason quotes the value, unless it is a secret."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How a schema is read. `secrets` are properties whose values are not to be quoted."""

    required: bool = True  # or what is required may still be missing
    null_for_defaults: bool = True  # null is allowed for what is not required, even where it has a default
    secrets: Collection[str] = ()


def first_problem(schema: Mapping[str, Any], value: Mapping[str, Any], reading: Reading) -> Problem | None:
    """None: it fits. :raises InvalidInput: the schema cannot be used, or the value is not JSON."""
    error = _first_error(schema, value, reading)
    if error is None:
        return None
    path = tuple(error.instance_path)
    if reading.secrets and (not path or path[0] in reading.secrets):
        error = _first_error(schema, value, reading, mask="the value") or error
    return _problem(path, error, schema)


def check_schema(schema: Any, *, what: str = "the schema") -> None:
    """:raises InvalidInput: it is no JSON Schema, or leans on one that lies elsewhere."""
    if not isinstance(schema, Mapping):
        raise InvalidInput(f"{what} is {type(schema).__name__}; it must be an object that is a JSON Schema")
    _validator(schema, Reading(), what=what)


def check_parameters(schema: Mapping[str, Any], parameters: Mapping[str, Any], *, require: bool = True) -> None:
    """A run's parameters; a deployment's, with `require` False, may leave some for its runs to give.

    :raises InvalidInput: naming the parameter, its value and the reason.
    """
    problem = first_problem(schema, parameters, Reading(required=require, null_for_defaults=False))
    if problem is not None:
        path = path_text(problem.path)
        raise InvalidInput(f"parameter {path!r}: {problem.reason}" if path else problem.reason, path=path)


def path_text(path: Path) -> str:
    """`containers[0].image`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _first_error(
    schema: Mapping[str, Any], value: Mapping[str, Any], reading: Reading, *, mask: str | None = None
) -> ValidationError | None:
    validator, given = _validator(schema, reading, mask=mask), plain(value)
    try:
        json.dumps(given, ensure_ascii=False, default=str).encode()
        return next(iter(validator.iter_errors(given)), None)
    except UnicodeEncodeError as exc:
        raise InvalidInput(f"a value is not JSON: it holds half of a character ({exc.reason})") from exc


def _validator(
    schema: Mapping[str, Any], reading: Reading, *, mask: str | None = None, what: str = "the schema"
) -> Draft202012Validator:
    from jsonschema_rs import Draft202012Validator, ReferencingError, ValidationError

    prepared = _prepared(schema, reading)
    try:
        return Draft202012Validator(prepared, retriever=_fetch_nothing, validate_formats=True, mask=mask)
    except (ValidationError, ReferencingError) as exc:
        path = path_text(tuple(exc.instance_path)) if isinstance(exc, ValidationError) else ""
        where = f"{what} at {path!r}" if path else what
        raise InvalidInput(f"{where} is no usable JSON Schema: {exc.message}", path=path) from exc
    except ValueError as exc:
        raise InvalidInput(f"{what} is no usable JSON Schema: {exc}") from exc


def _fetch_nothing(uri: str) -> Any:
    raise ValueError(f"{uri} is elsewhere; put that schema under $defs")


def _problem(path: Path, error: ValidationError, schema: Mapping[str, Any]) -> Problem:
    details = error.kind.as_dict()
    if error.kind.name == "required":
        return Problem((*path, details["property"]), "is required and has no value")
    if error.kind.name == "additionalProperties":
        name = details["unexpected"][0]
        return Problem((*path, name), "is not known" + (likely(name, schema) if not path else ""))
    return Problem(path, error.message)


def likely(name: str, schema: Mapping[str, Any]) -> str:
    """`; did you mean cpu?`, or the names there are."""
    names = list(schema.get("properties", {}))
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(names)) or 'none'}"


def _prepared(schema: Any, reading: Reading) -> Any:
    """A copy in Draft 2020-12, whatever draft it says it is in."""
    if isinstance(schema, list):
        return [_prepared(part, reading) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    new = {key: _keyword(key, value, reading) for key, value in schema.items()}
    if isinstance(new.get("items"), list):
        new.setdefault("prefixItems", new.pop("items"))
    needed = new["required"] if isinstance(new.get("required"), list) else []
    properties = new["properties"] if isinstance(new.get("properties"), dict) else {}
    for name, part in properties.items():
        if name not in needed and isinstance(part, dict):
            _allow_null(part, reading)
    if needed and not reading.required:
        del new["required"]
    return new


def _keyword(key: str, value: Any, reading: Reading) -> Any:
    if key in _VALUES:
        return plain(value)
    if key in _SCHEMA_MAPS and isinstance(value, Mapping):
        return {name: _prepared(part, reading) for name, part in value.items()}
    return _prepared(value, reading)


def _allow_null(schema: dict[str, Any], reading: Reading) -> None:
    """Loosens `type` and nothing else: an enumeration without null still has none."""
    if "type" in schema and (reading.null_for_defaults or "default" not in schema):
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = types if "null" in types else [*types, "null"]


def plain(value: Any, path: Path = ()) -> Any:
    """The same in dicts and lists of its own.

    :raises InvalidInput: something in it, such as a date that YAML has read, is not JSON.
    """
    if isinstance(value, Mapping):
        return {_key(key, path): plain(part, (*path, key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, (*path, n)) for n, part in enumerate(value)]
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    where = path_text(path)
    kind = type(value).__name__
    raise InvalidInput(f"{where} is {value}, a {kind}, which JSON has not; put it in quotes", path=where)


def _key(key: Any, path: Path) -> str:
    if isinstance(key, str):
        return key
    where = path_text(path)
    raise InvalidInput(f"{where} has the key {key!r}; keys are text, so put it in quotes", path=where)
