"""What may go wrong in a life, beside the death of a dispatcher: answers, refusals, and what becomes of events."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from dispatcher.testing.proof.cast import POOL_LIMIT
from dispatcher.testing.proof.life import LAST_DATE_AFTER, Event, Post, as_sent

# What the first submissions meet with, one after another, and how many do.
FAULTS: Mapping[str, Sequence[tuple[str, int]]] = {
    **{kind: ((kind, 2),) for kind in ("throttled", "denied", "timeout", "reply lost")},
    "reply lost then throttled": (("reply lost", POOL_LIMIT), ("throttled", 2)),
    "reply lost unseen": (("reply lost", POOL_LIMIT),),  # nothing tells of what was started before it is sent again
}
QUIET = 4  # rounds in which neither container nor event tells of what is unseen
DELAY = LAST_DATE_AFTER + 9  # rounds: when every run that can end without its events has ended


class _Late:
    """Nothing is delivered before the round, then everything, the newest first."""

    def __init__(self, until: int) -> None:
        self._until = until
        self._kept: list[Event] = []

    def __call__(self, events: Sequence[Event], number: int) -> Sequence[Event]:
        self._kept += events
        if number < self._until:
            return []
        kept, self._kept = self._kept, []
        return kept[::-1]


def dropped(events: Sequence[Event], number: int) -> Sequence[Event]:
    del events, number
    return []


class _Doubled:
    """Each at once, and again two rounds later, when what it tells of may be another attempt's."""

    def __init__(self) -> None:
        self._again: deque[Sequence[Event]] = deque([(), ()])

    def __call__(self, events: Sequence[Event], number: int) -> Sequence[Event]:
        del number
        self._again.append(events)
        return [*events, *events, *self._again.popleft()]


def backwards(events: Sequence[Event], number: int) -> Sequence[Event]:
    """The newest first."""
    del number
    return events[::-1]


def post_of(trouble: str) -> Post:
    """New for each life."""
    made: Mapping[str, Post] = {
        "events dropped": dropped,
        "events doubled": _Doubled(),
        "events backwards": backwards,
        "events late": _Late(DELAY),
        "reply lost unseen": _Late(QUIET),
    }
    return made.get(trouble, as_sent)


def quiet_of(trouble: str) -> int:
    """For how many rounds containers are silent."""
    return QUIET if trouble == "reply lost unseen" else 0


EVENTS = ("events dropped", "events doubled", "events backwards", "events late")
