"""Each function, started cold: out of what is deployed, as the platform starts it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.bench import PEAK, Row

DIST = Path(__file__).parents[1] / "dist"
MOST_MIB = 20
SAMPLES = 7
_ON_AWS = """
import os, sys, time
start = time.perf_counter()
sys.path.insert(0, sys.argv[1])
os.environ.update(
    _HANDLER=sys.argv[2], PUSHPOOL_STORE="dynamodb://bench", PUSHPOOL_PUBLIC_URL="https://api.example",
    PUSHPOOL_WAKER="sqs:https://sqs.example/1/wakes", PUSHPOOL_SECRETS="secretsmanager://bench",
    AWS_REGION="eu-central-1", AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench",
)
import app
from chalicelib import parts
context = parts.context()
if sys.argv[2] != "app.api":
    ecs = context.infrastructure("ecs:push")
if sys.argv[2] == "app.dispatch":
    ecs._clients.of("ecs", "eu-central-1")
    context.store.get
print(time.perf_counter() - start, *peak())
clouds = {"google.cloud", "azure", "modal"} & set(sys.modules)
assert not clouds, clouds
"""
_ON_GOOGLE = """
import os, sys, time
start = time.perf_counter()
folder, target = sys.argv[1:]
sys.path[:] = [folder, *(each for each in sys.path if each.endswith("-packages") or "/lib/" in each)]
os.environ.update(
    FUNCTION_TARGET=target, GOOGLE_CLOUD_PROJECT="bench-project", PUSHPOOL_STORE="firestore://bench-project/pushpool",
    PUSHPOOL_PUBLIC_URL="https://api.example", PUSHPOOL_SECRETS="secretmanager://bench-project/pushpool",
    PUSHPOOL_WAKER="cloudtasks:projects/p/locations/l/queues/q?url=https://d.example&service_account=a@b",
    PUSHPOOL_GOOGLE_EMULATOR="127.0.0.1:9", FIRESTORE_EMULATOR_HOST="127.0.0.1:9",
)
import functions_framework
functions_framework.create_app(target, folder + "/main.py")
if target == "dispatch":
    from gcpfunctions import parts
    cloud_run = parts.context().infrastructure("cloud-run-v2:push")
    cloud_run._clients.jobs("europe-west1")
print(time.perf_counter() - start, *peak())
assert "google.cloud.run_v2" not in sys.modules or target == "dispatch"
others = {"boto3", "botocore", "azure", "modal"} & set(sys.modules)
assert not others, others
"""


def on_aws() -> Iterator[Row]:
    """As on Lambda: nothing is compiled or written, and the shell's packages are not there."""
    python = [getattr(sys, "_base_executable", sys.executable), "-I", "-B", "-c", PEAK + _ON_AWS]
    marks = {"app.api": "", "app.dispatch": "≤ 0.7 s, < 100 MB", "app.events": ""}
    yield from _rows("aws", python, marks, size=f"≤ {MOST_MIB} MB")


def on_google() -> Iterator[Row]:
    """All is compiled, as Google's builder does it; the checkout is not to be found."""
    yield from _rows("gcp", [sys.executable, "-P", "-c", PEAK + _ON_GOOGLE], {"api": "", "dispatch": "", "events": ""})


def _rows(cloud: str, python: Sequence[str], marks: Mapping[str, str], *, size: str = "") -> Iterator[Row]:
    """`marks`: the function's name → what DESIGN asks of it."""
    found = sorted(DIST.glob(f"pushpool-{cloud}-*.zip"))
    if not found:
        yield Row("cold starts", f"not measured: `make package-{cloud}` builds what is deployed first")
        return
    yield Row("what is deployed", f"{found[-1].stat().st_size / 1024 / 1024:.1f} MiB", size)
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder:
        with zipfile.ZipFile(found[-1]) as packed:
            packed.extractall(folder)
        for name, mark in marks.items():
            measured = sorted(_probe([*python, folder, name], folder) for _ in range(SAMPLES))
            seconds, kib = measured[len(measured) // 2]
            what = f"{name.removeprefix('app.')}: imported and ready, with its clients"
            yield Row(what, f"{seconds:.2f} s, {kib / 1024:.0f} MiB", mark)


def _probe(command: Sequence[str], folder: str) -> tuple[float, int]:
    """Seconds, and the resident KiB."""
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout
    seconds, resident = said.split()[-2:]
    return float(seconds), int(resident)
