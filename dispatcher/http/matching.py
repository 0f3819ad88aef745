"""Which route a request is for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from dispatcher.forms import NAME
from dispatcher.http.messages import Fault, Problem
from dispatcher.http.routes import Route

TYPE = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$"
PATTERNS: Mapping[str, str] = {"type": TYPE}  # of a name in a path; the others are NAME
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Match:
    """A route, and the names that stand in the path."""

    route: Route
    names: Mapping[str, str]


class Matcher:
    """Finds the route of a path and method; a path without names goes before one with."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._paths: dict[str, dict[str, Route]] = {}
        for route in sorted(routes, key=lambda route: route.path.count("{")):
            self._paths.setdefault(route.path, {})[route.method] = route
        self._parts = {path: path.split("/") for path in self._paths}

    def match(self, method: str, path: str) -> Match:
        """:raises Problem: 404, 405, or 422 for a name that cannot be one."""
        sent = path.split("/")
        for template, parts in self._parts.items():
            if (found := _names(parts, sent)) is not None:
                route = _of_method(self._paths[template], method)
                return Match(route, {name: _name(name, text) for name, text in found.items()})
        raise Problem(404, f"there is nothing at {path[:_SHOWN]}; /openapi.json lists what there is")


def _names(parts: list[str], sent: list[str]) -> dict[str, str] | None:
    if len(parts) != len(sent):
        return None
    found = {}
    for part, text in zip(parts, sent, strict=True):
        if part.startswith("{") and text:
            found[part[1:-1]] = text
        elif part != text:
            return None
    return found


def _of_method(methods: Mapping[str, Route], method: str) -> Route:
    route = methods.get("GET" if method == "HEAD" else method)
    if route is None:
        allowed = ", ".join(sorted(methods.keys() | ({"HEAD"} if "GET" in methods else set())))
        raise Problem(405, f"{method[:_SHOWN]} is not possible here; use {allowed}", headers={"Allow": allowed})
    return route


def _name(name: str, encoded: str) -> str:
    """:raises Problem: it is not UTF-8, or has characters that no name has."""
    pattern = PATTERNS.get(name, NAME)
    try:
        text = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        text = ""
    if not re.fullmatch(pattern, text):
        why = "a name has letters, digits, dots, dashes and underscores, and at most 100 of them"
        raise Problem(422, f"{name} {encoded[:_SHOWN]!r} is no name: {why}", [Fault(name, why)])
    return text
