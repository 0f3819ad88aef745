"""What an error to a PUT, or to what was asked before it, means for the submission. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from adapters.azure import NO_CREDENTIALS
from adapters.failures import Failure, Trouble
from adapters.infrastructure.aci.places import PROVIDER
from adapters.infrastructure.aci.reasons import CAPACITY_ADVICE, IMAGE_ADVICE
from dispatcher.ports import NotNow, Outcome, PoolUnavailable, Rejected, Unknown

RATE_PAUSE = timedelta(seconds=20)
BUSY_PAUSE = timedelta(seconds=30)
QUOTA_PAUSE = timedelta(minutes=2)  # the groups of ended runs are deleted a minute after their end
# A throttle that lasts longer holds for every run: the pool waits for it, and says so.
LONGEST_PAUSE_OF_A_RUN = timedelta(minutes=1)

ABSENT = frozenset({"ResourceNotFound", "NotFound", "ContainerGroupNotFound"})
TRANSITIONING = "ContainerGroupTransitioning"
EXISTS = frozenset({TRANSITIONING, "InvalidResourceLocation"})  # a group of that very name is there

_CAPACITY = re.compile(r"requested resource.* is not available in the location|insufficient.?capacity", re.IGNORECASE)
_QUOTA = re.compile(r"container group quota '(?P<quota>\w+)' exceeded.*?Limit: '(?P<limit>\d+)'", re.IGNORECASE)
_DENIED = re.compile(
    r"client '(?P<client>[^']+)'.*(does not have (authorization|permission) to perform action) '(?P<action>[^']+)'"
    r"(?: (?:over|on the linked) scope(?:\(s\))? '(?P<scope>[^']+)')?",
    re.IGNORECASE | re.DOTALL,
)
_MORE = "ask Azure for a higher quota (portal, Quotas, Container Instances)"
_FEWER = "give the pool a lower concurrency limit"


_WAYS_OUT = {
    "resourcegroupnotfound": "make it, or check resource_group_name",
    "subscriptionnotfound": "check subscription_id, and that the dispatcher's identity has a role in it",
    "invalidsubscriptionid": "check subscription_id",
    "subscriptionnotregistered": f"az provider register --namespace {PROVIDER}",
    "missingsubscriptionregistration": f"az provider register --namespace {PROVIDER}",
    "locationnotavailableforresourcetype": "set `region` and `other_regions` to ones of that list",
    "noregisteredproviderfound": "set `region` and `other_regions` to ones of that list",
    "invalidlocation": "check `region` and `other_regions`",
    "scopelocked": "take the lock off the resource group: container groups are made and deleted in it",
    "readonlydisabledsubscription": "renew the subscription",
    "subscriptionnotactive": "renew the subscription",
    "disallowedoperation": "see what the subscription is allowed",
}
_REJECTIONS = {
    "requestdisallowedbypolicy": "see the Azure Policy assignments of the resource group",
    **dict.fromkeys(
        ("inaccessibleimage", "imagenotfound", "invalidimage", "invalidimageregistrycredentialtype"), IMAGE_ADVICE
    ),
}
_BUSY = {
    **dict.fromkeys(("anotheroperationinprogress", "conflict", "retryableerror", TRANSITIONING.lower()), ""),
    "registryerrorresponse": "; if it stays so: mirror the image",
}


def is_capacity(failure: Failure) -> bool:
    """Whether the region has none at this moment; what was asked for is there then, and may start yet."""
    return _CAPACITY.search(failure.message) is not None


def is_there(failure: Failure) -> bool:
    """Whether a group of that name is there."""
    return bool(EXISTS & {failure.code, *failure.answer.get("codes", ())})


def is_absent(failure: Failure) -> bool:
    """Whether it is not, though the resource group is."""
    return failure.answer.get("status") == 404 and failure.code in ABSENT


def is_gone(failure: Failure) -> bool:
    """Whether it is not, or its resource group has been deleted, and it with it."""
    return is_absent(failure) or failure.code == "ResourceGroupNotFound"


def of_submission(failure: Failure, *, now: datetime, principal: str = "") -> Outcome:
    """The PUT failed: without an answer nobody knows whether it was done."""
    if failure.trouble is Trouble.NO_ANSWER:
        return Unknown(f"PUT: {failure}")
    return of_failure(failure, "PUT", now=now, principal=principal)


def of_failure(failure: Failure, call: str, *, now: datetime, principal: str = "") -> Outcome:
    """A definite no: either Azure said so, or the call starts nothing."""
    said = f"{call}: {failure}"
    if (quota := _QUOTA.search(failure.message)) is not None:
        return _of_quota(quota["quota"], quota["limit"], said, now)
    match failure.trouble:
        case Trouble.THROTTLED:
            return _of_rate(failure, said, now)
        case Trouble.NO_ANSWER | Trouble.NOT_SENT:
            # Without a connection not one byte has left: that is as definite as a refusal.
            return NotNow(f"{call} did not reach Azure: {failure}")
        case Trouble.CREDENTIALS if failure.code == NO_CREDENTIALS:
            return PoolUnavailable(failure.message)
        case Trouble.CREDENTIALS:
            return PoolUnavailable(f"Azure does not take the dispatcher's credentials: {failure}; renew them")
        case Trouble.DENIED | Trouble.REFUSED:
            return _of_no(failure, said, now, principal)


def _of_rate(failure: Failure, said: str, now: datetime) -> Outcome:
    seconds = failure.answer.get("retry_after")
    pause = timedelta(seconds=seconds) if isinstance(seconds, int | float) else RATE_PAUSE
    if pause <= LONGEST_PAUSE_OF_A_RUN:
        return NotNow(f"throttled: {said}", pause)
    until = now + pause
    return PoolUnavailable(
        f"the region's rate of creations is used up until {until:%Y-%m-%d %H:%M} UTC: {said}; if that is too little: "
        f"{_MORE}, or use another region, and keep other creators away",
        until,
    )


def _of_quota(quota: str, limit: str, said: str, now: datetime) -> Outcome:
    if limit == "0":
        return PoolUnavailable(
            f"{said}; Azure says so of a subscription without quota in that region, and when one name is made in "
            f"several at once: {_MORE}, or use another region",
            now + QUOTA_PAUSE,
        )
    what = "container groups" if "group" in quota.lower() else "cores"
    until = now + QUOTA_PAUSE
    return PoolUnavailable(
        f"as many {what} are in the region as may be, looked at again at {until:%H:%M:%S} UTC: {said}; {_FEWER}, "
        f"delete groups that were kept, or {_MORE}",
        until,
    )


def _of_no(failure: Failure, said: str, now: datetime, principal: str) -> Outcome:
    codes = [code.lower() for code in (failure.code, *failure.answer.get("codes", ()))]
    if (advice := _known(codes, _REJECTIONS)) is not None:
        return Rejected(f"{said}; {advice}")
    if failure.trouble is Trouble.DENIED:
        return PoolUnavailable(denied(failure, principal))
    if (way_out := _known(codes, _WAYS_OUT)) is not None:
        return PoolUnavailable(f"{said}; {way_out}")
    if "containergroupquotareached" in codes:
        return _of_quota("ContainerGroups", "", said, now)
    return _of_moment(codes, failure, said) or Rejected(said)


def _of_moment(codes: Sequence[str], failure: Failure, said: str) -> Outcome | None:
    """What passes by itself."""
    if (advice := _known(codes, _BUSY)) is not None:
        return NotNow(f"{said}{advice}", BUSY_PAUSE)
    return NotNow(f"{said}; {CAPACITY_ADVICE}") if is_capacity(failure) else None


def _known(codes: Sequence[str], table: Mapping[str, str]) -> str | None:
    return next((table[code] for code in codes if code in table), None)


def denied(failure: Failure, principal: str) -> str:
    """What to allow, and to whom, as far as that is known."""
    whom = principal or "the dispatcher's identity"
    found = _DENIED.search(failure.message)
    if found is None:
        return f"{failure}; allow {whom} what it needs on the resource group (terraform/modules/azure-aci-pool)"
    # A role is given on the resource group; of what is in it there will be others.
    where = (found["scope"] or "its scope").partition(f"/providers/{PROVIDER}/")[0]
    whom = principal or found["client"]
    if "linked" in failure.code.lower():
        return f"{failure}; allow {whom} {found['action']} on {where}, and see that it exists"
    return f"{failure}; allow {whom} {found['action']} on {where}"
