"""What all commands have in common: --json, --api, --debug, and errors in one line.

A command is a function whose first parameter is a `Cli`; it prints through that, and speaks to the API through it.
"""

from __future__ import annotations

import inspect
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from dispatcher.cli.options import opt
from dispatcher.errors import PushpoolError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dispatcher.cli.client import Api

C = TypeVar("C", bound=Callable[..., None])


class Failed(Exception):
    """The command did what it should, and what it saw is a failure: exit 1, and nothing more is said."""


class Format(StrEnum):
    JSON = "json"


@dataclass(slots=True)
class Cli:
    """One call of a command."""

    json: bool = False
    url: str | None = None
    debug: bool = False
    _api: list[Api] = field(default_factory=list)

    @property
    def api(self) -> Api:
        """The API that --api or PUSHPOOL_API_URL names, else this process's own."""
        if not self._api:
            from dispatcher.cli.client import connect

            self._api.append(connect(self.url))
        return self._api[0]

    def close(self) -> None:
        for api in self._api:
            api.close()

    def show(self, answer: Any, drawn: Callable[[], RenderableType | str]) -> None:
        """`answer` as JSON, or drawn for people."""
        if self.json:
            self.print_json(answer)
            return
        from dispatcher.cli.output import console

        what = drawn()
        if isinstance(what, str):
            print(what)  # noqa: T201 - Rich would wrap it and read brackets as markup
        else:
            console().print(what)

    def print_json(self, answer: Any) -> None:
        print(json.dumps(answer, indent=2, ensure_ascii=False))  # noqa: T201

    def say(self, text: str) -> None:
        """Something beside the answer, for people alone."""
        if not self.json:
            print(text, flush=True)  # noqa: T201

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask, unless told not to or nobody is there. :raises typer.Abort: no."""
        if not yes and sys.stdin.isatty():
            typer.confirm(question, abort=True, err=True)


Json = Annotated[bool, opt("--json", help="Print JSON.")]
Output = Annotated[Format | None, opt("--output", "-o", help="The same as --json.")]
ApiUrl = Annotated[
    str | None, typer.Option("--api", metavar="URL", help="The API to speak to; default: PUSHPOOL_API_URL.")
]
Debug = Annotated[bool, opt("--debug", help="Show the trace of an error.")]

_COMMON = {"json_": Json, "output": Output, "api": ApiUrl, "debug": Debug}


def noun(help_: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=help_, no_args_is_help=True, rich_markup_mode=None)


def command(group: typer.Typer, name: str, *, example: str, without: frozenset[str] = frozenset()) -> Callable[[C], C]:
    """Make a function a command, its docstring the help; `without` names common options that it has no use for."""

    def register(function: C) -> C:
        plain = inspect.signature(function, eval_str=True)
        own = list(plain.parameters.values())[1:]
        common = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None if key in ("output", "api") else False,
                              annotation=annotation)
            for key, annotation in _COMMON.items() if key not in without
        ]  # fmt: skip

        @wraps(function)
        def run(**given: Any) -> None:
            said = {parameter.name: given.pop(parameter.name) for parameter in common}
            as_json = bool(said.get("json_") or said.get("output"))
            cli = Cli(json=as_json, url=said.get("api"), debug=bool(said["debug"]))
            with _errors_in_one_line(cli):
                function(cli, **given)
                sys.stdout.flush()

        shown = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        run.__signature__ = plain.replace(parameters=[*shown, *common])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *common)}
        group.command(name, epilog=f"\b\nExample:  {example}")(run)
        return function

    return register


@contextmanager
def _errors_in_one_line(cli: Cli) -> Iterator[None]:
    try:
        yield
    except PushpoolError as exc:
        _tell(cli, str(exc))
        raise typer.Exit(1) from exc
    except Failed as exc:
        raise typer.Exit(1) from exc
    except (typer.Exit, typer.Abort, typer.BadParameter, ModuleNotFoundError, BrokenPipeError):
        raise
    except Exception as exc:  # the one place where a command's surprises become a line
        _tell(cli, f"unexpected {type(exc).__name__}: {exc}; --debug shows the trace")
        raise typer.Exit(1) from exc
    finally:
        cli.close()


def _tell(cli: Cli, message: str) -> None:
    if cli.debug:
        traceback.print_exc()
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)  # noqa: T201
