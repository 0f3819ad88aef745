"""Secrets that are planted wherever an installation has any are seen nowhere else.

That is: not in a log line, a state, an error, an answer to whoever asks, what a command prints, or the store's file.
Shown on purpose, and so not looked for there: a new API key in the one answer that makes it; a run's token and the
values of its secrets in what its cloud is sent.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dispatcher import api_keys, settings, wiring
from dispatcher.api_keys import Scope
from dispatcher.cli.app import app
from dispatcher.dispatch import Dispatcher
from dispatcher.http.api import Api
from dispatcher.http.messages import JSON, Request
from dispatcher.http.routes import ROUTES, Access
from dispatcher.logs import JsonLines, log
from dispatcher.ports import NotNow, Outcome, PoolUnavailable, Rejected, Submission, Unknown
from dispatcher.testing.api_bench import NotedWaker
from dispatcher.testing.fake_cloud import FakeCloud
from dispatcher.testing.far_side import FarSide
from dispatcher.tokens import KeyRing

Json = dict[str, Any]

SIGNING = b"marker-signing-key-0123456789abcdef"
PLANTED = {
    "PUSHPOOL_TOKEN_KEYS": KeyRing({"k1": SIGNING}, "k1").to_text(),
    "PUSHPOOL_SECRET_DB_PASSWORD": "marker-db-password\"'\\ with quotes",
    "PUSHPOOL_SECRET_OTHER": "marker-never-asked-for",
    "PUSHPOOL_SECRET_MODAL_TOKEN": '{"token_id": "marker-modal-id", "token_secret": "marker-modal-secret"}',
    "AWS_ACCESS_KEY_ID": "markerawsid",
    "AWS_SECRET_ACCESS_KEY": "marker-aws-secret",
    "AWS_SESSION_TOKEN": "marker-aws-session",
    "AZURE_CLIENT_SECRET": "marker-azure-secret",
    "MODAL_TOKEN_SECRET": "marker-modal-env",
    "REGISTRY_PASSWORD": "marker-registry",
    "DATABASE_URL": "postgres://user:marker-connection@db/x",
}
WEBHOOK_KEY = "marker-webhook-key"
IN_URL = "marker-in-url"
TEMPLATE = {
    "strict": True,
    "job_configuration": {
        "command": "{{ command }}", "runner": False,
        "env": {"PASSWORD": "{{ password }}", "PLAIN": "plain"},
    },
    "variables": {
        "type": "object",
        "properties": {"command": {"type": "array", "items": {"type": "string"}},
                       "password": {"type": "string", "x-secret": True}},
    },
}  # fmt: skip


class Echoing(FakeCloud):
    """A cloud that quotes, in whatever it says of a pool's jobs, all that it was sent."""

    def __init__(self, far: FarSide) -> None:
        super().__init__(far)
        self.sent: list[Submission] = []

    def submit(self, submission: Submission) -> Outcome:
        self.sent.append(submission)
        quoted = f"cannot take {submission!r}: {json.dumps(submission.request.body)} with {submission.token}"
        match submission.request.body["pool"]:
            case "rejects":
                return Rejected(quoted)
            case "waits":
                return NotNow(quoted)
            case "closed":
                return PoolUnavailable(quoted)
            case "silent":
                return Unknown(quoted)
            case "raises":
                raise ValueError(quoted)
            case _:
                return super().submit(submission)


POOLS = ("works", "rejects", "waits", "closed", "silent", "raises")


@dataclass
class Seen:
    """Where something was seen → what."""

    texts: dict[str, str] = field(default_factory=dict)
    markers: dict[str, tuple[str, ...]] = field(default_factory=dict)  # what is looked for → its spellings

    def look_for(self, name: str, value: str) -> None:
        spelled = {value, json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode().rstrip("=")}
        self.markers[name] = tuple(spelled)

    def where(self, name: str, text: str) -> None:
        self.texts[f"{name} ({len(self.texts)})"] = text


