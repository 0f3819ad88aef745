"""The product in this process: for stores that only one process sees. A death is an exception that nothing holds up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dispatcher.context import Context
from dispatcher.errors import PushpoolError
from dispatcher.testing.crashes import DiedError, Fuse
from dispatcher.testing.proof.product import Answer, Died, Functions


class Here:
    """`context`: made anew for whoever comes after a death, with a fuse in its calls."""

    def __init__(self, context: Callable[[Fuse], Context], fuse: Fuse) -> None:
        self._context, self._fuse = context, fuse
        self._functions = Functions(context(fuse))

    def call(self, name: str, *arguments: Any) -> Answer:
        try:
            getattr(self._functions, name)(*arguments)
        except PushpoolError as exc:
            return Answer(type(exc).__name__)
        except DiedError as exc:
            self._functions = Functions(self._context(Fuse()))
            raise Died(self._fuse.steps[-1]) from exc
        return Answer()

    def tick(self) -> None:
        self.call("tick")
