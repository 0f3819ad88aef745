"""The routes of the core, as functions-framework calls for them."""

from __future__ import annotations

from flask import Request
from werkzeug.wrappers import Response

from dispatcher.errors import Misconfigured
from dispatcher.http.wsgi import application
from dispatcher.logs import log
from gcpfunctions import parts


def answer(request: Request) -> Response:
    """What the core answers; it lets in, reads and refuses."""
    try:
        return parts.measured(lambda: Response.from_app(application(parts.api()), request.environ))
    except Misconfigured as exc:
        log.error("function cannot work", extra={"why": str(exc)})
        return Response(status=500)
