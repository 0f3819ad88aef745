"""What a long time has changed, and whether that breaks a promise."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
GROWTH = 12 * MIB  # of resident memory, that says nothing: caches fill up
SLOWER = 2.0  # times, plus:
NOISE_SECONDS = 0.0005


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of one thing: the median of many times, early and at the end.

    `goes_through`: it reads all that is stored until it has found enough, so it takes longer the more there is.
    """

    what: str
    early: float
    late: float
    goes_through: bool = False

    @property
    def is_slower(self) -> bool:
        """Without being known for it."""
        return not self.goes_through and self.late > SLOWER * self.early + NOISE_SECONDS


@dataclass(frozen=True, slots=True)
class Size:
    """Of the store's file, its log written back: after so many runs."""

    runs: int
    file_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Endurance:
    """`resident`: bytes of memory at as many moments, evenly over the runs. `early` is at a tenth of them."""

    runs: int
    completed: int
    slots_left: int
    seconds: float
    resident: tuple[int, ...]
    early: Size
    late: Size
    costs: tuple[Cost, ...]

    @property
    def bytes_per_run(self) -> float:
        """Between the two looks."""
        return (self.late.file_bytes - self.early.file_bytes) / (self.late.runs - self.early.runs)

    @property
    def resident_early(self) -> float:
        """The median of the first tenth of the run."""
        return statistics.median(self.resident[: self._tenth])

    @property
    def resident_late(self) -> float:
        """The median of the last tenth."""
        return statistics.median(self.resident[-self._tenth :])

    @property
    def growth_per_1000_runs(self) -> float:
        """Bytes, by a straight line through what comes after the first tenth."""
        after = self.resident[self._tenth :]
        runs = [self.runs / len(self.resident) * number for number in range(len(after))]
        return statistics.linear_regression(runs, after).slope * 1000

    @property
    def _tenth(self) -> int:
        return max(1, len(self.resident) // 10)

    def broken(self) -> list[str]:
        """A sentence for each promise that was broken."""
        found = []
        if self.completed != self.runs:
            found.append(f"{self.completed} of {self.runs} runs are COMPLETED")
        if self.slots_left:
            found.append(f"{self.slots_left} slots are held when all is over")
        if self.resident_late - self.resident_early > GROWTH:
            early, late = _mib(self.resident_early), _mib(self.resident_late)
            found.append(f"memory grew from {early} in the first tenth of the time to {late} in the last")
        found += [
            f"{cost.what} took {_ms(cost.late)} at the end and {_ms(cost.early)} at a tenth of the runs"
            for cost in self.costs
            if cost.is_slower
        ]
        return found

    def rows(self) -> list[tuple[str, str]]:
        """What was measured, and what came out."""
        rows = [
            ("runs completed", f"{self.completed:,} in {self.seconds:.0f} s, {self.runs / self.seconds:.0f} a second"),
            ("memory, first and last tenth", f"{_mib(self.resident_early)}, {_mib(self.resident_late)}"),
            ("memory, growth by 1,000 runs", f"{self.growth_per_1000_runs / 1024:.1f} KiB"),
            ("store, by run", f"{self.bytes_per_run:,.0f} bytes, {_mib(self.late.file_bytes)} in all"),
        ]
        return rows + [
            (f"{cost.what}, early and at the end", f"{_ms(cost.early)}, {_ms(cost.late)}") for cost in self.costs
        ]


def medians(samples: Sequence[float]) -> tuple[float, float]:
    """Of the first and of the last tenth."""
    tenth = max(1, len(samples) // 10)
    return statistics.median(samples[:tenth]), statistics.median(samples[-tenth:])


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _mib(size: float) -> str:
    return f"{size / MIB:.1f} MiB"
