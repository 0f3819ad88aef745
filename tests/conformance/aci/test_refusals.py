"""What Azure refuses, and what becomes of it: of quotas, of regions without capacity, and of requests that are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dispatcher.errors import InvalidInput, Unreachable
from dispatcher.ports import (
    Accepted,
    Cause,
    Infrastructure,
    Job,
    NotNow,
    Outcome,
    Phase,
    PoolUnavailable,
    Rejected,
    Request,
    Unknown,
)
from dispatcher.testing.cloud_bench import CloudBench, submission
from dispatcher.testing.servers.azure.cloud import AzureCloud
from dispatcher.testing.servers.azure.limits import Limit
from dispatcher.testing.servers.azure.regions import Size

FIRST, SECOND = "westeurope", "northeurope"
SUBNET = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/v/subnets/jobs"


def submitted(infrastructure: Infrastructure, job: Job) -> tuple[Request, Outcome]:
    request = infrastructure.request(job)
    return request, infrastructure.submit(submission(job, request))


class TestRegionsWithoutCapacity(CloudBench):
    def job(self, cloud: AzureCloud, run_id: str, refusals: int = 0) -> Job:
        """After so many refusals."""
        return cloud.with_variables(
            run_id, submit_seq=refusals + 1, refusals=refusals, region=FIRST, other_regions=[SECOND]
        )

    def test_what_was_refused_is_gone_before_the_next_region_is_tried(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.api.behave(without_capacity=frozenset({FIRST}))

        _, refused = submitted(infrastructure, self.job(cloud, run_id))

        assert isinstance(refused, NotNow)
        assert cloud.api.groups() == []
        assert cloud.api.capacity_returns(FIRST) == []
        seen = self.run_to_its_end(infrastructure, self.job(cloud, run_id, refusals=1))
        assert seen.exit_code == 0
        assert cloud.started(run_id) == 1

    def test_the_next_region_has_a_name_of_its_own(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.api.behave(without_capacity=frozenset({FIRST}))
        first, _ = submitted(infrastructure, self.job(cloud, run_id))

        second, outcome = submitted(infrastructure, self.job(cloud, run_id, refusals=1))

        assert isinstance(outcome, Accepted)
        assert (first.target.region, second.target.region) == (FIRST, SECOND)
        assert first.body["containerGroupName"] != second.body["containerGroupName"]
        assert cloud.api.subscription.refused["InvalidResourceLocation"] == 0

    def test_when_all_were_tried_the_first_is_tried_again(self, cloud: AzureCloud, run_id: str) -> None:
        infrastructure = cloud.open()

        regions = [infrastructure.request(self.job(cloud, run_id, refusals)).target.region for refusals in range(4)]

        assert regions == [FIRST, SECOND, FIRST, SECOND]

    def test_one_that_goes_slowly_is_waited_for(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.api.behave(without_capacity=frozenset({FIRST}), deletion_looks=3)

        _, outcome = submitted(infrastructure, self.job(cloud, run_id))

        assert isinstance(outcome, NotNow)
        assert cloud.api.groups() == []

    @pytest.mark.parametrize("kind", ["internal", "timeout", "throttled", "transitioning"])
    def test_one_that_cannot_be_deleted_is_no_definite_no(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, kind: str
    ) -> None:
        """Else the next region would start it, and this one too a moment later."""
        cloud.api.behave(without_capacity=frozenset({FIRST}))
        cloud.api.fail_next(kind, call="Delete", times=50)

        request, outcome = submitted(infrastructure, self.job(cloud, run_id))

        assert isinstance(outcome, Accepted | Unknown), outcome
        found = infrastructure.find(request.target, run_id, 1, 1)
        assert found is not None
        assert (found.phase, found.cause) == (Phase.PENDING, Cause.INFRASTRUCTURE)
        cloud.api.subscription.ordered.forget()
        infrastructure.cancel(request.target, found.handle)
        self.until(infrastructure, request, found.handle, Phase.MISSING)
        assert cloud.api.capacity_returns(FIRST) == []

    def test_one_whose_reply_was_lost_is_not_made_again(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        """Its repeat finds it given up, and takes it for what was asked for."""
        cloud.api.fail_next("provisioning")
        request, outcome = submitted(infrastructure, self.job(cloud, run_id))
        assert isinstance(outcome, Accepted)

        _, repeated = submitted(infrastructure, self.job(cloud, run_id))

        assert repeated == outcome
        assert len(cloud.api.requests(request.body["containerGroupName"])) == 1

    def test_one_that_is_given_up_later_is_told_of_and_can_be_ended(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.api.fail_next("provisioning")
        request, handle = self.start(infrastructure, self.job(cloud, run_id))

        seen = infrastructure.describe_many(request.target, [handle])[handle]

        assert (seen.phase, seen.cause) == (Phase.PENDING, Cause.INFRASTRUCTURE)
        assert "name other_regions" in seen.message
        infrastructure.cancel(request.target, handle)
        self.until(infrastructure, request, handle, Phase.MISSING)
        assert cloud.api.capacity_returns(FIRST) == []

    def test_one_that_starts_after_all_is_one_that_runs(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.api.fail_next("provisioning")
        request, handle = self.start(infrastructure, self.job(cloud, run_id))

        cloud.api.capacity_returns(FIRST)

        assert self.until(infrastructure, request, handle, Phase.STOPPED).exit_code == 0

    def test_one_that_is_too_large_for_its_region_is_started_in_another(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.api.behave(sizes={FIRST: Size(4, 16)})
        asked: Any = {"region": FIRST, "other_regions": [SECOND], "cpu": 8, "memory": 32}

        _, refused = submitted(infrastructure, cloud.with_variables(run_id, **asked))
        again = cloud.with_variables(run_id, submit_seq=2, refusals=1, **asked)

        assert isinstance(refused, NotNow)
        assert self.run_to_its_end(infrastructure, again).exit_code == 0

    def test_the_same_name_in_several_regions_is_told_for_what_it_is(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        """Azure says "quota … Limit: '0'"; here somebody else has had that name."""
        job = self.job(cloud, run_id)
        name = infrastructure.request(job).body["containerGroupName"]
        cloud.api.subscription.names[name] = SECOND

        _, outcome = submitted(infrastructure, job)

        assert isinstance(outcome, PoolUnavailable)
        assert "when one name is made in several at once" in outcome.reason


class TestQuotas(CloudBench):
    def test_a_quota_for_the_hour_holds_the_pool_until_then(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.api.behave(rates=(Limit(1, 60),))
        self.start(infrastructure, cloud.job(run_id))
        before = datetime.now(UTC)

        _, outcome = submitted(infrastructure, cloud.job(run_id, attempt=2))

        assert isinstance(outcome, PoolUnavailable)
        assert outcome.until is not None
        assert timedelta(minutes=59) < outcome.until - before <= timedelta(minutes=61)
        assert f"{outcome.until:%H:%M} UTC" in outcome.reason
        assert "higher quota" in outcome.reason

    def test_a_short_throttle_holds_the_run_alone(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.fail_next("throttled")

        _, outcome = submitted(infrastructure, cloud.job(run_id))

        assert isinstance(outcome, NotNow)
        assert outcome.retry_after == timedelta(seconds=5)

    @pytest.mark.parametrize(
        ("manner", "words"), [({"most_groups": 1}, "container groups"), ({"most_cores": 1}, "cores")]
    )
    def test_as_many_as_there_may_be_hold_the_pool_for_a_while(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, manner: Any, words: str
    ) -> None:
        cloud.api.behave(**manner)
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))

        _, outcome = submitted(infrastructure, cloud.job(run_id, attempt=2))

        assert isinstance(outcome, PoolUnavailable)
        assert outcome.until is not None
        assert f"as many {words} are in the region as may be" in outcome.reason
        assert "lower concurrency limit" in outcome.reason
        self.stop(infrastructure, request, handle)
        infrastructure.cleanup(request.target, handle)
        self.start(infrastructure, cloud.job(run_id, attempt=2, submit_seq=2))

    def test_a_throttled_clean_up_is_tried_again_later(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id))
        self.until(infrastructure, request, handle, Phase.STOPPED)
        cloud.api.fail_next("throttled", call="Delete")

        with pytest.raises(Unreachable, match="DELETE"):
            infrastructure.cleanup(request.target, handle)

        infrastructure.cleanup(request.target, handle)
        assert cloud.api.groups() == []


class TestRefusals(CloudBench):
    @pytest.mark.parametrize(
        ("kind", "expected", "words"),
        [
            ("denied", PoolUnavailable, "Microsoft.ContainerInstance/containerGroups/write on"),
            ("linked denied", PoolUnavailable, "userAssignedIdentities/assign/action on"),
            ("unauthenticated", PoolUnavailable, "renew them"),
            ("unregistered", PoolUnavailable, "az provider register --namespace Microsoft.ContainerInstance"),
            ("rejected", Rejected, "check the image's name and tag"),
            ("registry", NotNow, "mirror the image"),
            ("internal", Unknown, "InternalServerError"),
        ],
    )
    def test_each_is_an_outcome_that_says_what_to_do(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, kind: str, expected: Any, words: str
    ) -> None:
        cloud.fail_next(kind)

        _, outcome = submitted(infrastructure, cloud.job(run_id))

        assert isinstance(outcome, expected)
        assert words in (outcome.reason if isinstance(outcome, PoolUnavailable) else getattr(outcome, "message", ""))

    @pytest.mark.parametrize(
        ("variables", "expected", "words"),
        [
            ({"image": "nobody/nothing:1"}, Rejected, "check the image's name and tag"),
            ({"resource_group_name": "another"}, PoolUnavailable, "make it, or check resource_group_name"),
            ({"subscription_id": "0" * 8 + "-0000-0000-0000-" + "0" * 12}, PoolUnavailable, "check subscription_id"),
            ({"region": "marsnorth"}, PoolUnavailable, "set `region`"),
        ],
    )
    def test_what_is_not_there_is_told_so(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, variables: Any, expected: Any, words: str
    ) -> None:
        _, outcome = submitted(infrastructure, cloud.with_variables(run_id, **variables))

        assert isinstance(outcome, expected)
        assert words in (outcome.reason if isinstance(outcome, PoolUnavailable) else getattr(outcome, "message", ""))
        assert cloud.started(run_id) == 0

    def test_an_image_that_cannot_be_pulled_can_never_start(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.fail_next("image pull")
        request, handle = self.start(infrastructure, cloud.job(run_id))

        seen = infrastructure.describe_many(request.target, [handle])[handle]

        assert (seen.phase, seen.cause) == (Phase.PENDING, Cause.REFUSED)
        assert "check the image's name and tag" in seen.message

    def test_a_service_that_is_not_there_has_started_nothing(
        self, cloud: AzureCloud, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PUSHPOOL_AZURE_EMULATOR", "127.0.0.1:1")

        request, outcome = submitted(cloud.open(), cloud.job(run_id))

        assert isinstance(outcome, NotNow)
        with pytest.raises(Unreachable):
            cloud.open().find(request.target, run_id, 1, 1)

    @pytest.mark.parametrize(
        ("variables", "path", "words"),
        [
            ({"resource_group_name": "g" * 91}, "resource_group_name", "at most 90"),
            ({"gpu_count": 1, "gpu_sku": "V100"}, "gpu_count", "modal:push"),
            ({"region": "West!"}, "region", "westeurope"),
            ({"env": {"A" * 64: "1"}}, f"env.{'A' * 64}", "rename it"),
            ({"priority": "Spot", "subnet_ids": [SUBNET]}, "subnet_ids", "leave subnet_ids out"),
        ],
    )
    def test_what_can_be_no_request_is_refused_before_it_is_one(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, variables: Any, path: str, words: str
    ) -> None:
        """As a template without a pattern would let it through."""
        plain = cloud.with_variables(run_id)
        configuration = {**plain.configuration, **variables}
        job = Job(
            pool=plain.pool, run_id=run_id, run_name="", deployment="", attempt=1, submit_seq=1,
            configuration=configuration, environment={},
        )  # fmt: skip

        with pytest.raises(InvalidInput, match=words) as caught:
            infrastructure.request(job)

        assert caught.value.path == path


class TestDiagnosis:
    def failed(self, cloud: AzureCloud, **variables: Any) -> dict[str, str]:
        configuration = cloud.with_variables("run", **variables).configuration
        return {name: words for name, passed, words in cloud.open().diagnose(configuration) if not passed}

    def test_where_all_is_well_nothing_is_said(self, cloud: AzureCloud) -> None:
        assert self.failed(cloud, region=FIRST, other_regions=[SECOND]) == {}

    @pytest.mark.parametrize(
        ("action", "check"),
        [
            ("write", "starting runs"),
            ("stop/action", "stopping runs"),
            ("delete", "cleaning up"),
            ("containers/logs/read", "reading logs"),
        ],
    )
    def test_what_may_not_be_done_is_named(self, cloud: AzureCloud, action: str, check: str) -> None:
        cloud.api.behave(not_actions=(f"Microsoft.ContainerInstance/containerGroups/{action}",))

        failed = self.failed(cloud)

        assert failed.keys() == {check}
        assert f"containerGroups/{action}" in failed[check]

    def test_a_role_on_the_resource_group_alone_is_enough(self, cloud: AzureCloud) -> None:
        """Such a role may not look at the subscription; that is said, and is no failure."""
        groups = "Microsoft.ContainerInstance/containerGroups"
        ours = ("read", "write", "delete", "stop/action", "containers/logs/read")
        actions = ("Microsoft.Resources/subscriptions/resourceGroups/read", *(f"{groups}/{each}" for each in ours))
        cloud.api.behave(actions=actions)

        assert self.failed(cloud, region=FIRST) == {}

    @pytest.mark.parametrize(
        ("manner", "variables", "words"),
        [
            ({"is_registered": False}, {}, "az provider register"),
            ({"most_groups": 0}, {}, "ContainerGroups are in use"),
            ({"sizes": {FIRST: Size(4, 16)}}, {"cpu": 8}, "offers 4 and 16"),
            ({}, {"resource_group_name": "another"}, "check resource_group_name"),
        ],
    )
    def test_what_is_amiss_is_told_with_a_way_out(
        self, cloud: AzureCloud, manner: Any, variables: Any, words: str
    ) -> None:
        cloud.api.behave(**manner)

        failed = self.failed(cloud, region=FIRST, **variables)

        assert len(failed) == 1
        assert words in next(iter(failed.values()))
