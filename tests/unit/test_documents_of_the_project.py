"""What the project's own documents say is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import dispatcher
from dispatcher import registry, runner
from dispatcher.runs import MOVES

ROOT = Path(__file__).parents[2]


def test_the_chart_of_states_has_exactly_the_moves_of_the_table() -> None:
    chart = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("```mermaid")[2].partition("```")[0]
    arrows = set(re.findall(r"(\w+) --> (\w+)", chart))

    assert arrows == {(source.value, target.value) for source, target in MOVES}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "BENCHMARKS.md"])
def test_every_make_target_that_a_document_names_exists(document: str) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", (ROOT / document).read_text(encoding="utf-8")))
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert named
    assert named <= targets


@pytest.mark.parametrize("where", [*registry.INFRASTRUCTURE.values(), *registry.STORES.values(), registry.TIMERS])
def test_every_name_in_the_registry_loads(where: str) -> None:
    assert callable(registry.load(where, where))


def test_every_pool_type_ships_its_template() -> None:
    assert sorted(registry.templates()) == sorted(registry.INFRASTRUCTURE)


def test_the_version_is_the_same_wherever_it_stands() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert {dispatcher.__version__, runner.VERSION} == {project["version"]}
