"""Cloud Run passes the suite of every infrastructure: on an API of this machine, whose executions really run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from adapters.infrastructure import cloud_run
from dispatcher import job_templates, registry
from dispatcher.ports import Accepted, Cause, Infrastructure, Job, NotNow, Phase, PoolUnavailable, Rejected
from dispatcher.testing.cloud_bench import submission
from dispatcher.testing.infrastructure_suite import Cloud, InfrastructureSuite
from dispatcher.testing.servers.cloud_run import CloudRunApi
from dispatcher.testing.servers.cloud_run import cloud_run as served

JOB, SHARED = "job per run", "shared job"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudRunApi]:
    with served(tmp_path_factory.mktemp("cloud_run")) as made:
        made.behave(grace_seconds=1.0)
        yield made


class Project:
    """The hand on a project: pools of one type, which submit in one way."""

    def __init__(self, api: CloudRunApi, kind: str, way: str) -> None:
        self.api, self.kind, self.way = api, kind, way
        self._opened: list[cloud_run.CloudRun] = []

    def open(self) -> Infrastructure:
        made = registry.infrastructure(self.kind, {})
        assert isinstance(made, cloud_run.CloudRun)
        self._opened.append(made)
        return made

    def job(
        self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, exits: int | None = 0, prints: str = ""
    ) -> Job:
        script = 'printf "%s" "$0"; ' + ("exec sleep 60" if exits is None else f"exit {exits}")
        return self.with_variables(
            run_id, attempt=attempt, submit_seq=submit_seq, command=["sh", "-c", script, prints or "nothing"]
        )

    def with_variables(self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, **variables: Any) -> Job:
        given = {
            "image": self.api.image,
            "runner": False,
            "region": self.api.region,
            "submission": self.way,
            **variables,
        }
        return Job(
            pool="nightly",
            run_id=run_id,
            run_name="brisk-otter",
            deployment="etl",
            attempt=attempt,
            submit_seq=submit_seq,
            configuration=job_templates.render(registry.template(self.kind), given),
            environment={"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": str(attempt)},
        )

    def started(self, run_id: str) -> int:
        return len(self.api.started(PUSHPOOL_RUN_ID=run_id))

    def unknown_handle(self) -> str:
        name = f"pushpool-{'0' * 32}-1-1"
        parent = f"projects/{self.api.project.id}/locations/{self.api.region}"
        return f"{parent}/jobs/{name}/executions/{name}-run"

    def fail_next(self, kind: str) -> bool:
        self.api.fail_next(kind, call="CreateJob" if self.way == JOB else "RunJob")
        return True

    def kill(self, handle: str) -> bool:
        self.api.kill(handle)
        return True

    def event(self, handle: str) -> Mapping[str, Any] | None:
        """Told of a moment after the execution's end."""
        until = time.monotonic() + 10
        while not (ended := [each for each in self.api.events(handle) if _has_ended(each)]):
            assert time.monotonic() < until, f"nothing was told of the end of {handle}"
            time.sleep(0.01)
        return ended[-1]

    def close(self) -> None:
        self.api.forget_faults()
        for each in self._opened:
            each.close()


def _has_ended(entry: Mapping[str, Any]) -> bool:
    conditions = entry["protoPayload"]["response"]["status"]["conditions"]
    return any(each["type"] == "Completed" and each["status"] != "Unknown" for each in conditions)


