"""Where a request goes, and what it registers: capacity, network, tags and task definition."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from adapters.infrastructure import ecs
from dispatcher.errors import InvalidInput
from dispatcher.ports import Job

ROLE = "arn:aws:iam::123456789012:role/run"

Json = dict[str, Any]
MakeJob = Callable[..., Job]
Body = Callable[..., Json]


def main(made: Json) -> Json:
    override: Json = made["run_task"]["overrides"]["containerOverrides"][0]
    return override


class TestPlacement:
    def test_spot_is_a_capacity_provider(self, body: Body) -> None:
        made = body(task_run_request={"launchType": "FARGATE_SPOT"})

        assert "launchType" not in made["run_task"]
        assert made["run_task"]["capacityProviderStrategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
        assert made["task_definition"]["requiresCompatibilities"] == ["FARGATE"]

    def test_a_strategy_takes_the_place_of_the_launch_type(self, body: Body) -> None:
        strategy = [{"capacityProvider": "gpu-machines", "weight": 1, "base": 0}]

        made = body(task_run_request={"launchType": "FARGATE", "capacityProviderStrategy": strategy})

        assert "launchType" not in made["run_task"]
        assert made["run_task"]["capacityProviderStrategy"] == strategy
        assert "requiresCompatibilities" not in made["task_definition"]

    def test_without_either_it_is_fargate_unless_the_task_definition_is_for_ec2(self, body: Body) -> None:
        for_ec2 = {"containerDefinitions": [{"image": "etl"}], "requiresCompatibilities": ["EC2"]}

        assert body(task_run_request={})["run_task"]["launchType"] == "FARGATE"
        assert "launchType" not in body(task_run_request={}, task_definition=for_ec2)["run_task"]

    def test_false_stays_and_what_is_empty_goes(self, body: Body) -> None:
        wanted = {
            "launchType": "FARGATE",
            "enableExecuteCommand": False,
            "platformVersion": None,
            "group": "",
            "placementConstraints": [],
        }

        made = body(task_run_request=wanted)["run_task"]

        assert made["enableExecuteCommand"] is False
        assert not {"platformVersion", "group", "placementConstraints"} & made.keys()

    @pytest.mark.parametrize(
        ("top", "inner", "expected"),
        [("jobs", None, "jobs"), ("jobs", "", "jobs"), (None, "inner", "inner"), (None, None, "default")],
    )
    def test_the_cluster_is_always_named(
        self, adapter: ecs.Ecs, make_job: MakeJob, top: str | None, inner: str | None, expected: str
    ) -> None:
        made = adapter.request(make_job(cluster=top, task_run_request={"launchType": "FARGATE", "cluster": inner}))

        assert made.target.group == made.body["run_task"]["cluster"] == expected

    def test_an_arn_says_the_region_too(self, adapter: ecs.Ecs, make_job: MakeJob) -> None:
        arn = "arn:aws:ecs:us-east-1:123456789012:cluster/jobs"

        made = adapter.request(make_job(cluster=arn, region="eu-west-1"))

        assert (made.target.region, made.target.group) == ("us-east-1", arn)

    def test_a_region_may_be_given(self, adapter: ecs.Ecs, make_job: MakeJob) -> None:
        assert adapter.request(make_job(region="eu-west-1")).target.region == "eu-west-1"


class TestNetwork:
    def test_it_is_taken_with_or_without_its_wrapping(self, body: Body) -> None:
        inner = {"subnets": ["subnet-0a"], "securityGroups": ["sg-0a"], "assignPublicIp": True}

        for given in (inner, {"awsvpcConfiguration": inner}):
            made = body(network_configuration=given)
            assert made["run_task"]["networkConfiguration"] == {
                "awsvpcConfiguration": {**inner, "assignPublicIp": "ENABLED"}
            }
            assert "lookup" not in made

    @pytest.mark.parametrize(("vpc_id", "expected"), [("vpc-0a", "vpc-0a"), (None, "")])
    def test_without_subnets_they_are_to_be_looked_up(self, body: Body, vpc_id: str | None, expected: str) -> None:
        made = body(network_configuration={"securityGroups": ["sg-0a"]}, vpc_id=vpc_id)

        assert "networkConfiguration" not in made["run_task"]
        assert made["lookup"] == {"vpc_id": expected, "public_ip": True, "given": {"securityGroups": ["sg-0a"]}}

    def test_subnets_on_ec2_are_an_interface_of_its_own(self, body: Body) -> None:
        made = body(task_run_request={"launchType": "EC2"})

        assert made["task_definition"]["networkMode"] == "awsvpc"
        assert "networkConfiguration" in made["run_task"]


class TestTags:
    def test_labels_become_legal_tags(self, body: Body) -> None:
        labels = {"team!": "data & more", "aws:owner": "me", "k" * 200: "v" * 300, "größe": "ß"}

        tags = {tag["key"]: tag["value"] for tag in body(labels=labels)["run_task"]["tags"]}

        assert (tags["team-"], tags["aws-owner"], tags["größe"]) == ("data - more", "me", "ß")
        assert tags["k" * 128] == "v" * 256
        assert all(re.fullmatch(r"[\w +\-=.:/@]*", part) for tag in tags.items() for part in tag)

    def test_ours_are_there_and_win(self, body: Body) -> None:
        tags = {tag["key"]: tag["value"] for tag in body(labels={"pushpool:pool": "forged"})["run_task"]["tags"]}

        assert (tags["pushpool:pool"], tags["pushpool:deployment"], tags["Name"]) == ("nightly", "etl", "brisk-otter")

    def test_tags_of_the_template_stay(self, body: Body) -> None:
        wanted = {"launchType": "FARGATE", "tags": [{"key": "cost", "value": "42"}, {"key": "team", "value": "x"}]}

        tags = {
            tag["key"]: tag["value"] for tag in body(task_run_request=wanted, labels={"team": "y"})["run_task"]["tags"]
        }

        assert (tags["cost"], tags["team"]) == ("42", "y")

    def test_46_labels_fit_and_47_do_not(self, body: Body) -> None:
        labels = {f"label-{n}": "x" for n in range(46)}

        assert len(body(labels=labels)["run_task"]["tags"]) == 50
        with pytest.raises(InvalidInput, match="labels has 47 entries, and a task takes 46"):
            body(labels={**labels, "one-more": "x"})


class TestTaskDefinition:
    def test_one_content_has_one_family_whatever_the_run(self, adapter: ecs.Ecs, make_job: MakeJob) -> None:
        one = adapter.request(make_job(env={"A": "1"}, command="one"))
        other = adapter.request(make_job(env={"A": "2"}, command="other", attempt=3, submit_seq=7, labels={"a": "b"}))

        assert one.body["task_definition"] == other.body["task_definition"]
        assert re.fullmatch(r"pushpool-nightly-[0-9a-f]{24}", one.body["task_definition"]["family"])

    def test_a_family_that_a_template_names_has_no_effect(self, adapter: ecs.Ecs, make_job: MakeJob) -> None:
        definition = {"containerDefinitions": [{"image": "registry/etl:1"}]}

        named = adapter.request(make_job(task_definition={**definition, "family": "of-another-team"}))

        assert named == adapter.request(make_job(task_definition=definition))

    def test_another_content_or_pool_has_another_family(self, adapter: ecs.Ecs, make_job: MakeJob) -> None:
        jobs = [
            make_job(),
            make_job(task_definition={"containerDefinitions": [{"image": "registry/etl:2"}]}),
            make_job(execution_role_arn=ROLE),
            make_job(pool="daily"),
        ]

        assert len({adapter.request(job).body["task_definition"]["family"] for job in jobs}) == len(jobs)

    def test_a_family_is_legal_whatever_the_pool_is_called(self, adapter: ecs.Ecs, make_job: MakeJob) -> None:
        family = adapter.request(make_job(pool="näch tlich." + "x" * 300)).body["task_definition"]["family"]

        assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", family)

    def test_logs_go_to_cloudwatch_with_the_options_that_are_given(self, body: Body) -> None:
        made = body(
            configure_cloudwatch_logs=True,
            cloudwatch_logs_options={"awslogs-group": "mine", "mode": "non-blocking"},
            cloudwatch_logs_prefix="etl",
            execution_role_arn=ROLE,
        )

        assert made["task_definition"]["containerDefinitions"][0]["logConfiguration"] == {
            "logDriver": "awslogs",
            "options": {
                "awslogs-create-group": "true",
                "awslogs-group": "mine",
                "awslogs-region": "eu-central-1",
                "awslogs-stream-prefix": "etl",
                "mode": "non-blocking",
            },
        }

    def test_sidecars_stay_and_get_their_overrides(self, body: Body) -> None:
        definition = {
            "containerDefinitions": [
                {"name": "proxy", "image": "proxy:1", "essential": False},
                {"name": "work", "image": "etl:1", "dependsOn": [{"containerName": "proxy", "condition": "START"}]},
            ]
        }
        overrides = {"containerOverrides": [{"name": "proxy", "environment": {"LEVEL": "debug", "NOT": None}}]}

        made = body(
            container_name="work",
            task_definition=definition,
            task_run_request={"launchType": "FARGATE", "overrides": overrides},
        )

        mine, proxy = made["run_task"]["overrides"]["containerOverrides"]
        assert mine["name"] == "work"
        assert proxy == {"name": "proxy", "environment": [{"name": "LEVEL", "value": "debug"}]}
        assert [each["name"] for each in made["task_definition"]["containerDefinitions"]] == ["proxy", "work"]
        assert made["task_definition"]["containerDefinitions"][0]["essential"] is False

    @pytest.mark.parametrize(
        ("names", "expected"), [(["proxy", "prefect"], "prefect"), (["a", "b"], "a"), ([""], "run"), ([], "run")]
    )
    def test_the_main_container_is_found_where_nobody_names_it(
        self, body: Body, names: list[str], expected: str
    ) -> None:
        definition = {"containerDefinitions": [{"name": name, "image": "etl"} for name in names]}
        if not names:
            definition = {"containerDefinitions": [{"image": "etl"}]}

        assert main(body(task_definition=definition))["name"] == expected

    def test_the_time_to_stop_follows_the_grace(self, body: Body) -> None:
        def seconds(**keys: Any) -> object:
            return body(**keys)["task_definition"]["containerDefinitions"][0].get("stopTimeout")

        assert (seconds(), seconds(grace_seconds=60), seconds(grace_seconds=500)) == (None, 65, 120)

    def test_a_registered_one_is_taken_as_it_is(self, body: Body) -> None:
        made = body(
            task_definition={"cpu": 512, "executionRoleArn": ROLE},
            task_run_request={"launchType": "FARGATE", "taskDefinition": "etl:3"},
        )

        assert made["task_definition"] == "etl:3"
        assert main(made)["name"] == ""
        assert made["run_task"]["overrides"]["executionRoleArn"] == ROLE

    def test_prefects_secrets_are_the_containers(self, body: Body) -> None:
        arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key"

        made = body(prefect_api_key_secret_arn=arn, execution_role_arn=ROLE)

        assert made["task_definition"]["containerDefinitions"][0]["secrets"] == [
            {"name": "PREFECT_API_KEY", "valueFrom": arn}
        ]
