"""Requests made from the OpenAPI document, right and wrong ones, against the real server and a real store.

Deterministic: the same requests every time. A failure prints the request as a curl command.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from adapters.stores.sqlite import open_store
from dispatcher.api_keys import Scope
from dispatcher.http.openapi import document
from dispatcher.http.routes import ROUTES
from dispatcher.http.server import LocalServer
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.builders import admitted, make_run
from dispatcher.tokens import RunToken

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
]
EXAMPLES = 10

schema = schemathesis.openapi.from_dict(document(ROUTES))


RUN = "6f1c1f0e-7f5b-4a44-9f0a-3c1d1c2b4a11"  # the document's example


@dataclass(frozen=True)
class Served:
    """The API on a socket, with what the document's examples name."""

    bench: ApiBench
    url: str

    def credential(self, path: str) -> str:
        """What opens an operation: a token of the run, or an admin's key."""
        if not path.startswith("/v1/callbacks"):
            return self.bench.keys[Scope.ADMIN]
        token = RunToken(RUN, 1, self.bench.clock.now() + timedelta(days=2))
        return self.bench.ring.sign(token, key_id=self.bench.ring.current)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A store of its own for each operation: what the one deletes, the next one needs."""
    bench = ApiBench(open_store(str(tmp_path / "pushpool.db")), SimpleNamespace())
    bench.with_pool().with_deployment(queue="high", schedules=[{"cron": "@daily", "slug": "daily"}])
    admitted(bench.store, make_run(id=RUN, pool="local", deployment="report"))
    server = LocalServer(bench.api, "127.0.0.1", 0)
    server.start()
    yield Served(bench, server.url)
    server.stop()


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_documented(case: Any, served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.credential(case.operation.path)}"}

    case.call_and_validate(base_url=served.url, headers=headers, checks=CHECKS)
