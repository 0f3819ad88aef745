"""The REST API: paths in any case, api-version, bearer token; Microsoft.ContainerInstance and what is around it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from dispatcher.testing.servers.azure import refusals
from dispatcher.testing.servers.azure.refusals import KIND, Refused
from dispatcher.testing.servers.azure.subscription import Operation, Subscription
from dispatcher.testing.servers.azure.theirs import VERSION, Json

PAGE = 50

INSTANCES = frozenset({VERSION, "2022-10-01-preview", "2022-09-01", "2021-10-01", "2021-09-01", "2019-12-01"})
RESOURCES = frozenset({"2025-04-01", "2024-03-01", "2022-09-01", "2021-04-01", "2020-06-01"})
PERMISSIONS = frozenset({"2022-04-01", "2018-07-01", "2015-07-01"})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, its path's variables by name. `group` is the id of a container group, as ARM spells it."""

    subscription: Subscription
    host: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Json

    @property
    def group(self) -> str:
        place = f"/subscriptions/{self.path['s']}/resourceGroups/{self.path['rg']}"
        return f"{place}/providers/{KIND}/{self.path['group']}"

    def operation(self, made: Operation) -> dict[str, str]:
        place = f"/subscriptions/{self.path['s']}/providers/Microsoft.ContainerInstance/locations/{made.group.region}"
        url = f"http://{self.host}{place}/operations/{made.name}?api-version={VERSION}"
        return {"Azure-AsyncOperation": url, "Retry-After": "0"}

    def page(self, found: list[Json]) -> Json:
        """A page's token is where the next begins."""
        start = int(self.query.get("$skiptoken", 0))
        page: Json = {"value": found[start : start + PAGE]}
        if start + PAGE < len(found):
            version = quote(self.query["api-version"])
            page["nextLink"] = (
                f"http://{self.host}{self.path['path']}?api-version={version}&%24skiptoken={start + PAGE}"
            )
        return page


class Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    versions: frozenset[str]
    answer: Callable[[Asked], Answer]


