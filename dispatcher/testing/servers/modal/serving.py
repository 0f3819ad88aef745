"""A workspace with its API on a port of this machine, and the test's hand on both."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dispatcher.testing.servers.cloud_run.faults import Hold
from dispatcher.testing.servers.modal import theirs
from dispatcher.testing.servers.modal.sandboxes import Sandbox
from dispatcher.testing.servers.modal.service import services
from dispatcher.testing.servers.modal.workspace import Manner, Workspace

IMAGE = "pushpool-test/python:1"
TOKEN_ID, TOKEN_SECRET = "ak-pushpool-test", "as-pushpool-test"  # of nobody's workspace


class ModalApi:
    """The test's hand on a workspace. `image` is the one image there is; `pushpool-run` is on its PATH."""

    image = IMAGE
    token_id, token_secret = TOKEN_ID, TOKEN_SECRET

    def __init__(self, workspace: Workspace, endpoint: str) -> None:
        self.workspace, self.endpoint = workspace, endpoint

    def environment(self) -> dict[str, str]:
        """What leads Modal's client here; it reads no configuration of whoever runs the test."""
        return {
            "MODAL_SERVER_URL": self.endpoint,
            "MODAL_TOKEN_ID": self.token_id,
            "MODAL_TOKEN_SECRET": self.token_secret,
            "MODAL_CONFIG_PATH": str(self.workspace.folder / "no-configuration.toml"),
        }

    def fail_next(self, kind: str, *, call: str = "SandboxCreate", times: int = 1) -> None:
        """The next of these calls, of either version, meet with that, one of `faults.Fault`. :raises ValueError:"""
        self.workspace.ordered.plan(call, kind, times)

    @contextmanager
    def replies_held(self, call: str = "SandboxCreate") -> Iterator[threading.Event]:
        """Such calls are done, and not answered before the block ends; the event is set as soon as one waits."""
        hold = self.workspace.holds[call] = Hold()
        try:
            yield hold.reached
        finally:
            del self.workspace.holds[call]
            hold.released.set()

    def forget_faults(self) -> None:
        """What was planned and has not happened yet does not happen; all behaves as it does at first."""
        self.workspace.ordered.forget()
        grace_seconds = self.workspace.manner.grace_seconds
        self.workspace.manner = Manner(grace_seconds=grace_seconds)

    def behave(self, **changes: Any) -> None:
        """From now on, these of `workspace.Manner`. :raises AttributeError: it has no such."""
        for name, value in changes.items():
            setattr(self.workspace.manner, name, value)

    def finish_builds(self) -> None:
        """Images that are being made are ready now."""
        for build in list(self.workspace.builds.values()):
            build.ready_at = 0.0

    def keep_secret(self, name: str, content: dict[str, str], *, environment: str = "main") -> None:
        self.workspace.secrets.made(environment, name, content)

    def keep_volume(self, name: str, *, environment: str = "main") -> None:
        self.workspace.volumes.made(environment, name)

    def requests(self, call: str = "SandboxCreate") -> list[Any]:
        """Each of these calls so far, of either version, those that were refused too; a client's repeats count once."""
        return [request for name, request in self.workspace.requests if name == call]

    def calls(self) -> dict[str, int]:
        """How often each call was made, as in SandboxCreateV2; a client's repeats too."""
        return dict(self.workspace.calls)

    def started(self, run_id: str) -> list[str]:
        """Of each container that was really started for the run, its sandbox's id."""
        return [each.id for each in list(self.workspace.started) if each.told.get("PUSHPOOL_RUN_ID") == run_id]

    def sandboxes(self, run_id: str | None = None) -> list[Sandbox]:
        """Those of a run, or all, the oldest first."""
        found = list(self.workspace.sandboxes.values())
        return [each for each in found if run_id is None or each.told.get("PUSHPOOL_RUN_ID") == run_id]

    def sandbox(self, name: str) -> Sandbox:
        """By its id, or the youngest of a name. :raises KeyError:"""
        for each in reversed(self.sandboxes()):
            if name in (each.id, each.name):
                return each
        raise KeyError(name)

    def live(self) -> list[str]:
        """Ids of sandboxes that have not ended."""
        return [each.id for each in self.sandboxes() if not each.has_ended]

    def kill(self, name: str) -> None:
        """As happens when its memory runs out."""
        self.sandbox(name).run_out_of_memory()

    def log(self, name: str) -> str:
        """What its container has written."""
        return self.sandbox(name).log

    def environment_of(self, name: str) -> dict[str, str]:
        """What its container was told, the token too: with it a test speaks as the container."""
        return dict(self.sandbox(name).told)


@contextmanager
def modal(folder: Path, *, port: int = 0, **options: Any) -> Iterator[ModalApi]:
    """The API of a workspace while the block lasts; what its containers write is in `folder`. `options`: Workspace's.

    :raises Missing: Modal's library is not installed.
    """
    given = {"images": frozenset({IMAGE}), "tokens": {TOKEN_ID: TOKEN_SECRET}, **options}
    workspace = Workspace(folder, **given)
    served = _Served(workspace, port)
    try:
        yield ModalApi(workspace, served.endpoint)
    finally:
        workspace.close()
        served.close()


class _Served:
    """The services in a thread of their own, with an event loop of its own."""

    def __init__(self, workspace: Workspace, port: int) -> None:
        # Named, since grpclib looks for it before it turns off Nagle's delays.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._connections: list[Any] = []
        self._loop = asyncio.new_event_loop()
        self._listening = self._loop.run_until_complete(self._listen(workspace))
        self._thread = threading.Thread(target=self._loop.run_forever, name="modal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self, workspace: Workspace) -> asyncio.Server:
        server = theirs.module("grpclib.server").Server(services(workspace, self.endpoint))

        def connection() -> Any:
            self._connections.append(server._protocol_factory())  # noqa: SLF001 # it keeps none that it could close
            return self._connections[-1]

        return await self._loop.create_server(connection, sock=self._socket)

    async def _stop(self) -> None:
        self._listening.close()
        for each in self._connections:
            each.handler.close()
            each.connection.close()
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
