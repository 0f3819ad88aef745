"""ECS passes the suite of every infrastructure: on an AWS account of this machine, its tasks being real containers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSResponse

from adapters.infrastructure import ecs
from dispatcher import job_templates, registry
from dispatcher.ports import Accepted, Cause, Infrastructure, Job, NotNow, Phase, PoolUnavailable, Request
from dispatcher.runs import Target
from dispatcher.testing.cloud_bench import submission
from dispatcher.testing.infrastructure_suite import Cloud, InfrastructureSuite
from dispatcher.testing.servers.aws_account import AwsAccount

REFUSED = {"__type": "InvalidParameterException", "message": "The platform version must be null."}


class Account:
    """The hand on an AWS account: a cluster of the test's own in it."""

    def __init__(self, account: AwsAccount) -> None:
        self.account = account
        self.cluster = f"jobs-{uuid4().hex[:8]}"
        self.region = account.environment["AWS_REGION"]
        self.opened: list[ecs.Ecs] = []
        self.ecs = account.client("ecs")
        self.ecs.create_cluster(clusterName=self.cluster)
        subnets = account.client("ec2").describe_subnets()["Subnets"]
        self.subnets = sorted(str(each["SubnetId"]) for each in subnets)[:2]

    def open(self) -> Infrastructure:
        self.opened.append(ecs.open({}))
        return self.opened[-1]

    def job(
        self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, exits: int | None = 0, prints: str = ""
    ) -> Job:
        script = 'printf "%s" "$0"; ' + ("exec sleep 60" if exits is None else f"exit {exits}")
        variables = {
            "image": self.account.image,
            "command": ["sh", "-c", script, prints],
            "runner": False,
            "cluster": self.cluster,
            "network_configuration": {"subnets": self.subnets},
            "cpu": 256,
            "memory": 512,
            "grace_seconds": 1,
        }
        return Job(
            pool=self.cluster,
            run_id=run_id,
            run_name="brisk-otter",
            deployment="etl",
            attempt=attempt,
            submit_seq=submit_seq,
            configuration=job_templates.render(registry.template("ecs:push"), variables),
            environment={"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": str(attempt)},
        )

    def started(self, run_id: str) -> int:
        details = [event["detail"] for event in self.account.events()]
        return len({each["taskArn"] for each in details if each.get("startedBy", "").startswith(f"pushpool/{run_id}/")})

    def unknown_handle(self) -> str:
        return f"arn:aws:ecs:{self.region}:123456789012:task/{self.cluster}/{'0' * 32}"

    def fail_next(self, kind: str) -> bool:
        if kind == "rejected":
            self._refuse_next()
        else:
            self.account.fail_next_run_task(kind)
        return True

    def _refuse_next(self) -> None:
        """Refused on the way, as AWS refuses what holds for one job alone."""
        for each in self.opened:
            events = each._clients.of("ecs", self.region).meta.events

            def refuse(request: Any, events: Any = events, **_: Any) -> AWSResponse:
                events.unregister("before-send.ecs.RunTask", unique_id="refuse")
                return AWSResponse(request.url, 400, {"Content-Type": "application/x-amz-json-1.1"}, Raw(REFUSED))

            events.register("before-send.ecs.RunTask", refuse, unique_id="refuse")

    def kill(self, handle: str) -> bool:
        self.account.kill(handle)
        return True

    def event(self, handle: str) -> Mapping[str, Any] | None:
        """The last one comes a little after the containers' end, as on Fargate."""
        until = time.monotonic() + 20
        while not (ended := self._ends(handle)):
            assert time.monotonic() < until, f"nothing was told of the end of {handle}"
            time.sleep(0.05)
        return ended[-1]

    def _ends(self, handle: str) -> list[dict[str, Any]]:
        return [event for event in self.account.events(handle) if event["detail"]["lastStatus"] == "STOPPED"]

    def close(self) -> None:
        self.account.forget_faults()
        for task in self.ecs.list_tasks(cluster=self.cluster)["taskArns"]:
            self.ecs.stop_task(cluster=self.cluster, task=task)


