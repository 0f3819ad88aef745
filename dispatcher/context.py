"""The parts that a function works with, put together once by `wiring`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dispatcher.errors import Misconfigured
from dispatcher.ports import Clock, Infrastructure, Store, Waker
from dispatcher.secret_values import LookUp
from dispatcher.tokens import Keys
from dispatcher.watch import Patience


def no_secrets(name: str) -> str:
    raise Misconfigured(f"secret {name!r} is not there: this installation has none")


@dataclass(frozen=True, slots=True)
class Context:
    """What everything here is done with.

    `infrastructure` loads the adapter of a pool type on first use; `api_url` is where containers call back; `secret`
    looks up the value of a secret; `sleep` lets a pass wait for a cloud's budget to fill up.
    """

    store: Store
    infrastructure: Callable[[str], Infrastructure]
    waker: Waker
    keys: Keys
    clock: Clock
    api_url: str
    patience: Patience = field(default_factory=Patience)
    secret: LookUp = no_secrets
    sleep: Callable[[float], None] = time.sleep
