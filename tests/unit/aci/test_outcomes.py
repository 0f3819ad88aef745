"""What becomes of each error that Azure can answer a submission with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.azure import NO_CREDENTIALS
from adapters.failures import Failure, Trouble
from adapters.infrastructure.aci import outcomes
from dispatcher.ports import NotNow, Outcome, PoolUnavailable, Rejected, Unknown

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ME = "dispatch-client"
GROUP = "/subscriptions/s/resourceGroups/jobs/providers/Microsoft.ContainerInstance/containerGroups/pushpool-1"
LACKS = "The requested resource with '4' CPU and '16' GB memory is not available in the location 'x' at this moment."
QUOTA = "Resource type '…' container group quota '{}' exceeded in region 'x'. Limit: '{}', Usage: '9' Requested: '1'."


def failure(trouble: Trouble, code: str, message: str = "", **answer: Any) -> Failure:
    return Failure(trouble, code, message, answer)


def refused(code: str, message: str = "", status: int = 409, *inner: str) -> Failure:
    return failure(Trouble.REFUSED, code, message, status=status, codes=[code, *inner])


def throttled(seconds: float | None) -> Failure:
    answer = {} if seconds is None else {"retry_after": seconds}
    return failure(Trouble.THROTTLED, "TooManyRequests", "slow down", **answer)


def denied(code: str, message: str) -> Failure:
    return failure(Trouble.DENIED, code, message, status=403, codes=[code])


def of(failed: Failure, principal: str = ME) -> Outcome:
    return outcomes.of_submission(failed, now=NOW, principal=principal)


def said(outcome: Outcome) -> str:
    return outcome.reason if isinstance(outcome, PoolUnavailable) else str(getattr(outcome, "message", ""))


MAY_NOT = (
    "The client 'c' with object id 'o' does not have authorization to perform action "
    f"'Microsoft.ContainerInstance/containerGroups/write' over scope '{GROUP}' or the scope is invalid."
)
MAY_NOT_LINK = (
    f"The client 'c' has permission to perform action '…/write' on scope '{GROUP}'; however, it does not have "
    "permission to perform action 'Microsoft.Network/virtualNetworks/subnets/join/action' on the linked scope(s) "
    "'/subscriptions/s/…/subnets/jobs' or the linked scope(s) are invalid."
)
# What Azure says, then what that means, and a word of what to do.
ERRORS: list[tuple[str, Failure, type[Outcome], str]] = [
    ("throttled", throttled(5), NotNow, "throttled"),
    ("throttled without a word", throttled(None), NotNow, "throttled"),
    ("the hour is used up", throttled(3600), PoolUnavailable, "until 2026-11-22 13:00 UTC"),
    ("groups", refused("ContainerGroupQuotaReached", QUOTA.format("ContainerGroups", 100)), PoolUnavailable, "groups"),
    ("cores", refused("ContainerGroupQuotaReached", QUOTA.format("StandardCores", 100)), PoolUnavailable, "cores"),
    ("a quota without words", refused("ContainerGroupQuotaReached"), PoolUnavailable, "lower concurrency limit"),
    ("no quota at all", refused("ServiceUnavailable", QUOTA.format("ContainerGroups", 0)), PoolUnavailable, "several"),
    ("no image", refused("InaccessibleImage", "no", 400), Rejected, "AcrPull"),
    ("registry busy", refused("RegistryErrorResponse", "try later"), NotNow, "mirror"),
    ("policy", denied("RequestDisallowedByPolicy", "no"), Rejected, "Azure Policy"),
    ("denied", denied("AuthorizationFailed", MAY_NOT), PoolUnavailable, f"allow {ME} Microsoft.ContainerInstance/"),
    ("a link denied", denied("LinkedAuthorizationFailed", MAY_NOT_LINK), PoolUnavailable, "subnets/join/action on"),
    ("denied without words", denied("Forbidden", ""), PoolUnavailable, f"allow {ME}"),
    ("unregistered", refused("MissingSubscriptionRegistration"), PoolUnavailable, "az provider register"),
    ("no resource group", refused("ResourceGroupNotFound", "", 404), PoolUnavailable, "resource_group_name"),
    ("no subscription", refused("SubscriptionNotFound", "", 404), PoolUnavailable, "subscription_id"),
    ("no such region", refused("LocationNotAvailableForResourceType", "", 400), PoolUnavailable, "`region`"),
    ("locked", refused("ScopeLocked"), PoolUnavailable, "lock"),
    ("in transition", refused("ContainerGroupTransitioning"), NotNow, "Transitioning"),
    ("another operation", refused("AnotherOperationInProgress"), NotNow, "Another"),
    ("no capacity", refused("ServiceUnavailable", LACKS), NotNow, "other_regions"),
    ("told inside", refused("DeploymentFailed", "outer", 400, "InaccessibleImage"), Rejected, "AcrPull"),
    ("bad request", refused("InvalidParameter", "wrong", 400), Rejected, "wrong"),
    ("bad system", refused("OsVersionNotSupported", "no", 400), Rejected, "OsVersion"),
    ("credentials", failure(Trouble.CREDENTIALS, "InvalidAuthenticationToken"), PoolUnavailable, "renew"),
    ("never sent", failure(Trouble.NOT_SENT, "ServiceRequestError"), NotNow, "did not reach"),
    ("cut off", failure(Trouble.NO_ANSWER, "ServiceResponseError"), Unknown, "PUT"),
    ("internal", failure(Trouble.NO_ANSWER, "InternalServerError", "oops", status=500), Unknown, "oops"),
]


@pytest.mark.parametrize(("failed", "kind", "words"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_an_error_is_one_of_five_outcomes_and_says_what_to_do(failed: Failure, kind: type[Outcome], words: str) -> None:
    outcome = of(failed)

    assert isinstance(outcome, kind)
    assert words in said(outcome)


def test_where_there_are_no_credentials_none_are_to_be_renewed() -> None:
    assert of(failure(Trouble.CREDENTIALS, NO_CREDENTIALS, "no credentials: `az login`")) == PoolUnavailable(
        "no credentials: `az login`"
    )


def test_a_role_is_wanted_on_the_resource_group_and_not_on_one_run() -> None:
    assert said(of(denied("AuthorizationFailed", MAY_NOT), "")).endswith(
        "allow c Microsoft.ContainerInstance/containerGroups/write on /subscriptions/s/resourceGroups/jobs"
    )


def test_it_is_waited_as_long_as_azure_says() -> None:
    short, long = of(throttled(5)), of(throttled(3600))

    assert isinstance(short, NotNow)
    assert short.retry_after == timedelta(seconds=5)
    assert isinstance(long, PoolUnavailable)
    assert long.until == NOW + timedelta(hours=1)


def test_what_frees_itself_is_waited_for() -> None:
    outcome = of(refused("ContainerGroupQuotaReached", QUOTA.format("StandardCores", 100)))

    assert isinstance(outcome, PoolUnavailable)
    assert outcome.until == NOW + outcomes.QUOTA_PAUSE


def test_what_starts_nothing_leaves_no_doubt() -> None:
    lost = failure(Trouble.NO_ANSWER, "ServiceResponseError")

    assert isinstance(outcomes.of_failure(lost, "GET", now=NOW), NotNow)


@pytest.mark.parametrize(
    ("failed", "absent", "gone"),
    [
        (refused("ResourceNotFound", "", 404), True, True),
        (refused("ResourceGroupNotFound", "", 404), False, True),
        (refused("SubscriptionNotFound", "", 404), False, False),
        (refused("ResourceNotFound", "", 409), False, False),
    ],
)
def test_without_its_resource_group_a_group_is_gone(failed: Failure, absent: bool, gone: bool) -> None:
    assert (outcomes.is_absent(failed), outcomes.is_gone(failed)) == (absent, gone)
