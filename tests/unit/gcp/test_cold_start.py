"""What a function does before its first request: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "infra" / "gcp" / "main.py"
TOLD = {
    "PUSHPOOL_STORE": "firestore://p/d",
    "PUSHPOOL_PUBLIC_URL": "https://api.example",
    "PUSHPOOL_SECRETS": "secretmanager://p/pushpool",
    "PUSHPOOL_WAKER": "cloudtasks:projects/p/locations/l/queues/q?url=https://d.example&service_account=a@example",
    "PUSHPOOL_GOOGLE_EMULATOR": "127.0.0.1:9",
    "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9",
}
SCRIPT = """
import sys, grpc
def connect(*_, **__): raise AssertionError("a connection is made before the server forks")
grpc.insecure_channel = grpc.secure_channel = connect
import functions_framework
functions_framework.create_app(sys.argv[1], sys.argv[2])
from gcpfunctions import parts
assert parts._context is not None, "it was not made ready"
print(*sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def imported() -> Mapping[str, set[str]]:
    """The modules that each function has imported when it is ready."""
    waiting = {target: start(target) for target in ("api", "dispatch", "events")}
    found = {}
    for target, process in waiting.items():
        said, trace = process.communicate()
        assert process.returncode == 0, trace
        found[target] = set(said.split())
    return found


def start(target: str) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "FUNCTION_TARGET": target, **TOLD}
    command = [sys.executable, "-c", SCRIPT, target, str(SOURCE)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_each_is_ready_before_the_server_forks_and_has_no_connection_yet(imported: Mapping[str, set[str]]) -> None:
    """Channels of gRPC do not survive a fork ("gRPC Python Fork Support")."""
    assert all("google.cloud.firestore_v1" in modules for modules in imported.values())


def test_none_imports_more_than_it_needs(imported: Mapping[str, set[str]]) -> None:
    for modules in imported.values():
        assert not modules & {"dispatcher.cli", "boto3", "azure", "modal", "google.cloud.run_v2", "waitress"}
    for target in ("dispatch", "events"):
        assert not imported[target] & {"dispatcher.http.routes", "jsonschema_rs"}
    assert "dispatcher.dispatch" in imported["dispatch"]
    assert "dispatcher.dispatch" not in imported["events"]
