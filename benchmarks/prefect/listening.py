"""Hears when runs start and end, as they say it themselves."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

PATIENCE_SECONDS = 400.0


class Listener:
    """What was heard so far: run → when it started, and when it ended, as seconds since 1970."""

    def __init__(self, voice: socket.socket) -> None:
        self.port: int = voice.getsockname()[1]
        self.starts: dict[str, float] = {}
        self.ends: dict[str, float] = {}
        self.doubled: set[str] = set()
        self._voice = voice
        self._heard = threading.Condition()

    def hear(self) -> None:
        """Until an empty datagram comes."""
        while said := self._voice.recv(1000):
            run, word, at = said.decode().split()
            with self._heard:
                if word == "start" and run in self.starts:
                    self.doubled.add(run)
                known = self.starts if word == "start" else self.ends
                known.setdefault(run, float(at))
                self._heard.notify_all()

    def started(self, run: str) -> float:
        return self._all({run}, self.starts)[run]

    def ended(self, runs: Iterable[str]) -> Mapping[str, float]:
        """When each of them ended, once all have. :raises TimeoutError:"""
        return self._all(set(runs), self.ends)

    def _all(self, runs: set[str], known: dict[str, float]) -> dict[str, float]:
        with self._heard:
            if not self._heard.wait_for(lambda: runs <= known.keys(), PATIENCE_SECONDS):
                missing = runs - known.keys()
                raise TimeoutError(f"{len(missing)} of {len(runs)} runs not heard of in {PATIENCE_SECONDS:g} s")
            return {run: known[run] for run in runs}

    def most_at_once(self, runs: Iterable[str]) -> int:
        """The highest number of them that ran at one time."""
        turns = [(self.starts[run], 1) for run in runs] + [(self.ends[run], -1) for run in runs]
        running = most = 0
        for _, step in sorted(turns):
            running += step
            most = max(most, running)
        return most


@contextmanager
def listening() -> Iterator[Listener]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as voice:
        voice.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        voice.bind(("127.0.0.1", 0))
        listener = Listener(voice)
        thread = threading.Thread(target=listener.hear)
        thread.start()
        try:
            yield listener
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("127.0.0.1", listener.port))
            thread.join()


def now() -> float:
    """By the clock that the runs use."""
    return time.time()
