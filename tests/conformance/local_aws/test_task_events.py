"""The local AWS account sends "ECS Task State Change" as AWS does, and loses, repeats and reorders it on demand."""

from __future__ import annotations

import json
from typing import Any

from dispatcher.testing.servers.aws_account import AwsAccount
from dispatcher.testing.servers.ecs_cluster import EcsCluster, eventually

Json = dict[str, Any]


def steps(account: AwsAccount, arn: str) -> list[tuple[int, str, str]]:
    """Version, last and desired status of each event of a task."""
    details = [event["detail"] for event in account.events(arn)]
    return [(detail["version"], detail["lastStatus"], detail["desiredStatus"]) for detail in details]


class TestEvents:
    def test_there_is_one_for_each_change_and_versions_count_up(self, cluster: EcsCluster) -> None:
        arn = cluster.start("true", startedBy="pp/1/1")
        cluster.until(arn, "STOPPED")

        assert steps(cluster.account, arn) == [
            (1, "PROVISIONING", "RUNNING"),
            (2, "PENDING", "RUNNING"),
            (3, "RUNNING", "RUNNING"),
            (4, "RUNNING", "STOPPED"),
            (5, "DEPROVISIONING", "STOPPED"),
            (6, "STOPPED", "STOPPED"),
        ]
        assert cluster.describe(arn)["version"] == 6

    def test_the_last_one_tells_how_it_ended(self, cluster: EcsCluster) -> None:
        arn = cluster.start("sh", "-c", "exit 9", startedBy="pp/1/1", tags=[{"key": "a", "value": "b"}])
        cluster.until(arn, "STOPPED")

        event = cluster.account.events(arn)[-1]

        detail = event["detail"]
        assert (event["source"], event["detail-type"]) == ("aws.ecs", "ECS Task State Change")
        assert event["resources"] == [arn]
        assert (detail["startedBy"], detail["stopCode"]) == ("pp/1/1", "EssentialContainerExited")
        assert detail["containers"][0]["exitCode"] == 9
        assert "tags" not in detail
        for moment in ("createdAt", "startedAt", "stoppedAt"):
            assert detail[moment].endswith("Z"), moment

    def test_a_rule_sends_those_that_it_matches_to_a_queue(self, cluster: EcsCluster) -> None:
        queue = _queue_of_a_rule(cluster, {"lastStatus": ["STOPPED"], "startedBy": [{"prefix": f"{cluster.name}/"}]})
        cluster.until(cluster.start("true", startedBy="somebody"), "STOPPED")

        arn = cluster.start("true", startedBy=f"{cluster.name}/1")

        assert [event["detail"]["taskArn"] for event in _received(cluster, queue, 1)] == [arn]

    def test_they_may_be_lost(self, cluster: EcsCluster) -> None:
        with cluster.account.events_are("dropped"):
            arn = cluster.start("true")
            cluster.until(arn, "STOPPED")

        assert cluster.account.events(arn) == []

    def test_they_may_come_twice(self, cluster: EcsCluster) -> None:
        with cluster.account.events_are("doubled"):
            arn = cluster.start("true")
            cluster.until(arn, "STOPPED")

        assert [version for version, _, _ in steps(cluster.account, arn)][-2:] == [6, 6]
        assert len({event["id"] for event in cluster.account.events(arn)}) == 6

    def test_they_may_come_late_and_backwards(self, cluster: EcsCluster) -> None:
        queue = _queue_of_a_rule(cluster, {"clusterArn": [{"suffix": f"/{cluster.name}"}]})
        with cluster.account.events_are("held"):
            arn = cluster.start("true")
            cluster.until(arn, "STOPPED")
        assert cluster.account.events(arn) == []

        assert cluster.account.release_events(backwards=True) >= 6  # other tests' tasks may end meanwhile

        assert [version for version, _, _ in steps(cluster.account, arn)] == [6, 5, 4, 3, 2, 1]
        assert len(_received(cluster, queue, 6)) == 6


def _queue_of_a_rule(cluster: EcsCluster, detail: Json) -> str:
    sqs, events = cluster.account.client("sqs"), cluster.account.client("events")
    queue = sqs.create_queue(QueueName=cluster.name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"], "detail": detail}
    events.put_rule(Name=cluster.name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=cluster.name, Targets=[{"Id": "queue", "Arn": arn}])
    return str(queue)


def _received(cluster: EcsCluster, queue: str, count: int) -> list[Json]:
    sqs = cluster.account.client("sqs")
    found: list[Json] = []

    def look() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        found.extend(json.loads(message["Body"]) for message in answer.get("Messages", ()))
        return len(found) >= count

    eventually(look)
    return found
