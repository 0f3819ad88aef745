"""The runner as a process of its own, against an HTTP server on loopback that answers as each test says."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socketserver
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import pytest

from dispatcher import runner

RUNNER = Path(runner.__file__)
TOKEN = "v1.k1.c2VjcmV0.c2lnbmF0dXJl"
STATE, HEARTBEAT, PARAMETERS = "/v1/callbacks/state", "/v1/callbacks/heartbeat", "/v1/callbacks/parameters"
LATEST = 10.0

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc and prctl")


@dataclass
class Word:
    """A request that the API got."""

    method: str
    path: str
    token: str
    body: dict[str, Any]
    at: float


@dataclass
class Reply:
    """What the API answers; `status` 0 closes the connection without a word."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


RUNNING = Reply(body={"state": "RUNNING", "heartbeat_seconds": 120})
BUSY = Reply(503, {"title": "busy"})
TAKEN = Reply(409, {"title": "Conflict", "detail": "another container has claimed attempt 1"})


class Api(socketserver.ThreadingTCPServer):
    """Answers each kind of word from its list; the last of a list is given for ever."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.prefix = ""
        self.heard: list[Word] = []
        self.news = threading.Condition()
        self.replies: dict[str, list[Reply]] = {
            "RUNNING": [RUNNING],
            "beat": [Reply()],
            "end": [Reply()],
            "parameters": [Reply(body={"parameters": {}})],
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{self.prefix}"

    def take(self, word: Word) -> Reply:
        kind = {HEARTBEAT: "beat", PARAMETERS: "parameters"}.get(word.path.removeprefix(self.prefix), "end")
        replies = self.replies["RUNNING" if word.body.get("state") == "RUNNING" else kind]
        with self.news:
            self.heard.append(word)
            self.news.notify_all()
            return replies.pop(0) if len(replies) > 1 else replies[0]

    def wait_for(self, path: str, count: int = 1) -> None:
        with self.news:
            assert self.news.wait_for(lambda: len(self.words(path)) >= count, LATEST), self.heard

    def words(self, path: str = STATE) -> list[Word]:
        return [word for word in self.heard if word.path == self.prefix + path]

    def states(self) -> list[str]:
        return [word.body["state"] for word in self.words()]

    def end(self) -> dict[str, Any]:
        return self.words()[-1].body


class Exchange(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        api = cast(Api, self.server)
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers["Authorization"].removeprefix("Bearer ")
        reply = api.take(Word(self.command, self.path, token, json.loads(text or b"{}"), time.time()))
        time.sleep(reply.delay)
        if reply.status == 0:
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 - the base class names it so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # some tests make the runner go away
            super().handle()


@dataclass
class Ended:
    code: int
    out: bytes
    err: str
    seconds: float


class Container:
    """Starts the runner as a cloud would, and ends what a test leaves running."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api, self.folder = api, folder
        self.started: list[subprocess.Popen[bytes]] = []
        self.python = [sys.executable, "-S"]  # it needs no package
        self.runner = RUNNER
        self.environment = {
            "PUSHPOOL_API_URL": api.url,
            "PUSHPOOL_RUN_ID": "5b0f6a4e-6d0c-4a57-9d4c-0d9d1a3f9a11",
            "PUSHPOOL_ATTEMPT": "1",
            "PUSHPOOL_RUN_TOKEN": TOKEN,
            "PUSHPOOL_SCHEDULED_TIME": in_seconds(-1),
            "PUSHPOOL_PARAMETERS": "{}",
        }

    def start(self, *arguments: str, **popen: Any) -> subprocess.Popen[bytes]:
        popen = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
        command = [*self.python, str(self.runner), *arguments]
        environment = {**os.environ, **self.environment}
        # Unbuffered, so that a line read here takes nothing from what communicate() reads.
        process = subprocess.Popen(command, env=environment, cwd=self.folder, bufsize=0, **popen)
        self.started.append(process)
        return process

    def run_until(self, path: str, count: int) -> Ended:
        """Runs a command that ends when the API has heard so many words on `path`."""
        process = self.start(*sh("until [ -e enough ]; do sleep 0.01; done"))
        self.api.wait_for(path, count)
        (self.folder / "enough").touch()
        return self.finish(process)

    def run(self, *arguments: str, **popen: Any) -> Ended:
        return self.finish(self.start(*arguments, **popen))

    def finish(self, process: subprocess.Popen[bytes], *, given: bytes | None = None) -> Ended:
        begun = time.monotonic()
        out, err = process.communicate(given, timeout=LATEST)
        return Ended(process.returncode, out or b"", (err or b"").decode(), time.monotonic() - begun)

    def stop(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()


def in_seconds(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


def sh(script: str) -> tuple[str, ...]:
    return ("--", "sh", "-c", script)


def py(script: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-I", "-S", "-c", textwrap.dedent(script))


def read_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def ready(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """The process, once its command has said so."""
    assert read_line(process) == "ready"
    return process


def await_that(claim: Callable[[], bool]) -> None:
    until = time.monotonic() + LATEST
    while not claim():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(autouse=True)
def _no_signal_is_ignored() -> Iterator[None]:
    """A shell's & makes what it starts ignore SIGINT, the tests and then the runner too."""
    ignored = [
        each for each in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT) if signal.getsignal(each) is signal.SIG_IGN
    ]
    for each in ignored:
        signal.signal(each, signal.SIG_DFL)
    yield
    for each in ignored:
        signal.signal(each, signal.SIG_IGN)


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def container(api: Api, tmp_path: Path) -> Iterator[Container]:
    it = Container(api, tmp_path)
    yield it
    it.stop()


@pytest.fixture
def unreachable(container: Container) -> Container:
    """Where nothing listens at the API's address."""
    with Api() as gone:
        container.environment["PUSHPOOL_API_URL"] = gone.url
    return container


class TestTheClaim:
    def test_comes_before_the_command_and_its_end_after(self, api: Api, container: Container) -> None:
        ended = container.run(*sh("echo hello; echo world >&2"))

        assert (ended.code, ended.out, ended.err) == (0, b"hello\n", "world\n")
        claim, end = api.words()
        assert (claim.method, claim.token, end.token) == ("POST", TOKEN, TOKEN)
        assert claim.body == {"state": "RUNNING", "instance": end.body["instance"]}
        assert len(claim.body["instance"]) == 32
        assert {k: v for k, v in end.body.items() if k not in {"instance", "log_tail"}} == {
            "state": "COMPLETED",
            "exit_code": 0,
            "signalled": False,
            "message": "",
        }
        assert sorted(end.body["log_tail"].split()) == ["hello", "world"]

    def test_is_made_by_a_new_instance_each_time(self, api: Api, container: Container) -> None:
        container.run("true")
        container.run("true")

        assert len({word.body["instance"] for word in api.heard}) == 2

    @pytest.mark.parametrize("status", [401, 403, 404, 409, 422])
    def test_that_is_refused_starts_nothing(self, api: Api, container: Container, status: int) -> None:
        api.replies["RUNNING"] = [Reply(status, {"detail": f"no, {TOKEN}\nat all"})]
        container.environment["PUSHPOOL_START_WITHOUT_CLAIM"] = "1"

        ended = container.run(*sh("touch started"))

        assert ended.code == 75
        assert not (container.folder / "started").exists()
        assert api.states() == ["RUNNING"]
        assert ended.err.count("\n") == 1
        assert f"{status} no, *** at all" in ended.err
        assert TOKEN not in ended.err

    def test_that_is_redirected_is_not_sent_on(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [Reply(307, headers={"Location": f"{api.url}/elsewhere"})]

        assert container.run(*sh("touch started")).code == 75
        assert [word.path for word in api.heard] == [STATE]
        assert not (container.folder / "started").exists()

    def test_is_tried_again_by_the_same_instance(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [BUSY, Reply(0), RUNNING]

        ended = container.run("true")

        assert ended.code == 0
        assert api.states() == ["RUNNING"] * 3 + ["COMPLETED"]
        assert len({word.body["instance"] for word in api.heard}) == 1
        assert "busy" in ended.err

    def test_waits_as_long_as_the_api_asks_for(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [Reply(429, headers={"Retry-After": "1"}), RUNNING]

        assert container.run("true").code == 0
        assert api.words()[1].at - api.words()[0].at >= 1

    def test_waits_so_long_whatever_rings_meanwhile(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [Reply(429, headers={"Retry-After": "1"}), RUNNING]
        runner = container.start("true")
        api.wait_for(STATE)
        while len(api.words()) == 1 and runner.poll() is None:
            runner.send_signal(signal.SIGUSR1)  # passed on, were there a command yet
            time.sleep(0.05)

        assert container.finish(runner).code == 0
        assert api.words()[1].at - api.words()[0].at >= 1

    def test_is_given_up_when_the_api_asks_to_wait_past_the_deadline(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [Reply(429, headers={"Retry-After": "60"}), RUNNING]
        container.environment["PUSHPOOL_START_DEADLINE"] = in_seconds(5)

        ended = container.run("true")

        assert (ended.code, len(api.heard)) == (75, 1)
        assert ended.seconds < 2

    @pytest.mark.parametrize("page", [b"<html>Welcome</html>", b'{"state": "PENDING"}'])
    def test_is_not_granted_by_an_answer_without_the_state(self, api: Api, container: Container, page: bytes) -> None:
        api.replies["RUNNING"] = [Reply(200, page)]
        container.environment["PUSHPOOL_START_DEADLINE"] = in_seconds(0.3)

        assert container.run(*sh("touch started")).code == 75
        assert not (container.folder / "started").exists()

    def test_is_tried_until_the_deadline(self, unreachable: Container) -> None:
        unreachable.environment["PUSHPOOL_START_DEADLINE"] = in_seconds(0.6)

        ended = unreachable.run(*sh("touch started"))

        assert ended.code == 75
        assert ended.seconds > 0.4
        assert not (unreachable.folder / "started").exists()
        assert "refused" in ended.err

    def test_is_tried_once_when_the_deadline_has_passed(self, api: Api, container: Container) -> None:
        container.environment["PUSHPOOL_START_DEADLINE"] = in_seconds(-60)

        assert container.run("true").code == 0
        assert api.states() == ["RUNNING", "COMPLETED"]

    def test_ends_in_time_when_the_api_never_answers(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [Reply(delay=4)]
        container.environment["PUSHPOOL_START_DEADLINE"] = in_seconds(0.5)

        ended = container.run("true")

        assert ended.code == 75
        assert ended.seconds < 3.5

    def test_goes_below_the_path_of_the_api(self, api: Api, container: Container) -> None:
        api.prefix = "/team/api"
        container.environment["PUSHPOOL_API_URL"] = f"{api.url}/"

        assert container.run("true").code == 0
        assert {word.path for word in api.heard} == {f"/team/api{STATE}"}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PUSHPOOL_API_URL", "ftp://example.org"),
            ("PUSHPOOL_API_URL", "http://[::1"),
            ("PUSHPOOL_API_URL", ""),
            ("PUSHPOOL_RUN_TOKEN", ""),
            ("PUSHPOOL_RUN_TOKEN", "two\nlines"),
            ("PUSHPOOL_SCHEDULED_TIME", "soon"),
            ("PUSHPOOL_GRACE_SECONDS", "ten"),
        ],
    )
    def test_needs_a_readable_environment(self, container: Container, name: str, value: str) -> None:
        container.environment[name] = value

        ended = container.run(*sh("touch started"))

        assert ended.code == 75
        assert name in ended.err
        assert "two" not in ended.err
        assert not (container.folder / "started").exists()


class TestStartingWithoutAClaim:
    def test_is_done_when_the_pool_allows_it(self, unreachable: Container) -> None:
        unreachable.environment |= {
            "PUSHPOOL_START_WITHOUT_CLAIM": "1",
            "PUSHPOOL_START_DEADLINE": in_seconds(0.2),
            "PUSHPOOL_END_DEADLINE_SECONDS": "0.2",
        }

        ended = unreachable.run(*sh("touch started; exit 3"))

        assert ended.code == 3
        assert (unreachable.folder / "started").exists()

    def test_goes_on_trying_to_claim(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [BUSY, BUSY, RUNNING]
        container.environment |= {
            "PUSHPOOL_START_WITHOUT_CLAIM": "1",
            "PUSHPOOL_START_DEADLINE": in_seconds(-1),
            "PUSHPOOL_HEARTBEAT_SECONDS": "0.1",
        }

        ended = container.run_until(STATE, 3)

        assert ended.code == 0
        *claims, last = api.states()
        assert (set(claims), len(claims) >= 3, last) == ({"RUNNING"}, True, "COMPLETED")
        assert not api.words(HEARTBEAT)

    def test_ends_when_somebody_else_has_the_claim(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [BUSY, TAKEN]
        container.environment |= {
            "PUSHPOOL_START_WITHOUT_CLAIM": "1",
            "PUSHPOOL_START_DEADLINE": in_seconds(-1),
            "PUSHPOOL_HEARTBEAT_SECONDS": "0.1",
        }

        assert container.run(*sh("exec sleep 30")).code == 75
        assert api.states() == ["RUNNING", "RUNNING"]


class TestBeforeTheStart:
    def test_an_early_container_waits_for_its_time(self, api: Api, container: Container) -> None:
        due = in_seconds(0.7)
        container.environment["PUSHPOOL_SCHEDULED_TIME"] = due.replace("+00:00", "Z")

        assert container.run("true").code == 0
        assert api.heard[0].at >= datetime.fromisoformat(due).timestamp()

    @linux_only
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_a_signal_ends_the_wait_without_a_claim(
        self, api: Api, container: Container, number: signal.Signals
    ) -> None:
        container.environment["PUSHPOOL_SCHEDULED_TIME"] = in_seconds(60)
        process = container.start("true")

        await_that(lambda: catches(process.pid, number))
        process.send_signal(number)
        ended = container.finish(process)

        assert (ended.code, api.heard) == (75, [])
        assert number.name in ended.err

    def test_a_signal_ends_a_claim_that_is_on_its_way_and_the_api_is_told(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [Reply(200, {"state": "RUNNING"}, delay=4), RUNNING]
        process = container.start(*sh("touch started"))

        api.wait_for(STATE)
        process.terminate()
        ended = container.finish(process)

        assert ended.code == 75
        assert ended.seconds < 3
        assert not (container.folder / "started").exists()
        assert api.states() == ["RUNNING", "RUNNING", "CRASHED"]
        assert (api.end()["exit_code"], api.end()["signalled"]) == (75, True)

    def test_a_signal_ends_the_tries_to_claim_within_the_grace(self, unreachable: Container) -> None:
        unreachable.environment["PUSHPOOL_GRACE_SECONDS"] = "0.2"
        process = unreachable.start("true")

        assert process.stderr is not None
        assert b"trying again" in process.stderr.readline()
        process.terminate()
        ended = unreachable.finish(process)

        assert ended.code == 75
        assert ended.seconds < 2


def catches(pid: int, number: int) -> bool:
    """Whether the process has a handler of its own for this signal."""
    caught = [line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "SigCgt" in line]
    # Python itself catches SIGINT from the start, the runner SIGUSR1 too.
    wanted = 1 << (number - 1) | 1 << (signal.SIGUSR2 - 1)
    return int(caught[0], 16) & wanted == wanted


class TestSignals:
    @pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"])
    def test_are_passed_on(self, api: Api, container: Container, name: str) -> None:
        script = f"trap 'echo got it; exit 7' {name}; echo ready; while :; do sleep 0.01; done"
        process = ready(container.start(*sh(script)))

        process.send_signal(signal.Signals[f"SIG{name}"])
        ended = container.finish(process)

        assert (ended.code, ended.out) == (7, b"got it\n")
        end = api.end()
        assert (end["state"], end["exit_code"], end["signalled"]) == ("FAILED", 7, name in {"TERM", "INT"})

    def test_that_the_command_answers_with_success_leave_it_completed(self, api: Api, container: Container) -> None:
        script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done"
        process = ready(container.start(*sh(script)))

        process.terminate()

        assert container.finish(process).code == 0
        assert (api.end()["state"], api.end()["signalled"]) == ("COMPLETED", True)
        assert "SIGTERM" in api.end()["message"]

    def test_that_end_the_command_are_no_crash(self, api: Api, container: Container) -> None:
        process = ready(container.start(*sh("echo ready; exec sleep 30")))

        process.terminate()

        assert container.finish(process).code == 143
        end = api.end()
        assert (end["state"], end["exit_code"], end["signalled"]) == ("FAILED", 143, True)

    def test_reach_the_whole_group_of_the_command(self, container: Container) -> None:
        script = "sh -c 'trap \"echo inner; exit\" TERM; echo ready; while :; do sleep 0.01; done'; echo outer"
        process = ready(container.start(*sh(f"trap : TERM; {script}")))

        process.terminate()

        assert container.finish(process).out == b"inner\nouter\n"

    def test_to_the_group_of_the_runner_reach_the_command_once(self, container: Container) -> None:
        script = """
            import os, signal, time
            signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"got it\\n"))
            os.write(1, b"ready\\n")
            time.sleep(0.3)
        """
        process = ready(container.start(*py(script), start_new_session=True))

        os.killpg(process.pid, signal.SIGTERM)

        assert container.finish(process).out == b"got it\n"

    def test_are_followed_by_a_kill_when_the_grace_is_over(self, api: Api, container: Container) -> None:
        container.environment["PUSHPOOL_GRACE_SECONDS"] = "0.3"
        process = ready(container.start(*sh("trap '' TERM; echo ready; while :; do sleep 0.01; done")))

        process.terminate()
        ended = container.finish(process)

        assert ended.code == 137
        assert 0.25 < ended.seconds < 2
        end = api.end()
        assert (end["state"], end["exit_code"], end["signalled"]) == ("FAILED", 137, True)
        assert "memory" not in end["message"]

    def test_leave_the_grace_to_what_the_shell_started(self, container: Container) -> None:
        inner = "trap 'sleep 1.2; echo saved; exit' TERM; echo ready; while :; do sleep 0.01; done"
        process = ready(container.start(*sh(f'sh -c "{inner}" & wait')))

        process.terminate()
        ended = container.finish(process)

        assert (ended.code, ended.out) == (143, b"saved\n")

    @pytest.mark.parametrize(
        ("name", "code", "hint"),
        [("SEGV", 139, "SIGSEGV"), ("KILL", 137, "memory"), ("TERM", 143, "SIGTERM")],
    )
    def test_that_nobody_passed_on_are_a_crash(
        self, api: Api, container: Container, name: str, code: int, hint: str
    ) -> None:
        assert container.run(*sh(f"ulimit -c 0; kill -{name} $$")).code == code
        end = api.end()
        assert (end["state"], end["exit_code"], end["signalled"]) == ("CRASHED", code, False)
        assert hint in end["message"]

    def test_that_were_ignored_before_stay_ignored(self, container: Container) -> None:
        script = "trap 'exit 7' HUP; echo ready; sleep 0.3"
        container.python = ["nohup", *container.python]
        process = ready(container.start(*sh(script)))

        process.send_signal(signal.SIGHUP)

        assert container.finish(process).code == 0

    @linux_only
    def test_that_kill_the_runner_kill_the_command(self, container: Container) -> None:
        process = container.start(*sh("echo $$; exec sleep 30"))
        pid = int(read_line(process))

        process.kill()

        await_that(lambda: not is_alive(pid))

    @linux_only
    def test_of_dead_orphans_are_heard_so_none_stays_a_zombie(self, container: Container) -> None:
        # A subreaper inherits orphans as process 1 does, and keeps that over exec.
        become_subreaper = "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1); os.execv(sys.argv[1], sys.argv[1:])"
        container.python = [sys.executable, "-c", become_subreaper, *container.python]
        script = """
            import os, pathlib, time
            if os.fork() == 0:
                if os.fork() == 0:
                    time.sleep(0.05)
                    print("orphan of", os.getppid(), flush=True)
                os._exit(0)
            os.wait()
            time.sleep(0.25)
            runner = os.getppid()
            children = pathlib.Path(f"/proc/{runner}/task/{runner}/children").read_text().split()
            print(runner, len(children), flush=True)
        """
        ended = container.run(*py(script))

        orphan, last = ended.out.decode().splitlines()
        assert last == f"{orphan.split()[-1]} 1"


class TestHeartbeats:
    def test_come_from_the_claimer_at_the_interval_of_the_api(self, api: Api, container: Container) -> None:
        api.replies["RUNNING"] = [Reply(body={"state": "RUNNING", "heartbeat_seconds": 0.2})]
        api.replies["beat"] = [Reply(body={"heartbeat_seconds": 0.05})]

        assert container.run_until(HEARTBEAT, 3).code == 0

        claim, beats = api.words()[0], api.words(HEARTBEAT)
        assert beats[0].at - claim.at >= 0.18
        assert {word.body["instance"] for word in beats} == {claim.body["instance"]}
        assert {word.token for word in beats} == {TOKEN}

    def test_renew_the_token(self, api: Api, container: Container) -> None:
        container.environment["PUSHPOOL_HEARTBEAT_SECONDS"] = "0.1"
        api.replies["RUNNING"] = [Reply(body={"state": "RUNNING"})]
        api.replies["beat"] = [Reply(body={"token": "v1.renewed"}), Reply()]

        assert container.run_until(HEARTBEAT, 2).code == 0

        tokens = [word.token for word in api.heard]
        assert tokens[:2] == [TOKEN, TOKEN]
        assert set(tokens[2:]) == {"v1.renewed"}

    @pytest.mark.parametrize("status", [401, 403, 409])
    def test_that_are_refused_stop_the_command(self, api: Api, container: Container, status: int) -> None:
        container.environment["PUSHPOOL_HEARTBEAT_SECONDS"] = "0.1"
        api.replies["RUNNING"] = [Reply(body={"state": "RUNNING"})]
        api.replies["beat"] = [Reply(), Reply(status, {"detail": "attempt 2 has begun"})]

        ended = container.run(*sh("trap 'echo stopped; exit 0' TERM; while :; do sleep 0.01; done"))

        assert (ended.code, ended.out) == (75, b"stopped\n")
        assert f"{status} attempt 2 has begun" in ended.err
        assert api.states() == ["RUNNING"]
        assert len(api.words(HEARTBEAT)) == 2

    def test_that_are_refused_kill_a_command_that_does_not_stop(self, api: Api, container: Container) -> None:
        container.environment |= {"PUSHPOOL_HEARTBEAT_SECONDS": "0.1", "PUSHPOOL_GRACE_SECONDS": "0.2"}
        api.replies["RUNNING"] = [Reply(body={"state": "RUNNING"})]
        api.replies["beat"] = [TAKEN]

        ended = container.run(*sh("trap '' TERM; while :; do sleep 0.01; done"))

        assert ended.code == 75
        assert api.states() == ["RUNNING"]

    @pytest.mark.parametrize("failure", [BUSY, Reply(0), Reply(404), Reply(200, b"<html>")], ids=str)
    def test_that_fail_are_made_good_and_the_command_goes_on(
        self, api: Api, container: Container, failure: Reply
    ) -> None:
        container.environment["PUSHPOOL_HEARTBEAT_SECONDS"] = "0.05"
        api.replies["RUNNING"] = [Reply(body={"state": "RUNNING"})]
        api.replies["beat"] = [failure, failure, Reply()]

        ended = container.run_until(HEARTBEAT, 3)

        assert ended.code == 0
        assert ended.err.count("heartbeat failed") == 1
        assert api.states() == ["RUNNING", "COMPLETED"]


class TestTheEnd:
    @pytest.mark.parametrize(("code", "passed_on"), [(1, 1), (3, 3), (75, 1), (255, 255)])
    def test_has_the_exit_code_but_75_is_kept_for_the_runner(
        self, api: Api, container: Container, code: int, passed_on: int
    ) -> None:
        assert container.run(*sh(f"exit {code}")).code == passed_on
        end = api.end()
        assert (end["state"], end["exit_code"], end["signalled"]) == ("FAILED", code, False)
        assert str(code) in end["message"]

    @pytest.mark.parametrize(
        ("text", "mode", "code", "says"),
        [
            (None, 0, 127, "no such command"),
            ("#!/no/such/interpreter\n", 0o755, 127, "interpreter"),
            ("#!/bin/sh\n", 0o644, 126, "Permission denied"),
            ("no program", 0o755, 126, "Exec format error"),
        ],
    )
    def test_of_a_command_that_cannot_be_started_names_it(
        self, api: Api, container: Container, text: str | None, mode: int, code: int, says: str
    ) -> None:
        program = container.folder / "program"
        if text is not None:
            program.write_text(text)
            program.chmod(mode)

        ended = container.run("--", str(program), "argument")

        assert ended.code == code
        end = api.end()
        assert (end["state"], end["exit_code"]) == ("CRASHED", code)
        assert str(program) in end["message"]
        assert says in end["message"]
        assert end["message"] in ended.err

    def test_is_told_again_until_it_is_heard(self, api: Api, container: Container) -> None:
        api.replies["end"] = [BUSY, Reply()]

        assert container.run(*sh("exit 3")).code == 3
        assert api.states() == ["RUNNING", "FAILED", "FAILED"]

    @pytest.mark.parametrize("status", [401, 422])
    def test_that_is_refused_is_not_told_again(self, api: Api, container: Container, status: int) -> None:
        api.replies["end"] = [Reply(status)]

        ended = container.run(*sh("exit 3"))

        assert ended.code == 3
        assert api.states() == ["RUNNING", "FAILED"]
        assert str(status) in ended.err

    def test_is_given_up_at_its_deadline(self, api: Api, container: Container) -> None:
        api.replies["end"] = [BUSY]
        container.environment["PUSHPOOL_END_DEADLINE_SECONDS"] = "0.5"

        ended = container.run(*sh("exit 3"))

        assert ended.code == 3
        assert 0.4 < ended.seconds < 3
        assert len(api.words()) >= 3

    def test_after_a_stop_has_only_the_grace(self, api: Api, container: Container) -> None:
        api.replies["end"] = [BUSY]
        container.environment["PUSHPOOL_GRACE_SECONDS"] = "0.3"
        process = ready(container.start(*sh("echo ready; exec sleep 30")))

        process.terminate()
        ended = container.finish(process)

        assert ended.code == 143
        assert ended.seconds < 2

    def test_is_hurried_by_a_stop_that_comes_after_the_command(self, api: Api, container: Container) -> None:
        api.replies["end"] = [Reply(503, headers={"Retry-After": "20"})]
        container.environment["PUSHPOOL_GRACE_SECONDS"] = "0.3"
        process = container.start(*sh("exit 3"))

        api.wait_for(STATE, 2)
        process.terminate()
        ended = container.finish(process)

        assert ended.code == 3
        assert ended.seconds < 2

    def test_carries_the_last_20_lines(self, api: Api, container: Container) -> None:
        container.run(*sh("for i in $(seq 1 50); do echo line $i; done; printf 'no newline'"))

        assert api.end()["log_tail"] == "".join(f"line {i}\n" for i in range(32, 51)) + "no newline"

    @pytest.mark.parametrize("byte", ["x", "\\xff"])
    def test_carries_at_most_4_kib(self, api: Api, container: Container, byte: str) -> None:
        container.run(*py(f"import os; os.write(1, b'start' + b'{byte}' * 100_000 + b'end')"))

        tail = api.end()["log_tail"]
        assert 4000 < len(tail.encode()) <= 4096
        assert tail.endswith("end")


class TestOutput:
    def test_comes_through_byte_for_byte(self, container: Container) -> None:
        script = """
            import os
            every = bytes(range(256)) * 4096
            for sink in (1, 2):
                left = memoryview(every)
                while left:
                    left = left[os.write(sink, left):]
        """
        with (container.folder / "err").open("w+b") as err:
            ended = container.run(*py(script), stderr=err)

            assert ended.out == bytes(range(256)) * 4096
            err.seek(0)
            assert err.read() == ended.out

    def test_comes_through_at_once(self, container: Container) -> None:
        process = container.start(*sh("printf 'ready\\n'; exec sleep 30"))

        assert read_line(process) == "ready"

    def test_keeps_its_order_when_both_streams_go_to_one_place(self, container: Container) -> None:
        script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done"

        ended = container.run(*sh(script), stderr=subprocess.STDOUT)

        assert ended.out.decode().split("\n") == [f"{s} {i}" for i in range(1, 10) for s in ("out", "err")] + [""]

    def test_that_nobody_reads_any_more_does_not_stop_the_command(self, api: Api, container: Container) -> None:
        reader, writer = os.pipe()
        os.close(reader)

        ended = container.run(*sh("for i in 1 2 3; do echo $i || exit 9; sleep 0.01; done"), stdout=writer)
        os.close(writer)

        assert ended.code == 0
        assert api.end()["log_tail"] == "1\n2\n3\n"

    def test_waits_for_a_sink_that_does_not_block(self, container: Container) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        process = container.start(*sh("head -c 1000000 /dev/zero"), stdout=writer)
        os.close(writer)

        time.sleep(0.2)
        with os.fdopen(reader, "rb") as pipe:
            assert len(pipe.read()) == 1_000_000
        assert container.finish(process).code == 0

    @linux_only
    def test_held_open_by_what_the_command_left_behind_holds_nobody_up(self, api: Api, container: Container) -> None:
        ended = container.run(*sh("sleep 30 & echo $!; exit 3"))

        assert ended.code == 3
        assert ended.seconds < 3
        assert api.end()["exit_code"] == 3
        assert not is_alive(int(ended.out))

    def test_held_open_from_another_session_holds_nobody_up(self, api: Api, container: Container) -> None:
        script = """
            import os, time
            if os.fork() == 0:
                os.setsid()
                time.sleep(4)
        """
        process = container.start(*py(script))

        assert process.wait(3) == 0
        assert api.end()["state"] == "COMPLETED"


class TestTheCommand:
    def test_sees_the_environment_but_not_the_token(self, container: Container) -> None:
        container.environment["PUSHPOOL_PARAMETERS"] = '{"day": "monday"}'

        ended = container.run("--", "env")

        variables = dict(line.split("=", 1) for line in ended.out.decode().splitlines() if "PUSHPOOL" in line)
        del container.environment["PUSHPOOL_RUN_TOKEN"]
        assert variables == container.environment
        assert TOKEN.encode() not in ended.out

    def test_reads_the_standard_input_of_the_runner(self, container: Container) -> None:
        process = container.start("cat", stdin=subprocess.PIPE)

        assert container.finish(process, given=b"hello").out == b"hello"

    def test_gets_parameters_that_were_too_long_to_send(self, api: Api, container: Container) -> None:
        container.environment["PUSHPOOL_PARAMETERS"] = ""
        api.replies["parameters"] = [BUSY, Reply(body={"parameters": {"city": "Köln"}})]

        ended = container.run(*sh('echo "$PUSHPOOL_PARAMETERS"'))

        assert json.loads(ended.out) == {"city": "Köln"}
        assert [(word.method, word.token) for word in api.words(PARAMETERS)] == [("GET", TOKEN)] * 2
        assert [word.path for word in api.heard] == [STATE, PARAMETERS, PARAMETERS, STATE]

    def test_runs_without_parameters_that_fit_no_variable(self, api: Api, container: Container) -> None:
        del container.environment["PUSHPOOL_PARAMETERS"]
        api.replies["parameters"] = [Reply(body={"parameters": {"text": "x" * 200_000}})]

        ended = container.run(*sh('echo "${PUSHPOOL_PARAMETERS-unset}"'))

        assert (ended.code, ended.out) == (0, b"unset\n")
        assert "too long" in ended.err

    def test_does_not_start_without_the_parameters_it_has(self, api: Api, container: Container) -> None:
        del container.environment["PUSHPOOL_PARAMETERS"]
        api.replies["parameters"] = [Reply(404, {"detail": "gone"})]

        assert container.run(*sh("touch started")).code == 75
        assert not (container.folder / "started").exists()
        assert api.states() == ["RUNNING", "CRASHED"]
        assert api.end()["exit_code"] == 75
        assert "gone" in api.end()["message"]


FLOW = """
    import asyncio, os, sys
    import beside, below

    def total(numbers, factor=1):
        print("total", sum(numbers) * factor)

    async def later(numbers, factor=1):
        await asyncio.sleep(0)
        print("later", sum(numbers) * factor)

    def fails(**_):
        raise RuntimeError("out of paper")

    def leaves(**_):
        sys.exit(4)

    def measures(text):
        print(len(text), "PUSHPOOL_PARAMETERS" in os.environ)

    class Flow:
        @staticmethod
        def run(numbers):
            print("method", numbers)

    number = 5
"""


class TestAnEntrypoint:
    @pytest.fixture(autouse=True)
    def _flow(self, container: Container) -> None:
        flows = container.folder / "flows"
        flows.mkdir()
        (flows / "my-flow.py").write_text(textwrap.dedent(FLOW))
        (flows / "etl.py").write_text(textwrap.dedent(FLOW))
        (flows / "beside.py").touch()
        (container.folder / "below.py").touch()
        (flows / "broken.py").write_text("import no_such_library\n")
        (flows / "json.py").write_text("def main(): pass\n")
        (container.folder / "jobs").mkdir()
        (container.folder / "jobs" / "__init__.py").touch()
        (container.folder / "jobs" / "nightly.py").write_text("def main(numbers):\n    print(numbers)\n")
        container.environment["PUSHPOOL_PARAMETERS"] = '{"numbers": [1, 2, 3]}'

    @pytest.mark.parametrize(
        ("target", "out"),
        [
            ("flows/etl.py:total", "total 6"),
            ("flows/my-flow.py:total", "total 6"),
            ("flows/etl.py:later", "later 6"),
            ("flows/etl.py:Flow.run", "method [1, 2, 3]"),
            ("jobs.nightly:main", "[1, 2, 3]"),
        ],
    )
    def test_is_called_with_the_parameters(self, api: Api, container: Container, target: str, out: str) -> None:
        ended = container.run("--entrypoint", target)

        assert (ended.code, ended.out.decode().strip(), ended.err) == (0, out, "")
        assert api.end()["state"] == "COMPLETED"

    def test_gets_parameters_of_any_length(self, api: Api, container: Container) -> None:
        del container.environment["PUSHPOOL_PARAMETERS"]
        api.replies["parameters"] = [Reply(body={"parameters": {"text": "x" * 260_000}})]

        ended = container.run("--entrypoint=flows/etl.py:measures")

        assert (ended.code, ended.out, ended.err) == (0, b"260000 False\n", "")

    def test_that_raises_shows_its_own_traceback(self, api: Api, container: Container) -> None:
        ended = container.run("--entrypoint", "flows/etl.py:fails")

        assert ended.code == 1
        assert ended.err.startswith("Traceback")
        assert ended.err.endswith("RuntimeError: out of paper\n")
        assert RUNNER.name not in ended.err
        assert api.end()["state"] == "FAILED"
        assert "out of paper" in api.end()["log_tail"]

    def test_that_exits_has_its_exit_code(self, container: Container) -> None:
        assert container.run("--entrypoint", "flows/etl.py:leaves").code == 4

    def test_that_cannot_be_imported_shows_why(self, container: Container) -> None:
        ended = container.run("--entrypoint", "flows/broken.py:main")

        assert ended.code == 1
        assert "No module named 'no_such_library'" in ended.err

    @pytest.mark.parametrize(
        ("target", "parameters", "says"),
        [
            ("flows/none.py:main", "{}", "none.py"),
            ("jobs.daily:main", "{}", "jobs.daily"),
            ("nojobs.daily:main", "{}", "nojobs"),
            ("flows/etl.py:absent", "{}", "absent"),
            ("flows/etl.py:number", "{}", "number"),
            ("flows/json.py:main", "{}", "hidden"),
            ("flows/etl.py:total", "{}", "missing a required argument: 'numbers'"),
            ("flows/etl.py:total", '{"numbers": [], "color": 1}', "unexpected keyword argument 'color'"),
            ("flows/etl.py:total", "[1]", "no JSON object"),
            ("flows/etl.py:total", "{", "no JSON object"),
        ],
    )
    def test_that_cannot_be_called_is_named_in_one_line(
        self, api: Api, container: Container, target: str, parameters: str, says: str
    ) -> None:
        container.environment["PUSHPOOL_PARAMETERS"] = parameters

        ended = container.run("--entrypoint", target)

        assert ended.code == 2
        assert ended.err.count("\n") == 1
        assert target in ended.err
        assert says in ended.err
        assert (api.end()["state"], api.end()["exit_code"]) == ("FAILED", 2)


class TestByHand:
    @pytest.fixture(autouse=True)
    def _no_run(self, container: Container) -> None:
        container.environment = {}

    def test_the_command_takes_the_place_of_the_runner(self, api: Api, container: Container) -> None:
        process = container.start(*sh("echo $$; exit 75"))
        ended = container.finish(process)

        assert (ended.code, ended.out.decode().strip()) == (75, str(process.pid))
        assert ended.err.count("\n") == 1
        assert "PUSHPOOL_RUN_TOKEN" in ended.err
        assert api.heard == []

    def test_the_command_may_be_ended_by_a_broken_pipe(self, container: Container) -> None:
        ended = container.run(*sh('sh -c "kill -PIPE \\$\\$"; echo $?'))

        assert ended.out == b"141\n"

    def test_a_function_is_called(self, container: Container) -> None:
        (container.folder / "flow.py").write_text("def main(day='today'):\n    print(day)\n")

        assert container.run("--entrypoint", "flow.py:main").out == b"today\n"
        container.environment["PUSHPOOL_PARAMETERS"] = '{"day": "monday"}'
        assert container.run("--entrypoint", "flow.py:main").out == b"monday\n"

    def test_a_command_that_is_missing_ends_with_127(self, container: Container) -> None:
        assert container.run("no-such-command").code == 127

    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("--",),
            ("--verbose", "true"),
            ("--entrypoint",),
            ("--entrypoint", "flow.py"),
            ("--entrypoint", "flow.py:main", "more"),
            ("--entrypoint=:main",),
        ],
    )
    def test_bad_usage_ends_with_2(self, container: Container, arguments: tuple[str, ...]) -> None:
        ended = container.run(*arguments)

        assert (ended.code, ended.out) == (2, b"")
        assert ended.err.startswith("pushpool-run: ")

    def test_bad_usage_claims_nothing(self, api: Api, container: Container) -> None:
        container.environment = {"PUSHPOOL_API_URL": api.url, "PUSHPOOL_RUN_TOKEN": TOKEN}

        assert container.run("--verbose").code == 2
        assert api.heard == []

    def test_help_and_version_are_told(self, container: Container) -> None:
        assert b"usage: pushpool-run" in container.run("--help").out
        assert container.run("--version").out == b"pushpool-run %s\n" % version("pushpool").encode()


class TestTheFile:
    def test_runs_beside_modules_named_like_the_librarys(self, container: Container, tmp_path: Path) -> None:
        tools = tmp_path / "tools"
        tools.mkdir()
        for name in ("http", "json", "signal", "subprocess"):
            (tools / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
        container.runner = Path(shutil.copy(RUNNER, tools / "runner.py"))

        assert container.run("true").code == 0

    @pytest.mark.parametrize("name", ["python3.9", "python3.10", "python3.12", "python3.13", "python3.14"])
    def test_runs_on_another_python(self, api: Api, container: Container, name: str) -> None:
        if not can_run(name):
            pytest.skip(f"there is no {name} on PATH that runs")
        container.python = [name, "-I", "-X", "dev", "-W", "error"]
        (container.folder / "flow.py").write_text("async def main(numbers):\n    print(sum(numbers))\n")
        container.environment |= {
            "PUSHPOOL_PARAMETERS": '{"numbers": [1, 2]}',
            "PUSHPOOL_SCHEDULED_TIME": in_seconds(0.3).replace("+00:00", "Z"),
            "PUSHPOOL_HEARTBEAT_SECONDS": "0.1",
        }
        api.replies["RUNNING"] = [BUSY, Reply(body={"state": "RUNNING"})]

        ended = container.run("--entrypoint", "flow.py:main")
        process = ready(container.start(*sh("echo ready; exec sleep 30")))
        process.terminate()

        assert (ended.code, ended.out) == (0, b"3\n")
        assert "Warning" not in ended.err
        assert container.finish(process).code == 143
        assert api.states() == ["RUNNING", "RUNNING", "COMPLETED", "RUNNING", "FAILED"]


def can_run(name: str) -> bool:
    try:
        return subprocess.run([name, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
