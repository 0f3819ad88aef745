"""Azure Container Instances pass the suite of every infrastructure: on a service of this machine that really runs."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from dispatcher.ports import Accepted, Cause, Infrastructure, Phase, Various
from dispatcher.secret_values import revealed
from dispatcher.testing.cloud_bench import TOKEN, submission
from dispatcher.testing.infrastructure_suite import Cloud, InfrastructureSuite
from dispatcher.testing.servers.azure.cloud import AzureCloud
from dispatcher.testing.servers.azure.theirs import models

REGISTRY = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull"
SUBNET = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/virtualNetworks/v/subnets/jobs"


class TestContainerInstances(InfrastructureSuite):
    def test_of_two_threads_that_submit_the_same_one_starts_it(self, cloud: Cloud, run_id: str) -> None:
        """As on Azure, where a creation takes seconds: who comes second finds it going on."""
        assert isinstance(cloud, AzureCloud)
        with cloud.api.creations_held(until_seen=True):
            super().test_of_two_threads_that_submit_the_same_one_starts_it(cloud, run_id)

    def test_who_comes_second_while_it_is_created_has_its_handle(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        """Both have looked before either has asked."""
        job = cloud.job(run_id)
        request, handle = self.start(infrastructure, job)
        cloud.api.fail_next("timeout", call="Get")
        cloud.api.fail_next("transitioning")

        outcomes = [infrastructure.submit(submission(job, request)) for _ in range(2)]

        assert not isinstance(outcomes[0], Accepted)
        assert isinstance(outcomes[1], Accepted)
        self.until(infrastructure, request, handle, Phase.STOPPED)
        assert cloud.started(run_id) == 1

    def test_one_that_gets_no_answer_is_left_out_of_what_is_told(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        started = [self.start(infrastructure, cloud.job(run_id, attempt=attempt)) for attempt in (1, 2)]
        for request, handle in started:
            self.until(infrastructure, request, handle, Phase.STOPPED)
        cloud.api.fail_next("internal", call="Get")

        told = infrastructure.describe_many(started[0][0].target, [handle for _, handle in started])

        assert [seen.phase for seen in told.values()] == [Phase.STOPPED]

    def test_a_repeat_after_the_end_asks_for_nothing(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        """A second PUT would start it again."""
        job = cloud.job(run_id)
        request, handle = self.start(infrastructure, job)
        self.until(infrastructure, request, handle, Phase.STOPPED)

        infrastructure.submit(submission(job, request))

        assert len(cloud.api.requests(handle.rpartition("/")[2])) == 1

    @pytest.mark.parametrize("kind", ["timeout", "throttled", "reply lost", "internal", "capacity"])
    def test_a_submission_is_one_put(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, kind: str
    ) -> None:
        job = cloud.job(run_id)
        before = cloud.api.calls().get("CreateOrUpdate", 0)
        cloud.fail_next(kind)

        infrastructure.submit(submission(job, infrastructure.request(job)))

        assert cloud.api.calls()["CreateOrUpdate"] - before == 1

    @pytest.mark.parametrize("kind", ["timeout", "internal", "denied", "unauthenticated"])
    def test_who_cannot_look_does_not_ask(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, kind: str
    ) -> None:
        job = cloud.job(run_id)
        before = cloud.api.calls().get("CreateOrUpdate", 0)
        cloud.api.fail_next(kind, call="Get")

        outcome = infrastructure.submit(submission(job, infrastructure.request(job)))

        assert not isinstance(outcome, Accepted)
        assert cloud.api.calls().get("CreateOrUpdate", 0) == before

    def test_all_that_can_be_asked_for_fits_azures_own_models(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.with_variables(
            run_id,
            env={"A": "1"},
            labels={"team": "data"},
            identities=[REGISTRY.replace("pull", "run"), "SystemAssigned"],
            image_registry={"registry_url": "acme.azurecr.io", "identity": REGISTRY},
            subnet_ids=[SUBNET],
            dns_servers=["10.0.0.4"],
            cpu=2,
            memory=3.5,
            sku="Standard",
        )

        _, handle = self.start(infrastructure, job)

        sent = cloud.api.requests(handle.rpartition("/")[2])[-1]
        assert models().ContainerGroup.deserialize(sent).serialize() == sent
        assert sent["properties"]["restartPolicy"] == "Never"

    def test_without_a_region_it_is_where_its_resource_group_is(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(cloud.api.subscription.resource_groups, "pushpool", "swedencentral")

        request, handle = self.start(infrastructure, cloud.job(run_id))

        assert request.target.region == ""
        assert cloud.api.requests(handle.rpartition("/")[2])[0]["location"] == "swedencentral"

    def test_a_container_sees_its_own_environment_and_nothing_of_the_dispatchers(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        env = {"A": "1", "B": None, "PUSHPOOL_RUN_ID": "forged"}
        request, handle = self.start(infrastructure, cloud.with_variables(run_id, command="env", env=env))

        self.until(infrastructure, request, handle, Phase.STOPPED)

        told = dict(line.split("=", 1) for line in cloud.api.log(handle).splitlines())
        assert (told["A"], told["PUSHPOOL_RUN_ID"], told["PUSHPOOL_RUN_TOKEN"]) == ("1", run_id, TOKEN)
        assert not {"B", "PUSHPOOL_AZURE_EMULATOR"} & told.keys()

    def test_a_secret_of_the_installation_reaches_the_container_alone(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        job = cloud.with_variables(run_id, command="env", secure_env={"KEY": "key"})
        request = infrastructure.request(job)
        shown = replace(request, body=revealed(request.body, lambda name: f"the value of {name}"))

        outcome = infrastructure.submit(submission(job, shown))

        assert isinstance(outcome, Accepted)
        seen = self.until(infrastructure, request, outcome.handle, Phase.STOPPED)
        assert "KEY=the value of key" in seen.log_tail
        group = cloud.api.subscription.get(outcome.handle)
        said = [json.dumps(request.body), json.dumps(group), json.dumps(cloud.api.subscription.listed()), caplog.text]
        assert '"KEY"' in said[1]
        assert not [each for each in said if "the value of key" in each or TOKEN in each]

    def test_the_last_lines_are_told_with_the_end(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        seen = self.run_to_its_end(infrastructure, cloud.job(run_id, exits=3, prints="no such table"))

        assert "no such table" in seen.log_tail

    def test_a_log_that_cannot_be_read_hides_no_end(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=3))
        self.until(infrastructure, request, handle, Phase.STOPPED)
        cloud.api.fail_next("timeout", call="ListLogs")

        seen = infrastructure.describe_many(request.target, [handle])[handle]

        assert (seen.exit_code, seen.log_tail) == (3, "")

    def test_many_are_described_at_once(self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str) -> None:
        codes = {}
        request = infrastructure.request(cloud.job(run_id))
        for number in range(12):
            _, handle = self.start(infrastructure, cloud.job(run_id, attempt=number + 1, exits=number % 3))
            codes[handle] = number % 3
        for handle in codes:
            self.until(infrastructure, request, handle, Phase.STOPPED)

        seen = infrastructure.describe_many(request.target, [*codes, cloud.unknown_handle()])

        assert seen[cloud.unknown_handle()].phase is Phase.MISSING
        assert {handle: seen[handle].exit_code for handle in codes} == codes

    def test_one_that_was_deleted_by_hand_is_missing(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))
        self.until(infrastructure, request, handle, Phase.RUNNING)

        cloud.api.delete(handle)

        assert infrastructure.describe_many(request.target, [handle])[handle].phase is Phase.MISSING
        assert infrastructure.find(request.target, run_id, 1, 1) is None
        infrastructure.cancel(request.target, handle)
        infrastructure.cleanup(request.target, handle)

    def test_a_cancel_before_it_begins_deletes_it(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        """It would begin yet, unseen."""
        with cloud.api.creations_held():
            request, handle = self.start(infrastructure, cloud.job(run_id))
            assert infrastructure.describe_many(request.target, [handle])[handle].phase is Phase.PENDING

            infrastructure.cancel(request.target, handle)

            self.until(infrastructure, request, handle, Phase.MISSING)
        assert cloud.started(run_id) == 0

    def test_a_cancel_that_comes_twice_is_no_trouble(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        """While it is being stopped Azure refuses another stop."""
        script = "trap 'sleep 0.3; exit' TERM; echo begun; sleep 60 & wait"
        request, handle = self.start(infrastructure, cloud.with_variables(run_id, command=["sh", "-c", script]))
        self.eventually(lambda: "begun" in cloud.api.log(handle) or None)

        for _ in range(2):
            infrastructure.cancel(request.target, handle)

        assert cloud.api.subscription.refused["ContainerGroupTransitioning"] >= 1
        assert self.until(infrastructure, request, handle, Phase.STOPPED).cause is Cause.STOPPED

    def test_one_that_somebody_stops_is_told_so(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))
        self.until(infrastructure, request, handle, Phase.RUNNING)

        cloud.api.subscription.stop(handle)

        assert self.until(infrastructure, request, handle, Phase.STOPPED).cause is Cause.STOPPED

    def test_one_without_memory_says_what_to_do(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))
        self.until(infrastructure, request, handle, Phase.RUNNING)

        cloud.api.kill(handle)

        assert "variable `memory`" in self.until(infrastructure, request, handle, Phase.STOPPED).message

    def test_cleaning_up_takes_its_own_group_alone(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, first = self.start(infrastructure, cloud.job(run_id))
        _, second = self.start(infrastructure, cloud.job(run_id, attempt=2))
        for handle in (first, second):
            self.until(infrastructure, request, handle, Phase.STOPPED)

        infrastructure.cleanup(request.target, first)

        assert cloud.api.groups() == [second.rpartition("/")[2]]

    def test_what_is_not_named_for_a_run_is_never_touched(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        target = infrastructure.request(cloud.job(run_id)).target
        calls = cloud.api.calls()
        foreign = cloud.unknown_handle().rpartition("/")[0] + "/the-shop"

        infrastructure.cancel(target, foreign)
        infrastructure.cleanup(target, foreign)

        assert cloud.api.calls() == calls

    def test_one_that_is_to_be_kept_is_not_cleaned_up(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.with_variables(run_id, keep_container_group=True)
        request, handle = self.start(infrastructure, job)
        self.until(infrastructure, request, handle, Phase.STOPPED)

        infrastructure.cleanup(request.target, handle)

        assert isinstance(infrastructure, Various)
        assert infrastructure.traits_of(request.target).cleanup_after is None
        assert len(cloud.api.groups()) == 1

    def test_a_command_that_the_image_lacks_says_what_to_do(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str
    ) -> None:
        seen = self.run_to_its_end(infrastructure, cloud.with_variables(run_id, command="no-such-program"))

        assert seen.cause in (Cause.REFUSED, Cause.EXITED)
        assert "check" in seen.message
