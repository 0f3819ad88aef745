"""What `doctor` finds out about an ECS pool, without starting anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapters.infrastructure import ecs

Json = dict[str, Any]
Error = Callable[..., Any]
Answer = Callable[..., Any]

ROLE = "arn:aws:iam::123456789012:role/run"
ME = "arn:aws:sts::123456789012:assumed-role/dispatch/session"


def sts(arn: str) -> str:
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        f"<Arn>{arn}</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


def simulated(**decisions: str) -> str:
    """`iam_PassRole="allowed"`, one for each action."""
    members = "".join(
        f"<member><EvalActionName>{name.replace('_', ':')}</EvalActionName><EvalDecision>{decision}</EvalDecision>"
        "</member>"
        for name, decision in decisions.items()
    )
    return (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<SimulatePrincipalPolicyResult><EvaluationResults>{members}</EvaluationResults>"
        "</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )


def subnets(**vpcs: str) -> str:
    items = "".join(
        f"<item><subnetId>{name.replace('_', '-')}</subnetId><vpcId>{vpc}</vpcId></item>" for name, vpc in vpcs.items()
    )
    return f"<DescribeSubnetsResponse><subnetSet>{items}</subnetSet></DescribeSubnetsResponse>"


def groups(**vpcs: str) -> str:
    items = "".join(
        f"<item><groupId>{name.replace('_', '-')}</groupId><vpcId>{vpc}</vpcId></item>" for name, vpc in vpcs.items()
    )
    found = f"<securityGroupInfo>{items}</securityGroupInfo>"
    return f"<DescribeSecurityGroupsResponse>{found}</DescribeSecurityGroupsResponse>"


def routes(gateway: str) -> str:
    route = f"<item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><{gateway}>x-1</{gateway}></item>"
    route = route.replace("<gatewayId>x-1", "<gatewayId>igw-1")
    return (
        "<DescribeRouteTablesResponse><routeTableSet><item><associationSet><item><main>true</main></item>"
        f"</associationSet><routeSet>{route}</routeSet></item></routeTableSet></DescribeRouteTablesResponse>"
    )


@pytest.fixture
def healthy(aws: Any, error: Error, answer: Answer) -> Any:
    """An account in which everything is as it should be."""
    aws.says("GetCallerIdentity", answer(sts(ME)))
    aws.says("DescribeClusters", {"clusters": [{"status": "ACTIVE"}]})
    aws.says("StopTask", error("InvalidParameterException", "The referenced task was not found."))
    aws.says("GetRole", answer("<GetRoleResponse><GetRoleResult/></GetRoleResponse>"))
    aws.says("SimulatePrincipalPolicy", answer(simulated(iam_PassRole="allowed")))
    aws.says("DescribeSubnets", answer(subnets(subnet_0a="vpc-0a")))
    aws.says("DescribeSecurityGroups", answer(groups(sg_0a="vpc-0a")))
    aws.says("DescribeRouteTables", answer(routes("natGatewayId")))
    aws.says("DescribeLogGroups", {"logGroups": [{"logGroupName": "jobs"}]})
    return aws


@pytest.fixture
def configuration(make_job: Callable[..., Any]) -> Json:
    return dict(
        make_job(
            execution_role_arn=ROLE,
            configure_cloudwatch_logs=True,
            cloudwatch_logs_options={"awslogs-group": "jobs", "awslogs-create-group": "false"},
            network_configuration={"subnets": ["subnet-0a"], "securityGroups": ["sg-0a"]},
        ).configuration
    )


def found(adapter: ecs.Ecs, configuration: Json) -> dict[str, tuple[bool, str]]:
    return {name: (passed, advice) for name, passed, advice in adapter.diagnose(configuration)}


def test_where_all_is_well_every_check_passes_and_nothing_is_started_or_changed(
    healthy: Any, adapter: ecs.Ecs, configuration: Json
) -> None:
    checks = found(adapter, configuration)

    assert list(checks) == [
        "configuration", "credentials", "cluster", "stopping tasks", "task definition", "starting tasks", "roles",
        "network", "logs",
    ]  # fmt: skip
    assert [name for name, (passed, _) in checks.items() if not passed] == []
    assert checks["credentials"][1] == ME
    assert healthy.sent("RunTask") == healthy.sent("RegisterTaskDefinition") == []
    assert [asked["task"] for asked in healthy.sent("StopTask")] == ["a" * 32]
    passes = [asked for asked in healthy.sent("SimulatePrincipalPolicy") if asked["ResourceArns.member.1"] == ROLE]
    assert passes[0]["PolicySourceArn"] == "arn:aws:iam::123456789012:role/dispatch"


def test_a_pool_without_an_image_is_no_fault(healthy: Any, adapter: ecs.Ecs, configuration: Json) -> None:
    definition = {"containerDefinitions": [{"name": "run"}], "executionRoleArn": ROLE}

    assert found(adapter, {**configuration, "task_definition": definition})["configuration"] == (True, "")


def test_a_configuration_that_makes_no_request_is_said_to_be_so(adapter: ecs.Ecs, configuration: Json) -> None:
    checks = found(adapter, {**configuration, "task_run_request": {"launchType": "NONE"}})

    assert list(checks) == ["configuration"]
    assert "launch_type is 'NONE'" in checks["configuration"][1]


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "ExpiredToken"])
def test_without_credentials_nothing_else_is_asked(
    healthy: Any, xml_error: Error, adapter: ecs.Ecs, configuration: Json, code: str
) -> None:
    healthy.says("GetCallerIdentity", xml_error(code, "no", 403))

    checks = found(adapter, configuration)

    assert list(checks) == ["configuration", "credentials"]
    assert "AWS_PROFILE" in checks["credentials"][1]
    assert len(healthy.asked) == 1


def test_without_a_region_it_is_said(aws: Any, configuration: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    assert "AWS_REGION" in found(ecs.open({}), configuration)["credentials"][1]


@pytest.mark.parametrize(
    "case",
    [
        ("DescribeClusters", {"clusters": []}, "cluster", "there is no cluster 'jobs' in eu-central-1"),
        ("DescribeClusters", {"clusters": [{"status": "INACTIVE"}]}, "cluster", "it has to be ACTIVE"),
        ("DescribeClusters", "AccessDeniedException", "cluster", "allow ecs:X"),
        ("StopTask", "AccessDeniedException", "stopping tasks", "allow ecs:X"),
        ("StopTask", "ClusterNotFoundException", "stopping tasks", "ClusterNotFoundException"),
        ("GetRole", "NoSuchEntity", "roles", f"there is no role {ROLE}"),
        ("SimulatePrincipalPolicy", simulated(iam_PassRole="implicitDeny"), "roles", f"allow iam:PassRole on {ROLE}"),
        ("DescribeSubnets", subnets(subnet_0a="vpc-0a", subnet_0b="vpc-0b"), "network", "in 2 VPCs (vpc-0a, vpc-0b)"),
        ("DescribeSubnets", "InvalidSubnetID.NotFound", "network", "InvalidSubnetID.NotFound"),
        ("DescribeSecurityGroups", groups(sg_0a="vpc-0b"), "network", "sg-0a are not of vpc-0a"),
        ("DescribeLogGroups", {"logGroups": [{"logGroupName": "jobs-2"}]}, "logs", "there is no log group jobs"),
    ],
)
def test_what_is_wrong_is_named_with_the_way_out(
    healthy: Any,
    error: Error,
    xml_error: Error,
    answer: Answer,
    adapter: ecs.Ecs,
    configuration: Json,
    case: tuple[str, Any, str, str],
) -> None:
    action, told, check, said = case
    if isinstance(told, str) and not told.startswith("<"):
        wrong = error if action in ("DescribeClusters", "StopTask") else xml_error
        told = wrong(told, "x is not authorized to perform: ecs:X")
    healthy.says(action, answer(told) if isinstance(told, str) else told)

    checks = found(adapter, configuration)

    assert said in checks[check][1]
    assert [name for name, (passed, _) in checks.items() if not passed] == [check]


@pytest.mark.parametrize(
    ("action", "check"),
    [
        ("SimulatePrincipalPolicy", "roles"),
        ("DescribeSubnets", "network"),
        ("SimulatePrincipalPolicy", "starting tasks"),
    ],
)
def test_what_may_not_be_looked_at_is_said_not_to_be_checked(
    healthy: Any, xml_error: Error, adapter: ecs.Ecs, configuration: Json, action: str, check: str
) -> None:
    healthy.says(action, xml_error("AccessDenied", "x is not authorized to perform: iam:Y", 403))

    passed, advice = found(adapter, configuration)[check]

    assert passed
    assert advice.startswith("not checked: ")
    assert "allow iam:Y" in advice


@pytest.mark.parametrize(
    ("gateway", "public_ip", "hinted"),
    [("natGatewayId", None, False), ("gatewayId", None, True), ("gatewayId", "ENABLED", False)],
)
def test_a_subnet_without_a_way_out_is_hinted_at(
    healthy: Any,
    answer: Answer,
    adapter: ecs.Ecs,
    configuration: Json,
    gateway: str,
    public_ip: str | None,
    hinted: bool,
) -> None:
    healthy.says("DescribeRouteTables", answer(routes(gateway)))
    network = {"subnets": ["subnet-0a"], "assignPublicIp": public_ip}

    passed, advice = found(adapter, {**configuration, "network_configuration": network})["network"]

    assert passed
    assert ("subnet-0a" in advice) is hinted


def test_subnets_that_are_to_be_looked_up_are_looked_for(
    healthy: Any, answer: Answer, adapter: ecs.Ecs, configuration: Json
) -> None:
    looked_up = {**configuration, "network_configuration": None, "vpc_id": "vpc-0a"}
    assert found(adapter, looked_up)["network"] == (True, "")

    healthy.says("DescribeSubnets", answer(subnets()))

    assert found(adapter, looked_up)["network"] == (
        False,
        "vpc-0a has no subnets: set vpc_id, or network_configuration",
    )


@pytest.mark.parametrize(("status", "passed"), [("ACTIVE", True), ("INACTIVE", False)])
def test_a_registered_task_definition_has_to_be_there(
    healthy: Any, adapter: ecs.Ecs, configuration: Json, status: str, passed: bool
) -> None:
    healthy.says("DescribeTaskDefinition", {"taskDefinition": {"status": status}})
    wanted = {"launchType": "FARGATE", "taskDefinition": "etl:3"}

    checks = found(adapter, {**configuration, "task_definition": {}, "task_run_request": wanted})

    assert checks["task definition"][0] is passed
