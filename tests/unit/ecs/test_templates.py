"""The shipped template, and Prefect's own as `template import` leaves them, become requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from adapters.infrastructure import ecs
from dispatcher import job_templates, registry
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

Json = dict[str, Any]
MakeJob = Callable[..., Job]

ROLE = "arn:aws:iam::123456789012:role/run"

# Variables of Prefect's push pool besides its credentials.
OF_PREFECT = {
    "name": "etl",
    "command": "python -m etl",
    "env": {"A": "1"},
    "labels": {"team": "data"},
    "image": "etl:1",
    "family": "etl",
    "cluster": "jobs",
    "vpc_id": "vpc-0a",
    "task_role_arn": ROLE,
    "execution_role_arn": ROLE,
    "container_name": "work",
    "cpu": 512,
    "memory": 1024,
    "launch_type": "FARGATE_SPOT",
    "network_configuration": {"subnets": ["subnet-0a"], "securityGroups": ["sg-0a"], "assignPublicIp": "ENABLED"},
    "configure_cloudwatch_logs": True,
    "cloudwatch_logs_options": {"awslogs-group": "etl"},
    "task_start_timeout_seconds": 300,
    "auto_deregister_task_definition": False,
    "prefect_api_key_secret_arn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key",
}
PUSH: Json = {
    "job_configuration": {
        "command": "{{ command }}",
        "env": "{{ env }}",
        "labels": "{{ labels }}",
        "name": "{{ name }}",
        "aws_credentials": "{{ aws_credentials }}",
        "task_definition": {
            "containerDefinitions": [{"image": "{{ image }}", "name": "{{ container_name }}"}],
            "cpu": "{{ cpu }}",
            "family": "{{ family }}",
            "memory": "{{ memory }}",
            "executionRoleArn": "{{ execution_role_arn }}",
        },
        "task_run_request": {
            "launchType": "{{ launch_type }}",
            "cluster": "{{ cluster }}",
            "overrides": {
                "containerOverrides": [
                    {
                        "name": "{{ container_name }}",
                        "command": "{{ command }}",
                        "environment": "{{ env }}",
                        "cpu": "{{ cpu }}",
                        "memory": "{{ memory }}",
                    }
                ],
                "cpu": "{{ cpu }}",
                "memory": "{{ memory }}",
                "taskRoleArn": "{{ task_role_arn }}",
            },
            "tags": "{{ labels }}",
            "taskDefinition": "{{ task_definition_arn }}",
        },
        "configure_cloudwatch_logs": "{{ configure_cloudwatch_logs }}",
        "cloudwatch_logs_options": "{{ cloudwatch_logs_options }}",
        "network_configuration": "{{ network_configuration }}",
        "task_start_timeout_seconds": "{{ task_start_timeout_seconds }}",
        "auto_deregister_task_definition": "{{ auto_deregister_task_definition }}",
        "vpc_id": "{{ vpc_id }}",
        "container_name": "{{ container_name }}",
        "cluster": "{{ cluster }}",
    },
    "variables": {
        "type": "object",
        "required": ["aws_credentials"],
        "properties": {
            **{name: {"title": name} for name in (*OF_PREFECT, "task_definition_arn")},
            "launch_type": {"type": "string", "default": "FARGATE"},
            "aws_credentials": {"allOf": [{"$ref": "#/definitions/AwsCredentials"}]},
        },
        "definitions": {"AwsCredentials": {"block_type_slug": "aws-credentials"}},
    },
}


def requested(adapter: ecs.Ecs, make_job: MakeJob, template: Json, *layers: Mapping[str, Any]) -> Json:
    return dict(adapter.request(make_job(job_templates.render(template, *layers))).body)


def test_every_variable_of_prefects_push_pool_is_known() -> None:
    known = registry.template("ecs:push")["variables"]["properties"]

    assert {*OF_PREFECT, "task_definition_arn"} <= known.keys()


def test_an_imported_template_makes_the_task_that_the_shipped_one_makes(adapter: ecs.Ecs, make_job: MakeJob) -> None:
    imported = job_templates.import_prefect_template(PUSH).template
    values = {name: value for name, value in OF_PREFECT.items() if name != "prefect_api_key_secret_arn"}

    theirs = requested(adapter, make_job, imported, values)
    ours = requested(adapter, make_job, registry.template("ecs:push"), values)

    assert "aws_credentials" not in str(theirs)
    for made in (theirs, ours):
        run_task, definition = made["run_task"], made["task_definition"]
        assert definition["containerDefinitions"][0]["name"] == "work"
        assert (definition["cpu"], definition["memory"], definition["executionRoleArn"]) == ("512", "1024", ROLE)
        assert run_task["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
        assert run_task["networkConfiguration"] == {"awsvpcConfiguration": values["network_configuration"]}
        assert run_task["overrides"]["taskRoleArn"] == ROLE
        main = run_task["overrides"]["containerOverrides"][0]
        assert main["command"] == ["pushpool-run", "--", "python", "-m", "etl"]
        assert {"name": "A", "value": "1"} in main["environment"]


def test_env_of_every_layer_reaches_the_container(adapter: ecs.Ecs, make_job: MakeJob) -> None:
    """A nested `{{ env }}` sees the overrides alone; what is merged is the top-level one."""
    template = job_templates.import_prefect_template(PUSH).template
    template["variables"]["properties"]["env"]["default"] = {"DEFAULT": "1"}

    made = requested(
        adapter, make_job, template, {"env": {"POOL": "1"}, "image": "etl"}, {"command": "etl"}, {"env": {"RUN": "1"}}
    )

    names = {pair["name"] for pair in made["run_task"]["overrides"]["containerOverrides"][0]["environment"]}
    assert {"DEFAULT", "POOL", "RUN"} <= names


def test_the_least_that_is_given_is_image_and_command(adapter: ecs.Ecs, make_job: MakeJob) -> None:
    made = requested(adapter, make_job, registry.template("ecs:push"), {}, {"image": "etl:1", "command": ["etl"]})

    assert made["run_task"]["cluster"] == "default"
    assert made["lookup"] == {"vpc_id": "", "public_ip": True, "given": {}}


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"cpu": "512"}, "cpu"),
        ({"launch_type": "LAMBDA"}, "launch_type"),
        ({"task_role_arn": "admin"}, "task_role_arn"),
        ({"network_configuration": {"subnets": ["subnet-0a; x"]}}, "network_configuration.subnets"),
        ({"network_configuration": {"subnet": "subnet-0a"}}, "network_configuration"),
        ({"ephemeral_storage": 10}, "ephemeral_storage"),
        ({"ephemeral_storage": 201}, "ephemeral_storage"),
        ({"capacity_provider_strategy": [{"weight": 1}]}, "capacity_provider_strategy"),
        ({"grace_seconds": 116}, "grace_seconds"),
        ({"taskRoleArn": ROLE}, "taskRoleArn"),
    ],
)
def test_the_shipped_one_refuses_what_does_not_fit(variables: Json, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        job_templates.check_overrides(registry.template("ecs:push"), variables, require=True)

    assert refused.value.path.startswith(path)


def test_a_platform_team_can_lock_what_matters(adapter: ecs.Ecs, make_job: MakeJob) -> None:
    template = registry.template("ecs:push")
    matters = [
        name for name, schema in template["variables"]["properties"].items() if "Lock it" in schema["description"]
    ]
    for name in matters:
        template["variables"]["properties"][name]["x-locked"] = True

    assert {"task_role_arn", "execution_role_arn", "cluster", "network_configuration", "vpc_id"} <= set(matters)
    job_templates.check_template(template, pool_type="ecs:push")
    with pytest.raises(InvalidInput, match="locked"):
        requested(adapter, make_job, template, {"image": "etl", "command": "etl"}, {"task_role_arn": ROLE})
