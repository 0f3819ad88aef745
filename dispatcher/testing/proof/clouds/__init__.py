"""Clouds to prove on: the far side of each, started once, and as many lives' parts of it as are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from dispatcher.testing.proof.far import NewFar

# By string: none pays for another's libraries.
CLOUDS = {
    "scripted": "dispatcher.testing.proof.scripted:scripted",
    "process": "dispatcher.testing.proof.clouds.process:process",
    "ecs": "dispatcher.testing.proof.clouds.ecs:ecs",
    "cloud-run": "dispatcher.testing.proof.clouds.cloud_run:cloud_run",
    "aci": "dispatcher.testing.proof.clouds.aci:aci",
    "modal": "dispatcher.testing.proof.clouds.modal:modal",
}


@contextmanager
def clouds(name: str, folder: Path) -> Iterator[NewFar]:
    """One of `CLOUDS`, started; each call of what it yields makes the far side of a new life.

    :raises Missing: :raises Broken:
    """
    folder.mkdir(parents=True, exist_ok=True)
    module, _, function = CLOUDS[name].partition(":")
    with getattr(import_module(module), function)(folder) as new:
        yield new
