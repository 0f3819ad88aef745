"""What `make prove` would find: a bug that is planted in the dispatchers shows as the broken promise that it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatcher.testing.proof.cast import SHORT
from dispatcher.testing.proof.cell import Cell, deaths
from dispatcher.testing.proof.clouds import clouds
from dispatcher.testing.proof.planted import BUGS
from dispatcher.testing.proof.stores import stores


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(tmp_path: Path, name: str) -> None:
    bug = BUGS[name]
    with stores("sqlite", tmp_path) as new_store, clouds("scripted", tmp_path) as new_far:
        cell = Cell(tmp_path, new_store, new_far, SHORT, planted=name)
        lives = deaths(cell, trouble=bug.trouble)

        assert any(bug.broken in {each.promise for each in told.breaches} for told in lives)
