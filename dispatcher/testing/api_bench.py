"""The API on a store in memory, with a key of each scope: for tests of routes, without a server.

Every answer is compared with the OpenAPI document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dispatcher import api_keys
from dispatcher.api_keys import Scope
from dispatcher.context import Context
from dispatcher.http.api import Api
from dispatcher.http.messages import JSON, Request
from dispatcher.ports import Infrastructure, Store
from dispatcher.testing.api_conformance import check_conforms
from dispatcher.testing.clock import HandClock
from dispatcher.testing.memory import MemoryStore
from dispatcher.tokens import KeyRing

TEMPLATE: Mapping[str, Any] = {
    "strict": True,
    "job_configuration": {"command": "{{ command }}", "env": "{{ env }}", "password": "{{ password }}"},
    "variables": {
        "type": "object",
        "properties": {
            "command": {"type": ["array", "string"], "items": {"type": "string"}},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "password": {"type": "string", "x-secret": True},
            "region": {"type": "string", "default": "eu", "x-locked": True},
        },
    },
}


@dataclass(slots=True)
class NotedWaker:
    """Remembers which pools were asked for."""

    wakes: list[tuple[str, datetime | None]] = field(default_factory=list)

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None:  # noqa: ARG002
        self.wakes.append((pool, at))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, its body read as JSON if it is."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def faults(self) -> dict[str, str]:
        """Path → reason of a problem's errors."""
        return {fault["path"]: fault["reason"] for fault in self.json["errors"]}


class ApiBench:
    """`call` is one request; by default with an admin's key."""

    def __init__(self, store: Store | None = None, infrastructure: Infrastructure | None = None) -> None:
        self.clock = HandClock()
        self.store: Store = MemoryStore() if store is None else store
        self.waker = NotedWaker()
        self.ring = KeyRing.generate()
        self.infrastructure = infrastructure
        self.context = Context(
            self.store, self._infrastructure, self.waker, self.ring, self.clock, "http://127.0.0.1:4280"
        )
        self.api = Api(self.context)
        self.keys = {scope: self.new_key(scope) for scope in Scope}

    def _infrastructure(self, kind: str) -> Infrastructure:
        assert self.infrastructure is not None, f"no infrastructure was given for {kind}"
        return self.infrastructure

    def new_key(self, scope: Scope, expires: datetime | None = None) -> str:
        return api_keys.create(self.store, f"test-{scope}", scope, now=self.clock.now(), expires=expires)[1]

    def call(
        self,
        method: str,
        path: str,
        sent: Any = None,
        *,
        query: str = "",
        key: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`sent` is bytes, or what JSON is made of. `key`: empty is an admin's, None sends none."""
        body = b"" if sent is None else sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        said = {"content-type": JSON} if body else {}
        presented = self.keys[Scope.ADMIN] if key == "" else key
        if presented is not None:
            said["authorization"] = f"Bearer {presented}"
        response = self.api.answer(Request(method, path, query, {**said, **(headers or {})}, body))
        check_conforms(method, path, response)
        return Answer(response.status, response.headers, response.body)

    def with_pool(self, name: str = "local", **fields: Any) -> ApiBench:
        form = {"type": "process", "base_job_template": TEMPLATE, **fields}
        answer = self.call("PUT", f"/v1/work-pools/{name}", form)
        assert answer.status in {200, 201}, answer.body
        return self

    def with_deployment(self, name: str = "report", **fields: Any) -> ApiBench:
        answer = self.call("PUT", f"/v1/deployments/{name}", {"pool": "local", "command": ["true"], **fields})
        assert answer.status in {200, 201}, answer.body
        return self

    def new_run(self, deployment: str = "report", **fields: Any) -> dict[str, Any]:
        answer = self.call("POST", f"/v1/deployments/{deployment}/runs", fields)
        assert answer.status == 201, answer.body
        run: dict[str, Any] = answer.json
        return run

    def contents(self) -> str:
        """All that is stored, to be compared with itself."""
        assert isinstance(self.store, MemoryStore), "only the store in memory shows all that it holds"
        return repr(self.store._data)  # noqa: SLF001 - what no part of a Store tells
