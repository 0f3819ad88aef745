"""Secret job variables: what is given, stored and rendered is a secret's name; its value is looked up at submission.

A variable marked `x-secret` takes the name of a secret of this installation. In a configuration and in a stored
request it is `{"$secret": NAME}`, and only as a whole value. Only names can be asked for, so an override reaches
nothing else of the dispatcher's environment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from dispatcher.errors import TemplateError

MARK = "$secret"
STARS = "********"
SHORTEST = 4  # characters of a value that is looked for in texts
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")

LookUp: TypeAlias = Callable[[str], str]  # a secret's name → its value; raises Misconfigured if there is none


class Remembered:
    """A look-up whose answers are kept for a while: a burst of runs does not ask for one secret again and again."""

    KEPT = timedelta(minutes=5)

    def __init__(self, look_up: LookUp, now: Callable[[], datetime]) -> None:
        self._look_up, self._now = look_up, now
        self._kept: dict[str, tuple[datetime, str]] = {}

    def __call__(self, name: str) -> str:
        """:raises Misconfigured: :raises Unreachable: as the look-up does; neither is kept."""
        until, value = self._kept.get(name, (datetime.min.replace(tzinfo=UTC), ""))
        if self._now() >= until:
            value = self._look_up(name)
            self._kept[name] = (self._now() + self.KEPT, value)
        return value


def is_marked(value: Any) -> bool:
    return isinstance(value, Mapping) and MARK in value


def check(variable: str, value: Any) -> None:
    """:raises TemplateError: it is no name, or no object of names; does not show it: it may be the secret itself."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            check(f"{variable}.{key}", part)
        return
    if value is not None and not (isinstance(value, str) and _NAME.fullmatch(value)):
        way_out = "give the name of a secret of this installation (PUSHPOOL_SECRET_NAME, or a file in secrets/)"
        raise TemplateError(f"variable {variable!r} is secret: {way_out}, not its value", path=variable)


def refuse_marks(value: Any, path: str = "") -> None:
    """:raises TemplateError: an override spells a mark itself."""
    if is_marked(value):
        raise TemplateError(f"{path or 'it'} holds {MARK!r}; only a variable marked x-secret names a secret", path=path)
    if isinstance(value, Mapping):
        for key, part in value.items():
            refuse_marks(part, f"{path}.{key}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            refuse_marks(part, f"{path}[{number}]")


def marked(value: Any) -> Any:
    """The name of a secret, or an object of them, marked as such."""
    if isinstance(value, Mapping):
        return {key: marked(part) for key, part in value.items()}
    return {MARK: value} if isinstance(value, str) else value


def starred(text: str, values: Iterable[str]) -> str:
    """A text that others wrote, without secret values; short ones are words.

    Plain or as JSON and Python quote them; line by line too, for lines may have been joined; and cut off at its end.
    """
    lines = {line for value in values for line in (value, *value.splitlines())}
    spelled = {form for line in lines for form in _spelled(line) if len(form) >= SHORTEST}
    for form in sorted(spelled, key=len, reverse=True):  # else a part of another would leave the rest of it
        text = text.replace(form, STARS)
    cut = max((_overlap(text, form) for form in spelled), default=0)
    return text[: len(text) - cut] + STARS if cut else text


def _spelled(value: str) -> set[str]:
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}


def _overlap(text: str, form: str) -> int:
    """Of how many of its first characters, `SHORTEST` at least, the text's end is made."""
    lengths = range(min(len(form), len(text)), SHORTEST - 1, -1)
    return next((length for length in lengths if text.endswith(form[:length])), 0)


def revealed(body: Any, look_up: LookUp) -> Any:
    """A request's body with values in place of marks. :raises Misconfigured: a secret is not there."""
    if isinstance(body, Mapping):
        if set(body) == {MARK}:
            return look_up(body[MARK])
        return {key: revealed(part, look_up) for key, part in body.items()}
    return [revealed(part, look_up) for part in body] if isinstance(body, list) else body
