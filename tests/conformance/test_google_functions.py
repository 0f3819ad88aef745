"""The archive of the functions on Google Cloud: complete, and served by the server that Google serves it with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher import api_keys, registry
from dispatcher.api_keys import Scope
from dispatcher.testing.api_bench import TEMPLATE
from dispatcher.testing.servers.google.functions import function
from dispatcher.testing.servers.google.project import GoogleProject, google_project
from dispatcher.testing.servers.processes import free_port
from dispatcher.tokens import KeyRing

ROOT = Path(__file__).parents[2]
# Without .pth files: nothing of the checkout is found, as where it is deployed.
LOADED = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import functions_framework
functions_framework.create_app(sys.argv[3], sys.argv[1] + "/main.py")
print(*(getattr(module, "__file__", None) or "" for module in list(sys.modules.values())), sep="\\n")
"""


@pytest.fixture(scope="session")
def archive(packed: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make package-gcp` builds it, unpacked."""
    source = tmp_path_factory.mktemp("source")
    with zipfile.ZipFile(packed("gcp/archive.py")) as zipped:
        zipped.extractall(source)
    return source


def site_packages() -> Path:
    return Path(httpx.__file__).parents[1]


def required(archive: Path) -> set[Path]:
    """The files of what requirements.txt names."""
    names = re.findall(r"^([a-z0-9._-]+)==(?!.* sys_platform == 'win32')", _requirements(archive), re.MULTILINE)
    return {Path(str(file.locate())) for name in names for file in distribution(name).files or ()}


def _requirements(archive: Path) -> str:
    return (archive / "requirements.txt").read_text()


@pytest.mark.parametrize("target", ["api", "dispatch", "events"])
def test_all_that_a_function_imports_is_in_the_archive_or_its_requirements(archive: Path, target: str) -> None:
    environment = {"PATH": os.environ["PATH"], "FUNCTION_TARGET": target, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-S", "-c", LOADED, str(archive), str(site_packages()), target]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    files = {Path(line) for line in done.stdout.splitlines() if line}
    installed = {file for file in files if file.is_relative_to(site_packages())}
    assert installed <= required(archive)
    assert not [file for file in files - installed if file.is_relative_to(ROOT)]


def test_the_archive_has_nothing_for_people_in_it(archive: Path) -> None:
    ours = {str(file.relative_to(archive)) for file in archive.rglob("*") if file.is_file()}

    assert {"main.py", "requirements.txt", "dispatcher/_templates/process.json", "dispatcher/runner.py"} <= ours
    assert not [name for name in ours if re.search(r"(^|/)(cli|testing|tests|__pycache__)/|archive\.py", name)]
    assert "--hash=sha256:" in _requirements(archive)


@pytest.fixture(scope="module")
def google_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleProject]:
    with google_project(tmp_path_factory.mktemp("google")) as made:
        made.put_secret("pushpool-token-keys", KeyRing.generate().to_text())
        yield made


class Installation:
    """Two functions of it, each a process of its own, on one file."""

    def __init__(self, google_cloud: GoogleProject, archive: Path, folder: Path) -> None:
        self.folder, self.google_cloud = folder, google_cloud
        self._archive = archive
        self._port = free_port()
        self.dispatch = f"http://127.0.0.1:{self._port}"
        self._store = f"sqlite://{folder / 'pushpool.db'}"
        store = registry.store(self._store)
        _, self.key = api_keys.create(store, "test", Scope.ADMIN, now=datetime.now(UTC))

    def environment(self) -> Mapping[str, str]:
        account, queue = self.google_cloud.account, self.google_cloud.make_queue()
        return {
            **self.google_cloud.environment,
            "PUSHPOOL_STORE": self._store,
            "PUSHPOOL_PUBLIC_URL": "https://api.example",
            "PUSHPOOL_SECRETS": f"secretmanager://{self.google_cloud.id}/pushpool",
            "PUSHPOOL_WAKER": f"cloudtasks:{queue}?url={self.dispatch}&service_account={account}",
            "PUSHPOOL_OIDC_AUDIENCE": self.dispatch,
            "PUSHPOOL_OIDC_ACCOUNTS": account,
            "PUSHPOOL_LOG_LEVEL": "DEBUG",
        }

    def opened(self, stack: ExitStack) -> httpx.Client:
        """Somebody with an admin's key."""
        environment = self.environment()
        stack.enter_context(function("dispatch", self.folder, environment, source=self._archive, port=self._port))
        api = stack.enter_context(function("api", self.folder, environment, source=self._archive))
        headers = {"Authorization": f"Bearer {self.key}"}
        return stack.enter_context(httpx.Client(base_url=api.url, headers=headers, timeout=30))

    def said(self, target: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / f"{target}.log").read_text().splitlines()]


def test_a_run_that_is_made_wakes_the_dispatcher_through_the_queue(
    google_cloud: GoogleProject, archive: Path, tmp_path: Path
) -> None:
    """With connections that are made after the server has forked."""
    installation = Installation(google_cloud, archive, tmp_path)
    with ExitStack() as stack:
        http = installation.opened(stack)
        pool = {"type": "process", "base_job_template": dict(TEMPLATE)}
        assert http.put("/v1/work-pools/night", json=pool).status_code == 201
        assert http.post("/v1/work-pools/night/pause").status_code == 200
        assert http.put("/v1/deployments/report", json={"pool": "night", "command": ["true"]}).status_code == 201
        assert http.post("/v1/deployments/report/runs", json={}).status_code == 201

        assert _soon(lambda: [line for line in installation.said("dispatch") if line["message"] == "pass made"])
        assert google_cloud.tasks.courier.settled()
        tries = list(google_cloud.tasks.courier.tries)  # what comes later finds nobody

    assert {each.status for each in tries} == {204}
    assert all({"time", "severity", "message"} <= line.keys() for line in installation.said("dispatch"))


def _soon(look: Any, seconds: float = 15) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return found
