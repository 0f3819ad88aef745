"""What the local API of Cloud Run does, as Google's own clients see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from google.api_core import exceptions
from google.cloud.run_v2 import Condition, Job

from dispatcher.testing.servers.cloud_run import CloudRunApi, cloud_run
from dispatcher.testing.servers.cloud_run.region import HOW, Region, said
from dispatcher.testing.servers.ecs_cluster import eventually

Json = dict[str, Any]
State = Condition.State


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudRunApi]:
    with cloud_run(tmp_path_factory.mktemp("cloud_run")) as made:
        made.behave(grace_seconds=0.5)
        yield made


@pytest.fixture
def region(api: CloudRunApi) -> Iterator[Region]:
    yield Region(api)
    api.forget_faults()


class TestCreating:
    def test_a_start_token_starts_one_execution_of_that_name(self, region: Region) -> None:
        name = region.start("true")

        found = region.ended(name)

        assert (found.succeeded_count, said(found).state) == (1, State.CONDITION_SUCCEEDED)
        job = region.jobs.get_job(name=name.partition("/executions/")[0])
        assert (job.execution_count, job.latest_created_execution.name) == (1, name.rpartition("/")[2])
        assert job.terminal_condition.state is State.CONDITION_SUCCEEDED

    def test_a_name_is_taken_once(self, region: Region) -> None:
        name = f"j-{uuid4().hex[:8]}"
        region.create(region.job(), name)

        with pytest.raises(exceptions.AlreadyExists):
            region.create(region.job(), name)

    def test_the_operation_is_done_when_the_job_is_ready(self, region: Region) -> None:
        operation = region.create(region.job())

        assert operation.result(timeout=5).name == operation.metadata.name

    def test_validating_makes_nothing(self, region: Region) -> None:
        name = f"j-{uuid4().hex[:8]}"

        region.create(region.job(start_execution_token="run"), name, validate_only=True)

        with pytest.raises(exceptions.NotFound):
            region.jobs.get_job(name=f"{region.parent}/jobs/{name}", **HOW)

    def test_what_is_not_given_has_its_default(self, region: Region) -> None:
        made = region.create(Job({"template": {"template": {"containers": [{"image": region.api.image}]}}})).metadata

        task = made.template.template
        assert (made.template.task_count, task.max_retries, task.timeout.total_seconds()) == (1, 3, 600)
        assert dict(task.containers[0].resources.limits) == {"cpu": "1000m", "memory": "512Mi"}

    def test_there_are_as_many_jobs_as_there_may_be(self, region: Region) -> None:
        region.api.behave(most_jobs=len(region.api.jobs()))

        with pytest.raises(exceptions.ResourceExhausted, match="count of Jobs"):
            region.create(region.job())

    def test_an_image_that_is_not_there_is_said_by_the_jobs_condition(self, region: Region) -> None:
        made = region.create(region.job(start_execution_token="run", container={"image": "nobody/nothing:1"}))

        condition = region.jobs.get_job(name=made.metadata.name).terminal_condition
        assert (condition.state, condition.reason) == (State.CONDITION_FAILED, Condition.CommonReason.CONTAINER_MISSING)
        assert list(region.executions.list_executions(parent=made.metadata.name)) == []

    @pytest.mark.parametrize(
        ("made", "path"),
        [
            ({"container": {"image": ""}}, r"containers\[0\].image"),
            ({"container": {"env": [{"name": "A"}, {"name": "A"}]}}, r"env\[0\].name"),
            ({"container": {"resources": {"limits": {"cpu": "1", "memory": "8Gi"}}}}, "between 512Mi and 4Gi"),
            ({"container": {"resources": {"limits": {"cpu": "8", "memory": "2Gi"}}}}, "between 4Gi and 32Gi"),
            ({"container": {"resources": {"limits": {"memory": "128Mi"}}}}, "512 Mi"),
            ({"container": {"resources": {"limits": {"cpu": "3"}}}}, "cpu"),
            ({"container": {"resources": {"limits": {"disk": "3"}}}}, "disk"),
            ({"container": {"resources": {"limits": {"nvidia.com/gpu": "1"}}}}, "GPU"),
            ({"container": {"volume_mounts": [{"name": "a", "mount_path": "/a"}]}}, "volume a does not exist"),
            ({"container": {"args": ["x"] * 1001}}, "1000"),
            ({"task": {"max_retries": 11}}, "max_retries"),
            ({"task": {"timeout": {"seconds": 604801}}}, "timeout"),
            ({"task": {"volumes": [{"name": "a"}]}}, r"volumes\[0\]"),
            ({"task": {"volumes": [{"name": "a", "secret": {"secret": "not a name"}}]}}, "secret"),
            ({"template": {"task_count": 10001}}, "task_count"),
            ({"labels": {"Team": "data"}}, "job.labels"),
            ({"labels": {"run.googleapis.com/x": "data"}}, "job.labels"),
            ({"annotations": {"run.googleapis.com/x": "data"}}, "job.annotations"),
        ],
    )
    def test_what_the_manuals_forbid_is_refused_with_its_path(self, region: Region, made: Json, path: str) -> None:
        with pytest.raises(exceptions.InvalidArgument, match=path):
            region.create(region.job(**made))

    @pytest.mark.parametrize("name", ["Job", "1-job", "job-", "j" * 64, "a/b"])
    def test_a_job_has_a_legal_name(self, region: Region, name: str) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="job_id"):
            region.create(region.job(), name)

    def test_name_and_token_are_short_together(self, region: Region) -> None:
        with pytest.raises(exceptions.InvalidArgument, match="fewer than 63"):
            region.create(region.job(start_execution_token="run"), "j" * 60)

    @pytest.mark.parametrize(
        "parent", ["projects/somebody-elses/locations/europe-west1", "projects/pushpool-test/locations/mars-north1"]
    )
    def test_elsewhere_nothing_is_allowed(self, region: Region, parent: str) -> None:
        with pytest.raises(exceptions.PermissionDenied):
            region.jobs.create_job(parent=parent, job=region.job(), job_id="job", **HOW)


class TestRunning:
    def test_overrides_replace_arguments_and_are_merged_into_the_environment(self, region: Region) -> None:
        env = [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]
        job = region.create(region.job("sh", "-c", container={"args": ["exit 9"], "env": env})).metadata.name
        own = {"args": ['exit "$A$B"'], "env": [{"name": "B", "value": "2"}]}

        operation = region.jobs.run_job({"name": job, "overrides": {"container_overrides": [own]}}, **HOW)

        found = region.ended(operation.metadata.name)
        assert region.task(found.name).last_attempt_result.exit_code == 12
        assert operation.metadata.log_uri == found.log_uri

    def test_the_operation_ends_with_the_execution_and_as_it_did(self, region: Region) -> None:
        good, bad = (region.create(region.job("sh", "-c", f"exit {code}")).metadata.name for code in (0, 3))

        assert region.jobs.run_job(name=good, **HOW).result(timeout=10).succeeded_count == 1
        with pytest.raises(exceptions.Aborted, match="exit code: 3"):
            region.jobs.run_job(name=bad, **HOW).result(timeout=10)

    def test_each_call_starts_another(self, region: Region) -> None:
        job = region.create(region.job()).metadata.name

        names = {region.jobs.run_job(name=job, **HOW).metadata.name for _ in range(3)}

        assert len(names) == 3
        listed = [each.name for each in region.executions.list_executions({"parent": job, "page_size": 2})]
        assert set(listed) == names

    def test_a_job_that_is_not_ready_cannot_be_run(self, region: Region) -> None:
        job = region.create(region.job(container={"image": "nobody/nothing:1"})).metadata.name

        with pytest.raises(exceptions.FailedPrecondition, match="not ready"):
            region.jobs.run_job(name=job, **HOW)

    def test_what_cannot_be_overridden_is_refused(self, region: Region) -> None:
        job = region.create(region.job()).metadata.name

        with pytest.raises(exceptions.InvalidArgument, match="no container"):
            region.jobs.run_job({"name": job, "overrides": {"container_overrides": [{"name": "other"}]}}, **HOW)


class TestEnds:
    def test_an_exit_code_is_told_by_condition_and_task(self, region: Region) -> None:
        found = region.ended(region.start("sh", "-c", "exit 7"))

        assert said(found).execution_reason is Condition.ExecutionReason.NON_ZERO_EXIT_CODE
        assert "failed with exit code: 7 and message" in said(found).message
        assert (found.failed_count, region.task(found.name).last_attempt_result.exit_code) == (1, 7)

    def test_it_is_tried_again_as_often_as_it_may_be(self, region: Region) -> None:
        found = region.ended(region.start("sh", "-c", "exit 7", task={"max_retries": 2}))

        assert (found.retried_count, region.task(found.name).retried) == (1, 2)
        assert len(region.api.started(CLOUD_RUN_EXECUTION=found.name.rpartition("/")[2])) == 3

    def test_the_image_has_the_runner(self, region: Region) -> None:
        name = region.start("pushpool-run", container={"args": ["--", "sh", "-c", "echo started; exit 4"]})

        region.ended(name)

        assert region.task(name).last_attempt_result.exit_code == 4
        assert "started" in region.api.log(name)

    def test_each_task_knows_its_number(self, region: Region) -> None:
        name = region.start("sh", "-c", 'exit "$CLOUD_RUN_TASK_INDEX"', template={"task_count": 3})

        found = region.ended(name)

        assert (found.succeeded_count, found.failed_count) == (1, 2)
        codes = [each.last_attempt_result.exit_code for each in region.tasks.list_tasks(parent=name)]
        assert codes == [0, 1, 2]

    def test_a_cancelled_one_gets_a_signal_and_its_operation_no_error(self, region: Region) -> None:
        script = "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
        name = region.start("sh", "-c", script)
        eventually(lambda: "ready" in region.api.log(name) or None)

        operation = region.executions.cancel_execution(name=name, **HOW)

        found = operation.result(timeout=10)
        assert (found.cancelled_count, found.failed_count) == (1, 0)
        assert said(found).execution_reason is Condition.ExecutionReason.CANCELLED
        assert "told" in region.api.log(name)

    def test_one_that_heeds_no_signal_is_killed(self, region: Region) -> None:
        name = region.start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.02; done")
        eventually(lambda: "ready" in region.api.log(name) or None)

        region.executions.cancel_execution(name=name, **HOW)

        assert region.ended(name).cancelled_count == 1

    def test_one_that_takes_too_long_is_ended(self, region: Region) -> None:
        found = region.ended(region.start("sleep", "20", task={"timeout": {"seconds": 1}}))

        assert "exit code: 0 and message: The configured timeout was reached." in said(found).message

    def test_one_that_runs_out_of_memory_is_ended(self, region: Region) -> None:
        name = region.start("sleep", "20")
        region.running(name)

        region.api.kill(name)

        assert "The configured memory limit was reached." in said(region.ended(name)).message

    def test_conditions_tell_of_it_meanwhile(self, region: Region) -> None:
        name = region.start("sleep", "20")

        found = region.running(name)

        assert said(found).state is State.CONDITION_RECONCILING
        assert {each.type_ for each in found.conditions if each.state is State.CONDITION_SUCCEEDED} == {
            "ContainerReady", "ResourcesAvailable", "Started",
        }  # fmt: skip
        region.jobs.delete_job(name=name.partition("/executions/")[0], **HOW)
        with pytest.raises(exceptions.NotFound):
            region.execution(name)

    def test_a_region_without_capacity_starts_nothing(self, region: Region) -> None:
        region.api.behave(not_started="No capacity available.")

        found = region.ended(region.start("true"))

        assert not found.start_time
        assert said(found, "ResourcesAvailable").state is State.CONDITION_FAILED
        assert region.api.started(CLOUD_RUN_EXECUTION=found.name.rpartition("/")[2]) == []

    def test_the_oldest_are_forgotten(self, region: Region) -> None:
        region.api.behave(retained=1)
        job = region.create(region.job()).metadata.name
        names = [region.ended(region.jobs.run_job(name=job, **HOW).metadata.name).name for _ in range(3)]

        assert names[0] not in [each.name for each in region.executions.list_executions(parent=job)]
