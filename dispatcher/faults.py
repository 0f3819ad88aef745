"""A form's validation errors in our words: the value, what it must be, and which key was probably meant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Loc: TypeAlias = tuple[str | int, ...]

_WANTED: Mapping[str, str] = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "enum": "one of {expected}",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge}",
    "int_type": "a whole number",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "one of {expected}",
    "model_type": "a mapping",
    "string_pattern_mismatch": "letters, digits, `.`, `-` and `_`, at most 100, a letter or digit first",
    "string_too_long": "at most {max_length} characters long",
    "string_too_short": "at least {min_length} characters long",
    "string_type": "text",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
}
_SECRET = frozenset({"secret"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. `of_key`: with the key that `loc` ends in, not with its value."""

    loc: Loc
    message: str
    of_key: bool = False


def faults_of(exc: ValidationError, form: type[BaseModel], *, depth: Callable[[Loc], int] = lambda _: 0) -> list[Fault]:
    """Every fault; of a value that could have been one of several things, all that it could have been.

    `depth`: how many steps of a place name the thing itself, and so are left out of the message.
    """
    grouped: dict[Loc, list[ErrorDetails]] = {}
    for error in exc.errors(include_url=False):
        grouped.setdefault(_without_branches(error["loc"]), []).append(error)
    # `command: [1]` is no text, and its first item is none: the item is what to change.
    deepest = [loc for loc in grouped if not any(other[: len(loc)] == loc != other for other in grouped)]
    return [_fault(loc, grouped[loc], form, depth(loc)) for loc in deepest]


def near(word: str, known: Collection[str]) -> str:
    """`; did you mean …?`, or what there is."""
    close = get_close_matches(word, known, n=1, cutoff=0.7)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are: {', '.join(sorted(known))}" if known else "there are none"


def shown(value: object) -> str:
    """A value as an error names it: never long, never a whole structure."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str() if len(value) > 60:
            return repr(f"{value[:57]}…")
        case _:
            return repr(value)


def _without_branches(loc: Loc) -> Loc:
    """Without the branches of a union, which are spelled as types."""
    return tuple(step for step in loc if step not in ("str", "list[str]"))


def _fault(loc: Loc, errors: list[ErrorDetails], form: type[BaseModel], depth: int) -> Fault:
    error = errors[0]
    kind = error["type"]
    if kind == "missing":
        return Fault(loc[:-1], f"{loc[-1]} is missing", of_key=True)
    if kind == "extra_forbidden":
        known = _keys(form, loc[:-1])
        return Fault(loc, f"the key {loc[-1]!r} is unknown; {near(str(loc[-1]), known)}", of_key=True)
    if kind == "value_error":
        return Fault(loc, str(error.get("ctx", {}).get("error", error["msg"])), of_key=True)
    if loc and loc[-1] == "[key]":
        return Fault(loc[:-1], f"the name is {shown(error['input'])}; it must be {_wanted(error)}", of_key=True)
    wanted = " or ".join(dict.fromkeys(_wanted(error) for error in errors))
    value = "not shown" if _SECRET & set(loc) else shown(error["input"])
    name = ".".join(str(step) for step in loc[depth:]) or "it"
    return Fault(loc, f"{name} is {value}; it must be {wanted}")


def _wanted(error: ErrorDetails) -> str:
    known = _WANTED.get(error["type"])
    if known is None:
        return f"otherwise: {error['msg'][:1].lower()}{error['msg'][1:]}"
    return known.format(**error.get("ctx", {}))


def _keys(form: type[BaseModel], loc: Loc) -> list[str]:
    """What the form takes at `loc`."""
    here: Any = form
    for step in loc:
        here = _inside(here, step)
    models = [part for part in _parts(here) if isinstance(part, type) and issubclass(part, BaseModel)]
    return [info.alias or key for key, info in models[0].model_fields.items()] if models else []


def _inside(annotation: Any, step: str | int) -> Any:
    """The annotation of what `step` leads to."""
    for part in _parts(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part.model_fields[str(step)].annotation
        if get_origin(part) in (dict, list):
            return get_args(part)[-1]
    return None


def _parts(annotation: Any) -> list[Any]:
    """The members of a union; anything else alone."""
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [part for member in get_args(annotation) for part in _parts(member)]
    return [annotation]
