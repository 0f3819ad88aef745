"""What runs inside the container: claims the run, runs the command, beats, passes signals on, tells the end.

One file, the standard library alone, Python 3.9 or later on POSIX; it imports nothing else of this project.

It reports to PUSHPOOL_API_URL/v1/callbacks/state, as an instance whose id is made once per process:

* RUNNING, before the command starts: the claim. Only an answer that says RUNNING lets the command start;
* COMPLETED: exit code 0. FAILED: any other, or death by a signal that the runner passed on or sent;
* CRASHED: killed by a signal that nobody passed on; not found (127) or not executable (126); claimed but not
  started (75).

It exits with the command's own code, 128 + n when signal n killed it, or with

* 75: the command was not started, or was disowned and stopped. A command that itself ends with 75 makes it 1;
* 2: bad usage. A function that cannot be called (no such file or name, wrong parameters) also ends with 2.

The command has a session of its own: a signal to the runner's process group reaches it once, by the runner. What it
leaves in its process group is killed, after a second (or the rest of the grace) for its output. With none of
PUSHPOOL_RUN_TOKEN, PUSHPOOL_RUN_ID and PUSHPOOL_ATTEMPT set, the command takes the runner's place, unreported.
"""
# os.path is loaded anyway; pathlib would cost every start 2 to 10 ms.
# ruff: noqa: PTH100, PTH109, PTH120, PTH123

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and os.path.realpath(sys.path[0]) == os.path.dirname(os.path.realpath(__file__)):
    del sys.path[0]  # else a neighbour of this file called http or json would be imported for the library's

import contextlib
import select
import signal
import subprocess
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

VERSION = "0.1.0"
USAGE = """\
usage: pushpool-run [--] COMMAND [ARGUMENT ...]
       pushpool-run --entrypoint PATH/TO/FILE.py:FUNCTION | PACKAGE.MODULE:FUNCTION
       pushpool-run --version | --help

Runs a command, or calls a function with the run's parameters, as one attempt of a pushpool run, which the
PUSHPOOL_* variables name. Exits as the command does; 75: it was not started or was disowned; 2: bad usage.
"""

DISOWNED = 75
STATE, HEARTBEAT, PARAMETERS = (f"/v1/callbacks/{word}" for word in ("state", "heartbeat", "parameters"))
CLAIM = {"state": "RUNNING"}
CALL_SECONDS, DRAIN_SECONDS = 10.0, 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
TAIL_BYTES, TAIL_LINES = 4096, 20
LONGEST_ANSWER = 4 << 20
LONGEST_VARIABLE = 100_000  # Linux starts no command with a variable of 128 KiB or more
NEVER = float("inf")

STOPS = (signal.SIGTERM, signal.SIGINT)
ENDS = (*STOPS, signal.SIGHUP, signal.SIGQUIT)
PASSED_ON = (*ENDS, signal.SIGUSR1, signal.SIGUSR2)


class NotStartedError(Exception):
    """The command may not or cannot be started: exit 75."""


class MisuseError(Exception):
    """The command line, or the function it names, is wrong: exit 2."""


def say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"pushpool-run: {text}\n".encode(errors="replace"))


def sooner(seconds: float, share: float) -> float:
    """`seconds` less a random part of `share`: containers started together must not call together."""
    return seconds * (1 - share * os.urandom(1)[0] / 256)


def setting(name: str, default: str, number: Callable[[str], float] = float) -> float:
    text = os.environ.get(name) or default
    try:
        return max(0.0, number(text))
    except ValueError as error:
        raise NotStartedError(f"{name} cannot be read: {error}") from None


def unix_time(text: str) -> float:
    from datetime import datetime, timezone

    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))  # noqa: FURB162 - Python 3.9 knows no Z
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()  # noqa: UP017 - and no UTC


def json_object(text: str) -> dict[str, object] | None:
    import json

    with contextlib.suppress(ValueError):
        value = json.loads(text)
        return value if isinstance(value, dict) else None
    return None


