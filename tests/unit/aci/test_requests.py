"""What a container instance pool makes of a job's configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from adapters.infrastructure import aci
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("aci_*.json"))
RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
PROVIDERS = "/subscriptions/s/resourceGroups/shared/providers"
IDENTITY = f"{PROVIDERS}/Microsoft.ManagedIdentity/userAssignedIdentities"
SUBNET = f"{PROVIDERS}/Microsoft.Network/virtualNetworks/net/subnets/jobs"
SECRET = {"$secret": "of-ours"}

Json = dict[str, Any]
MakeJob = Callable[..., Job]
Made = Callable[..., Json]
Adapter = aci.AzureContainerInstances


def told(container: Json) -> Json:
    return {pair.pop("name"): pair for pair in deepcopy(container["environmentVariables"])}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_request_is_as_it_was(adapter: Adapter, make_job: MakeJob, golden: Path) -> None:
    case = json.loads(golden.read_text())

    assert asdict(adapter.request(make_job(case["configuration"], **case["job"]))) == case["request"]


def test_there_are_golden_requests() -> None:
    assert len(GOLDEN) == 5


def test_a_request_changes_nothing_of_the_configuration(adapter: Adapter, make_job: MakeJob) -> None:
    for golden in GOLDEN:
        job = make_job(json.loads(golden.read_text())["configuration"])
        before = deepcopy(job.configuration)

        adapter.request(job)

        assert job.configuration == before


class TestPlace:
    def test_without_a_region_it_is_the_resource_groups_own(self, adapter: Adapter, make_job: MakeJob) -> None:
        made = adapter.request(make_job())

        assert made.target.region == ""
        assert "location" not in made.body["containerGroup"]

    def test_the_template_goes_before_the_installations_region(self, make_job: MakeJob) -> None:
        opened = aci.open({"region": "northeurope"})
        regions = [
            opened.request(make_job(**keys)).target.region
            for keys in (
                {},
                {"group": {"location": "[parameters('location')]"}},
                {"group": {"location": "eastus2"}},
                {"group": {"location": "eastus2"}, "region": "West Europe"},
            )
        ]

        assert regions == ["northeurope", "northeurope", "eastus2", "westeurope"]

    def test_each_refusal_sends_it_to_the_next_region_under_another_name(
        self, adapter: Adapter, make_job: MakeJob
    ) -> None:
        regions = {"region": "westeurope", "other_regions": ["northeurope", "westeurope", "eastus2"]}

        made = [adapter.request(make_job(submit_seq=n + 1, refusals=n, **regions)) for n in range(4)]

        assert [each.target.region for each in made] == ["westeurope", "northeurope", "eastus2", "westeurope"]
        assert [each.body["containerGroup"]["location"] for each in made] == [each.target.region for each in made]
        assert len({each.body["containerGroupName"] for each in made}) == 4

    def test_a_name_is_of_one_submission_and_short_enough(self, adapter: Adapter, make_job: MakeJob) -> None:
        made = adapter.request(make_job(attempt=9_999, submit_seq=999_999)).body["containerGroupName"]

        assert made == f"pushpool-{RUN.replace('-', '')}-9999-999999"
        assert len(made) <= 63

    def test_what_is_kept_is_not_cleaned_up(self, adapter: Adapter, make_job: MakeJob) -> None:
        kept, other = (adapter.request(make_job(keep_container_group=keep)).target for keep in (True, False))

        assert (kept.group, other.group) == ("jobs/kept", "jobs")
        assert adapter.traits_of(kept).cleanup_after is None
        assert adapter.traits_of(other).cleanup_after is not None

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"region": "eu-west-1"}, "region"),
            ({"region": ["westeurope"]}, "region"),
            ({"other_regions": "westeurope"}, "other_regions"),
            ({"other_regions": ["moon base"] * 2 + ["x"]}, "other_regions[2]"),
            ({"resource_group_name": None}, "resource_group_name"),
            ({"resource_group_name": "x" * 91}, "resource_group_name"),
            ({"resource_group_name": "ends."}, "resource_group_name"),
            ({"resource_group_name": "a/b"}, "resource_group_name"),
            ({"subscription_id": "my subscription"}, "subscription_id"),
        ],
    )
    def test_a_place_that_is_none_is_refused(self, group: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            group(**keys)

        assert refused.value.path == path

    def test_without_a_subscription_there_is_no_request(self, group: Made, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AZURE_SUBSCRIPTION_ID")

        with pytest.raises(InvalidInput, match="or AZURE_SUBSCRIPTION_ID for the dispatcher"):
            group()


class TestCommand:
    @pytest.mark.parametrize(
        ("keys", "words"),
        [
            ({"command": "python -m 'my jobs'"}, ["pushpool-run", "--", "python", "-m", "my jobs"]),
            ({"command": ["pushpool-run", "--entrypoint", "a.py:run"]}, ["pushpool-run", "--entrypoint", "a.py:run"]),
            ({"command": None, "container": {"command": ["etl"]}}, ["pushpool-run", "--", "etl"]),
            ({"command": "etl", "runner": False}, ["etl"]),
            ({"command": None, "container": {"command": "[etl(1)]"}, "runner": False}, ["[etl(1)]"]),
            ({"command": "etl", "entrypoint": "/opt/e.sh"}, ["/opt/e.sh", "pushpool-run", "--", "etl"]),
            ({"command": "etl", "entrypoint": "/opt/e.sh", "runner": False}, ["/opt/e.sh", "etl"]),
            ({"command": None, "entrypoint": "/opt/e.sh", "runner": False}, None),
        ],
    )
    def test_it_stands_in_place_of_the_images_own(self, container: Made, keys: Json, words: list[str] | None) -> None:
        assert container(**keys).get("command") == words

    def test_with_a_runner_there_has_to_be_one(self, group: Made) -> None:
        with pytest.raises(InvalidInput, match="command is empty"):
            group(command=None)

    @pytest.mark.parametrize("image", [None, "two words", 3])
    def test_an_image_that_is_none_is_refused(self, group: Made, image: object) -> None:
        with pytest.raises(InvalidInput) as refused:
            group(container={"image": image})

        assert refused.value.path == "image"

    def test_it_is_never_started_again(self, group: Made) -> None:
        assert group(properties={"restartPolicy": "Always"})["properties"]["restartPolicy"] == "Never"


class TestEnvironment:
    def test_secrets_are_secure_values_and_all_else_is_in_the_clear(self, container: Made) -> None:
        nested = [{"name": "OLD", "value": "1"}, {"name": "KEY", "secureValue": SECRET}, {"name": "GONE", "value": "1"}]

        made = told(
            container(
                container={"environmentVariables": nested},
                env={"A": 1, "GONE": None, "MARKED": SECRET, "PREFECT_API_KEY": "pnu"},
                secure_env={"PASSWORD": "db-password", "TOLD": SECRET},
            )
        )

        assert {name: value for name, value in made.items() if not name.startswith("PUSHPOOL_")} == {
            "A": {"value": "1"},
            "KEY": {"secureValue": SECRET},
            "MARKED": {"secureValue": SECRET},
            "OLD": {"value": "1"},
            "PASSWORD": {"secureValue": {"$secret": "db-password"}},
            "PREFECT_API_KEY": {"secureValue": "pnu"},
            "TOLD": {"secureValue": SECRET},
        }

    def test_the_last_word_says_whether_a_variable_is_secret(self, container: Made) -> None:
        nested = [{"name": "A", "secureValue": SECRET}, {"name": "B", "value": "1"}]

        made = told(
            container(container={"environmentVariables": nested}, env={"A": "clear"}, secure_env={"B": "of-ours"})
        )

        assert (made["A"], made["B"]) == ({"value": "clear"}, {"secureValue": SECRET})

    def test_what_goes_before_the_run_is_told_secrets_as_such_and_nothing_of_ours(self, group: Made) -> None:
        pairs = [
            {"name": "KEY", "secureValue": SECRET},
            {"name": "MARKED", "value": SECRET},
            {"name": "PUSHPOOL_RUN_ID", "value": "forged"},
            {"name": "PUSHPOOL_RUN_TOKEN", "secureValue": SECRET},
        ]
        before = {"name": "first", "properties": {"image": "busybox", "environmentVariables": pairs}}

        (made,) = group(properties={"initContainers": [before]})["properties"]["initContainers"]

        assert told(made["properties"]) == {"KEY": {"secureValue": SECRET}, "MARKED": {"secureValue": SECRET}}

    def test_what_goes_before_the_run_has_no_secret_in_the_clear(self, group: Made) -> None:
        pairs = [{"name": "KEY", "secureValue": "hunter2"}]
        before = {"name": "first", "properties": {"image": "busybox", "environmentVariables": pairs}}

        with pytest.raises(InvalidInput) as refused:
            group(properties={"initContainers": [before]})

        place = "arm_template.resources[0].properties.initContainers[0].properties.environmentVariables.KEY"
        assert refused.value.path == place
        assert "hunter2" not in str(refused.value)

    def test_ours_cannot_be_overridden_nor_added_to(self, container: Made) -> None:
        forged = {"PUSHPOOL_RUN_ID": "forged", "PUSHPOOL_X": "1"}

        made = told(container(env=forged, secure_env={"PUSHPOOL_RUN_TOKEN": "mine"}))

        assert made == {"PUSHPOOL_RUN_ID": {"value": RUN}, "PUSHPOOL_ATTEMPT": {"value": "1"}}

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"env": {"A-B": "1"}}, "env.A-B"),
            ({"env": {"A" * 64: "1"}}, f"env.{'A' * 64}"),
            ({"env": {"A": ["x"]}}, "env.A"),
            ({"secure_env": {"A": "the secret itself!"}}, "secure_env.A"),
            ({"secure_env": "A"}, "secure_env"),
        ],
    )
    def test_what_cannot_be_told_is_refused(self, group: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            group(**keys)

        assert refused.value.path == path
        assert "itself" not in str(refused.value)


class TestSize:
    def test_numbers_are_numbers_however_they_were_written(self, container: Made) -> None:
        made = container(container={"resources": {"requests": {"cpu": "2", "memoryInGB": 3}}})

        assert made["resources"]["requests"] == {"cpu": 2.0, "memoryInGB": 3.0}

    @pytest.mark.parametrize(
        ("keys", "path", "words"),
        [
            ({"cpu": 32}, "cpu", "31 vCPU and 240 GB"),
            ({"memory": 241}, "memory", "31 vCPU and 240 GB"),
            ({"cpu": 5, "priority": "Spot"}, "cpu", "4 vCPU and 16 GB"),
            ({"memory": "lots"}, "memory", "as in 1.5"),
            ({"cpu": -1}, "cpu", "as in 1.5"),
            ({"cpu": True}, "cpu", "as in 1.5"),
            ({"gpu_count": 1}, "gpu_count", "14 July 2025"),
            ({"gpu_sku": "V100"}, "gpu_sku", "modal:push"),
            (
                {"container": {"resources": {"requests": {"gpu": {"count": 1, "sku": "V100"}}}}},
                "arm_template.resources[0].properties.containers",
                "14 July 2025",
            ),
        ],
    )
    def test_what_azure_does_not_have_is_refused(self, group: Made, keys: Json, path: str, words: str) -> None:
        with pytest.raises(InvalidInput, match=words) as refused:
            group(**keys)

        assert refused.value.path == path


class TestAttachments:
    def test_a_registrys_identity_is_the_groups_as_well(self, group: Made) -> None:
        registry = {"registry_url": "https://team.azurecr.io/", "identity": f"{IDENTITY}/pull"}

        made = group(image_registry=registry, identities=["SystemAssigned", f"{IDENTITY}/run"])

        assert made["properties"]["imageRegistryCredentials"] == [
            {"server": "team.azurecr.io", "identity": f"{IDENTITY}/pull"}
        ]
        assert made["identity"] == {
            "type": "SystemAssigned, UserAssigned",
            "userAssignedIdentities": {f"{IDENTITY}/run": {}, f"{IDENTITY}/pull": {}},
        }

    def test_a_registrys_password_is_a_secret_of_ours(self, group: Made) -> None:
        registry = {"registry_url": "index.docker.io", "username": "team"}

        made = group(image_registry=registry, image_registry_password=SECRET)

        assert made["properties"]["imageRegistryCredentials"] == [
            {"server": "index.docker.io", "username": "team", "password": SECRET}
        ]

    def test_it_joins_a_subnet_and_sends_its_log(self, group: Made) -> None:
        logs = {"workspaceId": "w", "workspaceKey": SECRET}

        made = group(subnet_ids=[SUBNET], dns_servers=["10.0.0.4"], log_analytics=logs)["properties"]

        assert made["subnetIds"] == [{"id": SUBNET}]
        assert made["dnsConfig"] == {"nameServers": ["10.0.0.4"]}
        assert made["diagnostics"] == {"logAnalytics": logs}

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"identities": ["my-identity"]}, "identities"),
            ({"identities": "SystemAssigned"}, "identities"),
            ({"subnet_ids": ["jobs"]}, "subnet_ids"),
            ({"subnet_ids": [SUBNET], "priority": "Spot"}, "subnet_ids"),
            ({"image_registry": {"registry_url": "x", "username": "u"}}, "image_registry"),
            ({"image_registry": {"server": "x"}}, "image_registry"),
            ({"image_registry": {"registry_url": "x", "username": "u", "password": "p"}}, "image_registry.password"),
            ({"log_analytics": {"workspaceId": "w"}}, "log_analytics"),
            ({"log_analytics": {"workspaceId": "w", "workspaceKey": "clear"}}, "log_analytics.workspaceKey"),
            (
                {"properties": {"volumes": [{"name": "v", "secret": {"key": "Zm9v"}}]}},
                "arm_template.resources[0].properties.volumes[0].secret.key",
            ),
            ({"image_registry": {"registry_url": "https://u:p@x", "identity": "i"}}, "image_registry.registry_url"),
            (
                {"properties": {"imageRegistryCredentials": [{"server": "u:p@x.io"}]}},
                "arm_template.resources[0].properties.imageRegistryCredentials[0].server",
            ),
            (
                {"properties": {"extensions": [{"name": "e", "properties": {"protectedSettings": {"key": "k"}}}]}},
                "arm_template.resources[0].properties.extensions[0].properties.protectedSettings.key",
            ),
            (
                {"properties": {"extensions": [{"name": "e", "properties": {"protectedSettings": ["k"]}}]}},
                "arm_template.resources[0].properties.extensions[0].properties.protectedSettings[0]",
            ),
            (
                {"properties": {"volumes": [{"name": "v", "azureFile": {"storageAccountKey": "k"}}]}},
                "arm_template.resources[0].properties.volumes[0].azureFile.storageAccountKey",
            ),
        ],
    )
    def test_what_cannot_be_attached_or_is_in_the_clear_is_refused(self, group: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            group(**keys)

        assert refused.value.path == path

    @pytest.mark.parametrize("settings", [SECRET, {"key": SECRET, "more": [SECRET]}])
    def test_protected_settings_are_secrets_of_ours(self, group: Made, settings: Json) -> None:
        extension = {"name": "e", "properties": {"settings": {"a": "1"}, "protectedSettings": settings}}

        made = group(properties={"extensions": [extension]})

        assert made["properties"]["extensions"] == [extension]


class TestTags:
    def test_labels_are_made_legal_and_ours_stand(self, group: Made) -> None:
        given = {"team/data": "x" * 300, "pushpool-run": "forged", "Azure-x": "1", "none": None}

        made = group(labels=given, group={"tags": {"Team-Data": "old", "cost": "7"}})["tags"]

        assert made["team-data"] == "x" * 256
        assert made["cost"] == "7"
        assert made["x-Azure-x"] == "1"
        assert (made["pushpool-run"], made["pushpool-attempt"], made["pushpool-submission"]) == (RUN, "1", "1")
        assert not {"Team-Data", "none"} & made.keys()

    def test_too_many_are_refused(self, group: Made) -> None:
        with pytest.raises(InvalidInput, match="Azure takes 45 besides ours"):
            group(labels={f"label-{number}": "1" for number in range(46)})


class TestArmTemplate:
    def test_a_parameters_plain_default_takes_its_place(self, adapter: Adapter, make_job: MakeJob) -> None:
        configuration = make_job(properties={"osType": "[parameters('os')]"}).configuration
        template = {**configuration["arm_template"], "parameters": {"os": {"defaultValue": "Windows"}}}

        made = adapter.request(make_job({**configuration, "arm_template": template})).body["containerGroup"]

        assert made["properties"]["osType"] == "Windows"

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"arm_template": "{}"}, "arm_template"),
            ({"arm_template": {"resources": [{}, {}]}}, "arm_template.resources"),
            ({"arm_template": {"resources": []}}, "arm_template.resources"),
            (
                {"arm_template": {"resources": [{"type": "Microsoft.Web/sites"}]}},
                "arm_template.resources[0].type",
            ),
            ({"group": {"zones": ["[concat('1')]"]}}, "arm_template.resources[0].zones[0]"),
            ({"group": {"dependsOn": ["x"]}}, "arm_template.resources[0].dependsOn"),
            ({"group": {"plan": {}}}, "arm_template.resources[0].plan"),
            ({"properties": {"ipAddres": {}}}, "arm_template.resources[0].properties.ipAddres"),
            ({"properties": {"osType": "BeOS"}}, "arm_template.resources[0].properties.osType"),
            ({"properties": {"instanceView": {}}}, "arm_template.resources[0].properties.instanceView"),
            ({"properties": {"volumes": [{}]}}, "arm_template.resources[0].properties.volumes[0].name"),
            ({"properties": {"containers": []}}, "arm_template.resources[0].properties.containers"),
            ({"sku": "Cheap"}, "arm_template.resources[0].properties.sku"),
            (
                {"container": {"ports": [{"port": "80"}]}},
                "arm_template.resources[0].properties.containers[0].properties.ports[0].port",
            ),
            (
                {"container": {"image": "etl", "volumeMounts": [{"name": "v", "mountPath": SECRET}]}},
                "arm_template.resources[0].properties.containers[0].properties.volumeMounts[0].mountPath",
            ),
        ],
    )
    def test_what_is_no_container_group_is_refused_with_its_path(self, group: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            group(**keys)

        assert refused.value.path == path

    def test_what_only_a_deployment_heeds_is_refused_as_that(self, group: Made) -> None:
        assert group(group={"dependsOn": [], "condition": None})
        with pytest.raises(InvalidInput, match="made without a deployment"):
            group(group={"copy": {"name": "x", "count": 2}})

    def test_what_stands_beside_the_run_keeps_its_name(self, adapter: Adapter, make_job: MakeJob) -> None:
        sizes = {"resources": {"requests": {"cpu": 1, "memoryInGB": 1}}}
        beside = {"image": "proxy", "command": "proxy --all", **sizes}
        both: list[Json] = [{"properties": {"image": "etl"}}, {"name": "proxy", "properties": beside}]

        made = adapter.request(make_job(properties={"containers": both})).body["containerGroup"]["properties"]

        assert [each["name"] for each in made["containers"]] == ["run", "proxy"]
        assert made["containers"][1]["properties"]["command"] == ["proxy", "--all"]
        with pytest.raises(InvalidInput, match="which is the first one's"):
            adapter.request(make_job(properties={"containers": [both[0], {**both[1], "name": "run"}]}))
