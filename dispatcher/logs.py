"""Logs: JSON lines with run, attempt, pool and what happened. Never a value that may be a secret."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

log = logging.getLogger("pushpool")

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


class JsonLines(logging.Formatter):
    """One object a line: at, level, what, and whatever `extra` adds."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "what": record.getMessage(),
        }
        said |= {key: value for key, value in record.__dict__.items() if key not in _PLAIN}
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str, ensure_ascii=False)


def to_stderr(level: int = logging.INFO) -> None:
    """Send the log from `level` on to stderr, once. What others make of it, they get all of."""
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        handler.setLevel(level)
        log.addHandler(handler)
        log.propagate = False
    log.setLevel(min(level, logging.DEBUG))
