"""Whatever a cloud's event says, it is an event of ours or none: nothing is raised, and no other run is touched."""

from __future__ import annotations

import base64
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.wakes import Wake
from dispatcher import registry
from dispatcher.errors import InvalidInput
from dispatcher.functions import hearing
from dispatcher.ports import Store
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.builders import admitted, make_id, make_run

Json = dict[str, Any]
Mutated = Callable[[Any], st.SearchStrategy[Any]]

ROOT = Path(__file__).parents[2]
RUN = make_id("of the event")
JOB = "pushpool-of-the-event-2-1"
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/jobs/0123456789abcdef0123456789abcdef"
OURS = {"managed-by": "pushpool", "pushpool-run": RUN, "pushpool-attempt": "2"}
TOLD = [
    {"name": "PUSHPOOL_RUN_ID", "value": RUN},
    {"name": "PUSHPOOL_ATTEMPT", "value": "2"},
    {"name": "PUSHPOOL_RUN_TOKEN", "value": "v1.k1.x.y"},
]
TASK_EVENT: Json = {
    "version": "0",
    "id": "8f7e",
    "detail-type": "ECS Task State Change",
    "source": "aws.ecs",
    "account": "123456789012",
    "time": "2026-11-22T05:00:10Z",
    "region": "eu-central-1",
    "resources": [TASK],
    "detail": {
        "taskArn": TASK,
        "clusterArn": "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs",
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "startedBy": f"pushpool/{RUN}/2/1",
        "startedAt": "2026-11-22T05:00:00.5Z",
        "executionStoppedAt": "2026-11-22T05:00:09Z",
        "stoppedAt": "2026-11-22T05:00:10Z",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "memory": "512",
        "overrides": {"containerOverrides": [{"name": "run", "environment": TOLD}]},
        "containers": [
            {"name": "run", "exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"},
            {"name": "sidecar", "exitCode": 1},
        ],
        "version": 5,
    },
}


def condition(kind: str, status: str, **more: str) -> Json:
    return {"type": kind, "status": status, "lastTransitionTime": "2026-11-21T08:08:15.926525Z", **more}


def entry(method: str, kind: str, name: str, labels: Json, status: Json, spec: Json) -> Json:
    place = {"project_id": "team-data", "location": "europe-west1", "job_name": JOB}
    inner = {"run.googleapis.com/job": JOB, "cloud.googleapis.com/location": "europe-west1"}
    return {
        "insertId": "1f2",
        "logName": "projects/team-data/logs/cloudaudit.googleapis.com%2Fsystem_event",
        "resource": {"type": "cloud_run_job", "labels": place},
        "protoPayload": {
            "serviceName": "run.googleapis.com",
            "methodName": method,
            "resourceName": f"namespaces/team-data/executions/{name}",
            "response": {
                "kind": kind,
                "metadata": {"name": name, "namespace": "123456789012", "labels": {**labels, **inner}},
                "spec": spec,
                "status": status,
            },
        },
    }


ENDED = condition("Completed", "False", reason="NonZeroExitCode", message="The container exited with an error.")
READY = condition("Ready", "False", reason="ContainerMissing", message="Image 'etl:1' not found.")
TIMES = {"startTime": "2026-11-21T08:07:39.015624Z", "completionTime": "2026-11-21T08:08:15.926525Z"}
SPEC = {"taskCount": 1.0, "template": {"spec": {"containers": [{"env": TOLD}]}}}
EXECUTION = entry(
    "/Jobs.RunJob", "Execution", f"{JOB}-run", OURS, {"conditions": [ENDED], **TIMES, "failedCount": 1.0}, {}
)
SHARED = entry(
    "/Jobs.RunJob", "Execution", "pushpool-shared-x7f", {"managed-by": "pushpool"},
    {"conditions": [condition("Completed", "True")], **TIMES, "succeededCount": 1.0}, SPEC,
)  # fmt: skip
NEVER_READY = entry("/Jobs.CreateJob", "Job", JOB, OURS, {"conditions": [READY]}, {})

