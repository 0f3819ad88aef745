"""Hostile values, documents with one of them put in somewhere, and requests made of shipped templates."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pytest
from hypothesis import strategies as st

from dispatcher import job_templates, registry
from dispatcher.logs import log
from dispatcher.ports import Job, Request

Json: TypeAlias = dict[str, Any]
Steps: TypeAlias = tuple[str | int, ...]

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
SETTINGS = {
    "region": "eu-central-1",
    "cloud_run_writes_per_minute": "60",
    "aci_creates_per_hour": "300",
    "aci_creates_per_five_minutes": "100",
}
# What an earlier look at these parsers, or at others of their kind, has found to be taken badly.
HOSTILE: Sequence[Any] = (
    None, True, False, 0, -1, 2**31, 2**63, 10**400, -1e308, 1.5, float("nan"), float("inf"), "", " ", "x", "\x00",
    "\ud800", "é\u202e", "True", "STOPPED", "²", "9" * 5000, "x" * 70_000, "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "2026-11-21T08:08:15", [], [None], [[]], ["x"], [{}], {}, {"": ""}, {"name": []},
    {"$ref": "#"}, {"$secret": "db-password"}, "{{ x }}", "{{ $PATH }}", "{{ prefect.blocks.secret.x }}",
    "[concat('a', 'b')]", "../../../etc/passwd", "http://169.254.169.254/latest", "a." * 2000 + "b",
)  # fmt: skip


def paths(value: Any, above: Steps = ()) -> Iterator[Steps]:
    """Every place in it, itself included."""
    yield above
    if isinstance(value, dict):
        for key, part in value.items():
            yield from paths(part, (*above, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from paths(part, (*above, number))


def put(whole: Any, steps: Steps, value: Any) -> Any:
    """A copy with `value` in that place."""
    if not steps:
        return value
    made = copy.deepcopy(whole)
    part = made
    for step in steps[:-1]:
        part = part[step]
    part[steps[-1]] = value
    return made


def _nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"x": [value]}
    return value


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_ANYTHING = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)


@st.composite
def _mutations(draw: st.DrawFn, document: Any) -> Any:
    """Up to two of its parts replaced."""
    made = document
    for _ in range(draw(st.integers(1, 2))):
        places = [steps for steps in paths(made) if steps] or [()]
        steps = places[draw(st.integers(0, len(places) - 1))]
        known = draw(st.integers(-2, len(HOSTILE) - 1))
        value = HOSTILE[known] if known >= 0 else draw(_ANYTHING) if known == -1 else _nested(draw(st.integers(5, 60)))
        made = put(made, steps, value)
    return made


@pytest.fixture(scope="session")
def mutated() -> Callable[[Any], st.SearchStrategy[Any]]:
    """A document with one or two of its parts replaced by something hostile."""
    return _mutations


@pytest.fixture(scope="session")
def every_mutation() -> Callable[[Any], Iterator[tuple[Steps, Any, Any]]]:
    """(where, what, the document with it there): each place with each hostile value."""
    return lambda document: (
        (steps, value, put(document, steps, value)) for steps in paths(document) if steps for value in HOSTILE
    )


LEAST: Mapping[str, Json] = {
    "process": {},
    "ecs:push": {"image": "job:1", "cluster": "jobs", "network_configuration": {"subnets": ["subnet-0a"]}},
    "cloud-run-v2:push": {"image": "job:1", "project": "team-data", "region": "europe-west1"},
    "cloud-run:push": {"image": "job:1", "project": "team-data", "region": "europe-west1"},
    "azure-container-instance:push": {
        "image": "job:1",
        "subscription_id": "11111111-2222-3333-4444-555555555555",
        "resource_group_name": "jobs",
        "region": "westeurope",
    },
    "modal:push": {"image": "job:1"},
}


@pytest.fixture(scope="session", params=LEAST)
def kind(request: pytest.FixtureRequest) -> str:
    """Each pool type whose template is shipped."""
    return str(request.param)


@pytest.fixture(scope="session")
def requested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Request]]:
    """What is sent for a deployment's and a run's variables, over what the pool needs at least; without any call.

    Raises what the template or its adapter refuses it with.
    """
    settings = {**SETTINGS, "state_directory": str(tmp_path_factory.mktemp("attempts"))}
    shipped = registry.templates()
    adapters: dict[str, Any] = {kind: registry.infrastructure(kind, settings) for kind in LEAST}

    def made(kind: str, of_deployment: Json, of_run: Json, template: Json | None = None) -> Request:
        configuration = job_templates.render(
            template or shipped[kind], {"command": ["job"], **LEAST[kind]}, {}, of_deployment, of_run
        )
        job = Job(
            pool="pool",
            run_id=RUN,
            run_name="brisk-otter",
            deployment="etl",
            attempt=1,
            submit_seq=1,
            configuration=configuration,
            environment={"PUSHPOOL_RUN_ID": RUN, "PUSHPOOL_API_URL": "https://api.example"},
        )
        request: Request = adapters[kind].request(job)
        json.dumps(request.body, allow_nan=False)
        return request

    yield made
    for adapter in adapters.values():
        if hasattr(adapter, "close"):
            adapter.close()


class Lines(logging.Handler):
    """Every line of the log, as JSON has it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def said(self, what: str) -> list[logging.LogRecord]:
        return [record for record in self.records if record.getMessage() == what]


@pytest.fixture(scope="module")
def lines() -> Iterator[Lines]:
    handler, level = Lines(), log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)
