"""What Pub/Sub pushes of the audit log: entries about attempts of ours."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from dispatcher.functions.hearing import hear
from dispatcher.logs import log
from gcpfunctions import parts

POOL_TYPE: Mapping[str, str] = {"cloud_run_job": "cloud-run-v2:push"}  # of whom an entry on that resource speaks


def heard(body: bytes) -> bool:
    """An entry of the log, wrapped as "Receive push messages" (Pub/Sub) has it; one that cannot be read is let go."""
    message, entry = _unwrapped(body)
    if entry is None:
        log.error("event cannot be read", extra={"pubsub_message": message})
        return True
    resource = entry.get("resource")
    kind = POOL_TYPE.get(str(resource.get("type"))) if isinstance(resource, dict) else None
    hear(parts.context(), kind, entry, {"event": entry.get("insertId"), "source": entry.get("logName")})
    return True


def _unwrapped(body: bytes) -> tuple[Any, dict[str, Any] | None]:
    """The message's id, and the entry that it holds."""
    message: Any = None
    try:
        message = json.loads(body)["message"]
        entry = json.loads(base64.b64decode(message["data"], validate=True))
    except (ValueError, KeyError, TypeError, RecursionError):
        entry = None
    return message.get("messageId") if isinstance(message, dict) else None, entry if isinstance(entry, dict) else None