def answer(subscription: Subscription, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Answer:
    """What a request gets. `headers`: names in lower case. :raises NoAnswer:"""
    try:
        return _answer(subscription, method, url, headers, content)
    except Refused as refused:
        subscription.refused[refused.code] += 1
        return Answer(refused.status, refused.body, refused.headers)


def _answer(subscription: Subscription, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Answer:
    place = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(place.query).items()}
    _check_token(subscription, headers.get("authorization", ""))
    route, path = _route(method, place.path)
    if not (version := query.get("api-version")):
        raise refusals.no_version()
    if version not in route.versions:
        raise refusals.wrong_version(version, route.versions)
    if path["s"].lower() != subscription.id:
        raise refusals.no_subscription(path["s"])
    asked = Asked(subscription, headers.get("host", ""), {**path, "path": place.path}, query, _body(content))
    return route.answer(asked)


def _check_token(subscription: Subscription, authorization: str) -> None:
    kind, _, token = authorization.partition(" ")
    if not token:
        raise refusals.unauthenticated("Authentication failed. The 'Authorization' header is missing.")
    if kind != "Bearer" or not subscription.accepts(token):
        raise refusals.unauthenticated("The access token is invalid.")


def _route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    there = [(route, found) for route in ROUTES if (found := route.path.fullmatch(path)) is not None]
    if not there:
        raise Refused(404, "InvalidResourceType", f"The resource type of '{path}' could not be found.")
    for route, found in there:
        if route.method == method:
            return route, found.groupdict()
    raise Refused(405, "MethodNotAllowed", f"{method} is not supported for '{path}'.")


def _body(content: bytes) -> Json:
    try:
        body = json.loads(content or b"{}")
    except ValueError as exc:
        raise refusals.bad_content("", str(exc)) from None
    if not isinstance(body, dict):
        raise refusals.bad_content("", "Error converting value to type 'ContainerGroup'.")
    return body


def _put(asked: Asked) -> Answer:
    status, body, operation = asked.subscription.put(asked.group, asked.body)
    return Answer(status, body, asked.operation(operation))


def _delete(asked: Asked) -> Answer:
    status, body, operation = asked.subscription.delete(asked.group)
    if operation is None:
        return Answer(status, body)
    headers = asked.operation(operation)
    return Answer(status, body, {**headers, "Location": headers["Azure-AsyncOperation"]})


def _start(asked: Asked) -> Answer:
    asked.subscription.start(asked.group)
    return Answer(204)


def _restart(asked: Asked) -> Answer:
    asked.subscription.restart(asked.group)
    return Answer(204)


def _stop(asked: Asked) -> Answer:
    asked.subscription.stop(asked.group)
    return Answer(204)


def _log(asked: Asked) -> Answer:
    tail = asked.query.get("tail")
    text = asked.subscription.log(asked.group, asked.path["container"], int(tail) if tail else None)
    return Answer(200, {"content": text})


_SUBSCRIPTION = "/subscriptions/(?P<s>[^/]+)"
_RESOURCE_GROUP = f"{_SUBSCRIPTION}/resourceGroups/(?P<rg>[^/]+)"
_SERVICE = "/providers/Microsoft.ContainerInstance"
_GROUP = f"{_RESOURCE_GROUP}{_SERVICE}/containerGroups/(?P<group>[^/]+)"
_REGION = f"{_SUBSCRIPTION}{_SERVICE}/locations/(?P<region>[^/]+)"


def _routes() -> tuple[Route, ...]:
    def of(method: str, path: str, found: Callable[[Asked], Answer], versions: frozenset[str] = INSTANCES) -> Route:
        return Route(method, re.compile(path, re.IGNORECASE), versions, found)

    return (
        of("PUT", _GROUP, _put),
        of("GET", _GROUP, lambda asked: Answer(200, asked.subscription.get(asked.group))),
        of("PATCH", _GROUP, lambda asked: Answer(200, asked.subscription.tag(asked.group, asked.body))),
        of("DELETE", _GROUP, _delete),
        of("POST", f"{_GROUP}/stop", _stop),
        of("POST", f"{_GROUP}/start", _start),
        of("POST", f"{_GROUP}/restart", _restart),
        of("GET", f"{_GROUP}/containers/(?P<container>[^/]+)/logs", _log),
        of(
            "GET",
            f"{_RESOURCE_GROUP}{_SERVICE}/containerGroups",
            lambda asked: Answer(200, asked.page(asked.subscription.listed(asked.path["rg"]))),
        ),
        of(
            "GET",
            f"{_SUBSCRIPTION}{_SERVICE}/containerGroups",
            lambda asked: Answer(200, asked.page(asked.subscription.listed())),
        ),
        of("GET", f"{_REGION}/usages", lambda asked: Answer(200, asked.subscription.usages(asked.path["region"]))),
        of(
            "GET",
            f"{_REGION}/capabilities",
            lambda asked: Answer(200, asked.subscription.capabilities(asked.path["region"])),
        ),
        of(
            "GET",
            f"{_REGION}/operations/(?P<operation>[^/]+)",
            lambda asked: Answer(200, asked.subscription.operation(asked.path["operation"])),
        ),
        of(
            "GET",
            _RESOURCE_GROUP,
            lambda asked: Answer(200, asked.subscription.resource_group(asked.path["rg"])),
            RESOURCES,
        ),
        of("GET", f"{_SUBSCRIPTION}{_SERVICE}", lambda asked: Answer(200, asked.subscription.provider()), RESOURCES),
        of(
            "GET",
            f"{_RESOURCE_GROUP}/providers/Microsoft.Authorization/permissions",
            lambda asked: Answer(200, asked.subscription.permissions(asked.path["rg"])),
            PERMISSIONS,
        ),
    )


ROUTES = _routes()
