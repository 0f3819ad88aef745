"""ECS as a far side: an AWS account of this machine, whose tasks are containers; each life has a cluster of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from dispatcher.testing.proof.clouds.gated import ALL_FAULTS, Gated, Key, Sight, told_key, wait_until_none
from dispatcher.testing.servers.aws_account import AwsAccount, aws_account

Json = Mapping[str, Any]


@contextmanager
def ecs(folder: Path) -> Iterator[Callable[[], Cluster]]:
    """:raises Missing: :raises Broken:"""
    with aws_account(folder) as account:
        yield ecs_in(account)


def ecs_in(account: AwsAccount) -> Callable[[], Cluster]:
    """New clusters in an account that is there."""
    place = Place(account)
    return lambda: Cluster(place, f"life-{uuid4().hex[:8]}")


class Place:
    """What the lives in one account share: its clients, and where their tasks are."""

    def __init__(self, account: AwsAccount) -> None:
        self.account = account
        self.ecs, self.events, self.sqs = (account.client(service) for service in ("ecs", "events", "sqs"))
        found = account.client("ec2").describe_subnets()["Subnets"]
        self.subnets = sorted(str(each["SubnetId"]) for each in found)[:2]


class Cluster(Gated):
    """Its tasks' events come by a rule of its own into a queue of its own."""

    type = "ecs:push"
    faults = ALL_FAULTS

    def __init__(self, place: Place, name: str) -> None:
        variables = {
            "image": place.account.image, "cluster": name, "network_configuration": {"subnets": place.subnets},
            "cpu": 256, "memory": 512, "grace_seconds": 1,
        }  # fmt: skip
        super().__init__(variables=variables, environment=place.account.environment)
        self._account, self._ecs, self._events, self._sqs = place.account, place.ecs, place.events, place.sqs
        self._name = name
        self._stopped: set[str] = set()
        arn = self._ecs.create_cluster(clusterName=name)["cluster"]["clusterArn"]
        self._queue = self._told_of(arn)

    def crash(self, name: str) -> None:
        """Its Spot capacity is taken back."""
        for task in self._of(self.key(name)):
            self._account.interrupt(task["taskArn"])
        self.wait_for_end(name)

    def forget(self, name: str) -> None:
        for task in self._of(self.key(name)):
            self._account.forget(task["taskArn"])
        self.wait_for_end(name)

    def take_events(self) -> list[Json]:
        taken: list[Json] = []
        while found := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            taken += [json.loads(each["Body"]) for each in found]
            entries = [{"Id": each["MessageId"], "ReceiptHandle": each["ReceiptHandle"]} for each in found]
            self._sqs.delete_message_batch(QueueUrl=self._queue, Entries=entries)
        return taken

    def fail_next(self, kind: str, *, times: int = 1) -> None:
        self._account.fail_next_run_task(kind, times=times)

    def see(self) -> Sight:
        live = self._live()
        ending = [task["taskArn"] for task in live if task["desiredStatus"] == "STOPPED"]
        return Sight([_key(task) for task in live], ending)

    def left(self) -> list[str]:
        return [task["taskArn"] for task in self._live()]

    def close(self) -> None:
        super().close()
        self._account.forget_faults()
        wait_until_none(lambda: ", ".join(self.left()))
        self._events.remove_targets(Rule=self._name, Ids=["queue"])
        self._events.delete_rule(Name=self._name)
        self._sqs.delete_queue(QueueUrl=self._queue)
        self._ecs.delete_cluster(cluster=self._name)

    def _live(self) -> list[Json]:
        """As ECS describes them. What was once seen to have stopped is not asked for any more."""
        arns = [
            arn for status in ("RUNNING", "STOPPED")
            for arn in self._ecs.list_tasks(cluster=self._name, desiredStatus=status)["taskArns"]
            if arn not in self._stopped
        ]  # fmt: skip
        if not arns:
            return []
        found = self._ecs.describe_tasks(cluster=self._name, tasks=arns)["tasks"]
        self._stopped |= {task["taskArn"] for task in found if task["lastStatus"] == "STOPPED"}
        return [task for task in found if task["lastStatus"] != "STOPPED"]

    def _of(self, key: Key) -> list[Json]:
        return [task for task in self._live() if _key(task) == key]

    def _told_of(self, cluster: str) -> str:
        """The URL of a queue that hears of the cluster's tasks."""
        queue: str = self._sqs.create_queue(QueueName=self._name)["QueueUrl"]
        wanted = {"source": ["aws.ecs"], "detail": {"clusterArn": [cluster]}}
        self._events.put_rule(Name=self._name, EventPattern=json.dumps(wanted))
        told = self._sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
        self._events.put_targets(Rule=self._name, Targets=[{"Id": "queue", "Arn": told["QueueArn"]}])
        return queue


def _key(task: Json) -> Key:
    pairs = [pair for each in task["overrides"]["containerOverrides"] for pair in each.get("environment", ())]
    return told_key({pair["name"]: pair["value"] for pair in pairs})
