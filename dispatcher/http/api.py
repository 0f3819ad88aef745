"""The API without a host: a request in, an answer out. Invariant: whatever comes in, an answer goes out."""

from __future__ import annotations

from dataclasses import replace

from dispatcher import api_keys, callbacks
from dispatcher.api_keys import Scope
from dispatcher.context import Context
from dispatcher.errors import Misconfigured, PushpoolError, Unauthorized
from dispatcher.http import problems
from dispatcher.http.calls import Call
from dispatcher.http.matching import Match, Matcher
from dispatcher.http.messages import Problem, Reply, Request, Response
from dispatcher.http.reading import read_body, read_query
from dispatcher.http.routes import ROUTES, Access, Route
from dispatcher.logs import log


class Api:
    """Answers requests, from several threads at once.

    `is_trusted`: whoever asks has opened the store themselves, and needs no API key.
    """

    def __init__(self, context: Context, *, is_trusted: bool = False) -> None:
        self.context = context
        self._is_trusted = is_trusted
        self._matcher = Matcher(ROUTES)

    def answer(self, request: Request) -> Response:
        response = self._reply(request).response()
        if request.method != "HEAD":
            return response
        return replace(response, headers={"Content-Length": str(len(response.body)), **response.headers}, body=b"")

    def _reply(self, request: Request) -> Reply:
        try:
            return self._served(request, self._matcher.match(request.method, request.path))
        except Problem as problem:
            return problems.reply(problem)
        except Misconfigured as exc:
            log.error("request failed", extra={"method": request.method, "why": str(exc)})
            return problems.of_error(exc)
        except PushpoolError as exc:
            return problems.of_error(exc)
        except Exception:  # noqa: BLE001 - the one place where an answer must still go out
            log.exception("request failed", extra={"method": request.method, "path": request.path[:200]})
            return problems.unexpected()

    def _served(self, request: Request, match: Match) -> Reply:
        """Who is not let in is told nothing about what they sent."""
        route = match.route
        call = self._let_in(request, route)
        given: dict[str, object] = dict(match.names)
        if route.query is not None:
            given["query"] = read_query(request, route.query)
        if route.form is not None:
            given["form"] = read_body(request, route.form, required=route.form_required)
        return route.handler(call, **given)

    def _let_in(self, request: Request, route: Route) -> Call:
        """:raises Unauthorized: :raises Forbidden:"""
        context = self.context
        match route.access:
            case Scope() if self._is_trusted:
                return Call(context)
            case Scope() as scope:
                api_keys.check(context.store, _bearer(request), scope, now=context.clock.now())
                return Call(context)
            case Access.RUN_TOKEN:
                return Call(context, callbacks.authenticate(context, _bearer(request) or ""))
            case Access.ANYBODY:
                return Call(context)


def _bearer(request: Request) -> str | None:
    """What was presented. :raises Unauthorized: by another scheme."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, presented = header.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized("send the key or token as Authorization: Bearer …")
    return presented.strip()
