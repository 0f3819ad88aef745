"""What is stopped leaves nothing behind."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

import pytest

from adapters.infrastructure.process import folders
from dispatcher.ports import Cause, Event, Phase

if TYPE_CHECKING:
    from tests.unit.process.conftest import Bench


STUBBORN = """
trap '' TERM
(trap '' TERM; sleep 61) &
(trap '' TERM; setsid sleep 62) &
(trap '' TERM; setsid sh -c 'sleep 63 & sleep 64') &
echo ready
sleep 65
sleep 66
"""


def test_nothing_survives_a_cancel(bench: Bench) -> None:
    told: list[Event] = []
    adapter = bench.open()
    adapter.watch(told.append)
    bench.start(adapter, ["sh", "-c", STUBBORN], grace_seconds=0.2)
    bench.eventually(lambda: len(bench.left()) >= 7)

    adapter.cancel(bench.target, bench.handle)
    bench.eventually(lambda: told)

    bench.eventually(lambda: not bench.left())
    assert (told[0].observation.exit_code, told[0].observation.cause) == (137, Cause.STOPPED)


def test_a_cancel_leaves_time_to_end_well(bench: Bench) -> None:
    adapter = bench.open()
    bench.start(adapter, ["sh", "-c", "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done"])
    bench.eventually(lambda: "ready" in (adapter.log(bench.target, bench.handle) or ""))

    adapter.cancel(bench.target, bench.handle)

    seen = bench.end()
    assert (seen.exit_code, seen.cause) == (5, Cause.EXITED)
    assert "bye" in seen.log_tail


def test_what_outlives_a_command_that_ended_well_is_ended_too(bench: Bench) -> None:
    told: list[Event] = []
    adapter = bench.open()
    adapter.watch(told.append)
    script = "(trap '' TERM; setsid sleep 61) & trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    bench.start(adapter, ["sh", "-c", script])
    bench.eventually(lambda: len(bench.left()) >= 3 and "ready" in (adapter.log(bench.target, bench.handle) or ""))

    adapter.cancel(bench.target, bench.handle)
    bench.eventually(lambda: told)

    bench.eventually(lambda: not bench.left())


def test_nothing_survives_a_cancel_under_the_runner(bench: Bench) -> None:
    told: list[Event] = []
    adapter = bench.open()
    adapter.watch(told.append)
    environment = {
        "PUSHPOOL_API_URL": "http://127.0.0.1:9",
        "PUSHPOOL_ATTEMPT": "1",
        "PUSHPOOL_START_DEADLINE": "2020-01-01T00:00:00Z",
        "PUSHPOOL_START_WITHOUT_CLAIM": "1",
        "PUSHPOOL_PARAMETERS": "{}",
        "PUSHPOOL_GRACE_SECONDS": "0.2",
    }
    bench.start(adapter, ["sh", "-c", STUBBORN], runner=True, environment=environment, grace_seconds=0.2)
    bench.eventually(lambda: "ready" in (adapter.log(bench.target, bench.handle) or "") and len(bench.left()) >= 8)

    adapter.cancel(bench.target, bench.handle)
    bench.eventually(lambda: told)

    bench.eventually(lambda: not bench.left())
    assert told[0].observation.cause is Cause.STOPPED


def test_a_repeated_cancel_kills_when_the_first_was_longer_ago_than_the_grace(bench: Bench) -> None:
    first = bench.open()
    bench.start(first, ["sh", "-c", STUBBORN], grace_seconds=30)
    bench.eventually(lambda: len(bench.left()) >= 7)
    first.cancel(bench.target, bench.handle)
    first.close()
    bench.open().cancel(bench.target, bench.handle)
    assert bench.see().phase is Phase.RUNNING
    long_ago = time.time() - 31
    os.utime(bench.root / bench.handle / "cancel", (long_ago, long_ago))

    bench.open().cancel(bench.target, bench.handle)

    assert bench.end().cause is Cause.STOPPED
    bench.eventually(lambda: not bench.left())


def test_a_cancel_does_not_wait(bench: Bench) -> None:
    adapter = bench.open()
    bench.start(adapter, ["sh", "-c", "trap '' TERM; echo ready; sleep 60"], grace_seconds=30)
    bench.eventually(lambda: "ready" in (adapter.log(bench.target, bench.handle) or ""))
    begun = time.monotonic()

    adapter.cancel(bench.target, bench.handle)

    assert time.monotonic() - begun < 5
    assert bench.see().phase is Phase.RUNNING


def test_a_cancel_is_heard_however_early_it_comes(bench: Bench) -> None:
    """Without the shell's order of things one in ten would live on until the end of its grace."""
    adapter = bench.open()
    for attempt in range(1, 41):
        handle = bench.start(adapter, ["sleep", "60"], attempt=attempt, grace_seconds=60)
        time.sleep(attempt % 10 * 0.0003)

        adapter.cancel(bench.target, handle)

        assert bench.end(handle).cause is Cause.STOPPED


def test_one_that_begins_while_it_is_looked_at_is_not_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its shell writes who it is, and then that it has begun; who looks may come between."""
    adapter = bench.open()
    bench.start(adapter, ["sleep", "60"], grace_seconds=60)
    bench.shim()
    line, exists, has_begun = folders.Attempt._line, folders.Attempt._exists, False

    def early_line(attempt: folders.Attempt, name: str) -> str | None:
        return line(attempt, name) if has_begun else None

    def asked(attempt: folders.Attempt, name: str) -> bool:
        nonlocal has_begun
        has_begun = has_begun or name == "begun"
        return exists(attempt, name)

    monkeypatch.setattr(folders.Attempt, "_line", early_line)
    monkeypatch.setattr(folders.Attempt, "_exists", asked)

    adapter.cancel(bench.target, bench.handle)

    assert bench.end().cause is Cause.STOPPED


def test_a_full_disk_keeps_nobody_from_stopping(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = bench.open()
    bench.start(adapter, ["sleep", "60"], grace_seconds=60)
    bench.eventually(lambda: "sleep" in bench.names())

    def fail(_: folders.Attempt) -> float | None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folders.Attempt, "mark_cancelled", fail)
    adapter.cancel(bench.target, bench.handle)

    assert bench.end().exit_code == 143
