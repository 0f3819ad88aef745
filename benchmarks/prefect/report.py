"""The table: both sides' medians and spreads, and their ratio."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from benchmarks.prefect.measures import Both


class Better(Enum):
    """Which way a ratio goes."""

    LESS = "less"
    MORE = "more"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: what, both sides' samples, and in which unit."""

    what: str
    found: Both[float]
    unit: str = ""
    better: Better = Better.LESS

    def ratio(self) -> str:
        """How many times better pushpool is; below 1 it is worse."""
        theirs, ours = statistics.median(self.found.theirs), statistics.median(self.found.ours)
        if self.better is Better.NEITHER:
            return ""
        over, under = (theirs, ours) if self.better is Better.LESS else (ours, theirs)
        return f"{_short(over / under)}" if under else ""

    def cells(self) -> tuple[str, str, str, str]:
        return self.what, _told(self.found.theirs, self.unit), _told(self.found.ours, self.unit), self.ratio()


def _told(samples: Sequence[float], unit: str) -> str:
    """Median, from the least to the most, and of how many."""
    median = f"{_short(statistics.median(samples))} {unit}".rstrip()
    if len(samples) == 1:
        return median
    return f"{median} ({_short(min(samples))} to {_short(max(samples))}, n {len(samples)})"


def _short(number: float) -> str:
    if number == round(number) or abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3f}" if abs(number) < 1 else f"{number:.3g}"


def shown(title: str, figures: Iterable[Figure]) -> None:
    """As a table of Markdown, line by line as it is measured."""
    print(f"\n### {title}\n\n| what | Prefect | pushpool | ratio |\n|---|---|---|---|", flush=True)
    for figure in figures:
        print(f"| {' | '.join(figure.cells())} |", flush=True)
