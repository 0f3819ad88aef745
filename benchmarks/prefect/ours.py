"""pushpool: `pushpool serve`, or agents, on SQLite."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.prefect.processes import Place, answers
from dispatcher.testing.servers.processes import free_port

PUSHPOOL = str(Path(sys.executable).with_name("pushpool"))


class Pushpool:
    """An installation of this machine, over its HTTP API."""

    def __init__(self, api: httpx.Client, stayers: list[int]) -> None:
        self.stayers = stayers
        self.databases: list[int] = []
        self._api = api
        self._pools: dict[str, dict[str, Any]] = {}

    def pool(self, name: str, kind: str, **variables: Any) -> None:
        self._pools[name] = {"type": kind, "variables": variables}
        self._ask("PUT", f"/v1/work-pools/{name}", **self._pools[name])

    def deploy(self, name: str, pool: str, **members: Any) -> None:
        self._ask("PUT", f"/v1/deployments/{name}", pool=pool, **members)

    def create(self, deployment: str) -> str:
        return str(self._ask("POST", f"/v1/deployments/{deployment}/runs")["id"])

    def pause(self, pool: str) -> None:
        self._ask("POST", f"/v1/work-pools/{pool}/pause")

    def resume(self, pool: str) -> None:
        self._ask("POST", f"/v1/work-pools/{pool}/resume")

    def limit(self, pool: str, most: int | None) -> None:
        self._ask("PUT", f"/v1/work-pools/{pool}", **self._pools[pool], concurrency_limit=most)

    def active(self, pool: str) -> int:
        return int(self._ask("GET", f"/v1/work-pools/{pool}")["active_slots"])

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self._api.request(method, path, json=body or None)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def serving(place: Place, name: str, environment: Mapping[str, str] | None = None) -> Iterator[Pushpool]:
    """`pushpool serve` alone."""
    with _installation(place, name, [["serve"]], environment or {}) as made:
        yield made


@contextmanager
def agents(place: Place, name: str, queues: tuple[str | None, str | None]) -> Iterator[Pushpool]:
    """Two of `pushpool agent start` on one store, each for a queue or for all."""
    commands = [["agent", "start", *(["--work-queue", queue] if queue else [])] for queue in queues]
    with _installation(place, name, commands, {}) as made:
        yield made


@contextmanager
def _installation(
    place: Place, name: str, commands: list[list[str]], environment: Mapping[str, str]
) -> Iterator[Pushpool]:
    port = free_port()
    home = {
        "PUSHPOOL_HOME": str(place.folder / name),
        "PUSHPOOL_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {_key({**place.environment, **home})}"}
    with ExitStack() as opened:
        stayers = []
        for number, words in enumerate(commands):
            log = f"{name}-{number}"
            up = partial(_is_up, place.folder / f"{log}.log", url)
            stayers.append(opened.enter_context(place.running(log, [PUSHPOOL, *words], up, home)))
        yield Pushpool(opened.enter_context(httpx.Client(base_url=url, headers=headers, timeout=60)), stayers)


def _is_up(log: Path, url: str) -> bool:
    """It has said so itself, for with several any of them may be the one that answers."""
    return "Ctrl-C ends it" in log.read_text() and answers(f"{url}/v1/health")


def _key(environment: Mapping[str, str]) -> str:
    command = [PUSHPOOL, "api-key", "create", "bench", "--scope", "admin", "--json"]
    told = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=True).stdout
    return str(json.loads(told)["key"])
