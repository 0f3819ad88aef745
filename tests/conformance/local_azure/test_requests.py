"""What the local Azure Container Instances and their Resource Manager refuse, and how they fail if told to."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.core import exceptions

from dispatcher.testing.servers.azure import AzureApi
from dispatcher.testing.servers.azure.regions import Size
from dispatcher.testing.servers.azure.resource_group import ResourceGroup, current, refused
from dispatcher.testing.servers.ecs_cluster import eventually
from dispatcher.testing.servers.orders import Declined, order

Json = dict[str, Any]


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

        assert refused(caught.value) == (400, "InvalidResourceName")

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

        assert refused(caught.value) == (400, code)

    def test_identities_and_subnets_are_those_that_may_be_given(self, mine: ResourceGroup) -> None:
        mine.api.behave(linked=("/mine",))
        identity = {"type": "UserAssigned", "userAssignedIdentities": {"/another": {}}}

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.put({**mine.body("true"), "identity": identity})

        assert refused(caught.value) == (403, "LinkedAuthorizationFailed")
        mine.put(mine.body("true", subnetIds=[{"id": "/mine"}]))


def _refusal(mine: ResourceGroup, body: Json) -> str:
    with pytest.raises(exceptions.HttpResponseError) as caught:
        mine.put(body)
    assert caught.value.status_code == 400
    assert mine.api.groups() == []
    return str(caught.value)


class TestResourceManager:
    def test_a_resource_group_has_a_location(self, mine: ResourceGroup) -> None:
        found = ask(mine.api, f"/resourcegroups/{mine.name.upper()}", "2021-04-01")

        assert (found["location"], found["properties"]["provisioningState"]) == ("westeurope", "Succeeded")

    def test_one_that_is_not_there_is_told_so(self, mine: ResourceGroup) -> None:
        with pytest.raises(exceptions.ResourceNotFoundError) as caught:
            mine.groups.get("another", "group")

        assert refused(caught.value) == (404, "ResourceGroupNotFound")

    def test_the_service_is_registered_or_not(self, mine: ResourceGroup) -> None:
        assert (
            ask(mine.api, "/providers/Microsoft.ContainerInstance", "2021-04-01")["registrationState"] == "Registered"
        )
        mine.api.behave(is_registered=False)

        with pytest.raises(exceptions.HttpResponseError) as caught:
            mine.start("true")

        assert refused(caught.value) == (409, "MissingSubscriptionRegistration")

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
        assert refused(caught.value) == (403, "AuthorizationFailed")

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


def ask(api: AzureApi, path: str, version: str) -> Json:
    url = f"http://{api.endpoint}/subscriptions/{api.subscription.id}{path}?api-version={version}"
    request = urllib.request.Request(url, headers={"Authorization": "Bearer local"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: Json = json.load(answer)
    return found


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

        assert refused(caught.value) == expected
        assert mine.api.groups() == []

    @pytest.mark.parametrize(("kind", "effects"), [("timeout", 0), ("reply lost", 1)])
    def test_no_answer_has_its_effect_or_none(self, mine: ResourceGroup, kind: str, effects: int) -> None:
        mine.api.fail_next(kind)

        with pytest.raises(exceptions.ServiceResponseError):
            mine.start("true")

        assert len(mine.api.groups()) == effects

    def test_a_reply_that_is_held_comes_when_the_block_ends(self, mine: ResourceGroup) -> None:
        with ThreadPoolExecutor(1) as threads:
            with mine.api.replies_held() as reached:
                asked = threads.submit(mine.start, "true")
                assert reached.wait(20)
                (name,) = mine.api.groups()
                assert not asked.done()

            assert asked.result(20) == name

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
        with pytest.raises(Declined, match="no call 'CreateGroup'"):
            order(f"{url}/fail-next", {"kind": "denied", "call": "CreateGroup"})
