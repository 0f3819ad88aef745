"""Jobs of Cloud Run as a far side: one project for all lives, whose jobs are told apart by the gate that they go to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dispatcher.testing.proof.clouds.gated import ALL_FAULTS, Gated, Sight, told_key, wait_until_none
from dispatcher.testing.proof.gate import ADDRESS
from dispatcher.testing.servers.cloud_run import CloudRunApi
from dispatcher.testing.servers.cloud_run import cloud_run as served
from dispatcher.testing.servers.cloud_run.conditions import completed, has_ended
from dispatcher.testing.servers.cloud_run.life import Life

Json = Mapping[str, Any]


@contextmanager
def cloud_run(folder: Path) -> Iterator[Callable[[], Project]]:
    """:raises Missing:"""
    with served(folder) as api:
        api.behave(grace_seconds=1.0)
        letters: dict[str, list[Json]] = {}

        def hear(entry: Json) -> None:
            for container in _containers(entry["protoPayload"]["response"]):
                letters.get(_environment(container).get(ADDRESS, ""), []).append(entry)

        api.listen(hear)
        yield lambda: Project(api, letters)


class Project(Gated):
    """What is in it is read from the project itself. `letters`: entries of the audit log, by gate."""

    type = "cloud-run-v2:push"
    faults = ALL_FAULTS

    def __init__(self, api: CloudRunApi, letters: dict[str, list[Json]]) -> None:
        super().__init__(variables={"image": api.image, "region": api.region}, environment=api.environment)
        self._api, self._project, self._letters = api, api.project, letters
        letters[self.gate.address] = []

    def crash(self, name: str) -> None:
        for execution in self._executions(name):
            self._api.kill(execution)
        self.wait_for_end(name)

    def forget(self, name: str) -> None:
        for execution in self._executions(name):
            self._project.delete_job(execution.partition("/executions/")[0])
        self.wait_for_end(name)

    def take_events(self) -> list[Json]:
        letters = self._letters[self.gate.address]
        taken = letters[:]
        del letters[: len(taken)]
        return taken

    def fail_next(self, kind: str, *, times: int = 1) -> None:
        self._api.fail_next(kind, times=times)

    def see(self) -> Sight:
        with self._project.changing:
            live = self._live()
            ending = [name for name, life in live.items() if _is_cancelled(life.execution)]
            return Sight([told_key(_told(life.execution)) for life in live.values()], ending)

    def left(self) -> list[str]:
        with self._project.changing:
            return [name for name, job in self._project.jobs.items() if self._is_mine(job["template"])]

    def close(self) -> None:
        super().close()
        self._project.ordered.forget()
        wait_until_none(lambda: ", ".join(self._live()))
        for name in self.left():
            self._project.delete_job(name)
        del self._letters[self.gate.address]

    def _live(self) -> dict[str, Life]:
        with self._project.changing:
            known = self._project.lives.items()
            return {
                name: life for name, life in known if self._is_mine(life.execution) and not has_ended(life.execution)
            }

    def _executions(self, name: str) -> list[str]:
        """Those that run for the same attempt as that container."""
        key = self.key(name)
        return [execution for execution, life in self._live().items() if told_key(_told(life.execution)) == key]

    def _is_mine(self, execution: Json) -> bool:
        return _told(execution).get(ADDRESS) == self.gate.address


def _is_cancelled(execution: dict[str, Any]) -> bool:
    return completed(execution).get("executionReason") == "CANCELLING"


def _told(execution: Json) -> dict[str, str]:
    return _environment(execution["template"]["containers"][0])


def _environment(container: Json) -> dict[str, str]:
    return {pair["name"]: pair.get("value", "") for pair in container.get("env", [])}


def _containers(response: Json) -> list[Json]:
    """Of an execution, in the words of the API's first version; of a job that is not told."""
    found: list[Json] = response["spec"].get("template", {}).get("spec", {}).get("containers", [])
    return found
