"""The shipped template, and Prefect's own as `template import` leaves it, become requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.infrastructure import aci
from dispatcher import job_templates, registry
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

Json = dict[str, Any]
MakeJob = Callable[..., Job]
Adapter = aci.AzureContainerInstances

KIND = "azure-container-instance:push"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
IDENTITY = "/subscriptions/s/resourceGroups/shared/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull"
SUBNET = "/subscriptions/s/resourceGroups/shared/providers/Microsoft.Network/virtualNetworks/net/subnets/jobs"

# Values for the variables of Prefect's own template.
VALUES: Json = {
    "name": "etl",
    "command": "python -m etl",
    "env": {"A": "1"},
    "labels": {"team": "data"},
    "image": "team.azurecr.io/etl:1",
    "entrypoint": "/opt/prefect/entrypoint.sh",
    "subscription_id": SUBSCRIPTION,
    "resource_group_name": "jobs",
    "identities": [IDENTITY],
    "image_registry": {"registry_url": "team.azurecr.io", "identity": IDENTITY},
    "cpu": 2,
    "memory": 4,
    "subnet_ids": [SUBNET],
    "dns_servers": ["10.0.0.4"],
    "keep_container_group": False,
    "stream_output": True,
    "task_start_timeout_seconds": 240,
    "task_watch_poll_interval": 5.0,
}
LEAST: Json = {
    "image": "etl",
    "command": "etl",
    "resource_group_name": "jobs",
    "subscription_id": SUBSCRIPTION,
}


def expression(text: str) -> Json:
    return {"defaultValue": text, "metadata": {"description": "…"}, "type": "string"}


PREFECT: Json = {
    "job_configuration": {
        **{name: f"{{{{ {name} }}}}" for name in (*VALUES, "gpu_count", "gpu_sku", "aci_credentials")},
        "arm_template": {
            "$schema": "https://schema.management.azure.com/schemas/2019-08-01/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0",
            "parameters": {
                "container_group_name": expression("[uniqueString(resourceGroup().id)]"),
                "container_name": expression("[uniqueString(resourceGroup().id)]"),
                "location": expression("[resourceGroup().location]"),
            },
            "resources": [
                {
                    "apiVersion": "2022-09-01",
                    "location": "[parameters('location')]",
                    "name": "[parameters('container_group_name')]",
                    "properties": {
                        "containers": [
                            {
                                "name": "[parameters('container_name')]",
                                "properties": {
                                    "image": "{{ image }}",
                                    "command": "{{ command }}",
                                    "resources": {"requests": {"cpu": "{{ cpu }}", "memoryInGB": "{{ memory }}"}},
                                    "environmentVariables": [],
                                },
                            }
                        ],
                        "osType": "Linux",
                        "restartPolicy": "Never",
                    },
                    "type": "Microsoft.ContainerInstance/containerGroups",
                }
            ],
        },
    },
    "variables": {
        "type": "object",
        "required": ["resource_group_name", "subscription_id", "aci_credentials"],
        "properties": {
            **{name: {"title": name} for name in (*VALUES, "gpu_count", "gpu_sku")},
            "command": {"title": "command", "type": "string"},
            "cpu": {"type": "number", "default": 1.0},
            "memory": {"type": "number", "default": 1.0},
            "entrypoint": {"type": "string", "default": "/opt/prefect/entrypoint.sh"},
            "identities": {"anyOf": [{"type": "array"}, {"type": "null"}], "default": None},
            "image_registry": {
                "anyOf": [
                    {"$ref": "#/definitions/ACRManagedIdentity"},
                    {"$ref": "#/definitions/DockerRegistryCredentials"},
                    {"type": "null"},
                ],
                "default": None,
                "description": "Where the image comes from.",
            },
            "aci_credentials": {"allOf": [{"$ref": "#/definitions/AzureContainerInstanceCredentials"}]},
        },
        "definitions": {
            "AzureContainerInstanceCredentials": {"block_type_slug": "azure-container-instance-credentials"},
            "ACRManagedIdentity": {"block_type_slug": "acr-managed-identity"},
            "DockerRegistryCredentials": {"block_type_slug": "docker-registry-credentials"},
        },
    },
}


def requested(adapter: Adapter, make_job: MakeJob, template: Json, *layers: Mapping[str, Any]) -> Json:
    body = adapter.request(make_job(job_templates.render(template, *layers))).body
    return dict(body["containerGroup"])


def test_every_variable_of_prefects_pools_is_known() -> None:
    ours = registry.template(KIND)["variables"]["properties"].keys()

    assert {*VALUES, "gpu_count", "gpu_sku"} <= ours


def test_an_imported_template_makes_the_group_that_the_shipped_one_makes(adapter: Adapter, make_job: MakeJob) -> None:
    imported = job_templates.import_prefect_template(PREFECT).template

    theirs = requested(adapter, make_job, imported, VALUES)

    assert theirs == requested(adapter, make_job, registry.template(KIND), VALUES)
    assert "aci_credentials" not in str(imported)
    main = theirs["properties"]["containers"][0]["properties"]
    assert main["command"][:3] == ["/opt/prefect/entrypoint.sh", "pushpool-run", "--"]
    assert {"name": "A", "value": "1"} in main["environmentVariables"]
    assert main["resources"] == {"requests": {"cpu": 2.0, "memoryInGB": 4.0}}


def test_a_private_registry_is_written_down_where_it_was_a_block() -> None:
    imported = job_templates.import_prefect_template(PREFECT)

    assert imported.template["variables"]["properties"]["image_registry"] == {
        "type": "object",
        "description": "Where the image comes from.",
    }
    assert imported.template["job_configuration"]["image_registry"] == "{{ image_registry }}"
    assert any("'image_registry' took a Prefect block; write" in note for note in imported.notes)


def test_the_golden_configuration_is_what_the_importer_makes_of_prefects_template() -> None:
    golden = json.loads((Path(__file__).parents[2] / "golden" / "aci_prefect.json").read_text())

    made = job_templates.render(job_templates.import_prefect_template(PREFECT).template, VALUES)

    assert made == golden["configuration"]


def test_prefects_least_is_a_place_an_image_and_a_command(adapter: Adapter, make_job: MakeJob) -> None:
    imported = job_templates.import_prefect_template(PREFECT).template

    made = requested(adapter, make_job, imported, LEAST)

    assert made.keys() == {"properties", "tags"}
    assert made["properties"].keys() == {"containers", "osType", "restartPolicy"}


def test_the_least_that_is_given_is_a_resource_group_an_image_and_a_command(
    adapter: Adapter, make_job: MakeJob
) -> None:
    pool, deployment = {"resource_group_name": "jobs"}, {"image": "etl:1", "command": ["etl"]}

    made = requested(adapter, make_job, registry.template(KIND), pool, deployment)

    main = made["properties"]["containers"][0]["properties"]
    assert main["command"] == ["pushpool-run", "--", "etl"]
    assert main["resources"] == {"requests": {"cpu": 1.0, "memoryInGB": 1.0}}


def test_secrets_are_named_and_nothing_of_them_is_stored(adapter: Adapter, make_job: MakeJob) -> None:
    given = {
        **LEAST,
        "image_registry": {"registry_url": "x.io", "username": "u"},
        "image_registry_password": "registry-password",
        "log_analytics_workspace_id": "w",
        "log_analytics_workspace_key": "workspace-key",
        "secure_env": {"DB": "db-password"},
    }

    made = requested(adapter, make_job, registry.template(KIND), given)["properties"]

    assert made["imageRegistryCredentials"][0]["password"] == {"$secret": "registry-password"}
    assert made["diagnostics"]["logAnalytics"] == {"workspaceId": "w", "workspaceKey": {"$secret": "workspace-key"}}
    variables = made["containers"][0]["properties"]["environmentVariables"]
    assert {"name": "DB", "secureValue": {"$secret": "db-password"}} in variables


def test_regions_are_named_as_azure_does_or_as_people_do(adapter: Adapter, make_job: MakeJob) -> None:
    given = {**LEAST, "region": "West Europe", "other_regions": ["East US 2"]}

    configuration = job_templates.render(registry.template(KIND), given)

    assert [adapter.request(make_job(configuration, refusals=n)).target.region for n in range(2)] == [
        "westeurope",
        "eastus2",
    ]


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"memory": "lots"}, "memory"),
        ({"cpu": 32}, "cpu"),
        ({"region": "eu-west-1"}, "region"),
        ({"other_regions": ["eu-1"]}, "other_regions"),
        ({"subscription_id": "team"}, "subscription_id"),
        ({"resource_group_name": "a/b"}, "resource_group_name"),
        ({"priority": "Low"}, "priority"),
        ({"sku": "Cheap"}, "sku"),
        ({"secure_env": {"A": "not a name!"}}, "secure_env"),
        ({"image_registry": {"registry_url": "x", "password": "p"}}, "image_registry"),
        ({"image_registry_password": "p4ss word"}, "image_registry_password"),
        ({"location": "westeurope"}, "location"),
    ],
)
def test_the_shipped_one_refuses_what_does_not_fit(variables: Json, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        job_templates.check_overrides(registry.template(KIND), variables, require=True)

    assert refused.value.path.startswith(path)


def test_a_platform_team_can_lock_what_matters(adapter: Adapter, make_job: MakeJob) -> None:
    template = registry.template(KIND)
    matters = [
        name for name, schema in template["variables"]["properties"].items() if "Lock it" in schema["description"]
    ]
    for name in matters:
        template["variables"]["properties"][name]["x-locked"] = True

    assert {
        "subscription_id", "resource_group_name", "region", "identities", "subnet_ids", "image_registry",
        "keep_container_group", "log_analytics_workspace_id",
    } <= set(matters)  # fmt: skip
    job_templates.check_template(template, pool_type=KIND)
    with pytest.raises(InvalidInput, match="locked"):
        requested(adapter, make_job, template, LEAST, {"identities": [IDENTITY]})
