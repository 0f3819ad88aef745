"""Each function of the zip, started cold: out of a folder like Lambda's, by an interpreter that has nothing else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Row

DIST = Path(__file__).parents[1] / "dist"
MOST_MIB = 20
SAMPLES = 7
_PROBE = """
import os, resource, sys, time
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
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
clouds = {"google.cloud", "azure", "modal"} & set(sys.modules)
assert not clouds, clouds
"""


def rows() -> Iterator[Row]:
    found = sorted(DIST.glob("pushpool-aws-*.zip"))
    if not found:
        yield Row("cold starts", "not measured: `make package-aws` builds the zip first")
        return
    size = found[-1].stat().st_size / 1024 / 1024
    yield Row("the deployment package", f"{size:.1f} MiB", f"≤ {MOST_MIB} MB")
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder:
        with zipfile.ZipFile(found[-1]) as packed:
            packed.extractall(folder)
        for handler, mark in (("api", ""), ("dispatch", "≤ 0.7 s, < 100 MB"), ("events", "")):
            measured = sorted(_probe(folder, f"app.{handler}") for _ in range(SAMPLES))
            seconds, kib = measured[len(measured) // 2]
            yield Row(
                f"{handler}: imported and ready, with its clients", f"{seconds:.2f} s, {kib / 1024:.0f} MiB", mark
            )


def _probe(folder: str, handler: str) -> tuple[float, int]:
    """As on Lambda: nothing is compiled or written, and the shell's packages are not there."""
    command = [getattr(sys, "_base_executable", sys.executable), "-I", "-B", "-c", _PROBE, folder, handler]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    seconds, resident = said.split()
    return float(seconds), int(resident)
