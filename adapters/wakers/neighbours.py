"""Wakes between the processes of one machine that share a folder: a datagram to each, and nobody polls.

Every process that listens has a socket in `<folder>/wakes`. Where that path is too long for a socket's address, or
the file system has no sockets, it is in a folder of the same user in /tmp.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import secrets
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

log = logging.getLogger("pushpool")

LONGEST_ADDRESS = 100  # bytes; 103 on macOS, 107 on Linux
NAME_BYTES = 24  # of a socket's own name, with its slash
SEND_SECONDS = 0.05  # for one whose queue is full; it has passes to make anyway
DATAGRAM_BYTES = 4096


class Heard(Protocol):
    def __call__(self, pool: str, at: datetime | None, /, *, hops: int) -> None: ...


class Neighbours:
    """As a waker it asks the other processes; the passes are made by those that `listen`."""

    def __init__(self, folder: Path) -> None:
        self._places = places(folder)
        self._socket: socket.socket | None = None
        self._address: Path | None = None
        self._thread: threading.Thread | None = None

    def wake(self, pool: str, at: datetime | None = None, *, hops: int = 0) -> None:
        """Asks every process that listens there, but this object itself."""
        said = {"pool": pool, "at": at.timestamp() if at is not None else None, "hops": hops}
        datagram = json.dumps(said).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_SECONDS)
                for address in self._others():
                    _send(sender, datagram, address)
        except OSError as error:
            log.warning("wake not sent", extra={"pool": pool, "why": str(error)})

    def listen(self, heard: Heard) -> None:
        """From now on passes on what the others ask for, from a thread of its own."""
        self._socket, self._address = _bind(self._places)
        if self._socket is None:
            log.warning("no socket for wakes: other processes cannot wake this one", extra={"places": self._places})
            return
        self._thread = threading.Thread(target=_receive, args=(self._socket, heard), name="neighbours", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._socket is None or self._address is None or self._thread is None:
            return
        try:
            self._socket.sendto(b"", str(self._address))  # an empty one ends the thread
        except OSError:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(1)
        self._address.unlink(missing_ok=True)
        self._socket.close()
        self._socket = None

    def _others(self) -> Iterator[Path]:
        for place in self._places:
            if _is_ours(place):
                yield from (address for address in place.glob("*.sock") if address != self._address)


def places(folder: Path) -> list[Path]:
    """Where the sockets of those who share `folder` may be, the best place first."""
    beside = folder.absolute() / "wakes"
    name = f"pushpool-{os.getuid()}-{hashlib.sha256(os.fsencode(beside)).hexdigest()[:12]}"
    # /tmp is the same for all of them, whatever their TMPDIR says.
    found = [beside, Path("/tmp") / name, Path(tempfile.gettempdir()) / name]  # noqa: S108 - checked to be ours
    fitting = [place for place in found if len(os.fsencode(place)) + NAME_BYTES <= LONGEST_ADDRESS]
    return list(dict.fromkeys(fitting))


def _is_ours(place: Path) -> bool:
    """A folder of this user that nobody else can write to: anyone may make one in the temporary folder."""
    try:
        found = place.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def _bind(candidates: list[Path]) -> tuple[socket.socket, Path] | tuple[None, None]:
    for place in candidates:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = place / f"{os.getpid()}-{secrets.token_hex(4)}.sock"
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            if _is_ours(place):
                listener.bind(str(address))
                return listener, address
        except OSError as error:
            log.debug("no socket there", extra={"place": str(place), "why": error.strerror})
        listener.close()
    return None, None


def _send(sender: socket.socket, datagram: bytes, address: Path) -> None:
    try:
        sender.sendto(datagram, str(address))
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:  # its process is gone
            with contextlib.suppress(OSError):
                address.unlink()
        elif error.errno != errno.ENOENT:
            log.warning("wake not sent", extra={"to": str(address), "why": str(error)})


def _receive(listener: socket.socket, heard: Callable[..., None]) -> None:
    while datagram := listener.recv(DATAGRAM_BYTES):
        try:
            said = json.loads(datagram)
            at = None if said["at"] is None else datetime.fromtimestamp(said["at"], UTC)
            heard(str(said["pool"]), at, hops=int(said["hops"]))
        except Exception:  # a wake that cannot be understood or passed on is a lost hint, and no more
            log.exception("wake not understood")
