"""Whether a pool's credentials, cluster, roles, network and logs are such that tasks start; starts nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from adapters import aws
from adapters.doctor import stand_in
from adapters.failures import Failure, Trouble
from adapters.infrastructure.ecs.clients import Clients
from adapters.infrastructure.ecs.networks import chosen, way_out
from adapters.infrastructure.ecs.outcomes import denied
from dispatcher.errors import InvalidInput, Misconfigured
from dispatcher.ports import Job, Request

Check: TypeAlias = tuple[str, bool, str]
Json: TypeAlias = Mapping[str, Any]

NO_TASK = "a" * 32  # no task is called that: to stop it shows what one may, and stops nothing

_ASSUMED = re.compile(r"arn:(aws[a-z-]*):sts::(\d+):assumed-role/([^/]+)/.+")


def checks(configuration: Json, request: Callable[[Job], Request], clients: Clients) -> list[Check]:
    """One after the other, as far as what was found allows."""
    try:
        made = request(stand_in(_with_image(configuration)))
    except InvalidInput as error:
        return [("configuration", False, str(error))]
    found: list[Check] = [("configuration", True, "")]
    try:
        clients.of("ecs", made.target.region)  # wants a region, as STS does not
        identity = clients.of("sts", made.target.region).get_caller_identity()
    except Misconfigured as error:
        return [*found, ("credentials", False, str(error))]
    except aws.ERRORS as error:
        way_out_ = "give the dispatcher credentials: a role, a profile (AWS_PROFILE) or keys"
        return [*found, ("credentials", False, f"{aws.failure(error)}; {way_out_}")]
    found.append(("credentials", True, f"{identity['Arn']}"))
    return [*found, *_Doctor(made, clients, identity).checks()]


def _with_image(configuration: Json) -> Json:
    """A pool need not have an image: deployments bring theirs."""
    definition = configuration.get("task_definition") or {}
    if (configuration.get("task_run_request") or {}).get("taskDefinition"):
        return configuration
    containers = [
        {**each, "image": each.get("image") or "any"} for each in definition.get("containerDefinitions") or [{}]
    ]
    return {**configuration, "task_definition": {**definition, "containerDefinitions": containers}}


class _Doctor:
    """The checks that need credentials."""

    def __init__(self, request: Request, clients: Clients, identity: Json) -> None:
        self._target, self._clients, self._identity = request.target, clients, identity
        self._run_task: Json = request.body["run_task"]
        self._lookup: Json | None = request.body.get("lookup")
        definition = request.body["task_definition"]
        self._definition: Json = definition if isinstance(definition, Mapping) else {}
        self._registered = definition if isinstance(definition, str) else ""

    def checks(self) -> Iterator[Check]:
        for name, look in (
            ("cluster", self._cluster),
            ("stopping tasks", self._stopping),
            ("task definition", self._task_definition),
            ("starting tasks", self._starting),
            ("roles", self._roles),
            ("network", self._network),
            ("logs", self._logs),
        ):
            try:
                passed, advice = look()
            except aws.ERRORS as error:
                passed, advice = _not_checked(name, aws.failure(error))
            yield name, passed, advice

    def _client(self, service: str) -> Any:
        return self._clients.of(service, self._target.region)

    def _cluster(self) -> tuple[bool, str]:
        cluster = self._target.group
        found = self._client("ecs").describe_clusters(clusters=[cluster])["clusters"]
        if not found:
            where = self._client("ecs").meta.region_name
            return False, f"there is no cluster {cluster!r} in {where}: make it, or set the variable `cluster`"
        status = found[0].get("status")
        return status == "ACTIVE", f"cluster {cluster!r} is {status}; it has to be ACTIVE"

    def _stopping(self) -> tuple[bool, str]:
        try:
            self._client("ecs").stop_task(cluster=self._target.group, task=NO_TASK, reason="pushpool doctor")
        except aws.ERRORS as error:
            failure = aws.failure(error)
            if failure.trouble is not Trouble.REFUSED:
                raise
            if failure.code == "ClusterNotFoundException" or "not found" not in failure.message.lower():
                return False, str(failure)
        return True, ""

    def _task_definition(self) -> tuple[bool, str]:
        if not self._registered:
            return True, "registered when the first run wants it"
        found = self._client("ecs").describe_task_definition(taskDefinition=self._registered)["taskDefinition"]
        self._definition = found
        return found.get("status", "ACTIVE") == "ACTIVE", f"task definition {self._registered} is {found.get('status')}"

    def _starting(self) -> tuple[bool, str]:
        wanted = ["ecs:RunTask", "ecs:ListTasks", "ecs:DescribeTasks"]
        if not self._registered:
            wanted += ["ecs:RegisterTaskDefinition", "ecs:DescribeTaskDefinition"]
        return self._allowed(wanted, "*")

    def _roles(self) -> tuple[bool, str]:
        overrides = self._run_task["overrides"]
        roles = {
            source.get(key) for source in (self._definition, overrides) for key in ("taskRoleArn", "executionRoleArn")
        }
        advice = []
        for role in sorted(each for each in roles if each):
            passed, words = self._role(str(role))
            if not passed:
                return False, words
            advice.append(words)
        return True, "; ".join(words for words in advice if words)

    def _role(self, role: str) -> tuple[bool, str]:
        try:
            self._client("iam").get_role(RoleName=role.rpartition("/")[2])
        except aws.ERRORS as error:
            if aws.failure(error).code in ("NoSuchEntity", "NoSuchEntityException"):
                return False, f"there is no role {role}: make it, or name another"
        return self._allowed(["iam:PassRole"], role)

    def _allowed(self, actions: list[str], resource: str) -> tuple[bool, str]:
        """As IAM simulates it; conditions of a policy are not looked at there."""
        answer = self._client("iam").simulate_principal_policy(
            PolicySourceArn=_principal(str(self._identity["Arn"])),
            ActionNames=actions,
            ResourceArns=[resource],
            ContextEntries=[
                {
                    "ContextKeyName": "iam:PassedToService",
                    "ContextKeyType": "string",
                    "ContextKeyValues": ["ecs-tasks.amazonaws.com"],
                }
            ],
        )
        results = answer.get("EvaluationResults", ())
        refused = [each["EvalActionName"] for each in results if each.get("EvalDecision") != "allowed"]
        on = "" if resource == "*" else f" on {resource}"
        if refused and resource == "*":
            # A policy that names its resources does not allow the action on all: that says nothing.
            return True, f"not checked: {', '.join(refused)} may be allowed on some resources only"
        return not refused, f"allow {', '.join(refused)}{on} in the dispatcher's policy" if refused else ""

    def _network(self) -> tuple[bool, str]:
        given = self._run_task.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
        if not given and self._lookup is None:
            return True, "tasks share their machine's network"
        ec2 = self._client("ec2")
        if not given and self._lookup is not None:
            vpc = str(self._lookup["vpc_id"])
            what = {"Name": "vpc-id", "Values": [vpc]} if vpc else {"Name": "default-for-az", "Values": ["true"]}
            subnets = ec2.describe_subnets(Filters=[what])["Subnets"]
            if not subnets:
                return False, f"{vpc or 'the default VPC'} has no subnets: set vpc_id, or network_configuration"
        else:
            subnets = ec2.describe_subnets(SubnetIds=list(given["subnets"]))["Subnets"]
        vpcs = sorted({str(each["VpcId"]) for each in subnets})
        if len(vpcs) != 1:
            return False, f"the subnets are in {len(vpcs)} VPCs ({', '.join(vpcs)}); name those of one"
        if groups := given.get("securityGroups"):
            found = ec2.describe_security_groups(GroupIds=list(groups))["SecurityGroups"]
            strangers = [str(each["GroupId"]) for each in found if each.get("VpcId") != vpcs[0]]
            if strangers:
                return False, f"security groups {', '.join(strangers)} are not of {vpcs[0]}, as the subnets are"
        tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": vpcs}])["RouteTables"]
        return self._ways_out(given, subnets, tables)

    def _ways_out(self, given: Json, subnets: list[Json], tables: list[Json]) -> tuple[bool, str]:
        if not given:
            given = chosen(subnets, tables, "")
        taken = [each for each in subnets if each["SubnetId"] in given["subnets"]]
        ways = {str(each["SubnetId"]): way_out(each, tables) for each in taken}
        closed = [subnet for subnet, way in ways.items() if way == "isolated"]
        if given.get("assignPublicIp") != "ENABLED":
            closed += [subnet for subnet, way in ways.items() if way == "public"]
        if not closed:
            return True, ""
        hint = "give them a route through NAT or VPC endpoints, or set assignPublicIp to ENABLED in public subnets"
        # VPC endpoints are a way too, which is not seen here: a hint, and no failure.
        return True, f"tasks in {', '.join(sorted(closed))} reach no image and no API by the internet; {hint}"

    def _logs(self) -> tuple[bool, str]:
        for container in self._definition.get("containerDefinitions", ()):
            logs = container.get("logConfiguration") or {}
            options = logs.get("options") or {}
            group = options.get("awslogs-group")
            if logs.get("logDriver") != "awslogs" or not group or options.get("awslogs-create-group") == "true":
                continue
            found = self._client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            if group not in [each.get("logGroupName") for each in found]:
                return False, f"there is no log group {group}: make it, or set awslogs-create-group to true"
        return True, ""


def _not_checked(what: str, failure: Failure) -> tuple[bool, str]:
    """A refusal of what was asked is a finding; not to be allowed to ask, or no answer, is none."""
    if failure.trouble is Trouble.DENIED and what in ("cluster", "stopping tasks"):
        return False, denied(failure, what)
    if failure.trouble is Trouble.REFUSED and what in ("cluster", "network", "task definition"):
        return False, str(failure)
    if failure.trouble is Trouble.CREDENTIALS:
        return False, str(failure)
    return True, f"not checked: {denied(failure, what) if failure.trouble is Trouble.DENIED else failure}"


def _principal(arn: str) -> str:
    """IAM simulates roles and users, not sessions. A role's path is not in its session's ARN."""
    found = _ASSUMED.fullmatch(arn)
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}" if found else arn
