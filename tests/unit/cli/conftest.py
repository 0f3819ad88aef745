"""The command line in this process: each test has a home of its own, and nobody has a terminal."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dispatcher.cli.app import app

FILE = """
work_pools:
  local:
    type: process
    concurrency_limit: 4
    queues:
      high: {priority: 1, concurrency_limit: 2}
deployments:
  nightly:
    pool: local
    queue: high
    command: [echo, hello]
    parameter_schema: {properties: {day: {type: integer}}}
    schedules: [{slug: night, cron: "0 3 * * *"}]
  adhoc: {pool: local, command: "true"}
"""

BUILT = get_command(app)  # once: a runner's `invoke` would build it for every command


@dataclass(frozen=True)
class Result:
    """What a command said."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


@dataclass
class Shell:
    """Runs `pushpool`, as a person without a terminal would."""

    folder: Path
    runner: CliRunner
    file: ClassVar[str] = FILE

    def run(self, *words: str, input: str | None = None) -> Result:  # noqa: A002 - as the runner calls it
        with self.runner.isolation(input=input) as (stdout, stderr, _):
            try:
                BUILT.main(list(words), prog_name="pushpool")
                code: object = 0
            except SystemExit as exc:
                code = exc.code or 0
            sys.stdout.flush()
            sys.stderr.flush()
            assert isinstance(code, int), code
            return Result(code, stdout.getvalue().decode(), stderr.getvalue().decode())

    def ok(self, *words: str, input: str | None = None) -> str:  # noqa: A002
        result = self.run(*words, input=input)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.ok(*words, "--json"))

    def error(self, *words: str, code: int = 1) -> str:
        """The one line on stderr, nothing being on stdout."""
        result = self.run(*words)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        lines = result.stderr.strip().splitlines()
        assert code == 2 or len(lines) == 1, result.stderr
        return lines[-1]

    def applied(self) -> Shell:
        (self.folder / "pushpool.yaml").write_text(FILE)
        self.ok("apply", "-f", str(self.folder / "pushpool.yaml"))
        return self


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("PUSHPOOL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PUSHPOOL_PORT", "1")  # nobody listens there
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, CliRunner())
