"""A push of Google Cloud's, let in and answered: by the status alone it knows whether to send it again.

2xx is the end of it. Anything else comes again (Cloud Tasks: "retry_config" of the queue; Pub/Sub: "Handle message
failures"), so that what can never be understood is acknowledged, and told in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from flask import Request, Response

from dispatcher.errors import Forbidden, Misconfigured, StoreUnavailable, Unauthorized, Unreachable
from dispatcher.logs import log
from dispatcher.settings import Senders
from gcpfunctions import parts
from gcpfunctions.door import Door

Work: TypeAlias = Callable[[bytes], bool]  # whether what the body asked for is dealt with

# On 503 Cloud Tasks slows a whole queue down ("Issues and limitations"): that is for what ails every pool, not for one.
DONE, FAILED, AGAIN = 204, 500, 503


def answer(request: Request, work: Work) -> Response:
    """Nobody is told why a push was refused, or what went wrong; the log is."""
    try:
        status = parts.measured(lambda: _status(request, work))
    except Misconfigured as exc:  # the settings themselves
        log.error("function cannot work", extra={"why": str(exc)})
        status = FAILED
    return Response(status=status)


def _status(request: Request, work: Work) -> int:
    try:
        _door(parts.told().senders).check({name.lower(): said for name, said in request.headers.items()})
        return DONE if work(request.get_data()) else FAILED
    except (Unauthorized, Forbidden) as exc:
        log.warning("push refused", extra={"why": str(exc)})
        return 401 if isinstance(exc, Unauthorized) else 403
    except (StoreUnavailable, Unreachable) as exc:
        log.warning("push not dealt with", extra={"why": str(exc)})
        return AGAIN
    except Misconfigured as exc:
        log.error("push not dealt with", extra={"why": str(exc)})
        return FAILED
    except Exception:  # noqa: BLE001 - the one place where an answer must still go out
        log.exception("push not dealt with")
        return FAILED


@lru_cache(maxsize=1)
def _door(senders: Senders) -> Door:
    return Door(senders)
