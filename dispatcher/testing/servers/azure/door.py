"""The side door: what no client of Azure can ask for, under /_pushpool/ on the API's own port (`orders.order`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dispatcher.testing.servers.azure.regions import Size
from dispatcher.testing.servers.azure.routes import Answer
from dispatcher.testing.servers.azure.theirs import Json

if TYPE_CHECKING:
    from dispatcher.testing.servers.azure.serving import AzureApi

PREFIX = "/_pushpool/"


def answer(api: AzureApi, path: str, content: bytes) -> Answer:
    """An order is POSTed under its name, what it needs in a JSON object."""
    name = path.removeprefix(PREFIX)
    try:
        found = _orders(api)[name](json.loads(content or b"{}"))
        return Answer(200, {} if found is None else found)
    except (KeyError, TypeError, ValueError, StopIteration) as exc:
        return Answer(400, {"error": f"{name}: {exc!r}"})


def _orders(api: AzureApi) -> Mapping[str, Callable[[Json], Any]]:
    return {
        "fail-next": lambda order: api.fail_next(**order),
        "forget-faults": lambda _: api.forget_faults(),
        "behave": lambda order: api.behave(**_manner(order)),
        "capacity-returns": lambda order: api.capacity_returns(**order),
        "started": lambda order: api.started(**order),
        "groups": lambda _: api.groups(),
        "calls": lambda _: api.calls(),
        "requests": lambda order: api.requests(**order),
        "kill": lambda order: api.kill(**order),
        "evict": lambda order: api.evict(**order),
        "delete": lambda order: api.delete(**order),
        "log": lambda order: api.log(**order),
    }


def _manner(order: Json) -> Json:
    """JSON has no sets and no sizes."""
    found = dict(order)
    if "without_capacity" in found:
        found["without_capacity"] = frozenset(found["without_capacity"])
    if "sizes" in found:
        found["sizes"] = {region: Size(*size) for region, size in found["sizes"].items()}
    return found
