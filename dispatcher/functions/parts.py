"""The parts of a function, made once a process and kept while it is warm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from dispatcher import logs, settings, wiring
from dispatcher.context import Context
from dispatcher.errors import Misconfigured, PushpoolError
from dispatcher.functions.figures import Figures
from dispatcher.settings import Settings

if TYPE_CHECKING:
    from dispatcher.dispatch import Dispatcher
    from dispatcher.http.api import Api

T = TypeVar("T")

# Recording what was submitted, and asking for the next pass, comes after the time that a pass may use.
RESERVED = timedelta(seconds=10)


class Parts:
    """Each is made when it is first asked for, once, however many threads ask."""

    def __init__(self, figures: Callable[[str], Figures], words: logs.Words = logs.PLAIN) -> None:
        self._new_figures, self._words = figures, words
        self._guard = RLock()
        self._told: Settings | None = None
        self._figures: Figures | None = None
        self._context: Context | None = None
        self._dispatcher: Dispatcher | None = None
        self._api: Api | None = None

    def use(self, context: Context) -> None:
        """Work with that one from now on, and read the environment anew: for who tests a function."""
        with self._guard:
            if self._dispatcher is not None:
                self._dispatcher.close()
            self._told = self._figures = self._dispatcher = self._api = None
            self._context = context

    def told(self) -> Settings:
        """What the environment says; from now on the log goes where a function's log goes."""
        with self._guard:
            if self._told is None:
                self._told = self._read()
            return self._told

    def _read(self) -> Settings:
        try:
            found = settings.read()
        except Misconfigured:
            logs.to_stderr(words=self._words)  # whoever catches it tells it there
            raise
        logs.to_stderr(found.log_level, self._words)
        return found

    def context(self) -> Context:
        """:raises Misconfigured: the environment lacks something, which it names."""
        with self._guard:
            if self._context is None:
                self._context = wiring.deployed(self.told())
            return self._context

    def dispatcher(self) -> Dispatcher:
        from dispatcher.dispatch import Dispatcher

        with self._guard:
            if self._dispatcher is None:
                self._dispatcher = Dispatcher(self.context())
            return self._dispatcher

    def api(self) -> Api:
        from dispatcher.http.api import Api

        with self._guard:
            if self._api is None:
                self._api = Api(self.context())
            return self._api

    def measured(self, work: Callable[[], T]) -> T:
        """Do it, and print what it came to."""
        with self._guard:
            self._figures = self._figures or self._new_figures(self.told().installation)
        with self._figures.printed():
            return work()

    def warm(self, part: Callable[[], object]) -> None:
        """Make it ready, while nobody waits; what cannot be is told by the first call."""
        with contextlib.suppress(PushpoolError):
            part()


def until(left: timedelta) -> datetime:
    """When a pass must be over, of a function that has so much time left: before its own time is."""
    return datetime.now(UTC) + max(left - RESERVED, left / 2)
