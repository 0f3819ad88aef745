"""The life of one task, from PROVISIONING to STOPPED, each change of it counted and told.

docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html. ACTIVATING, DEACTIVATING and
STOPPING are passed without an event, as Fargate tasks do.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from tests.servers.ecs.answers import Json
from tests.servers.ecs.containers import Container, NotStarted
from tests.servers.ecs.news import News
from tests.servers.ecs.theirs import ecs, metadata, responses

log = logging.getLogger("pushpool.ecs")

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
_NEVER_EMPTY = ("capacityProviderName", "group", "platformFamily", "platformVersion", "startedBy", "stopCode",
                "stoppedReason")  # fmt: skip


def view(task: Json) -> Json:
    """The task as AWS shows it: nothing of ministack's own, and no empty texts."""
    shown: Json = ecs._sanitize(task)
    hidden = {name for name in _NEVER_EMPTY if shown.get(name) == ""}
    if shown.get("launchType") == "FARGATE":
        hidden.add("containerInstanceArn")
    return {name: value for name, value in shown.items() if name not in hidden}


class Life:
    """`most_seconds`: the longest that a container may take to stop, whatever its definition grants."""

    def __init__(self, task: Json, definition: Json, overrides: list[Json], news: News, most_seconds: int) -> None:
        self._task, self._news, self._most_seconds = task, news, most_seconds
        self._containers = [
            Container(task, definition, its, ecs._container_override_for(overrides, its["name"]))
            for its in definition["containerDefinitions"]
        ]
        self._something = threading.Condition()
        self._stopped = False
        self._killed = False

    def live(self, not_started: str | None = None) -> None:
        """Returns when the task is STOPPED. `not_started`: the reason for which it never starts a container."""
        self._change()
        self._change(lastStatus="PENDING")
        try:
            self._start(not_started)
        except NotStarted as exc:
            self._end_unstarted(exc)
        else:
            self._until_essential_end()
            self.stop("EssentialContainerExited", "Essential container in task exited")
            self._stop_containers()
        self._deprovision()

    def stop(self, code: str, reason: str) -> None:
        """The task is to be stopped, unless it already is to be; returns before it is."""
        with self._something:
            if self._stopped:
                return
            self._stopped = True
            self._change(desiredStatus="STOPPED", stopCode=code, stoppedReason=reason, stoppingAt=responses.now_iso())
            self._something.notify_all()

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self._killed = True
        for container in self._containers:
            container.kill()

    def forget(self) -> None:
        """Killed, and nothing more is told of it."""
        self._task["_ecs_resetting"] = True
        self.kill()

    def _start(self, not_started: str | None) -> None:
        """:raises NotStarted:"""
        if not_started:
            raise NotStarted(not_started)
        self._task["pullStartedAt"] = responses.now_iso()
        for container, shown in zip(self._containers, self._task["containers"], strict=True):
            if self._stopped:
                return
            try:
                shown["runtimeId"] = container.start(self._notice)
            except NotStarted as exc:
                shown["reason"] = exc.container_reason
                raise
            shown["lastStatus"] = "RUNNING"
        now = responses.now_iso()
        self._change(lastStatus="RUNNING", pullStoppedAt=now, startedAt=now)

    def _notice(self) -> None:
        with self._something:
            self._something.notify_all()

    def _until_essential_end(self) -> None:
        with self._something:
            self._something.wait_for(lambda: self._stopped or self._has_ended())

    def _has_ended(self) -> bool:
        ended = [container.exit_code is not None for container in self._containers]
        essential = [container.essential for container in self._containers]
        return all(ended) or any(over and needed for over, needed in zip(ended, essential, strict=True))

    def _stop_containers(self) -> None:
        stoppers = [
            threading.Thread(target=container.stop, args=(self._most_seconds,), daemon=True)
            for container in self._containers
        ]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()
        started = [container for container in self._containers if container.has_started]
        with self._something:
            self._something.wait_for(lambda: all(container.exit_code is not None for container in started), 10)

    def _end_unstarted(self, exc: NotStarted) -> None:
        """Nothing ran: a task whose containers were never made shows none."""
        self._stop_containers()
        if exc.container_reason is None:
            self._task["containers"] = []
        self.stop("TaskFailedToStart", exc.stopped_reason)

    def _deprovision(self) -> None:
        for container, shown in zip(self._containers, self._task["containers"], strict=False):
            shown["lastStatus"] = "STOPPED"
            shown["exitCode"] = container.exit_code
            if container.exit_code == 137 and (self._killed or container.was_out_of_memory()):
                shown["reason"] = OUT_OF_MEMORY
        self._change(lastStatus="DEPROVISIONING", executionStoppedAt=responses.now_iso())
        for container in self._containers:
            container.remove()
        self._change(lastStatus="STOPPED", stoppedAt=responses.now_iso())

    def _change(self, **members: Any) -> None:
        """One version more, and its event; none of a task that was reset away or forgotten."""
        if self._task.get("_ecs_resetting"):
            return
        with self._news.in_order():
            if members:
                self._task.update(members)
                ecs._bump_task_version(self._task)
            metadata.set_task_status(
                self._task["taskArn"], known_status=self._task["lastStatus"], desired_status=self._task["desiredStatus"]
            )
            ecs._recount_cluster(ecs._cluster_name_from_arn(self._task["clusterArn"]))
            self._news.tell(view(self._task))
