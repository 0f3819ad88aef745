"""A part of `make prove`: dispatchers are killed before and after every call of a life, and the promises hold."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dispatcher.testing.proof.cast import SHORT, WHOLE
from dispatcher.testing.proof.cell import Cell, Told, deaths
from dispatcher.testing.proof.clouds import clouds
from dispatcher.testing.proof.clouds.ecs import ecs_in
from dispatcher.testing.proof.stores import NewStore, dynamodb_at, firestore_at, stores
from dispatcher.testing.proof.trouble import EVENTS, FAULTS
from dispatcher.testing.servers.aws_account import AwsAccount

PARTS = 3  # of the steps, so that several processes can share them
ONE = ("flaky", "slow")  # a run that fails and is tried again, and one that is cancelled
TROUBLES = (*FAULTS, *EVENTS)


@pytest.fixture(autouse=True)
def _environment_as_before() -> Iterator[None]:
    """A proof sets what its clients are led by."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def a_cell(opened: ExitStack, folder: Path, new_store: NewStore, cloud: str, roles: Sequence[str]) -> Cell:
    return Cell(folder, new_store, opened.enter_context(clouds(cloud, folder)), roles)


def judged(lives: Iterator[Told]) -> list[Told]:
    """Each life, all promises kept; the first is the one in which no call went wrong."""
    told = []
    for each in lives:
        assert (str(each.plan), each.tripped, each.breaches) == (str(each.plan), each.tripped, [])
        told.append(each)
    tripped = [each.tripped for each in told[1:] if each.tripped is not None]
    assert len(tripped) >= len(told[1:]) // 2  # lives differ in length, for two race in each
    return told


@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_step_breaks_no_promise_on_sqlite(opened: ExitStack, tmp_path: Path, part: int) -> None:
    cell = a_cell(opened, tmp_path, opened.enter_context(stores("sqlite", tmp_path)), "scripted", SHORT)

    passed = {step for told in judged(deaths(cell, every=PARTS, first=part)) for step in told.steps}

    assert {"before admit", "after submit", "after move"} <= passed


def test_whatever_befalls_a_container_a_death_breaks_no_promise(opened: ExitStack, tmp_path: Path) -> None:
    cell = a_cell(opened, tmp_path, opened.enter_context(stores("sqlite", tmp_path)), "scripted", WHOLE)

    assert judged(deaths(cell, every=14))[0].started > 10


@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_step_breaks_no_promise_on_dynamodb(
    opened: ExitStack, tmp_path: Path, dynamodb: Any, part: int
) -> None:
    cell = a_cell(opened, tmp_path, dynamodb_at(dynamodb.meta.endpoint_url), "scripted", ONE)

    assert judged(deaths(cell, every=PARTS, first=part))[0].started >= 2


@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_step_breaks_no_promise_on_firestore(
    opened: ExitStack, tmp_path: Path, firestore_emulator: str, part: int
) -> None:
    cell = a_cell(opened, tmp_path, firestore_at(firestore_emulator), "scripted", ONE)

    assert judged(deaths(cell, every=PARTS, first=part))[0].started >= 2


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_death_in_trouble_breaks_no_promise(opened: ExitStack, tmp_path: Path, trouble: str) -> None:
    cell = a_cell(opened, tmp_path, opened.enter_context(stores("sqlite", tmp_path)), "scripted", SHORT)

    assert set(cell.troubles()) == set(TROUBLES)
    judged(deaths(cell, trouble=trouble, every=20))


def test_a_call_that_is_not_answered_breaks_no_promise(opened: ExitStack, tmp_path: Path) -> None:
    cell = a_cell(opened, tmp_path, opened.enter_context(stores("sqlite", tmp_path)), "scripted", SHORT)

    judged(deaths(cell, how="unheard", every=6))


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("cloud", ["process", "cloud-run", "aci", "modal"])
def test_a_death_at_any_step_breaks_no_promise_on(opened: ExitStack, tmp_path: Path, cloud: str, part: int) -> None:
    cell = a_cell(opened, tmp_path, opened.enter_context(stores("sqlite", tmp_path)), cloud, ONE)

    told = judged(deaths(cell, every=PARTS, first=part))

    assert told[0].started >= 2  # what is cancelled before it has started counts for none
    assert "after submit" in {step for each in told for step in each.steps}


@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_step_breaks_no_promise_on_ecs(
    opened: ExitStack, tmp_path: Path, aws_account: AwsAccount, part: int
) -> None:
    new_store = opened.enter_context(stores("sqlite", tmp_path))
    cell = Cell(tmp_path, new_store, ecs_in(aws_account), ONE)

    assert judged(deaths(cell, every=PARTS, first=part))[0].started >= 2
