"""The side door: what no client of AWS can ask for, under /_pushpool/ on the emulator's own port."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tests.servers.ecs.answers import Json
from tests.servers.ecs.news import Mode
from tests.servers.ecs.service import Service

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Json]]
Send = Callable[[Json], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX = "/_pushpool/"


def beside(app: App, service: Service) -> App:
    """`app`, and the side door."""
    orders = _orders(service)

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await app(scope, receive, send)
            return
        status, answer = _done(orders, scope["path"].removeprefix(PREFIX), await _body(receive))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    return both


def _orders(service: Service) -> dict[str, Callable[[Json], Any]]:
    def events(order: Json) -> list[Json]:
        if "mode" in order:
            service.news.mode = Mode(order["mode"])
        return service.news.told()

    return {
        "fail-next-run-task": lambda order: service.faults.plan(order["kind"], order.get("times", 1)),
        "forget-faults": lambda _: service.faults.forget(),
        "run-task-requests": lambda _: service.requests,
        "interrupt": lambda order: service.life(order["task"]).stop(
            "SpotInterruption", "Your Spot Task was interrupted."
        ),
        "kill": lambda order: service.life(order["task"]).kill(),
        "forget": lambda order: service.forget(order["task"]),
        "events": events,
        "release-events": lambda order: service.news.release(backwards=order.get("backwards", False)),
    }


def _done(orders: dict[str, Callable[[Json], Any]], name: str, order: Json) -> tuple[int, Any]:
    try:
        return 200, orders[name](order)
    except (KeyError, ValueError) as exc:
        return 400, {"error": f"{name}: {exc!r}"}


async def _body(receive: Receive) -> Json:
    whole, more = b"", True
    while more:
        part = await receive()
        whole, more = whole + part.get("body", b""), part.get("more_body", False)
    order: Json = json.loads(whole or b"{}")
    return order
