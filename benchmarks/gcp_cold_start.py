"""Each function on Google Cloud, started cold: out of its archive, with the server's app, as the platform makes it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Row

DIST = Path(__file__).parents[1] / "dist"
SAMPLES = 7
_PROBE = """
import os, resource, sys, time
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
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
assert "google.cloud.run_v2" not in sys.modules or target == "dispatch"
others = {"boto3", "botocore", "azure", "modal"} & set(sys.modules)
assert not others, others
"""


def rows() -> Iterator[Row]:
    found = sorted(DIST.glob("pushpool-gcp-*.zip"))
    if not found:
        yield Row("cold starts", "not measured: `make package-gcp` builds the archive first")
        return
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder:
        with zipfile.ZipFile(found[-1]) as packed:
            packed.extractall(folder)
        for target in ("api", "dispatch", "events"):
            measured = sorted(_probe(folder, target) for _ in range(SAMPLES))
            seconds, kib = measured[len(measured) // 2]
            yield Row(f"{target}: imported and ready, with its clients", f"{seconds:.2f} s, {kib / 1024:.0f} MiB")


def _probe(folder: str, target: str) -> tuple[float, int]:
    """The archive is not compiled, what it requires is; and the checkout is not to be found."""
    command = [sys.executable, "-B", "-P", "-c", _PROBE, folder, target]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout
    seconds, resident = said.split()[-2:]
    return float(seconds), int(resident)
