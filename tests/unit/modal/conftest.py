"""Jobs for Modal, and an adapter that has no need of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from adapters.infrastructure import modal
from dispatcher.ports import Job

Json = dict[str, Any]

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"


@pytest.fixture(autouse=True)
def _nothing_ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODAL_ENVIRONMENT", raising=False)


@pytest.fixture
def adapter() -> modal.Modal:
    return modal.open({})


@pytest.fixture
def make_job() -> Callable[..., Job]:
    def made(
        configuration: Mapping[str, Any] | None = None,
        *,
        attempt: int = 1,
        submit_seq: int = 1,
        pool: str = "nightly",
        timeout_seconds: int | None = None,
        told: Mapping[str, str] | None = None,
        **keys: Any,
    ) -> Job:
        skeleton = {"image": "registry/etl:1", "command": "python -m etl", **keys}
        return Job(
            pool=pool,
            run_id=RUN,
            run_name="brisk-otter",
            deployment="etl/daily",
            attempt=attempt,
            submit_seq=submit_seq,
            configuration=skeleton if configuration is None else configuration,
            environment={"PUSHPOOL_RUN_ID": RUN, "PUSHPOOL_ATTEMPT": str(attempt), **(told or {})},
            timeout_seconds=timeout_seconds,
        )

    return made


@pytest.fixture
def body(adapter: modal.Modal, make_job: Callable[..., Job]) -> Callable[..., Json]:
    """The request's body for those keys of the configuration."""
    return lambda **keys: dict(adapter.request(make_job(**keys)).body)
