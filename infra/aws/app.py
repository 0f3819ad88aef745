"""What runs on AWS Lambda: three functions, each with rights of its own, out of one zip. No logic lives here.

`api` answers HTTP, `dispatch` makes passes, `events` hears what ECS says of its tasks. Each imports only what it calls.
"""

from __future__ import annotations

import os
from typing import Any

from chalice.app import Chalice

from chalicelib import parts

app = Chalice(app_name="pushpool", configure_logs=False)  # it would put a handler of its own onto our log


def _serves(function: str) -> bool:
    """Whether this process is that function. Nothing is said of it while the zip is built: then it is all of them."""
    return os.environ.get("_HANDLER", f"app.{function}") == f"app.{function}"


if _serves("api"):
    from chalicelib import http

    http.bind(app)

    def api(event: dict[str, Any], context: Any) -> dict[str, Any]:
        """An HTTP API's request (payload format 2.0), answered by the routes of the core."""
        answer: dict[str, Any] = parts.measured(lambda: app(http.rest_event(event), context))
        return answer


if _serves("dispatch"):
    from chalicelib import passes
    from dispatcher.functions.passes import tick as make_tick

    # Chalice reads these of every scheduled event; what a schedule sends is up to who makes it.
    _SCHEDULED = dict.fromkeys(
        ("account", "detail", "detail-type", "id", "region", "resources", "source", "time", "version"), ""
    )

    @app.schedule("rate(1 minute)")
    def tick(event: Any) -> None:
        parts.measured(lambda: make_tick(parts.dispatcher(), passes.until(event.context)))

    @app.on_sqs_message(queue="pushpool-wakes", batch_size=10)
    def wake(event: Any) -> dict[str, Any]:
        messages = event.to_dict()["Records"]
        return parts.measured(lambda: passes.wake(parts.dispatcher(), messages, passes.until(event.context)))

    def dispatch(event: dict[str, Any], context: Any) -> Any:
        """One function for both, so that what is warm for the one is warm for the other."""
        return wake(event, context) if "Records" in event else tick({**_SCHEDULED, **event}, context)


if _serves("events"):
    from chalicelib import hearing

    @app.on_cw_event({"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]})
    def events(event: Any) -> None:
        parts.measured(lambda: hearing.hear(parts.context(), event.to_dict()))


if "_HANDLER" in os.environ:
    # While the function is being made ready, when the processor is at its fastest.
    parts.warm(parts.dispatcher if _serves("dispatch") else parts.context)
