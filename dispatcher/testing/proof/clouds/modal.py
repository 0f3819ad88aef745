"""Modal as a far side: each life has an app of its own in one workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from dispatcher.testing.proof.clouds.gated import ALL_FAULTS, Gated, Key, Sight, told_key, wait_until_none
from dispatcher.testing.servers.modal import ModalApi
from dispatcher.testing.servers.modal import modal as served
from dispatcher.testing.servers.modal.sandboxes import Sandbox


@contextmanager
def modal(folder: Path) -> Iterator[Callable[[], App]]:
    """:raises Missing:"""
    with served(folder) as api:
        api.behave(grace_seconds=1.0)
        numbers = count(1)
        yield lambda: App(api, f"life-{next(numbers)}")


class App(Gated):
    """What is in it is read from the workspace itself. Ended sandboxes cost nothing and need no cleaning up."""

    type = "modal:push"
    faults = ALL_FAULTS

    def __init__(self, api: ModalApi, name: str) -> None:
        super().__init__(variables={"image": api.image, "app": name}, environment=api.environment())
        self._api, self._name = api, name
        self._terminated: set[str] = set()  # ids, of any life's
        self._read = len(api.workspace.requests)  # so many were there before

    def crash(self, name: str) -> None:
        for each in self._of(self.key(name)):
            self._api.kill(each.id)
        self.wait_for_end(name)

    def forget(self, name: str) -> None:
        for each in self._of(self.key(name)):
            each.terminate()
            self._remove(each)
        self.wait_for_end(name)

    def fail_next(self, kind: str, *, times: int = 1) -> None:
        self._api.fail_next(kind, times=times)

    def see(self) -> Sight:
        terminated, live = self._asked_to_end(), self._live()
        ending = [each.id for each in live if each.id in terminated]
        return Sight([told_key(each.told) for each in live], ending)

    def left(self) -> list[str]:
        return [each.id for each in self._live()]

    def close(self) -> None:
        super().close()
        self._api.workspace.ordered.forget()
        wait_until_none(lambda: ", ".join(self.left()))
        for each in self._sandboxes():
            self._remove(each)

    def _sandboxes(self) -> list[Sandbox]:
        workspace = self._api.workspace
        with workspace.changing:
            return [each for each in workspace.sandboxes.values() if workspace.apps.get(each.app_id).name == self._name]

    def _live(self) -> list[Sandbox]:
        return [each for each in self._sandboxes() if not each.has_ended]

    def _asked_to_end(self) -> set[str]:
        new = self._api.workspace.requests[self._read :]
        self._read += len(new)
        self._terminated |= {request.sandbox_id for call, request in new if call == "SandboxTerminate"}
        return self._terminated

    def _of(self, key: Key) -> list[Sandbox]:
        return [each for each in self._live() if told_key(each.told) == key]

    def _remove(self, sandbox: Sandbox) -> None:
        with self._api.workspace.changing:
            del self._api.workspace.sandboxes[sandbox.id]
