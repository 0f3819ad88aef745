"""Stores to prove on: a server each, and as many empty stores in it as are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from dispatcher import registry
from dispatcher.ports import Store
from dispatcher.testing.servers.dynamodb_local import ENVIRONMENT, dynamodb_local
from dispatcher.testing.servers.firestore import firestore_emulator


@dataclass(frozen=True, slots=True)
class StoreAt:
    """Where a store is, for any process: its address, and what leads its client there."""

    url: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def open(self) -> Store:
        """Connected anew. What it needs is set in this process's environment for good."""
        os.environ.update(self.environment)
        return registry.store(self.url)


NewStore: TypeAlias = Callable[[], StoreAt]


@contextmanager
def sqlite(folder: Path) -> Iterator[NewStore]:
    numbers = count(1)
    yield lambda: StoreAt(f"sqlite://{folder / f'store-{next(numbers)}.db'}")


@contextmanager
def dynamodb(folder: Path) -> Iterator[NewStore]:
    """:raises Missing: :raises Broken:"""
    with dynamodb_local(folder) as endpoint:
        yield dynamodb_at(endpoint)


def dynamodb_at(endpoint: str) -> NewStore:
    """New stores in a DynamoDB Local that is there, each a table of its own."""
    environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL_DYNAMODB": endpoint}

    def new() -> StoreAt:
        os.environ.update(environment)
        client = registry.load("aws", "adapters.aws:client")("dynamodb")
        name = _new_name()
        registry.load("dynamodb", "adapters.stores.dynamodb.table:create_table")(client, name, expiry=False)
        client.close()
        return StoreAt(f"dynamodb://{name}", environment)

    return new


@contextmanager
def firestore(folder: Path) -> Iterator[NewStore]:
    """:raises Missing: :raises Broken:"""
    with firestore_emulator(folder) as host:
        yield firestore_at(host)


def firestore_at(host: str) -> NewStore:
    """New stores in an emulator that is there, each a project of its own: it comes to be by being named."""
    environment = {"FIRESTORE_EMULATOR_HOST": host}
    return lambda: StoreAt(f"firestore://{_new_name()}", environment)


def _new_name() -> str:
    return f"pushpool-{uuid4().hex[:16]}"


STORES = {"sqlite": sqlite, "dynamodb": dynamodb, "firestore": firestore}


@contextmanager
def stores(name: str, folder: Path) -> Iterator[NewStore]:
    """One of `STORES`, its server started; each call of what it yields makes an empty store.

    :raises Missing: :raises Broken:
    """
    folder.mkdir(parents=True, exist_ok=True)
    with STORES[name](folder) as new:
        yield new
