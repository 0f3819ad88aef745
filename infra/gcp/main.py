"""What runs as functions on Google Cloud: three, each with rights of its own, out of one archive. No logic lives here.

`api` answers HTTP, `dispatch` makes passes, `events` hears what Cloud Run says of its jobs. Each imports only what it
calls; FUNCTION_TARGET, which functions-framework sets, says which it is.
"""

from __future__ import annotations

import os

import functions_framework
from flask import Request
from werkzeug.wrappers import Response

from gcpfunctions import parts


def _serves(function: str) -> bool:
    """Whether this process is that function. Where main is only imported, it is all of them."""
    return os.environ.get("FUNCTION_TARGET", function) == function


if _serves("api"):
    from gcpfunctions import http

    @functions_framework.http
    def api(request: Request) -> Response:
        """Any request, answered by the routes of the core."""
        return http.answer(request)


if _serves("dispatch"):
    from gcpfunctions import passes, pushes

    @functions_framework.http
    def dispatch(request: Request) -> Response:
        """Cloud Scheduler's tick and Cloud Tasks' wakes: what is warm for the one is warm for the other."""
        return pushes.answer(request, passes.asked)


if _serves("events"):
    from gcpfunctions import hearing, pushes

    @functions_framework.http
    def events(request: Request) -> Response:
        """Pub/Sub's push of an entry of the audit log."""
        return pushes.answer(request, hearing.heard)


if "FUNCTION_TARGET" in os.environ:
    # Before the server forks: imports are shared, while a connection made here would not survive.
    parts.warm(parts.dispatcher if _serves("dispatch") else parts.api if _serves("api") else parts.context)
