"""AWS as one local HTTP server that answers as it is told, and jobs for ECS."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import pytest

from adapters.infrastructure import ecs
from adapters.infrastructure.ecs.clients import Clients
from dispatcher.ports import Job, Submission
from dispatcher.testing.servers.loopback import Silent, serving

Json: TypeAlias = dict[str, Any]

RUN = "0b6cf0a4-3a4e-5e0a-9a58-7a0e2f6f3a11"
TASK = "arn:aws:ecs:eu-central-1:123456789012:task/jobs/0123456789abcdef0123456789abcdef"
TOKEN = "pp1.the-token-that-nobody-else-may-see"
LOST = b"lost"  # the request is read, and the connection closed without an answer


@dataclass(frozen=True)
class Answer:
    """What AWS says: JSON for ECS and CloudWatch Logs, XML for the others."""

    body: Json | str | bytes = field(default_factory=dict)
    status: int = 200


def error(code: str, message: str = "", status: int = 400, **more: Any) -> Answer:
    return Answer({"__type": code, "message": message, **more}, status)


def xml_error(code: str, message: str = "", status: int = 400) -> Answer:
    """As STS and IAM say it, and as EC2 does."""
    one = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(f"<Response><Errors>{one}</Errors>{one}<RequestID>1</RequestID></Response>", status)


class Aws:
    """Answers each action with what was said last for it, or with a list of answers one after the other."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Json]] = []
        self.credentials: list[str] = []
        self.endpoint = ""
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        self._lock = Lock()
        aws = self

        class Handler(Silent, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                aws.answer(self)

        self.handler = Handler

    def says(self, action: str, *answers: Answer | Json) -> None:
        """The last of them for ever."""
        self._answers[action] = [each if isinstance(each, Answer) else Answer(each) for each in answers]

    def sent(self, action: str) -> list[Json]:
        return [body for name, body in self.asked if name == action]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        raw = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        target = request.headers.get("X-Amz-Target")
        if target:
            action, body = target.partition(".")[2], json.loads(raw)
        else:
            query = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
            action, body = query.pop("Action"), query
        with self._lock:
            self.asked.append((action, body))
            known = self._answers[action]
            given = known.pop(0) if len(known) > 1 else known[0] if known else error("NotTold", action, 501)
        if given.body == LOST:
            request.close_connection = True
            return
        text = given.body if isinstance(given.body, str) else json.dumps(given.body)
        content = text.encode()
        request.send_response(given.status)
        request.send_header("Content-Type", "application/x-amz-json-1.1" if target else "text/xml")
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def forget(self) -> None:
        self.asked.clear()
        self._answers.clear()


def _configured(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def _server() -> Iterator[Aws]:
    made = Aws()
    with serving(made.handler) as made.endpoint:
        yield made


@pytest.fixture(scope="session")
def _clients() -> Clients:
    """One client a service for all tests on that server: to make one costs more than most tests do."""
    return Clients()


@pytest.fixture
def aws(_server: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    _configured(monkeypatch, _server.endpoint)
    _server.forget()
    _server.says("DescribeTaskDefinition", {"taskDefinition": {"status": "ACTIVE"}})
    _server.says("RunTask", {"tasks": [{"taskArn": TASK}], "failures": []})
    return _server


@pytest.fixture
def nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address at which nobody listens."""
    _configured(monkeypatch, "http://127.0.0.1:9")


@pytest.fixture
def adapter(_clients: Clients) -> ecs.Ecs:
    """On the server of `aws`."""
    return ecs.Ecs("eu-central-1", _clients)


@pytest.fixture
def lone_adapter() -> ecs.Ecs:
    """With clients of its own, made of the environment as it is then."""
    return ecs.open({"region": "eu-central-1"})


def skeleton(**configuration: Any) -> Json:
    """A resolved configuration that a task can be made of; top-level keys are replaced."""
    return {
        "command": "python -m etl",
        "env": {},
        "labels": {},
        "name": None,
        "task_definition": {"containerDefinitions": [{"image": "registry/etl:1"}]},
        "task_run_request": {"launchType": "FARGATE"},
        "cluster": "jobs",
        "network_configuration": {"subnets": ["subnet-0a"]},
        **configuration,
    }


@pytest.fixture
def make_job() -> Callable[..., Job]:
    def made(
        configuration: Mapping[str, Any] | None = None,
        *,
        attempt: int = 1,
        submit_seq: int = 1,
        pool: str = "nightly",
        environment: Mapping[str, str] | None = None,
        **keys: Any,
    ) -> Job:
        return Job(
            pool=pool,
            run_id=RUN,
            run_name="brisk-otter",
            deployment="etl",
            attempt=attempt,
            submit_seq=submit_seq,
            configuration=skeleton(**keys) if configuration is None else configuration,
            environment={"PUSHPOOL_RUN_ID": RUN, "PUSHPOOL_ATTEMPT": str(attempt), **(environment or {})},
        )

    return made


@pytest.fixture
def make_submission(adapter: ecs.Ecs, make_job: Callable[..., Job]) -> Callable[..., Submission]:
    def made(**more: Any) -> Submission:
        job = make_job(**more)
        return Submission(job.run_id, job.attempt, job.submit_seq, adapter.request(job), TOKEN)

    return made


@pytest.fixture(name="error")
def _error() -> Callable[..., Answer]:
    return error


@pytest.fixture(name="xml_error")
def _xml_error() -> Callable[..., Answer]:
    return xml_error


@pytest.fixture
def lost() -> Answer:
    return Answer(LOST)


@pytest.fixture
def answer() -> Callable[..., Answer]:
    return Answer


@pytest.fixture
def body(adapter: ecs.Ecs, make_job: Callable[..., Job]) -> Callable[..., Json]:
    """The request's body for those keys of the configuration."""
    return lambda **keys: dict(adapter.request(make_job(**keys)).body)
