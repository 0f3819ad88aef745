"""Subnets for a task that names none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapters.infrastructure import ecs
from adapters.infrastructure.ecs.networks import chosen
from dispatcher.ports import Accepted, NotNow, Outcome, PoolUnavailable, Rejected, Submission

Json = dict[str, Any]
MakeSubmission = Callable[..., Submission]

INTERNET, NAT = {"GatewayId": "igw-1"}, {"NatGatewayId": "nat-1"}


def subnet(name: str, zone: str = "a") -> Json:
    return {"SubnetId": name, "AvailabilityZone": zone, "VpcId": "vpc-0a"}


def table(way: Json | None, *subnets: str) -> Json:
    """The VPC's main table if it names no subnet."""
    routes: list[Json] = [{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"}]
    routes += [{"DestinationCidrBlock": "0.0.0.0/0", **way}] if way else []
    associations: list[Json] = [{"SubnetId": name} for name in subnets] or [{"Main": True}]
    return {"Associations": associations, "Routes": routes}


PUBLIC, PRIVATE, CLOSED = subnet("subnet-1"), subnet("subnet-2", "b"), subnet("subnet-3", "c")
TABLES = [table(INTERNET, "subnet-1"), table(NAT, "subnet-2"), table(None)]


@pytest.mark.parametrize(
    ("subnets", "assign", "expected", "public_ip"),
    [
        ([PUBLIC, PRIVATE, CLOSED], "", ["subnet-2"], "DISABLED"),
        ([PUBLIC, CLOSED], "", ["subnet-1"], "ENABLED"),
        ([CLOSED], "", ["subnet-3"], "DISABLED"),
        ([PUBLIC, PRIVATE, CLOSED], "ENABLED", ["subnet-1"], "ENABLED"),
        ([PRIVATE], "ENABLED", ["subnet-2"], "ENABLED"),
        ([PUBLIC, PRIVATE, CLOSED], "DISABLED", ["subnet-2"], "DISABLED"),
        ([PUBLIC, CLOSED], "DISABLED", ["subnet-3"], "DISABLED"),
        ([PUBLIC], "DISABLED", ["subnet-1"], "DISABLED"),
    ],
)
def test_those_are_taken_from_which_a_task_gets_out(
    subnets: list[Json], assign: str, expected: list[str], public_ip: str
) -> None:
    assert chosen(subnets, TABLES, assign) == {"subnets": expected, "assignPublicIp": public_ip}


def test_the_same_ones_are_taken_in_whatever_order_they_come() -> None:
    subnets = [subnet(f"subnet-{n:02}", "ab"[n % 2]) for n in range(10)]

    assert chosen(subnets, [], "") == chosen(subnets[::-1], [], "")


def test_no_more_than_16_are_taken_and_of_each_zone_alike() -> None:
    subnets = [subnet(f"subnet-a{n:02}", "a") for n in range(30)] + [subnet(f"subnet-b{n}", "b") for n in range(5)]

    taken = chosen(subnets, [], "")["subnets"]

    assert len(taken) == 16
    assert sum(name.startswith("subnet-b") for name in taken) == 5


def xml(kind: str, rows: str) -> str:
    return f'<{kind}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>{rows}</{kind}Response>'


SUBNETS = xml(
    "DescribeSubnets",
    "<subnetSet><item><subnetId>subnet-1</subnetId><vpcId>vpc-0a</vpcId><availabilityZone>a</availabilityZone></item>"
    "</subnetSet>",
)
ROUTES = xml(
    "DescribeRouteTables",
    "<routeTableSet><item><routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock>"
    "<gatewayId>igw-1</gatewayId></item></routeSet><associationSet><item><main>true</main></item></associationSet>"
    "</item></routeTableSet>",
)
VPCS = xml("DescribeVpcs", "<vpcSet><item><vpcId>vpc-0a</vpcId><isDefault>true</isDefault></item></vpcSet>")
NO_SUBNETS, NO_VPCS = xml("DescribeSubnets", "<subnetSet/>"), xml("DescribeVpcs", "<vpcSet/>")


@pytest.fixture
def ec2(aws: Any, answer: Callable[..., Any]) -> Any:
    aws.says("DescribeSubnets", answer(SUBNETS))
    aws.says("DescribeRouteTables", answer(ROUTES))
    aws.says("DescribeVpcs", answer(VPCS))
    return aws


@pytest.mark.parametrize(("vpc_id", "asked_for_vpc"), [("vpc-0a", 0), (None, 1)])
def test_they_are_looked_up_once_a_process(
    ec2: Any, adapter: ecs.Ecs, make_submission: MakeSubmission, vpc_id: str | None, asked_for_vpc: int
) -> None:
    for seq in (1, 2, 3):
        given = {"securityGroups": ["sg-0a"]}
        sent = make_submission(vpc_id=vpc_id, network_configuration=given, submit_seq=seq)
        assert isinstance(adapter.submit(sent), Accepted)

    assert [len(ec2.sent(f"Describe{what}")) for what in ("Subnets", "RouteTables", "Vpcs")] == [1, 1, asked_for_vpc]
    network = {"securityGroups": ["sg-0a"], "subnets": ["subnet-1"], "assignPublicIp": "ENABLED"}
    assert all(asked["networkConfiguration"] == {"awsvpcConfiguration": network} for asked in ec2.sent("RunTask"))


def test_a_task_on_ec2_gets_no_public_ip(ec2: Any, adapter: ecs.Ecs, make_submission: MakeSubmission) -> None:
    definition = {"containerDefinitions": [{"image": "etl"}], "networkMode": "awsvpc"}
    sent = make_submission(
        vpc_id="vpc-0a", network_configuration=None, task_definition=definition, task_run_request={"launchType": "EC2"}
    )

    assert isinstance(adapter.submit(sent), Accepted)
    (asked,) = ec2.sent("RunTask")
    assert asked["networkConfiguration"] == {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}


@pytest.mark.parametrize(
    ("action", "said", "expected"),
    [
        ("DescribeSubnets", NO_SUBNETS, Rejected),
        ("DescribeVpcs", NO_VPCS, Rejected),
        ("DescribeSubnets", "UnauthorizedOperation", PoolUnavailable),
        ("DescribeRouteTables", "RequestLimitExceeded", NotNow),
        ("DescribeVpcs", "AuthFailure", PoolUnavailable),
    ],
)
def test_what_cannot_be_looked_up_is_an_outcome_and_starts_nothing(
    ec2: Any,
    answer: Callable[..., Any],
    xml_error: Callable[..., Any],
    adapter: ecs.Ecs,
    make_submission: MakeSubmission,
    action: str,
    said: str,
    expected: type[Outcome],
) -> None:
    ec2.says(action, answer(said) if said.startswith("<") else xml_error(said, "no"))

    assert isinstance(adapter.submit(make_submission(network_configuration=None)), expected)
    assert ec2.sent("RunTask") == []
