"""What a process remembers of documents: enough for a condition, and never more than it has seen."""

from __future__ import annotations

from adapters.stores.firestore.database import _REMEMBERED, Found, Memory, Write, _merged
from dispatcher.testing.builders import NOW

SLOT = Found("limits/l/slots/0", {"run": "r", "attempt": 1}, NOW)


def test_only_what_conditions_are_about_is_remembered() -> None:
    memory = Memory()
    memory.keep([Found("runs/r", {"version": 3, "doc": "long " * 1000}, NOW)])

    assert memory.recall("runs/r") == Found("runs/r", {"version": 3}, NOW)
    assert memory.recall("runs/other") is None


def test_what_was_not_seen_for_longest_is_forgotten_first() -> None:
    memory = Memory()
    memory.keep(Found(f"runs/{number}", {"version": 1}, NOW) for number in range(_REMEMBERED))
    memory.keep([Found("runs/0", {"version": 2}, NOW), Found("runs/more", {"version": 1}, NOW)])

    assert memory.recall("runs/1") is None
    assert [memory.recall(path) is not None for path in ("runs/0", "runs/2", "runs/more")] == [True] * 3


def test_a_write_adds_to_what_it_was_made_upon() -> None:
    beat = Write("update", SLOT.path, {"check_at": NOW}, at=NOW)

    assert _merged(SLOT, beat) == {"run": "r", "attempt": 1, "check_at": NOW}


def test_a_write_adds_nothing_to_what_was_seen_of_another_moment() -> None:
    """Or another run's slot would be remembered as this one's, with a moment that holds."""
    later = Write("update", SLOT.path, {"check_at": NOW}, at=NOW.replace(second=1))

    assert _merged(SLOT, later) == {"check_at": NOW}
    assert _merged(SLOT, Write("create", SLOT.path, {"run": "s"})) == {"run": "s"}
