"""The command as a process of its own, over HTTP to a server as a process of its own, with real runs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from dispatcher.testing.servers.loopback import Silent, serving

PUSHPOOL = str(Path(sys.executable).with_name("pushpool"))
PATIENCE_SECONDS = 60
FILE = """
work_pools:
  local: {type: process, queues: {one: {priority: 1, concurrency_limit: 1}}}
deployments:
  hello: {pool: local, queue: one, command: [echo, hello]}
  fails: {pool: local, command: [sh, -c, "echo so sorry; exit 3"]}
  sleeps: {pool: local, command: [sleep, "120"]}
"""


@dataclass
class Machine:
    """A home, a port, and the environment of whoever works there."""

    home: Path
    environment: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['PUSHPOOL_PORT']}"

    def start(self, *words: str) -> subprocess.Popen[str]:
        with (self.home / f"{words[0]}.log").open("a") as log:
            return subprocess.Popen(
                [PUSHPOOL, *words], env=self.environment, cwd=self.home, stdout=subprocess.PIPE, stderr=log, text=True
            )

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PUSHPOOL, *words],
            env={**self.environment, **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def over_http(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(*words, PUSHPOOL_API_URL=self.url)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PUSHPOOL_")},
        "PUSHPOOL_HOME": str(tmp_path / "home"),
        "PUSHPOOL_PORT": str(free_port()),
        "PATH": f"{Path(PUSHPOOL).parent}{os.pathsep}{os.environ['PATH']}",
    }
    (tmp_path / "pushpool.yaml").write_text(FILE)
    return Machine(tmp_path, environment)


@pytest.fixture
def served(machine: Machine) -> Iterator[Machine]:
    """A machine on which `pushpool serve` answers."""
    server = machine.start("serve")
    try:
        wait_for_answer(machine.url)
        yield machine
    finally:
        end(server)


def wait_for_answer(url: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            httpx.get(f"{url}/v1/health").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"{url} does not answer")


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def test_a_file_is_applied_and_its_runs_are_watched_to_their_ends(served: Machine) -> None:
    """Exit 0 for a run that completed, 1 with its last lines for one that did not."""
    ok(served.over_http("apply"))
    assert "nothing to do, 5 unchanged" in ok(served.over_http("apply"))

    good = served.over_http("deployment", "run", "hello", "--watch")
    bad = served.over_http("deployment", "run", "fails", "--watch")
    as_json = json.loads(ok(served.over_http("deployment", "run", "hello", "--watch", "--json")))

    assert good.returncode == 0
    assert re.search(r"\d\d:\d\d:\d\d  Running", good.stdout)
    assert re.search(r"hello-\w+ Completed after .* exit code 0", good.stdout)
    assert bad.returncode == 1
    assert "exit code 3" in bad.stdout
    assert "so sorry" in bad.stdout
    assert as_json["state_name"] == "Completed"
    assert ok(served.over_http("flow-run", "logs", as_json["id"])) == "hello\n"


def test_a_running_run_is_cancelled_and_seen_to_stop(served: Machine) -> None:
    """`flow-run watch` follows it from outside."""
    ok(served.over_http("apply"))
    run = json.loads(ok(served.over_http("deployment", "run", "sleeps", "--json")))["id"]
    watcher = served.start("flow-run", "watch", run, "--api", served.url)
    assert watcher.stdout is not None
    while "Running" not in watcher.stdout.readline():
        assert watcher.poll() is None

    assert "Cancelling" in ok(served.over_http("flow-run", "cancel", run))

    rest, _ = watcher.communicate(timeout=PATIENCE_SECONDS)
    assert watcher.returncode == 1
    assert "Cancelled" in rest
    assert "cancelled on request" in ok(served.over_http("flow-run", "inspect", run))


def test_a_second_server_of_the_same_installation_is_refused(served: Machine) -> None:
    """In one line, after the log."""
    second = served.run("serve")

    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith("error: ")


def test_without_a_key_nothing_is_shown(served: Machine) -> None:
    """The key of this machine's own server is found by itself; another home has none."""
    ok(served.over_http("work-pool", "ls"))

    stranger = served.run("work-pool", "ls", PUSHPOOL_API_URL=served.url, PUSHPOOL_HOME=str(served.home / "other"))

    assert stranger.returncode == 1
    assert "set PUSHPOOL_API_KEY" in stranger.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_server_ends_in_order_when_it_is_told_to(machine: Machine, number: int, code: int) -> None:
    """130 after Ctrl-C, 0 after SIGTERM; then nobody answers, and that is told."""
    server = machine.start("serve")
    wait_for_answer(machine.url)

    server.send_signal(number)

    out, _ = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == code
    assert out.startswith(f"serving {machine.url}, store sqlite:///")
    assert "is `pushpool serve` running?" in machine.over_http("work-pool", "ls").stderr


def test_an_agent_that_runs_once_sees_its_runs_to_their_ends(machine: Machine) -> None:
    """Without any server: callbacks are served by the agent itself."""
    ok(machine.run("apply"))
    ids = [json.loads(ok(machine.run("deployment", "run", "hello", "--json")))["id"] for _ in range(2)]

    passes = json.loads(ok(machine.run("agent", "start", "--pool", "local", "--run-once", "--json")))

    assert [(each["pool"], each["admitted"]) for each in passes] == [("local", 1)]
    states = [json.loads(ok(machine.run("flow-run", "inspect", run, "--json")))["state_name"] for run in ids]
    assert "Completed" in states


def test_a_pass_submits_what_is_due_and_the_next_hears_of_it(served: Machine) -> None:
    """`dispatch` beside a server: the run reports to that."""
    ok(served.over_http("apply"))
    passes = json.loads(ok(served.run("dispatch", "--json")))
    assert [each["pool"] for each in passes] == ["local"]


def test_what_is_no_api_is_told_as_that(machine: Machine) -> None:
    """Here a server that answers every path with a page."""

    class Page(Silent, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

    with serving(Page) as url:
        found = machine.run("work-pool", "ls", "--api", url)

    assert found.returncode == 1
    assert "answered 200 OK, not as a pushpool API does; check the URL" in found.stderr
