"""The gate of a proof: it notes what really ran, and containers exit as they are told there."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from dispatcher.testing.proof.far import Container
from dispatcher.testing.proof.gate import PROGRAM, Gate, command


@pytest.fixture
def gate() -> Iterator[Gate]:
    with closing(Gate()) as made:
        yield made


def visitor(gate: Gate, run_id: str = "r") -> subprocess.Popen[bytes]:
    told = {"PUSHPOOL_RUN_ID": run_id, "PUSHPOOL_ATTEMPT": "1", "PUSHPOOL_RUN_TOKEN": "t", "ROLE": "etl"}
    return subprocess.Popen(command(sys.executable), env={"GATE": gate.address, **told}, stderr=subprocess.DEVNULL)


def arrived(gate: Gate, number: int) -> list[Container]:
    until = time.monotonic() + 10
    while len(found := gate.containers()) < number:
        assert time.monotonic() < until, f"{len(found)} of {number} came"
        time.sleep(0.002)
    return found


def test_sigterm_ends_a_container_at_once(gate: Gate) -> None:
    it = visitor(gate)
    arrived(gate, 1)

    it.terminate()

    assert it.wait(10) == 143


def test_whoever_is_connected_exits_when_the_gate_closes() -> None:
    with closing(Gate()) as gate:
        it = visitor(gate)
        arrived(gate, 1)

    assert it.wait(10) == 1
    (seen,) = gate.containers()
    assert seen.ended is not None


def test_who_finds_no_gate_exits() -> None:
    with closing(Gate()) as gate:
        pass

    assert visitor(gate).wait(10) == 1


def test_only_the_one_that_is_meant_is_told_to_exit(gate: Gate) -> None:
    first, second = visitor(gate, "a"), visitor(gate, "b")
    names = {each.run_id: each.name for each in arrived(gate, 2)}

    gate.finish(names["b"], 7)

    assert second.wait(10) == 7
    gate.finish(names["a"], 8)
    assert first.wait(10) == 8


def test_one_that_was_killed_before_another_was_started_did_not_run_beside_it(gate: Gate) -> None:
    """Though the gate sees both at the same moment."""
    host, _, port = gate.address.partition(":")
    with ExitStack() as opened:

        def come(words: bytes) -> socket.socket:
            made = opened.enter_context(socket.create_connection((host, int(port))))
            made.sendall(words)
            return made

        first = come(b"first\tr\t1\tetl\tt\n")
        arrived(gate, 1)
        with gate._lock:
            come(b"")
            time.sleep(0.05)  # the gate has noticed that one, and waits
            first.close()
            come(b"second\tr\t2\tetl\tt\n")
        found = {each.name: each for each in arrived(gate, 2)}

    assert (found["first"].ended or math.inf) <= found["second"].began


def test_the_program_imports_nothing_that_has_to_be_looked_for() -> None:
    imported = next(line for line in PROGRAM.splitlines() if line.startswith("import ")).removeprefix("import ")

    assert set(imported.split(", ")) <= set(sys.builtin_module_names) | {"_socket"}
