"""How long one call of a store goes on that meets with what passes by itself."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0


@dataclass(slots=True)
class Tries:
    """`until`, on the monotonic clock. `doubt`: a request got no answer, so an effect of ours may be there already."""

    until: float
    pause: float = _FIRST_PAUSE
    doubt: bool = False

    @classmethod
    def for_seconds(cls, seconds: float) -> Tries:
        return cls(time.monotonic() + seconds)

    def wait(self) -> bool:
        """False when the time is over."""
        seconds = random.uniform(0, self.pause)  # noqa: S311  # full jitter: who collided does not collide again
        if time.monotonic() + seconds > self.until:
            return False
        time.sleep(seconds)
        self.pause = min(2 * self.pause, _LONGEST_PAUSE)
        return True
