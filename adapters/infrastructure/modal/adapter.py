"""Sandboxes of Modal, as `Infrastructure`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from adapters.commands import RUN_TOKEN
from adapters.failures import Failure
from adapters.infrastructure.modal import diagnosis, outcomes, places
from adapters.infrastructure.modal.clients import CallFailed, Clients
from adapters.infrastructure.modal.rendering import request_of
from adapters.infrastructure.modal.sandboxes import observation
from dispatcher.errors import Misconfigured, Unreachable
from dispatcher.ports import (
    Accepted,
    Event,
    Job,
    NotNow,
    Observation,
    Outcome,
    PoolUnavailable,
    Request,
    Submission,
    Traits,
    Unknown,
)
from dispatcher.runs import Target

BUILD_PAUSE = timedelta(seconds=15)

TRAITS = Traits(
    # A repeat looks for the name first, ended sandboxes too. How long Modal remembers those is not documented; its
    # dashboard shows them for longer than this.
    token_life=timedelta(hours=1),
    # A create that was given up may be on its way for a moment; after that its name is found at once.
    visibility_delay=timedelta(seconds=15),
    submit_deadline=timedelta(seconds=30),
    # As long as Modal's own client waits for a GPU to be free.
    start_deadline=timedelta(minutes=21),
    parallel=16,
    enforces_timeout=True,
    describe_batch=50,
)

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that calls may take; those of a submission, one after the other, are fewer than its deadline."""

    prepare: float = 5.0  # the first one connects, in as much time
    build: float = 10.0
    look: float = 4.0
    create: float = 6.0
    describe: float = 15.0


PATIENCE = Patience()


def open(settings: Mapping[str, str]) -> Modal:  # noqa: A001 - the registry calls it by this name
    """Settings: `modal_token`, as JSON with `token_id` and `token_secret`; else as Modal's own configuration has it."""
    return Modal(settings)


