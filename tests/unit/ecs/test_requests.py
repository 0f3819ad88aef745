"""What an ECS pool makes of a job's configuration."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from adapters.infrastructure import ecs
from adapters.infrastructure.ecs.overrides import MOST_CHARACTERS, TOKEN_CHARACTERS, characters_of
from dispatcher.errors import InvalidInput, TooLarge
from dispatcher.ports import Job

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("ecs_*.json"))
ROLE = "arn:aws:iam::123456789012:role/run"

Json = dict[str, Any]
MakeJob = Callable[..., Job]
Body = Callable[..., Json]


def main(made: Json) -> Json:
    override: Json = made["run_task"]["overrides"]["containerOverrides"][0]
    return override


def environment(made: Json) -> Json:
    return {pair["name"]: pair["value"] for pair in main(made)["environment"]}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_request_is_as_it_was(adapter: ecs.Ecs, make_job: MakeJob, golden: Path) -> None:
    case = json.loads(golden.read_text())

    assert asdict(adapter.request(make_job(case["configuration"]))) == case["request"]


def test_there_are_golden_requests() -> None:
    assert len(GOLDEN) == 5


def test_a_request_changes_nothing_of_the_configuration(adapter: ecs.Ecs, make_job: MakeJob) -> None:
    for golden in GOLDEN:
        job = make_job(json.loads(golden.read_text())["configuration"])
        before = deepcopy(job.configuration)

        adapter.request(job)

        assert job.configuration == before


def test_a_request_needs_no_credentials_and_no_network(
    lone_adapter: ecs.Ecs, make_job: MakeJob, nobody_there: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    assert lone_adapter.request(make_job()).target.region == "eu-central-1"


class TestCommand:
    def test_it_runs_under_the_runner(self, body: Body) -> None:
        assert main(body(command="python -m 'my jobs'"))["command"] == ["pushpool-run", "--", "python", "-m", "my jobs"]

    def test_an_entrypoint_is_the_runners_own(self, body: Body) -> None:
        command = ["pushpool-run", "--entrypoint", "jobs/etl.py:run"]

        assert main(body(command=command))["command"] == command

    @pytest.mark.parametrize("runner", ["/opt/my runner", ["/opt/my runner"]])
    def test_the_runner_may_be_elsewhere_in_the_image(self, body: Body, runner: object) -> None:
        runner = "'/opt/my runner'" if isinstance(runner, str) else runner

        assert main(body(command=["etl", 3], runner=runner))["command"] == ["/opt/my runner", "--", "etl", "3"]
        assert main(body(command="pushpool-run --entrypoint a:b", runner=runner))["command"][0] == "/opt/my runner"

    def test_it_may_run_bare(self, body: Body) -> None:
        assert main(body(command="etl --all", runner=False))["command"] == ["etl", "--all"]

    def test_without_a_runner_the_image_has_a_command_of_its_own(self, body: Body) -> None:
        assert "command" not in main(body(command=None, runner=False))

    def test_the_templates_own_command_runs_under_the_runner_too(self, body: Body) -> None:
        definition = {"containerDefinitions": [{"image": "etl", "command": "python -m etl"}]}

        made = body(command=None, task_definition=definition)

        assert main(made)["command"] == ["pushpool-run", "--", "python", "-m", "etl"]
        assert made["task_definition"]["containerDefinitions"][0]["command"] == ["python", "-m", "etl"]


class TestEnvironment:
    def test_null_takes_a_variable_away_and_the_empty_string_stays(self, body: Body) -> None:
        definition = {
            "containerDefinitions": [
                {"image": "etl", "environment": [{"name": "OLD", "value": "1"}, {"name": "EMPTY", "value": ""}]}
            ]
        }

        made = body(env={"A": None, "B": "", "OLD": None}, task_definition=definition)

        assert environment(made) == {"B": "", "PUSHPOOL_RUN_ID": made["run_task"]["startedBy"].split("/")[1]} | {
            "PUSHPOOL_ATTEMPT": "1"
        }
        assert made["task_definition"]["containerDefinitions"][0]["environment"] == [{"name": "EMPTY", "value": ""}]

    def test_env_wins_over_what_the_template_says_of_the_override(self, body: Body) -> None:
        given = [{"name": "A", "value": "template"}, {"name": "B", "value": "template"}]
        wanted = {"launchType": "FARGATE", "overrides": {"containerOverrides": [{"environment": given}]}}

        found = environment(body(env={"A": "job"}, task_run_request=wanted))

        assert (found["A"], found["B"]) == ("job", "template")

    def test_ours_cannot_be_overridden_nor_added_to(self, body: Body) -> None:
        forged = {"PUSHPOOL_RUN_ID": "forged", "PUSHPOOL_RUN_TOKEN": "forged", "PUSHPOOL_START_WITHOUT_CLAIM": "1"}
        wanted = {"launchType": "FARGATE", "overrides": {"containerOverrides": [{"environment": forged}]}}

        found = environment(body(env=forged, task_run_request=wanted))

        assert sorted(name for name in found if name.startswith("PUSHPOOL_")) == ["PUSHPOOL_ATTEMPT", "PUSHPOOL_RUN_ID"]
        assert "forged" not in found.values()

    def test_its_order_is_the_same_whatever_order_it_came_in(self, adapter: ecs.Ecs, make_job: MakeJob) -> None:
        one, other = ({"A": "1", "B": "2"}, {"B": "2", "A": "1"})

        assert adapter.request(make_job(env=one)) == adapter.request(make_job(env=other))

    def test_a_secret_stays_a_name(self, body: Body) -> None:
        assert environment(body(env={"PASSWORD": {"$secret": "db"}}))["PASSWORD"] == {"$secret": "db"}


class TestSize:
    @pytest.mark.parametrize(
        ("cpu", "memory"),
        [
            (256, 512),
            (256, 2048),
            (512, 4096),
            (1024, 8192),
            (2048, 4096),
            (4096, 30720),
            (8192, 61440),
            (16384, 32768),
        ],
    )
    def test_pairs_that_fargate_has_pass(self, body: Body, cpu: int, memory: int) -> None:
        definition = {"containerDefinitions": [{"image": "etl"}], "cpu": cpu, "memory": memory}

        made = body(task_definition=definition)["task_definition"]

        assert (made["cpu"], made["memory"]) == (str(cpu), str(memory))

    @pytest.mark.parametrize(
        ("cpu", "memory", "said"),
        [
            (256, 4096, "cpu 256 with memory 4096 .* 512, 1024, 2048"),
            (512, 512, "1024, 2048, 3072, 4096"),
            (1024, 1024, "2048 to 8192 MiB in steps of 1024"),
            (2048, 4500, "4096 to 16384 MiB in steps of 1024"),
            (8192, 17408, "16384 to 61440 MiB in steps of 4096"),
            (16384, 36864, "32768 to 122880 MiB in steps of 8192"),
            (300, 512, "cpu is 300, and Fargate has 256, 512, 1024, 2048, 4096, 8192, 16384"),
        ],
    )
    @pytest.mark.parametrize("launch_type", ["FARGATE", "FARGATE_SPOT"])
    def test_pairs_that_fargate_refuses_are_refused_with_those_it_has(
        self, body: Body, cpu: int, memory: int, said: str, launch_type: str
    ) -> None:
        definition = {"containerDefinitions": [{"image": "etl"}], "cpu": cpu, "memory": memory}

        with pytest.raises(InvalidInput, match=said):
            body(task_definition=definition, task_run_request={"launchType": launch_type})

    def test_what_overrides_a_registered_task_definition_is_looked_at_too(self, body: Body) -> None:
        wanted = {"taskDefinition": "etl:3", "overrides": {"cpu": 256, "memory": 8192}}

        with pytest.raises(InvalidInput, match="cpu 256 with memory 8192"):
            body(task_definition={}, task_run_request=wanted)

    def test_units_may_be_spelled(self, body: Body) -> None:
        definition = {"containerDefinitions": [{"image": "etl"}], "cpu": "2 vCPU", "memory": "16 GB"}

        made = body(task_definition=definition)["task_definition"]

        assert (made["cpu"], made["memory"]) == ("2048", "16384")

    def test_it_is_text_at_the_task_and_a_number_at_a_container(self, body: Body) -> None:
        overrides = {"cpu": 512, "memory": "1024", "containerOverrides": [{"cpu": "512", "memory": 1024}]}

        made = body(task_run_request={"launchType": "FARGATE", "overrides": overrides})["run_task"]["overrides"]

        assert (made["cpu"], made["memory"]) == ("512", "1024")
        assert (made["containerOverrides"][0]["cpu"], made["containerOverrides"][0]["memory"]) == (512, 1024)

    @pytest.mark.parametrize("launch_type", ["EC2", "EXTERNAL"])
    def test_on_shared_machines_it_is_the_containers(self, body: Body, launch_type: str) -> None:
        made = body(task_run_request={"launchType": launch_type}, network_configuration={})["task_definition"]

        assert (made["containerDefinitions"][0]["cpu"], made["containerDefinitions"][0]["memory"]) == (1024, 2048)
        assert "cpu" not in made
        assert "networkMode" not in made


class TestLength:
    def test_parameters_that_make_it_too_long_are_left_to_the_runner(self, adapter: ecs.Ecs, make_job: MakeJob) -> None:
        env = {"LONG": "x" * 5000}

        short = adapter.request(make_job(env=env, environment={"PUSHPOOL_PARAMETERS": "{}"}))
        long = adapter.request(make_job(env=env, environment={"PUSHPOOL_PARAMETERS": "y" * 4000}))

        assert "PUSHPOOL_PARAMETERS" in environment(dict(short.body))
        assert "PUSHPOOL_PARAMETERS" not in environment(dict(long.body))
        assert characters_of(long.body["run_task"]["overrides"]) <= MOST_CHARACTERS - TOKEN_CHARACTERS

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"env": {"LONG": "x" * 8000}}, "env"),
            ({"command": ["x" * 8000]}, "command"),
            ({"env": {"LONG": "ß" * 1500}}, "env"),  # six characters each, as they are sent
        ],
    )
    def test_what_is_too_long_all_the_same_is_refused_with_its_size(
        self, body: Body, keys: Mapping[str, Any], path: str
    ) -> None:
        with pytest.raises(TooLarge, match=r"have (8|9)\d{3} characters, and ECS takes 7872") as refused:
            body(**keys)

        assert refused.value.path == path

    def test_without_a_runner_nobody_would_fetch_them(self, adapter: ecs.Ecs, make_job: MakeJob) -> None:
        job = make_job(env={"LONG": "x" * 5000}, runner=False, environment={"PUSHPOOL_PARAMETERS": "y" * 4000})

        with pytest.raises(TooLarge):
            adapter.request(job)


@pytest.mark.parametrize(
    ("keys", "path", "said"),
    [
        ({"command": None}, "command", "give the deployment a command or an entrypoint"),
        ({"command": "echo 'unclosed"}, "command", "a list works too"),
        ({"command": {"run": "it"}}, "command", "write a string or a list"),
        ({"command": ["echo", None]}, "command", "each of its words is a string"),
        ({"runner": ""}, "runner", "write a path, or false"),
        ({"env": ["A=1"]}, "env", "write names and their values"),
        ({"env": {"A": True}}, "env.A", "write it as a string"),
        ({"env": {"A=B": "1"}}, "env", "holds no `=`"),
        ({"labels": {"": "x"}}, "labels", "without a name"),
        ({"grace_seconds": -1}, "grace_seconds", "write 0 or more seconds"),
        ({"task_definition": {}}, "image", "give the deployment an image"),
        ({"task_definition": "etl"}, "task_definition", "write an object"),
        ({"task_definition": {"containerDefinitions": ["etl"]}}, "task_definition.containerDefinitions", "of objects"),
        ({"task_run_request": {"launchType": "MANAGED_INSTANCES"}}, "launch_type", "capacity_provider_strategy"),
        ({"task_run_request": {"overrides": "x"}}, "task_run_request.overrides", "write an object"),
        ({"task_run_request": {"tags": ["x"]}}, "task_run_request.tags", "names and their values"),
        ({"task_run_request": {"taskDefinition": "etl:3"}}, "image", "leave out one of them"),
        ({"network_configuration": ["subnet-0a"]}, "network_configuration", "write subnets"),
        ({"configure_cloudwatch_logs": True}, "execution_role_arn", "writes to CloudWatch"),
        ({"prefect_api_key_secret_arn": "arn"}, "execution_role_arn", "has secrets"),
        (
            {"configure_cloudwatch_logs": True, "cloudwatch_logs_options": "x"},
            "cloudwatch_logs_options",
            "their values",
        ),
        (
            {"container_name": "work", "task_definition": {"containerDefinitions": [{"name": "a", "image": "b"}]}},
            "container_name",
            "has a; name one of these",
        ),
        ({"task_definition": {"containerDefinitions": [{"image": "a"}], "cpu": "much"}}, "cpu", "a whole number"),
        ({"task_definition": {"containerDefinitions": [{"image": "a"}], "memory": -1}}, "memory", "a whole number"),
        (
            {"task_definition": {"containerDefinitions": [{"image": {"$secret": "image"}}]}},
            "task_definition.containerDefinitions[0].image",
            "is a secret",
        ),
        (
            {"task_run_request": {"group": {"$secret": "group"}}},
            "task_run_request.group",
            "is a secret",
        ),
    ],
)
def test_what_cannot_be_a_request_is_refused_with_its_path(
    body: Body, keys: Mapping[str, Any], path: str, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        body(**keys)

    assert refused.value.path == path
