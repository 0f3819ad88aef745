"""What a Cloud Run pool makes of a job's configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from adapters.infrastructure import cloud_run
from dispatcher.errors import InvalidInput, TooLarge
from dispatcher.forms import WorkPoolForm
from dispatcher.ports import Job

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("cloud_run_*.json"))
RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
GPU = "nvidia.com/gpu"

Json = dict[str, Any]
MakeJob = Callable[..., Job]
Made = Callable[..., Json]


def told(container: Json) -> Json:
    return {pair["name"]: pair.get("value", pair.get("valueSource")) for pair in container["env"]}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_request_is_as_it_was(adapter: cloud_run.CloudRun, make_job: MakeJob, golden: Path) -> None:
    case = json.loads(golden.read_text())

    assert asdict(adapter.request(make_job(case["configuration"], **case["job"]))) == case["request"]


def test_there_are_golden_requests() -> None:
    assert len(GOLDEN) == 6


def test_a_request_changes_nothing_of_the_configuration(adapter: cloud_run.CloudRun, make_job: MakeJob) -> None:
    for golden in GOLDEN:
        job = make_job(json.loads(golden.read_text())["configuration"])
        before = deepcopy(job.configuration)

        adapter.request(job)

        assert job.configuration == before


class TestPlace:
    def test_what_the_template_names_goes_before_what_is_ambient(
        self, adapter: cloud_run.CloudRun, make_job: MakeJob
    ) -> None:
        ambient, named = adapter.request(make_job()), adapter.request(make_job(project="other-team"))

        assert (ambient.target.account, named.target.account) == ("team-data", "other-team")
        assert named.body["create_job"]["parent"] == "projects/other-team/locations/europe-west1"

    def test_without_a_project_there_is_no_request(
        self, adapter: cloud_run.CloudRun, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
        monkeypatch.setenv("PUSHPOOL_GOOGLE_EMULATOR", "127.0.0.1:9")

        with pytest.raises(InvalidInput, match="set the variable `project`, or GOOGLE_CLOUD_PROJECT"):
            adapter.request(make_job())

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"region": None}, "region"),
            ({"region": "eu"}, "region"),
            ({"project": "123456789012"}, "project"),
            ({"project": "a/b"}, "project"),
        ],
    )
    def test_a_place_that_is_none_is_refused(self, body: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            body(**keys)

        assert refused.value.path == path

    def test_a_jobs_name_leaves_room_for_its_token(self, adapter: cloud_run.CloudRun, make_job: MakeJob) -> None:
        made = adapter.request(make_job(attempt=9_999, submit_seq=999_999)).body["create_job"]

        assert made["jobId"] == f"pushpool-{RUN.replace('-', '')}-9999-999999"
        assert len(made["jobId"]) + len(made["job"]["startExecutionToken"]) < 63

    def test_both_types_of_pool_share_one_budget_of_calls(self, make_job: MakeJob) -> None:
        targets = {opened({}).request(make_job()).target for opened in (cloud_run.open_v1, cloud_run.open_v2)}

        assert len(targets) == 1


class TestCommand:
    def test_it_runs_under_the_runner(self, container: Made) -> None:
        made = container(command="python -m 'my jobs'")

        assert (made["command"], made["args"]) == (["pushpool-run"], ["--", "python", "-m", "my jobs"])

    def test_an_entrypoint_is_the_runners_own(self, container: Made) -> None:
        made = container(command=["pushpool-run", "--entrypoint", "jobs/etl.py:run"])

        assert (made["command"], made["args"]) == (["pushpool-run"], ["--entrypoint", "jobs/etl.py:run"])

    def test_the_templates_arguments_follow_it(self, container: Made) -> None:
        made = container(command="etl", runner=False, container={"args": ["--all", 3]})

        assert (made["command"], made["args"]) == (["etl"], ["--all", "3"])

    def test_the_templates_own_command_runs_under_the_runner_too(self, container: Made) -> None:
        made = container(command=None, container={"command": "python -m etl"})

        assert made["args"] == ["--", "python", "-m", "etl"]

    def test_without_a_runner_the_image_has_a_command_of_its_own(self, container: Made) -> None:
        made = container(command=None, runner=False, container={"args": ["--all"]})

        assert "command" not in made
        assert made["args"] == ["--all"]

    def test_with_a_runner_there_has_to_be_one(self, container: Made) -> None:
        with pytest.raises(InvalidInput, match="command is empty"):
            container(command=None)


class TestEnvironment:
    def test_null_takes_a_variable_away_and_the_empty_string_stays(self, container: Made) -> None:
        given = [{"name": "OLD", "value": "1"}, {"name": "EMPTY", "value": ""}]

        made = told(container(env={"A": None, "B": "", "OLD": None}, container={"env": given}))

        assert {name: value for name, value in made.items() if not name.startswith("PUSHPOOL_")} == {
            "B": "",
            "EMPTY": "",
        }

    def test_ours_cannot_be_overridden_nor_added_to(self, container: Made) -> None:
        secret = {"PUSHPOOL_API_URL": {"secret": "url"}}

        forged = {"PUSHPOOL_RUN_ID": "forged", "PUSHPOOL_X": "1"}
        made = told(container(env=forged, env_from_secrets=secret, runner=False))

        assert made == {"PUSHPOOL_RUN_ID": RUN, "PUSHPOOL_ATTEMPT": "1"}

    def test_the_runner_is_done_before_cloud_run_kills_it(self, container: Made) -> None:
        given = {"PUSHPOOL_GRACE_SECONDS": "3"}

        assert told(container())["PUSHPOOL_GRACE_SECONDS"] == "7"
        assert told(container(environment=given))["PUSHPOOL_GRACE_SECONDS"] == "3"
        assert "PUSHPOOL_GRACE_SECONDS" not in told(container(runner=False))

    def test_secrets_of_secret_manager_become_variables(self, container: Made) -> None:
        nested = [{"name": "B", "valueSource": {"secretKeyRef": {"secret": "b", "version": "2"}}}]

        made = told(
            container(
                env={"C": "clear", "D": None},
                env_from_secrets={
                    "A": {"secret": "projects/other/secrets/a"},
                    "C": {"secret": "c"},
                    "D": {"secret": "d"},
                },
                prefect_api_auth_string_secret={"secret": "auth"},
                container={"env": nested},
            )
        )

        assert made["A"] == {"secretKeyRef": {"secret": "projects/other/secrets/a", "version": "latest"}}
        assert made["B"] == {"secretKeyRef": {"secret": "b", "version": "2"}}
        assert made["C"] == "clear"
        assert "D" not in made
        assert made["PREFECT_API_AUTH_STRING"]["secretKeyRef"]["secret"] == "auth"

    def test_a_secret_of_the_installation_is_named_in_the_environment_alone(self, body: Made) -> None:
        made = body(env={"KEY": {"$secret": "key"}})
        assert {"name": "KEY", "value": {"$secret": "key"}} in made["create_job"]["job"]["template"]["template"][
            "containers"
        ][0]["env"]

        with pytest.raises(InvalidInput, match="for all to see"):
            body(task={"serviceAccount": {"$secret": "key"}})

    def test_what_is_too_long_for_a_variable_is_refused(self, body: Made) -> None:
        with pytest.raises(TooLarge, match="32768"):
            body(env={"A": "x" * 32768})

    def test_files_and_sockets_are_mounted_beside_what_the_template_mounts(self, task: Made) -> None:
        own = {"name": "cache", "emptyDir": {"medium": "MEMORY"}}

        made = task(
            task={"volumes": [own]},
            container={"volumeMounts": [{"name": "cache", "mountPath": "/cache"}]},
            secret_files={"/secrets/key/key.json": {"secret": "key"}},
            cloudsql_instances=["p:r:db"],
        )

        assert [each["mountPath"] for each in made["containers"][0]["volumeMounts"]] == [
            "/cache",
            "/secrets/key",
            "/cloudsql",
        ]
        assert made["volumes"][1]["secret"] == {"secret": "key", "items": [{"path": "key.json", "version": "latest"}]}
        assert made["volumes"][2] == {"name": "cloudsql", "cloudSqlInstance": {"instances": ["p:r:db"]}}

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"secret_files": {"/s/a": {"secret": "a"}, "/s/b": {"secret": "b"}}}, "secret_files"),
            ({"secret_files": {"key.json": {"secret": "a"}}}, "secret_files"),
            ({"secret_files": {"/key.json": {"secret": "a"}}}, "secret_files"),
            ({"env_from_secrets": {"A": {"secret": "no name"}}}, "env_from_secrets.A"),
            ({"env_from_secrets": {"A": {"secret": "a", "key": "1"}}}, "env_from_secrets.A"),
            ({"cloudsql_instances": ["db"]}, "cloudsql_instances"),
            ({"env": {"A": ["x"]}}, "env.A"),
        ],
    )
    def test_what_cannot_be_mounted_or_told_is_refused(self, body: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            body(**keys)

        assert refused.value.path == path


class TestSize:
    @pytest.mark.parametrize(
        ("cpu", "memory"),
        [("1", "512Mi"), ("1000m", "4Gi"), (2, "8Gi"), ("4", "2Gi"), ("8", "32Gi"), ("0.5", "512Mi"), ("1", "1G")],
    )
    def test_a_pair_that_cloud_run_has_is_taken(self, container: Made, cpu: object, memory: str) -> None:
        made = container(container={"resources": {"limits": {"cpu": cpu, "memory": memory}}})

        assert made["resources"]["limits"] == {"cpu": str(cpu), "memory": memory}

    @pytest.mark.parametrize(
        ("limits", "path", "words"),
        [
            ({"cpu": "1", "memory": "8Gi"}, "memory", "cpu can be 2, 4, 6, 8"),
            ({"memory": "5Gi"}, "memory", "cpu can be 2, 4, 6, 8"),
            ({"cpu": "4", "memory": "1Gi"}, "memory", "2Gi to 16Gi"),
            ({"cpu": "8", "memory": "33Gi"}, "memory", "4Gi to 32Gi"),
            ({"cpu": "1", "memory": "256Mi"}, "memory", "512Mi to 4Gi"),
            ({"cpu": "0.3", "memory": "1Gi"}, "memory", "512Mi to 512Mi"),
            ({"cpu": "3"}, "cpu", "1, 2, 4, 6, 8"),
            ({"cpu": "two"}, "cpu", "written `2` or `2000m`"),
            ({"memory": "1024"}, "memory", "`512Mi` or `2Gi`"),
            ({"cpu": "2", "memory": "8Gi", GPU: "1"}, "cpu", "at least 4 cpus"),
            ({"cpu": "4", "memory": "8Gi", GPU: "1"}, "memory", "16Gi"),
            ({"cpu": "4", "memory": "16Gi", GPU: "1"}, "gpu_type", "nvidia-l4"),
        ],
    )
    def test_another_is_refused_and_says_what_there_is(self, body: Made, limits: Json, path: str, words: str) -> None:
        with pytest.raises(InvalidInput, match=words) as refused:
            body(container={"resources": {"limits": limits}})

        assert refused.value.path == path


class TestTimeout:
    def test_the_deployments_leaves_the_runner_time_and_goes_before_the_templates(self, task: Made) -> None:
        """A container that is there as early as a pool may have it waits for so long, and then has its whole time."""
        earliest = next(
            each.le for each in WorkPoolForm.model_fields["prefetch_seconds"].metadata if hasattr(each, "le")
        )

        given = float(task(timeout_seconds=600, task={"timeout": 60})["timeout"].removesuffix("s"))

        assert given >= earliest + 600 + 60

    @pytest.mark.parametrize("given", [600, "600", "600s", 600.0])
    def test_the_templates_is_taken_as_it_is(self, task: Made, given: object) -> None:
        assert task(task={"timeout": given})["timeout"] == "600s"

    def test_without_either_it_is_the_longest_there_is(self, task: Made) -> None:
        gpu = {"resources": {"limits": {"cpu": "4", "memory": "16Gi", GPU: 1}}}

        assert task()["timeout"] == "604800s"
        assert task(container=gpu, task={"nodeSelector": {"accelerator": "nvidia-l4"}})["timeout"] == "3600s"

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"timeout_seconds": 604801}, "timeout_seconds"),
            ({"task": {"timeout": 0}}, "timeout"),
            ({"task": {"timeout": "1h"}}, "timeout"),
            ({"task": {"timeout": 604801}}, "timeout"),
        ],
    )
    def test_none_is_longer_than_cloud_run_allows(self, body: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            body(**keys)

        assert refused.value.path == path


class TestOnce:
    def test_cloud_run_tries_nothing_again_unless_it_is_asked_to(self, task: Made) -> None:
        assert task()["maxRetries"] == 0
        assert task(task={"maxRetries": 2}, runner=False)["maxRetries"] == 2

    @pytest.mark.parametrize(
        ("template", "path"),
        [({"taskCount": 2, "template": {}}, "task_count"), ({"template": {"maxRetries": 1}}, "max_retries")],
    )
    def test_the_runner_lets_one_container_run(self, body: Made, template: Json, path: str) -> None:
        template["template"]["containers"] = [{"image": "etl"}]

        with pytest.raises(InvalidInput, match="set runner to false") as refused:
            body(job_body={"template": template})

        assert refused.value.path == path


class TestBody:
    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"job_body": "job"}, "job_body"),
            ({"job_body": {"template": []}}, "image"),
            ({"job_body": {"template": "x"}}, "job_body.template"),
            ({"container": {"image": ""}}, "image"),
            ({"task": {"containers": {"image": "x"}}}, "job_body.template.template.containers"),
            ({"task": {"serviceaccount": "x"}}, "job_body.template.template.serviceaccount"),
            ({"task": {"executionEnvironment": "GEN9"}}, "job_body.template.template.executionEnvironment"),
            ({"task": {"gpuZonalRedundancyDisabled": "yes"}}, "job_body.template.template.gpuZonalRedundancyDisabled"),
            ({"container": {"resources": {"limits": []}}}, None),
            ({"container": {"resources": "big"}}, "job_body"),
            ({"container": {"resources": {"limit": {}, "cpuIdle": True}}}, None),
            (
                {"container": {"volumeMounts": [{"mount": "/x"}]}},
                "job_body.template.template.containers[0].volumeMounts[0].mount",
            ),
            ({"submission": "twice"}, "submission"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_its_path(self, body: Made, keys: Json, path: str | None) -> None:
        if path is None:
            assert body(**keys)  # what is empty is left out
            return

        with pytest.raises(InvalidInput) as refused:
            body(**keys)

        assert refused.value.path == path

    def test_a_token_is_ours_to_set(self, body: Made) -> None:
        with pytest.raises(InvalidInput, match="ours to set"):
            body(job_body={"startExecutionToken": "again", "template": {"template": {"containers": [{"image": "x"}]}}})

    def test_what_an_exported_job_says_of_itself_is_left_out(self, body: Made) -> None:
        template = {"template": {"containers": [{"image": "etl"}]}}
        given = {"name": "projects/p/locations/r/jobs/etl", "client": "prefect", "clientVersion": "3", "etag": "x"}

        job = body(job_body={**given, "template": template})["create_job"]["job"]

        assert job["client"] == "pushpool"
        assert not {"name", "clientVersion", "etag"} & job.keys()

    def test_labels_are_made_legal_and_ours_stay(self, body: Made) -> None:
        given = {"prefect.io/Flow": "A b", "9lives": "1", "managed-by": "me", "none": None}

        job = body(labels=given)["create_job"]["job"]

        assert job["labels"] == job["template"]["labels"]
        assert job["labels"] == {
            "lives": "1", "managed-by": "pushpool", "prefect-io-flow": "a-b", "pushpool-attempt": "1",
            "pushpool-deployment": "etl-daily", "pushpool-pool": "nightly", "pushpool-run": RUN,
            "pushpool-submission": "1",
        }  # fmt: skip

    @pytest.mark.parametrize("labels", [{"...": "x"}, {f"label-{n}": "x" for n in range(59)}])
    def test_labels_that_cannot_be_made_legal_are_refused(self, body: Made, labels: Json) -> None:
        with pytest.raises(InvalidInput) as refused:
            body(labels=labels)

        assert refused.value.path == "labels"

    def test_a_sidecar_stays_as_it_is(self, task: Made) -> None:
        made = task(task={"containers": [{"image": "etl"}, {"image": "proxy", "command": "proxy --port 80"}]})

        assert made["containers"][1] == {"image": "proxy", "command": ["proxy", "--port", "80"]}
