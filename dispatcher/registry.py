"""Pool types by name, and their adapters by string: loaded on first use, so that nobody pays for another's SDK.

Third parties add a type with an entry point in the group `pushpool.infrastructure`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module, metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dispatcher.errors import AdapterUnavailable, InvalidInput
from dispatcher.ports import Infrastructure, Store, Waker

GROUP = "pushpool.infrastructure"

INFRASTRUCTURE: Mapping[str, str] = {
    "azure-container-instance:push": "adapters.infrastructure.aci:open",
    "cloud-run-v2:push": "adapters.infrastructure.cloud_run:open_v2",
    "cloud-run:push": "adapters.infrastructure.cloud_run:open_v1",
    "ecs:push": "adapters.infrastructure.ecs:open",
    "modal:push": "adapters.infrastructure.modal:open",
    "process": "adapters.infrastructure.process:open",
}

STORES: Mapping[str, str] = {
    "sqlite": "adapters.stores.sqlite:open_store",
    "dynamodb": "adapters.stores.dynamodb:open_store",
    "firestore": "adapters.stores.firestore:open_store",
}

WAKERS: Mapping[str, str] = {
    "cloudtasks": "adapters.wakers.cloud_tasks:open_waker",
    "sqs": "adapters.wakers.sqs:open_waker",
}

SECRETS: Mapping[str, str] = {
    "secretmanager": "adapters.secrets.secret_manager:open_secrets",
    "secretsmanager": "adapters.secrets.secrets_manager:open_secrets",
}

TIMERS = "adapters.wakers.timers:Timers"
NEIGHBOURS = "adapters.wakers.neighbours:Neighbours"


def pool_types() -> list[str]:
    return sorted({*INFRASTRUCTURE, *(entry.name for entry in metadata.entry_points(group=GROUP))})


def check_type(kind: str) -> None:
    """:raises InvalidInput: nothing of that name."""
    if kind not in INFRASTRUCTURE and kind not in pool_types():
        raise InvalidInput(f"pool type {kind!r} is unknown; there are: {', '.join(pool_types())}", path="type")


def infrastructure(kind: str, settings: Mapping[str, str]) -> Infrastructure:
    """:raises AdapterUnavailable: unknown, or its extra is not installed."""
    opener: Callable[[Mapping[str, str]], Infrastructure] = load(kind, INFRASTRUCTURE.get(kind))
    return opener(settings)


def store(url: str) -> Store:
    """`sqlite:///path`. :raises AdapterUnavailable: another scheme, or its extra is not installed."""
    scheme, _, path = url.partition("://")
    if scheme not in STORES:
        known = ", ".join(f"{name}://…" for name in STORES)
        raise AdapterUnavailable(f"PUSHPOOL_STORE is {url!r}; there are: {known}")
    opener: Callable[[str], Store] = load(scheme, STORES[scheme])
    return opener(path)


def waker(address: str) -> Waker:
    """`sqs:https://queue`, `cloudtasks:projects/…`.

    :raises AdapterUnavailable: another scheme, or its extra is not installed.
    """
    scheme, _, rest = address.partition(":")
    if scheme not in WAKERS:
        raise AdapterUnavailable(f"PUSHPOOL_WAKER is {address!r}; there are: {', '.join(f'{s}:…' for s in WAKERS)}")
    opener: Callable[[str], Waker] = load(scheme, WAKERS[scheme])
    return opener(rest)


def secrets(address: str) -> Callable[[str], str]:
    """`secretsmanager://prefix`. :raises AdapterUnavailable: another scheme, or its extra is not installed."""
    scheme, _, prefix = address.partition("://")
    if scheme not in SECRETS:
        raise AdapterUnavailable(
            f"PUSHPOOL_SECRETS is {address!r}; there are: {', '.join(f'{s}://…' for s in SECRETS)}"
        )
    opener: Callable[[str], Callable[[str], str]] = load(scheme, SECRETS[scheme])
    return opener(prefix)


def load(kind: str, where: str | None) -> Any:
    """What `module:name` names, or else the entry point of that kind. :raises AdapterUnavailable: neither."""
    try:
        if where is not None:
            module, _, name = where.partition(":")
            return getattr(import_module(module), name)
        for entry in metadata.entry_points(group=GROUP, name=kind):
            return entry.load()
    except ImportError as exc:
        raise AdapterUnavailable(
            f"{kind!r} needs {exc.name or where}: install its extra, as README says; {_found()}"
        ) from exc
    raise AdapterUnavailable(f"pool type {kind!r} is unknown; there are: {', '.join(pool_types())}")


def _found() -> str:
    """Another distribution ships a top-level `adapters` too; whose it is explains most such errors."""
    spec = find_spec("adapters")
    return f"`adapters` is {spec.origin if spec else 'missing'}"


def templates() -> dict[str, dict[str, Any]]:
    """The shipped base job template of every pool type that has one."""
    found = {}
    for kind in pool_types():
        name = f"{kind.replace(':', '-')}.json"
        for folder in (resources.files("dispatcher") / "_templates", Path(__file__).parents[1] / "templates"):
            if (file := folder / name).is_file():
                found[kind] = json.loads(file.read_text(encoding="utf-8"))
                break
    return found


def template(kind: str) -> dict[str, Any]:
    """:raises InvalidInput: unknown type, or it ships none."""
    check_type(kind)
    shipped = templates().get(kind)
    if shipped is None:
        raise InvalidInput(f"pool type {kind!r} ships no base job template; give one", path="base_job_template")
    return shipped
