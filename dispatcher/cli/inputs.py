"""What people type: key=value pairs, durations, times, files."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from dispatcher.errors import Misconfigured

_UNITS = {
    **dict.fromkeys(("", "s", "sec", "second"), 1),
    **dict.fromkeys(("m", "min", "minute"), 60),
    **dict.fromkeys(("h", "hr", "hour"), 3_600),
    **dict.fromkeys(("d", "day"), 86_400),
    **dict.fromkeys(("w", "week"), 604_800),
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*(?:,|and)?", re.IGNORECASE)


def pairs(given: Iterable[str], option: str) -> dict[str, Any]:
    """`k=v` each; a value that is JSON is taken as that, any other as text."""
    found: dict[str, Any] = {}
    for item in given:
        key, equals, text = item.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{item!r} is no key=value", param_hint=option)
        try:
            found[key] = json.loads(text, parse_constant=_no_constant)
        except ValueError:
            found[key] = text
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def json_object(text: str, option: str) -> dict[str, Any]:
    """JSON, or `-` for what comes in on stdin."""
    said = sys.stdin.read() if text == "-" else text
    try:
        value = json.loads(said)
    except ValueError as exc:
        raise typer.BadParameter(f"it is not JSON: {exc}", param_hint=option) from exc
    if not isinstance(value, dict):
        raise typer.BadParameter("it must be a JSON object", param_hint=option)
    return value


def seconds(text: str, option: str) -> float:
    """`90`, `10 minutes`, `1h30m`, `2 days`."""
    total, position = 0.0, 0
    for part in _PART.finditer(text):
        unit = part[2].lower()
        size = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
        if part.start() != position or size is None:
            break
        total, position = total + float(part[1]) * size, part.end()
    if not text.strip() or position != len(text):
        raise typer.BadParameter(f"{text!r} is no duration; write 90, 10m, '2 hours' or 1h30m", param_hint=option)
    return total


def instant(text: str, option: str) -> datetime:
    """An ISO date or time; without an offset it is local time."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as exc:
        example = "write it as 2026-01-31T09:00:00Z or '2026-01-31 09:00'"
        raise typer.BadParameter(f"{text!r} is no time; {example}", param_hint=option) from exc
    return at.astimezone(UTC)


def start_time(start_in: str | None, start_at: str | None) -> str | None:
    if start_in is not None and start_at is not None:
        raise typer.BadParameter("give one of --start-in and --start-at", param_hint="--start-in")
    if start_in is not None:
        return (datetime.now(UTC) + timedelta(seconds=seconds(start_in, "--start-in"))).isoformat()
    return instant(start_at, "--start-at").isoformat() if start_at is not None else None


def template(path: Path) -> dict[str, Any]:
    """A base job template from a JSON or YAML file. :raises FileProblems:"""
    from dispatcher.located import FileProblems, Problem, load

    found = load(path)
    if not isinstance(found.value, dict):
        raise FileProblems([Problem(found.place(()), "a base job template is a mapping with job_configuration")])
    return found.value


def write(path: Path, text: str) -> None:
    """:raises Misconfigured: it cannot be written."""
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as exc:
        raise Misconfigured(f"{path} cannot be written: {exc.strerror}") from exc
