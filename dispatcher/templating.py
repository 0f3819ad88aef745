"""Placeholders of a template, and their values in place of them.

`{{ name }}` in a string, where a name is made of letters, digits and `_ . - [ ] $`; anything else between braces is
text. Keys are never templates. A value is put in as it is and not read again, so nothing in it is a placeholder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

from dispatcher.errors import TemplateError

_PLACEHOLDER = re.compile(r"{{\s*([\w.\-\[\]$]+)\s*}}")


class _NotSet(Enum):
    NOT_SET = "<NotSet>"


NOT_SET: Final = _NotSet.NOT_SET  # what a placeholder without a value becomes; None is a value


class PlaceholderKind(StrEnum):
    STANDARD = "standard"
    BLOCK = "block"  # {{ prefect.blocks.… }}
    VARIABLE = "variable"  # {{ prefect.variables.… }}
    ENVIRONMENT = "environment"  # {{ $NAME }}


@dataclass(frozen=True, slots=True)
class Placeholder:
    text: str  # with its braces
    name: str

    @property
    def kind(self) -> PlaceholderKind:
        if self.name.startswith("prefect.blocks."):
            return PlaceholderKind.BLOCK
        if self.name.startswith("prefect.variables."):
            return PlaceholderKind.VARIABLE
        if self.name.startswith("$"):
            return PlaceholderKind.ENVIRONMENT
        return PlaceholderKind.STANDARD


def find_placeholders(template: Any) -> set[Placeholder]:
    """Those of every string in it, however deep.

    :raises TemplateError: something in it is not JSON.
    """
    if isinstance(template, str):
        return {_placeholder(match) for match in _PLACEHOLDER.finditer(template)}
    if isinstance(template, Mapping):
        return set().union(*map(find_placeholders, template.values()))
    if isinstance(template, list):
        return set().union(*map(find_placeholders, template))
    return set() if _is_scalar(template) else _refuse(template)


def apply_values(
    template: Any,
    values: Mapping[str, Any],
    *,
    remove_notset: bool = True,
    skip_prefixes: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Any:
    """A copy of the template with values for placeholders; a string that is one placeholder takes the value's type.

    Without a value, a string that is one placeholder becomes NOT_SET, and its key or list item is left out; within a
    longer string it becomes nothing. `remove_notset` False keeps the text, but in lists. Block and variable
    placeholders, and names that start with one of `skip_prefixes`, stay as they are. `environ` is the environment as
    it is at the time of the call, unless one is given.

    :raises TemplateError: something in the template is not JSON.
    """
    environ = os.environ if environ is None else environ
    return _Substitution(values, environ, tuple(skip_prefixes), keep=not remove_notset).of(template)


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """The value at `a.b[0].c`, or NOT_SET. A key that has a dot in it is never found."""
    value: Any = values
    for part in name.replace("[", ".").replace("]", "").split("."):
        try:
            value = value[_key(part)]
        except (TypeError, KeyError, IndexError):
            return NOT_SET
    return value


@dataclass(frozen=True, slots=True)
class _Substitution:
    values: Mapping[str, Any]
    environ: Mapping[str, str]
    skipped: tuple[str, ...]
    keep: bool  # the text of placeholders without a value

    def of(self, template: Any) -> Any:
        if isinstance(template, str):
            return self._of_string(template)
        if isinstance(template, Mapping):
            return self._of_mapping(template)
        if isinstance(template, list):
            return [new for new in map(self.of, template) if new is not NOT_SET]
        return template if _is_scalar(template) else _refuse(template)

    def _of_mapping(self, template: Mapping[str, Any]) -> dict[str, Any]:
        new = {key: self.of(value) for key, value in template.items()}
        if self.keep:
            return {key: template[key] if value is NOT_SET else value for key, value in new.items()}
        return {key: value for key, value in new.items() if value is not NOT_SET}

    def _of_string(self, template: str) -> Any:
        whole = _PLACEHOLDER.fullmatch(template)
        if whole is not None:
            placeholder = _placeholder(whole)
            if placeholder.kind is PlaceholderKind.STANDARD and not self._is_skipped(placeholder):
                return deepcopy(lookup(self.values, placeholder.name))
        return _PLACEHOLDER.sub(self._text, template)

    def _text(self, match: re.Match[str]) -> str:
        placeholder = _placeholder(match)
        if placeholder.kind in (PlaceholderKind.BLOCK, PlaceholderKind.VARIABLE) or self._is_skipped(placeholder):
            return placeholder.text
        value = self._value(placeholder)
        if value is NOT_SET:
            return placeholder.text if self.keep else ""
        return str(value)

    def _value(self, placeholder: Placeholder) -> Any:
        if placeholder.kind is PlaceholderKind.ENVIRONMENT:
            return self.environ.get(placeholder.name.lstrip("$"), NOT_SET)
        return lookup(self.values, placeholder.name)

    def _is_skipped(self, placeholder: Placeholder) -> bool:
        return placeholder.name.startswith(self.skipped)


def _placeholder(match: re.Match[str]) -> Placeholder:
    return Placeholder(match[0], match[1])


def _key(part: str) -> str | int:
    try:
        return int(part)
    except ValueError:
        return part


def _is_scalar(value: Any) -> bool:
    return value is None or value is NOT_SET or isinstance(value, int | float)


def _refuse(value: Any) -> Any:
    kind = type(value).__name__
    raise TemplateError(f"the template holds {value!r}, a {kind}; it takes what JSON has, so quote it or list it")
