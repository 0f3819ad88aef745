"""The side door: what no client of Modal can ask for, on an HTTP port of its own; `orders.order` asks it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeAlias

from dispatcher.testing.servers.loopback import Silent, serving
from dispatcher.testing.servers.modal.serving import ModalApi

Json: TypeAlias = dict[str, Any]

PREFIX = "/_pushpool/"


@contextmanager
def door(api: ModalApi, port: int = 0) -> Iterator[str]:
    """Its URL. An order is POSTed under its name, what it needs in a JSON object."""
    orders = _orders(api)

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            name = self.path.removeprefix(PREFIX)
            try:
                status, answer = 200, orders[name](json.loads(content or b"{}"))
            except (AttributeError, KeyError, TypeError, ValueError) as exc:
                status, answer = 400, {"error": f"{name}: {exc!r}"}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

    with serving(Handler, port) as url:
        yield url + PREFIX


def _orders(api: ModalApi) -> Mapping[str, Callable[[Json], Any]]:
    return {
        "fail-next": lambda order: api.fail_next(**order),
        "forget-faults": lambda _: api.forget_faults(),
        "behave": lambda order: api.behave(**_manner(order)),
        "finish-builds": lambda _: api.finish_builds(),
        "keep-secret": lambda order: api.keep_secret(**order),
        "keep-volume": lambda order: api.keep_volume(**order),
        "started": lambda order: api.started(**order),
        "live": lambda _: api.live(),
        "calls": lambda _: api.calls(),
        "kill": lambda order: api.kill(**order),
        "log": lambda order: api.log(**order),
    }


def _manner(order: Json) -> Json:
    """JSON has no sets."""
    if "gpus_of" not in order:
        return order
    return {**order, "gpus_of": {region: frozenset(gpus) for region, gpus in order["gpus_of"].items()}}