def is_token(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable() and text.strip() == text != ""


class Answer:
    """What the API said to one call; status 0: nothing that can be used."""

    def __init__(self, status: int, text: str, *, retry: str = "", state: str = "") -> None:
        body = json_object(text or "{}")
        self.body = body or {}
        if 200 <= status < 300 and (body is None or (state and state != body.get("state"))):
            status, text = 0, f"answered {status}, but not as the API does"
        self.is_yes = 200 <= status < 300
        self.is_definite = status >= 200 and status not in {408, 425, 429} and status < 500
        self.is_final_no = status in {401, 403, 409}
        said = self.body.get("detail") or self.body.get("title") or ("" if self.is_yes else text)
        self.reason = " ".join(f"{status or ''} {said}".split())[:300]
        self.retry_after = float(retry) if retry.isdigit() else 0.0


class Session:
    """This process towards the API: where that is, the token, the instance id, and what was granted."""

    def __init__(self) -> None:
        import http.client
        import uuid
        from urllib.parse import urlsplit

        self.http = http.client
        self.tls: ssl.SSLContext | None = None
        self.instance, self.is_claimed = uuid.uuid4().hex, False
        self.heartbeat_seconds = setting("PUSHPOOL_HEARTBEAT_SECONDS", "120") or 120
        self.token = os.environ.get("PUSHPOOL_RUN_TOKEN", "").strip()
        if not is_token(self.token):
            raise NotStartedError("PUSHPOOL_RUN_TOKEN holds no token (is this a runner inside a runner?)")
        try:
            url = urlsplit(os.environ.get("PUSHPOOL_API_URL", "").strip().rstrip("/"))
            self.host, self.port, self.prefix = url.hostname or "", url.port, url.path
        except ValueError as error:
            raise NotStartedError(f"PUSHPOOL_API_URL cannot be read: {error}") from None
        if url.scheme not in {"http", "https"} or not self.host:
            raise NotStartedError("PUSHPOOL_API_URL must be an http:// or https:// address")
        if url.scheme == "https":
            import ssl

            self.tls = ssl.create_default_context()

    def exchange(self, path: str, sent: Mapping[str, object] | None) -> Answer:
        """One HTTP request and its answer, of whatever kind: never raises, never shows the token."""
        import json

        token, state = self.token, "RUNNING" if sent == CLAIM else ""
        headers = {"Authorization": f"Bearer {token}", "User-Agent": f"pushpool-run/{VERSION}"}
        body = None if sent is None else json.dumps({**sent, "instance": self.instance}).encode()
        if body:
            headers["Content-Type"] = "application/json"
        wire = self.http.HTTPConnection(self.host, self.port, timeout=CALL_SECONDS)
        if self.tls:
            wire = self.http.HTTPSConnection(self.host, self.port, timeout=CALL_SECONDS, context=self.tls)
        try:
            with contextlib.closing(wire):
                wire.request("POST" if body else "GET", self.prefix + path, body, headers)
                response = wire.getresponse()
                text = response.read(LONGEST_ANSWER).decode(errors="replace")
        except (OSError, ValueError, self.http.HTTPException) as error:
            return Answer(0, f"{type(error).__name__}: {error}".replace(token, "***"))
        answer = Answer(response.status, text, retry=response.getheader("Retry-After") or "", state=state)
        answer.reason = answer.reason.replace(token, "***")
        return answer

    def heard(self, answer: Answer) -> Answer:
        """Takes over what a yes grants: the claim, the interval of beats, a renewed token."""
        seconds, token = answer.body.get("heartbeat_seconds"), answer.body.get("token")
        if answer.is_yes and isinstance(seconds, (int, float)) and seconds > 0:
            self.heartbeat_seconds = max(0.05, float(seconds))
        if answer.is_yes and is_token(token):
            self.token = str(token)
        self.is_claimed = self.is_claimed or (answer.is_yes and answer.body.get("state") == "RUNNING")
        return answer


class Bell:
    """The main thread's only way to wait: a signal, or a ring from another thread, cuts it short."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        for number in (*PASSED_ON, signal.SIGCHLD):
            # What nohup or a shell's & made us ignore stays ignored, by the command too.
            if number in {signal.SIGTERM, signal.SIGCHLD} or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda *_: None)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self.writer, b"\0")

    def wait(self, seconds: float) -> list[int]:
        """The signals that came, in their order."""
        if not select.select([self.reader], [], [], max(0.0, min(seconds, 3600)))[0]:
            return []
        return [number for number in os.read(self.reader, 4096) if number in PASSED_ON]


def write_all(sink: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(sink, left) :]
        except BlockingIOError:
            select.select([], [sink], [])


def pump(source: IO[bytes], sink: int, tail: bytearray) -> None:
    """Passes `source` on to its end; a sink that breaks costs the log, not the command."""
    with source:
        while chunk := os.read(source.fileno(), 1 << 16):
            tail += chunk[-TAIL_BYTES:]
            del tail[:-TAIL_BYTES]
            try:
                write_all(sink, chunk)
            except OSError:
                sink = os.open(os.devnull, os.O_WRONLY)


def feed(sink: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        write_all(sink, data)
    os.close(sink)


def dying_with_parent() -> Callable[[], object] | None:
    """Makes a child die when the runner is killed; where the runner is process 1, the kernel does."""
    if sys.platform == "linux" and os.getpid() != 1:
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            prctl, parent, set_death_signal = ctypes.CDLL(None).prctl, os.getpid(), 1
            return lambda: (prctl(set_death_signal, 9), os.getppid() == parent or os._exit(DISOWNED))
    return None


class Command:
    """The child, its process group, and what became of it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], given: Sequence[int]) -> None:
        self.code = 0
        self.has_ended = threading.Event()
        self.passed: set[int] = set()
        self.tail = bytearray()
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            # One pipe where both streams go to one place, so that their lines keep their order.
            stderr=subprocess.STDOUT if os.path.sameopenfile(1, 2) else subprocess.PIPE,
            start_new_session=True,
            pass_fds=given,
            preexec_fn=dying_with_parent(),  # noqa: PLW1509 - no other thread runs Python code now
        )
        pipes = ((self.process.stdout, 1), (self.process.stderr, 2))
        ends = [(pipe, sink, self.tail) for pipe, sink in pipes if pipe]
        self.pumps = [threading.Thread(target=pump, args=each, daemon=True) for each in ends]
        for thread in self.pumps:
            thread.start()

    def pass_on(self, number: int) -> None:
        self.passed.add(number)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def reap(self) -> None:
        """Takes every dead child, also those that only process 1 inherits."""
        with contextlib.suppress(ChildProcessError):
            while (dead := os.waitpid(-1, os.WNOHANG))[0]:
                if dead[0] == self.process.pid:
                    self.code = self.process.returncode = os.waitstatus_to_exitcode(dead[1])
                    self.has_ended.set()

    def end(self, until: float) -> dict[str, object]:
        """The word of its end, when its last output has come; what still writes then is killed at `until`."""
        code, passed = self.code, frozenset(self.passed)
        for thread in self.pumps:
            thread.join(max(0.0, until - time.monotonic()))
        self.pass_on(signal.SIGKILL)
        for thread in self.pumps:
            thread.join(0.1)
        lines = self.tail.decode(errors="replace").splitlines(keepends=True)[-TAIL_LINES:]
        return {
            "state": "COMPLETED" if code == 0 else "FAILED" if code > 0 or -code in passed else "CRASHED",
            "exit_code": 128 - code if code < 0 else code,
            "signalled": -code in passed or not passed.isdisjoint(STOPS),
            # A replaced byte grew to three, so the limit is applied once more.
            "log_tail": "".join(lines).encode()[-TAIL_BYTES:].decode(errors="ignore"),
            "message": message_of(code, passed),
        }


