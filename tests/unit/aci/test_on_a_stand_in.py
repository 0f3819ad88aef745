"""What the adapter does on an API of this machine that the suites do not bring about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adapters.infrastructure import aci
from adapters.infrastructure.aci.clients import Clients
from dispatcher.ports import Accepted, Job, Outcome, Phase, Submission
from dispatcher.testing.servers.azure import AzureApi, azure
from dispatcher.testing.servers.azure.regions import Size

Adapter = aci.AzureContainerInstances
MakeJob = Callable[..., Job]
WANTED = {"resource_group_name": "pushpool", "region": "westeurope", "other_regions": ["northeurope"], "runner": False}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureApi]:
    with azure(tmp_path_factory.mktemp("azure")) as made:
        yield made


@pytest.fixture
def on_a_stand_in(api: AzureApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureApi]:
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", api.subscription.id)
    for name, value in api.environment().items():
        monkeypatch.setenv(name, value)
    yield api
    api.forget_faults()


def submitted(adapter: Adapter, job: Job) -> tuple[Any, Outcome]:
    request = adapter.request(job)
    return request.target, adapter.submit(Submission(job.run_id, job.attempt, job.submit_seq, request, "token"))


def test_a_refused_one_that_does_not_go_in_time_is_taken_for_what_it_is(
    on_a_stand_in: AzureApi, make_job: MakeJob
) -> None:
    """A definite no would send its run to the next region while this one may start yet."""
    on_a_stand_in.behave(without_capacity=frozenset({"westeurope"}), deletion_looks=1_000_000)
    hurried = Adapter("", Clients(), submission_seconds=0.3)
    job = make_job(container={"image": on_a_stand_in.image}, **WANTED)

    target, outcome = submitted(hurried, job)

    assert isinstance(outcome, Accepted)
    seen = hurried.describe_many(target, [outcome.handle])[outcome.handle]
    assert (seen.phase, seen.handle) == (Phase.PENDING, outcome.handle)
    hurried.close()


def doctor(adapter: Adapter, job: Job) -> dict[str, tuple[bool, str]]:
    return {name: (passed, words) for name, passed, words in adapter.diagnose(job.configuration)}


def test_a_diagnosis_looks_at_everything_in_every_region(
    on_a_stand_in: AzureApi, adapter: Adapter, make_job: MakeJob
) -> None:
    found = doctor(adapter, make_job(container={"image": None}, **{**WANTED, "command": None}))

    assert [name for name, (passed, _) in found.items() if not passed] == []
    assert list(found) == [
        "configuration",
        "credentials",
        "resource group",
        "resource provider",
        "reaching container groups",
        "starting runs",
        "looking at runs",
        "stopping runs",
        "cleaning up",
        "reading logs",
        "capabilities of westeurope",
        "quota in westeurope",
        "capabilities of northeurope",
        "quota in northeurope",
    ]
    assert "31 vCPU" in found["capabilities of northeurope"][1]
    assert "of 100 ContainerGroups" in found["quota in westeurope"][1]
    assert on_a_stand_in.started(make_job().run_id) == []


@pytest.mark.parametrize(
    ("manner", "keys", "check", "words"),
    [
        ({}, {"resource_group_name": "elsewhere"}, "resource group", "make it, or check resource_group_name"),
        ({"is_registered": False}, {}, "resource provider", "az provider register"),
        ({"not_actions": ("*/write",)}, {}, "starting runs", "containerGroups/write on the resource group pushpool"),
        ({"not_actions": ("*/stop/action",)}, {}, "stopping runs", "stop/action on the resource group"),
        ({"sizes": {"northeurope": Size(4, 16)}}, {"cpu": 8}, "capabilities of northeurope", "offers 4 and 16"),
        ({"most_groups": 0}, {}, "quota in westeurope", "higher quota"),
    ],
)
def test_a_diagnosis_says_what_is_missing(
    on_a_stand_in: AzureApi, adapter: Adapter, make_job: MakeJob, manner: Any, keys: Any, check: str, words: str
) -> None:
    on_a_stand_in.behave(**manner)

    found = doctor(adapter, make_job(**{**WANTED, **keys}))

    passed, advice = found[check]
    assert not passed
    assert words in advice


@pytest.mark.parametrize("fault", ["timeout", "internal"])
@pytest.mark.parametrize(
    ("call", "check"), [("GetResourceGroup", "resource group"), ("Get", "reaching container groups")]
)
def test_where_azure_does_not_answer_the_diagnosis_fails(
    on_a_stand_in: AzureApi, adapter: Adapter, make_job: MakeJob, fault: str, call: str, check: str
) -> None:
    on_a_stand_in.fail_next(fault, call=call)

    passed, words = doctor(adapter, make_job(**WANTED))[check]

    assert not passed
    assert "try again" in words


def test_where_the_first_call_is_throttled_nothing_is_checked(
    on_a_stand_in: AzureApi, adapter: Adapter, make_job: MakeJob
) -> None:
    on_a_stand_in.fail_next("throttled", call="GetResourceGroup")

    *_, (name, (passed, words)) = doctor(adapter, make_job(**WANTED)).items()

    assert (name, passed) == ("resource group", True)
    assert words.startswith("not checked: throttled")


def test_what_a_role_on_one_group_may_not_ask_is_not_checked(
    on_a_stand_in: AzureApi, adapter: Adapter, make_job: MakeJob
) -> None:
    for call in ("ListUsages", "ListCapabilities"):
        on_a_stand_in.fail_next("denied", call=call, times=2)

    found = doctor(adapter, make_job(**WANTED))

    assert [name for name, (passed, _) in found.items() if not passed] == []
    assert found["quota in northeurope"][1].startswith("not checked: AuthorizationFailed")
