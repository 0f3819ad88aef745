"""The parts of a function, made once a process and kept while it is warm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib.figures import Figures
from dispatcher import logs, settings, wiring
from dispatcher.context import Context
from dispatcher.settings import Settings

if TYPE_CHECKING:
    from dispatcher.dispatch import Dispatcher

T = TypeVar("T")

# Recording what was submitted, and asking for the next pass, comes after the time that a pass may use.
RESERVED = timedelta(seconds=10)


@cache
def told() -> Settings:
    """What the environment says; from now on the log goes where a function's log goes."""
    found = settings.read()
    logs.to_stderr(found.log_level)
    return found


@cache
def context() -> Context:
    """:raises Misconfigured: the environment lacks something, which it names."""
    return wiring.deployed(told())


@cache
def dispatcher() -> Dispatcher:
    from dispatcher.dispatch import Dispatcher

    return Dispatcher(context())


@cache
def figures() -> Figures:
    return Figures(told().installation)


def until(lambda_context: Any) -> datetime:
    """When a pass must be over: before the function's own time is."""
    left = timedelta(milliseconds=lambda_context.get_remaining_time_in_millis())
    return datetime.now(UTC) + max(left - RESERVED, left / 2)


def measured(work: Callable[[], T]) -> T:
    """Do it, and print what it came to as embedded metrics."""
    with figures().printed():
        return work()


def warm(handler: str) -> None:
    """Make ready what the function will need; what cannot be is told by its first call."""
    from dispatcher.errors import PushpoolError

    try:
        if handler == "app.dispatch":
            dispatcher()
        else:
            context()
    except PushpoolError:
        context.cache_clear()
