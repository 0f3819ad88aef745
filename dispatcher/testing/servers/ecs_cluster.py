"""One ECS cluster of the local AWS account, with a task definition to run; boto3 does the asking."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

from dispatcher.testing.servers.aws_account import AwsAccount

T = TypeVar("T")
Json = dict[str, Any]

NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}
PATIENCE_SECONDS = 30.0


def eventually(look: Callable[[], T | None]) -> T:
    """What `look` finds, as soon as it finds something."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < until, f"not seen within {PATIENCE_SECONDS:g} s"
        time.sleep(0.02)
    return found


class EcsCluster:
    """One cluster with one Fargate task definition, whose container `run` is told its command by overrides."""

    def __init__(self, account: AwsAccount) -> None:
        self.account, self.ecs, self.name = account, account.client("ecs"), f"c-{uuid4().hex[:8]}"
        self.ecs.create_cluster(clusterName=self.name)
        self.definition = self.register()

    def register(self, **members: Any) -> str:
        container = {"name": "run", "image": self.account.image, **members.pop("container", {})}
        whole = {
            "family": self.name, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": "256", "memory": "512", "containerDefinitions": [container], **members,
        }  # fmt: skip
        return str(self.ecs.register_task_definition(**whole)["taskDefinition"]["taskDefinitionArn"])

    def run(self, *command: str, environment: Json | None = None, **members: Any) -> Json:
        """RunTask's answer."""
        pairs = [{"name": name, "value": value} for name, value in (environment or {}).items()]
        override: Json = {"name": "run", "environment": pairs, **({"command": list(command)} if command else {})}
        whole = {
            "cluster": self.name, "taskDefinition": self.definition, "launchType": "FARGATE",
            "networkConfiguration": NETWORK, "overrides": {"containerOverrides": [override]}, **members,
        }  # fmt: skip
        return dict(self.ecs.run_task(**whole))

    def start(self, *command: str, **members: Any) -> str:
        """The ARN of a task that is on its way."""
        return str(self.run(*command, **members)["tasks"][0]["taskArn"])

    def describe(self, arn: str, **members: Any) -> Json:
        return dict(self.ecs.describe_tasks(cluster=self.name, tasks=[arn], **members)["tasks"][0])

    def until(self, arn: str, status: str) -> Json:
        return eventually(lambda: task if (task := self.describe(arn))["lastStatus"] == status else None)

    def until_it_says(self, arn: str, group: str, word: str) -> None:
        """A process that is not in its main loop yet has not installed its signal handlers either."""
        stream = f"run/run/{arn.rsplit('/', 1)[-1]}"
        eventually(lambda: word in log_lines(self.account, group, stream))

    def logging_to(self, group: str) -> Json:
        """A container definition's log configuration."""
        options = {"awslogs-group": group, "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "run"}
        return {"logConfiguration": {"logDriver": "awslogs", "options": options}}


def log_lines(account: AwsAccount, group: str, stream: str) -> list[str]:
    logs = account.client("logs")
    try:
        events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in events]