def message_of(code: int, passed: frozenset[int]) -> str:
    names = {int(each): each.name for each in signal.Signals}
    words = [f"exit code {code}"] if code > 0 else []
    words += [f"killed by {names.get(-code, f'signal {-code}')}"] if code < 0 else []
    words += [f"after {names[each]} from the runner" for each in (*STOPS, signal.SIGKILL) if each in passed]
    if code in {-signal.SIGKILL, 128 + signal.SIGKILL} and signal.SIGKILL not in passed:
        words.append("often the kernel's answer to a memory limit that was reached")
    return ", ".join(words)


class Runner:
    """One attempt, from the wait for its time to the word of its end."""

    def __init__(self, command: Sequence[str], target: str) -> None:
        self.argv, self.target = command, target
        self.bell, self.session = Bell(), Session()
        self.due = setting("PUSHPOOL_SCHEDULED_TIME", "1970-01-01", unix_time)
        self.start_deadline = setting("PUSHPOOL_START_DEADLINE", "1970-01-01", unix_time)
        self.grace_seconds = setting("PUSHPOOL_GRACE_SECONDS", "10")
        self.end_seconds = setting("PUSHPOOL_END_DEADLINE_SECONDS", "300")
        self.command: Command | None = None
        self.deadline, self.kill_at = NEVER, NEVER
        self.may_decline, self.owes_end = True, False
        self.disowned = ""

    def run(self) -> int:
        try:
            while (left := self.due - time.time()) > 0:
                self.wait(left)
            self.claim()
            environment, parameters = self.surroundings()
            self.wait(0)
            self.may_decline = False
        except NotStartedError as error:
            self.may_decline = False
            say(f"{error}; the command was not started")
            if self.owes_end:
                end = {"state": "CRASHED", "exit_code": DISOWNED, "signalled": self.kill_at != NEVER}
                self.report({**end, "message": str(error)})
            return DISOWNED
        return self.supervise(environment, parameters)

    def wait(self, seconds: float) -> None:
        """Waits; a signal is for the command while that runs, for the runner before and after."""
        for number in self.bell.wait(seconds):
            command = None if self.command is None or self.command.has_ended.is_set() else self.command
            if command:
                command.pass_on(number)
            if number in (STOPS if command else ENDS):
                until = time.monotonic() + self.grace_seconds
                self.deadline, self.kill_at = min(self.deadline, until), min(self.kill_at, until)
                self.end_seconds = min(self.end_seconds, self.grace_seconds)
                if self.may_decline:
                    raise NotStartedError(f"{signal.Signals(number).name} came first")

    def rest(self, seconds: float) -> None:
        """All that time, whatever rings meanwhile; but not past the deadline, which a signal brings nearer."""
        until = time.monotonic() + seconds
        while (left := min(until, self.deadline) - time.monotonic()) > 0:
            self.wait(left)

    def ask(self, path: str, sent: Mapping[str, object] | None) -> Answer:
        """One call, in a thread: no slow name server or dripping proxy holds up a signal or the deadline."""
        answers: list[Answer] = []

        def exchange() -> None:
            answers.append(self.session.exchange(path, sent))
            self.bell.ring()

        begun, thread = time.monotonic(), threading.Thread(target=exchange, daemon=True)
        thread.start()
        while not answers:
            # Whatever the deadline, one try is given the time for an answer.
            left = begun + min(CALL_SECONDS, max(2.0, self.deadline - begun)) - time.monotonic()
            if left <= 0:
                return Answer(0, "no answer in time")
            self.wait(left)
        thread.join(1)
        return self.session.heard(answers[0])

    def insist(self, path: str, sent: Mapping[str, object] | None = None) -> Answer:
        """The answer, asked for again until it is definite or the deadline has passed."""
        pause = FIRST_PAUSE
        while True:
            answer = self.ask(path, sent)
            left = self.deadline - time.monotonic()
            if answer.is_definite or left <= 0 or answer.retry_after > left:
                return answer
            if pause == FIRST_PAUSE:
                say(f"{path}: {answer.reason}; trying again for up to {left:.0f} s")
            self.rest(max(answer.retry_after, sooner(pause, 0.5)))
            pause = min(LONGEST_PAUSE, pause * 2)

    def claim(self) -> None:
        self.deadline = time.monotonic() + (self.start_deadline - time.time() if self.start_deadline else 300)
        self.owes_end = True  # until a no is heard, a claim may have arrived
        answer = self.insist(STATE, CLAIM)
        self.owes_end = answer.is_yes
        if answer.is_yes:
            return
        if answer.is_definite:
            raise NotStartedError(f"the claim was refused: {answer.reason}")
        if os.environ.get("PUSHPOOL_START_WITHOUT_CLAIM", "").strip() != "1":
            raise NotStartedError(f"the API could not be reached to claim the run: {answer.reason}")
        say(f"starting without a claim, as the pool allows: {answer.reason}")

    def surroundings(self) -> tuple[dict[str, str], str]:
        """The command's environment, and the run's parameters as JSON."""
        import json

        environment = {name: text for name, text in os.environ.items() if name != "PUSHPOOL_RUN_TOKEN"}
        if environment.get("PUSHPOOL_PARAMETERS"):
            return environment, environment["PUSHPOOL_PARAMETERS"]
        answer = self.insist(PARAMETERS)
        if not isinstance(answer.body.get("parameters"), dict):
            raise NotStartedError(f"the run's parameters could not be fetched: {answer.reason}")
        parameters = json.dumps(answer.body["parameters"])
        if len(parameters) <= LONGEST_VARIABLE:
            environment["PUSHPOOL_PARAMETERS"] = parameters
        elif not self.target:
            say(f"PUSHPOOL_PARAMETERS is not set: {len(parameters)} bytes are too long for a variable")
        return environment, parameters

    def start(self, environment: Mapping[str, str], parameters: str) -> Command:
        if not self.target:
            return Command(self.argv, environment, ())
        given, giver = os.pipe()
        # Unbuffered, or what a function printed last would be lost when it is killed.
        self.argv = [sys.executable, "-u", os.path.abspath(__file__), "--call", str(given), self.target]
        command = Command(self.argv, environment, (given,))
        os.close(given)
        threading.Thread(target=feed, args=(giver, os.fsencode(parameters)), daemon=True).start()
        return command

    def supervise(self, environment: Mapping[str, str], parameters: str) -> int:
        try:
            self.command = self.start(environment, parameters)
        except OSError as error:
            code, message = unstartable(self.argv[0], error)
            self.report({"state": "CRASHED", "exit_code": code, "message": message})
            return code
        threading.Thread(target=self.beat, args=(self.command,), daemon=True).start()
        was_disowned = self.attend(self.command)
        # What a shell started and a stop reaches with it has the rest of the grace, though the shell is gone.
        drained = time.monotonic() + DRAIN_SECONDS
        end = self.command.end(drained if self.kill_at == NEVER else max(drained, self.kill_at))
        if was_disowned:
            return DISOWNED
        self.report(end)
        return 1 if end["exit_code"] == DISOWNED else int(str(end["exit_code"]))

    def attend(self, command: Command) -> bool:
        """Returns when the command has ended: whether it was disowned before that."""
        was_disowned = False
        while True:
            self.wait(self.kill_at - time.monotonic())
            command.reap()
            if command.has_ended.is_set():
                return was_disowned
            if self.disowned and not was_disowned:
                was_disowned = True
                say(f"the run is no longer ours ({self.disowned}); stopping the command")
                command.pass_on(signal.SIGTERM)
                self.kill_at = min(self.kill_at, time.monotonic() + self.grace_seconds)
            if time.monotonic() >= self.kill_at:
                self.kill_at = NEVER
                command.pass_on(signal.SIGKILL)

    def beat(self, command: Command) -> None:
        """Beats until the command ends or must end. Without a claim, each beat is another try to claim."""
        misses, pause = 0, sooner(self.session.heartbeat_seconds, 0.1)
        while not command.has_ended.wait(min(pause, 3600)):
            path, sent = (HEARTBEAT, {}) if self.session.is_claimed else (STATE, CLAIM)
            answer = self.session.heard(self.session.exchange(path, sent))
            if answer.is_final_no:
                self.disowned = answer.reason
                self.bell.ring()
                return
            if not answer.is_yes and not misses:
                say(f"a heartbeat failed ({answer.reason}); the command goes on")
            misses = 0 if answer.is_yes else misses + 1
            pause = sooner(self.session.heartbeat_seconds, 0.1)
            if misses:
                pause = min(pause, max(answer.retry_after, sooner(2.0 ** min(misses, 12), 0.5)))

    def report(self, end: Mapping[str, object]) -> None:
        """Says the end until it is heard. Only a claimer is heard, so what was not claimed is claimed now."""
        self.deadline = time.monotonic() + self.end_seconds
        message = str(end["message"]).encode(errors="replace").decode()
        word = {"signalled": False, "log_tail": "", **end, "message": message}
        answer = Answer(200, "") if self.session.is_claimed else self.insist(STATE, CLAIM)
        answer = self.insist(STATE, word) if answer.is_yes else answer
        if not answer.is_yes:
            say(f"the end was not heard: {answer.reason}")


