"""What Azure Resource Manager and the service refuse, in ARM's JSON. Where no text of theirs is known, it is ours."""

from __future__ import annotations

from collections.abc import Mapping

from dispatcher.testing.servers.azure.theirs import Json

KIND = "Microsoft.ContainerInstance/containerGroups"


class Refused(Exception):
    """`code` is ARM's, as in ResourceNotFound."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})

    @property
    def body(self) -> Json:
        return {"error": {"code": self.code, "message": self.message}}


class NoAnswer(Exception):
    """The connection is closed without a word."""


# of Resource Manager ("Common API details", and its page of common deployment errors)


def unauthenticated(why: str) -> Refused:
    challenge = 'Bearer authorization_uri="https://login.microsoftonline.com/", error="invalid_token"'
    return Refused(401, "InvalidAuthenticationToken", why, {"WWW-Authenticate": challenge})


def no_version() -> Refused:
    return Refused(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


def wrong_version(version: str, supported: frozenset[str]) -> Refused:
    known = ",".join(sorted(supported))
    return Refused(
        400,
        "InvalidApiVersionParameter",
        f"The api-version '{version}' is invalid. The supported versions are '{known}'.",
    )


def no_subscription(subscription: str) -> Refused:
    return Refused(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def no_resource_group(name: str) -> Refused:
    return Refused(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")


def absent(name: str, resource_group: str) -> Refused:
    return Refused(
        404,
        "ResourceNotFound",
        f"The Resource '{KIND}/{name}' under resource group '{resource_group}' was not found. For more details please "
        "go to https://aka.ms/ARMResourceNotFoundFix",
    )


def denied(action: str, scope: str) -> Refused:
    return Refused(
        403,
        "AuthorizationFailed",
        f"The client '00000000-0000-0000-0000-000000000001' with object id '00000000-0000-0000-0000-000000000002' does "
        f"not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access "
        "was recently granted, please refresh your credentials.",
    )


def linked_denied(action: str, scope: str, linked: str) -> Refused:
    return Refused(
        403,
        "LinkedAuthorizationFailed",
        f"The client '00000000-0000-0000-0000-000000000001' with object id '00000000-0000-0000-0000-000000000002' has "
        f"permission to perform action '{KIND}/write' on scope '{scope}'; however, it does not have permission to "
        f"perform action '{action}' on the linked scope(s) '{linked}' or the linked scope(s) are invalid.",
    )


def unregistered() -> Refused:
    return Refused(
        409,
        "MissingSubscriptionRegistration",
        "The subscription is not registered to use namespace 'Microsoft.ContainerInstance'. See "
        "https://aka.ms/rps-not-found for how to register subscriptions.",
    )


def no_location() -> Refused:
    return Refused(400, "LocationRequired", "The location property is required for this definition.")


def no_such_region(region: str, known: Mapping[str, object]) -> Refused:
    return Refused(
        400,
        "LocationNotAvailableForResourceType",
        f"The provided location '{region}' is not available for resource type '{KIND}'. List of available regions for "
        f"the resource type is '{','.join(known)}'.",
    )


def elsewhere(name: str, resource_group: str, region: str, wanted: str) -> Refused:
    return Refused(
        409,
        "InvalidResourceLocation",
        f"The resource '{name}' already exists in location '{region}' in resource group '{resource_group}'. A resource "
        f"with the same name cannot be created in location '{wanted}'. Please select a new resource name.",
    )


def bad_name(name: str) -> Refused:
    return Refused(400, "InvalidResourceName", f"Resource name '{name}' is invalid: 1 to 63 of a-z, 0-9 and hyphens.")


def bad_content(path: str, why: str) -> Refused:
    return Refused(
        400,
        "InvalidRequestContent",
        f"The request content was invalid and could not be deserialized: '{why} Path '{path}', line 1, position 1.'.",
    )


def internal() -> Refused:
    return Refused(500, "InternalServerError", "Encountered an internal server error.")


# of the service ("Troubleshoot common issues in Azure Container Instances", and its SupportArticles)


def invalid(code: str, message: str) -> Refused:
    return Refused(400, code, message)


def no_image(image: str, group: str) -> Refused:
    return Refused(
        400,
        "InaccessibleImage",
        f"The image '{image}' in container group '{group}' is not accessible. Please check the image and registry "
        "credential.",
    )


def no_registry(server: str) -> Refused:
    return Refused(
        409,
        "RegistryErrorResponse",
        f"An error response is received from the docker registry '{server}'. Please retry later.",
    )


def transitioning(group: str) -> Refused:
    return Refused(
        409,
        "ContainerGroupTransitioning",
        f"The container group '{group}' is still transitioning, please retry later.",
    )


def no_log(container: str) -> Refused:
    return Refused(404, "ContainerLogNotAvailable", f"The log of container '{container}' is not available.")


def no_capacity(region: str, size: str) -> Refused:
    return Refused(409, "ServiceUnavailable", lacks(region, size))


def lacks(region: str, size: str) -> str:
    return (
        f"The requested resource is not available in the location '{region}' at this moment. Please retry with a "
        f"different resource request or in another location. Resource requested: {size} 'Linux' OS"
    )


def over_quota(quota: str, region: str, limit: int, used: float, wanted: float) -> Refused:
    return Refused(400, "ContainerGroupQuotaReached", _quota(quota, region, limit, used, wanted))


def suspicious(region: str) -> Refused:
    """The same name in several regions at once."""
    return Refused(409, "ServiceUnavailable", _quota("ContainerGroups", region, 0, 0, 1))


def _quota(quota: str, region: str, limit: int, used: float, wanted: float) -> str:
    return (
        f"Resource type '{KIND}' container group quota '{quota}' exceeded in region '{region}'. Limit: '{limit}', "
        f"Usage: '{used:g}' Requested: '{wanted:g}'."
    )


def too_many(call: str, region: str, limit: int, minutes: int, retry_after: int) -> Refused:
    return Refused(
        429,
        "TooManyRequests",
        f"The subscription's {call} requests of container groups in region '{region}' exceeded the limit of {limit} "
        f"within {minutes} minutes. Please retry after {retry_after} seconds.",
        {"Retry-After": str(retry_after)},
    )
