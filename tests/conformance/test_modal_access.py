"""Whom Modal lets in, what is said when it does not, and that nobody asks it before that is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from adapters.infrastructure.modal import Modal
from adapters.infrastructure.modal.adapter import Patience
from dispatcher import job_templates, registry
from dispatcher.ports import Accepted, Job, NotNow, Outcome, PoolUnavailable
from dispatcher.testing.cloud_bench import submission
from dispatcher.testing.servers.modal import ModalApi, modal

TYPE = "modal:push"

Open = Callable[..., Modal]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModalApi]:
    with modal(tmp_path_factory.mktemp("modal")) as made:
        made.keep_secret("database", {"DATABASE_URL": "postgres://database"})
        yield made


@pytest.fixture(autouse=True)
def _leads_there(api: ModalApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in api.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens it anew with each call."""
    made: list[Modal] = []

    def connect(*arguments: Any) -> Modal:
        made.append(Modal(*(arguments or ({},))))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@pytest.fixture
def job(api: ModalApi) -> Job:
    given = {"image": {"tag": api.image}, "runner": False, "command": "true", "secrets": ["database"]}
    run_id = str(uuid4())
    return Job(
        pool="nightly",
        run_id=run_id,
        run_name="brisk-otter",
        deployment="etl",
        attempt=1,
        submit_seq=1,
        configuration=job_templates.render(registry.template(TYPE), given),
        environment={"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": "1"},
    )


class Kept(dict[str, str]):
    """Settings with a token that is looked up where it is needed, as installations keep it."""

    def __init__(self, token_id: str, token_secret: str) -> None:
        super().__init__()
        self.token = {"token_id": token_id, "token_secret": token_secret}

    def get(self, name: str, default: Any = None) -> Any:
        return json.dumps(self.token) if name == "modal_token" else default


def submitted(infrastructure: Modal, job: Job) -> Outcome:
    return infrastructure.submit(submission(job, infrastructure.request(job)))


def test_a_wrong_token_makes_the_pool_unavailable_until_it_is_replaced(api: ModalApi, opened: Open, job: Job) -> None:
    kept = Kept(api.token_id, "as-of-yesterday")
    infrastructure = opened(kept)

    outcome = submitted(infrastructure, job)

    assert isinstance(outcome, PoolUnavailable)
    assert "modal token new" in outcome.reason
    assert "as-of-yesterday" not in outcome.reason
    kept.token["token_secret"] = api.token_secret
    assert isinstance(submitted(infrastructure, job), Accepted)


def test_a_token_of_the_settings_goes_before_the_environments(
    api: ModalApi, opened: Open, monkeypatch: pytest.MonkeyPatch, job: Job
) -> None:
    monkeypatch.setenv("MODAL_TOKEN_SECRET", "as-of-somebody-else")

    assert isinstance(submitted(opened(Kept(api.token_id, api.token_secret)), job), Accepted)


def test_without_any_token_the_pool_is_unavailable(opened: Open, monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    monkeypatch.delenv("MODAL_TOKEN_ID")
    monkeypatch.delenv("MODAL_TOKEN_SECRET")

    outcome = submitted(opened(), job)

    assert isinstance(outcome, PoolUnavailable)
    assert "modal token new" in outcome.reason


def test_where_nobody_answers_nothing_was_started(opened: Open, monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    monkeypatch.setenv("MODAL_SERVER_URL", "http://127.0.0.1:1")

    outcome = submitted(opened({}, Patience(look=0.1, prepare=0.1)), job)

    assert isinstance(outcome, NotNow)


def test_a_diagnosis_says_what_is_missing_and_starts_nothing(api: ModalApi, opened: Open, job: Job) -> None:
    configuration = job.configuration
    stranger = opened(Kept("ak-nobodys", "as-nobodys"))

    fine = opened().diagnose(configuration)
    lacking = opened().diagnose({**configuration, "secrets": ["database", "nobodys"]})
    refused = stranger.diagnose(configuration)

    assert [check for check in fine if not check[1]] == []
    without = [words for _, passed, words in lacking if not passed]
    assert len(without) == 1
    assert "nobodys" in without[0]
    assert any("modal token new" in words for _, passed, words in refused if not passed)
    assert api.sandboxes(job.run_id) == []


def test_a_diagnosis_that_reaches_nobody_fails(opened: Open, monkeypatch: pytest.MonkeyPatch, job: Job) -> None:
    monkeypatch.setenv("MODAL_SERVER_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("adapters.infrastructure.modal.diagnosis.CALL_SECONDS", 0.1)

    *_, (name, passed, words) = opened().diagnose(job.configuration)

    assert (name, passed) == ("token", False)
    assert "MODAL_SERVER_URL" in words


def test_its_client_is_not_imported_before_something_is_asked_of_modal(job: Job) -> None:
    script = (
        "import json, sys\n"
        "from dispatcher import registry\n"
        "from dispatcher.ports import Job\n"
        "made = registry.infrastructure('modal:push', {})\n"
        "request = made.request(Job(**json.load(sys.stdin)))\n"
        "made.parse_event({}), made.links(request.target, 'sb-1'), made.traits, made.close()\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('modal', 'modal_proto', 'grpclib')])\n"
    )
    given = json.dumps({name: getattr(job, name) for name in job.__slots__})

    done = subprocess.run([sys.executable, "-c", script], input=given, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
