"""What an answer or an error to RunTask, or to what must come before it, means for the submission. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from adapters.failures import Failure, Trouble
from dispatcher.ports import Accepted, NotNow, Outcome, PoolUnavailable, Rejected, Unknown

CAPACITY_PAUSE = timedelta(seconds=15)

_CAPACITY = re.compile(
    r"RESOURCE:|\bAGENT\b|Capacity is unavailable|EMPTY CAPACITY PROVIDER|NO ACTIVE INSTANCES"
    r"|InsufficientFreeAddresses",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"vCPUs? you can run|limit on the number of|quota|PROVISIONING|limit (was )?exceeded", re.IGNORECASE
)
_NEVER = re.compile(r"\b(LOCATION|ATTRIBUTE|MISSING|INACTIVE|MemberOf)\b")
_THROTTLED = re.compile(r"throttl|rate exceeded|too many concurrent attempts", re.IGNORECASE)
_GONE = re.compile(
    r"task ?definition.*(inactive|not found|does not exist)|unable to describe task definition", re.IGNORECASE
)
_NETWORK_GONE = re.compile(r"(subnet|security group|subnetid|groupid).*(does not exist|not found)", re.IGNORECASE)
_MORE_QUOTA = "ask AWS for a higher quota, or give the pool a lower concurrency limit"
# What holds for the pool and not for this job alone, by AWS's `code: message`, and what to do about it.
_POOLS = tuple(
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        (
            r"^ClusterNotFoundException|cluster.*(inactive|not found)",
            "make the cluster, or name one that exists in this region (variable `cluster`)",
        ),
        (r"^BlockedException", "AWS has blocked the account: ask its support"),
        (
            r"assume (the )?role|pass(ed)? (the )?role|role being passed|\brole\b.*\bnot valid",
            "make the role, allow iam:PassRole on it, and let ecs-tasks.amazonaws.com assume it",
        ),
        (r"no container instances were found", "give the cluster instances, or the pool another launch_type"),
        (rf"^(ClientException|LimitExceededException):.*({_QUOTA.pattern})", _MORE_QUOTA),
    )
)
_DENIED = re.compile(r"not authorized to perform: (?P<action>[\w:-]+)(?: on resource: (?P<resource>\S+))?")


def of_answer(answer: Mapping[str, Any]) -> Outcome:
    """RunTask answered 200, which need not mean that it started anything (Developer guide, "API failure reasons")."""
    if tasks := answer.get("tasks"):
        return Accepted(str(tasks[0]["taskArn"]))
    if failures := answer.get("failures"):
        return _of_refusal(failures[0])
    return Unknown("RunTask named neither a task nor a failure")


def _of_refusal(failure: Mapping[str, Any]) -> Outcome:
    """A definite no. It is kept with the token: only another submission can have another answer."""
    reason, detail = str(failure.get("reason") or ""), str(failure.get("detail") or "")
    said = f"ECS: {': '.join(part for part in (reason, detail) if part) or 'no reason given'}"
    if _QUOTA.search(said):
        return PoolUnavailable(f"{said}; {_MORE_QUOTA}")
    if _CAPACITY.search(said):
        return NotNow(f"no capacity: {said}", CAPACITY_PAUSE)
    if _NEVER.search(reason):
        return Rejected(f"{said}; check the pool's cluster and placement, and what the task definition asks for")
    return NotNow(said, CAPACITY_PAUSE)


def of_run_task(failure: Failure, *, is_ours: bool) -> Outcome:
    """RunTask failed. `is_ours`: the task definition is one that we register, and can register anew."""
    if failure.code == "ConflictException":
        # The token is another request's: an earlier one of this very submission, whose task is named.
        tasks = failure.answer.get("resourceIds") or ()
        return Accepted(str(tasks[0])) if tasks else Unknown(f"{failure}; it names no task")
    if failure.trouble is Trouble.NO_ANSWER:
        return Unknown(f"RunTask: {failure}")
    if is_ours and is_definition_gone(failure):
        return NotNow(f"its task definition was deregistered, and will be registered anew: {failure}")
    return of_failure(failure, "RunTask")


def is_definition_gone(failure: Failure) -> bool:
    return failure.trouble is Trouble.REFUSED and bool(_GONE.search(failure.message))


def is_network_gone(failure: Failure) -> bool:
    return failure.trouble is Trouble.REFUSED and bool(_NETWORK_GONE.search(failure.message))


def of_failure(failure: Failure, call: str) -> Outcome:
    """A definite no: either AWS said so, or the call was not RunTask, so that nothing can have been started."""
    match failure.trouble:
        case Trouble.THROTTLED:
            return NotNow(f"{call} was throttled: {failure}")
        case Trouble.NO_ANSWER | Trouble.NOT_SENT:
            # Without a connection not one byte has left: that is as definite as a refusal.
            return NotNow(f"{call} did not reach AWS: {failure}")
        case Trouble.CREDENTIALS:
            return PoolUnavailable(f"AWS does not take the dispatcher's credentials: {failure}; renew them")
        case Trouble.DENIED:
            return PoolUnavailable(denied(failure, call))
        case Trouble.REFUSED:
            return _of_no(failure, call)


def _of_no(failure: Failure, call: str) -> Outcome:
    if _THROTTLED.search(failure.message):  # what EC2 throttles comes as InvalidParameterException
        return NotNow(f"{call} was throttled: {failure}")
    for pattern, advice in _POOLS:
        if pattern.search(str(failure)):
            return PoolUnavailable(f"{call}: {failure}; {advice}")
    return Rejected(f"{call}: {failure}")


def denied(failure: Failure, call: str) -> str:
    """What to allow, as far as AWS says it."""
    found = _DENIED.search(failure.message)
    action, resource = (found["action"], found["resource"] or "*") if found else (f"the action of {call}", "")
    if action == "iam:PassRole":
        return f"{failure}; allow iam:PassRole on {resource} with iam:PassedToService = ecs-tasks.amazonaws.com"
    return f"{failure}; allow {action}{f' on {resource}' if resource else ''} in the dispatcher's policy"
