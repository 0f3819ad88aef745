"""Whether a pool's token, environment, secrets and volumes are such that runs start; starts and makes nothing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from adapters.doctor import stand_in, with_image
from adapters.failures import Trouble
from adapters.infrastructure.modal import outcomes, places
from adapters.infrastructure.modal.clients import CallFailed, Clients
from dispatcher.errors import InvalidInput, Misconfigured, Unreachable
from dispatcher.ports import Job, PoolUnavailable, Rejected, Request

Check: TypeAlias = tuple[str, bool, str]
Json: TypeAlias = Mapping[str, Any]
Ask: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]

CALL_SECONDS = 10.0
ANY_IMAGE = "python:3.12-slim"
UNREACHED = (
    "see that this machine reaches api.modal.com (network, proxy), or what MODAL_SERVER_URL names if that is set, and "
    "try again"
)


def checks(configuration: Json, request: Callable[[Job], Request], clients: Clients) -> list[Check]:
    """One after the other, as far as what was found allows."""
    try:
        made = request(stand_in(with_image(configuration, ANY_IMAGE)))
    except InvalidInput as error:
        return [("configuration", False, str(error))]
    token = _looked("token", lambda modal: modal.greet(), clients, has_to_answer=True)
    found: list[Check] = [("configuration", True, ""), token]
    return [*found, *_named(made, clients)] if token[1] else found


def _named(made: Request, clients: Clients) -> Iterator[Check]:
    """What runs will name."""
    app, environment, body = places.app_of(made.target), made.target.region, made.body
    if environment:
        known = _looked(f"environment {environment!r}", lambda modal: modal.check_environment(environment), clients)
        yield known
        if not known[1]:
            return  # the others would say the same
    yield _looked(f"app {app!r}", lambda modal: modal.app_id(app, environment), clients, may_lack=True)
    secrets = [*body.get("secrets", ()), *([body["image"]["secret"]] if "secret" in body["image"] else [])]
    for kind, names in (("secret", secrets), ("volume", body.get("volumes", {}).values())):
        for name in names:
            yield _looked(f"{kind} {name!r}", _check_of(kind, name, environment), clients)


def _check_of(kind: str, name: str, environment: str) -> Ask:
    return lambda modal: modal.check(kind, name, environment)


def _looked(name: str, ask: Ask, clients: Clients, *, may_lack: bool = False, has_to_answer: bool = False) -> Check:
    """`may_lack`: an app is made when the first run needs it."""
    try:
        clients.call(ask, seconds=CALL_SECONDS)
    except (Misconfigured, Unreachable) as error:
        return name, False, str(error)
    except CallFailed as failed:
        failure = failed.failure
        if may_lack and failure.code == outcomes.MISSING:
            return name, True, "it is made by the first run"
        if has_to_answer and failure.trouble in (Trouble.NOT_SENT, Trouble.NO_ANSWER):
            return name, False, f"{name} did not reach Modal: {failure}; {UNREACHED}"
        match outcomes.of_failure(failure, name, now=datetime.now(UTC)):
            case PoolUnavailable(words, _) | Rejected(words):
                return name, False, words
            case outcome:
                return name, True, f"not checked: {getattr(outcome, 'message', '')}"
    return name, True, ""
