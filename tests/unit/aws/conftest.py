"""The functions of infra/aws, imported as they are in the zip, on an installation in memory."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dispatcher import settings
from dispatcher.context import Context
from dispatcher.logs import log
from dispatcher.testing.api_bench import ApiBench

FOLDER = Path(__file__).parents[3] / "infra" / "aws"


@pytest.fixture(scope="session")
def app() -> Iterator[ModuleType]:
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("app")
    sys.path.remove(str(FOLDER))


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench()


@pytest.fixture
def context(bench: ApiBench) -> Context:
    return bench.context


@pytest.fixture(autouse=True)
def installed(app: ModuleType, context: Context, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The functions work with that installation."""
    parts: Any = app.parts
    monkeypatch.setattr(parts, "told", settings.read)
    level = log.level
    log.setLevel(logging.DEBUG)
    parts.use(context)
    yield
    parts.dispatcher().close()
    log.setLevel(level)
