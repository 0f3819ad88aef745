"""What the local API of Modal does, as Modal's own client sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import modal
import pytest
from modal.exception import (
    AlreadyExistsError,
    AuthError,
    ImageBuildError,
    InvalidError,
    NotFoundError,
    ResourceExhaustedError,
    SandboxTerminatedError,
    SandboxTimeoutError,
    ServiceError,
    UnimplementedError,
)

from dispatcher.testing.servers.modal import ModalApi, door
from dispatcher.testing.servers.modal import modal as served
from dispatcher.testing.servers.orders import Declined, order

APP = "pushpool"

Create = Callable[..., modal.Sandbox]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModalApi]:
    with served(tmp_path_factory.mktemp("modal"), private={"ghcr.io/acme/etl:1": {"REGISTRY_USERNAME": "u"}}) as made:
        made.behave(grace_seconds=0.5)
        made.keep_secret("database", {"DATABASE_URL": "postgres://database"})
        yield made


@pytest.fixture(autouse=True)
def _as_at_first(api: ModalApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in api.environment().items():
        monkeypatch.setenv(name, value)
    yield
    api.forget_faults()


@pytest.fixture
def client(api: ModalApi) -> Iterator[modal.Client]:
    made = modal.Client.from_credentials(api.token_id, api.token_secret)
    yield made
    made.close()


@pytest.fixture
def app(client: modal.Client) -> modal.App:
    return modal.App.lookup(APP, create_if_missing=True, client=client)


@pytest.fixture
def create(api: ModalApi, app: modal.App, client: modal.Client) -> Create:
    def make(*command: str, **variables: Any) -> modal.Sandbox:
        given = {"timeout": 60, "image": modal.Image.from_registry(api.image), **variables}
        return modal.Sandbox.create(*command, app=app, client=client, **given)

    return make


@pytest.fixture
def name() -> str:
    return f"sandbox-{uuid4().hex[:8]}"


class TestEnds:
    @pytest.mark.parametrize("gpu", [None, "T4"], ids=["without", "with a gpu"])
    @pytest.mark.parametrize("code", [0, 3, 124, 137])
    def test_an_exit_code_is_the_commands_own(self, create: Create, code: int, gpu: str | None) -> None:
        sandbox = create("sh", "-c", f"exit {code}", gpu=gpu)

        sandbox.wait()

        assert (sandbox.returncode, sandbox.poll()) == (code, code)

    @pytest.mark.parametrize("gpu", [None, "T4"], ids=["without", "with a gpu"])
    def test_what_is_terminated_says_so(self, create: Create, gpu: str | None) -> None:
        sandbox = create("sleep", "60", gpu=gpu)
        assert sandbox.poll() is None

        assert sandbox.terminate(wait=True) == 137
        with pytest.raises(SandboxTerminatedError):
            sandbox.wait()

    def test_terminating_what_has_ended_changes_nothing(self, create: Create) -> None:
        sandbox = create("sh", "-c", "exit 3")
        sandbox.wait()

        assert sandbox.terminate(wait=True) == 3

    def test_what_lives_too_long_says_so(self, create: Create) -> None:
        sandbox = create("sleep", "60", timeout=1)

        with pytest.raises(SandboxTimeoutError):
            sandbox.wait()
        assert sandbox.returncode == 124

    def test_a_command_that_is_not_there_exits_with_127(self, create: Create) -> None:
        sandbox = create("no-such-command")

        sandbox.wait()

        assert sandbox.returncode == 127


class TestNames:
    def test_a_name_is_taken_while_its_sandbox_runs(self, create: Create, name: str) -> None:
        create("sleep", "60", name=name)

        with pytest.raises(AlreadyExistsError):
            create("true", name=name)

    def test_a_name_is_free_when_its_sandbox_has_ended(self, create: Create, client: modal.Client, name: str) -> None:
        create("sh", "-c", "exit 1", name=name).wait()

        second = create("sh", "-c", "exit 2", name=name)

        second.wait()
        found = modal.Sandbox.from_name(APP, name, include_terminated=True, client=client)
        assert (found.object_id, found.returncode) == (second.object_id, 2)

    def test_one_that_has_ended_is_found_only_if_that_is_asked_for(
        self, create: Create, client: modal.Client, name: str
    ) -> None:
        create("true", name=name).wait()

        with pytest.raises(NotFoundError):
            modal.Sandbox.from_name(APP, name, client=client)
        assert modal.Sandbox.from_name(APP, name, include_terminated=True, client=client).poll() == 0

    def test_one_with_a_gpu_is_found_by_name_only_while_it_runs(
        self, create: Create, client: modal.Client, name: str
    ) -> None:
        sandbox = create("sleep", "60", name=name, gpu="T4")

        found = modal.Sandbox.from_name(APP, name, client=client)

        assert found.object_id == sandbox.object_id
        sandbox.terminate(wait=True)
        for ended_too in (False, True):
            with pytest.raises(NotFoundError):
                modal.Sandbox.from_name(APP, name, include_terminated=ended_too, client=client)

    def test_each_app_has_its_own_names(self, create: Create, client: modal.Client, name: str) -> None:
        create("true", name=name).wait()

        with pytest.raises(NotFoundError, match="App 'another' not found in environment 'main'"):
            modal.Sandbox.from_name("another", name, include_terminated=True, client=client)

    def test_a_listing_has_what_runs_and_has_the_tags(
        self, create: Create, app: modal.App, client: modal.Client, name: str
    ) -> None:
        tags = {"run": name, "attempt": "1"}
        sandbox = create("sleep", "60", tags=tags)
        create("sleep", "60", tags={"run": name})
        create("true", tags=tags).wait()

        found = list(modal.Sandbox.list(app_id=app.app_id, tags={"attempt": "1", "run": name}, client=client))

        assert [each.object_id for each in found] == [sandbox.object_id]
        assert found[0].get_tags() == tags


class TestWhatAContainerGets:
    def test_secrets_and_variables_the_last_wins(self, create: Create, client: modal.Client) -> None:
        secrets = [modal.Secret.from_name("database", client=client), modal.Secret.from_dict({"A": "1", "B": "1"})]

        sandbox = create("sh", "-c", "echo $DATABASE_URL $A $B", secrets=secrets, env={"B": "2"})

        assert sandbox.stdout.read() == "postgres://database 1 2\n"

    def test_its_output_is_kept(self, create: Create) -> None:
        sandbox = create("sh", "-c", "echo one; echo two")
        sandbox.wait()

        assert [entry.message for entry in sandbox.logs.tail(1)] == ["two\n"]
        assert sandbox.stdout.read() == "one\ntwo\n"

    def test_output_of_one_with_a_gpu(self, create: Create) -> None:
        assert create("echo", "one", gpu="A10G").stdout.read() == "one\n"


class TestImages:
    def test_what_was_built_is_not_built_again(self, app: modal.App, api: ModalApi) -> None:
        first, second = (modal.Image.from_registry(api.image).pip_install("httpx").build(app) for _ in range(2))

        assert first.object_id == second.object_id
        assert len([each for each in api.workspace.builds.values() if "httpx" in str(each.definition)]) == 1

    @pytest.mark.parametrize(("tag", "words"), [("acme/nothing:1", "manifest unknown"), ("ghcr.io/acme/etl:1", "auth")])
    def test_what_cannot_be_pulled_fails_the_build(self, app: modal.App, tag: str, words: str) -> None:
        with pytest.raises(ImageBuildError, match=words):
            modal.Image.from_registry(tag).build(app)

    def test_one_that_failed_is_tried_again(self, app: modal.App, api: ModalApi) -> None:
        image = f"acme/late-{uuid4().hex[:8]}:1"
        with pytest.raises(ImageBuildError):
            modal.Image.from_registry(image).build(app)

        api.workspace.images |= {image}

        assert modal.Image.from_registry(image).build(app).object_id


class TestRefusals:
    @pytest.mark.parametrize(
        "variables",
        [
            {"timeout": 86401},
            {"timeout": 0},
            {"gpu": "C64"},
            {"gpu": "T4:9"},
            {"region": "mars"},
            {"cloud": "nobodys"},
            {"cpu": 0.01},
            {"memory": 1},
            {"tags": {"a b": "c"}},
            {"tags": {"a": "c" * 64}},
            {"name": "a" * 65},
            {"env": {"1A": "b"}},
        ],
        ids=str,
    )
    def test_what_cannot_be_is_invalid(self, create: Create, api: ModalApi, variables: dict[str, Any]) -> None:
        before = len(api.sandboxes())

        with pytest.raises(InvalidError):
            create("true", **variables)
        assert len(api.sandboxes()) == before

    def test_what_is_not_there_is_not_found(self, create: Create, client: modal.Client) -> None:
        for variables in (
            {"secrets": [modal.Secret.from_name("nobodys", client=client)]},
            {"volumes": {"/models": modal.Volume.from_name("nobodys", client=client)}},
        ):
            with pytest.raises(NotFoundError, match="'nobodys' not found in environment 'main'"):
                create("true", **variables)

    def test_a_secret_may_lack_a_key(self, create: Create, client: modal.Client) -> None:
        secret = modal.Secret.from_name("database", required_keys=["PASSWORD"], client=client)

        with pytest.raises(InvalidError, match="PASSWORD"):
            create("true", secrets=[secret])

    def test_a_wrong_token_may_do_nothing(self, api: ModalApi) -> None:
        for token_id, secret in ((api.token_id, "as-wrong"), ("ak-nobodys", api.token_secret)):
            with modal.Client.from_credentials(token_id, secret) as stranger, pytest.raises(AuthError):
                modal.App.lookup(APP, client=stranger)

    def test_what_it_does_not_know_is_unimplemented(self, client: modal.Client) -> None:
        with pytest.raises(UnimplementedError):
            modal.Queue.from_name("jobs", create_if_missing=True).hydrate(client)


class TestFaults:
    @pytest.mark.parametrize("gpu", [None, "T4"], ids=["without", "with a gpu"])
    def test_a_lost_reply_has_one_effect_however_often_the_client_tries(
        self, create: Create, api: ModalApi, name: str, gpu: str | None
    ) -> None:
        api.fail_next("reply lost")
        before = api.calls()

        with pytest.raises(ServiceError):
            create("true", env={"PUSHPOOL_RUN_ID": name}, gpu=gpu)

        call = "SandboxCreate" if gpu else "SandboxCreateV2"
        assert api.calls()[call] - before.get(call, 0) == 4
        assert len(api.started(name)) == 1

    def test_no_answer_has_no_effect_however_often_the_client_tries(
        self, create: Create, api: ModalApi, name: str
    ) -> None:
        api.fail_next("timeout")

        with pytest.raises(ServiceError):
            create("true", env={"PUSHPOOL_RUN_ID": name})

        assert api.started(name) == []

    def test_a_client_that_is_told_when_to_come_again_does(self, create: Create, api: ModalApi, name: str) -> None:
        api.fail_next("paced")

        create("true", env={"PUSHPOOL_RUN_ID": name})

        assert len(api.started(name)) == 1

    def test_the_side_door_takes_what_the_hand_takes(self, create: Create, api: ModalApi, name: str) -> None:
        with door(api) as url:
            order(f"{url}fail-next", {"kind": "throttled"})
            with pytest.raises(ResourceExhaustedError):
                create("true")
            sandbox = create("sleep", "60", env={"PUSHPOOL_RUN_ID": name})

            assert order(f"{url}started", {"run_id": name}) == [sandbox.object_id]
            order(f"{url}kill", {"name": sandbox.object_id})
            with pytest.raises(Declined, match="no-such"):
                order(f"{url}no-such")
            with pytest.raises(Declined, match="no call 'SandboxMake'"):
                order(f"{url}fail-next", {"kind": "throttled", "call": "SandboxMake"})

        sandbox.wait()
        assert sandbox.returncode == 137
