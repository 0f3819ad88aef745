"""The main job, live: apply examples/pushpool.yaml, serve, let runs fall due, watch them end, check every end.

Everything happens on loopback, in a folder that is thrown away. Exits 0 only if every run ended as it should.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

ROOT = Path(__file__).parents[1]
PUSHPOOL = str(Path(sys.executable).with_name("pushpool"))
FALL_DUE_SECONDS = 16
GIVE_UP_SECONDS = 50
SCHEDULES = {
    "count-zones": "every-five-seconds",
    "midnight": "every-seven-seconds",
    "weekday-count": "seconds-of-the-week",
}
ZONES = ("Europe/Paris", "Asia/Tokyo", "America/Lima", "Pacific/Auckland")
COLOURS = {"COMPLETED": "green", "RUNNING": "cyan", "FAILED": "red", "CRASHED": "red", "CANCELLED": "yellow"}

Run = dict[str, Any]


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else 120)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pushpool-demo-") as home:
        environment = {**os.environ, "PUSHPOOL_HOME": home, "PUSHPOOL_PORT": str(free_port())}
        say(console, "pushpool apply -f examples/pushpool.yaml", environment)
        with serving(console, environment) as api:
            runs = watched(console, api, began)
        errors = list(wrong(runs))
    console.print(table(runs, "How it ended"))
    for error in errors:
        console.print(f"[red]✗[/] {error}")
    took = time.monotonic() - began
    console.print(
        f"{len(runs)} runs in {took:.0f} s, {'all as they should be' if not errors else 'not as it should be'}"
    )
    return 1 if errors else 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def say(console: Console, command: str, environment: dict[str, str]) -> None:
    console.print(f"[bold]$ {command}[/]")
    subprocess.run([PUSHPOOL, *command.split()[1:]], env=environment, cwd=ROOT, check=True)


@contextmanager
def serving(console: Console, environment: dict[str, str]) -> Iterator[httpx.Client]:
    """`pushpool serve`, and a client with the key that it made."""
    console.print("[bold]$ pushpool serve[/]")
    home = Path(environment["PUSHPOOL_HOME"])
    with (home / "serve.log").open("w") as log:
        server = subprocess.Popen([PUSHPOOL, "serve"], env=environment, cwd=ROOT, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{environment['PUSHPOOL_PORT']}"
        wait_for(lambda: answers(url), f"{url} to answer")
        key = (home / "api-key").read_text()
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10) as api:
            yield api
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/health", timeout=1).is_success
    except httpx.HTTPError:
        return False


def wait_for(holds: Callable[[], bool], what: str, seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            sys.exit(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


def watched(console: Console, api: httpx.Client, began: float) -> list[Run]:
    """Start the ad hoc runs, let scheduled ones fall due for a while, and watch until all have ended."""
    create(api, "cancelled")
    create(api, "times-out")
    for zone in ZONES:
        create(api, "farthest", parameters={"zone": zone})
    for name in ("shell", "shell", "fails", "flaky"):
        create(api, name)
    stop_scheduling = time.monotonic() + FALL_DUE_SECONDS
    told = paused = False
    with Live(console=console, refresh_per_second=8) as live:
        while True:
            runs = every_run(api)
            live.update(table(runs, "Live"))
            if not told and (running := [r for r in runs if r["deployment"] == "cancelled" and is_in(r, "RUNNING")]):
                post(api, f"/v1/runs/{running[0]['id']}/cancel")
                told = True
            if not paused and time.monotonic() > stop_scheduling:
                for name, slug in SCHEDULES.items():
                    post(api, f"/v1/deployments/{name}/schedules/{slug}/pause")
                paused = True
            over = paused and not any(is_in(run, "SCHEDULED", "PENDING", "RUNNING", "CANCELLING") for run in runs)
            if over or time.monotonic() - began > GIVE_UP_SECONDS:
                live.update("")
                return runs
            time.sleep(0.15)


def create(api: httpx.Client, deployment: str, **body: Any) -> None:
    post(api, f"/v1/deployments/{deployment}/runs", body)


def post(api: httpx.Client, path: str, body: Any = None) -> Any:
    answer = api.post(path, json=body) if body is not None else api.post(path)
    answer.raise_for_status()
    return answer.json()


def every_run(api: httpx.Client) -> list[Run]:
    """All runs, oldest first, page by page."""
    runs: list[Run] = []
    query: dict[str, str] = {"limit": "100"}
    while True:
        page = api.get("/v1/runs", params=query).raise_for_status().json()
        runs += page["items"]
        if not page["next"]:
            return sorted(runs, key=lambda run: (run["scheduled_time"], run["id"]))
        query["cursor"] = page["next"]


def is_in(run: Run, *types: str) -> bool:
    return run["state_type"] in types


def table(runs: list[Run], title: str) -> Table:
    columns = ("Run", "Queue", "State", "Scheduled", "Started", "Waited", "Took", "Exit", "Attempt")
    shown = Table(*columns, title=title, title_justify="left")
    for run in runs:
        colour = COLOURS.get(run["state_type"], "white")
        scheduled, started, ended = (moment(run[key]) for key in ("scheduled_time", "started", "ended"))
        shown.add_row(
            run["name"],
            run["work_queue"],
            f"[{colour}]{run['state_name']}[/]",
            f"{scheduled:%H:%M:%S}" if scheduled else "",
            f"{started:%H:%M:%S}" if started else "",
            span(scheduled, started),
            span(started, ended),
            "" if run["exit_code"] is None else str(run["exit_code"]),
            str(run["attempt"]),
        )
    return shown


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def span(start: datetime | None, end: datetime | None) -> str:
    return f"{max(0.0, (end - start).total_seconds()):.1f} s" if start and end else ""


def wrong(runs: list[Run]) -> Iterator[str]:
    """Everything that did not end as it should."""
    expected = {
        "farthest": (len(ZONES), "Completed", 0),
        "shell": (2, "Completed", 0),
        "fails": (1, "Failed", 3),
        "flaky": (1, "Completed", 0),
        "cancelled": (1, "Cancelled", None),
        "times-out": (1, "TimedOut", None),
        **dict.fromkeys(SCHEDULES, (None, "Completed", 0)),
    }
    for name, (number, state, code) in expected.items():
        mine = [run for run in runs if run["deployment"] == name]
        if number is None and len(mine) < 2:
            yield f"{name}: {len(mine)} runs fell due, at least 2 should have"
        if number is not None and len(mine) != number:
            yield f"{name}: {len(mine)} runs instead of {number}"
        for run in mine:
            if run["state_name"] != state or (code is not None and run["exit_code"] != code):
                yield f"{run['name']} is {run['state_name']} with exit code {run['exit_code']}, not {state} with {code}"
    if any(run["attempt"] != 2 for run in runs if run["deployment"] == "flaky"):
        yield "flaky did not complete in its second attempt"
    yield from overlaps([run for run in runs if run["work_queue"] == "critical"])


def overlaps(runs: list[Run]) -> Iterator[str]:
    """Runs of a queue with the limit 1 that ran at once."""
    timed = sorted((run["started"], run["ended"], run["name"]) for run in runs if run["started"] and run["ended"])
    for (_, ended, first), (started, _, second) in pairwise(timed):
        if started < ended:
            yield f"{first} and {second} ran at once in a queue with the limit 1"


if __name__ == "__main__":
    sys.exit(main())
