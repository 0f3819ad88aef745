"""An AWS account on this machine: ministack, its ECS tasks as containers of an engine of its own, and a side door.

Weaker than AWS: nobody is throttled unless it is asked for, and what is written is seen at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dispatcher.testing.servers.engine import IMAGE, Engine, engine
from dispatcher.testing.servers.microburst import FaultProxy, fault_proxy
from dispatcher.testing.servers.ministack import client_environment, ministack
from dispatcher.testing.servers.orders import order
from dispatcher.testing.servers.processes import free_port


class AwsAccount:
    """The test's hand on the account. `image` is the one image there is; `pushpool-run` is on its PATH.

    `proxy` stands between the account and its functions, and whoever else takes its endpoint.
    """

    image = IMAGE

    def __init__(self, endpoint: str, proxy: FaultProxy, machine: Engine) -> None:
        self.endpoint, self.proxy, self._engine = endpoint, proxy, machine
        self._clients: list[Any] = []
        self.environment = client_environment(endpoint)

    def client(self, service: str) -> Any:
        """A boto3 client on it, without retries. It is closed with the account."""
        from importlib import import_module  # the core knows no cloud: only who asks for a client needs boto3

        boto3, config = import_module("boto3"), import_module("botocore.config")
        made = boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.environment["AWS_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            config=config.Config(retries={"mode": "standard", "total_max_attempts": 1}),
        )
        self._clients.append(made)
        return made

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def fail_next_run_task(self, kind: str, *, times: int = 1) -> None:
        """The next RunTask, whoever calls it, meets with that.

        `throttled`, `denied`, `rejected`: an error without an effect. `timeout`: a 500 without an effect; `reply
        lost`: a 500, and the task was started. `capacity`, `memory`: 200 with `failures[]`; `empty`: 200 with neither
        task nor failure. `no start`: a task that ends without having started its container.
        """
        self._order("fail-next-run-task", kind=kind, times=times)

    def forget_faults(self) -> None:
        """What was planned and has not happened yet does not happen, the proxy's too."""
        self._order("forget-faults")
        self.proxy.forget()

    def interrupt(self, task_arn: str) -> None:
        """As Fargate Spot does: SIGTERM, and stop code SpotInterruption."""
        self._order("interrupt", task=task_arn)

    def kill(self, task_arn: str) -> None:
        """As the kernel does when memory runs out: SIGKILL."""
        self._order("kill", task=task_arn)

    def forget(self, task_arn: str) -> None:
        """As an hour after its end: ECS does not know it any more. One that runs is killed, and nothing tells of it."""
        self._order("forget", task=task_arn)

    def events(self, task_arn: str | None = None) -> list[dict[str, Any]]:
        """The "ECS Task State Change" events sent so far, as a target receives them; of one task, or of all."""
        told = self._order("events")
        return [event for event in told if task_arn in (None, event["detail"]["taskArn"])]

    @contextmanager
    def events_are(self, mode: str) -> Iterator[None]:
        """`dropped`, `doubled` or, until `release_events`, `held`, while the block lasts."""
        self._order("events", mode=mode)
        try:
            yield
        finally:
            self._order("events", mode="normal")

    def release_events(self, *, backwards: bool = False) -> int:
        """Sends those that are held, the newest first if `backwards`; how many there were."""
        return int(self._order("release-events", backwards=backwards))

    def run_task_requests(self) -> list[dict[str, Any]]:
        """Each RunTask so far, as it was sent, those that were refused too."""
        return list(self._order("run-task-requests"))

    def know_image_as(self, name: str) -> None:
        """The one image there is has that name too from now on."""
        self._engine.docker("tag", self.image, name)

    def reachable_from_containers(self, port: int) -> str:
        """Where a container finds what listens on that port of 127.0.0.1: there, for it has the host's network."""
        return f"http://127.0.0.1:{port}"

    def reachable(self, url: str) -> str:
        """The URL of an HTTP API of the account, or one below it, for who cannot resolve its host.

        Containers can: each knows the APIs that there were when it was started. The first part of the path is the
        stage, which only the default stage does without.
        """
        host, path = urlsplit(url).hostname or "", urlsplit(url).path
        api, found, _ = host.partition(".execute-api.")
        return f"{self.endpoint}/_aws/execute-api/{api}/$default{path}" if found else url

    def _order(self, name: str, **what: Any) -> Any:
        return order(f"{self.endpoint}/_pushpool/{name}", what)


@contextmanager
def aws_account(
    folder: Path, *, enforce_policies: bool = False, options: Mapping[str, str] | None = None
) -> Iterator[AwsAccount]:
    """An account while the block lasts; all that it keeps is in `folder`.

    `enforce_policies`: its functions may do what their roles allow; `environment` is the root's, who may do all.
    `options`: ministack's own.

    :raises Missing: :raises Broken:
    """
    port = free_port()
    with ExitStack() as opened:
        running = opened.enter_context(engine(folder))
        proxy = opened.enter_context(fault_proxy(folder, f"http://127.0.0.1:{port}"))
        whole = {"AWS_ENDPOINT_URL": proxy.endpoint, "AUTH": str(enforce_policies).lower(), **(options or {})}
        endpoint = opened.enter_context(ministack(folder, docker_host=running.docker_host, port=port, options=whole))
        yield opened.enter_context(closing(AwsAccount(endpoint, proxy, running)))
