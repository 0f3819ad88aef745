"""How answers look to people: tables, times, states. No colours where nobody would see them, or NO_COLOR is set."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 240  # where nobody looks, a table is cut by nobody
COLOURS: Mapping[str, str] = {
    "COMPLETED": "green",
    "RUNNING": "cyan",
    "PENDING": "cyan",
    "CANCELLING": "yellow",
    "CANCELLED": "yellow",
    "FAILED": "red",
    "CRASHED": "red",
    "READY": "green",
    "NOT_READY": "yellow",
    "PAUSED": "yellow",
}
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else WIDE
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def table(*columns: str, title: str | None = None) -> Table:
    """Where the terminal is narrow words are folded, and ids stay whole."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold", no_wrap=column in ("Id", "Run"))
    return shown


def rows(shown: Table, found: Iterable[Sequence[Any]], *, empty: str) -> Table | str:
    """`shown` with a row for each, or the words for none."""
    any_found = False
    for row in found:
        any_found = True
        shown.add_row(*(cell if isinstance(cell, Text) else Text(_plain(cell)) for cell in row))
    return shown if any_found else empty


def details(pairs: Iterable[tuple[str, Any]]) -> Table:
    """One thing: name and value, line by line. What is None or empty is left out."""
    shown = Table.grid(padding=(0, 2))
    for name, value in pairs:
        if value is None or value in ("", [], {}):
            continue
        cell = value if isinstance(value, Text) else Text(_plain(value), overflow="fold")
        shown.add_row(Text(name, style="bold"), cell)
    return shown


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def state(type_: str, name: str) -> Text:
    colour = "red" if name == "Late" else COLOURS.get(type_, "")
    return Text(name, style=colour)


def status(word: str) -> Text:
    return Text(word, style=COLOURS.get(word, ""))


def limit(number: int | None) -> str:
    return "none" if number is None else str(number)


def when(text: str | None, now: datetime | None = None) -> str:
    """`in 3 min (05:20:31 UTC)`, with the date if that is not today's."""
    if text is None:
        return ""
    at, now = datetime.fromisoformat(text).astimezone(UTC), now or datetime.now(UTC)
    date = "" if at.date() == now.date() else f"{at:%Y-%m-%d} "
    return f"{relative(at, now)} ({date}{at:%H:%M:%S} UTC)"


def relative(at: datetime, now: datetime) -> str:
    seconds = round((at - now).total_seconds())
    if seconds == 0:
        return "now"
    return f"in {spoken(seconds)}" if seconds > 0 else f"{spoken(-seconds)} ago"


def spoken(seconds: float) -> str:
    """The largest unit alone, and the next one where the number is small: `1 h 5 min`, `3 d`, `0.4 s`."""
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    left = round(seconds)
    for position, (size, unit) in enumerate(_UNITS):
        number, rest = divmod(left, size)
        if not number:
            continue
        if position + 1 < len(_UNITS) and number < 5:
            next_size, next_unit = _UNITS[position + 1]
            if rest // next_size:
                return f"{number} {unit} {rest // next_size} {next_unit}"
        return f"{number} {unit}"
    return "0 s"


def took(started: str | None, ended: str | None) -> str:
    if started is None or ended is None:
        return ""
    return spoken((datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds())
