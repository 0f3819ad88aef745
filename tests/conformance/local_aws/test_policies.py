"""With AUTH=true, policies are asked for ECS what AWS's reference of its actions says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from dispatcher.testing.servers.ministack import ACCOUNT, REGION, client_environment, ministack

Json = dict[str, Any]

ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
CLUSTER = {"ArnEquals": {"ecs:cluster": f"{ARN}:cluster/c"}}


class Account:
    """One with a cluster `c`, a task definition `f` with a role, and a role whose policy is what a test says."""

    def __init__(self, endpoint: str) -> None:
        self._environment = client_environment(endpoint)
        self._clients: list[Any] = []
        self.iam, ecs = self.client("iam"), self.client("ecs")
        self.iam.create_role(RoleName="caller", AssumeRolePolicyDocument=_trust({"AWS": ACCOUNT}))
        task = self.iam.create_role(
            RoleName="task", AssumeRolePolicyDocument=_trust({"Service": "ecs-tasks.amazonaws.com"})
        )
        self.task_role = task["Role"]["Arn"]
        ecs.create_cluster(clusterName="c")
        container = {"name": "run", "image": "any", "memory": 64}
        ecs.register_task_definition(family="f", taskRoleArn=self.task_role, containerDefinitions=[container])

    def client(self, service: str, **credentials: str) -> Any:
        whole = {
            "aws_access_key_id": self._environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self._environment["AWS_SECRET_ACCESS_KEY"], **credentials,
        }  # fmt: skip
        boto3 = import_module("boto3")
        made = boto3.client(service, endpoint_url=self._environment["AWS_ENDPOINT_URL"], region_name=REGION, **whole)
        self._clients.append(made)
        return made

    def ecs_allowed(self, *statements: Json) -> Any:
        """An ECS client of a caller who may do that and nothing else."""
        allowed = [{"Effect": "Allow", **statement} for statement in statements]
        document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        self.iam.put_role_policy(RoleName="caller", PolicyName="p", PolicyDocument=document)
        session = self.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/caller", RoleSessionName="test"
        )["Credentials"]  # fmt: skip
        return self.client(
            "ecs", aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )  # fmt: skip

    def may_pass(self, service: str = "ecs-tasks.amazonaws.com") -> Json:
        condition = {"StringEquals": {"iam:PassedToService": service}}
        return {"Action": "iam:PassRole", "Resource": self.task_role, "Condition": condition}

    def close(self) -> None:
        for client in self._clients:
            client.close()


def _trust(principal: Json) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, aws_account: object) -> Iterator[Account]:
    # `aws_account` is asked for its skip: where that is missing, this is too.
    with ministack(tmp_path_factory.mktemp("policies"), options={"AUTH": "true"}) as endpoint:
        account = Account(endpoint)
        yield account
        account.close()


RUN = {"Action": "ecs:RunTask", "Resource": f"{ARN}:task-definition/f:*", "Condition": CLUSTER}


def test_run_task_is_allowed_for_a_task_definition_in_a_cluster_with_the_role_that_is_passed(account: Account) -> None:
    ecs = account.ecs_allowed(RUN, account.may_pass())

    assert ecs.run_task(cluster="c", taskDefinition="f")["tasks"]


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "ecs:RunTask", "Resource": f"{ARN}:task-definition/g:*"},
        {"Action": "ecs:RunTask", "Resource": f"{ARN}:cluster/c"},
        {"Action": "ecs:RunTask", "Resource": "*", "Condition": {"ArnEquals": {"ecs:cluster": f"{ARN}:cluster/d"}}},
        {"Action": "ecs:StopTask", "Resource": "*"},
    ],
    ids=["other definition", "cluster as resource", "other cluster", "other action"],
)
def test_run_task_is_denied_by_what_does_not_name_it(account: Account, statement: Json) -> None:
    ecs = account.ecs_allowed(statement, account.may_pass())

    with pytest.raises(ecs.exceptions.AccessDeniedException, match="ecs:RunTask"):
        ecs.run_task(cluster="c", taskDefinition="f")


def test_run_task_is_denied_where_the_role_may_not_be_passed_to_tasks(account: Account) -> None:
    for may in ((), (account.may_pass("lambda.amazonaws.com"),)):
        ecs = account.ecs_allowed(RUN, *may)

        with pytest.raises(ecs.exceptions.AccessDeniedException, match="iam:PassRole"):
            ecs.run_task(cluster="c", taskDefinition="f")


def test_tasks_are_stopped_and_described_by_task_and_listed_by_cluster(account: Account) -> None:
    arn = account.client("ecs").run_task(cluster="c", taskDefinition="f")["tasks"][0]["taskArn"]
    tasks = {"Action": ["ecs:StopTask", "ecs:DescribeTasks"], "Resource": f"{ARN}:task/c/*"}
    ecs = account.ecs_allowed(tasks, {"Action": "ecs:ListTasks", "Resource": "*", "Condition": CLUSTER})

    assert arn in ecs.list_tasks(cluster="c")["taskArns"]
    assert ecs.describe_tasks(cluster="c", tasks=[arn])["tasks"]
    assert ecs.stop_task(cluster="c", task=arn)["task"]
    with pytest.raises(ecs.exceptions.AccessDeniedException):
        ecs.list_tasks(cluster="d")
