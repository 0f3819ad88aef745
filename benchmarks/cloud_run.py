"""What Cloud Run costs an invocation: gRPC and REST from a cold start, and the calls that a run takes.

`python -m benchmarks.cloud_run`. The API of this machine is spoken to without TLS, whose handshake both have alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from benchmarks.bench import PEAK, Row
from dispatcher import job_templates, registry
from dispatcher.ports import Accepted, Infrastructure, Job, Phase, Submission
from dispatcher.testing.servers.cloud_run import CloudRunApi, cloud_run
from dispatcher.testing.servers.loopback import Silent, serving

SAMPLES = 7
_PROBE = """
import sys, time
start = time.perf_counter()
kind, address, parent, image = sys.argv[1:]
from google.cloud import run_v2
imported = time.perf_counter()
if kind == "gRPC":
    import grpc
    transport = run_v2.JobsClient.get_transport_class("grpc")(channel=grpc.insecure_channel(address))
else:
    from google.auth.credentials import AnonymousCredentials
    transport = run_v2.JobsClient.get_transport_class("rest")(
        host=address, url_scheme="http", credentials=AnonymousCredentials()
    )
client = run_v2.JobsClient(transport=transport)
ready = time.perf_counter()
job = run_v2.Job({"template": {"template": {"containers": [{"image": image}]}}})
times = []
for number in range(21):
    begun = time.perf_counter()
    client.create_job(parent=parent, job=job, job_id=f"j-{time.time_ns()}", retry=None, timeout=10)
    times.append(time.perf_counter() - begun)
warm = sorted(times[1:])[10]
print(imported - start, ready - imported, times[0], warm, *peak())
"""
_COLD = """
import sys, time
start = time.perf_counter()
from adapters.infrastructure import cloud_run
if sys.argv[1] == "sends":
    cloud_run.open_v2({})._clients.jobs("europe-west1")
print(time.perf_counter() - start, *peak())
"""


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder, cloud_run(Path(folder)) as api:
        yield from _transports(api)
        for what, how in (("hears events", "hears"), ("can submit", "sends")):
            seconds, kib = _median([_probe(_COLD, how, environment=api.environment) for _ in range(SAMPLES)])
            yield Row(f"the adapter, cold, until it {what}", f"{seconds:.2f} s, {kib / 1024:.0f} MiB")
        for way in ("job per run", "shared job"):
            yield Row(f"calls of a run whose end is heard of: {way}", _calls(api, way))


def _transports(api: CloudRunApi) -> Iterator[Row]:
    parent = f"projects/{api.project.id}/locations/{api.region}"
    with _rest(api) as address:
        for kind, where in (("gRPC", api.address), ("REST", address)):
            measured = [_probe(_PROBE, kind, where, parent, api.image) for _ in range(SAMPLES)]
            imported, made, first, warm, kib = _median(measured)
            ready = (imported + made + first) * 1000
            parts = f"import {imported * 1000:.0f}, client {made * 1000:.0f}, first call {first * 1000:.0f}"
            told = f"{ready:.0f} ms ({parts}); then {warm * 1000:.1f} ms a call; {kib / 1024:.0f} MiB"
            yield Row(f"{kind}: from nothing to the first job made", told)


def _probe(script: str, *arguments: str, environment: dict[str, str] | None = None) -> list[float]:
    command = [sys.executable, "-c", PEAK + script, *arguments]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return [float(number) for number in said.split()]


def _median(measured: list[list[float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*measured, strict=True)]


def _calls(api: CloudRunApi, way: str) -> str:
    """Of a second run: the first has made what runs share."""
    adapter = _adapter(api)
    _run(adapter, api, way)
    before = api.calls()
    _run(adapter, api, way)
    told = {name: count - before.get(name, 0) for name, count in api.calls().items() if count > before.get(name, 0)}
    counted = {name: count for name, count in told.items() if name not in ("GetExecution", "GetJob")}
    return ", ".join(f"{name} {count}" for name, count in counted.items())


def _adapter(api: CloudRunApi) -> Infrastructure:
    import os

    os.environ.update(api.environment)
    return registry.infrastructure("cloud-run-v2:push", {})


def _run(adapter: Infrastructure, api: CloudRunApi, way: str) -> None:
    run_id = str(uuid4())
    variables = {"image": api.image, "command": ["true"], "region": api.region, "runner": False, "submission": way}
    job = Job(
        pool="bench",
        run_id=run_id,
        run_name="bench",
        deployment="bench",
        attempt=1,
        submit_seq=1,
        configuration=job_templates.render(registry.template("cloud-run-v2:push"), variables),
        environment={"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": "1"},
    )
    request = adapter.request(job)
    outcome = adapter.submit(Submission(run_id, 1, 1, request, "token"))
    assert isinstance(outcome, Accepted), outcome
    while adapter.describe_many(request.target, [outcome.handle])[outcome.handle].phase is not Phase.STOPPED:
        pass  # a bench of its own has nothing else to do
    adapter.cleanup(request.target, outcome.handle)


@contextmanager
def _rest(api: CloudRunApi) -> Iterator[str]:
    """CreateJob over HTTP, from the same project."""

    class Handler(Silent, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            place, query = urlsplit(self.path).path.removeprefix("/v2/"), parse_qs(urlsplit(self.path).query)
            made = api.project.create_job(place.removesuffix("/jobs"), body, query["jobId"][0])
            metadata: dict[str, Any] = {"@type": "type.googleapis.com/google.cloud.run.v2.Job"}
            content = json.dumps({"name": made.name, "metadata": metadata, "done": False}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as url:
        yield url.removeprefix("http://")


if __name__ == "__main__":
    for row in rows():
        print(f"{row.what:60} {row.measured}")
