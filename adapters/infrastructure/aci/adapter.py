"""Container groups of Azure, one a run, as `Infrastructure`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from adapters import asking, azure
from adapters.commands import RUN_TOKEN
from adapters.failures import Failure, Trouble
from adapters.infrastructure.aci import diagnosis, groups, outcomes, places
from adapters.infrastructure.aci.clients import Clients
from adapters.infrastructure.aci.places import Group
from adapters.infrastructure.aci.rendering import request_of
from dispatcher.errors import Misconfigured, Unreachable
from dispatcher.ports import (
    Accepted,
    Event,
    Job,
    NotNow,
    Observation,
    Outcome,
    Phase,
    PoolUnavailable,
    Request,
    Submission,
    Traits,
    Unknown,
    Window,
)
from dispatcher.runs import Target

T = TypeVar("T")

LOOK_SECONDS, PUT_SECONDS, CALL_SECONDS = 4.0, 12.0, 10.0
SUBMISSION_SECONDS = 25.0  # of a submission; a last call may take as long as a connection does besides
GONE_PAUSE = 0.25  # between two looks whether it is
LOG_LINES = 100

# "Resource availability & quota limits for ACI": creates and deletes, each, of a subscription in a region.
CREATES_PER_HOUR, CREATES_PER_FIVE_MINUTES = 300, 100
# From the grant of a call to its arrival: it waits for its turn, `submit_deadline` at the most, and looks first.
ARRIVAL = timedelta(seconds=45)
FIVE_MINUTES, HOUR = timedelta(minutes=5) + ARRIVAL, timedelta(hours=1) + ARRIVAL

Json = Mapping[str, Any]


def traits_for(per_hour: int, per_five_minutes: int) -> Traits:
    """Within the quotas; some of the deletes are left for groups that were refused or cancelled before they began."""

    def rates(share: float) -> tuple[Window, ...]:
        short, long = (max(1, int(share * calls)) for calls in (per_five_minutes, per_hour))
        return (Window(short, FIVE_MINUTES), Window(long, HOUR))

    return Traits(
        # Each repeat looks for the group first, and finds it for as long as it is there. What cannot be told from a
        # submission that never arrived is a group that has run and was deleted by hand: the sooner that is, the less
        # likely.
        token_life=timedelta(minutes=10),
        visibility_delay=timedelta(seconds=30),
        submit_deadline=timedelta(seconds=30),
        start_deadline=timedelta(minutes=15),
        rates={"submit": rates(1.0), "cleanup": rates(0.97)},
        parallel=10,  # as many connections as the client library keeps
        # Ended groups count among the 100 that may be in a region until they are deleted.
        cleanup_after=timedelta(minutes=1),
        describe_batch=40,
    )


def open(settings: Mapping[str, str]) -> AzureContainerInstances:  # noqa: A001 - the registry calls it by this name
    """Settings: `region`, where a template names none; `aci_creates_per_hour` and `aci_creates_per_five_minutes`.

    The latter are the subscription's quotas in a region, where they were raised.
    """
    per_hour = int(settings.get("aci_creates_per_hour") or CREATES_PER_HOUR)
    per_five_minutes = int(settings.get("aci_creates_per_five_minutes") or CREATES_PER_FIVE_MINUTES)
    return AzureContainerInstances(settings.get("region", ""), Clients(), traits_for(per_hour, per_five_minutes))


@dataclass(frozen=True, slots=True)
class _Deadline:
    """How long a submission may take, on the monotonic clock."""

    until: float

    def left(self, most: float) -> float:
        return max(0.0, min(most, self.until - time.monotonic()))


class AzureContainerInstances:
    """Starts, finds, describes, stops and deletes container groups, with the dispatcher's own credentials."""

    def __init__(
        self,
        region: str,
        clients: Clients,
        traits: Traits | None = None,
        *,
        submission_seconds: float = SUBMISSION_SECONDS,
    ) -> None:
        self._region, self._clients, self._submission_seconds = region, clients, submission_seconds
        self._traits = traits or traits_for(CREATES_PER_HOUR, CREATES_PER_FIVE_MINUTES)
        self._homes: dict[tuple[str, str], str] = {}  # resource groups' own regions

    @property
    def traits(self) -> Traits:
        return self._traits

    def traits_of(self, target: Target) -> Traits:
        """What is kept is not cleaned up."""
        return replace(self._traits, cleanup_after=None) if places.is_kept(target) else self._traits

    def request(self, job: Job) -> Request:
        return request_of(job, region=self._region, subscription=azure.subscription())

    def submit(self, submission: Submission) -> Outcome:
        """A look right before, always: a PUT on a group that has run would start it again."""
        target, body = submission.request.target, deepcopy(dict(submission.request.body["containerGroup"]))
        group = Group(target.account, places.resource_group(target), str(submission.request.body["containerGroupName"]))
        spare = _Deadline(time.monotonic() + self._submission_seconds)
        try:
            body["location"] = body.get("location") or self._home_of(group)
            if self._looked(group, spare.left(LOOK_SECONDS)) is not None:
                return self._accepted(target, group)
        except Misconfigured as error:
            return PoolUnavailable(str(error))
        except azure.ERRORS as error:
            return outcomes.of_failure(azure.failure(error), "GET", now=_now(), principal=azure.principal())
        if not (seconds := spare.left(PUT_SECONDS)):
            return NotNow("Azure was slow to say that it is not there; it was not sent")
        variables = body["properties"]["containers"][0]["properties"]["environmentVariables"]
        variables.append({"name": RUN_TOKEN, "secureValue": submission.token})
        try:
            self._clients.put(group, body, seconds=seconds)
        except azure.ERRORS as error:
            return self._refused(target, group, azure.failure(error), spare)
        return self._accepted(target, group)

    def _accepted(self, target: Target, group: Group) -> Accepted:
        return Accepted(group.handle, self.links(target, group.handle))

    def _refused(self, target: Target, group: Group, failure: Failure, spare: _Deadline) -> Outcome:
        if outcomes.is_capacity(failure):
            return self._withdrawn(target, group, failure, spare)
        if outcomes.is_there(failure):
            return self._looked_again(target, group, failure, spare)
        return outcomes.of_submission(failure, now=_now(), principal=azure.principal())

    def _withdrawn(self, target: Target, group: Group, failure: Failure, spare: _Deadline) -> Outcome:
        """What a region without capacity has refused is there, failed, and may start yet: it goes first.

        One that has not gone in time is accepted as what it is; its run is moved on when it has.
        """
        try:
            self._clients.delete(group, seconds=spare.left(CALL_SECONDS))
            while self._looked(group, spare.left(LOOK_SECONDS)) is not None:
                if not spare.left(1.0):
                    return self._accepted(target, group)
                time.sleep(spare.left(GONE_PAUSE))
        except azure.ERRORS as error:
            return Unknown(f"PUT: {failure}; and whether it is gone is not known: {azure.failure(error)}")
        return outcomes.of_failure(_as_refusal(failure), "PUT", now=_now())

    def _looked_again(self, target: Target, group: Group, failure: Failure, spare: _Deadline) -> Outcome:
        """Another has sent the same just before, or it is on its way out."""
        try:
            if self._looked(group, spare.left(LOOK_SECONDS)) is not None:
                return self._accepted(target, group)
        except azure.ERRORS as error:
            return Unknown(f"PUT: {failure}; and GET: {azure.failure(error)}")
        return outcomes.of_submission(failure, now=_now(), principal=azure.principal())

    def _looked(self, group: Group, seconds: float) -> Json | None:
        """None: it is not there. Raises of `azure.ERRORS`."""
        try:
            return self._clients.get(group, seconds=seconds)
        except azure.ERRORS as error:
            if outcomes.is_absent(azure.failure(error)):
                return None
            raise

    def _home_of(self, group: Group) -> str:
        """Its resource group's region, in which it is if nobody named one. Raises of `azure.ERRORS`."""
        key = group.subscription, group.resource_group
        if key not in self._homes:
            self._homes[key] = self._clients.region_of(*key, seconds=LOOK_SECONDS)
        return self._homes[key]

    def find(self, target: Target, run_id: str, attempt: int, submit_seq: int) -> Observation | None:
        seen = self._described(places.named_group(target, run_id, attempt, submit_seq).handle)
        return seen if seen.phase is not Phase.MISSING else None

    def describe_many(self, target: Target, handles: Sequence[str]) -> Mapping[str, Observation]:
        """One GET each: a list tells nothing of what its groups are at."""
        del target
        return asking.each(self._described, handles)

    def _described(self, handle: str) -> Observation:
        group = places.group_of(handle)
        found = _asked("GET", partial(self._looked, group, CALL_SECONDS)) if group is not None else None
        if group is None or found is None:
            return Observation(phase=Phase.MISSING, handle=handle)
        seen = groups.observation(found, handle)
        return replace(seen, log_tail=self._log(group, LOG_LINES) or "") if seen.phase is Phase.STOPPED else seen

    def _log(self, group: Group, lines: int | None) -> str | None:
        """None: there is none, or none to be had."""
        try:
            return self._clients.log(group, places.CONTAINER, lines=lines, seconds=CALL_SECONDS)
        except (*azure.ERRORS, Misconfigured):
            return None

    def log(self, target: Target, handle: str) -> str | None:
        """As much as Azure has of it: 4 MB of one that runs, and 16 KB or 1,000 lines of one that has ended."""
        del target
        group = places.group_of(handle)
        return self._log(group, None) if group is not None else None

    def cancel(self, target: Target, handle: str) -> None:
        """One that runs is stopped and keeps its log; one that has not begun is deleted, or it would begin yet."""
        del target
        group = places.group_of(handle)
        found = _asked("GET", partial(self._looked, group, CALL_SECONDS)) if group is not None else None
        if group is None or found is None or groups.is_over(found):
            return
        call, end = ("stop", self._clients.stop) if groups.is_begun(found) else ("DELETE", self._clients.delete)
        _asked(call, partial(end, group, seconds=CALL_SECONDS), passing=outcomes.EXISTS)

    def links(self, target: Target, handle: str) -> Mapping[str, str]:
        del target
        return places.links(handle, azure.tenant())

    def cleanup(self, target: Target, handle: str) -> None:
        group = places.group_of(handle)
        if group is not None and not places.is_kept(target):
            _asked("DELETE", partial(self._clients.delete, group, seconds=CALL_SECONDS))

    def parse_event(self, raw: Json) -> Event | None:
        """Azure sends none about the end of a container."""
        del raw
        return None

    def diagnose(self, configuration: Json) -> Sequence[tuple[str, bool, str]]:
        return diagnosis.checks(configuration, self.request, self._clients)

    def close(self) -> None:
        self._clients.close()


def _asked(call: str, ask: Callable[[], T], *, passing: frozenset[str] = frozenset()) -> T | None:
    """None: it is not there, or it has just been told something else. :raises Unreachable:"""
    try:
        return ask()
    except Misconfigured as error:
        raise Unreachable(str(error)) from error
    except azure.ERRORS as error:
        failure = azure.failure(error)
        if outcomes.is_gone(failure) or failure.code in passing:
            return None
        outcome = outcomes.of_failure(failure, call, now=_now(), principal=azure.principal())
        raise Unreachable(outcome.reason if isinstance(outcome, PoolUnavailable) else f"{call}: {failure}") from error


def _as_refusal(failure: Failure) -> Failure:
    """A definite no, whatever its status: what it may have made is gone."""
    return replace(failure, trouble=Trouble.REFUSED)


def _now() -> datetime:
    return datetime.now(UTC)
