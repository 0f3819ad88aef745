"""Logs: JSON lines with run, attempt, pool and what happened. Never a value that may be a secret."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

log = logging.getLogger("pushpool")

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


@dataclass(frozen=True, slots=True)
class Words:
    """What the fields are called that every line has."""

    at: str = "at"
    level: str = "level"
    what: str = "what"
    level_of: Callable[[str], str] = str.lower


PLAIN = Words()
# Cloud Logging takes these out of a line for the entry's own ("Structured logging", special JSON fields).
SEVERITY = Words("time", "severity", "message", str.upper)


class JsonLines(logging.Formatter):
    """One object a line: at, level, what, and whatever `extra` adds."""

    def __init__(self, words: Words = PLAIN) -> None:
        super().__init__()
        self._words = words

    def format(self, record: logging.LogRecord) -> str:
        said = {
            self._words.at: datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            self._words.level: self._words.level_of(record.levelname),
            self._words.what: record.getMessage(),
        }
        said |= {key: value for key, value in record.__dict__.items() if key not in _PLAIN}
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str, ensure_ascii=False)


def to_stderr(level: int = logging.INFO, words: Words = PLAIN) -> None:
    """Send the log from `level` on to stderr, once. What others make of it, they get all of."""
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines(words))
        handler.setLevel(level)
        log.addHandler(handler)
        log.propagate = False
    log.setLevel(min(level, logging.DEBUG))
