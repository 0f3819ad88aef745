"""Functions of the local AWS account are processes of their own, which may be cut off from it and denied things."""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from dispatcher.testing.servers.aws_account import AwsAccount
from dispatcher.testing.servers.ecs_cluster import EcsCluster
from dispatcher.testing.servers.ministack import REGION

Json = dict[str, Any]

# Signed as far as the emulator looks: its functions have no SDK but what they bring.
CALLS = """
import http.client, json, os, sys, urllib.error, urllib.request

def handler(event, context):
    answers = [call(*each) for each in event.get("calls", ())]
    return {"answers": answers, "path": sys.path, "environment": dict(os.environ)}

def call(service, target, request):
    scope = f"20260101/{os.environ['AWS_REGION']}/{service}/aws4_request"
    headers = {
        "X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
                         "SignedHeaders=host, Signature=none",
    }
    sent = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], json.dumps(request).encode(), headers)
    try:
        return json.load(urllib.request.urlopen(sent))
    except urllib.error.HTTPError as error:
        return json.load(error)
    except (OSError, http.client.HTTPException) as error:
        return str(error)
"""


class Function:
    """One that makes the calls that it is asked for."""

    def __init__(self, account: AwsAccount) -> None:
        self._functions, self.name = account.client("lambda"), f"f-{uuid4().hex[:8]}"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as package:
            package.writestr("app.py", CALLS)
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        role = account.client("iam").create_role(
            RoleName=self.name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )["Role"]["Arn"]
        self.arn = self._functions.create_function(
            FunctionName=self.name, Runtime="python3.11", Role=role, Handler="app.handler",
            Code={"ZipFile": packed.getvalue()}, Timeout=30,
        )["FunctionArn"]  # fmt: skip

    def call(self, *calls: tuple[str, str, Json]) -> Json:
        answer = self._functions.invoke(FunctionName=self.name, Payload=json.dumps({"calls": calls}))
        found: Json = json.load(answer["Payload"])
        return found


@pytest.fixture
def function(aws_account: AwsAccount) -> Iterator[Function]:
    yield Function(aws_account)
    aws_account.forget_faults()


def list_tasks(cluster: EcsCluster) -> tuple[str, str, Json]:
    return "ecs", "AmazonEC2ContainerServiceV20141113.ListTasks", {"cluster": cluster.name}


def test_a_function_sees_only_its_own_packages_and_nothing_of_the_shell(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = function.call()

    assert not [folder for folder in seen["path"] if "ministack/lib" in folder]
    assert not {"PYTHONPATH", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST"} & seen["environment"].keys()
    assert seen["environment"]["AWS_REGION"] == REGION


def test_a_function_finds_the_account(function: Function, cluster: EcsCluster) -> None:
    arn = cluster.start("sleep", "600")

    assert function.call(list_tasks(cluster))["answers"] == [{"taskArns": [arn]}]


def test_a_functions_calls_fail_by_the_proxys_rules(function: Function, cluster: EcsCluster) -> None:
    cluster.account.proxy.fail("ecs", "ListTasks", "ThrottlingException", times=1)

    throttled, heard = function.call(list_tasks(cluster), list_tasks(cluster))["answers"]

    assert throttled["__type"] == "ThrottlingException"
    assert heard == {"taskArns": []}
    assert cluster.account.proxy.fired()[-1]["operation"] == "ListTasks"


def test_a_functions_call_may_have_its_effect_and_no_answer(function: Function, cluster: EcsCluster) -> None:
    cluster.account.proxy.cut("ecs", "RunTask")
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
    request = {
        "cluster": cluster.name,
        "taskDefinition": cluster.definition,
        "networkConfiguration": network,
        "overrides": {"containerOverrides": [{"name": "run", "command": ["sleep", "600"]}]},
    }

    [answer] = function.call(("ecs", "AmazonEC2ContainerServiceV20141113.RunTask", request))["answers"]

    assert isinstance(answer, str)
    assert len(cluster.ecs.list_tasks(cluster=cluster.name)["taskArns"]) == 1
    assert [sent for sent in cluster.account.run_task_requests() if sent["cluster"] == cluster.name] == [request]


def test_a_functions_http_api_is_reached_by_its_name_from_containers_and_by_another_from_here(
    function: Function, cluster: EcsCluster
) -> None:
    apis = cluster.account.client("apigatewayv2")
    api = apis.create_api(Name=function.name, ProtocolType="HTTP")
    integration = apis.create_integration(
        ApiId=api["ApiId"], IntegrationType="AWS_PROXY", IntegrationUri=function.arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]  # fmt: skip
    apis.create_route(ApiId=api["ApiId"], RouteKey="$default", Target=f"integrations/{integration}")
    apis.create_stage(ApiId=api["ApiId"], StageName="$default", AutoDeploy=True)
    url = f"{api['ApiEndpoint']}/v1/things"
    code = "import sys, urllib.request as u; sys.exit(u.urlopen(sys.argv[1]).status != 200)"

    task = cluster.until(cluster.start("python3", "-c", code, url), "STOPPED")

    assert task["containers"][0]["exitCode"] == 0
    with urllib.request.urlopen(cluster.account.reachable(url)) as answer:
        assert answer.status == 200
