"""The life of one execution: its tasks side by side, each tried as often as it may be, each try a container."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dispatcher.testing.servers.cloud_run import conditions, resources
from dispatcher.testing.servers.cloud_run.conditions import Ending, condition, put
from dispatcher.testing.servers.cloud_run.containers import Container
from dispatcher.testing.servers.cloud_run.theirs import Json

log = logging.getLogger("pushpool.cloud_run")


@dataclass(frozen=True, slots=True)
class Ground:
    """What an execution stands on. `changing` guards every resource of the project."""

    folder: Path
    bin_folder: Path
    changing: threading.RLock
    entrypoint: Callable[[str], list[str] | None]  # an image's; None: there is no such image
    secret: Callable[[str, str], str | None]
    started: Callable[[str, dict[str, str]], None]  # an execution's name, and what its container was told
    tell: Callable[[Json], None]
    grace_seconds: float


class Life:
    """`not_started`: why it never gets a container, if it does not."""

    def __init__(self, execution: Json, ground: Ground, not_started: str = "") -> None:
        self.execution, self._ground, self._not_started = execution, ground, not_started
        self.tasks = [resources.new_task(execution, index) for index in range(execution["taskCount"])]
        self._containers: dict[int, Container] = {}
        self._logs: list[Container] = []
        self._cancelled = threading.Event()
        self._has_container = threading.Event()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name=execution["name"].rpartition("/")[2], daemon=True)
        put(execution, *conditions.waiting())

    def begin(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """Returns before it has ended."""
        with self._ground.changing:
            if conditions.has_ended(self.execution):
                return
            self._cancelled.set()
            put(self.execution, condition("Completed", conditions.RECONCILING, executionReason="CANCELLING"))
            containers = list(self._containers.values())
        for container in containers:
            container.cancel(self._ground.grace_seconds)

    def run_out_of_memory(self) -> None:
        self._has_container.wait(10)
        for container in list(self._containers.values()):
            container.run_out_of_memory()

    def log(self) -> str:
        return "".join(container.log for container in self._logs)

    def join(self, seconds: float) -> None:
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _live(self) -> None:
        try:
            why = self._not_started or self._unstartable()
            if why:
                self._end_unstarted(why)
            elif not self._cancelled.is_set():
                self._start()
                with ThreadPoolExecutor(self.execution["parallelism"]) as threads:
                    list(threads.map(self._run, self.tasks))
            self._end()
        except Exception:
            log.exception("the life of %s ended in an error", self.execution["name"])
        finally:
            self.ended.set()

    def _unstartable(self) -> str:
        for container in self.execution["template"]["containers"]:
            if self._ground.entrypoint(container["image"]) is None:
                return f"Image '{container['image']}' not found."
        return ""

    def _end_unstarted(self, why: str) -> None:
        is_image = why.startswith("Image")
        kind, reasons = ("ContainerReady", {"reason": "CONTAINER_MISSING"}) if is_image else ("ResourcesAvailable", {})
        with self._ground.changing:
            put(self.execution, condition(kind, conditions.FAILED, why, **reasons))
            put(self.execution, condition("Completed", conditions.FAILED, why, **reasons))

    def _start(self) -> None:
        with self._ground.changing:
            put(self.execution, *conditions.provisioned())
            put(self.execution, condition("Started", conditions.SUCCEEDED, "Started deployed execution in 0.01s."))
            self.execution["startTime"] = resources.now()
            self.execution["runningCount"] = min(self.execution["parallelism"], len(self.tasks))
            self._ground.tell(self.execution)

    def _run(self, task: Json) -> None:
        task["startTime"] = resources.now()
        ending = Ending()
        for attempt in range(int(task["maxRetries"]) + 1):
            ending = self._tried(task, attempt)
            with self._ground.changing:
                task["retried"] = attempt
                task["lastAttemptResult"] = ending.result()
            if ending.is_success or self._cancelled.is_set():
                break
        with self._ground.changing:
            self._count(task, ending)

    def _tried(self, task: Json, attempt: int) -> Ending:
        number, spec = int(task["index"]), task["containers"][0]
        told = self._environment(task, spec, attempt)
        made = Container(
            self._argv(spec),
            told,
            self._ground.folder / task["uid"] / str(attempt),
            self._ground.bin_folder,
        )
        with self._ground.changing:
            if self._cancelled.is_set():
                return Ending(message=conditions.CANCELLED)
            self._containers[number] = made
            self._logs.append(made)
            self._has_container.set()
            self._ground.started(self.execution["name"], told)
        return made.end(float(task["timeout"].removesuffix("s")), self._ground.grace_seconds)

    def _argv(self, spec: Json) -> list[str]:
        """`command` takes the place of the image's entry point."""
        return [*(spec.get("command") or self._ground.entrypoint(spec["image"]) or []), *spec.get("args", [])]

    def _environment(self, task: Json, spec: Json, attempt: int) -> dict[str, str]:
        """Manual, "Container runtime contract", "Environment variables for jobs"."""
        found = {
            "CLOUD_RUN_JOB": str(task["job"]),
            "CLOUD_RUN_EXECUTION": str(task["execution"]),
            "CLOUD_RUN_TASK_INDEX": str(task["index"]),
            "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
            "CLOUD_RUN_TASK_COUNT": str(self.execution["taskCount"]),
        }
        for pair in spec.get("env", []):
            reference = pair.get("valueSource", {}).get("secretKeyRef")
            value = self._ground.secret(reference["secret"], reference["version"]) if reference else pair.get("value")
            found[pair["name"]] = value or ""
        return found

    def _count(self, task: Json, ending: Ending) -> None:
        execution = self.execution
        kind = "succeededCount" if ending.is_success else "failedCount"
        if self._cancelled.is_set():
            kind = "cancelledCount"
        execution[kind] = execution.get(kind, 0) + 1
        execution["runningCount"] = max(0, execution["runningCount"] - 1)
        if task["retried"]:
            execution["retriedCount"] = execution.get("retriedCount", 0) + 1
        state = conditions.SUCCEEDED if kind == "succeededCount" else conditions.FAILED
        put(task, condition("Completed", state, ending.message))
        task.update(completionTime=resources.now(), reconciling=False)

    def _end(self) -> None:
        execution, began = self.execution, time.monotonic()
        with self._ground.changing:
            if not conditions.has_ended(execution):
                put(execution, self._completed(began))
            execution["completionTime"] = execution["updateTime"] = resources.now()
            execution["reconciling"] = False
            execution.pop("runningCount", None)
            execution["etag"] = resources.etag()
            self._ground.tell(execution)

    def _completed(self, began: float) -> Json:
        if self._cancelled.is_set():
            return condition("Completed", conditions.FAILED, conditions.CANCELLED, executionReason="CANCELLED")
        failed = next((task for task in self.tasks if task["lastAttemptResult"]["status"].get("code")), None)
        if failed is None:
            took = time.monotonic() - began
            return condition("Completed", conditions.SUCCEEDED, f"Execution completed successfully in {took:.2f}s.")
        result = failed["lastAttemptResult"]
        ending = Ending(result.get("exitCode", 0), result.get("termSignal", 0), result["status"]["message"])
        said = ending.said(failed["name"].rpartition("/")[2])
        return condition("Completed", conditions.FAILED, said, executionReason="NON_ZERO_EXIT_CODE")
