"""An installation on a Google Cloud project of this machine, its functions being processes, used as people use it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from dispatcher import api_keys, registry
from dispatcher.api_keys import Scope
from dispatcher.testing.servers.firestore import firestore_emulator
from dispatcher.testing.servers.google.functions import Function, function
from dispatcher.testing.servers.google.project import REGION, GoogleProject, google_project
from dispatcher.testing.servers.processes import Missing, free_port, listens
from dispatcher.testing.visitor import Json, Visitor
from dispatcher.tokens import KeyRing

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


class Installation(Visitor):
    """Its API, its functions and the project that they work in."""

    def __init__(self, google_cloud: GoogleProject, firestore: str, folder: Path) -> None:
        self.google = google_cloud
        self._ports = {target: free_port() for target in ("api", "dispatch", "events")}
        self.urls = {target: f"http://127.0.0.1:{port}" for target, port in self._ports.items()}
        queue = google_cloud.make_queue()
        waker = f"cloudtasks:{queue}?url={self.urls['dispatch']}&service_account={google_cloud.account}"
        self.functions = {
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
        self._opened: dict[str, ExitStack] = {}
        self.processes: dict[str, Function] = {}
        self.key = _first_key(self.functions)
        shell = {"PUSHPOOL_API_URL": self.urls["api"], "PUSHPOOL_API_KEY": self.key, "PUSHPOOL_HOME": str(folder)}
        super().__init__(folder, shell, self.said)

    def start_function(self, target: str) -> None:
        environment = {**self.functions, "PUSHPOOL_OIDC_AUDIENCE": self.urls[target]}
        self._opened[target] = ExitStack()
        opened = function(target, self.folder, environment, port=self._ports[target])
        self.processes[target] = self._opened[target].enter_context(opened)

    def stop_functions(self) -> None:
        for opened in self._opened.values():
            opened.close()

    def kill_dispatch(self) -> None:
        """As when its machine is lost: nothing of it goes on, and it comes up again elsewhere."""
        for pid in self.processes["dispatch"].pids():
            os.kill(pid, signal.SIGKILL)
        self._opened["dispatch"].close()
        while listens(self._ports["dispatch"]):
            time.sleep(0.01)
        self.start_function("dispatch")

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
        opened.callback(made.stop_functions)
        for target in made.urls:
            made.start_function(target)
        google_cloud.push_events_to(made.urls["events"])
        _apply(made)
        yield made


def _first_key(functions: Mapping[str, str]) -> str:
    """As somebody with the project's own credentials makes it."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in functions.items():
            environment.setenv(name, value)
        store = registry.store(functions["PUSHPOOL_STORE"])
        _, key = api_keys.create(store, "admin", Scope.ADMIN, now=datetime.now(UTC))
        store.close()  # type: ignore[attr-defined]
    return key


def _apply(made: Installation) -> None:
    image = made.google.cloud_run.image
    deployments = {name: {"pool": "jobs", "image": image, **form} for name, form in DEPLOYMENTS.items()}
    document = {"work_pools": POOLS, "deployments": deployments}
    (made.folder / "pushpool.yaml").write_text(json.dumps(document), encoding="utf-8")
    made.pushpool("apply", "-f", "pushpool.yaml", "--yes")
