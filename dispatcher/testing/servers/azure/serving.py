"""A subscription with its API on a port of this machine, and the test's hand on both."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from dispatcher.testing.servers.azure import door, routes, theirs
from dispatcher.testing.servers.azure.containers import EVICTED, OUT_OF_MEMORY, View
from dispatcher.testing.servers.azure.life import Group, environment
from dispatcher.testing.servers.azure.refusals import NoAnswer
from dispatcher.testing.servers.azure.routes import Answer
from dispatcher.testing.servers.azure.subscription import Manner, Subscription
from dispatcher.testing.servers.azure.theirs import Json
from dispatcher.testing.servers.cloud_run.faults import Hold
from dispatcher.testing.servers.loopback import Silent, serving

IMAGE = "pushpool-test/python:1"
REGION, RESOURCE_GROUP = "westeurope", "pushpool"


class AzureApi:
    """The test's hand on the API of one subscription. `image` is the one image there is; `pushpool-run` is on its PATH.

    A container group is told by its name or by its id.
    """

    image, region, resource_group = IMAGE, REGION, RESOURCE_GROUP

    def __init__(self, subscription: Subscription, endpoint: str) -> None:
        self.subscription, self.endpoint = subscription, endpoint

    def environment(self) -> dict[str, str]:
        """What leads an adapter here."""
        return {"PUSHPOOL_AZURE_EMULATOR": self.endpoint, "AZURE_SUBSCRIPTION_ID": self.subscription.id}

    def client(self) -> Any:
        """Azure's own, which makes each call once."""
        return theirs.client(self.endpoint, self.subscription.id)

    def fail_next(self, kind: str, *, call: str = "CreateOrUpdate", times: int = 1) -> None:
        """The next of these calls, whoever makes them, meet with that, one of `faults.Fault`. :raises ValueError:"""
        self.subscription.ordered.plan(call, kind, times)

    def forget_faults(self) -> None:
        """What was planned and has not happened yet does not happen; all but the grace is as it was at first."""
        self.subscription.ordered.forget()
        self.subscription.manner = Manner(grace_seconds=self.subscription.manner.grace_seconds)

    def behave(self, **changes: Any) -> None:
        """From now on, these of `subscription.Manner`."""
        self.subscription.behave(**changes)

    @contextmanager
    def creations_held(self, *, until_seen: bool = False) -> Iterator[None]:
        """What is created while the block lasts stays so until its end, or until somebody has looked at a group."""
        self.subscription.creating.clear()
        self.subscription.creates_when_seen = until_seen
        try:
            yield
        finally:
            self.subscription.creates_when_seen = False
            self.subscription.creating.set()

    @contextmanager
    def replies_held(self, call: str = "CreateOrUpdate") -> Iterator[threading.Event]:
        """Such calls are done, and not answered before the block ends; the event is set as soon as one waits."""
        hold = self.subscription.holds[call] = Hold()
        try:
            yield hold.reached
        finally:
            del self.subscription.holds[call]
            hold.released.set()

    def requests(self, name: str = "") -> list[Json]:
        """Bodies of each CreateOrUpdate so far, of one group or all, those that were refused too."""
        with self.subscription.changing:
            return [body for each, body in self.subscription.requests if name in ("", each)]

    def calls(self) -> dict[str, int]:
        """How often each call was made, as in CreateOrUpdate; those that were refused too."""
        with self.subscription.changing:
            return dict(self.subscription.calls)

    def started(self, run_id: str) -> list[str]:
        """Of each container that was really started for that run, its group's name."""
        with self.subscription.changing:
            return [name for name, told in self.subscription.started if told.get("PUSHPOOL_RUN_ID") == run_id]

    def groups(self) -> list[str]:
        """Names of those that are there."""
        with self.subscription.changing:
            return [group.name for group in self.subscription.groups.values()]

    def capacity_returns(self, region: str = REGION) -> list[str]:
        """What failed for want of it and was not deleted starts after all; its names."""
        return self.subscription.capacity_returns(region)

    def kill(self, group: str) -> None:
        """As happens when its memory runs out."""
        self._kill(group, OUT_OF_MEMORY)

    def evict(self, group: str) -> None:
        """As happens to a Spot group: it is started again elsewhere."""
        self._kill(group, EVICTED)

    def delete(self, group: str) -> None:
        """As somebody does by hand; it is gone when this returns."""
        with self.subscription.changing:
            found = self._group(group)
            found.delete()
        until = time.monotonic() + 30
        while found.name in self.groups() and time.monotonic() < until:
            with self.subscription.changing:
                found.looked()
            time.sleep(0.005)

    def log(self, group: str) -> str:
        """All that its containers have written."""
        found = self._group(group)
        return "".join(found.deployment.log(view.name) for view in found.views) if found.deployment else ""

    def containers(self, group: str) -> list[View]:
        """What Azure knows of each of its containers; it goes on changing."""
        return self._group(group).views

    def environment_of(self, group: str) -> dict[str, str]:
        """What its first container is told, the token too: with it a test speaks as the container."""
        return environment(self._group(group).body["properties"]["containers"][0])

    def _kill(self, group: str, why: str) -> None:
        deployment = self._group(group).deployment
        assert deployment is not None, f"{group} was never deployed"
        deployment.kill(why)

    def _group(self, group: str) -> Group:
        name = group.rpartition("/")[2].lower()
        with self.subscription.changing:
            return next(each for each in self.subscription.groups.values() if each.name.lower() == name)


@contextmanager
def azure(folder: Path, *, port: int = 0, **options: Any) -> Iterator[AzureApi]:
    """The API of a subscription while the block lasts; what its containers write is in `folder`.

    `options`: Subscription's.
    """
    subscription = Subscription(folder, **{"images": {IMAGE: []}, **options})
    hands: list[AzureApi] = []

    class Handler(Silent, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path.startswith(door.PREFIX):
                self._send(door.answer(hands[0], self.path, content))
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                self._send(routes.answer(subscription, self.command, self.path, headers, content))
            except NoAnswer:
                self.close_connection = True

        do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815 - http.server calls them so

        def _send(self, found: Answer) -> None:
            content = b"" if found.body is None else json.dumps(found.body).encode()
            self.send_response(found.status)
            for name, value in {"Content-Type": "application/json", **found.headers}.items():
                self.send_header(name, value)
            if found.status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler, port) as url:
        hands.append(AzureApi(subscription, url.removeprefix("http://")))
        try:
            yield hands[0]
        finally:
            subscription.close()
