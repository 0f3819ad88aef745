"""Runs as processes of this machine, as `Infrastructure`."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from adapters.commands import RUN_TOKEN, RUNNER
from adapters.doctor import stand_in
from adapters.infrastructure.process import folders, shim
from adapters.infrastructure.process.folders import Attempt, Stage
from adapters.infrastructure.process.rendering import MARK, CannotStartError, Launch, body_of, launch
from adapters.infrastructure.process.stopping import end_what_is_left, stop
from adapters.infrastructure.process.watching import Watcher
from adapters.infrastructure.process.words import observation, refusal
from dispatcher.errors import InvalidInput, Misconfigured, Unreachable
from dispatcher.ports import (
    Accepted,
    Event,
    Job,
    Observation,
    Outcome,
    Phase,
    Rejected,
    Request,
    Submission,
    Tell,
    Traits,
    Unknown,
)
from dispatcher.runs import Target

log = logging.getLogger("pushpool")

TYPE = "process"
LOG_BYTES = 1 << 20
RUNNER_HEADSTART_SECONDS = 5.0  # the runner kills its command itself, and then has its end to report


def open(settings: Mapping[str, str]) -> Process:  # noqa: A001 - the registry calls it by this name
    """Settings: `state_directory`, to keep attempts in; `log_retention_days` (7); `host`, this place's name.

    :raises Misconfigured: one of them cannot be used.
    """
    if not settings.get("state_directory"):
        raise Misconfigured("process pools need the setting state_directory: a folder to keep attempts in")
    days = settings.get("log_retention_days") or "7"
    try:
        retention = timedelta(days=float(days))
    except (ValueError, OverflowError) as error:
        raise Misconfigured(f"process pools: log_retention_days is {days!r}: write a number") from error
    root = Path(settings["state_directory"]).expanduser().resolve()
    return Process(root, _host(root, settings.get("host")), retention)


def _host(root: Path, wanted: str | None) -> str:
    """As the settings say; else as when the state directory was first used: a renamed host keeps its runs."""
    name = wanted or socket.gethostname()
    try:
        folders.make_private(root)
        with (root / folders.HOST).open("x") as made:
            made.write(f"{name}\n")
    except OSError:
        pass  # it is there, or nothing can be written there: `submit` and `diagnose` say so
    try:
        return wanted or (root / folders.HOST).read_text().strip() or name
    except OSError:
        return name


class Process:
    """Starts, finds, describes and stops processes: all those that are kept in its state directory."""

    def __init__(self, root: Path, host: str, retention: timedelta) -> None:
        self._root = root
        self._host = host
        self._tells: list[Tell] = []
        self._watcher = Watcher()
        self.traits = Traits(
            visibility_delay=timedelta(seconds=folders.PATIENCE_SECONDS),
            start_deadline=timedelta(minutes=5),
            parallel=8,
            cleanup_after=retention,
            pushes_events=True,
        )

    def request(self, job: Job) -> Request:
        return Request(Target(TYPE, account=self._host), body_of(job))

    def submit(self, submission: Submission) -> Outcome:
        handle = folders.handle_of(submission.run_id, submission.attempt, submission.submit_seq)
        attempt = folders.by_handle(self._root, handle)
        account = submission.request.target.account
        if attempt is None:
            return Rejected(f"{submission.run_id!r} cannot be the name of a folder")
        if account != self._host:
            return Unknown(f"it belongs to the process pool of {account!r}, and this is {self._host!r}")
        return self._start(attempt, submission) or Accepted(handle, _links(attempt))

    def _start(self, attempt: Attempt, submission: Submission) -> Outcome | None:
        """None if it was started, now or before."""
        body = submission.request.body
        extra = {RUN_TOKEN: submission.token, MARK: str(attempt.folder)}
        try:
            if attempt.folder.exists():
                return None
            prepared = launch(body, extra)
            attempt.claim(_about(body))
        except FileExistsError:
            return None
        except (CannotStartError, OSError) as error:
            return refusal(error, self._root)
        return self._run(attempt, prepared)

    def _run(self, attempt: Attempt, prepared: Launch) -> Outcome | None:
        try:
            with attempt.log.open("ab") as output:
                pid = shim.start(attempt.folder, prepared, output)
        except (OSError, ValueError) as error:
            attempt.remove()
            return refusal(error, self._root)
        if self._tells:
            self._watcher.follow(pid, functools.partial(self._tell_of, attempt))
        return None

    def find(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Observation | None:
        handle = folders.handle_of(run_id, attempt, submit_seq)
        seen = self.describe_many(target, [handle])[handle]
        return None if seen.phase is Phase.MISSING else seen

    def describe_many(self, target: Target, handles: Sequence[str]) -> Mapping[str, Observation]:
        shim.reap()
        with _reaching():
            return {handle: self._describe(target, handle) for handle in handles}

    def _describe(self, target: Target, handle: str) -> Observation:
        attempt, stage = self._look(target, handle)
        if attempt is None:
            return Observation(phase=Phase.MISSING, handle=handle)
        if stage is Stage.ALIVE and self._tells:
            self._follow(attempt)
        end_what_is_left(attempt, stage)
        return observation(attempt, stage)

    def _look(self, target: Target, handle: str) -> tuple[Attempt | None, Stage]:
        """The attempt, None if there is none.

        :raises Unreachable: there is none, and this is not where it was sent: only that place can say so.
        """
        attempt = folders.by_handle(self._root, handle)
        stage = attempt.stage() if attempt else Stage.MISSING
        if stage is not Stage.MISSING:
            return attempt, stage
        if target.account != self._host:
            raise Unreachable(
                f"{handle} was sent to the process pool of {target.account!r}, and this is {self._host!r}: "
                "ask there, or give this one that name with the setting host"
            )
        if not (self._root / folders.HOST).exists():
            raise Unreachable(f"{self._root} is not there, or is not the folder that it was: bring it back")
        return None, stage

    def cancel(self, target: Target, handle: str) -> None:
        with _reaching():
            attempt, stage = self._look(target, handle)
            if attempt is not None and stage in (Stage.CLAIMED, Stage.ALIVE):
                stop(attempt, self._watcher.later)

    def links(self, target: Target, handle: str) -> Mapping[str, str]:
        del target
        attempt = folders.by_handle(self._root, handle)
        return _links(attempt) if attempt else {}

    def log(self, target: Target, handle: str) -> str | None:
        """The last MiB of what it wrote."""
        del target
        attempt = folders.by_handle(self._root, handle)
        return attempt.output(LOG_BYTES) if attempt and attempt.log.exists() else None

    def cleanup(self, target: Target, handle: str) -> None:
        with _reaching():
            attempt, stage = self._look(target, handle)
            if stage in (Stage.CLAIMED, Stage.ALIVE):
                raise Unreachable(f"{handle} has not ended: it can be cleaned up when it has")
            if attempt is not None:
                attempt.remove()

    def parse_event(self, raw: Mapping[str, Any]) -> Event | None:
        """None: ends are told of by `watch`, and nothing comes from outside."""
        del raw
        return None

    def watch(self, tell: Tell) -> None:
        """Ends that nobody has told of yet are told of at once, whoever started those processes."""
        self._tells.append(tell)
        self._watcher.later(0, self._take_over)

    def close(self) -> None:
        """Stops watching. What runs goes on, and whoever opens the state directory next takes it over."""
        self._watcher.close()

    def _take_over(self) -> None:
        for attempt in folders.attempts(self._root):
            self._tell_of(attempt)

    def _follow(self, attempt: Attempt) -> None:
        who = attempt.identity()
        if who is not None:
            self._watcher.follow(who.pid, functools.partial(self._tell_of, attempt))

    def _tell_of(self, attempt: Attempt) -> None:
        try:
            self._over(attempt)
        except OSError:  # out of descriptors, say: that is no word on the attempt
            log.exception("process cannot be looked at", extra={"run": attempt.run_id, "attempt": attempt.number})
            self._watcher.later(folders.PATIENCE_SECONDS, functools.partial(self._tell_of, attempt))

    def _over(self, attempt: Attempt) -> None:
        """Tells of the attempt's end, once; or goes on waiting for it."""
        shim.reap()
        stage = Stage.MISSING if attempt.is_told else attempt.stage()
        match stage:
            case Stage.MISSING:
                pass
            case Stage.ALIVE:
                self._follow(attempt)
            case Stage.CLAIMED:
                self._watcher.later(folders.PATIENCE_SECONDS, functools.partial(self._tell_of, attempt))
            case Stage.EXITED | Stage.VOID | Stage.LOST:
                end_what_is_left(attempt, stage)
                event = Event(attempt.run_id, attempt.number, observation(attempt, stage))
                for tell in self._tells:
                    tell(event)
                attempt.mark_told()

    def diagnose(self, configuration: Mapping[str, Any]) -> Sequence[tuple[str, bool, str]]:
        nearest = next(path for path in (self._root, *self._root.parents) if path.exists())
        writable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
        return [
            ("state directory", writable, f"{self._root} has to be a folder that this user can write to"),
            ("shell", os.access(shim.SHELL, os.X_OK), f"{shim.SHELL} has to be there and executable"),
            ("python", bool(sys.executable), "the dispatcher's Python does not know its own path"),
            _command_check(configuration),
        ]


def _command_check(configuration: Mapping[str, Any]) -> tuple[str, bool, str]:
    try:
        launch(body_of(stand_in(configuration)), {})
    except (InvalidInput, CannotStartError) as error:
        return ("command and working_dir", False, str(error))
    return ("command and working_dir", True, "")


def _links(attempt: Attempt) -> dict[str, str]:
    return {"logs": str(attempt.log)}


def _about(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the request; `grace_seconds` from SIGTERM to SIGKILL."""
    headstart = RUNNER_HEADSTART_SECONDS if body["argv"][0] == RUNNER else 0.0
    return {"name": body["name"], "labels": body["labels"], "grace_seconds": body["grace_seconds"] + headstart}


@contextlib.contextmanager
def _reaching() -> Iterator[None]:
    """What cannot be read says nothing of an attempt."""
    try:
        yield
    except OSError as error:
        raise Unreachable(f"{error.filename or 'this machine'}: {error.strerror}") from error
