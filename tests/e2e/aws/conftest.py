"""An installation made by the Terraform example on an AWS account of this machine, and used as people use it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from dispatcher.testing.servers.aws_account import AwsAccount
from dispatcher.testing.servers.front_door import front_door
from dispatcher.testing.terraform import EXAMPLE, Terraform, terraform
from dispatcher.testing.visitor import Json, Visitor

# What a deployment's container does; its image has Python and the runner.
DEPLOYMENTS: Mapping[str, Json] = {
    "hello": {"command": ["python3", "-c", "import os; print('hello', os.environ['PUSHPOOL_PARAMETERS'])"]},
    "fails": {"command": ["python3", "-c", "print('no such table'); raise SystemExit(3)"]},
    "slow": {"command": ["python3", "-c", "import time; time.sleep(120)"]},
    "missing": {"command": ["true"], "image": "pushpool-test/not-there:1"},
    "bare": {"command": ["sh", "-c", "exit 4"], "job_variables": {"runner": False}},
}


class Installation(Visitor):
    """What Terraform made, by its outputs; `environment` is that of somebody with the account's credentials."""

    patience_seconds = 150.0

    def __init__(
        self, account: AwsAccount, outputs: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
    ) -> None:
        super().__init__(folder, environment, self.said)
        self.account, self.outputs = account, outputs

    @property
    def table(self) -> str:
        return str(self.outputs["table_name"])

    def requests(self, run_id: str) -> list[Json]:
        """The RunTask calls for that run."""
        return [each for each in self.account.run_task_requests() if f"/{run_id}/" in str(each.get("startedBy"))]

    def tasks(self, run_id: str) -> list[Json]:
        """The tasks that were really started for that run, as ECS describes them."""
        ecs, cluster = self.account.client("ecs"), self.cluster
        started = {str(each["startedBy"]) for each in self.requests(run_id)}
        arns: list[str] = []
        for each in started:
            for status in ("RUNNING", "STOPPED"):
                arns += ecs.list_tasks(cluster=cluster, startedBy=each, desiredStatus=status)["taskArns"]
        found = ecs.describe_tasks(cluster=cluster, tasks=list(dict.fromkeys(arns)))["tasks"] if arns else []
        return list(found)

    @property
    def cluster(self) -> str:
        pools = YAML(typ="safe").load(self.outputs["work_pools"])["work_pools"]
        return str(pools["fargate"]["variables"]["cluster"])

    def said(self, function: str = "dispatch") -> str:
        """The end of a function's log."""
        logs = self.account.client("logs")
        group = f"/aws/lambda/{self.outputs['function_names'][function]}"
        events = logs.filter_log_events(logGroupName=group).get("events", [])
        return "\n".join(str(each["message"]).rstrip() for each in events[-60:])


@pytest.fixture(scope="session")
def package(packed: Callable[[str], Path]) -> Path:
    """The zip, as `make package-aws` builds it."""
    return packed("aws/package.py")


@pytest.fixture(scope="module")
def installation(
    aws_account: AwsAccount, package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """From an empty account to a registered deployment, as the README's page tells; and away again."""
    folder = tmp_path_factory.mktemp("installation")
    with ExitStack() as opened:
        door = opened.enter_context(front_door())
        made = terraform(folder)
        outputs = opened.enter_context(applied(made, aws_account, package, door.url))
        api = urlsplit(find_api(aws_account))
        door.lead_to(urlsplit(aws_account.endpoint).port or 0, api.netloc)
        yield used(Installation(aws_account, outputs, folder, shell(aws_account, folder, door.url)))


def find_api(account: AwsAccount) -> str:
    apis = account.client("apigatewayv2").get_apis()["Items"]
    api = next(each for each in apis if each["Name"] == "pushpool")
    port = urlsplit(account.endpoint).port
    return f"http://{api['ApiId']}.execute-api.localhost:{port}"


@contextmanager
def applied(made: Terraform, account: AwsAccount, package: Path, url: str) -> Iterator[Mapping[str, Any]]:
    """The example's outputs; when the block ends nothing is left."""
    variables = {"region": account.environment["AWS_REGION"], "package": str(package), "public_url": url,
                 "keep_data": "false"}  # fmt: skip
    environment = {**account.environment, **{f"TF_VAR_{name}": value for name, value in variables.items()}}
    try:
        made(EXAMPLE, "apply", "-input=false", "-auto-approve", environment=environment)
        said = json.loads(made(EXAMPLE, "output", "-json", environment=environment))
        yield {name: each["value"] for name, each in said.items()}
    finally:
        made(EXAMPLE, "destroy", "-input=false", "-auto-approve", environment=environment)
        assert made(EXAMPLE, "state", "list", environment=environment).strip() == ""


def shell(account: AwsAccount, folder: Path, url: str) -> dict[str, str]:
    """Of whoever has the account's credentials."""
    return {**account.environment, "PUSHPOOL_HOME": str(folder / "home"), "PUSHPOOL_API_URL": url}


def used(new: Installation) -> Installation:
    """With an admin's key, the pool that Terraform wrote, and deployments."""
    store = f"dynamodb://{new.table}"
    made = json.loads(
        new.pushpool(
            "api-key", "create", "admin", "--scope", "admin", "--json", PUSHPOOL_STORE=store, PUSHPOOL_API_URL=""
        )
    )
    ours = Installation(new.account, new.outputs, new.folder, {**new.environment, "PUSHPOOL_API_KEY": made["key"]})
    deployments = {name: {"pool": "fargate", "image": new.account.image, **form} for name, form in DEPLOYMENTS.items()}
    text = f"{new.outputs['work_pools']}\n{json.dumps({'deployments': deployments})[1:-1]}\n"
    (new.folder / "pushpool.yaml").write_text(text, encoding="utf-8")
    ours.pushpool("apply", "-f", "pushpool.yaml", "--yes")
    return ours