class CloudRunSuite(InfrastructureSuite):
    """What holds for both types of pool and both ways to submit."""

    kind, way = "cloud-run-v2:push", JOB

    @pytest.fixture
    def cloud(self, api: CloudRunApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
        for name, value in api.environment.items():
            monkeypatch.setenv(name, value)
        hand = Project(api, self.kind, self.way)
        yield hand
        hand.close()

    def test_what_many_runs_ended_with_is_described_at_once(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request = infrastructure.request(cloud.job(run_id))
        codes = {}
        for number in range(25):
            _, handle = self.start(infrastructure, cloud.job(run_id, attempt=number + 1, exits=number % 3))
            codes[handle] = number % 3
        for handle in codes:
            self.until(infrastructure, request, handle, Phase.STOPPED)

        before = cloud.api.calls()
        seen = infrastructure.describe_many(request.target, [*codes, cloud.unknown_handle()])

        asked = {name: count - before.get(name, 0) for name, count in cloud.api.calls().items()}
        assert (asked["ListExecutions"], asked["GetExecution"]) == (1, 1)
        assert seen[cloud.unknown_handle()].phase is Phase.MISSING
        assert {handle: seen[handle].exit_code for handle in codes} == codes

    def test_a_run_that_cloud_run_lets_run_too_long_is_killed(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.with_variables(run_id, command=["sleep", "30"], timeout=1)

        seen = self.run_to_its_end(infrastructure, job)

        assert (seen.cause, seen.exit_code) == (Cause.KILLED, None)
        assert "variable `timeout`" in seen.message

    def test_an_image_that_is_not_there_ends_it_and_says_so(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.with_variables(run_id, image="europe-docker.pkg.dev/nobody/nothing:1", command="true")
        request = infrastructure.request(job)

        outcome = infrastructure.submit(submission(job, request))

        if isinstance(outcome, Accepted):
            seen = self.until(infrastructure, request, outcome.handle, Phase.STOPPED)
            assert seen.cause is Cause.REFUSED
            said = seen.message
        else:
            assert isinstance(outcome, Rejected)
            said = outcome.message
        assert "check the image's name and tag" in said
        assert cloud.started(run_id) == 0

    def test_a_place_where_nothing_may_be_done_makes_the_pool_unavailable(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        for name, value, words in (("project", "somebody-elses", "allow"), ("region", "mars-north1", "set `region`")):
            given: dict[str, Any] = {"command": "true", name: value}
            job = cloud.with_variables(run_id, **given)
            request = infrastructure.request(job)

            outcome = infrastructure.submit(submission(job, request))

            assert isinstance(outcome, PoolUnavailable)
            assert words in outcome.reason

    def test_a_container_sees_its_own_environment_and_nothing_of_the_dispatchers(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.with_variables(run_id, command="env", env={"A": "1", "B": None, "PUSHPOOL_RUN_ID": "forged"})

        request, handle = self.start(infrastructure, job)

        self.until(infrastructure, request, handle, Phase.STOPPED)
        told = dict(line.split("=", 1) for line in cloud.api.log(handle).splitlines())
        assert (told["A"], told["PUSHPOOL_RUN_ID"]) == ("1", run_id)
        assert told["PUSHPOOL_RUN_TOKEN"]
        assert not {"B", "PUSHPOOL_GOOGLE_EMULATOR", "GOOGLE_CLOUD_PROJECT"} & told.keys()

    @pytest.mark.parametrize("kind", ["timeout", "throttled", "reply lost", "internal"])
    def test_a_submission_is_one_request(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str, kind: str
    ) -> None:
        job = cloud.job(run_id)
        request = infrastructure.request(job)
        call = "CreateJob" if self.way == JOB else "RunJob"
        before = cloud.api.calls().get(call, 0)
        cloud.fail_next(kind)

        infrastructure.submit(submission(job, request))

        assert cloud.api.calls()[call] - before == 1

    def test_a_secret_of_the_installation_reaches_the_container_alone(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.with_variables(run_id, command="env")
        marked = {**job.configuration, "env": {"KEY": {"$secret": "key"}}}
        request = infrastructure.request(replace(job, configuration=marked))
        assert "the value" not in str(request)
        from dispatcher.secret_values import revealed

        shown = replace(request, body=revealed(request.body, lambda name: f"the value of {name}"))
        outcome = infrastructure.submit(submission(job, shown))

        assert isinstance(outcome, Accepted)
        self.until(infrastructure, request, outcome.handle, Phase.STOPPED)
        assert "KEY=the value of key" in cloud.api.log(outcome.handle)

    def test_a_diagnosis_says_what_is_missing(self, cloud: Project, infrastructure: Infrastructure) -> None:
        configuration = cloud.with_variables("run").configuration
        call = "starting runs"
        cloud.api.fail_next("act as")

        failed = {name: words for name, passed, words in infrastructure.diagnose(configuration) if not passed}
        elsewhere = infrastructure.diagnose({**configuration, "project": "somebody-elses"})

        assert failed.keys() == {call}
        assert "roles/iam.serviceAccountUser" in failed[call]
        assert [name for name, passed, _ in elsewhere if not passed] == ["project and region"]


class TestAJobForEachRun(CloudRunSuite):
    def test_what_ended_leaves_no_job_behind_and_is_known_until_then(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        request, handle = self.start(infrastructure, cloud.job(run_id, exits=3))
        self.until(infrastructure, request, handle, Phase.STOPPED)

        infrastructure.cleanup(request.target, handle)

        assert not [name for name in cloud.api.jobs() if run_id.replace("-", "") in name]
        assert infrastructure.describe_many(request.target, [handle])[handle].phase is Phase.MISSING
        assert infrastructure.find(request.target, run_id, 1, 1) is None

    def test_a_job_that_is_to_be_kept_is_not_cleaned_up(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.with_variables(run_id, command="true", keep_job=True)
        request, handle = self.start(infrastructure, job)
        self.until(infrastructure, request, handle, Phase.STOPPED)
        traits_of: Callable[..., Any] = infrastructure.traits_of  # type: ignore[attr-defined]

        infrastructure.cleanup(request.target, handle)

        assert traits_of(request.target).cleanup_after is None
        assert infrastructure.describe_many(request.target, [handle])[handle].exit_code == 0

    def test_no_room_for_jobs_makes_the_pool_unavailable_for_a_while(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.api.behave(most_jobs=0)
        job = cloud.job(run_id)

        outcome = infrastructure.submit(submission(job, infrastructure.request(job)))

        assert isinstance(outcome, PoolUnavailable)
        assert "`shared job`" in outcome.reason
        assert outcome.until is not None

    def test_an_event_of_a_job_that_never_gets_ready_ends_its_run(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.with_variables(run_id, image="nobody/nothing:1", command="true")
        _, handle = self.start(infrastructure, job)

        told = [event for each in cloud.api.events() if (event := infrastructure.parse_event(each)) is not None]

        mine = [event for event in told if event.run_id == run_id]
        assert [(each.observation.handle, each.observation.cause) for each in mine] == [(handle, Cause.REFUSED)]

    def test_a_cancel_reaches_a_job_that_has_not_started_its_execution(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        """It would start it later, unseen; or never, and its run would be stopping for ever."""
        cloud.api.behave(gets_ready=False)
        request, handle = self.start(infrastructure, cloud.job(run_id))
        waiting = infrastructure.describe_many(request.target, [handle])[handle]

        infrastructure.cancel(request.target, handle)

        assert waiting.phase is Phase.PENDING
        assert infrastructure.describe_many(request.target, [handle])[handle].phase is Phase.MISSING

    def test_a_cancel_leaves_what_a_job_says_of_itself(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.with_variables(run_id, image="nobody/nothing:1", command="true")
        request, handle = self.start(infrastructure, job)

        infrastructure.cancel(request.target, handle)

        assert infrastructure.describe_many(request.target, [handle])[handle].cause is Cause.REFUSED


class TestOfTheFirstVersion(CloudRunSuite):
    kind = "cloud-run:push"


class TestASharedJob(CloudRunSuite):
    way = SHARED

    def test_all_runs_with_the_same_content_share_one(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        before = len(cloud.api.requests("CreateJob"))
        jobs = [
            cloud.with_variables(run_id, attempt=n, command=["sh", "-c", f"exit {n}"], cpu="2", env={"N": n})
            for n in (1, 2, 3)
        ]

        seen = [
            self.run_to_its_end(each, job)
            for each, job in zip([infrastructure] * 2 + [cloud.open()], jobs, strict=True)
        ]

        assert [each.exit_code for each in seen] == [1, 2, 3]
        assert len({each.handle.rpartition("/executions/")[0] for each in seen}) == 1
        assert len(cloud.api.requests("CreateJob")) - before == 2  # each process makes sure of it once

    def test_a_repeat_is_not_safe_and_it_says_so(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        target = infrastructure.request(cloud.job(run_id)).target
        traits_of: Callable[..., Any] = infrastructure.traits_of  # type: ignore[attr-defined]

        traits = traits_of(target)

        assert traits.token_life is not None
        assert traits.token_life.total_seconds() == 0
        assert traits.cleanup_after is None

    def test_one_that_was_deleted_is_made_anew(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        job = cloud.job(run_id)
        self.run_to_its_end(infrastructure, job)
        request = infrastructure.request(cloud.job(run_id, attempt=2))
        cloud.api.client("JobsClient").delete_job(name=request.body["run_job"]["name"])

        refused = infrastructure.submit(submission(cloud.job(run_id, attempt=2), request))
        seen = self.run_to_its_end(infrastructure, cloud.job(run_id, attempt=2, submit_seq=2))

        assert isinstance(refused, NotNow)
        assert seen.exit_code == 0

    def test_one_that_could_not_get_ready_is_made_anew(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jobs = [cloud.with_variables(run_id, submit_seq=seq, image="late:1", command="true") for seq in (1, 2)]
        refused = infrastructure.submit(submission(jobs[0], infrastructure.request(jobs[0])))
        monkeypatch.setitem(cloud.api.project.images, "late:1", [])

        seen = self.run_to_its_end(cloud.open(), jobs[1])

        assert isinstance(refused, Rejected)
        assert seen.exit_code == 0

    def test_no_room_for_executions_makes_the_pool_unavailable_for_a_while(
        self, cloud: Project, infrastructure: Infrastructure, run_id: str
    ) -> None:
        cloud.api.behave(most_running=0)
        job = cloud.job(run_id)

        outcome = infrastructure.submit(submission(job, infrastructure.request(job)))

        assert isinstance(outcome, PoolUnavailable)
        assert outcome.until is not None


class TestASharedJobOfTheFirstVersion(CloudRunSuite):
    kind, way = "cloud-run:push", SHARED
