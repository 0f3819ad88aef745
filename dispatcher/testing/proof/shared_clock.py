"""A clock that several processes read and one moves by hand."""

from __future__ import annotations

import os
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dispatcher.testing.clock import START

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class SharedClock:
    """Its time stands in a file, which is `START` at first. `skew`: by how much it goes wrong."""

    def __init__(self, path: Path, *, skew: timedelta = timedelta(0)) -> None:
        self.path = path
        self._skew = skew
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if not os.fstat(self._file).st_size:
            self.set(START)

    def now(self) -> datetime:
        (microseconds,) = struct.unpack("=q", os.pread(self._file, 8, 0))
        return _EPOCH + timedelta(microseconds=microseconds) + self._skew

    def set(self, to: datetime) -> None:
        os.pwrite(self._file, struct.pack("=q", (to - _EPOCH) // _MICROSECOND), 0)

    def move(self, by: timedelta) -> None:
        self.set(self.now() - self._skew + by)

    def close(self) -> None:
        os.close(self._file)
