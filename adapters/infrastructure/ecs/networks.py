"""Subnets for a task that names none: looked up in its VPC, the same ones for everybody who asks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any

from adapters.infrastructure.ecs.clients import Clients
from dispatcher.errors import InvalidInput

MOST_SUBNETS = 16  # API AwsVpcConfiguration
KEPT_SECONDS = 300.0

Json = Mapping[str, Any]


class Networks:
    """What this process has looked up in the last five minutes."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._known: dict[tuple[str, str], tuple[float, Sequence[Json], Sequence[Json]]] = {}
        self._lock = Lock()

    def of(self, region: str, lookup: Json) -> dict[str, Any]:
        """`awsvpcConfiguration` for a request's `lookup`. A security group that is not given is the VPC's default.

        :raises InvalidInput: there is no such VPC, or no subnet in it.
        :raises aws.ERRORS: it cannot be looked up. :raises Misconfigured: there is no client.
        """
        vpc_id = str(lookup["vpc_id"])
        with self._lock:
            found = self._known.get((region, vpc_id))
            if found is None or found[0] < time.time():
                found = self._known[region, vpc_id] = (time.time() + KEPT_SECONDS, *self._looked_up(region, vpc_id))
        _, subnets, tables = found
        given = dict(lookup.get("given") or {})
        wanted = str(given.get("assignPublicIp", "")) if lookup["public_ip"] else "DISABLED"
        network = chosen(subnets, tables, wanted)
        if not lookup["public_ip"]:
            network.pop("assignPublicIp")  # ECS takes it for Fargate alone
        return {**given, **network}

    def forget(self, region: str, lookup: Json) -> None:
        """Something of it is not there any more."""
        self._known.pop((region, str(lookup["vpc_id"])), None)

    def _looked_up(self, region: str, vpc_id: str) -> tuple[Sequence[Json], Sequence[Json]]:
        ec2 = self._clients.of("ec2", region)
        vpc_id = vpc_id or _default_vpc(ec2)
        within = [{"Name": "vpc-id", "Values": [vpc_id]}]
        subnets = ec2.describe_subnets(Filters=within)["Subnets"]
        if not subnets:
            way_out = "name another, or give subnets in network_configuration"
            raise InvalidInput(f"vpc_id {vpc_id} has no subnets in {ec2.meta.region_name}; {way_out}", path="vpc_id")
        return subnets, ec2.describe_route_tables(Filters=within)["RouteTables"]


def _default_vpc(ec2: Any) -> str:
    found = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not found:
        raise InvalidInput(
            f"{ec2.meta.region_name} has no default VPC; give vpc_id, or subnets in network_configuration",
            path="vpc_id",
        )
    return str(found[0]["VpcId"])


def chosen(subnets: Sequence[Json], tables: Sequence[Json], assign: str) -> dict[str, Any]:
    """Those from which a task reaches the API: private ones with a way out, else public ones with a public IP.

    `assign`: ENABLED or DISABLED if that is given; the subnets then are such that it helps.
    """
    by_way: dict[str, list[Json]] = {"private": [], "public": [], "isolated": []}
    for subnet in subnets:
        by_way[way_out(subnet, tables)].append(subnet)
    if assign == "ENABLED":
        taken = by_way["public"] or subnets
    elif assign == "DISABLED":
        taken = by_way["private"] or by_way["isolated"] or subnets
    else:
        taken = by_way["private"] or by_way["public"] or subnets
        assign = "ENABLED" if taken is by_way["public"] else "DISABLED"
    return {"subnets": _spread(taken), "assignPublicIp": assign}


def way_out(subnet: Json, tables: Sequence[Json]) -> str:
    """`public` through an internet gateway, `private` through anything else (NAT, say), `isolated` without any."""
    default = [route for route in _routes(subnet, tables) if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
    if not default:
        return "isolated"
    return "public" if str(default[0].get("GatewayId", "")).startswith("igw-") else "private"


def _routes(subnet: Json, tables: Sequence[Json]) -> Iterable[Json]:
    main: Iterable[Json] = ()
    for table in tables:
        for each in table.get("Associations", ()):
            if each.get("SubnetId") == subnet["SubnetId"]:
                own: Iterable[Json] = table.get("Routes", ())
                return own
            if each.get("Main"):
                main = table.get("Routes", ())
    return main


def _spread(subnets: Sequence[Json]) -> list[str]:
    """At most 16, over all zones alike, in one order."""
    ordered = sorted(subnets, key=lambda each: str(each["SubnetId"]))
    seen: dict[str, int] = {}
    ranked: list[tuple[int, str]] = []
    for each in ordered:
        zone = str(each.get("AvailabilityZone", ""))
        ranked.append((seen.get(zone, 0), str(each["SubnetId"])))
        seen[zone] = seen.get(zone, 0) + 1
    return sorted(name for _, name in sorted(ranked)[:MOST_SUBNETS])