class Raw:
    """A body as botocore reads it."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.content = json.dumps(body).encode()

    def stream(self) -> Iterator[bytes]:
        yield self.content


class TestEcs(InfrastructureSuite):
    patience_seconds = 60.0

    @pytest.fixture
    def cloud(self, aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
        for name, value in aws_account.environment.items():
            monkeypatch.setenv(name, value)
        hand = Account(aws_account)
        yield hand
        hand.close()

    def test_the_repeat_of_another_request_recovers_the_task(self, cloud: Account, run_id: str) -> None:
        """ConflictException: the VPC has changed, say, between the first try and the repeat."""
        infrastructure = cloud.open()
        job = cloud.job(run_id)
        request, handle = self.start(infrastructure, job)
        changed = json.loads(json.dumps(request.body))
        changed["run_task"]["tags"].append({"key": "another", "value": "one"})

        outcome = infrastructure.submit(submission(job, Request(request.target, changed)))

        assert isinstance(outcome, Accepted)
        assert outcome.handle == handle
        self.until(infrastructure, request, handle, Phase.STOPPED)
        assert cloud.started(run_id) == 1

    @pytest.mark.parametrize("kind", ["capacity", "memory"])
    def test_a_cached_failure_does_not_outlive_its_submission(self, cloud: Account, run_id: str, kind: str) -> None:
        infrastructure = cloud.open()
        job = cloud.job(run_id)
        cloud.account.fail_next_run_task(kind)
        first = submission(job, infrastructure.request(job))

        refused = [infrastructure.submit(first), infrastructure.submit(first)]

        assert [type(outcome) for outcome in refused] == [NotNow, NotNow]
        seen = self.run_to_its_end(infrastructure, cloud.job(run_id, submit_seq=2))
        assert seen.exit_code == 0
        assert cloud.started(run_id) == 1

    def test_spot_that_is_taken_back_is_nobodys_fault(self, cloud: Account, run_id: str) -> None:
        infrastructure = cloud.open()
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=None))
        self.until(infrastructure, request, handle, Phase.RUNNING)

        cloud.account.interrupt(handle)

        seen = self.until(infrastructure, request, handle, Phase.STOPPED)
        assert seen.cause is Cause.INFRASTRUCTURE
        assert "Spot" in seen.message

    def test_a_task_that_never_starts_says_so(self, cloud: Account, run_id: str) -> None:
        infrastructure = cloud.open()
        cloud.account.fail_next_run_task("no start")

        seen = self.run_to_its_end(infrastructure, cloud.job(run_id))

        assert (seen.exit_code, seen.started) == (None, None)
        assert seen.cause in (Cause.INFRASTRUCTURE, Cause.REFUSED)
        assert seen.message

    def test_all_runs_share_one_task_definition(self, cloud: Account, run_id: str) -> None:
        adapters = [cloud.open(), cloud.open()]
        handles = []
        for number, infrastructure in enumerate(adapters):
            for attempt in (1, 2):
                job = cloud.job(run_id, attempt=2 * number + attempt)
                handles.append(self.start(infrastructure, job))

        for request, handle in handles:
            self.until(adapters[0], request, handle, Phase.STOPPED)

        prefix = f"pushpool-{cloud.cluster}-"
        found = cloud.ecs.list_task_definitions(familyPrefix=handles[0][0].body["task_definition"]["family"])
        assert len(found["taskDefinitionArns"]) == 1
        assert prefix in found["taskDefinitionArns"][0]

    def test_a_task_without_subnets_gets_those_of_its_vpc(self, cloud: Account, run_id: str) -> None:
        job = cloud.job(run_id)
        configuration = {**job.configuration, "network_configuration": None}
        infrastructure = cloud.open()
        wanted = replace(job, configuration=configuration)

        assert self.run_to_its_end(infrastructure, wanted).exit_code == 0

    def test_the_log_link_names_the_stream_that_is_there(self, cloud: Account, run_id: str) -> None:
        job = cloud.job(run_id, prints="seven lines")
        role = "arn:aws:iam::123456789012:role/run"
        more = {"configure_cloudwatch_logs": True, "execution_role_arn": role}
        wanted = replace(job, configuration={**job.configuration, **more})
        infrastructure = cloud.open()
        request = infrastructure.request(wanted)
        outcome = infrastructure.submit(submission(wanted, request))
        assert isinstance(outcome, Accepted)
        self.until(infrastructure, request, outcome.handle, Phase.STOPPED)

        stream = f"{cloud.cluster}/run/{outcome.handle.rpartition('/')[2]}"
        logs = cloud.account.client("logs")

        def written() -> list[str] | None:
            """CloudWatch has it a little later."""
            said = logs.get_log_events(logGroupName="pushpool", logStreamName=stream)["events"]
            return [line["message"] for line in said] or None

        assert "seven lines" in self.eventually(written)[0]
        assert outcome.links["logs"].endswith(stream.replace("/", "$252F"))

    def test_a_cluster_that_is_not_there_makes_the_pool_unavailable(self, cloud: Account, run_id: str) -> None:
        job = cloud.job(run_id)
        infrastructure = cloud.open()
        request = infrastructure.request(job)
        body = {**request.body, "run_task": {**request.body["run_task"], "cluster": "nowhere"}}
        elsewhere = Request(Target("ecs:push", region=cloud.region, group="nowhere"), body)

        outcome = infrastructure.submit(submission(job, elsewhere))

        assert isinstance(outcome, PoolUnavailable)
        assert infrastructure.find(elsewhere.target, run_id, 1, 1) is None

    def test_a_diagnosis_of_what_is_there_passes_and_of_what_is_not_says_so(self, cloud: Account, run_id: str) -> None:
        configuration = cloud.job(run_id).configuration
        infrastructure = cloud.open()

        there = {name: passed for name, passed, _ in infrastructure.diagnose(configuration)}
        nowhere = {
            name: passed
            for name, passed, _ in infrastructure.diagnose(
                {**configuration, "task_run_request": {**configuration["task_run_request"], "cluster": "nowhere"}}
            )
        }

        assert [name for name, passed in there.items() if not passed] == []
        assert {"configuration", "credentials", "cluster", "stopping tasks", "roles", "network", "logs"} <= there.keys()
        assert [name for name, passed in nowhere.items() if not passed] == ["cluster", "stopping tasks"]
