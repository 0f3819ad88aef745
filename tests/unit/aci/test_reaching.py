"""What becomes of calls that reach nobody, of handles that are none, and what the adapter says of itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from adapters.infrastructure import aci
from adapters.infrastructure.aci import diagnosis
from adapters.infrastructure.aci.adapter import SUBMISSION_SECONDS
from adapters.infrastructure.aci.clients import CONNECT_SECONDS
from dispatcher.errors import Unreachable
from dispatcher.ports import Job, NotNow, PoolUnavailable, Submission, Window
from dispatcher.runs import Target

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TARGET = Target("azure-container-instance:push", account=SUBSCRIPTION, region="westeurope", group="jobs")
GROUPS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/jobs/providers/Microsoft.ContainerInstance/containerGroups"
HANDLE = f"{GROUPS}/pushpool-{RUN.replace('-', '')}-1-1"

Adapter = aci.AzureContainerInstances
MakeJob = Callable[..., Job]


def submission(adapter: Adapter, job: Job) -> Submission:
    return Submission(job.run_id, job.attempt, job.submit_seq, adapter.request(job), "token")


def test_a_submission_that_never_left_is_a_definite_no(adapter: Adapter, make_job: MakeJob) -> None:
    outcome = adapter.submit(submission(adapter, make_job()))

    assert isinstance(outcome, NotNow)
    assert "did not reach Azure" in outcome.message


@pytest.fixture
def misconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PUSHPOOL_AZURE_EMULATOR")
    monkeypatch.setenv("PUSHPOOL_AZURE_FEDERATION", "amazon")


@pytest.mark.usefixtures("misconfigured")
def test_without_credentials_the_pool_is_unavailable(adapter: Adapter, make_job: MakeJob) -> None:
    outcome = adapter.submit(submission(adapter, make_job()))

    assert isinstance(outcome, PoolUnavailable)
    assert "write aws or google" in outcome.reason


def test_whoever_asks_is_told_that_nobody_answers(adapter: Adapter) -> None:
    for ask in (
        lambda: adapter.find(TARGET, RUN, 1, 1),
        lambda: adapter.describe_many(TARGET, [HANDLE]),
        lambda: adapter.describe_many(TARGET, [HANDLE, HANDLE.replace("-1-1", "-2-1")]),
        lambda: adapter.cancel(TARGET, HANDLE),
        lambda: adapter.cleanup(TARGET, HANDLE),
    ):
        with pytest.raises(Unreachable):
            ask()
    assert adapter.log(TARGET, HANDLE) is None


@pytest.mark.usefixtures("misconfigured")
def test_whoever_asks_without_credentials_is_told_so(adapter: Adapter) -> None:
    with pytest.raises(Unreachable, match="write aws or google"):
        adapter.find(TARGET, RUN, 1, 1)


@pytest.mark.parametrize(
    "handle", ["", "arn:aws:ecs:r:1:task/t", f"{GROUPS}/somebody-elses", f"{HANDLE}/start", GROUPS, f"{HANDLE}-x"]
)
def test_of_what_is_no_group_of_ours_nobody_is_asked(adapter: Adapter, handle: str) -> None:
    adapter.cancel(TARGET, handle)
    adapter.cleanup(TARGET, handle)

    assert adapter.describe_many(TARGET, [handle])[handle].phase == "missing"
    assert adapter.links(TARGET, handle) == {}
    assert adapter.log(TARGET, handle) is None


def test_what_is_kept_is_not_deleted(adapter: Adapter) -> None:
    kept = Target(TARGET.type, account=SUBSCRIPTION, region="westeurope", group="jobs/kept")

    adapter.cleanup(kept, HANDLE)

    with pytest.raises(Unreachable):
        adapter.find(kept, RUN, 1, 1)


@pytest.mark.parametrize(("tenant", "whose"), [("", ""), ("team.onmicrosoft.com", "@team.onmicrosoft.com/")])
def test_links_lead_to_the_portal(adapter: Adapter, monkeypatch: pytest.MonkeyPatch, tenant: str, whose: str) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", tenant)

    assert adapter.links(TARGET, HANDLE) == {
        "console": f"https://portal.azure.com/#{whose}resource{HANDLE}/overview",
        "logs": f"https://portal.azure.com/#{whose}resource{HANDLE}/containers",
    }


def test_a_diagnosis_of_what_makes_no_request_says_what(adapter: Adapter, make_job: MakeJob) -> None:
    [(name, passed, words)] = adapter.diagnose(make_job(region="eu-1").configuration)

    assert (name, passed) == ("configuration", False)
    assert "westeurope" in words


@pytest.mark.usefixtures("misconfigured")
def test_a_diagnosis_without_credentials_says_so(adapter: Adapter, make_job: MakeJob) -> None:
    found = {name: passed for name, passed, _ in adapter.diagnose(make_job().configuration)}

    assert found == {"configuration": True, "credentials": False}


def test_a_diagnosis_that_reaches_nobody_fails_and_says_what_to_look_at(adapter: Adapter, make_job: MakeJob) -> None:
    *_, (name, passed, words) = adapter.diagnose(make_job().configuration)

    assert (name, passed) == ("resource group", False)
    assert "did not reach Azure" in words
    assert "PUSHPOOL_AZURE_EMULATOR" in words


@pytest.mark.parametrize(
    ("granted", "may"),
    [
        ([{"actions": ["*"], "notActions": []}], True),
        ([{"actions": ["Microsoft.ContainerInstance/*"], "notActions": ["*/delete"]}], True),
        ([{"actions": ["microsoft.containerinstance/containergroups/write"]}], True),
        ([{"actions": ["*"], "notActions": ["Microsoft.ContainerInstance/*/write"]}], False),
        ([{"actions": ["*"], "notActions": ["*/write"]}, {"actions": ["Microsoft.ContainerInstance/*"]}], True),
        ([{"actions": ["*/read"]}], False),
        ([{"actions": ["Microsoft.ContainerInstance/containerGroups"]}], False),
        ([], False),
    ],
)
def test_what_is_allowed_is_what_one_role_grants(granted: list[dict[str, list[str]]], may: bool) -> None:
    assert diagnosis.is_allowed(granted, "Microsoft.ContainerInstance/containerGroups/write") is may


@pytest.mark.parametrize(("settings", "hour", "short"), [({}, 300, 100), ({"aci_creates_per_hour": "900"}, 900, 100)])
def test_submissions_stay_within_the_quota_and_use_most_of_it(settings: dict[str, str], hour: int, short: int) -> None:
    rates = aci.open(settings).traits.rates

    for window, calls, within in zip(
        rates["submit"], (short, hour), (timedelta(minutes=5), timedelta(hours=1)), strict=True
    ):
        assert isinstance(window, Window)
        assert window.calls == calls
        assert window.within - within == timedelta(seconds=45)
    assert rates["submit"][1].per_second > 0.95 * hour / 3600
    assert [each.burst for each in rates["cleanup"]] == [0.97 * short, 0.97 * hour]


def test_azure_tells_of_no_ends(adapter: Adapter) -> None:
    assert adapter.parse_event({"eventType": "Microsoft.Resources.ResourceWriteSuccess"}) is None
    assert not adapter.traits.pushes_events


def test_a_submission_ends_within_its_deadline(adapter: Adapter) -> None:
    """The connection of its last call may come on top."""
    assert adapter.traits.submit_deadline.total_seconds() > SUBMISSION_SECONDS + CONNECT_SECONDS
