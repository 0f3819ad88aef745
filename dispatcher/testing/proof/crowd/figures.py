"""What a crowd did, and whether it broke a promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dispatcher.runs import Name


@dataclass(frozen=True, slots=True)
class Course:
    """How it went. `fell`: exit codes of processes that ended though nobody killed them."""

    store: str
    processes: int
    runs: int
    seconds: float
    deaths: int
    fell: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest number of containers that ever ran at once within a limit, by the cloud's own log."""

    what: str
    limit: int
    highest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """`containers`: how many were ever started of each run; `made`: commits; `wasted`: those that came to nothing."""

    course: Course
    peaks: tuple[Peak, ...]
    ended: Mapping[Name, int]  # by the state that the runs are in
    ended_again: tuple[str, ...]  # runs that came to their end more than once
    containers: Mapping[str, int]
    slots_left: tuple[str, ...]
    made: int
    wasted: Mapping[str, int]
    troubles: Mapping[str, int]  # what dispatchers logged from warnings on

    @property
    def share_wasted(self) -> float:
        """Of all commits."""
        wasted = sum(self.wasted.values())
        return wasted / max(1, self.made + wasted)

    def broken(self) -> list[str]:
        """A sentence for each promise that was broken."""
        found = [
            f"{peak.highest} containers of {peak.what} ran at once, and its limit is {peak.limit}"
            for peak in self.peaks
            if peak.highest > peak.limit
        ]
        if twice := [run for run, number in self.containers.items() if number > 1]:
            found.append(f"{len(twice)} runs were started more than once: {_some(twice)}")
        if never := [run for run, number in self.containers.items() if number == 0]:
            found.append(f"{len(never)} runs were never started: {_some(never)}")
        completed = self.ended.get(Name.COMPLETED, 0)
        if completed != self.course.runs:
            states = ", ".join(f"{count} {name}" for name, count in self.ended.items())
            found.append(f"{completed} of {self.course.runs} runs are COMPLETED: {states}")
        if self.ended_again:
            found.append(f"{len(self.ended_again)} runs ended more than once: {_some(self.ended_again)}")
        if self.slots_left:
            found.append(f"{len(self.slots_left)} slots are held by nobody who runs: {_some(self.slots_left)}")
        if self.course.fell:
            found.append(
                f"{len(self.course.fell)} dispatchers ended by themselves, with exit codes {_some(self.course.fell)}"
            )
        return found

    def rows(self) -> list[tuple[str, str]]:
        """What was measured, and what came out."""
        course, wasted = self.course, sum(self.wasted.values())
        rows = [
            ("runs, dispatchers", f"{course.runs:,}, {course.processes} at once; {course.deaths} were killed"),
            ("time", f"{course.seconds:.0f} s, {course.runs / course.seconds:.1f} runs a second"),
        ]
        rows += [(f"most that ran at once in {peak.what}", f"{peak.highest} of {peak.limit}") for peak in self.peaks]
        rows += [
            ("runs started more than once", str(sum(number > 1 for number in self.containers.values()))),
            ("runs completed", f"{self.ended.get(Name.COMPLETED, 0):,}"),
            ("slots left", str(len(self.slots_left))),
            ("commits", f"{self.made + wasted:,}, of which {wasted:,} came to nothing ({self.share_wasted:.0%})"),
        ]
        rows += [(f"wasted: {what}", f"{number:,}") for what, number in sorted(self.wasted.items())]
        return rows + [(f"logged: {what}", f"{number:,}") for what, number in sorted(self.troubles.items())]


def _some(items: Sequence[object]) -> str:
    return ", ".join(map(str, items[:3])) + (", …" if len(items) > 3 else "")