class Site:
    """An installation on this machine, with everything that it says."""

    def __init__(self, home: Path, seen: Seen) -> None:
        self.seen, self.home = seen, home
        self.far = FarSide(home / "far.db")
        self.cloud = Echoing(self.far)
        self.context = wiring.context_of(settings.read(), NotedWaker(), infrastructure=lambda _: self.cloud)
        self.api = Api(self.context)
        now = self.context.clock.now()
        self.keys = {scope: api_keys.create(self.context.store, f"{scope}", scope, now=now)[1] for scope in Scope}
        for scope, key in self.keys.items():
            seen.look_for(f"the {scope} key", key.split("_", 2)[2])
        self.dispatcher = Dispatcher(self.context)

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None, query: str = "") -> Json:
        """By default as an administrator; the answer is seen."""
        headers = {"authorization": f"Bearer {key or self.keys[Scope.ADMIN]}", "content-type": JSON}
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = self.api.answer(Request(method, path, query, headers, sent))
        self.seen.where(f"{method} {path}", f"{dict(answer.headers)} {answer.body.decode()}")
        is_json = answer.headers.get("Content-Type", "").endswith("json")
        return json.loads(answer.body) if is_json and answer.body else {}

    def close(self) -> None:
        self.dispatcher.close()
        store: Any = self.context.store
        store.close()
        self.far.close()


def _register(site: Site) -> None:
    for pool in POOLS:
        site.call("PUT", f"/v1/work-pools/{pool}", {"type": "process", "base_job_template": TEMPLATE})
        deployment = {
            "pool": pool,
            "command": ["true"],
            "job_variables": {"password": "db-password"},
            "webhooks": [{"url": "https://hooks.example/x", "on": ["crashed"], "secret": WEBHOOK_KEY}],
        }
        assert "errors" not in site.call("PUT", f"/v1/deployments/{pool}", deployment)
        site.call("POST", f"/v1/deployments/{pool}/runs", {"name": f"run-of-{pool}"})


def _live(site: Site) -> None:
    """Runs that end well and ill, and those that their cloud has something to say of."""
    site.call("POST", "/v1/deployments/works/runs")
    site.dispatcher.tick(until=site.context.clock.now() + site.context.patience.stop)
    for number, start in enumerate(site.far.started()):
        told = site.far.environment(start.handle)
        site.seen.look_for(f"the run token {number}", told["PUSHPOOL_RUN_TOKEN"])
        for word in ({"state": "RUNNING"}, {"state": "FAILED" if number else "COMPLETED", "exit_code": number}):
            site.call("POST", "/v1/callbacks/heartbeat", {"instance": 3}, key=told["PUSHPOOL_RUN_TOKEN"])
            site.call("POST", "/v1/callbacks/state", {**word, "instance": "i"}, key=told["PUSHPOOL_RUN_TOKEN"])
    site.dispatcher.tick(until=site.context.clock.now() + site.context.patience.stop)


