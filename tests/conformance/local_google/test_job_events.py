"""What the local API of Cloud Run tells, refuses on order and keeps secret, as Google's own clients see it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.run_v2 import Condition, JobsClient

from dispatcher.testing.servers.cloud_run import CloudRunApi, cloud_run
from dispatcher.testing.servers.cloud_run.region import HOW, Region
from dispatcher.testing.servers.ecs_cluster import eventually

Json = dict[str, Any]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudRunApi]:
    with cloud_run(tmp_path_factory.mktemp("cloud_run")) as made:
        made.behave(grace_seconds=0.5)
        yield made


@pytest.fixture
def region(api: CloudRunApi) -> Iterator[Region]:
    yield Region(api)
    api.forget_faults()


class TestSecrets:
    @pytest.fixture
    def secretive(self, region: Region, monkeypatch: pytest.MonkeyPatch) -> Region:
        known = {("key", "latest"): "the value"}
        monkeypatch.setattr(region.api.project, "secret", lambda name, version: known.get((name, version)))
        return region

    def reading(self, name: str) -> Json:
        source = {"secret_key_ref": {"secret": name, "version": "latest"}}
        return {"env": [{"name": "KEY", "value_source": source}]}

    def test_one_that_may_be_read_is_in_the_environment(self, secretive: Region) -> None:
        name = secretive.start("sh", "-c", 'echo "$KEY"', container=self.reading("key"))

        secretive.ended(name)
        assert secretive.api.log(name) == "the value\n"

    def test_one_that_may_not_keeps_the_job_from_getting_ready(self, secretive: Region) -> None:
        made = secretive.create(secretive.job(container=self.reading("other"))).metadata

        condition = secretive.jobs.get_job(name=made.name).terminal_condition
        assert condition.reason is Condition.CommonReason.SECRETS_ACCESS_CHECK_FAILED


class TestFaults:
    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("throttled", exceptions.ResourceExhausted),
            ("denied", exceptions.PermissionDenied),
            ("act as", exceptions.PermissionDenied),
            ("disabled", exceptions.PermissionDenied),
            ("unauthenticated", exceptions.Unauthenticated),
            ("rejected", exceptions.InvalidArgument),
            ("jobs", exceptions.ResourceExhausted),
            ("timeout", exceptions.ServiceUnavailable),
            ("internal", exceptions.InternalServerError),
        ],
    )
    def test_what_goes_wrong_on_order_has_no_effect(
        self, region: Region, kind: str, error: type[exceptions.GoogleAPICallError]
    ) -> None:
        name = f"j-{uuid4().hex[:8]}"
        region.api.fail_next(kind)

        with pytest.raises(error):
            region.create(region.job(), name)

        region.create(region.job(), name)

    def test_a_reply_that_is_lost_had_its_effect(self, region: Region) -> None:
        name = f"j-{uuid4().hex[:8]}"
        region.api.fail_next("reply lost")

        with pytest.raises(exceptions.ServiceUnavailable):
            region.create(region.job(), name)

        assert region.jobs.get_job(name=f"{region.parent}/jobs/{name}", **HOW).uid

    def test_a_reply_that_is_held_comes_after_its_effect(self, region: Region) -> None:
        name = f"j-{uuid4().hex[:8]}"
        with ThreadPoolExecutor(1) as threads:
            with region.api.replies_held("CreateJob") as held:
                asked = threads.submit(region.create, region.job(), name)
                assert held.wait(10)
                there, answered = f"{region.parent}/jobs/{name}" in region.api.jobs(), asked.done()

            assert asked.result().metadata.name.endswith(name)
        assert (there, answered) == (True, False)

    def test_a_throttle_names_its_quota(self, region: Region) -> None:
        region.api.fail_next("throttled", call="RunJob")

        with pytest.raises(exceptions.ResourceExhausted) as refused:
            region.jobs.run_job(name=f"{region.parent}/jobs/any", **HOW)

        assert refused.value.reason == "RATE_LIMIT_EXCEEDED"
        assert refused.value.metadata["quota_limit"] == "RunJobPerMinutePerProjectRegion"


class TestNews:
    def test_start_and_end_are_told_of(self, region: Region) -> None:
        heard: list[Json] = []
        region.api.listen(heard.append)
        name = region.start("sh", "-c", "exit 3", template={"labels": {"team": "data"}})
        region.ended(name)

        told = eventually(lambda: found if len(found := region.api.events(name)) == 2 else None)

        assert [each["severity"] for each in told] == ["INFO", "ERROR"]
        payload = told[1]["protoPayload"]
        assert payload["methodName"] == "/Jobs.RunJob"
        assert payload["status"]["message"].endswith("has failed to complete, 0/1 tasks were a success.")
        assert payload["response"]["metadata"]["labels"]["team"] == "data"
        assert [each for each in heard if each in told] == told

    def test_they_can_be_held_and_sent_backwards(self, region: Region) -> None:
        with region.api.events_are("held"):
            name = region.start("true")
            region.ended(name)
            time_is_up = time.monotonic() + 5
            while region.api.live() and time.monotonic() < time_is_up:
                time.sleep(0.01)
        assert region.api.events(name) == []

        assert region.api.release_events(backwards=True) >= 2

        methods = [each["protoPayload"]["status"]["message"] for each in region.api.events(name)]
        assert "completed successfully" in methods[0]

    @pytest.mark.parametrize(("mode", "times"), [("doubled", 4), ("dropped", 0)])
    def test_they_can_be_doubled_and_dropped(self, region: Region, mode: str, times: int) -> None:
        with region.api.events_are(mode):
            name = region.start("true")
            region.ended(name)
            region.jobs.get_job(name=name.partition("/executions/")[0])
            eventually(lambda: len(region.api.events(name)) == times or None)

        assert len(region.api.events(name)) == times


def test_the_api_stands_by_itself_as_a_process() -> None:
    command = [sys.executable, "-m", "dispatcher.testing.servers.cloud_run", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = dict(process.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(2))
        channel = grpc.insecure_channel(told["PUSHPOOL_GOOGLE_EMULATOR"])
        jobs = JobsClient(transport=JobsClient.get_transport_class("grpc")(channel=channel))
        parent = f"projects/{told['GOOGLE_CLOUD_PROJECT']}/locations/europe-west1"

        found = list(jobs.list_jobs(parent=parent))

        channel.close()
        process.terminate()
    assert (found, process.returncode) == ([], 0)
