"""The life of one container group: its containers side by side, started once for each deployment of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from dispatcher.testing.servers.azure.containers import EVICTED, REPLACED, STOPPED, Process, View, event
from dispatcher.testing.servers.azure.theirs import Json

log = logging.getLogger("pushpool.azure")

RESTART_SECONDS = 0.05  # between a container's end and its next start


@dataclass(frozen=True, slots=True)
class Ground:
    """What a group stands on. `changing` guards all that is told of any group."""

    folder: Path
    bin_folder: Path
    changing: threading.RLock
    creating: threading.Event  # cleared: what is created stays so
    entrypoint: Callable[[str], list[str] | None]  # an image's; None: there is no such image
    started: Callable[[str, dict[str, str]], None]  # a group's name, and what its container was told
    grace_seconds: float
    deletion_looks: int  # how often a deleted group is still seen


class Deployment:
    """One start of all containers of a group, until they have ended."""

    def __init__(self, group: Group, ground: Ground, *, restarted: bool) -> None:
        self._group, self._ground = group, ground
        self._restarts_left = 1 if restarted else 0
        self._stopping, self._was_stopped, self._cut = False, False, threading.Event()
        self._views = group.views
        self._processes: dict[str, Process] = {}
        self._logs: dict[str, list[Process]] = {view.name: [] for view in self._views}
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name=group.name, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """SIGTERM, and after the grace SIGKILL; returns before they have ended."""
        with self._ground.changing:
            self._stopping = True
            processes = list(self._processes.values())
        self._cut.set()
        for process in processes:
            process.stop(STOPPED, self._ground.grace_seconds)

    def kill(self, why: str) -> None:
        with self._ground.changing:
            processes = list(self._processes.values())
        for process in processes:
            process.kill(why)

    def log(self, container: str) -> str:
        return "".join(process.log for process in self._logs[container])

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _live(self) -> None:
        try:
            self._wait_until_created()
            with ThreadPoolExecutor(len(self._views)) as threads:
                list(threads.map(self._run, self._views))
        except Exception:
            log.exception("the life of %s ended in an error", self._group.name)
        finally:
            with self._ground.changing:
                self._group.ended(self, was_stopped=self._was_stopped)
                self.ended.set()

    def _wait_until_created(self) -> None:
        with self._ground.changing:
            if not self._stopping:
                self._group.provisioning = "Creating"
        while not self._ground.creating.wait(0.02) and not self._cut.is_set():
            pass

    def _run(self, view: View) -> None:
        while (process := self._next(view)) is not None:
            code, why = process.run()
            with self._ground.changing:
                self._was_stopped = self._was_stopped or why == STOPPED
                view.terminate(code, why)
                if code in (126, 127) and not why:
                    view.events.append(event("Failed", "Error: Failed to start container", "Warning"))
            if not self._is_started_again(code, why) or self._cut.wait(RESTART_SECONDS):
                return

    def _next(self, view: View) -> Process | None:
        with self._ground.changing:
            if self._stopping:
                self._was_stopped = True
                return None
            logs = self._logs[view.name]
            folder = self._ground.folder / uuid4().hex
            told = environment(view.spec)
            process = Process(self._argv(view.spec), told, folder, self._ground.bin_folder)
            self._processes[view.name] = process
            logs.append(process)
            view.run()
            self._group.is_up()
            self._ground.started(self._group.name, told)
            return process

    def _argv(self, spec: Json) -> list[str]:
        """`command` takes the place of the image's entry point and arguments."""
        properties = spec["properties"]
        return [*(properties.get("command") or self._ground.entrypoint(properties["image"]) or ["true"])]

    def _is_started_again(self, code: int, why: str) -> bool:
        """Under `Never` too, if the platform moves it ("Eviction policies"), or so it was ordered."""
        if self._stopping:
            return False
        policy = self._group.policy
        if why == EVICTED or policy == "always" or (policy == "onfailure" and code != 0):
            return True
        self._restarts_left -= 1 if code else 0
        return code != 0 and self._restarts_left >= 0


class Group:
    """A container group: what was asked for, and what is told of it. Each method is called with `changing` held."""

    def __init__(self, id: str, body: Json, ground: Ground, removed: Callable[[], None]) -> None:  # noqa: A002 - as ARM
        self.id, self.body, self._ground, self._removed = id, body, ground, removed
        self.provisioning, self.state = "Pending", "Pending"
        self.events: list[Json] = []
        self.views: list[View] = [View(spec) for spec in body["properties"]["containers"]]
        self.deployment: Deployment | None = None
        self._is_going, self._looks_left = False, ground.deletion_looks

    @property
    def name(self) -> str:
        return self.id.rpartition("/")[2]

    @property
    def region(self) -> str:
        return region_of(self.body)

    @property
    def policy(self) -> str:
        return str(self.body["properties"].get("restartPolicy") or "Always").lower()

    @property
    def has_cores(self) -> bool:
        """What has stopped or ended has given them back ("Manually stop or start containers", "Stop")."""
        return self.state in ("Pending", "Running")

    @property
    def is_transitioning(self) -> bool:
        stopping = self.deployment is not None and self.deployment.is_stopping and not self.deployment.ended.is_set()
        return self.provisioning in ("Pending", "Creating", "Deleting") or stopping

    def deploy(self, body: Json | None = None, *, restarted: bool = False) -> None:
        """Its containers are started, again if they were before; those that run are killed."""
        if self.deployment is not None:
            self.deployment.stop()
            self.deployment.kill(REPLACED)
        self.body = body or self.body
        self.provisioning, self.state, self.events = "Pending", "Pending", []
        self.views = [View(spec) for spec in self.body["properties"]["containers"]]
        self.deployment = Deployment(self, self._ground, restarted=restarted)
        self.deployment.begin()

    def fail(self, told: Json, status: str = "", *of_containers: Json) -> None:
        """It could not be provisioned; it may be yet."""
        self.provisioning = "Failed"
        self.events.append(told)
        for view in self.views:
            view.wait(status, *of_containers)

    def is_up(self) -> None:
        self.provisioning, self.state = "Succeeded", "Running"

    def ended(self, deployment: Deployment, *, was_stopped: bool) -> None:
        """Told by a deployment, its last or one that was replaced."""
        if deployment is not self.deployment:
            return
        if self.provisioning == "Deleting":
            self._go()
            return
        all_well = all(view.exit_code == 0 for view in self.views)
        self.provisioning = "Succeeded"
        self.state = "Stopped" if was_stopped else "Succeeded" if all_well else "Failed"

    def stop(self) -> None:
        """No effect if it has terminated ("Manually stop or start containers", "Stop")."""
        if self.deployment is not None and not self.deployment.ended.is_set():
            self.deployment.stop()
        elif self.has_cores:
            self.state, self.provisioning = "Stopped", "Succeeded"

    def delete(self) -> None:
        """Gone when its containers are."""
        self.provisioning = "Deleting"
        if self.deployment is not None and not self.deployment.ended.is_set():
            self.deployment.stop()
        else:
            self._go()

    def _go(self) -> None:
        self._is_going = True
        if not self._looks_left:
            self._removed()

    def looked(self) -> None:
        """Told by whoever shows it."""
        if self._is_going:
            self._looks_left -= 1
            self._go()


def environment(spec: Json) -> dict[str, str]:
    """What a container is told."""
    pairs = spec["properties"].get("environmentVariables") or ()
    return {pair["name"]: pair.get("secureValue") or pair.get("value") or "" for pair in pairs}


def region_of(body: Json) -> str:
    """As in westeurope; ARM takes "West Europe" too."""
    return str(body["location"]).replace(" ", "").lower()
