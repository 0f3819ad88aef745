"""`pushpool dispatch`, `pushpool agent start` and `pushpool serve`: passes on this machine, over the store itself."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli.commands import Cli, command, noun
from dispatcher.cli.options import opt

if TYPE_CHECKING:
    from rich.table import Table

    from dispatcher.admitting import Selection
    from dispatcher.dispatch import Pass

agent_app = noun("An agent: passes in a loop, for a laptop.")

PASS = timedelta(minutes=5)
INTERRUPTED = 130

Pools = Annotated[list[str] | None, opt("--pool", "-p", help="This work pool; may be repeated. Default: all.")]
Queues = Annotated[list[str] | None, opt("--work-queue", "-q", help="This work queue; may be repeated.")]
Match = Annotated[list[str] | None, opt("--match", "-m", metavar="PREFIX", help="Work queues that begin so.")]
Limit = Annotated[int | None, opt("--limit", "-l", min=0, help="Active runs to bring a pool to at most.")]
Prefetch = Annotated[int | None, opt("--prefetch-seconds", min=0, help="How early to submit. Default: the pool's.")]


def dispatch(
    cli: Cli,
    *,
    pool: Pools = None,
    work_queue: Queues = None,
    match: Match = None,
    limit: Limit = None,
    prefetch_seconds: Prefetch = None,
) -> None:
    """Make one pass over the store itself.

    It admits and submits what is due, and looks after what is overdue. Runs report to the API, if one is served.
    """
    from dispatcher import settings as environment
    from dispatcher import wiring
    from dispatcher.catalogue.queues import pool_named
    from dispatcher.dispatch import Dispatcher
    from dispatcher.logs import to_stderr

    to_stderr(logging.WARNING)
    settings = environment.read()
    context = wiring.visiting(settings)
    for name in pool or ():
        pool_named(context, name)
    dispatcher = Dispatcher(context)
    try:
        selection = _selection(work_queue, match, limit, prefetch_seconds)
        passes = dispatcher.tick(until=datetime.now(UTC) + PASS, pools=pool or (), selection=selection)
    finally:
        dispatcher.close()
    _show(cli, passes)


def _selection(
    queues: list[str] | None, match: list[str] | None, limit: int | None, prefetch_seconds: int | None
) -> Selection:
    from dispatcher.admitting import Selection

    return Selection(frozenset(queues or ()), tuple(match or ()), limit, prefetch_seconds)


def _show(cli: Cli, passes: list[Pass]) -> None:
    found = [
        {
            "pool": each.pool,
            "admitted": each.admitted,
            "accepted": each.accepted,
            "come_back": each.come_back.isoformat() if each.come_back else None,
            "more": each.more,
        }
        for each in passes
    ]
    cli.show(found, lambda: _table(found))


def _table(passes: list[dict[str, Any]]) -> Table | str:
    from dispatcher.cli import output

    shown = output.table("Work pool", "Admitted", "Accepted", "Come back")
    found = (
        (
            each["pool"],
            each["admitted"],
            each["accepted"],
            "at once" if each["more"] else output.when(each["come_back"]),
        )
        for each in passes
    )
    return output.rows(shown, found, empty="no work pools")


@command(
    agent_app,
    "start",
    example="pushpool agent start --pool laptop --work-queue high --limit 5",
    without=frozenset({"api"}),
)
def start(
    cli: Cli,
    *,
    pool: Pools = None,
    work_queue: Queues = None,
    match: Match = None,
    limit: Limit = None,
    prefetch_seconds: Prefetch = None,
    run_once: Annotated[bool, opt("--run-once", help="One pass, and see its runs to their end.")] = False,
    api: Annotated[
        str | None, opt("--api", metavar="URL", help="Where runs report. Default: here, by this process.")
    ] = None,
) -> None:
    """Make passes until it is interrupted.

    Over the store itself, whenever there is something to do; callbacks are served here if nobody else does.
    """
    from dispatcher import settings as environment
    from dispatcher.agent import Scope
    from dispatcher.local import local_agent
    from dispatcher.logs import to_stderr

    settings = environment.read()
    if api is not None:
        settings = replace(settings, public_url=api.rstrip("/"))
    to_stderr()
    scope = Scope(frozenset(pool or ()), _selection(work_queue, match, limit, prefetch_seconds))
    with local_agent(settings, scope) as made, _until_told() as told:
        if run_once:
            _show(cli, made.agent.run_once(told.stop))
        else:
            cli.say(f"agent started, store {settings.store}; Ctrl-C ends it")
            made.agent.run(told.stop)
    told.exit()


def serve(
    cli: Cli,
    *,
    host: Annotated[str | None, opt("--host", help="Address to bind. Default: PUSHPOOL_HOST or 127.0.0.1.")] = None,
    port: Annotated[
        int | None, opt("--port", min=0, max=65535, help="Port to bind. Default: PUSHPOOL_PORT or 4280.")
    ] = None,
) -> None:
    """Serve the API here, and make passes.

    On loopback unless told otherwise, until it is interrupted; as `agent start` makes them.
    """
    from dispatcher import settings as environment
    from dispatcher import wiring
    from dispatcher.agent import Scope
    from dispatcher.local import local_agent
    from dispatcher.logs import to_stderr

    settings = environment.read()
    settings = replace(settings, host=host or settings.host, port=settings.port if port is None else port)
    to_stderr()
    with local_agent(settings, Scope()) as made, _until_told() as told:
        wiring.local_api_key(settings, made.context.store, datetime.now(UTC))
        server = made.host.serve()
        cli.say(f"serving {server.url}, store {settings.store}; Ctrl-C ends it")
        made.agent.run(told.stop)
    told.exit()


class _Told:
    """Whether a signal came, and which."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._interrupted = False

    def hear(self, number: int, _: FrameType | None) -> None:
        self._interrupted = number == signal.SIGINT
        self.stop.set()

    def exit(self) -> None:
        """:raises typer.Exit: 130 after Ctrl-C."""
        if self._interrupted:
            raise typer.Exit(INTERRUPTED)


@contextmanager
def _until_told() -> Iterator[_Told]:
    """SIGTERM and Ctrl-C set `stop`; what is going on is finished in order."""
    told = _Told()
    before = {number: signal.signal(number, told.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
