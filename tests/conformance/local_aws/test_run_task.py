"""The local AWS account answers ECS requests as AWS does, fails on demand and starts nothing twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from dispatcher.testing.servers.ecs_cluster import NETWORK, EcsCluster
from dispatcher.testing.servers.orders import Declined

Json = dict[str, Any]


def refusal(cluster: EcsCluster, /, **members: Any) -> tuple[str, str]:
    """Code and message with which RunTask is refused."""
    with pytest.raises(ClientError) as caught:
        cluster.run("true", **members)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


class TestARequest:
    def test_to_a_cluster_that_is_not_there_is_refused(self, cluster: EcsCluster) -> None:
        assert refusal(cluster, cluster="no-such") == ("ClusterNotFoundException", "Cluster not found.")

    def test_of_another_kind_to_such_a_cluster_is_refused_too(self, cluster: EcsCluster) -> None:
        gone, ecs = cluster.ecs.exceptions.ClusterNotFoundException, cluster.ecs

        with pytest.raises(gone):
            ecs.list_tasks(cluster="no-such")
        with pytest.raises(gone):
            ecs.describe_tasks(cluster="no-such", tasks=["a" * 32])
        with pytest.raises(gone):
            ecs.stop_task(cluster="no-such", task="a" * 32)

    def test_for_a_container_that_the_definition_lacks_is_refused(self, cluster: EcsCluster) -> None:
        code, message = refusal(cluster, overrides={"containerOverrides": [{"name": "main"}]})

        assert code == "InvalidParameterException"
        assert message == "Override for container named main is not a container in the TaskDefinition."

    def test_without_a_network_is_refused(self, cluster: EcsCluster) -> None:
        code, message = refusal(cluster, networkConfiguration={})

        assert code == "InvalidParameterException"
        assert message == "Network Configuration must be provided when networkMode 'awsvpc' is specified."

    def test_for_more_than_ten_tasks_is_refused(self, cluster: EcsCluster) -> None:
        assert refusal(cluster, count=11)[0] == "InvalidParameterException"

    def test_with_overrides_of_more_than_8192_characters_is_refused(self, cluster: EcsCluster) -> None:
        empty = '{"containerOverrides":[{"name":"run","environment":[{"name":"A","value":""}]}]}'

        def overrides(length: int) -> Json:
            value = "x" * (length - len(empty))
            return {"containerOverrides": [{"name": "run", "environment": [{"name": "A", "value": value}]}]}

        code, message = refusal(cluster, overrides=overrides(8193))
        assert (code, message) == ("InvalidParameterException", "Container Overrides length must be at most 8192")
        assert cluster.run(overrides=overrides(8192))["tasks"]

    def test_for_a_definition_that_is_not_there_or_no_longer_active_is_refused(self, cluster: EcsCluster) -> None:
        gone = cluster.register()
        cluster.ecs.deregister_task_definition(taskDefinition=gone)

        assert refusal(cluster, taskDefinition=f"{cluster.name}:99") == ("ClientException", "TaskDefinition not found.")
        assert refusal(cluster, taskDefinition=gone) == ("InvalidParameterException", "TaskDefinition is inactive")

    def test_that_names_a_family_gets_its_latest_active_revision(self, cluster: EcsCluster) -> None:
        second, third = cluster.register(), cluster.register()
        cluster.ecs.deregister_task_definition(taskDefinition=third)

        assert cluster.run("true", taskDefinition=cluster.name)["tasks"][0]["taskDefinitionArn"] == second

    @pytest.mark.parametrize(("cpu", "memory"), [("256", "4096"), ("300", "512"), ("1024", "2560"), ("8192", "17408")])
    def test_for_a_size_that_fargate_lacks_is_refused(self, cluster: EcsCluster, cpu: str, memory: str) -> None:
        with pytest.raises(ClientError, match=f"No Fargate configuration exists for given values: {cpu} CPU"):
            cluster.register(cpu=cpu, memory=memory)

        overrides = {"cpu": cpu, "memory": memory}
        assert "No Fargate configuration exists" in refusal(cluster, overrides=overrides)[1]

    def test_for_fargate_with_a_definition_that_is_not_is_refused(self, cluster: EcsCluster) -> None:
        definition = cluster.register(requiresCompatibilities=["EC2"])

        assert refusal(cluster, taskDefinition=definition)[0] == "InvalidParameterException"

    def test_for_a_size_in_words_is_taken(self, cluster: EcsCluster) -> None:
        assert cluster.register(cpu="1 vCPU", memory="2 GB")


class TestAToken:
    def test_starts_one_task_however_often_and_by_how_many_it_is_sent(self, cluster: EcsCluster) -> None:
        def run(_: int) -> str:
            return str(cluster.run("sleep", "2", clientToken="t")["tasks"][0]["taskArn"])

        with ThreadPoolExecutor(8) as pool:
            arns = set(pool.map(run, range(8)))

        assert len(arns) == 1
        assert cluster.ecs.list_tasks(cluster=cluster.name)["taskArns"] == list(arns)

    def test_gets_the_first_answer_again(self, cluster: EcsCluster) -> None:
        first = cluster.run("sleep", "2", clientToken="t", startedBy="pp/1/1")
        cluster.until(first["tasks"][0]["taskArn"], "RUNNING")

        assert cluster.run("sleep", "2", clientToken="t", startedBy="pp/1/1")["tasks"] == first["tasks"]

    def test_gets_little_of_a_task_that_has_stopped(self, cluster: EcsCluster) -> None:
        arn = cluster.start("true", clientToken="t")
        cluster.until(arn, "STOPPED")

        again = cluster.run("true", clientToken="t")["tasks"]

        assert again == [{"taskArn": arn, "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}]

    def test_with_other_parameters_is_a_conflict_that_names_the_task(self, cluster: EcsCluster) -> None:
        arn = cluster.start("true", clientToken="t")

        with pytest.raises(cluster.ecs.exceptions.ConflictException) as caught:
            cluster.run("false", clientToken="t")

        assert caught.value.response["resourceIds"] == [arn]

    def test_gets_a_failure_again_too(self, cluster: EcsCluster) -> None:
        cluster.account.fail_next_run_task("memory")
        first = cluster.run("true", clientToken="t")

        again = cluster.run("true", clientToken="t")

        assert [failure["reason"] for failure in first["failures"]] == ["RESOURCE:MEMORY"]
        assert (again["tasks"], again["failures"]) == ([], first["failures"])
        assert cluster.run("true", clientToken="u")["tasks"]

    def test_is_free_after_an_error(self, cluster: EcsCluster) -> None:
        cluster.account.fail_next_run_task("throttled")
        with pytest.raises(ClientError):
            cluster.run("true", clientToken="t")

        assert cluster.run("true", clientToken="t")["tasks"]

    def test_is_its_clusters_own(self, cluster: EcsCluster) -> None:
        other = EcsCluster(cluster.account)

        assert cluster.start("true", clientToken="t") != other.start("true", clientToken="t")


class TestAFault:
    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            ("throttled", "ThrottlingException"),
            ("denied", "AccessDeniedException"),
            ("rejected", "BlockedException"),
            ("timeout", "ServerException"),
        ],
    )
    def test_may_be_an_error_without_an_effect(self, cluster: EcsCluster, kind: str, code: str) -> None:
        cluster.account.fail_next_run_task(kind)

        assert refusal(cluster)[0] == code
        assert cluster.ecs.list_tasks(cluster=cluster.name)["taskArns"] == []

    def test_may_hide_an_effect_that_the_token_finds(self, cluster: EcsCluster) -> None:
        cluster.account.fail_next_run_task("reply lost")
        with pytest.raises(ClientError):
            cluster.run("sleep", "2", clientToken="t")

        [hidden] = cluster.ecs.list_tasks(cluster=cluster.name)["taskArns"]
        assert cluster.start("sleep", "2", clientToken="t") == hidden

    def test_may_be_an_answer_without_task_and_failure(self, cluster: EcsCluster) -> None:
        cluster.account.fail_next_run_task("empty")

        answer = cluster.run("true")

        assert (answer["tasks"], answer["failures"]) == ([], [])

    def test_may_be_a_task_that_never_starts(self, cluster: EcsCluster) -> None:
        cluster.account.fail_next_run_task("no start")

        task = cluster.until(cluster.start("true"), "STOPPED")

        assert (task["stopCode"], task["containers"]) == ("TaskFailedToStart", [])

    def test_may_be_several_in_a_row(self, cluster: EcsCluster) -> None:
        cluster.account.fail_next_run_task("capacity", times=2)

        assert [len(cluster.run("true")["tasks"]) for _ in range(3)] == [0, 0, 1]

    def test_of_no_known_kind_is_refused(self, cluster: EcsCluster) -> None:
        with pytest.raises(Declined, match="no such"):
            cluster.account.fail_next_run_task("no such")

    def test_may_be_a_spot_interruption(self, cluster: EcsCluster) -> None:
        arn = cluster.start("sleep", "600", taskDefinition=cluster.register(container={"stopTimeout": 1}))
        cluster.until(arn, "RUNNING")

        cluster.account.interrupt(arn)

        task = cluster.until(arn, "STOPPED")
        assert (task["stopCode"], task["stoppedReason"]) == ("SpotInterruption", "Your Spot Task was interrupted.")

    def test_may_be_a_kill(self, cluster: EcsCluster) -> None:
        arn = cluster.start("sleep", "600")
        cluster.until(arn, "RUNNING")

        cluster.account.kill(arn)

        container = cluster.until(arn, "STOPPED")["containers"][0]
        assert (container["exitCode"], container["reason"][:16]) == (137, "OutOfMemoryError")


class TestTasks:
    def test_are_listed_by_who_started_them_and_what_they_are_to_be(self, cluster: EcsCluster) -> None:
        over = cluster.start("true", startedBy="pp/1/1")
        going = cluster.start("sleep", "3", startedBy="pp/1/1")
        cluster.start("sleep", "3", startedBy="pp/1/10")
        cluster.until(over, "STOPPED")

        def listed(**members: Any) -> list[str]:
            return list(cluster.ecs.list_tasks(cluster=cluster.name, startedBy="pp/1/1", **members)["taskArns"])

        assert (listed(), listed(desiredStatus="STOPPED")) == ([going], [over])

    def test_that_are_unknown_are_missing(self, cluster: EcsCluster) -> None:
        arn = cluster.start("true")
        unknown = arn.replace(arn.rsplit("/", 1)[-1], str(uuid4()))

        answer = cluster.ecs.describe_tasks(cluster=cluster.name, tasks=[arn, unknown, "b" * 32])

        assert [task["taskArn"] for task in answer["tasks"]] == [arn]
        assert [(failure["arn"], failure["reason"]) for failure in answer["failures"]] == [
            (unknown, "MISSING"),
            (unknown.rsplit("/", 1)[0] + "/" + "b" * 32, "MISSING"),
        ]

    def test_that_are_unknown_cannot_be_stopped(self, cluster: EcsCluster) -> None:
        with pytest.raises(ClientError, match=r"InvalidParameterException.*The referenced task was not found\."):
            cluster.ecs.stop_task(cluster=cluster.name, task="a" * 32)

    def test_are_described_by_a_hundred_at_most(self, cluster: EcsCluster) -> None:
        with pytest.raises(cluster.ecs.exceptions.InvalidParameterException):
            cluster.ecs.describe_tasks(cluster=cluster.name, tasks=[f"{n:032}" for n in range(101)])

    def test_each_request_is_kept_as_it_was_sent(self, cluster: EcsCluster) -> None:
        cluster.run("true", startedBy="pp/1/1", clientToken="t")

        [sent] = [sent for sent in cluster.account.run_task_requests() if sent["cluster"] == cluster.name]

        assert (sent["startedBy"], sent["networkConfiguration"]) == ("pp/1/1", NETWORK)
