"""The shipped templates, and Prefect's own as `template import` leaves them, become requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from adapters.infrastructure import cloud_run
from dispatcher import job_templates, registry
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

Json = dict[str, Any]
MakeJob = Callable[..., Job]

ACCOUNT = "run@team-data.iam.gserviceaccount.com"
CREDENTIALS: Json = {"GcpCredentials": {"block_type_slug": "gcp-credentials"}}
SELECTOR = {"SecretKeySelector": {"type": "object", "properties": {"secret": {}, "version": {}}}}

# The skeletons of Prefect's own templates, and values for their variables.
OF_BOTH: Json = {
    "name": "etl",
    "command": "python -m etl",
    "env": {"A": "1"},
    "labels": {"team": "data"},
    "image": "etl:1",
    "region": "us-central1",
    "cpu": "2000m",
    "memory": "2Gi",
    "vpc_connector_name": "projects/team-data/locations/us-central1/connectors/vpc",
    "service_account_name": ACCOUNT,
    "keep_job": False,
    "timeout": 1800,
    "prefect_api_key_secret": {"secret": "prefect-key", "version": "3"},
}
OF_V2: Json = {
    **OF_BOTH,
    "args": ["--all"],
    "env_from_secrets": {"PASSWORD": {"secret": "password", "version": "latest"}},
    "cloudsql_instances": ["team-data:us-central1:db"],
    "launch_stage": "BETA",
    "max_retries": 0,
}
COMMON: Json = {
    "command": "{{ command }}",
    "env": "{{ env }}",
    "labels": "{{ labels }}",
    "name": "{{ name }}",
    "region": "{{ region }}",
    "credentials": "{{ credentials }}",
    "prefect_api_key_secret": "{{ prefect_api_key_secret }}",
    "prefect_api_auth_string_secret": "{{ prefect_api_auth_string_secret }}",
    "timeout": "{{ timeout }}",
    "keep_job": "{{ keep_job }}",
}


def of_prefect(body: Json, known: Mapping[str, Any], **more: str) -> Json:
    return {
        "job_configuration": {**COMMON, **more, "job_body": body},
        "variables": {
            "type": "object",
            "required": ["credentials"],
            "properties": {
                **{name: {"title": name} for name in (*known, "prefect_api_auth_string_secret")},
                "cpu": {"type": "string", "default": "1000m"},
                "memory": {"type": "string", "default": "512Mi"},
                "credentials": {"allOf": [{"$ref": "#/definitions/GcpCredentials"}]},
            },
            "definitions": {**CREDENTIALS, **SELECTOR},
        },
    }


def v2_body(vpc_access: Any) -> Json:
    return {
        "client": "prefect",
        "launchStage": "{{ launch_stage }}",
        "template": {
            "template": {
                "containers": [
                    {
                        "args": "{{ args }}",
                        "command": "{{ command }}",
                        "env": [],
                        "image": "{{ image }}",
                        "resources": {"limits": {"cpu": "{{ cpu }}", "memory": "{{ memory }}"}},
                    }
                ],
                "maxRetries": "{{ max_retries }}",
                "serviceAccount": "{{ service_account_name }}",
                "timeout": "{{ timeout }}",
                "vpcAccess": vpc_access,
            }
        },
    }


V2 = of_prefect(
    v2_body({"connector": "{{ vpc_connector_name }}"}),
    OF_V2,
    env_from_secrets="{{ env_from_secrets }}",
    cloudsql_instances="{{ cloudsql_instances }}",
)
V2_PUSH = of_prefect(
    v2_body("{{ vpc_connector_name }}"),
    OF_V2,
    env_from_secrets="{{ env_from_secrets }}",
    cloudsql_instances="{{ cloudsql_instances }}",
)
CONNECTOR = {"run.googleapis.com/vpc-access-connector": "{{ vpc_connector_name }}"}


def v1_body(*, push: bool) -> Json:
    """In the push template the connector is an annotation of the job, else of its executions."""
    stage = {"run.googleapis.com/launch-stage": "BETA"}
    limits = {"cpu": "{{ cpu }}", "memory": "{{ memory }}"}
    container = {
        "command": "{{ command }}",
        "image": "{{ image }}",
        "resources": {"limits": limits, "requests": limits},
    }
    spec = {
        "containers": [container],
        "serviceAccountName": "{{ service_account_name }}",
        "timeoutSeconds": "{{ timeout }}",
    }
    template = {"spec": {"template": {"spec": spec}}}
    return {
        "apiVersion": "run.googleapis.com/v1",
        "kind": "Job",
        "metadata": {"annotations": {**stage, **(CONNECTOR if push else {})}, "name": "{{ name }}"},
        "spec": {"template": template if push else {"metadata": {"annotations": CONNECTOR}, **template}},
    }


V1, V1_PUSH = of_prefect(v1_body(push=False), OF_BOTH), of_prefect(v1_body(push=True), OF_BOTH)


def requested(adapter: cloud_run.CloudRun, make_job: MakeJob, template: Json, *layers: Mapping[str, Any]) -> Json:
    made = adapter.request(make_job(job_templates.render(template, *layers))).body["create_job"]["job"]
    assert isinstance(made, dict)
    return made


@pytest.mark.parametrize(("kind", "known"), [("cloud-run-v2:push", OF_V2), ("cloud-run:push", OF_BOTH)])
def test_every_variable_of_prefects_pools_is_known(kind: str, known: Json) -> None:
    assert known.keys() <= registry.template(kind)["variables"]["properties"].keys()


@pytest.mark.parametrize(
    ("exported", "kind", "values"),
    [
        (V2, "cloud-run-v2:push", OF_V2),
        (V2_PUSH, "cloud-run-v2:push", OF_V2),
        (V1, "cloud-run:push", OF_BOTH),
        (V1_PUSH, "cloud-run:push", OF_BOTH),
    ],
    ids=["v2", "v2 push", "v1", "v1 push"],
)
def test_an_imported_template_makes_the_job_that_the_shipped_one_makes(
    adapter: cloud_run.CloudRun, make_job: MakeJob, exported: Json, kind: str, values: Json
) -> None:
    imported = job_templates.import_prefect_template(exported).template

    theirs = requested(adapter, make_job, imported, values)
    ours = requested(adapter, make_job, registry.template(kind), {**values, "launch_stage": "BETA"})

    assert theirs == ours
    task = theirs["template"]["template"]
    assert "credentials" not in str(imported)
    assert (task["serviceAccount"], task["timeout"], task["maxRetries"]) == (ACCOUNT, "1800s", 0)
    assert task["vpcAccess"] == {"connector": values["vpc_connector_name"]}
    main = task["containers"][0]
    assert main["resources"] == {"limits": {"cpu": "2000m", "memory": "2Gi"}}
    assert [*main["command"], *main["args"]][:5] == ["pushpool-run", "--", "python", "-m", "etl"]
    assert {"name": "A", "value": "1"} in main["env"]
    key = {"secretKeyRef": {"secret": "prefect-key", "version": "3"}}
    assert {"name": "PREFECT_API_KEY", "valueSource": key} in main["env"]


@pytest.mark.parametrize("exported", [V2, V2_PUSH, V1, V1_PUSH])
def test_prefects_least_is_image_and_command(adapter: cloud_run.CloudRun, make_job: MakeJob, exported: Json) -> None:
    imported = job_templates.import_prefect_template(exported).template

    made = requested(adapter, make_job, imported, {"image": "etl", "command": "etl", "region": "us-central1"})

    task = made["template"]["template"]
    assert "vpcAccess" not in task
    assert task["containers"][0]["resources"]["limits"] == {"cpu": "1000m", "memory": "512Mi"}


@pytest.mark.parametrize("kind", ["cloud-run-v2:push", "cloud-run:push"])
def test_the_least_that_is_given_is_image_command_and_region(
    adapter: cloud_run.CloudRun, make_job: MakeJob, kind: str
) -> None:
    pool, deployment = {"region": "europe-west1"}, {"image": "etl:1", "command": ["etl"]}

    made = requested(adapter, make_job, registry.template(kind), pool, deployment)

    assert made["template"]["template"] == {
        "containers": [{"image": "etl:1", "command": ["pushpool-run"], "args": ["--", "etl"], "env": made_env(made)}],
        "maxRetries": 0,
        "timeout": "604800s",
    }


def made_env(made: Json) -> list[Json]:
    found: list[Json] = made["template"]["template"]["containers"][0]["env"]
    return found


@pytest.mark.parametrize("kind", ["cloud-run-v2:push", "cloud-run:push"])
@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"memory": "lots"}, "memory"),
        ({"memory": 512}, "memory"),
        ({"region": "Europe"}, "region"),
        ({"project": "123456789012"}, "project"),
        ({"service_account_name": "admin"}, "service_account_name"),
        ({"submission": "both"}, "submission"),
        ({"timeout": 604801}, "timeout"),
        ({"env_from_secrets": {"A": "secret"}}, "env_from_secrets"),
        ({"env_from_secrets": {"A": {"name": "secret"}}}, "env_from_secrets"),
        ({"vpc_egress": "some"}, "vpc_egress"),
        ({"launch_stage": "LAUNCH_TAG_UNSPECIFIED"}, "launch_stage"),
        ({"serviceAccount": ACCOUNT}, "serviceAccount"),
    ],
)
def test_the_shipped_ones_refuse_what_does_not_fit(kind: str, variables: Json, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        job_templates.check_overrides(registry.template(kind), variables, require=True)

    assert refused.value.path.startswith(path)


@pytest.mark.parametrize("kind", ["cloud-run-v2:push", "cloud-run:push"])
def test_a_platform_team_can_lock_what_matters(adapter: cloud_run.CloudRun, make_job: MakeJob, kind: str) -> None:
    template = registry.template(kind)
    matters = [
        name for name, schema in template["variables"]["properties"].items() if "Lock it" in schema["description"]
    ]
    for name in matters:
        template["variables"]["properties"][name]["x-locked"] = True

    assert {
        "project", "region", "service_account_name", "env_from_secrets", "secret_files", "vpc_connector_name",
        "cloudsql_instances",
    } <= set(matters)  # fmt: skip
    job_templates.check_template(template, pool_type=kind)
    with pytest.raises(InvalidInput, match="locked"):
        requested(adapter, make_job, template, {"image": "etl"}, {"service_account_name": ACCOUNT})


def test_env_of_every_layer_reaches_the_container(adapter: cloud_run.CloudRun, make_job: MakeJob) -> None:
    template = job_templates.import_prefect_template(V2).template
    template["variables"]["properties"]["env"]["default"] = {"DEFAULT": "1"}
    pool = {"env": {"POOL": "1"}, "image": "etl", "region": "us-central1"}

    made = requested(adapter, make_job, template, pool, {"command": "etl"}, {"env": {"RUN": "1"}})

    assert {"DEFAULT", "POOL", "RUN"} <= {pair["name"] for pair in made_env(made)}