def _err(site: Site) -> None:
    """Requests that hold secrets themselves, and cannot be taken."""
    password = PLANTED["PUSHPOOL_SECRET_DB_PASSWORD"]
    pool, deployment = {"type": "process", "base_job_template": TEMPLATE}, {"pool": "works", "command": ["true"]}
    for url in (f"https://u:{IN_URL}@h/", f"http://u:{IN_URL}@h/", f"https://u:{IN_URL}@h:99999/", f"x://{IN_URL}@h"):
        site.call("PUT", "/v1/deployments/bad", {**deployment, "webhooks": [{"url": url, "on": ["failed"]}]})
    for variables in ({"password": password}, {"password": [password]}, {"password": {"a": password}}):
        site.call("PUT", "/v1/deployments/bad", {**deployment, "job_variables": variables})
        site.call("PUT", "/v1/work-pools/bad", {**pool, "variables": variables})
        site.call("POST", "/v1/deployments/works/runs", {"job_variables": variables})
    webhooks = [{"url": "https://h/", "on": ["failed"], "secret": [WEBHOOK_KEY]}]
    site.call("PUT", "/v1/deployments/bad", {**deployment, "webhooks": webhooks})
    stored, revoked = api_keys.create(site.context.store, "old", Scope.ADMIN, now=site.context.clock.now())
    site.seen.look_for("a revoked key", revoked.split("_", 2)[2])
    site.call("DELETE", f"/v1/api-keys/{stored.id}")
    site.call("GET", "/v1/runs", key=revoked)
    for scope, key in site.keys.items():
        site.call("GET", "/v1/runs", key=f"{key[:-1]}")
        site.call("DELETE", "/v1/api-keys/none", key=key)
        site.call("POST", "/v1/callbacks/state", {"state": scope}, key=key)
    token = next(iter(site.far.started())).handle
    site.call("POST", "/v1/callbacks/state", b"{", key=site.far.environment(token)["PUSHPOOL_RUN_TOKEN"])


def _ask(site: Site) -> None:
    """Everything that can be read, as everybody."""
    runs = [run["id"] for run in site.call("GET", "/v1/runs")["items"]]
    names = {"pool": POOLS, "deployment": POOLS, "run": runs, "queue": ["default"], "type": ["process"]}
    for scope in Scope:
        for route in (route for route in ROUTES if route.method == "GET" and route.access is not Access.RUN_TOKEN):
            wanted = [name for name in names if f"{{{name}}}" in route.path]
            for value in names[wanted[0]] if wanted else [""]:
                path = route.path.replace(f"{{{wanted[0]}}}", value) if wanted else route.path
                site.call("GET", path.replace("{queue}", "default"), key=site.keys[scope])


BUILT = get_command(app)
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("work-pool", "ls"), ("work-pool", "inspect", "works"), ("work-pool", "inspect", "closed"),
    ("work-pool", "slots", "works"), ("flow-run", "watch", "none"), ("--help",),
    ("work-pool", "preview", "works"), ("work-pool", "get-default-base-job-template", "--type", "process"),
    ("work-queue", "ls", "--pool", "works"), ("work-queue", "inspect", "default", "--pool", "works"),
    ("deployment", "ls"), ("deployment", "inspect", "works"), ("deployment", "run", "works"),
    ("deployment", "run", "works", "--job-variable", "password=p@ss"), ("deployment", "run", "none"),
    ("flow-run", "ls"), ("flow-run", "inspect", "none"), ("template", "show", "process"),
    ("template", "render", "works"), ("doctor",), ("doctor", "works"), ("api-key", "ls"), ("schema",), ("version",),
    ("apply", "-f", "pushpool.yaml", "--dry-run"), ("apply", "-f", "none.yaml"),
)  # fmt: skip
FILE = f"""
deployments:
  works: {{pool: works, command: ["true"], job_variables: {{password: db-password}}}}
  more:
    pool: works
    command: ["true"]
    webhooks: [{{url: "https://hooks.example/x", on: [failed], secret: {WEBHOOK_KEY}}}]
"""


def _command(site: Site, words: tuple[str, ...]) -> None:
    with CliRunner().isolation() as (stdout, stderr, _):
        with contextlib.suppress(SystemExit):
            BUILT.main(list(words), prog_name="pushpool")
        sys.stdout.flush()
        sys.stderr.flush()
        site.seen.where(f"pushpool {' '.join(words)}", stdout.getvalue().decode() + stderr.getvalue().decode())


def _work_at_the_terminal(site: Site) -> None:
    (site.home / "pushpool.yaml").write_text(FILE)
    runs = [run["id"] for run in site.call("GET", "/v1/runs")["items"]]
    of_runs = [(noun, verb, run) for run in runs for noun, verb in (("flow-run", "inspect"), ("flow-run", "logs"))]
    for words in (*COMMANDS, *of_runs):
        _command(site, words)
        _command(site, (*words, "--json"))