EVENTS: Mapping[str, tuple[str, Json]] = {
    "a task that stopped": ("ecs:push", TASK_EVENT),
    "an execution that failed": ("cloud-run-v2:push", EXECUTION),
    "an execution of a shared job": ("cloud-run-v2:push", SHARED),
    "a job that never got ready": ("cloud-run-v2:push", NEVER_READY),
}


class Installation:
    """On a store that keeps text, with a run that no event is about."""

    def __init__(self, store: Store) -> None:
        self.adapters: dict[str, Any] = {
            kind: registry.infrastructure(kind, {"region": "eu-central-1"}) for kind, _ in EVENTS.values()
        }
        self.bench = ApiBench(store)
        self.context = replace(self.bench.context, infrastructure=self.adapters.__getitem__)
        self.bystander = admitted(store, make_run(attempt=2))

    def tell(self, raw: Any, how: Callable[[Any], None]) -> None:
        """Tell it of a run that is new; whatever it was, that run can still be shown and the other one is as it was."""
        run = admitted(self.context.store, make_run(attempt=2))
        how(json.loads(json.dumps(raw).replace(RUN, run.id)))
        assert self.bench.call("GET", f"/v1/runs/{run.id}").status == 200
        assert self.context.store.get_run(self.bystander.id) == self.bystander

    def close(self) -> None:
        for adapter in self.adapters.values():
            if hasattr(adapter, "close"):
                adapter.close()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    store: Any = registry.store(f"sqlite://{tmp_path_factory.mktemp('events') / 'pushpool.db'}")
    made = Installation(store)
    yield made
    made.close()
    store.close()


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_as_it_is_ends_its_run(name: str, installation: Installation) -> None:
    """Else what follows would try what is refused at the first line."""
    kind, event = EVENTS[name]
    run = admitted(installation.context.store, make_run(attempt=2))

    hearing.hear(installation.context, kind, json.loads(json.dumps(event).replace(RUN, run.id)), {})

    after = installation.context.store.get_run(run.id)
    assert after is not None
    assert after.state != run.state


@pytest.mark.parametrize("name", EVENTS)
def test_each_part_of_an_event_may_be_anything(
    name: str, installation: Installation, every_mutation: Callable[[Any], Iterator[tuple[Any, Any, Any]]]
) -> None:
    kind, event = EVENTS[name]
    for steps, value, raw in every_mutation(event):
        try:
            installation.adapters[kind].parse_event(raw)
        except Exception as exc:
            raise AssertionError(f"{steps} is {value!r:.60}") from exc


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_with_half_of_a_character_is_passed_over(name: str, installation: Installation) -> None:
    """No store keeps it, and it would come again as it is."""
    kind, event = EVENTS[name]
    for raw in _spoilt(event):
        installation.tell(raw, lambda told: hearing.hear(installation.context, kind, told, {}))


def _spoilt(event: Json) -> Iterator[Json]:
    """With half of a character in place of each of its texts, in turn."""
    text = json.dumps(event)
    for said in sorted(set(re.findall(r'": ("[^"]+")', text))):
        yield json.loads(text.replace(f": {said}", ': "\\ud800"'))


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=60)
@given(data=st.data())
def test_no_event_stops_a_function_or_touches_another_run(
    name: str, installation: Installation, mutated: Mutated, data: st.DataObject
) -> None:
    kind, event = EVENTS[name]
    raw = data.draw(mutated(event).filter(lambda made: isinstance(made, dict)))

    installation.tell(raw, lambda told: hearing.hear(installation.context, kind, told, {}))


