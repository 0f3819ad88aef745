"""Very many runs in one process: it holds no more at the end than at the beginning, and finds nothing slower."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dispatcher.ports import Job, Request
from dispatcher.testing.fake_cloud import FakeCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.proof import endurance
from dispatcher.testing.proof.endurance.figures import MIB, Cost, Endurance, Size
from dispatcher.testing.proof.endurance.running import endure

RUNS = 2000
GOOD = Endurance(
    runs=RUNS,
    completed=RUNS,
    slots_left=0,
    seconds=8.0,
    resident=(40 * MIB,) * 100,
    early=Size(200, 600_000),
    late=Size(RUNS, 6_000_000),
    costs=(Cost("finding a run", 0.001, 0.001),),
)


class Hoarder(FakeCloud):
    """Keeps something of every request, and goes through it with each."""

    def __init__(self, far: FarSide) -> None:
        super().__init__(far)
        self._kept: list[bytearray] = []

    def request(self, job: Job) -> Request:
        self._kept.append(bytearray(b"x" * 60_000))
        for kept in self._kept:
            kept.count(b"y")
        return super().request(job)


def test_many_runs_leave_memory_and_the_time_to_find_them_as_they_were(tmp_path: Path) -> None:
    figures = endurance.run(runs=RUNS, folder=tmp_path)

    assert figures.broken() == []
    assert figures.completed == figures.late.runs == RUNS
    assert 1_000 < figures.bytes_per_run < 10_000
    assert figures.resident_early > 20 * MIB
    assert all(0 < cost.early < 1 for cost in figures.costs)
    assert {"a pass, by run", "finding a run by its id"} <= {cost.what for cost in figures.costs}


def test_an_adapter_that_keeps_everything_and_goes_through_it_is_found(tmp_path: Path) -> None:
    broken = "\n".join(endure(Hoarder, runs=RUNS // 4, folder=tmp_path).broken())

    assert "memory grew" in broken
    assert "a pass, by run took" in broken


def test_what_goes_through_all_that_is_stored_may_take_longer_the_more_there_is() -> None:
    assert replace(GOOD, costs=(Cost("finding a tag", 0.001, 0.1, goes_through=True),)).broken() == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"completed": RUNS - 1}, "1999 of 2000 runs are COMPLETED"),
        ({"slots_left": 2}, "2 slots are held when all is over"),
        (
            {"costs": (Cost("finding a run", 0.001, 0.003),)},
            "finding a run took 3.00 ms at the end and 1.00 ms at a tenth of the runs",
        ),
        (
            {"resident": tuple((40 + number // 2) * MIB for number in range(100))},
            "memory grew from 42.0 MiB in the first tenth of the time to 87.0 MiB in the last",
        ),
    ],
)
def test_what_is_broken_is_said(changes: dict[str, Any], sentence: str) -> None:
    assert GOOD.broken() == []
    assert replace(GOOD, **changes).broken() == [sentence]