def unstartable(name: str, error: OSError) -> tuple[int, str]:
    """The exit code that a shell would give, and what is wrong, which it also says."""
    code, message = 126, f"{name} cannot be executed: {error.strerror}"
    if isinstance(error, FileNotFoundError):
        is_there = "/" in name and os.path.lexists(name)
        what = "the interpreter in its first line does not exist" if is_there else "no such command"
        code, message = 127, f"{name}: {what}"
    say(message)
    return code, message


def run_plainly(command: Sequence[str], target: str) -> int:
    say("PUSHPOOL_RUN_TOKEN is not set: running plainly, nothing is reported")
    if target:
        return call(target, os.environ.get("PUSHPOOL_PARAMETERS") or "{}")
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)  # Python ignores them, a command must not
    try:
        os.execvp(command[0], list(command))  # noqa: S606
    except OSError as error:
        return unstartable(command[0], error)[0]


def call(target: str, parameters: str) -> int:
    """Calls the function that `target` names, awaits it if it is async, shows its traceback."""
    import inspect

    sys.argv = [target]
    try:
        given = json_object(parameters)
        function = located(target)
        result = function(**arguments_for(function, given))
        if inspect.isawaitable(result):
            import asyncio

            async def finished() -> None:
                await result

            asyncio.run(finished())
    except MisuseError as error:
        say(f"{target}: {error}")
        return 2
    except Exception as error:  # noqa: BLE001 - it is the function's own
        import traceback

        trace = error.__traceback__
        traceback.print_exception(type(error), error, trace and trace.tb_next)
        return 1
    return 0


