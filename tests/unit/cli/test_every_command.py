"""What holds for every command, whatever it does; and whom it speaks to."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from dispatcher.cli import client
from dispatcher.cli.app import app

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Shell

BUILT = get_command(app)


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words."""

    def walk(found: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, inner in getattr(found, "commands", {}).items():
            yield from walk(inner, (*words, name))
        if not hasattr(found, "commands"):
            yield words, found

    return walk(BUILT, ())


COMMANDS = dict(commands())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_ends_with_an_example_of_it(shell: Shell, words: tuple[str, ...]) -> None:
    """An example that names the command itself."""
    last = shell.ok(*words, "--help").rstrip().splitlines()[-1].strip()

    assert last.startswith(f"Example:  pushpool {' '.join(words)}")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_that_answers_has_json(words: tuple[str, ...]) -> None:
    """As `--json`, and as `-o json` as Prefect has it."""
    options = {option for param in COMMANDS[words].params for option in param.opts}

    always_json = {("schema",), ("serve",), ("template", "show")}
    assert "--json" in options or words in always_json
    assert "--output" in options or words in always_json


def test_without_a_command_the_help_is_shown_and_an_unknown_one_is_misuse(shell: Shell) -> None:
    """Exit 2, and what was probably meant."""
    assert shell.run().exit_code == 2
    assert "work-pool" in shell.run().output
    assert "Did you mean 'work-pool'" in shell.error("work-pol", code=2)
    assert "No such option" in shell.error("work-pool", "ls", "--colour", code=2)


def test_help_loads_nothing_that_it_does_not_need() -> None:
    """Pydantic, httpx, Rich and YAML cost more than all the rest."""
    heavy = ("pydantic", "httpx", "rich", "ruamel", "sqlite3", "waitress")
    code = f"import sys, dispatcher.cli.app; print([name for name in {heavy} if name in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


def test_a_missing_extra_is_told_in_one_line(tmp_path: Path) -> None:
    """With what to install."""
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError(\"No module named 'typer'\", name='typer')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from dispatcher.cli import main; main()"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert found.returncode == 1
    assert found.stderr == "error: typer is not installed; run: pip install 'pushpool[cli]'\n"


def test_a_surprise_is_one_line_and_a_trace_only_with_debug(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who uses it should have to read Python."""

    def surprise(_: str | None = None) -> None:
        raise RuntimeError("who would have thought")

    monkeypatch.setattr(client, "connect", surprise)

    assert shell.error("work-pool", "ls") == (
        "error: unexpected RuntimeError: who would have thought; --debug shows the trace"
    )
    assert "Traceback" in shell.run("work-pool", "ls", "--debug").stderr


def test_version_and_schema_are_printed(shell: Shell) -> None:
    """The schema is the one that is published."""
    assert shell.ok("version") == shell.ok("--version")
    assert shell.json("version")["version"] in shell.ok("version")
    published = Path(__file__).parents[3] / "templates" / "pushpool.schema.json"
    assert shell.ok("schema") == published.read_text(encoding="utf-8")


def test_tables_have_no_colour_where_nobody_would_see_it(shell: Shell) -> None:
    """No escape sequence is printed, and no line is cut."""
    shell.applied()

    for words in (("work-pool", "ls", "-v"), ("work-queue", "ls"), ("deployment", "inspect", "nightly")):
        text = shell.ok(*words)
        assert "\x1b" not in text
        assert "…" not in text


@pytest.mark.parametrize(
    "words",
    [
        ("work-pool", "ls"),
        ("work-pool", "inspect", "local"),
        ("work-pool", "slots", "local"),
        ("work-pool", "preview"),
        ("work-queue", "inspect", "high"),
        ("work-queue", "slots", "high"),
        ("deployment", "ls"),
        ("deployment", "schedule", "ls", "nightly"),
        ("flow-run", "ls"),
        ("api-key", "ls"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_what_is_shown_to_people_is_drawn(shell: Shell, words: tuple[str, ...]) -> None:
    """Also when there is nothing to show."""
    shell.applied()

    assert shell.ok(*words).strip()
    assert json.loads(shell.ok(*words, "-o", "json")) is not None


def test_a_home_that_cannot_be_used_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the way out."""
    (shell.folder / "file").write_text("")
    monkeypatch.setenv("PUSHPOOL_HOME", str(shell.folder / "file" / "home"))

    assert "set PUSHPOOL_HOME to a folder of yours" in shell.error("work-pool", "ls")


def test_a_key_that_is_not_valid_says_where_it_comes_from(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lacks the scope is told what it needs."""
    reader = shell.json("api-key", "create", "reader", "--scope", "read")["key"]

    monkeypatch.setenv("PUSHPOOL_API_KEY", "pp_wrong")
    assert "PUSHPOOL_API_KEY" in shell.error("work-pool", "ls")
    monkeypatch.setenv("PUSHPOOL_API_KEY", reader)
    shell.ok("work-pool", "ls")
    assert "has the scope read; this needs admin" in shell.error("work-pool", "create", "p", "-t", "process")


def test_an_address_where_nobody_answers_is_named(shell: Shell) -> None:
    """And an address that is none."""
    error = shell.error("work-pool", "ls", "--api", "http://127.0.0.1:1")
    assert error.startswith("error: http://127.0.0.1:1 cannot be reached")
    assert error.endswith("is `pushpool serve` running?")
    assert "the API's URL is 'localhost:4280'" in shell.error("work-pool", "ls", "--api", "localhost:4280")
