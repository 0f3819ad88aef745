"""Azure may start a container again, though it was told never to: the runner sends that one away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dispatcher.context import Context
from dispatcher.dispatch import Dispatcher
from dispatcher.http.api import Api
from dispatcher.http.server import LocalServer
from dispatcher.ports import Cause, Infrastructure, Phase
from dispatcher.registry import template
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.cloud_bench import CloudBench
from dispatcher.testing.servers.azure.cloud import TYPE, AzureCloud
from dispatcher.testing.servers.processes import free_port


class Installation(ApiBench):
    """An API that containers can reach, and a dispatcher that is asked for each pass."""

    def __init__(self, infrastructure: Infrastructure) -> None:
        super().__init__(infrastructure=infrastructure)
        port = free_port()
        self.context: Context = replace(self.context, api_url=f"http://127.0.0.1:{port}")
        self.api = Api(self.context)
        self._server = LocalServer(self.api, "127.0.0.1", port)
        self._server.start()
        self._dispatcher = Dispatcher(self.context)

    def tick(self) -> None:
        self._dispatcher.tick(until=self.clock.now() + timedelta(minutes=1))

    def run(self, id_: str) -> dict[str, object]:
        found: dict[str, object] = self.call("GET", f"/v1/runs/{id_}").json
        return found

    def close(self) -> None:
        self._dispatcher.close()
        self._server.stop()


@pytest.fixture
def installation(infrastructure: Infrastructure) -> Iterator[Installation]:
    made = Installation(infrastructure)
    yield made
    made.close()


class TestRestarts(CloudBench):
    def once(self, folder: Path, first: str) -> list[str]:
        """A command as the runner makes it: whoever comes second is sent away with 75."""
        return ["sh", "-c", f'mkdir "{folder}/claimed" 2>/dev/null && {{ {first}; }}; exit 75']

    def test_an_end_is_that_of_the_container_that_was_let_in(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, tmp_path: Path
    ) -> None:
        cloud.fail_next("restarted")
        request, handle = self.start(
            infrastructure, cloud.with_variables(run_id, command=self.once(tmp_path, "exit 3"))
        )
        self.eventually(lambda: True if cloud.started(run_id) == 2 else None)

        seen = self.until(infrastructure, request, handle, Phase.STOPPED)

        assert (seen.exit_code, seen.cause) == (3, Cause.EXITED)

    def test_one_that_was_moved_is_nobodys_fault(
        self, cloud: AzureCloud, infrastructure: Infrastructure, run_id: str, tmp_path: Path
    ) -> None:
        command = self.once(tmp_path, "exec sleep 60")
        request, handle = self.start(infrastructure, cloud.with_variables(run_id, command=command, priority="Spot"))
        self.eventually(lambda: True if (tmp_path / "claimed").exists() else None)

        cloud.api.evict(handle)

        assert self.until(infrastructure, request, handle, Phase.STOPPED).cause is Cause.INFRASTRUCTURE

    def test_the_command_runs_once(self, cloud: AzureCloud, installation: Installation, tmp_path: Path) -> None:
        """With the runner itself, and the API that it asks."""
        template_ = {**template(TYPE)}
        installation.with_pool("aci", type=TYPE, base_job_template=template_)
        variables = {"subscription_id": cloud.api.subscription.id, "resource_group_name": cloud.api.resource_group}
        script = f'echo started >> "{tmp_path}/log"; exit 3'
        installation.with_deployment(
            "etl", pool="aci", image=cloud.api.image, command=["sh", "-c", script], job_variables=variables
        )
        cloud.fail_next("restarted")
        run = str(installation.new_run("etl")["id"])

        installation.tick()

        self.eventually(lambda: True if len(cloud.api.started(run)) == 2 else None)
        self.eventually(lambda: True if installation.run(run)["state_name"] == "Failed" else None)
        name = cloud.api.started(run)[0]
        (container,) = cloud.api.containers(name)
        self.eventually(lambda: True if container.current["state"] == "Terminated" else None)
        assert (tmp_path / "log").read_text() == "started\n"
        assert (container.restarts, container.exit_code) == (1, 75)