class Log(logging.Handler):
    """Every line, as it is written."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonLines())
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.where(f"the log, {record.name}: {record.getMessage():.40}", self.format(record))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home, seen = tmp_path_factory.mktemp("home"), Seen()
    for name, value in PLANTED.items():
        seen.look_for(name, value)
    seen.look_for("the signing key", SIGNING.decode())
    seen.look_for("the key in the key ring", PLANTED["PUSHPOOL_TOKEN_KEYS"].split(":")[1])
    seen.look_for("the password, however it is quoted", "marker-db-password")
    seen.look_for("the modal token", "marker-modal-secret")
    seen.look_for("the password in a connection", "marker-connection")
    seen.look_for("the webhook's key", WEBHOOK_KEY)
    seen.look_for("a login in an address", IN_URL)
    handler, level, root = Log(seen), log.level, logging.getLogger()
    root_level = root.level
    with pytest.MonkeyPatch.context() as environment:
        environment.chdir(home)
        for name, value in {**PLANTED, "PUSHPOOL_HOME": str(home), "PUSHPOOL_PORT": "1"}.items():
            environment.setenv(name, value)
        environment.setenv("PUSHPOOL_LOG_LEVEL", "DEBUG")
        root.addHandler(handler)
        log.addHandler(handler)
        log.setLevel(logging.DEBUG)
        root.setLevel(logging.DEBUG)
        made = Site(home, seen)
        for part in (_register, _live, _err, _ask, _work_at_the_terminal):
            part(made)
        yield made
        made.close()
    root.removeHandler(handler)
    log.removeHandler(handler)
    log.setLevel(level)
    root.setLevel(root_level)


def test_they_have_gone_where_they_are_meant_to_go(site: Site) -> None:
    """Else nothing could have been seen anywhere."""
    for submission in site.cloud.sent:
        env = submission.request.body["configuration"]["env"]
        assert env == {"PASSWORD": PLANTED["PUSHPOOL_SECRET_DB_PASSWORD"], "PLAIN": "plain"}
    assert {submission.request.body["pool"] for submission in site.cloud.sent} == set(POOLS)
    assert len(site.far.started()) == 2
    states = {run["state_name"] for run in site.call("GET", "/v1/runs")["items"]}
    assert states >= {"Completed", "Failed", "Crashed"}


def test_each_pool_has_said_what_it_says(site: Site) -> None:
    """Its words, with stars for what is secret."""
    said = {text for text in site.seen.texts.values() if "cannot take" in text}

    assert said
    assert all("********" in text for text in said)
    assert any("submission raised" in text for text in site.seen.texts.values())


def test_no_secret_is_seen(site: Site) -> None:
    leaks = [
        f"{name} in {where}: …{text[max(0, text.index(spelled) - 60) : text.index(spelled)]}…"
        for name, spellings in site.seen.markers.items()
        for where, text in site.seen.texts.items()
        for spelled in spellings
        if spelled in text
    ]

    assert not leaks


def test_enough_was_looked_at(site: Site) -> None:
    """Of each kind of place some."""
    answers = ("GET /v1/runs/", "GET /openapi.json", "GET /v1/metrics", "PUT /v1/deployments/bad")
    for kind in (*answers, "the log", "pushpool doctor", "pushpool flow-run inspect"):
        assert any(where.startswith(kind) and len(text) > 20 for where, text in site.seen.texts.items()), kind


def test_the_store_keeps_no_secret_but_the_key_that_signs_for_a_webhook(site: Site) -> None:
    """Keys are hashed, tokens derived, values looked up by name."""
    kept = b"".join(file.read_bytes() for file in sorted(site.home.glob("pushpool.db*")))
    found = {
        name for name, spellings in site.seen.markers.items() if any(spelled.encode() in kept for spelled in spellings)
    }

    assert b"db-password" in kept
    assert found == {"the webhook's key"}
