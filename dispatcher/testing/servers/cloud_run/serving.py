"""A project with its API on a port of this machine, and the test's hand on both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dispatcher.testing.servers.cloud_run import theirs
from dispatcher.testing.servers.cloud_run.conditions import has_ended
from dispatcher.testing.servers.cloud_run.faults import Hold
from dispatcher.testing.servers.cloud_run.news import Hear, Mode
from dispatcher.testing.servers.cloud_run.project import Project
from dispatcher.testing.servers.cloud_run.service import add_to
from dispatcher.testing.servers.cloud_run.theirs import Json

IMAGE = "pushpool-test/python:1"
REGION = "europe-west1"


class CloudRunApi:
    """The test's hand on the API of one project. `image` is the one image there is; `pushpool-run` is on its PATH."""

    image, region = IMAGE, REGION

    def __init__(self, project: Project, address: str) -> None:
        self.project, self.address = project, address
        self.environment = {"PUSHPOOL_GOOGLE_EMULATOR": address, "GOOGLE_CLOUD_PROJECT": project.id}

    def client(self, kind: str) -> Any:
        """Google's own, as in JobsClient; its methods repeat calls unless they are told not to."""
        channel = theirs.grpc().insecure_channel(self.address)
        made = getattr(theirs.module("google.cloud.run_v2"), kind)
        return made(transport=made.get_transport_class("grpc")(channel=channel))

    def fail_next(self, kind: str, *, call: str = "CreateJob", times: int = 1) -> None:
        """The next of these calls, whoever makes them, meet with that, one of `faults.Fault`."""
        self.project.ordered.plan(call, kind, times)

    @contextmanager
    def replies_held(self, call: str = "CreateJob") -> Iterator[threading.Event]:
        """Such calls are done, and not answered before the block ends; the event is set as soon as one waits."""
        hold = self.project.holds[call] = Hold()
        try:
            yield hold.reached
        finally:
            del self.project.holds[call]
            hold.released.set()

    def forget_faults(self) -> None:
        """What was planned and has not happened yet does not happen; all behaves as it does at first."""
        self.project.ordered.forget()
        self.project.behave(most_jobs=1000, most_running=1000, retained=1000, not_started="", gets_ready=True)

    def behave(self, **changes: Any) -> None:
        """From now on, these of `project.Manner`."""
        self.project.behave(**changes)

    def requests(self, call: str = "CreateJob") -> list[Json]:
        """Each of these calls so far, as JSON, those that were refused too."""
        with self.project.changing:
            return [request for name, request in self.project.requests if name == call]

    def calls(self) -> dict[str, int]:
        """How often each call was made, as in CreateJob; those that were refused too."""
        with self.project.changing:
            return dict(self.project.calls)

    def started(self, **environment: str) -> list[str]:
        """Of each container that was really started and told these variables, its execution's name."""
        with self.project.changing:
            return [name for name, told in self.project.started if environment.items() <= told.items()]

    def jobs(self) -> list[str]:
        with self.project.changing:
            return list(self.project.jobs)

    def live(self) -> list[str]:
        """Names of executions that have not ended."""
        with self.project.changing:
            return [name for name, life in self.project.lives.items() if not has_ended(life.execution)]

    def kill(self, execution: str) -> None:
        """As happens when its memory runs out."""
        self.project.lives[execution].run_out_of_memory()

    def log(self, execution: str) -> str:
        """What its containers have written."""
        return self.project.lives[execution].log()

    def environment_of(self, execution: str) -> dict[str, str]:
        """What its first container was told, the token too: with it a test speaks as the container."""
        return _environment(self.project.lives[execution].execution)

    def listen(self, hear: Hear) -> None:
        """From now on each entry of the audit log is handed to `hear`, from the threads of executions."""
        self.project.news.listen(hear)

    def events(self, execution: str | None = None) -> list[Json]:
        """The entries of the audit log so far, as a sink hands them on; of one execution, or all."""
        name = execution.rpartition("/")[2] if execution else None
        return [each for each in self.project.news.told() if name in (None, _named(each))]

    @contextmanager
    def events_are(self, mode: str) -> Iterator[None]:
        """`dropped`, `doubled` or, until `release_events`, `held`, while the block lasts."""
        self.project.news.mode = Mode(mode)
        try:
            yield
        finally:
            self.project.news.mode = Mode.NORMAL

    def release_events(self, *, backwards: bool = False) -> int:
        """Sends those that are held, the newest first if `backwards`; how many there were."""
        return self.project.news.release(backwards=backwards)


@contextmanager
def cloud_run(folder: Path, *, port: int = 0, **options: Any) -> Iterator[CloudRunApi]:
    """The API of a project while the block lasts; what its containers write is in `folder`. `options`: Project's.

    :raises Missing: Google's libraries are not installed.
    """
    project = Project(folder, **{"images": {IMAGE: []}, **options})
    server = theirs.grpc().server(ThreadPoolExecutor(16))
    add_to(server, project)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield CloudRunApi(project, f"127.0.0.1:{port}")
    finally:
        stopped: threading.Event = server.stop(None)
        project.close()
        stopped.wait(5)


def _environment(execution: Json) -> dict[str, str]:
    pairs = execution["template"]["containers"][0].get("env", [])
    return {pair["name"]: pair.get("value", "") for pair in pairs}


def _named(entry: Json) -> str:
    return str(entry["protoPayload"]["resourceName"]).rpartition("/")[2]
