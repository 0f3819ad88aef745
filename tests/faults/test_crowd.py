"""Many dispatchers at once on one pool, some of them killed: no limit is exceeded, and no run starts twice."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from dispatcher.errors import AdmissionRefused
from dispatcher.ports import ActiveEntry, Admission, Store
from dispatcher.runs import Name, Slot
from dispatcher.testing.proof import crowd
from dispatcher.testing.proof.crowd import Crowd
from dispatcher.testing.proof.crowd.figures import Course, Peak
from dispatcher.testing.proof.crowd.meeting import meet
from dispatcher.testing.proof.stores import StoreAt, dynamodb_at, firestore_at

GOOD = Crowd(
    course=Course("sqlite", processes=4, runs=2, seconds=5.0, deaths=1, fell=()),
    peaks=(Peak("the pool", 7, 7),),
    ended={Name.COMPLETED: 2},
    ended_again=(),
    containers={"a": 1, "b": 1},
    slots_left=(),
    made=10,
    wasted={"admit AdmissionRefused": 2},
    troubles={},
)


@pytest.fixture(autouse=True)
def _environment_of_the_store_goes_with_the_test() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


class Wrapped:
    """A store that others change something of."""

    def __init__(self, behind: Store) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


class OfOneProcess(Wrapped):
    """Each process counts for itself: its slots have names of their own, and it sees no others."""

    def admit(self, admissions: Sequence[Admission]) -> None:
        self._behind.admit([replace(each, after=self._renamed(each)) for each in admissions])

    def _renamed(self, admission: Admission) -> Any:
        slots = tuple(Slot(slot.limit, f"{slot.name}-{os.getpid()}") for slot in admission.after.slots)
        return replace(admission.after, slots=slots)

    def active(self, pool: str) -> Sequence[ActiveEntry]:
        return [entry for entry in self._behind.active(pool) if entry.slot.name.endswith(f"-{os.getpid()}")]


class Headstrong(Wrapped):
    """Takes no refusal for an answer."""

    def admit(self, admissions: Sequence[Admission]) -> None:
        with suppress(AdmissionRefused):
            self._behind.admit(admissions)


@dataclass(frozen=True)
class Through:
    """That store through that wrapper, in any process."""

    at: StoreAt
    wrapper: type[Wrapped]

    def open(self) -> Store:
        return cast("Store", self.wrapper(self.at.open()))


def held(figures: Crowd, runs: int) -> bool:
    """The promises were held, and put to the test."""
    pool = figures.peaks[0]
    assert figures.broken() == []
    assert pool.highest == pool.limit
    assert figures.ended == {Name.COMPLETED: runs}
    assert len(figures.containers) == runs
    assert figures.made > 3 * runs  # it is admitted, its handle recorded, it runs and ends
    assert figures.course.deaths
    return True


def test_a_crowd_on_sqlite_exceeds_no_limit_and_starts_no_run_twice(tmp_path: Path) -> None:
    assert held(crowd.run("sqlite", processes=4, runs=100, folder=tmp_path), 100)


def test_a_crowd_on_dynamodb_exceeds_no_limit_and_starts_no_run_twice(dynamodb: Any, tmp_path: Path) -> None:
    at = dynamodb_at(dynamodb.meta.endpoint_url)()

    assert held(meet(at, "dynamodb", processes=4, runs=40, folder=tmp_path), 40)


def test_a_crowd_on_firestore_exceeds_no_limit_and_starts_no_run_twice(firestore_emulator: str, tmp_path: Path) -> None:
    at = firestore_at(firestore_emulator)()

    assert held(meet(at, "firestore", processes=3, runs=30, folder=tmp_path), 30)


@pytest.mark.parametrize(
    ("wrapper", "sentence"),
    [(OfOneProcess, "containers of the pool ran at once, and its limit is 7"), (Headstrong, "started more than once")],
)
def test_a_store_that_decides_nothing_is_found(wrapper: type[Wrapped], sentence: str, tmp_path: Path) -> None:
    at = Through(StoreAt(f"sqlite://{tmp_path / 'store.db'}"), wrapper)

    figures = meet(at, "sqlite", processes=4, runs=60, folder=tmp_path)

    assert any(sentence in each for each in figures.broken()), figures.broken()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"peaks": (Peak("queue 'low'", 2, 3),)}, "3 containers of queue 'low' ran at once, and its limit is 2"),
        ({"containers": {"a": 2, "b": 1}}, "1 runs were started more than once: a"),
        ({"containers": {"a": 0, "b": 1}}, "1 runs were never started: a"),
        ({"ended": {Name.COMPLETED: 1, Name.CRASHED: 1}}, "1 of 2 runs are COMPLETED: 1 Completed, 1 Crashed"),
        ({"ended_again": ("b",)}, "1 runs ended more than once: b"),
        (
            {"course": replace(GOOD.course, fell=(1,))},
            "1 dispatchers ended by themselves, with exit codes 1",
        ),
        ({"slots_left": ("pool/crowd/0 of a",)}, "1 slots are held by nobody who runs: pool/crowd/0 of a"),
    ],
)
def test_what_is_broken_is_said(changes: dict[str, Any], sentence: str) -> None:
    assert GOOD.broken() == []
    assert replace(GOOD, **changes).broken() == [sentence]
