"""Jobs for Cloud Run, and an adapter that has no need of Google."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from adapters.infrastructure import cloud_run
from dispatcher.ports import Job

Json = dict[str, Any]

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"


@pytest.fixture(autouse=True)
def _project(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ambient one; whoever wanted credentials would not get any."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "team-data")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent")


@pytest.fixture
def adapter() -> cloud_run.CloudRun:
    return cloud_run.open_v2({})


def skeleton(task: Json | None = None, container: Json | None = None, **configuration: Any) -> Json:
    """A resolved configuration that a job can be made of; top-level keys are replaced."""
    made = {"containers": [{"image": "registry/etl:1", **(container or {})}], **(task or {})}
    return {
        "command": "python -m etl",
        "env": {},
        "labels": {},
        "name": None,
        "region": "europe-west1",
        "job_body": {"template": {"template": made}},
        **configuration,
    }


@pytest.fixture
def make_job() -> Callable[..., Job]:
    def made(
        configuration: Mapping[str, Any] | None = None,
        *,
        attempt: int = 1,
        submit_seq: int = 1,
        pool: str = "nightly",
        timeout_seconds: int | None = None,
        environment: Mapping[str, str] | None = None,
        **keys: Any,
    ) -> Job:
        return Job(
            pool=pool,
            run_id=RUN,
            run_name="brisk-otter",
            deployment="etl/daily",
            attempt=attempt,
            submit_seq=submit_seq,
            configuration=skeleton(**keys) if configuration is None else configuration,
            environment={"PUSHPOOL_RUN_ID": RUN, "PUSHPOOL_ATTEMPT": str(attempt), **(environment or {})},
            timeout_seconds=timeout_seconds,
        )

    return made


@pytest.fixture
def body(adapter: cloud_run.CloudRun, make_job: Callable[..., Job]) -> Callable[..., Json]:
    """The request's body for those keys of the configuration."""
    return lambda **keys: dict(adapter.request(make_job(**keys)).body)


@pytest.fixture
def task(body: Callable[..., Json]) -> Callable[..., Json]:
    """The task that CreateJob is asked for."""

    def made(**keys: Any) -> Json:
        found: Json = body(**keys)["create_job"]["job"]["template"]["template"]
        return found

    return made


@pytest.fixture
def container(task: Callable[..., Json]) -> Callable[..., Json]:
    def made(**keys: Any) -> Json:
        found: Json = task(**keys)["containers"][0]
        return found

    return made
