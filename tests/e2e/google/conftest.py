"""An installation on a Google Cloud project of this machine, its functions being processes, used as people use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher import api_keys, registry
from dispatcher.api_keys import Scope
from dispatcher.testing.servers.firestore import firestore_emulator
from dispatcher.testing.servers.google.functions import Function, function
from dispatcher.testing.servers.google.project import REGION, GoogleProject, google_project
from dispatcher.testing.servers.processes import Missing, free_port, listens
from dispatcher.tokens import KeyRing

Json = dict[str, Any]
ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
TICK = json.dumps({"source": "pushpool.tick"})  # what Terraform's schedule sends

POOLS: Mapping[str, Json] = {
    "jobs": {"type": "cloud-run-v2:push", "variables": {"region": REGION}},
    "shared": {"type": "cloud-run-v2:push", "variables": {"region": REGION, "submission": "shared job"}},
    "old": {"type": "cloud-run:push", "variables": {"region": REGION}},
}
# What a deployment's container does; its image has Python and the runner.
DEPLOYMENTS: Mapping[str, Json] = {
    "hello": {"command": ["python3", "-c", "import os; print('hello', os.environ['PUSHPOOL_PARAMETERS'])"]},
    "fails": {"command": ["python3", "-c", "print('no such table'); raise SystemExit(3)"]},
    "slow": {"command": ["python3", "-c", "import time; time.sleep(120)"]},
    "missing": {"command": ["true"], "image": "europe-docker.pkg.dev/nobody/images/not-there:1"},
    "bare": {"command": ["sh", "-c", "exit 4"], "job_variables": {"runner": False}},
    "bare-slow": {"command": ["sleep", "120"], "job_variables": {"runner": False}},
    "hello-shared": {"pool": "shared", "command": ["sh", "-c", "echo shared $PUSHPOOL_PARAMETERS"]},
    "hello-old": {"pool": "old", "command": ["echo", "of the first version"]},
}


class Installation:
    """Its API, its functions and the project that they work in."""

    def __init__(self, google_cloud: GoogleProject, firestore: str, folder: Path) -> None:
        self.google, self.folder = google_cloud, folder
        self._ports = {target: free_port() for target in ("api", "dispatch", "events")}
        self.urls = {target: f"http://127.0.0.1:{port}" for target, port in self._ports.items()}
        queue = google_cloud.make_queue()
        waker = f"cloudtasks:{queue}?url={self.urls['dispatch']}&service_account={google_cloud.account}"
        self.environment = {
            **google_cloud.environment,
            "FIRESTORE_EMULATOR_HOST": firestore,
            "PUSHPOOL_STORE": f"firestore://{google_cloud.id}/pushpool",
            "PUSHPOOL_PUBLIC_URL": self.urls["api"],
            "PUSHPOOL_SECRETS": f"secretmanager://{google_cloud.id}/pushpool",
            "PUSHPOOL_WAKER": waker,
            "PUSHPOOL_EVENTS": "cloud-run-v2:push,cloud-run:push",
            "PUSHPOOL_OIDC_ACCOUNTS": google_cloud.account,
            "PUSHPOOL_CLOUD_RUN_WRITES_PER_MINUTE": "6000",
            "PUSHPOOL_LOG_LEVEL": "DEBUG",
        }
        self._functions: dict[str, ExitStack] = {}
        self.processes: dict[str, Function] = {}
        self.key = ""

    def start_function(self, target: str) -> None:
        environment = {**self.environment, "PUSHPOOL_OIDC_AUDIENCE": self.urls[target]}
        self._functions[target] = ExitStack()
        opened = function(target, self.folder, environment, port=self._ports[target])
        self.processes[target] = self._functions[target].enter_context(opened)

    def stop_functions(self) -> None:
        for opened in self._functions.values():
            opened.close()

    def kill_dispatch(self) -> None:
        """As when its machine is lost: nothing of it goes on, and it comes up again elsewhere."""
        for pid in self.processes["dispatch"].pids():
            os.kill(pid, signal.SIGKILL)
        self._functions["dispatch"].close()
        while listens(self._ports["dispatch"]):
            time.sleep(0.01)
        self.start_function("dispatch")

    # what people do

    def pushpool(self, *words: str, **environment: str) -> str:
        """What the command says."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        told = {"PUSHPOOL_API_URL": self.urls["api"], "PUSHPOOL_API_KEY": self.key, "PUSHPOOL_HOME": str(self.folder)}
        done = subprocess.run(
            [str(Path(sys.executable).with_name("pushpool")), *words], cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, env={**kept, **told, **environment},
        )  # fmt: skip
        assert done.returncode == 0, f"pushpool {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def http(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.request(method, f"{self.urls['api']}{path}", json=body, headers=headers, timeout=30)

    def start(self, deployment: str, **form: Any) -> str:
        """The id of a new run."""
        made = self.http("POST", f"/v1/deployments/{deployment}/runs", form)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def run(self, run_id: str) -> Json:
        shown = self.http("GET", f"/v1/runs/{run_id}")
        assert shown.status_code == 200, shown.text
        found: Json = shown.json()
        return found

    def until(self, run_id: str, is_so: Callable[[Json], bool], *, seconds: float = 60) -> Json:
        """The run as soon as it is so."""
        end = time.monotonic() + seconds
        while not is_so(run := self.run(run_id)):
            assert time.monotonic() < end, f"not so after {seconds:g} s: {json.dumps(run, indent=1)}\n{self.said()}"
            time.sleep(0.1)
        return run

    def ended(self, run_id: str, *, seconds: float = 60) -> Json:
        return self.until(run_id, lambda run: run["state_type"] in ENDED, seconds=seconds)

    def named(self, run_id: str) -> str:
        """The handle of the run's first attempt; a container may speak before it is recorded."""
        run = self.until(run_id, lambda run: bool(run["attempts"] and run["attempts"][0]["handle"]))
        return str(run["attempts"][0]["handle"])

    def running(self, run_id: str) -> Json:
        return self.until(run_id, lambda run: run["state_type"] == "RUNNING")

    # what Google's services do

    def tick(self) -> httpx.Response:
        """As Cloud Scheduler does each minute."""
        return self.push("dispatch", TICK, self.google.token(self.urls["dispatch"]))

    def push(self, target: str, body: str, token: str | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return httpx.post(self.urls[target], content=body, headers=headers, timeout=60)

    # what there is to see

    def requests(self, run_id: str) -> list[Json]:
        """The CreateJob calls for that run."""
        found = self.google.cloud_run.requests("CreateJob")
        return [each for each in found if each["job"].get("labels", {}).get("pushpool-run") == run_id]

    def executions(self, run_id: str) -> list[str]:
        """Of each container that was really started for that run, its execution."""
        return self.google.cloud_run.started(PUSHPOOL_RUN_ID=run_id)

    def said(self, target: str = "dispatch") -> str:
        """The end of a function's log."""
        return "\n".join((self.folder / f"{target}.log").read_text().splitlines()[-60:])


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Three functions, pools and deployments; and away again."""
    folder = tmp_path_factory.mktemp("google")
    with ExitStack() as opened:
        try:
            firestore = opened.enter_context(firestore_emulator(folder))
            google_cloud = opened.enter_context(google_project(folder))
        except Missing as exc:
            if os.environ.get("CI") == "true":
                pytest.fail(str(exc))
            pytest.skip(str(exc))
        google_cloud.put_secret("pushpool-token-keys", KeyRing.generate().to_text())
        made = Installation(google_cloud, firestore, folder)
        made.key = _first_key(made)
        opened.callback(made.stop_functions)
        for target in made.urls:
            made.start_function(target)
        google_cloud.push_events_to(made.urls["events"])
        _apply(made)
        yield made


def _first_key(made: Installation) -> str:
    """As somebody with the project's own credentials makes it."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in made.environment.items():
            environment.setenv(name, value)
        store = registry.store(made.environment["PUSHPOOL_STORE"])
        _, key = api_keys.create(store, "admin", Scope.ADMIN, now=datetime.now(UTC))
        store.close()  # type: ignore[attr-defined]
    return key


def _apply(made: Installation) -> None:
    image = made.google.cloud_run.image
    deployments = {name: {"pool": "jobs", "image": image, **form} for name, form in DEPLOYMENTS.items()}
    document = {"work_pools": POOLS, "deployments": deployments}
    (made.folder / "pushpool.yaml").write_text(json.dumps(document), encoding="utf-8")
    made.pushpool("apply", "-f", "pushpool.yaml", "--yes")
