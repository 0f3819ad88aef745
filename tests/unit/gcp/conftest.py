"""The functions of infra/gcp as functions-framework serves them, on an installation in memory."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dispatcher.logs import log
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.fake_cloud import FakeCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.testing.servers.google.issuer import Issuer, issuer

SOURCE = Path(__file__).parents[3] / "infra" / "gcp" / "main.py"
AUDIENCE = "https://dispatch.example"
ACCOUNT = "invoker@pushpool-test.iam.gserviceaccount.com"


@pytest.fixture(scope="session")
def issuing() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


@pytest.fixture(scope="session")
def targets() -> Iterator[Mapping[str, Any]]:
    """A client of each function, by its entry point."""
    import functions_framework

    def client(name: str) -> Any:
        with pytest.MonkeyPatch.context() as environment:
            for variable in ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE"):
                environment.setenv(variable, "")  # it sets them, and they are put back
            app = functions_framework.create_app(name, str(SOURCE))  # type: ignore[no-untyped-call] # it has no types
        return app.test_client()

    path, handlers, propagates = list(sys.path), list(log.handlers), log.propagate
    made = {name: client(name) for name in ("api", "dispatch", "events")}
    log.handlers[:], log.propagate = handlers, propagates
    yield made
    sys.path[:] = path


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench()


@pytest.fixture
def told(issuing: Issuer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets PUSHPOOL_… for the function."""

    def set_all(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(f"PUSHPOOL_{name}", value)

    set_all(OIDC_AUDIENCE=AUDIENCE, OIDC_ACCOUNTS=f"{ACCOUNT}, other@example", OIDC_CERTS_URL=issuing.certs_url)
    return set_all


@pytest.fixture(autouse=True)
def installed(
    targets: Mapping[str, Any], bench: ApiBench, told: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """The functions work with that installation."""
    parts: Any = sys.modules["gcpfunctions"].parts
    handlers, level, propagates = list(log.handlers), log.level, log.propagate
    log.handlers[:], log.propagate = [caplog.handler], False  # so that each line is there once
    log.setLevel(logging.DEBUG)
    parts.use(bench.context)
    yield
    parts.dispatcher().close()
    log.handlers[:] = handlers
    log.setLevel(level)
    log.propagate = propagates


@pytest.fixture
def far(bench: ApiBench, tmp_path: Path) -> Iterator[FarSide]:
    """A cloud for the pools `left` and `right`, each with a run that is due."""
    made = FarSide(tmp_path / "far.db", now=bench.clock.now)
    bench.infrastructure = FakeCloud(made)
    for pool in ("left", "right"):
        bench.with_pool(pool).with_deployment(f"of-{pool}", pool=pool).new_run(f"of-{pool}")
    yield made
    made.close()


@pytest.fixture
def push(targets: Mapping[str, Any], issuing: Issuer) -> Callable[..., int]:
    """The status that a push to a function is answered with; the answer never says more."""

    def pushed(target: str, body: Any = b"", **how: Any) -> int:
        token = how.pop("token", None) or issuing.token(audience=AUDIENCE, email=ACCOUNT)
        headers = how.pop("headers", {"Authorization": f"Bearer {token}"})
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        answer = targets[target].post("/", headers=headers, **sent)
        assert answer.data == b""
        return int(answer.status_code)

    return pushed
