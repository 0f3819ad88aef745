"""The shipped template, and Prefect's own as `template import` leaves it, become requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.infrastructure import modal
from dispatcher import job_templates, registry
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

Json = dict[str, Any]
MakeJob = Callable[..., Job]

KIND = "modal:push"
NAMES = ("cpu", "env", "gpu", "image", "memory", "command", "secrets", "timeout", "pip_packages", "modal_credentials")
# Values for the variables of Prefect's template.
VALUES: Json = {
    "command": "python -m etl",
    "env": {"A": "1"},
    "image": {"tag": "registry/etl:1", "secret": "login"},
    "gpu": "A10G",
    "cpu": 0.5,
    "memory": 1024,
    "timeout": 1800,
    "pip_packages": ["httpx"],
    "secrets": ["aws"],
}


def registry_of(*keys: str) -> Json:
    return {"type": "object", "required": list(keys), "properties": {key: {"type": "string"} for key in keys}}


PREFECT: Json = {
    "job_configuration": {name: f"{{{{ {name} }}}}" for name in NAMES},
    "variables": {
        "description": "Variables for a Modal flow run.",
        "type": "object",
        "required": ["modal_credentials"],
        "properties": {
            "image": {
                "anyOf": [{"$ref": f"#/definitions/{name}Registry"} for name in ("Public", "Private", "AWS", "GCP")]
            },
            "command": {"type": "string"},
            "gpu": {"type": "string"},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "cpu": {"type": "number", "multipleOf": 0.25, "default": 1},
            "memory": {"type": "integer", "default": 512},
            "timeout": {"type": "integer", "default": 300},
            "pip_packages": {"type": "array", "items": {"type": "string"}},
            "secrets": {"type": "array", "items": {"type": "string"}},
            "modal_credentials": {"allOf": [{"$ref": "#/definitions/ModalCredentials"}]},
        },
        "definitions": {
            "PublicRegistry": registry_of("tag"),
            "PrivateRegistry": registry_of("tag", "secret"),
            "AWSRegistry": registry_of("tag", "aws_secret"),
            "GCPRegistry": registry_of("tag", "gcp_secret"),
            "ModalCredentials": {"block_type_slug": "modal-credentials"},
        },
    },
}


def requested(adapter: modal.Modal, make_job: MakeJob, template: Json, *layers: Mapping[str, Any]) -> Json:
    return dict(adapter.request(make_job(job_templates.render(template, *layers))).body)


def test_every_variable_of_prefects_pools_is_known() -> None:
    assert VALUES.keys() <= registry.template(KIND)["variables"]["properties"].keys()


def test_an_imported_template_makes_the_sandbox_that_the_shipped_one_makes(
    adapter: modal.Modal, make_job: MakeJob
) -> None:
    imported = job_templates.import_prefect_template(PREFECT).template

    theirs = requested(adapter, make_job, imported, VALUES)
    ours = requested(adapter, make_job, registry.template(KIND), VALUES)

    assert theirs == ours
    assert "credentials" not in str(imported)
    assert (theirs["timeout"], theirs["gpu"], theirs["image"]["secret"]) == (1800, "A10G", "login")


def test_an_image_may_be_a_string_as_a_deployments_is(adapter: modal.Modal, make_job: MakeJob) -> None:
    imported = job_templates.import_prefect_template(PREFECT)

    job_templates.check_overrides(imported.template, {"command": "etl"}, {"image": "etl:2"}, require=True)
    made = requested(adapter, make_job, imported.template, {"command": "etl"}, {"image": "etl:2"})

    assert made["image"] == {"tag": "etl:2", "registry": "public"}
    assert any("'image' takes a string too" in note for note in imported.notes)


def test_the_golden_configuration_is_what_the_importer_makes_of_prefects_template() -> None:
    golden = json.loads((Path(__file__).parents[2] / "golden" / "modal_prefect_push.json").read_text())["configuration"]

    made = job_templates.render(job_templates.import_prefect_template(PREFECT).template, golden)

    assert {name: made[name] for name in golden} == golden


def test_prefects_least_is_image_and_command(adapter: modal.Modal, make_job: MakeJob) -> None:
    imported = job_templates.import_prefect_template(PREFECT).template

    made = requested(adapter, make_job, imported, {"image": {"tag": "etl"}, "command": "etl"})

    assert (made["cpu"], made["memory"], made["timeout"]) == ([1], [512], 300)


def test_the_least_that_is_given_is_image_and_command(adapter: modal.Modal, make_job: MakeJob) -> None:
    made = requested(adapter, make_job, registry.template(KIND), {"image": "etl:1", "command": ["etl"]})

    assert made.keys() == {"name", "command", "image", "env", "timeout", "tags"}
    assert made["timeout"] == 86400


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"memory": "lots"}, "memory"),
        ({"memory": 64}, "memory"),
        ({"cpu": 0}, "cpu"),
        ({"gpu": "H100:9"}, "gpu"),
        ({"timeout": 86401}, "timeout"),
        ({"timeout": 0}, "timeout"),
        ({"image": {"tag": "a", "password": "p"}}, "image"),
        ({"secrets": ["a b"]}, "secrets"),
        ({"volumes": {"/data": "a/b"}}, "volumes"),
        ({"app": "x" * 65}, "app"),
        ({"region": "us east"}, "region"),
        ({"modal_credentials": {"token_id": "ak", "token_secret": "as"}}, "modal_credentials"),
    ],
)
def test_the_shipped_one_refuses_what_does_not_fit(variables: Json, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        job_templates.check_overrides(registry.template(KIND), variables, require=True)

    assert refused.value.path.startswith(path)


def test_a_platform_team_can_lock_what_matters(adapter: modal.Modal, make_job: MakeJob) -> None:
    template = registry.template(KIND)
    matters = [
        name for name, schema in template["variables"]["properties"].items() if "Lock it" in schema["description"]
    ]
    for name in matters:
        template["variables"]["properties"][name]["x-locked"] = True

    assert {
        "app", "environment", "secrets", "volumes", "gpu", "block_network", "outbound_cidr_allowlist",
        "outbound_domain_allowlist", "identity_token",
    } == set(matters)  # fmt: skip
    job_templates.check_template(template, pool_type=KIND)
    with pytest.raises(InvalidInput, match="locked"):
        requested(adapter, make_job, template, {"image": "etl"}, {"secrets": ["root"]})


def test_env_of_every_layer_reaches_the_container(adapter: modal.Modal, make_job: MakeJob) -> None:
    template = registry.template(KIND)
    template["variables"]["properties"]["env"]["default"] = {"DEFAULT": "1"}

    made = requested(
        adapter, make_job, template, {"env": {"POOL": "1"}}, {"image": "etl", "command": "etl"}, {"env": {"RUN": "1"}}
    )

    assert {"DEFAULT", "POOL", "RUN"} <= made["env"].keys()
