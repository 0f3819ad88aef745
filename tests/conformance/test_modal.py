"""Modal passes the suite of every infrastructure: on an API of this machine, whose sandboxes really run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from modal_proto import api_pb2

from adapters.infrastructure import modal as adapter
from adapters.infrastructure.modal.adapter import Patience
from dispatcher import job_templates, registry
from dispatcher.ports import (
    Accepted,
    Cause,
    Infrastructure,
    Job,
    NotNow,
    Observation,
    Outcome,
    Phase,
    PoolUnavailable,
    Rejected,
    Unknown,
)
from dispatcher.secret_values import revealed
from dispatcher.testing.cloud_bench import TOKEN, submission
from dispatcher.testing.infrastructure_suite import Cloud, InfrastructureSuite
from dispatcher.testing.servers.modal import ModalApi
from dispatcher.testing.servers.modal import modal as served

TYPE = "modal:push"
PRIVATE = {
    "ghcr.io/acme/etl:1": {"REGISTRY_USERNAME": "acme", "REGISTRY_PASSWORD": "of-ghcr"},
    "1234.dkr.ecr.eu-west-1.amazonaws.com/etl:1": {"AWS_ACCESS_KEY_ID": "AKIA1"},
    "europe-docker.pkg.dev/acme/etl/etl:1": {"SERVICE_ACCOUNT_JSON": "{}"},
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModalApi]:
    with served(tmp_path_factory.mktemp("modal"), private=PRIVATE, packages_missing=frozenset({"no-such"})) as made:
        made.behave(grace_seconds=1.0)
        made.keep_secret("database", {"DATABASE_URL": "postgres://database"})
        made.keep_secret("ghcr", dict(PRIVATE["ghcr.io/acme/etl:1"]))
        made.keep_secret("aws", {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"})
        made.keep_secret("gcp", {"SERVICE_ACCOUNT_JSON": "{}"})
        made.keep_volume("models")
        yield made


class Workspace:
    """The hand on a workspace, where every job has these variables."""

    def __init__(self, api: ModalApi, variables: Mapping[str, Any]) -> None:
        self.api, self._variables = api, variables
        self._opened: list[adapter.Modal] = []

    def open(self) -> Infrastructure:
        made = registry.infrastructure(TYPE, {})
        assert isinstance(made, adapter.Modal)
        self._opened.append(made)
        return made

    def impatient(self, **seconds: float) -> Infrastructure:
        """Waits for so long only."""
        self._opened.append(adapter.Modal({}, Patience(**seconds)))
        return self._opened[-1]

    def job(
        self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, exits: int | None = 0, prints: str = ""
    ) -> Job:
        script = 'printf "%s" "$0"; ' + ("exec sleep 60" if exits is None else f"exit {exits}")
        return self.with_variables(
            run_id, attempt=attempt, submit_seq=submit_seq, command=["sh", "-c", script, prints or "nothing"]
        )

    def with_variables(self, run_id: str, *, attempt: int = 1, submit_seq: int = 1, **variables: Any) -> Job:
        given = {"image": {"tag": self.api.image}, "runner": False, **self._variables, **variables}
        return Job(
            pool="nightly",
            run_id=run_id,
            run_name="brisk-otter",
            deployment="etl",
            attempt=attempt,
            submit_seq=submit_seq,
            configuration=job_templates.render(registry.template(TYPE), given),
            environment={"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": str(attempt)},
        )

    def started(self, run_id: str) -> int:
        return len(self.api.started(run_id))

    def unknown_handle(self) -> str:
        return f"sb-{'0' * (22 if 'gpu' in self._variables else 26)}"

    def fail_next(self, kind: str) -> bool:
        self.api.fail_next(kind)
        return True

    def kill(self, handle: str) -> bool:
        self.api.kill(handle)
        return True

    def event(self, handle: str) -> Mapping[str, Any] | None:
        return None

    def definition(self, handle: str) -> Any:
        """What Modal was told of the sandbox."""
        return self.api.sandbox(handle).definition

    def close(self) -> None:
        self.api.forget_faults()
        for each in self._opened:
            each.close()


def submitted(infrastructure: Infrastructure, job: Job) -> Outcome:
    return infrastructure.submit(submission(job, infrastructure.request(job)))


class ModalSuite(InfrastructureSuite):
    """What holds for sandboxes with and without a GPU, which are of two kinds in Modal's API."""

    variables: Mapping[str, Any] = {}

    @pytest.fixture
    def cloud(self, api: ModalApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
        for name, value in api.environment().items():
            monkeypatch.setenv(name, value)
        hand = Workspace(api, self.variables)
        yield hand
        hand.close()

    def test_a_repeat_finds_what_has_ended_though_its_name_is_free(self, cloud: Workspace, run_id: str) -> None:
        job = cloud.job(run_id)
        request, handle = self.start(cloud.open(), job)
        self.until(cloud.open(), request, handle, Phase.STOPPED)
        asked = len(cloud.api.requests())

        repeated = submitted(cloud.open(), job)

        assert isinstance(repeated, Accepted)
        assert repeated.handle == handle
        assert len(cloud.api.requests()) == asked

    @pytest.mark.parametrize("kind", ["timeout", "throttled", "reply lost", "internal", "paced"])
    def test_a_submission_is_one_request(self, cloud: Workspace, run_id: str, kind: str) -> None:
        before = _creates(cloud.api)
        cloud.fail_next(kind)

        submitted(cloud.open(), cloud.job(run_id))

        assert _creates(cloud.api) - before == 1

    def test_one_that_gets_no_answer_is_left_out_of_what_is_told(self, cloud: Workspace, run_id: str) -> None:
        infrastructure = cloud.open()
        started = [self.start(infrastructure, cloud.job(run_id, attempt=attempt)) for attempt in (1, 2)]
        for request, handle in started:
            self.until(infrastructure, request, handle, Phase.STOPPED)
        cloud.api.fail_next("denied", call="SandboxWait")

        told = infrastructure.describe_many(started[0][0].target, [handle for _, handle in started])

        assert [seen.phase for seen in told.values()] == [Phase.STOPPED]

    def test_a_create_that_is_answered_too_late_is_unknown_and_found_by_the_repeat(
        self, cloud: Workspace, run_id: str
    ) -> None:
        job = cloud.job(run_id)
        with cloud.api.replies_held():
            outcome = submitted(cloud.impatient(create=0.1), job)

        assert isinstance(outcome, Unknown)
        self.run_to_its_end(cloud.open(), job)
        assert cloud.started(run_id) == 1

    @pytest.mark.parametrize(
        ("kind", "expected", "words"),
        [
            ("unauthenticated", PoolUnavailable, "modal token new"),
            ("denied", PoolUnavailable, "give the token's owner the right"),
            ("paced", NotNow, "throttled"),
        ],
    )
    def test_a_no_says_what_to_do(
        self, cloud: Workspace, run_id: str, kind: str, expected: type[Outcome], words: str
    ) -> None:
        cloud.fail_next(kind)

        outcome = submitted(cloud.open(), cloud.job(run_id))

        assert isinstance(outcome, expected)
        assert words in str(outcome)

    def test_a_full_workspace_makes_the_pool_unavailable_for_a_while(self, cloud: Workspace, run_id: str) -> None:
        cloud.fail_next("limit")

        outcome = submitted(cloud.open(), cloud.job(run_id))

        assert isinstance(outcome, PoolUnavailable)
        assert outcome.until is not None
        assert "concurrency limit" in outcome.reason

    def test_ends_that_look_the_same_to_modals_client_are_told_apart(self, cloud: Workspace, run_id: str) -> None:
        """To it 124 is a timeout and 137 a stop, and commands exit with those too."""
        infrastructure = cloud.open()
        commands = {1: ("exit 124", 60), 2: ("exec sleep 60", 1), 3: ("exec sleep 60", 60), 4: ("exec sleep 60", 60)}
        started = {
            n: self.start(
                infrastructure,
                cloud.with_variables(run_id, attempt=n, command=["sh", "-c", command], timeout=seconds),
            )
            for n, (command, seconds) in commands.items()
        }
        self.until(infrastructure, *started[3], Phase.RUNNING)
        infrastructure.cancel(started[3][0].target, started[3][1])
        cloud.kill(started[4][1])

        seen = {n: self.until(infrastructure, *each, Phase.STOPPED) for n, each in started.items()}

        assert {n: (each.cause, each.exit_code) for n, each in seen.items()} == {
            1: (Cause.EXITED, 124),
            2: (Cause.KILLED, 124),
            3: (Cause.STOPPED, 137),
            4: (Cause.KILLED, 137),
        }
        assert "`timeout`" in seen[2].message
        assert "`memory`" in seen[4].message

    @pytest.mark.parametrize(
        ("variables", "seconds", "lives"),
        [({}, None, 86400), ({"timeout": 300}, None, 300), ({"timeout": 600}, None, 600), ({}, 60, 60 + 1200)],
    )
    def test_it_lives_for_modals_own_five_minutes_only_if_that_is_asked_for(
        self, cloud: Workspace, run_id: str, variables: dict[str, Any], seconds: int | None, lives: int
    ) -> None:
        job = cloud.with_variables(run_id, command="true", **variables)

        _, handle = self.start(cloud.open(), replace(job, timeout_seconds=seconds))

        assert cloud.definition(handle).timeout_secs == lives

    @pytest.mark.parametrize(
        ("variables", "words"),
        [
            ({"image": {"tag": "acme/nothing:1"}}, "check the image's name and tag"),
            ({"image": {"tag": "ghcr.io/acme/etl:1"}}, "its registry's secret"),
            ({"pip_packages": ["no-such==1"]}, "pip_packages"),
            ({"secrets": ["nobodys"]}, "modal secret create"),
            ({"volumes": {"/models": "nobodys"}}, "modal volume create"),
            ({"region": "mars-north"}, "`region`"),
            ({"gpu": "C64"}, "`gpu`"),
            ({"gpu": "H100", "region": "eu-west"}, "`gpu`"),
        ],
        ids=["image", "credentials", "package", "secret", "volume", "region", "gpu", "gpu and region"],
    )
    def test_what_is_not_there_is_refused_with_a_way_out(
        self, cloud: Workspace, run_id: str, variables: dict[str, Any], words: str
    ) -> None:
        cloud.api.behave(gpus_of={"eu-west": frozenset({"T4", "L4"})})
        job = cloud.with_variables(run_id, command="true", **variables)

        outcome = submitted(cloud.open(), job)

        assert isinstance(outcome, Rejected)
        assert words in outcome.message
        assert cloud.api.sandboxes(run_id) == []

    def test_an_environment_that_is_not_there_makes_the_pool_unavailable(self, cloud: Workspace, run_id: str) -> None:
        job = cloud.with_variables(run_id, command="true", environment="staging")

        outcome = submitted(cloud.open(), job)

        assert isinstance(outcome, PoolUnavailable)
        assert "modal environment create" in outcome.reason

    def test_what_it_asks_for_reaches_the_container(self, cloud: Workspace, run_id: str) -> None:
        job = cloud.with_variables(
            run_id, command="env", secrets=["database"], volumes={"/models": "models"}, region="us-east", cpu=0.5,
            memory=256, env={"A": "1", "B": None, "PUSHPOOL_RUN_ID": "forged"},
        )  # fmt: skip

        handle = self.run_to_its_end(cloud.open(), job).handle

        told = dict(line.split("=", 1) for line in cloud.api.log(handle).splitlines())
        assert (told["A"], told["PUSHPOOL_RUN_ID"], told["DATABASE_URL"]) == ("1", run_id, "postgres://database")
        assert told["PUSHPOOL_RUN_TOKEN"] == TOKEN
        assert not {"B", "MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET", "MODAL_SERVER_URL"} & told.keys()
        made = cloud.definition(handle)
        assert [mount.mount_path for mount in made.volume_mounts] == ["/models"]
        assert (made.resources.milli_cpu, made.resources.memory_mb) == (500, 256)
        assert list(made.scheduler_placement.regions) == ["us-east"]

    def test_nothing_that_is_listed_shows_a_secret(self, cloud: Workspace, run_id: str) -> None:
        job, infrastructure = cloud.job(run_id, exits=None), cloud.open()
        request = infrastructure.request(
            replace(job, configuration={**job.configuration, "env": {"KEY": {"$secret": "key"}}})
        )
        shown = replace(request, body=revealed(request.body, lambda name: f"the value of {name}"))
        outcome = infrastructure.submit(submission(job, shown))
        assert isinstance(outcome, Accepted)
        told = cloud.api.environment_of(outcome.handle)
        assert (told["PUSHPOOL_RUN_TOKEN"], told["KEY"]) == (TOKEN, "the value of key")

        sandbox = cloud.api.sandbox(outcome.handle)
        secrets = cloud.api.workspace.secrets.by_id.values()
        said = [sandbox.listed(), sandbox.definition, infrastructure, vars(infrastructure), request]
        said += [each.name or each for each in secrets]

        for secret in (TOKEN, "the value of key", cloud.api.token_secret):
            assert secret not in "\n".join(map(repr, said))
        self.stop(infrastructure, request, outcome.handle)

    @pytest.mark.parametrize(
        ("image", "kind"),
        [
            ({"tag": "ghcr.io/acme/etl:1", "secret": "ghcr"}, "STATIC_CREDS"),
            ({"tag": "1234.dkr.ecr.eu-west-1.amazonaws.com/etl:1", "aws_secret": "aws"}, "AWS"),
            ({"tag": "europe-docker.pkg.dev/acme/etl/etl:1", "gcp_secret": "gcp"}, "GCP"),
        ],
        ids=["user", "aws", "gcp"],
    )
    def test_an_image_of_a_private_registry_is_pulled_with_its_secret(
        self, cloud: Workspace, run_id: str, image: dict[str, str], kind: str
    ) -> None:
        _, handle = self.start(cloud.open(), cloud.with_variables(run_id, command="true", image=image))

        built = cloud.api.workspace.build(cloud.definition(handle).image_id).definition.image_registry_config
        assert built.registry_auth_type == api_pb2.RegistryAuthType.Value(f"REGISTRY_AUTH_TYPE_{kind}")

    def test_for_an_image_that_is_still_being_built_it_comes_again(self, cloud: Workspace, run_id: str) -> None:
        job = cloud.with_variables(run_id, command="true", pip_packages=[f"wheel-{uuid4().hex}"])
        asked = len(cloud.api.requests())
        cloud.api.behave(build_seconds=3600.0)

        outcome = submitted(cloud.impatient(build=0.1), job)

        assert isinstance(outcome, NotNow)
        assert "image is being built" in outcome.message
        assert outcome.retry_after is not None
        assert len(cloud.api.requests()) == asked
        cloud.api.finish_builds()
        self.run_to_its_end(cloud.open(), job)
        assert cloud.started(run_id) == 1

    def test_what_many_runs_ended_with_is_described_at_once(self, cloud: Workspace, run_id: str) -> None:
        infrastructure, unknown = cloud.open(), cloud.unknown_handle()
        target = infrastructure.request(cloud.job(run_id)).target
        jobs = {number: cloud.job(run_id, attempt=number, exits=number % 3) for number in range(1, 13)}
        codes = {self.start(infrastructure, job)[1]: number % 3 for number, job in jobs.items()}

        def ended() -> Mapping[str, Observation] | None:
            seen = infrastructure.describe_many(target, [*codes, unknown])
            return seen if all(seen[handle].phase is Phase.STOPPED for handle in codes) else None

        seen = self.eventually(ended)

        assert seen[unknown].phase is Phase.MISSING
        assert {handle: seen[handle].exit_code for handle in codes} == codes


class TestWithoutAGpu(ModalSuite):
    """As most are."""


class TestWithAGpu(ModalSuite):
    variables: Mapping[str, Any] = {"gpu": "T4"}

    def test_one_that_waits_for_a_place_is_pending_and_can_be_stopped(self, cloud: Workspace, run_id: str) -> None:
        infrastructure = cloud.open()
        cloud.api.behave(finds_places=False)
        request, handle = self.start(infrastructure, cloud.job(run_id))
        waiting = infrastructure.describe_many(request.target, [handle])[handle]

        seen = self.stop(infrastructure, request, handle)

        assert waiting.phase is Phase.PENDING
        assert seen.cause is Cause.STOPPED
        assert cloud.started(run_id) == 0

    def test_how_many_of_which_it_has(self, cloud: Workspace, run_id: str) -> None:
        _, handle = self.start(cloud.open(), cloud.with_variables(run_id, command="true", gpu="h100:2"))

        gpu = cloud.definition(handle).resources.gpu_config
        assert (gpu.gpu_type, gpu.count) == ("H100", 2)


def _creates(api: ModalApi) -> int:
    return sum(count for name, count in api.calls().items() if name.removesuffix("V2") == "SandboxCreate")