def located(target: str) -> Callable[..., object]:
    import importlib

    where, _, name = target.rpartition(":")
    folder, file = os.path.split(os.path.abspath(where))
    is_file = where.endswith(".py")
    module = file[:-3] if is_file else where
    # The working directory too: a file in a folder may import what lies beside that folder.
    sys.path[:0] = dict.fromkeys([folder, os.getcwd()] if is_file else [os.getcwd()])
    try:
        found: object = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise MisuseError(f"there is no {file if is_file else error.name} in {sys.path[0]}") from None
        raise
    origin = getattr(found, "__file__", None) or "a built-in module"
    if is_file and os.path.realpath(origin) != os.path.realpath(where):
        raise MisuseError(f"{file} is hidden by {origin}: give it another name")
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise MisuseError(f"{where} has no function {name!r}")
    return found


def arguments_for(function: Callable[..., object], given: dict[str, object] | None) -> dict[str, object]:
    import inspect

    if given is None:
        raise MisuseError("the parameters are no JSON object")
    try:
        with contextlib.suppress(ValueError):  # some compiled functions have no signature
            inspect.signature(function).bind(**given)
    except TypeError as error:
        raise MisuseError(f"{error}; the parameters are {sorted(given)}") from None
    return given


def parsed(arguments: Sequence[str]) -> tuple[Sequence[str], str]:
    """The command, or the target."""
    option, _, value = arguments[0].partition("=") if arguments else ("", "", "")
    if option == "--entrypoint":
        targets = [value, *arguments[1:]] if value else arguments[1:]
        where, _, name = targets[0].rpartition(":") if len(targets) == 1 else ("", "", "")
        if not where or not name:
            raise MisuseError("--entrypoint takes path/to/file.py:function or package.module:function")
        return (), targets[0]
    if option.startswith("-") and option != "--":
        raise MisuseError(f"there is no option {option}; a command that begins with a dash stands behind --")
    command = arguments[1:] if option == "--" else arguments
    if not command or not command[0]:
        raise MisuseError("no command was given")
    return command, ""


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    first = arguments[0] if arguments else ""
    if first in {"--help", "-h", "--version"}:
        sys.stdout.write(f"pushpool-run {VERSION}\n" if first == "--version" else USAGE)
        return 0
    if first == "--call" and len(arguments) == 3:
        with open(int(arguments[1]), encoding="utf-8", errors="surrogateescape") as given:
            return call(arguments[2], given.read())
    try:
        command, target = parsed(arguments)
        if not any(os.environ.get(f"PUSHPOOL_{name}") for name in ("RUN_TOKEN", "RUN_ID", "ATTEMPT")):
            return run_plainly(command, target)
        return Runner(command, target).run()
    except MisuseError as error:
        say(f"{error} (see pushpool-run --help)")
        return 2
    except NotStartedError as error:
        say(f"{error}; the command was not started")
        return DISOWNED


if __name__ == "__main__":
    sys.exit(main())
