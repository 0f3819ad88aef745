"""Prefect: its server, on SQLite or PostgreSQL, and its workers."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.prefect import job
from benchmarks.prefect.postgres import Database
from benchmarks.prefect.processes import Place, answers
from dispatcher.testing.servers.processes import free_port, installed

CHECKOUT = Path(__file__).parents[2]
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PYTHONPATH": str(CHECKOUT),  # where a worker's runs find the flow
}
_BUSY_SECONDS = 60
_SET_DIRECTORY = "prefect.deployments.steps.set_working_directory"


class Prefect:
    """A server with workers, over its REST API."""

    def __init__(self, place: Place, api: httpx.Client, server: int, database: Database | None) -> None:
        self.stayers = [server]
        self.databases = [database.pid] if database else []
        self._place, self._api = place, api
        self._environment = {**environment_of(place), "PREFECT_API_URL": str(api.base_url).rstrip("/")}
        self._flow = self._ask("POST", "/flows/", name="work")["id"]
        self._pools: set[str] = set()
        self._deployments: dict[str, str] = {}

    def pool(self, name: str, kind: str, **run_request: Any) -> None:
        """With the type's own base job template; `run_request` adds to what an ECS pool says of a task.

        One that is there stays as it is.
        """
        if name in self._pools:
            return
        self._pools.add(name)
        template = _default_template(kind, self._environment)
        if run_request:
            template["job_configuration"]["task_run_request"].update(run_request)
        self._ask("POST", "/work_pools/", name=name, type=kind, base_job_template=template)

    def deploy(self, name: str, pool: str, *, queue: str | None = None, **members: Any) -> None:
        """`members`: `job_variables`, or `parameters` of the flow."""
        steps = [{_SET_DIRECTORY: {"directory": str(Path(__file__).parent)}}]
        made = self._ask(
            "POST", "/deployments/",
            name=name, flow_id=self._flow, work_pool_name=pool, work_queue_name=queue, entrypoint="flow.py:job",
            pull_steps=steps, parameter_openapi_schema={}, enforce_parameter_schema=False, **members,
        )  # fmt: skip
        self._deployments[name] = made["id"]

    @contextmanager
    def worker(
        self, pool: str, kind: str, *, query_seconds: float, queue: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[None]:  # fmt: skip
        """One more that polls the pool; it asks for work every `query_seconds`, give or take 30 %."""
        name = f"worker-{pool}-{queue or 'all'}-{free_port()}"
        command = [program("prefect"), "worker", "start", "--pool", pool, "--type", kind, "--name", name]
        whole = {**self._environment, "PREFECT_WORKER_QUERY_SECONDS": str(query_seconds), **(environment or {})}
        by_queue = ["--work-queue", queue] if queue else []
        with self._place.running(name, [*command, *by_queue], lambda: self._is_online(pool, name), whole) as pid:
            self.stayers.append(pid)
            try:
                yield
            finally:
                self.stayers.remove(pid)

    def _is_online(self, pool: str, name: str) -> bool:
        workers = self._ask("POST", f"/work_pools/{pool}/workers/filter")
        return any(worker["name"] == name and worker["status"] == "ONLINE" for worker in workers)

    def create(self, deployment: str) -> str:
        path = f"/deployments/{self._deployments[deployment]}/create_flow_run"
        return str(self._ask("POST", path, state={"type": "SCHEDULED"})["id"])

    def pause(self, pool: str) -> None:
        self._ask("PATCH", f"/work_pools/{pool}", is_paused=True)

    def resume(self, pool: str) -> None:
        self._ask("PATCH", f"/work_pools/{pool}", is_paused=False)

    def limit(self, pool: str, most: int | None) -> None:
        self._ask("PATCH", f"/work_pools/{pool}", concurrency_limit=most)

    def active(self, pool: str) -> int:
        under_way = {"state": {"type": {"any_": ["PENDING", "RUNNING"]}}}
        asked = {"work_pools": {"name": {"any_": [pool]}}, "flow_runs": under_way}
        return int(self._ask("POST", "/flow_runs/count", **asked))

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        """As Prefect's own client it asks again while the server's database is busy."""
        until = time.monotonic() + _BUSY_SECONDS
        while (answer := self._api.request(method, path, json=body)).status_code == 503 and time.monotonic() < until:
            time.sleep(job.BUSY_PAUSE)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def prefect_server(place: Place, name: str, database: Database | None = None) -> Iterator[Prefect]:
    """On SQLite if no database is given. :raises Missing: Prefect is not installed. :raises Broken: it stays down."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [program("prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    home = {"PREFECT_HOME": str(place.folder / name)}
    whole = {
        **environment_of(place),
        **home,
        **({"PREFECT_API_DATABASE_CONNECTION_URL": database.url} if database else {}),
    }
    with (
        place.running(name, command, lambda: answers(f"{url}/health"), whole) as pid,
        httpx.Client(base_url=url, timeout=120) as api,
    ):
        yield Prefect(place, api, pid, database)


def program(name: str) -> str:
    return str(installed("prefect", file=f"bin/{name}") / "bin" / name)


def environment_of(place: Place) -> dict[str, str]:
    return {**place.environment, **QUIET, "PREFECT_HOME": str(place.folder / "prefect")}


def _default_template(kind: str, environment: Mapping[str, str]) -> dict[str, Any]:
    command = [program("prefect"), "work-pool", "get-default-base-job-template", "--type", kind]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    template: dict[str, Any] = json.loads(told)
    return template
