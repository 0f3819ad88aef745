"""A failed call to a cloud in our words, whichever cloud it is: split by what the caller does next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LONGEST_MESSAGE = 700  # characters


class Trouble(StrEnum):
    """What a failed call tells."""

    THROTTLED = "throttled"  # a definite no, for now
    CREDENTIALS = "credentials"  # none, expired or unknown to the cloud: a definite no to every call
    DENIED = "denied"  # these credentials may not do this: a definite no
    NOT_SENT = "not sent"  # no connection: the request never left
    NO_ANSWER = "no answer"  # timed out, cut off or a server's error: it may have had its effect
    REFUSED = "refused"  # a definite no for a reason of its own: look at the code


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call. `code` is the cloud's, or the client library's exception; `message` is one line to be shown.

    `answer`: all that the cloud said, for what is one service's own.
    """

    trouble: Trouble
    code: str
    message: str
    answer: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


def one_line(exc: BaseException | str) -> str:
    return " ".join(str(exc).split())


def told(says: str, words: str, advice: str) -> str:
    """One line: what it was, in the cloud's words too where they say more, and what to do, which is never cut off."""
    line = "; ".join(part for part in (": ".join(part for part in (says, words) if part), advice) if part)
    if len(line) <= LONGEST_MESSAGE:
        return line
    kept = LONGEST_MESSAGE - len(advice) - 3
    return f"{line[:kept]}…; {advice}" if advice else f"{line[:kept]}…"
