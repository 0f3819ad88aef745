"""What a Modal pool makes of a job's configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from adapters.infrastructure import modal
from adapters.infrastructure.modal.adapter import Patience
from dispatcher.errors import InvalidInput, TooLarge
from dispatcher.ports import Job

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("modal_*.json"))
RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
SECRET = {"$secret": "database-password"}

Json = dict[str, Any]
MakeJob = Callable[..., Job]
Made = Callable[..., Json]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_request_is_as_it_was(adapter: modal.Modal, make_job: MakeJob, golden: Path) -> None:
    case = json.loads(golden.read_text())

    assert asdict(adapter.request(make_job(case["configuration"], **case["job"]))) == case["request"]


def test_there_are_golden_requests() -> None:
    assert len(GOLDEN) == 3


def test_a_request_changes_nothing_of_the_configuration(adapter: modal.Modal, make_job: MakeJob) -> None:
    for golden in GOLDEN:
        job = make_job(json.loads(golden.read_text())["configuration"])
        before = deepcopy(job.configuration)

        adapter.request(job)

        assert job.configuration == before


class TestPlace:
    def test_left_out_it_is_an_app_of_ours_in_the_workspaces_own_environment(
        self, adapter: modal.Modal, make_job: MakeJob
    ) -> None:
        target = adapter.request(make_job()).target

        assert (target.type, target.account, target.region, target.group) == ("modal:push", "", "", "pushpool")

    def test_what_the_template_names_goes_before_what_is_ambient(
        self, adapter: modal.Modal, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MODAL_ENVIRONMENT", "dev")

        ambient, named = adapter.request(make_job()), adapter.request(make_job(environment="prod", app="etl"))

        assert (ambient.target.region, named.target.region, named.target.group) == ("dev", "prod", "etl")

    def test_a_sandbox_with_a_gpu_is_told_by_its_target(self, adapter: modal.Modal, make_job: MakeJob) -> None:
        assert adapter.request(make_job(gpu="T4")).target.group == "pushpool/gpu"

    @pytest.mark.parametrize(("attempt", "submit_seq"), [(1, 1), (9999, 9999)])
    def test_a_name_is_one_that_modal_takes(self, body: Made, attempt: int, submit_seq: int) -> None:
        name = body(attempt=attempt, submit_seq=submit_seq)["name"]

        assert name == f"pushpool-{RUN.replace('-', '')}-{attempt}-{submit_seq}"
        assert len(name) <= 64

    def test_tags_say_whose_it_is(self, body: Made) -> None:
        assert body(attempt=2, submit_seq=3, pool="pool of 'ä'" + "x" * 80)["tags"] == {
            "pushpool-pool": ("pool-of----" + "x" * 80)[:63],
            "pushpool-run": RUN,
            "pushpool-attempt": "2",
            "pushpool-submission": "3",
        }


class TestCommand:
    def test_it_runs_under_the_runner(self, body: Made) -> None:
        assert body()["command"] == ["pushpool-run", "--", "python", "-m", "etl"]

    def test_without_one_and_without_a_runner_the_images_own_runs(self, body: Made) -> None:
        assert body(command=None, runner=False)["command"] == []

    def test_one_that_is_too_long_is_refused(self, body: Made) -> None:
        with pytest.raises(TooLarge, match="65536; put what is long into"):
            body(command=["sh", "-c", "x" * 65536])


class TestEnvironment:
    def test_ours_goes_over_the_jobs_and_reserved_names_are_nobody_elses(self, body: Made) -> None:
        env = body(env={"A": "1", "B": None, "C": "", "PUSHPOOL_RUN_ID": "forged", "PUSHPOOL_RUN_TOKEN": "forged"})[
            "env"
        ]

        assert env == {"A": "1", "C": "", "PUSHPOOL_RUN_ID": RUN, "PUSHPOOL_ATTEMPT": "1"}

    def test_a_secret_stays_a_mark_until_it_is_sent(self, body: Made) -> None:
        assert body(env={"PASSWORD": SECRET})["env"]["PASSWORD"] == SECRET

    @pytest.mark.parametrize(
        "keys", [{"command": ["login", SECRET]}, {"secrets": [SECRET]}, {"image": {"tag": SECRET}}]
    )
    def test_a_secret_anywhere_else_is_refused(self, body: Made, keys: Json) -> None:
        with pytest.raises(InvalidInput, match="put it into env, or name a secret of Modal"):
            body(**keys)


class TestTimeout:
    @pytest.mark.parametrize(
        ("deployments", "templates", "made"),
        [
            (None, None, 86400),
            (None, 300, 300),
            (None, 86400, 86400),
            (60, None, 1260),
            (3600, 300, 4800),
            (86400, None, 86400),
        ],
    )
    def test_it_is_never_modals_own_default_unless_it_is_asked_for(
        self, body: Made, deployments: int | None, templates: int | None, made: int
    ) -> None:
        assert body(timeout_seconds=deployments, timeout=templates)["timeout"] == made

    @pytest.mark.parametrize(
        ("keys", "path"), [({"timeout_seconds": 86401}, "timeout_seconds"), ({"timeout": 86401}, "timeout")]
    )
    def test_one_that_modal_does_not_have_is_refused(self, body: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput, match="86400") as refused:
            body(**keys)

        assert refused.value.path == path


class TestImage:
    @pytest.mark.parametrize(
        ("image", "made"),
        [
            ("python:3.12", {"tag": "python:3.12", "registry": "public"}),
            ({"tag": "python:3.12"}, {"tag": "python:3.12", "registry": "public"}),
            ({"tag": "r/etl:1", "secret": "login"}, {"tag": "r/etl:1", "registry": "private", "secret": "login"}),
            ({"tag": "r/etl:1", "aws_secret": "ecr"}, {"tag": "r/etl:1", "registry": "aws", "secret": "ecr"}),
            ({"tag": "r/etl:1", "gcp_secret": "gar"}, {"tag": "r/etl:1", "registry": "gcp", "secret": "gar"}),
        ],
    )
    def test_it_comes_from_one_of_prefects_kinds_of_registry(self, body: Made, image: Any, made: Json) -> None:
        assert body(image=image)["image"] == made

    def test_packages_and_python_come_on_top(self, body: Made) -> None:
        made = body(pip_packages=["httpx==0.28.1", " rich "], add_python="3.12")["image"]

        assert (made["pip_packages"], made["add_python"]) == (["httpx==0.28.1", "rich"], "3.12")

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"image": None}, "image"),
            ({"image": ""}, "image"),
            ({"image": {"tag": ""}}, "image"),
            ({"image": ["python:3.12"]}, "image"),
            ({"image": {"tag": "a", "secret": "s", "aws_secret": "t"}}, "image"),
            ({"image": {"tag": "a", "password": "p"}}, "image"),
            ({"image": "a\nRUN curl evil"}, "image"),
            ({"image": {"tag": "a", "secret": "no name"}}, "image.secret"),
            ({"pip_packages": "httpx"}, "pip_packages"),
            ({"pip_packages": ["--index-url=http://evil"]}, "pip_packages"),
            ({"add_python": 3.12}, "add_python"),
            ({"add_python": "2.7"}, "add_python"),
        ],
    )
    def test_what_is_none_is_refused(self, body: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            body(**keys)

        assert refused.value.path == path


class TestSizes:
    def test_left_out_they_are_modals(self, body: Made) -> None:
        assert not {"cpu", "memory", "gpu"} & body().keys()

    def test_a_limit_goes_with_what_is_reserved(self, body: Made) -> None:
        made = body(cpu=0.25, cpu_limit=2, memory=512, memory_limit=1024, gpu="H100:2")

        assert (made["cpu"], made["memory"], made["gpu"]) == ([0.25, 2], [512, 1024], "H100:2")

    @pytest.mark.parametrize("gpu", ["A10G", "A100-80GB", "H100!", "H100!:8", "any", "a10g"])
    def test_a_gpu_is_written_as_modal_writes_it(self, body: Made, gpu: str) -> None:
        assert body(gpu=gpu)["gpu"] == gpu

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"cpu": "1"}, "cpu"),
            ({"cpu": 0.1}, "cpu"),
            ({"cpu": True}, "cpu"),
            ({"cpu": 2, "cpu_limit": 1}, "cpu_limit"),
            ({"cpu_limit": 1}, "cpu"),
            ({"memory": 64}, "memory"),
            ({"memory": 512.5}, "memory"),
            ({"memory": "512Mi"}, "memory"),
            ({"gpu": "H100:0"}, "gpu"),
            ({"gpu": "H100:9"}, "gpu"),
            ({"gpu": "H100:two"}, "gpu"),
            ({"gpu": "two H100"}, "gpu"),
            ({"gpu": 1}, "gpu"),
        ],
    )
    def test_what_modal_does_not_have_is_refused(self, body: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            body(**keys)

        assert refused.value.path == path


class TestNames:
    def test_volumes_are_mounted_where_it_says(self, body: Made) -> None:
        assert body(volumes={"/data/": "lake", "/models": "weights"})["volumes"] == {
            "/data": "lake",
            "/models": "weights",
        }

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"app": "a b"}, "app"),
            ({"app": "x" * 65}, "app"),
            ({"app": "ap-" + "0" * 22}, "app"),
            ({"environment": "en-1"}, "environment"),
            ({"environment": "a/b"}, "environment"),
            ({"secrets": "one"}, "secrets"),
            ({"secrets": ["a/b"]}, "secrets"),
            ({"volumes": ["lake"]}, "volumes"),
            ({"volumes": {"data": "lake"}}, "volumes"),
            ({"volumes": {"/": "lake"}}, "volumes"),
            ({"volumes": {"/tmp": "lake"}}, "volumes"),
            ({"volumes": {"/a": "lake", "/b": "lake"}}, "volumes"),
            ({"volumes": {"/a": "my lake"}}, "volumes./a"),
            ({"region": {"us": 1}}, "region"),
            ({"region": "us east"}, "region"),
            ({"region": ["us-east", 1]}, "region"),
            ({"cloud": ["aws"]}, "cloud"),
        ],
    )
    def test_one_that_modal_would_refuse_is_refused(self, body: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            body(**keys)

        assert refused.value.path == path


class TestNetwork:
    def test_nothing_said_is_nothing_sent(self, body: Made) -> None:
        assert "network" not in body(block_network=False)

    def test_an_empty_list_lets_nothing_through(self, body: Made) -> None:
        made = body(runner=False, outbound_cidr_allowlist=[])

        assert made["network"] == {"outbound_cidr_allowlist": []}

    @pytest.mark.parametrize("keys", [{"block_network": True}, {"outbound_domain_allowlist": []}])
    def test_a_runner_that_could_not_claim_its_run_is_refused(self, body: Made, keys: Json) -> None:
        with pytest.raises(InvalidInput, match="set runner to false"):
            body(**keys)

        assert body(start_without_claim=True, **keys)["network"]

    @pytest.mark.parametrize(
        ("keys", "path"),
        [
            ({"block_network": True, "runner": False, "outbound_cidr_allowlist": ["10.0.0.0/8"]}, "block_network"),
            ({"outbound_cidr_allowlist": "10.0.0.0/8"}, "outbound_cidr_allowlist"),
            ({"outbound_domain_allowlist": [1]}, "outbound_domain_allowlist"),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, body: Made, keys: Json, path: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            body(**keys)

        assert refused.value.path == path


def test_links_lead_to_modals_dashboard(adapter: modal.Modal, make_job: MakeJob) -> None:
    target = adapter.request(make_job()).target

    assert adapter.links(target, "sb-1") == {"console": "https://modal.com/id/sb-1"}


def test_the_calls_of_a_submission_fit_into_its_deadline(adapter: modal.Modal) -> None:
    patience = Patience()

    seconds = patience.prepare + patience.build + patience.look + patience.create + patience.look

    assert seconds < adapter.traits.submit_deadline.total_seconds()
