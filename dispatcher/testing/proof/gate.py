"""Where every container of a life reports as its command starts: the log of what really ran, and the way to end it.

A container holds its connection as long as it lives, and the kernel ends it with the container, whoever killed that.
So nothing that a dispatcher, a store or a cloud says is needed to tell what ran, and when.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from dataclasses import dataclass

from dispatcher.testing.proof.far import Container

ADDRESS, ROLE = "GATE", "ROLE"  # variables that lead a container here and say whose it is

# Built-in modules alone: their import costs nothing, and the interpreter's own start is half of a container's life.
# As PID 1 it would not hear of SIGTERM without a handler.
PROGRAM = f"""\
import _signal, _socket, posix
_signal.signal(_signal.SIGTERM, lambda *_: posix._exit(143))
told = lambda name: posix.environ[name.encode()].decode()
host, _, port = told("{ADDRESS}").partition(":")
gate = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
gate.connect((host, int(port)))
names = "PUSHPOOL_RUN_ID", "PUSHPOOL_ATTEMPT", "{ROLE}", "PUSHPOOL_RUN_TOKEN"
words = [posix.urandom(8).hex(), *map(told, names)]
gate.sendall(chr(9).join(words).encode() + bytes([10]))
posix._exit(int(gate.recv(9) or 1))
"""


def command(python: str = "python3") -> list[str]:
    """What a job runs: it comes to the gate, and exits as it is told there; with 1 when the gate is gone."""
    return [python, "-I", "-S", "-c", PROGRAM]


@dataclass(slots=True)
class _Visit:
    """One connection; `words` as far as they have come."""

    began: float
    connection: socket.socket
    words: bytes = b""
    ended: float | None = None
    is_told: bool = False

    @property
    def has_come(self) -> bool:
        return self.words.endswith(b"\n")

    def container(self) -> Container:
        name, run_id, attempt, deployment, token = self.words.decode().rstrip("\n").split("\t")
        return Container(
            name=name, run_id=run_id, attempt=int(attempt), deployment=deployment, token=token,
            began=self.began, ended=self.ended, is_up=self.ended is None,
        )  # fmt: skip


class Gate:
    """A listener on loopback with a thread of its own; its times are `time.monotonic()`.

    Of an end and a beginning it takes the one first that happened first: what was killed before another was started
    has never run beside it.
    """

    def __init__(self) -> None:
        self._visits: list[_Visit] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(0)
        self._waking, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for each in (self._listener, self._woken):
            self._selector.register(each, selectors.EVENT_READ)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, name="gate", daemon=True)
        self._thread.start()

    def containers(self) -> list[Container]:
        """Every one that ever came, the oldest first."""
        with self._lock:
            return [visit.container() for visit in self._visits if visit.has_come]

    def finish(self, name: str, exit_code: int) -> None:
        """Tells it to exit, unless it has ended or was told before."""
        with self._lock:
            for visit in self._visits:
                if visit.has_come and visit.ended is None and not visit.is_told and visit.container().name == name:
                    visit.is_told = True
                    with contextlib.suppress(OSError):  # it has ended by itself
                        visit.connection.sendall(str(exit_code).encode())

    def leaving(self) -> list[str]:
        """Names of those that were told to exit and have not."""
        with self._lock:
            return [visit.container().name for visit in self._visits if visit.is_told and visit.ended is None]

    def close(self) -> None:
        """Whoever is connected exits."""
        self._waking.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            ready = [key.fileobj for key, _ in self._selector.select()]
            if self._woken in ready:
                break
            with self._lock:
                for visit in self._visits:
                    if visit.connection in ready:
                        self._read(visit)
                if self._listener in ready:
                    self._accept()  # one: before the next, ends are looked at again
        for visit in self._visits:
            if visit.ended is None:
                self._end(visit)
        self._selector.close()
        self._listener.close()
        self._woken.close()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = self._listener.accept()
            connection.settimeout(0)
            self._visits.append(_Visit(time.monotonic(), connection))
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, visit: _Visit) -> None:
        try:
            while words := visit.connection.recv(65536):
                visit.words += words
        except BlockingIOError:
            return
        except OSError:  # reset: it was killed before it had read all
            pass
        self._end(visit)

    def _end(self, visit: _Visit) -> None:
        self._selector.unregister(visit.connection)
        visit.connection.close()
        visit.ended = time.monotonic()
