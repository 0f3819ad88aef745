"""Jobs for container instances, and an adapter that has no need of Azure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from adapters.infrastructure import aci
from dispatcher.ports import Job

Json = dict[str, Any]

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(autouse=True)
def _ambience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked would reach nobody."""
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", SUBSCRIPTION)
    monkeypatch.setenv("PUSHPOOL_AZURE_EMULATOR", "127.0.0.1:9")
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def adapter() -> Iterator[aci.AzureContainerInstances]:
    made = aci.open({})
    yield made
    made.close()


def skeleton(
    group: Json | None = None, properties: Json | None = None, container: Json | None = None, **configuration: Any
) -> Json:
    """A resolved configuration that a job can be made of; top-level keys are replaced."""
    main = {"properties": {"image": "registry.azurecr.io/etl:1", **(container or {})}}
    resource = {"properties": {"containers": [main], **(properties or {})}, **(group or {})}
    return {
        "command": "python -m etl",
        "env": {},
        "labels": {},
        "name": None,
        "resource_group_name": "jobs",
        "arm_template": {"resources": [resource]},
        **configuration,
    }


@pytest.fixture
def make_job() -> Callable[..., Job]:
    def made(
        configuration: Mapping[str, Any] | None = None,
        *,
        attempt: int = 1,
        submit_seq: int = 1,
        refusals: int = 0,
        environment: Mapping[str, str] | None = None,
        **keys: Any,
    ) -> Job:
        return Job(
            pool="nightly",
            run_id=RUN,
            run_name="brisk-otter",
            deployment="etl/daily",
            attempt=attempt,
            submit_seq=submit_seq,
            configuration=skeleton(**keys) if configuration is None else configuration,
            environment={"PUSHPOOL_RUN_ID": RUN, "PUSHPOOL_ATTEMPT": str(attempt), **(environment or {})},
            refusals=refusals,
        )

    return made


@pytest.fixture
def group(adapter: aci.AzureContainerInstances, make_job: Callable[..., Job]) -> Callable[..., Json]:
    """The container group that is PUT for those keys of the configuration."""
    return lambda **keys: dict(adapter.request(make_job(**keys)).body["containerGroup"])


@pytest.fixture
def container(group: Callable[..., Json]) -> Callable[..., Json]:
    """What its main container has."""

    def made(**keys: Any) -> Json:
        found: Json = group(**keys)["properties"]["containers"][0]["properties"]
        return found

    return made
