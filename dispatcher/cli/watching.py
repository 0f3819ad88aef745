"""Following a run to its end: a line that changes on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from dispatcher.cli import output
from dispatcher.cli.client import NoAnswer
from dispatcher.cli.commands import Failed
from dispatcher.errors import PushpoolError

if TYPE_CHECKING:
    from dispatcher.cli.client import Api
    from dispatcher.cli.commands import Cli

Json = dict[str, Any]
AWAY_SECONDS = 60  # how long a server may be gone
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class StillGoing(PushpoolError):
    """The time to watch is over, and the run is not."""


def watch_to_the_end(cli: Cli, run: Json, *, interval: float, timeout: float | None) -> None:
    """:raises Failed: it did not complete. :raises StillGoing:"""
    until = None if timeout is None else time.monotonic() + timeout
    with _progress(cli) as tell:
        tell(run)
        while run["state_type"] not in FINAL:
            if until is not None and time.monotonic() >= until:
                raise StillGoing(f"run {run['id']} is {run['state_name']} after {timeout:g} s; it goes on")
            time.sleep(interval if until is None else min(interval, max(0.0, until - time.monotonic())))
            run = _look(cli.api, run)
            tell(run)
    cli.show(run, lambda: _end(run))
    if run["state_type"] != "COMPLETED":
        raise Failed


def _look(api: Api, run: Json) -> Json:
    """The run as it is now. A server that is started anew is waited for."""
    until = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            return api.get("runs", run["id"])
        except NoAnswer:
            if time.monotonic() > until:
                raise
            time.sleep(1)


@contextmanager
def _progress(cli: Cli) -> Iterator[Callable[[Json], None]]:
    """Nothing with --json: there the end is the answer."""
    if cli.json:
        yield lambda _: None
    elif output.console().is_terminal:
        yield from _live()
    else:
        yield _Lines()


def _live() -> Iterator[Callable[[Json], None]]:
    from rich.live import Live
    from rich.spinner import Spinner

    with Live(console=output.console(), refresh_per_second=8, transient=True) as live:
        spinner = Spinner("dots")

        def tell(run: Json) -> None:
            spinner.update(text=Text.assemble(run["name"], "  ", _state(run), "  ", _why(run)))
            live.update(spinner)

        yield tell


class _Lines:
    """One line for each state that the run has been in since the last look, and for each reason to wait."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._why = ""

    def __call__(self, run: Json) -> None:
        for state in run["history"]:
            at = datetime.fromisoformat(state["at"]).astimezone(UTC)
            line = f"{at:%H:%M:%S}  {state['name']}  {state['message']}".rstrip()
            if (known := f"{at} {line}") not in self._told:
                self._told.add(known)
                print(line, flush=True)  # noqa: T201
        if (why := _waits(run)) != self._why and why:
            print(f"          {why}", flush=True)  # noqa: T201
        self._why = why


def _state(run: Json) -> Text:
    return output.state(run["state_type"], run["state_name"])


def _why(run: Json) -> str:
    return _waits(run) or str(run["state_message"])


def _waits(run: Json) -> str:
    """Why it waits; one that is late is perhaps seen by nobody."""
    if not run["waits_for"]:
        return ""
    from dispatcher.waiting import SOON

    is_unseen = run["state_name"] == "Late" and run["waits_for"] == SOON
    hint = "; is `pushpool serve` or an agent running?" if is_unseen else ""
    return f"waits: {run['waits_for']}{hint}"


def _end(run: Json) -> Text:
    took, code = output.took(run["started"], run["ended"]), run["exit_code"]
    facts = [f"after {took}" if took else "", f"exit code {code}" if code is not None else ""]
    told = ", ".join(fact for fact in facts if fact)
    said = f": {run['state_message']}" if run["state_message"] not in ("", f"exit code {code}") else ""
    end = Text.assemble(run["name"], " ", _state(run), f" {told}" if told else "", said)
    if run["state_type"] != "COMPLETED" and run["log_tail"]:
        end.append(f"\n{run['log_tail'].rstrip()}", style="dim")
    return end