class Modal:
    """Starts, finds, describes and stops sandboxes."""

    traits = TRAITS

    def __init__(self, settings: Mapping[str, str], patience: Patience = PATIENCE) -> None:
        self._patience = patience
        self._clients = Clients(settings, create_seconds=patience.create)

    def request(self, job: Job) -> Request:
        return request_of(job)

    def submit(self, submission: Submission) -> Outcome:
        """Looks for the submission's name last before it creates anything: an ended sandbox sets its name free.

        So a repeat finds what the first has started, whatever it lacks by now to start it again.
        """
        try:
            ready, trouble = self._prepared(submission)
            return self._found(submission) or trouble or self._started(submission, ready)
        except Misconfigured as error:
            return PoolUnavailable(str(error))
        except Unreachable as error:
            return NotNow(str(error))  # the token could not be read, so nothing was asked

    def _prepared(self, submission: Submission) -> tuple[Any, Outcome | None]:
        """All that the sandbox needs, its image too; or what is the matter. Nothing is started."""
        target, body = submission.request.target, dict(submission.request.body)
        body["env"] = {**body["env"], RUN_TOKEN: submission.token}
        call, app, environment = self._clients.call, places.app_of(target), target.region
        try:
            ready = call(lambda modal: modal.ready(body, app, environment), seconds=self._patience.prepare)
        except CallFailed as failed:
            return None, outcomes.of_failure(failed.failure, failed.what or "App.lookup", now=datetime.now(UTC))
        try:
            call(lambda modal: modal.build(ready), seconds=self._patience.build)
        except CallFailed as failed:
            return None, _unbuilt(failed.failure)
        return ready, None

    def _found(self, submission: Submission) -> Outcome | None:
        target, attempt, submit_seq = submission.request.target, submission.attempt, submission.submit_seq
        try:
            started = self._looked_for(target, submission.run_id, attempt, submit_seq)
        except CallFailed as failed:
            return outcomes.of_failure(failed.failure, "Sandbox.from_name", now=datetime.now(UTC))
        return _accepted(started) if started is not None else None

    def _started(self, submission: Submission, ready: Any) -> Outcome:
        try:
            started = self._clients.call(lambda modal: modal.start(ready), seconds=self._patience.create)
        except CallFailed as failed:
            if failed.failure.code == outcomes.EXISTS:  # by this very submission, a moment ago
                return self._found(submission) or Unknown(f"Sandbox.create: {failed.failure}; and it is not found")
            return outcomes.of_submission(failed.failure, now=datetime.now(UTC))
        return _accepted(started)

    def _looked_for(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Any:
        """The sandbox of that submission, running or ended; None if there is none."""
        name, tags = places.sandbox_name(run_id, attempt, submit_seq), places.origin_of(run_id, attempt, submit_seq)
        app, environment, gpu = places.app_of(target), target.region, places.has_gpu(target)
        return self._clients.call(
            lambda modal: modal.find(app, environment, name, tags, gpu=gpu), seconds=self._patience.look
        )

    def find(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Observation | None:
        started = _answered("Sandbox.from_name", lambda: self._looked_for(target, run_id, attempt, submit_seq))
        if started is None:
            return None
        handle: str = started.sandbox_id
        return self.describe_many(target, [handle])[handle]

    def describe_many(self, target: Target, handles: Sequence[str]) -> Mapping[str, Observation]:
        del target  # a sandbox's id says all
        if not handles:
            return {}
        seconds = self._patience.describe
        states = _answered(
            "Sandbox.poll", lambda: self._clients.call(lambda modal: modal.states(handles), seconds=seconds)
        )
        return {handle: observation(state, handle) for handle, state in states.items()}

    def cancel(self, target: Target, handle: str) -> None:
        del target
        seconds = self._patience.look
        _answered("Sandbox.terminate", lambda: self._clients.call(lambda m: m.terminate(handle), seconds=seconds))

    def links(self, target: Target, handle: str) -> Mapping[str, str]:
        del target
        return {"console": places.link(handle)}

    def log(self, target: Target, handle: str) -> str | None:
        """The last lines that it wrote, on both streams; None if who asks cannot have them, or not now."""
        del target
        try:
            found: str = self._clients.call(lambda modal: modal.log(handle), seconds=self._patience.describe)
        except (CallFailed, Misconfigured, Unreachable):
            return None
        return found

    def cleanup(self, target: Target, handle: str) -> None:
        """Nothing is left behind: an ended sandbox costs nothing, and goes by itself."""

    def parse_event(self, raw: Json) -> Event | None:
        """Modal tells of nothing by itself."""
        del raw
        return None

    def diagnose(self, configuration: Json) -> Sequence[tuple[str, bool, str]]:
        return diagnosis.checks(configuration, self.request, self._clients)

    def close(self) -> None:
        self._clients.close()


def _accepted(started: Any) -> Accepted:
    links = {"console": places.link(started.sandbox_id)}
    if started.app_id:
        links["app"] = places.link(started.app_id)
    return Accepted(started.sandbox_id, links)


def _unbuilt(failure: Failure) -> Outcome:
    """Nothing was created yet, and Modal goes on with the build: it knows its images by what they are made of."""
    if failure.code == "TimeoutError":
        return NotNow(
            "its image is being built by Modal, as happens once for each image and its pip_packages", BUILD_PAUSE
        )
    return outcomes.of_failure(failure, "Image.build", now=datetime.now(UTC))


def _answered(name: str, call: Callable[[], Any]) -> Any:
    """What the call returns. :raises Unreachable: no answer, or none that tells anything."""
    try:
        return call()
    except Misconfigured as error:
        raise Unreachable(str(error)) from error
    except CallFailed as failed:
        outcome = outcomes.of_failure(failed.failure, name, now=datetime.now(UTC))
        told = outcome.reason if isinstance(outcome, PoolUnavailable) else f"{name}: {failed.failure}"
        raise Unreachable(told) from failed
