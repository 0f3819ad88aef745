"""What the local API of Azure Container Instances does, as Azure's own client sees it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from azure.core import exceptions

from dispatcher.testing.clock import HandClock
from dispatcher.testing.servers.azure import AzureApi, azure
from dispatcher.testing.servers.azure.regions import Size
from dispatcher.testing.servers.azure.resource_group import ResourceGroup, current
from dispatcher.testing.servers.ecs_cluster import eventually
from dispatcher.testing.servers.orders import Declined, order

Json = dict[str, Any]
LACKS = "is not available in the location 'westeurope' at this moment"


@pytest.fixture(scope="module")
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="module")
def api(clock: HandClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureApi]:
    with azure(tmp_path_factory.mktemp("azure"), now=clock.now) as made:
        yield made


@pytest.fixture
def mine(api: AzureApi, clock: HandClock) -> Iterator[ResourceGroup]:
    """Its creates and deletes are the first within an hour."""
    clock.move(timedelta(hours=1))
    api.behave(grace_seconds=0.5)
    made = ResourceGroup(api)
    yield made
    api.forget_faults()
    for name in api.groups():
        api.delete(name)
    made.close()


def refused(caught: pytest.ExceptionInfo[exceptions.HttpResponseError]) -> tuple[int | None, str | None]:
    error = caught.value.error
    return caught.value.status_code, error.code if error is not None else None


class TestCreating:
    def test_a_command_runs_and_its_end_is_told(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "echo some words; exit 3")

        found = mine.ended(name)

        assert (found.provisioning_state, found.instance_view.state) == ("Succeeded", "Failed")
        assert (current(found).state, current(found).exit_code, current(found).detail_status) == (
            "Terminated",
            3,
            "Error",
        )
        assert current(found).start_time <= current(found).finish_time
        assert mine.log(name) == "some words\n"

    def test_a_command_that_exits_well_succeeds(self, mine: ResourceGroup) -> None:
        found = mine.ended(mine.start("true"))

        assert (found.instance_view.state, current(found).detail_status) == ("Succeeded", "Completed")

    def test_the_operation_is_done_when_the_containers_run(self, mine: ResourceGroup) -> None:
        made = mine.groups.begin_create_or_update(mine.name, "polled", mine.body("sleep", "60")).result()

        assert (made.provisioning_state, made.instance_view.state) == ("Succeeded", "Running")

    def test_a_container_is_told_its_variables_and_nothing_else(self, mine: ResourceGroup) -> None:
        pairs = [{"name": "A", "value": "1"}, {"name": "B", "secureValue": "2"}]
        name = mine.start("env", container={"environmentVariables": pairs})
        mine.ended(name)

        told = dict(line.split("=", 1) for line in mine.log(name).splitlines())

        assert (told["A"], told["B"]) == ("1", "2")
        assert told.keys() <= {"A", "B", "PATH", "HOME", "PWD", "SHLVL", "_", "LC_CTYPE"}

    def test_the_runner_is_on_the_path(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "command -v pushpool-run; command -v python")
        mine.ended(name)

        assert len(mine.log(name).splitlines()) == 2

    def test_secrets_are_never_shown(self, mine: ResourceGroup) -> None:
        body = mine.body(
            "true",
            container={"environmentVariables": [{"name": "A", "secureValue": "hidden-1"}]},
            imageRegistryCredentials=[{"server": "one.example", "username": "me", "password": "hidden-2"}],
            diagnostics={"logAnalytics": {"workspaceId": "w", "workspaceKey": "hidden-3"}},
            volumes=[
                {"name": "s", "secret": {"file": "hidden-4"}},
                {
                    "name": "f",
                    "azureFile": {"shareName": "s", "storageAccountName": "a", "storageAccountKey": "hidden-5"},
                },
            ],
        )

        name = mine.put(body)

        mine.ended(name)
        said = json.dumps([mine.get(name).serialize(keep_readonly=True), *_listed(mine)])
        assert '"A"' in said
        assert "hidden" not in said

    def test_instance_views_are_of_one_group_alone(self, mine: ResourceGroup) -> None:
        name = mine.start("true")
        assert mine.ended(name).instance_view is not None

        listed = list(mine.groups.list_by_resource_group(mine.name))

        assert [each.name for each in listed] == [name]
        assert listed[0].instance_view is None
        assert listed[0].containers[0].instance_view is None

    def test_a_command_that_is_not_there_fails(self, mine: ResourceGroup) -> None:
        found = mine.ended(mine.start("/nowhere/program"))

        assert (found.instance_view.state, current(found).exit_code) == ("Failed", 127)
        assert found.containers[0].instance_view.events[-1].name == "Failed"

    def test_containers_of_a_group_run_side_by_side(self, mine: ResourceGroup) -> None:
        body = mine.body("true")
        second = {**body["properties"]["containers"][0], "name": "second"}
        second["properties"] = {**second["properties"], "command": ["false"]}
        body["properties"]["containers"].append(second)

        found = mine.ended(mine.put(body))

        assert found.instance_view.state == "Failed"
        assert [each.instance_view.current_state.exit_code for each in found.containers] == [0, 1]


class TestTheSameNameAgain:
    def test_while_it_is_created_the_name_is_taken(self, mine: ResourceGroup) -> None:
        with mine.api.creations_held():
            name = mine.start("true")
            assert mine.get(name).provisioning_state in ("Pending", "Creating")

            with pytest.raises(exceptions.HttpResponseError) as caught:
                mine.put(mine.body("true"), name)

        assert refused(caught) == (409, "ContainerGroupTransitioning")
        mine.ended(name)
        assert started(mine, name) == 1

    def test_while_it_runs_the_same_again_changes_nothing(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60")
        mine.until(name, "Running")

        mine.put(mine.body("sleep", "60"), name)

        assert started(mine, name) == 1

    def test_while_it_runs_another_body_starts_it_again(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60")
        mine.until(name, "Running")

        mine.put(mine.body("sh", "-c", "exit 5"), name)

        assert current(mine.until(name, "Failed")).exit_code == 5
        assert started(mine, name) == 2

    def test_after_its_end_the_same_again_starts_it_again(self, mine: ResourceGroup) -> None:
        """The trap: whoever asks twice has it run twice."""
        name = mine.start("true")
        mine.ended(name)

        mine.put(mine.body("true"), name)

        mine.ended(name)
        assert started(mine, name) == 2

    def test_in_another_region_it_is_refused(self, mine: ResourceGroup) -> None:
        name = mine.start("true")

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.put(mine.body("true", location="northeurope"), name)

        assert refused(caught) == (409, "InvalidResourceLocation")

    def test_in_another_region_after_its_deletion_it_is_suspicious(self, mine: ResourceGroup) -> None:
        name = mine.start("true")
        mine.ended(name)
        mine.delete(name)

        with pytest.raises(exceptions.HttpResponseError, match="Limit: '0', Usage: '0'") as caught:
            mine.put(mine.body("true", location="northeurope"), name)

        assert refused(caught) == (409, "ServiceUnavailable")


class TestStoppingAndDeleting:
    def test_a_stop_ends_the_containers_and_keeps_their_log(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "echo begun; exec sleep 60")
        eventually(lambda: "begun" in mine.api.log(name))

        mine.groups.stop(mine.name, name)

        found = mine.until(name, "Stopped")
        assert (current(found).state, current(found).exit_code) == ("Terminated", 143)
        assert mine.log(name) == "begun\n"

    def test_what_does_not_listen_is_killed_after_the_grace(self, mine: ResourceGroup) -> None:
        mine.api.behave(grace_seconds=0.05)
        name = mine.start("sh", "-c", "trap '' TERM; echo begun; sleep 60 & wait; wait")
        eventually(lambda: "begun" in mine.api.log(name))

        mine.groups.stop(mine.name, name)

        assert current(mine.until(name, "Stopped")).exit_code == 137

    def test_a_stop_after_the_end_changes_nothing(self, mine: ResourceGroup) -> None:
        name = mine.start("true")
        mine.ended(name)

        mine.groups.stop(mine.name, name)

        assert mine.get(name).instance_view.state == "Succeeded"

    def test_a_stop_while_it_is_created_is_refused(self, mine: ResourceGroup) -> None:
        with mine.api.creations_held():
            name = mine.start("true")

            with pytest.raises(exceptions.HttpResponseError) as caught:
                mine.groups.stop(mine.name, name)

        assert refused(caught) == (409, "ContainerGroupTransitioning")

    def test_what_was_stopped_can_be_started_again(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60")
        mine.until(name, "Running")
        mine.groups.stop(mine.name, name)
        mine.until(name, "Stopped")

        mine.groups.begin_start(mine.name, name).wait()

        mine.until(name, "Running")
        mine.groups.begin_restart(mine.name, name).wait()
        mine.until(name, "Running")
        assert started(mine, name) == 3

    def test_what_runs_is_gone_when_its_containers_are(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "trap 'sleep 0.1; exit' TERM; echo begun; sleep 60 & wait")
        eventually(lambda: "begun" in mine.api.log(name))

        mine.groups.begin_delete(mine.name, name, polling=False)

        assert mine.get(name).provisioning_state == "Deleting"
        eventually(lambda: name not in mine.api.groups())
        with pytest.raises(exceptions.ResourceNotFoundError) as caught:
            mine.get(name)
        assert refused(caught) == (404, "ResourceNotFound")

    def test_what_is_not_there_is_deleted_without_a_word(self, mine: ResourceGroup) -> None:
        mine.delete("never-was")

    def test_what_is_still_created_can_be_deleted_and_never_starts(self, mine: ResourceGroup) -> None:
        with mine.api.creations_held():
            name = mine.start("true")
            mine.delete(name)

        assert name not in mine.api.groups()
        assert started(mine, name) == 0

    def test_its_log_goes_with_it(self, mine: ResourceGroup) -> None:
        name = mine.start("true")
        mine.ended(name)
        mine.delete(name)

        with pytest.raises(exceptions.ResourceNotFoundError):
            mine.log(name)


class TestLogs:
    def test_after_the_end_a_thousand_lines_are_kept(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "seq 1 1500")
        mine.ended(name)

        assert mine.log(name).splitlines()[0] == "501"
        assert mine.log(name, tail=2) == "1499\n1500\n"

    def test_after_the_end_16_kib_are_kept(self, mine: ResourceGroup) -> None:
        name = mine.start("sh", "-c", "seq -f %0200g 1 200")
        mine.ended(name)

        assert len(mine.log(name)) == 16 * 1024

    def test_before_it_runs_there_is_none(self, mine: ResourceGroup) -> None:
        with mine.api.creations_held():
            name = mine.start("true")

            with pytest.raises(exceptions.HttpResponseError) as caught:
                mine.log(name)

        assert refused(caught) == (409, "ContainerGroupTransitioning")


class TestWhatHappensToContainers:
    def test_one_whose_memory_runs_out_is_killed(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60")
        mine.until(name, "Running")

        mine.api.kill(name)

        found = current(mine.until(name, "Failed"))
        assert (found.exit_code, found.detail_status) == (137, "OOMKilled")

    def test_one_that_is_evicted_is_started_again_elsewhere(self, mine: ResourceGroup) -> None:
        name = mine.start("sleep", "60", priority="Spot")
        mine.until(name, "Running")

        mine.api.evict(name)

        again = eventually(lambda: view if (view := _view(mine, name)).restart_count else None)
        assert (again.previous_state.exit_code, again.current_state.state) == (137, "Running")
        assert started(mine, name) == 2

    def test_one_may_be_started_again_under_never(self, mine: ResourceGroup) -> None:
        mine.api.fail_next("restarted")

        found = mine.ended(mine.start("sh", "-c", "exit 3"))

        view = found.containers[0].instance_view
        assert (view.restart_count, view.previous_state.exit_code, view.current_state.exit_code) == (1, 3, 3)
        assert started(mine, found.name) == 2

    def test_on_failure_goes_on_until_it_exits_well(self, mine: ResourceGroup) -> None:
        folder = mine.api.subscription.folder / "tries"
        script = f'mkdir "{folder}" 2>/dev/null && exit 1; exit 0'

        found = mine.ended(mine.start("sh", "-c", script, restartPolicy="OnFailure"))

        assert (found.instance_view.state, found.containers[0].instance_view.restart_count) == ("Succeeded", 1)


class TestCapacity:
    @pytest.mark.parametrize("how", ["at once", "later"])
    def test_what_found_none_is_there_and_may_start_later(self, mine: ResourceGroup, how: str) -> None:
        mine.api.fail_next("capacity" if how == "at once" else "provisioning")
        if how == "at once":
            with pytest.raises(exceptions.HttpResponseError, match=LACKS) as caught:
                mine.put(mine.body("true"), "late")
            assert refused(caught) == (409, "ServiceUnavailable")
        else:
            with pytest.raises(exceptions.HttpResponseError, match=LACKS):
                mine.groups.begin_create_or_update(mine.name, "late", mine.body("true")).result()
        found = mine.get("late")
        assert (found.provisioning_state, found.instance_view.state, current(found).state) == (
            "Failed", "Pending", "Waiting",
        )  # fmt: skip

        assert mine.api.capacity_returns() == ["late"]

        assert mine.ended("late").instance_view.state == "Succeeded"

    def test_what_was_deleted_never_starts(self, mine: ResourceGroup) -> None:
        mine.api.behave(without_capacity=frozenset({"westeurope"}))
        with pytest.raises(exceptions.HttpResponseError, match=LACKS):
            mine.put(mine.body("true"), "deleted")
        mine.delete("deleted")

        assert mine.api.capacity_returns() == []

    def test_what_was_stopped_never_starts(self, mine: ResourceGroup) -> None:
        mine.api.fail_next("provisioning")
        name = mine.start("true")
        mine.groups.stop(mine.name, name)

        assert mine.api.capacity_returns() == []
        assert mine.get(name).instance_view.state == "Stopped"

    def test_another_region_has_its_own(self, mine: ResourceGroup) -> None:
        mine.api.behave(without_capacity=frozenset({"westeurope"}))

        name = mine.put(mine.body("true", location="North Europe"))

        assert mine.ended(name).location == "northeurope"

    @pytest.mark.parametrize(
        "asked",
        [
            {"cpu": 5, "memoryInGB": 8},
            {"cpu": 1, "memoryInGB": 17},
            {"cpu": 1, "memoryInGB": 1, "gpu": {"count": 1, "sku": "V100"}},
        ],
    )
    def test_what_is_too_large_for_a_region_is_said_so_too(self, mine: ResourceGroup, asked: Json) -> None:
        mine.api.behave(sizes={"westeurope": Size(4, 16)})

        with pytest.raises(exceptions.HttpResponseError, match=LACKS):
            mine.start("true", container={"resources": {"requests": asked}})

    def test_an_image_that_cannot_be_pulled_keeps_it_waiting(self, mine: ResourceGroup) -> None:
        mine.api.fail_next("image pull")
        name = mine.start("true")

        found = mine.get(name)

        assert (found.provisioning_state, current(found).detail_status) == ("Failed", "ImagePullBackOff")
        assert "Failed to pull image" in found.containers[0].instance_view.events[-1].message


class TestLimits:
    def test_there_are_100_creates_in_any_five_minutes(self, mine: ResourceGroup, clock: HandClock) -> None:
        """A name that is taken counts as one that is new."""
        name = mine.start("sleep", "60")
        mine.until(name, "Running")
        for _ in range(49):
            mine.put(mine.body("sleep", "60"), name)
        clock.move(timedelta(minutes=4))
        for _ in range(50):
            mine.put(mine.body("sleep", "60"), name)

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.start("true")

        assert refused(caught) == (429, "TooManyRequests")
        assert _headers(caught)["Retry-After"] == "60"
        clock.move(timedelta(minutes=1))
        mine.start("true")

    def test_there_are_as_many_in_an_hour_as_there_may_be(self, mine: ResourceGroup, clock: HandClock) -> None:
        from dispatcher.testing.servers.azure.limits import Limit

        mine.api.behave(rates=(Limit(3, 60), Limit(2, 5)))
        for _ in range(3):
            mine.start("true")
            clock.move(timedelta(minutes=5))

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.start("true")

        assert _headers(caught)["Retry-After"] == str(45 * 60)
        mine.ended(mine.put(mine.body("true", location="northeurope")))

    def test_deletes_are_counted_for_themselves(self, mine: ResourceGroup) -> None:
        from dispatcher.testing.servers.azure.limits import Limit

        names = [mine.start("true"), mine.start("true")]
        for name in names:
            mine.ended(name)
        mine.api.behave(rates=(Limit(1, 5),))
        mine.delete(names[0])

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.delete(names[1])

        assert refused(caught) == (429, "TooManyRequests")

    def test_groups_count_until_they_are_deleted(self, mine: ResourceGroup) -> None:
        mine.api.behave(most_groups=1)
        name = mine.start("true")
        mine.ended(name)

        with pytest.raises(exceptions.HttpResponseError, match="quota 'ContainerGroups' exceeded") as caught:
            mine.start("true")

        assert refused(caught) == (400, "ContainerGroupQuotaReached")
        mine.delete(name)
        mine.start("true")

    def test_cores_count_until_they_are_given_back(self, mine: ResourceGroup) -> None:
        mine.api.behave(most_cores=1)
        name = mine.start("sleep", "60")

        with pytest.raises(exceptions.HttpResponseError, match="quota 'StandardCores' exceeded"):
            mine.start("true")

        mine.until(name, "Running")
        mine.groups.stop(mine.name, name)
        mine.until(name, "Stopped")
        mine.start("true")

    def test_many_at_once_are_counted_one_by_one(self, mine: ResourceGroup) -> None:
        from dispatcher.testing.servers.azure.limits import Limit

        mine.api.behave(rates=(Limit(5, 5),))

        def start(_: int) -> bool:
            try:
                mine.start("true")
            except exceptions.HttpResponseError:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(start, range(16))) == 5


class TestBadRequests:
    @pytest.mark.parametrize(
        ("properties", "words"),
        [
            ({"restartPolicy": "Sometimes"}, "'properties.restartPolicy'"),
            ({"osType": None}, "Required property 'osType'"),
            ({"containers": []}, "1 to 60 containers"),
            ({"containers": "one"}, "'properties.containers'"),
            ({"subnet": []}, "Could not find member 'subnet'"),
            ({"subnetIds": [{"name": "x"}]}, "'properties.subnetIds[0].id'"),
            ({"dnsConfig": {"nameServers": "1.1.1.1"}}, "'properties.dnsConfig.nameServers'"),
            ({"priority": "Spot", "subnetIds": [{"id": "/a"}]}, "Spot"),
            ({"imageRegistryCredentials": [{"server": "https://x", "identity": "i"}]}, "has a protocol"),
            ({"imageRegistryCredentials": [{"server": "x", "username": "u"}]}, "an identity, or a user name and"),
            ({"diagnostics": {"logAnalytics": {"workspaceId": "w"}}}, "workspaceKey"),
        ],
    )
    def test_a_group_that_does_not_fit_is_refused_with_the_place(
        self, mine: ResourceGroup, properties: Json, words: str
    ) -> None:
        body = mine.body("true")
        body["properties"].update(properties)

        assert words in _refusal(mine, body)

    @pytest.mark.parametrize(
        ("container", "words"),
        [
            ({"command": "true"}, "properties.command'"),
            ({"command": [1]}, "properties.command[0]'"),
            ({"image": None}, "Required property 'image'"),
            ({"image": "nobody/nothing:1"}, "is not accessible"),
            ({"resources": {"requests": {"cpu": "1", "memoryInGB": 1}}}, "requests.cpu'"),
            ({"resources": {"requests": {"cpu": 1}}}, "memoryInGB"),
            ({"resources": {"requests": {"cpu": 32, "memoryInGB": 1}}}, "at most 31 and 240"),
            ({"resources": {"requests": {"cpu": 0, "memoryInGB": 1}}}, "at most 31 and 240"),
            ({"environmentVariables": [{"name": "A-B", "value": "1"}]}, "'A-B' is invalid"),
            ({"environmentVariables": [{"name": "A" * 64, "value": "1"}]}, "is invalid"),
            ({"environmentVariables": [{"name": "A"}, {"name": "A"}]}, "there twice"),
            ({"environmentVariables": [{"name": "A", "value": "1", "secureValue": "2"}]}, "two values"),
            ({"environmentVariables": [{"name": "A", "value": 1}]}, "environmentVariables[0].value'"),
        ],
    )
    def test_a_container_that_does_not_fit_is_refused_with_the_place(
        self, mine: ResourceGroup, container: Json, words: str
    ) -> None:
        assert words in _refusal(mine, mine.body("true", container=container))

    @pytest.mark.parametrize("name", ["A", "a_b", "-a", "a-", "a" * 64])
    def test_a_bad_name_is_refused(self, mine: ResourceGroup, name: str) -> None:
        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.put(mine.body("true"), name)

        assert refused(caught) == (400, "InvalidResourceName")

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"location": "mars"}, "LocationNotAvailableForResourceType"),
            ({"location": None}, "LocationRequired"),
            ({"tags": {f"t{n}": "" for n in range(51)}}, "InvalidTags"),
            ({"tags": {"a/b": ""}}, "InvalidTagNameOrValue"),
            ({"tags": {"a": "x" * 257}}, "InvalidTagNameOrValue"),
            ({"name": 1}, ""),
        ],
    )
    def test_what_is_around_it_is_looked_at_too(self, mine: ResourceGroup, body: Json, code: str) -> None:
        whole = {**mine.body("true"), **body}
        if not code:
            mine.put(whole)
            return

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.put(whole)

        assert refused(caught) == (400, code)

    def test_identities_and_subnets_are_those_that_may_be_given(self, mine: ResourceGroup) -> None:
        mine.api.behave(linked=("/mine",))
        identity = {"type": "UserAssigned", "userAssignedIdentities": {"/another": {}}}

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.put({**mine.body("true"), "identity": identity})

        assert refused(caught) == (403, "LinkedAuthorizationFailed")
        mine.put(mine.body("true", subnetIds=[{"id": "/mine"}]))


class TestResourceManager:
    def test_a_resource_group_has_a_location(self, mine: ResourceGroup) -> None:
        found = ask(mine.api, f"/resourcegroups/{mine.name.upper()}", "2021-04-01")

        assert (found["location"], found["properties"]["provisioningState"]) == ("westeurope", "Succeeded")

    def test_one_that_is_not_there_is_told_so(self, mine: ResourceGroup) -> None:
        with pytest.raises(exceptions.ResourceNotFoundError) as caught:
            mine.groups.get("another", "group")

        assert refused(caught) == (404, "ResourceGroupNotFound")

    def test_the_service_is_registered_or_not(self, mine: ResourceGroup) -> None:
        assert (
            ask(mine.api, "/providers/Microsoft.ContainerInstance", "2021-04-01")["registrationState"] == "Registered"
        )
        mine.api.behave(is_registered=False)

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.start("true")

        assert refused(caught) == (409, "MissingSubscriptionRegistration")

    def test_permissions_are_those_that_hold(self, mine: ResourceGroup) -> None:
        mine.api.behave(actions=("Microsoft.ContainerInstance/containerGroups/*",), not_actions=("*/write",))

        path = f"/resourceGroups/{mine.name}/providers/Microsoft.Authorization/permissions"
        found = ask(mine.api, path, "2022-04-01")["value"][0]

        assert (found["actions"], found["notActions"]) == (
            ["Microsoft.ContainerInstance/containerGroups/*"],
            ["*/write"],
        )
        assert list(mine.groups.list_by_resource_group(mine.name)) == []
        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.start("true")
        assert refused(caught) == (403, "AuthorizationFailed")

    def test_usages_are_of_a_region(self, mine: ResourceGroup) -> None:
        mine.until(mine.start("sleep", "60"), "Running")

        used = {
            each.name.value: (each.current_value, each.limit) for each in mine.client.location.list_usage("westeurope")
        }

        assert used == {"ContainerGroups": (1, 100), "StandardCores": (1, 100)}

    def test_capabilities_are_of_a_region(self, mine: ResourceGroup) -> None:
        mine.api.behave(sizes={"westeurope": Size(4, 16)})

        found = [each.capabilities for each in mine.client.location.list_capabilities("westeurope")]

        assert {(each.max_cpu, each.max_memory_in_gb, each.max_gpu_count) for each in found} == {(4, 16, 0)}

    def test_long_lists_come_in_pages(self, mine: ResourceGroup) -> None:
        mine.api.fail_next("provisioning", times=51)
        names = {mine.start("true") for _ in range(51)}

        assert {each.name for each in mine.groups.list()} == names

    @pytest.mark.parametrize(
        ("path", "headers", "status", "code"),
        [
            ("/resourceGroups/pushpool", {}, 400, "MissingApiVersionParameter"),
            ("/resourceGroups/pushpool?api-version=1999-01-01", {}, 400, "InvalidApiVersionParameter"),
            (
                "/resourceGroups/pushpool?api-version=2021-04-01",
                {"Authorization": ""},
                401,
                "InvalidAuthenticationToken",
            ),
            (
                "/resourceGroups/pushpool?api-version=2021-04-01",
                {"Authorization": "Bearer x"},
                401,
                "InvalidAuthenticationToken",
            ),
            ("/somewhere?api-version=2021-04-01", {}, 404, "InvalidResourceType"),
        ],
    )
    def test_a_request_that_is_none_is_refused(
        self, mine: ResourceGroup, path: str, headers: dict[str, str], status: int, code: str
    ) -> None:
        url = f"http://{mine.api.endpoint}/subscriptions/{mine.api.subscription.id}{path}"
        request = urllib.request.Request(url, headers={"Authorization": "Bearer local", **headers})

        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)

        with caught.value as answer:
            assert (answer.code, json.load(answer)["error"]["code"]) == (status, code)


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("throttled", (429, "TooManyRequests")),
            ("quota for the hour", (429, "TooManyRequests")),
            ("denied", (403, "AuthorizationFailed")),
            ("linked denied", (403, "LinkedAuthorizationFailed")),
            ("unauthenticated", (401, "InvalidAuthenticationToken")),
            ("unregistered", (409, "MissingSubscriptionRegistration")),
            ("rejected", (400, "InaccessibleImage")),
            ("registry", (409, "RegistryErrorResponse")),
            ("transitioning", (409, "ContainerGroupTransitioning")),
            ("groups", (400, "ContainerGroupQuotaReached")),
            ("cores", (400, "ContainerGroupQuotaReached")),
            ("internal", (500, "InternalServerError")),
        ],
    )
    def test_a_refusal_has_no_effect(self, mine: ResourceGroup, kind: str, expected: tuple[int, str]) -> None:
        mine.api.fail_next(kind)

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.start("true")

        assert refused(caught) == expected
        assert mine.api.groups() == []

    @pytest.mark.parametrize(("kind", "effects"), [("timeout", 0), ("reply lost", 1)])
    def test_no_answer_has_its_effect_or_none(self, mine: ResourceGroup, kind: str, effects: int) -> None:
        mine.api.fail_next(kind)

        with pytest.raises(exceptions.ServiceResponseError):
            mine.start("true")

        assert len(mine.api.groups()) == effects

    def test_the_side_door_does_it_for_other_processes(self, mine: ResourceGroup) -> None:
        url = f"http://{mine.api.endpoint}/_pushpool"
        order(f"{url}/fail-next", {"kind": "denied"})
        order(f"{url}/behave", {"without_capacity": ["northeurope"], "sizes": {"westeurope": [4, 16]}})
        with pytest.raises(exceptions.HttpResponseError, match="AuthorizationFailed"):
            mine.start("true")
        with pytest.raises(exceptions.HttpResponseError, match="northeurope"):
            mine.put(mine.body("true", location="northeurope"), "there")
        assert order(f"{url}/groups", {}) == ["there"]
        assert order(f"{url}/capacity-returns", {"region": "northeurope"}) == ["there"]
        pairs = [{"name": "PUSHPOOL_RUN_ID", "value": "door"}]
        name = mine.start("sh", "-c", "echo begun; sleep 60", container={"environmentVariables": pairs})
        eventually(lambda: "begun" in order(f"{url}/log", {"group": name}))

        order(f"{url}/kill", {"group": name})

        assert current(mine.until(name, "Failed")).detail_status == "OOMKilled"
        assert order(f"{url}/started", {"run_id": "door"}) == [name]
        with pytest.raises(Declined, match="no-such-order"):
            order(f"{url}/no-such-order", {})


def ask(api: AzureApi, path: str, version: str) -> Json:
    url = f"http://{api.endpoint}/subscriptions/{api.subscription.id}{path}?api-version={version}"
    request = urllib.request.Request(url, headers={"Authorization": "Bearer local"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: Json = json.load(answer)
    return found


def started(mine: ResourceGroup, name: str) -> int:
    return [group for group, _ in mine.api.subscription.started].count(name)


def _listed(mine: ResourceGroup) -> list[Json]:
    return [each.serialize(keep_readonly=True) for each in mine.groups.list()]


def _view(mine: ResourceGroup, name: str) -> Any:
    return mine.get(name).containers[0].instance_view


def _headers(caught: pytest.ExceptionInfo[exceptions.HttpResponseError]) -> Any:
    response: Any = caught.value.response
    return response.headers


def _refusal(mine: ResourceGroup, body: Json) -> str:
    with pytest.raises(exceptions.HttpResponseError) as caught:
        mine.put(body)
    assert caught.value.status_code == 400
    assert mine.api.groups() == []
    return str(caught.value)
