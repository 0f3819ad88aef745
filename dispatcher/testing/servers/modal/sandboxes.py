"""A sandbox from creation to its end: one container, which really runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dispatcher.testing.servers.cloud_run.conditions import CANCELLED, OUT_OF_MEMORY, TIMED_OUT, Ending
from dispatcher.testing.servers.cloud_run.containers import Container
from dispatcher.testing.servers.modal import theirs

log = logging.getLogger("pushpool.modal")

FOR_TWO_DAYS = ["sleep", str(48 * 3600)]  # what an image runs that has no command of its own
_STATUSES = {CANCELLED: "TERMINATED", TIMED_OUT: "TIMEOUT", OUT_OF_MEMORY: "KERNEL_OOM_KILL"}
_EXIT_CODES = {"TERMINATED": 137, "TIMEOUT": 124, "KERNEL_OOM_KILL": 137}


@dataclass(slots=True)
class Sandbox:
    """`version` 1 has those with a GPU. `told`: the environment of its container, which nothing lists."""

    id: str
    task_id: str
    version: int
    app_id: str
    definition: Any
    tags: dict[str, str]
    told: dict[str, str] = field(repr=False)
    folder: Path
    bin_folder: Path
    grace_seconds: Callable[[], float]
    created_at: float = field(default_factory=time.time)
    started_at: float = 0.0
    finished_at: float = 0.0
    result: Any = None  # a GenericResult; None: it has not ended
    _container: Container | None = None
    _thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        return str(self.definition.name)

    @property
    def has_ended(self) -> bool:
        return self.result is not None

    @property
    def log(self) -> str:
        return self._container.log if self._container is not None else ""

    def begin(self) -> None:
        words = list(self.definition.entrypoint_args) or FOR_TWO_DAYS
        self._container = Container(words, self.told, self.folder, self.bin_folder)
        self.started_at = time.time()
        self._thread = threading.Thread(target=self._live, args=(self._container,), name=self.id, daemon=True)
        self._thread.start()

    def terminate(self) -> None:
        """Returns before it has ended. One that waits for a place ends at once."""
        if self._container is not None:
            self._container.stop(CANCELLED, self.grace_seconds())
        elif self.result is None:
            self._end(Ending(message=CANCELLED))

    def run_out_of_memory(self) -> None:
        """As the kernel deals with it."""
        if self._container is not None:
            self._container.run_out_of_memory()

    def join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def listed(self) -> Any:
        """As a SandboxInfo."""
        api = theirs.api()
        task = api.TaskInfo(
            id=self.task_id, sandbox_id=self.id, started_at=self.started_at, finished_at=self.finished_at
        )
        if self.result is not None:
            task.result.CopyFrom(self.result)
        return api.SandboxInfo(
            id=self.id, created_at=self.created_at, task_info=task, app_id=self.app_id, tags=tags_of(self.tags),
            name=self.name, image_id=self.definition.image_id, timeout_secs=self.definition.timeout_secs,
            regions=list(self.definition.scheduler_placement.regions), metadata=self.metadata(),
        )  # fmt: skip

    def metadata(self) -> Any:
        made = theirs.api().SandboxHandleMetadata(app_id=self.app_id)
        if self.result is not None:
            made.result.CopyFrom(self.result)
        return made

    def _live(self, container: Container) -> None:
        ending = Ending(message="The container could not be run.")
        try:
            ending = container.end(float(self.definition.timeout_secs), self.grace_seconds())
        except Exception:
            log.exception("the life of %s ended in an error", self.id)
        finally:
            self._end(ending)

    def _end(self, ending: Ending) -> None:
        self.finished_at = time.time()
        self.result = _result(ending)


def tags_of(tags: Mapping[str, str]) -> list[Any]:
    """As messages."""
    return [theirs.api().SandboxTag(tag_name=name, tag_value=value) for name, value in tags.items()]


def _result(ending: Ending) -> Any:
    """An exit code of the command's own is never told with TIMEOUT or TERMINATED (`modal.sandbox._common`)."""
    code = 128 + ending.signal if ending.signal else ending.code
    status = _STATUSES.get(ending.message, "FAILURE" if code else "SUCCESS")
    return theirs.api().GenericResult(status=theirs.status(status), exitcode=_EXIT_CODES.get(status, code))
