"""What a sandbox, as Modal tells of it, says of its run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from adapters.failures import LONGEST_MESSAGE
from adapters.infrastructure.modal.sandboxes import LONGEST_LOG, State, observation
from dispatcher.ports import Cause, Observation, Phase

HANDLE = "sb-1"


def seen(status: str = "", exit_code: int = 0, said: str = "", *, scheduled: bool = False) -> Observation:
    return observation(State(HANDLE, status, exit_code, said, scheduled=scheduled), HANDLE)


@pytest.mark.parametrize(("scheduled", "phase"), [(False, Phase.PENDING), (True, Phase.RUNNING)])
def test_one_without_a_place_is_pending(scheduled: bool, phase: Phase) -> None:
    assert seen(scheduled=scheduled) == Observation(phase=phase, handle=HANDLE)


def test_one_that_modal_does_not_know_is_missing() -> None:
    assert observation(None, HANDLE) == Observation(phase=Phase.MISSING, handle=HANDLE)


# Modal's status and exit code, then cause and exit code as they are told, and a word of the message.
ENDS = [
    ("SUCCESS", 0, Cause.EXITED, 0, ""),
    ("FAILURE", 1, Cause.EXITED, 1, ""),
    ("FAILURE", 75, Cause.EXITED, 75, ""),
    ("FAILURE", 124, Cause.EXITED, 124, ""),
    ("TIMEOUT", 0, Cause.KILLED, 124, "variable `timeout`"),
    ("TERMINATED", 0, Cause.STOPPED, 137, "on request"),
    ("FAILURE", 137, Cause.KILLED, 137, "`memory`"),
    ("KERNEL_OOM_KILL", 137, Cause.KILLED, 137, "`memory`"),
    ("MEMORY_MANAGER_EVICTION", 0, Cause.KILLED, None, "`memory`"),
    ("MEMORY_THRASHING_EVICTION", 0, Cause.KILLED, None, "`memory`"),
    ("FAILURE", 126, Cause.EXITED, 126, "cannot be executed"),
    ("FAILURE", 127, Cause.EXITED, 127, "the image's PATH"),
    ("FAILURE", 139, Cause.KILLED, 139, "SIGSEGV"),
    ("IDLE_TIMEOUT", 0, Cause.STOPPED, None, "idle"),
    ("INIT_FAILURE", 1, Cause.REFUSED, None, "pushpool-run on its PATH"),
    ("INTERNAL_FAILURE", 0, Cause.INFRASTRUCTURE, None, "trouble of its own"),
    ("17", 0, Cause.INFRASTRUCTURE, None, "ended as 17"),
]


@pytest.mark.parametrize(("status", "exit_code", "cause", "told", "word"), ENDS, ids=str)
def test_an_end_says_whose_doing_it_was(status: str, exit_code: int, cause: Cause, told: int | None, word: str) -> None:
    end = seen(status, exit_code)

    assert (end.phase, end.cause, end.exit_code) == (Phase.STOPPED, cause, told)
    assert word in end.message


def test_modals_words_are_told_where_they_say_more() -> None:
    end = seen("INIT_FAILURE", 1, "exec: no such\nfile")

    assert end.message.startswith("its container cannot be started: exec: no such file; check the command")


def test_a_long_message_keeps_what_to_do() -> None:
    end = seen("INIT_FAILURE", 1, "x" * 2000)

    assert len(end.message) <= LONGEST_MESSAGE
    assert end.message.endswith("to false")


def test_times_are_in_utc_and_0_is_none() -> None:
    end = observation(State(HANDLE, "SUCCESS", started=1.5, log_tail="y" * 5000), HANDLE)

    assert (end.started, end.ended) == (datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC), None)
    assert len(end.log_tail) == LONGEST_LOG