@pytest.fixture(scope="module")
def functions() -> Iterator[Mapping[str, ModuleType]]:
    """What the functions of both clouds do, imported as they are deployed."""
    folders = [str(ROOT / "infra" / cloud) for cloud in ("aws", "gcp")]
    sys.path[:0] = folders
    names = ("chalicelib.hearing", "chalicelib.passes", "gcpfunctions", "gcpfunctions.hearing", "gcpfunctions.passes")
    yield {name: importlib.import_module(name) for name in names}
    for folder in folders:
        sys.path.remove(folder)


@settings(max_examples=60)
@given(data=st.data())
def test_no_event_stops_the_function_on_aws(
    installation: Installation, functions: Mapping[str, ModuleType], mutated: Mutated, data: st.DataObject
) -> None:
    raw = data.draw(mutated(TASK_EVENT).filter(lambda made: isinstance(made, dict)))
    hear = functions["chalicelib.hearing"].hear

    installation.tell(raw, lambda told: hear(installation.context, told))


def _pushed(entry: Any) -> Json:
    data = base64.b64encode(json.dumps(entry).encode()).decode()
    return {"message": {"data": data, "messageId": "7", "attributes": {"a": "b"}}, "subscription": "projects/p/s"}


@pytest.mark.parametrize("envelope", [False, True], ids=["the entry", "the envelope"])
@settings(max_examples=60)
@given(data=st.data())
def test_no_push_stops_the_function_on_google_cloud(
    envelope: bool,
    installation: Installation,
    functions: Mapping[str, ModuleType],
    mutated: Mutated,
    data: st.DataObject,
) -> None:
    """What cannot be read is acknowledged: it would come again as it is."""
    functions["gcpfunctions"].parts.use(installation.context)
    raw = data.draw(mutated(_pushed(EXECUTION))) if envelope else _pushed(data.draw(mutated(EXECUTION)))

    def hear(told: Any) -> None:
        assert functions["gcpfunctions.hearing"].heard(json.dumps(told).encode()) is True

    installation.tell(raw, hear)


UNREADABLE = [b"", b"\xff\xfe", b"[" * 100_000, b'{"message":' * 100_000, b"\x00", b"9" * 100_000, b"NaN", b'"\\ud800"']


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: repr(body[:12]))
def test_a_push_that_is_not_even_json_is_acknowledged(
    installation: Installation, functions: Mapping[str, ModuleType], body: bytes
) -> None:
    functions["gcpfunctions"].parts.use(installation.context)

    assert functions["gcpfunctions.hearing"].heard(body) is True
    assert functions["gcpfunctions.hearing"].heard(json.dumps(_pushed(body.decode("latin-1"))).encode()) is True
    assert functions["gcpfunctions.passes"].asked(body) is True


WAKE = {"pool": "local", "hops": 0}


@pytest.mark.parametrize("text", [body.decode("latin-1") for body in UNREADABLE], ids=lambda text: repr(text[:12]))
def test_what_is_no_json_is_no_wake(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no wake"):
        Wake.parse(text)


@settings(max_examples=300)
@given(data=st.data())
def test_a_wake_names_a_pool_or_is_none(mutated: Mutated, data: st.DataObject) -> None:
    said = data.draw(mutated(WAKE) | st.text())
    try:
        wake = Wake.parse(said if isinstance(said, str) else json.dumps(said))
    except InvalidInput:
        return
    assert wake.pool
    assert wake.hops >= 0


@settings(max_examples=40)
@given(data=st.data())
def test_a_message_that_is_no_wake_is_given_back_alone(
    installation: Installation, functions: Mapping[str, ModuleType], mutated: Mutated, data: st.DataObject
) -> None:
    hostile = data.draw(mutated(WAKE))
    messages = [{"messageId": "hostile", "body": json.dumps(hostile)}, {"messageId": "no wake", "body": "x"}]

    asked = functions["chalicelib.passes"]._by_pool(messages)

    assert ("no wake", 0) in asked[""]
    assert sorted(message for said in asked.values() for message, _ in said) == ["hostile", "no wake"]
