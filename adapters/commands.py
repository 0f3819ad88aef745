"""Commands, environments and what is null, for every infrastructure. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dispatcher.errors import InvalidInput

RUNNER = "pushpool-run"
RESERVED = "PUSHPOOL_"  # names that are ours: nobody else sets them
RUN_TOKEN = "PUSHPOOL_RUN_TOKEN"  # noqa: S105 - its name


def is_mark(value: object) -> bool:
    """A secret's name, in place of which the core puts its value when it submits."""
    return isinstance(value, Mapping) and set(value) == {"$secret"}


def refuse_marks(value: Any, path: str, *, allowed: re.Pattern[str], way_out: str) -> None:
    """A secret's value belongs into an environment variable of its run, and nowhere where it is kept.

    :raises InvalidInput: one is at a path where `allowed` is not found.
    """
    if is_mark(value) and not allowed.search(path):
        raise InvalidInput(f"{path} is a secret, which would be kept there for all to see; {way_out}", path=path)
    if isinstance(value, Mapping):
        for key, part in value.items():
            refuse_marks(part, f"{path}.{key}", allowed=allowed, way_out=way_out)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            refuse_marks(part, f"{path}[{number}]", allowed=allowed, way_out=way_out)


def words_of(command: object, path: str = "command") -> list[str]:
    """As a shell would split it, or word for word. :raises InvalidInput:"""
    if command is None:
        return []
    if isinstance(command, str):
        try:
            return shlex.split(command)
        except ValueError as error:
            raise InvalidInput(f"{path} {command!r}: {error}; a list works too", path=path) from error
    if isinstance(command, Sequence):
        return [_word(word, path) for word in command]
    raise InvalidInput(f"{path} is {command!r}: write a string or a list of strings", path=path)


def _word(word: object, path: str) -> str:
    if isinstance(word, str | int | float) and not isinstance(word, bool):
        return str(word)
    raise InvalidInput(f"{path} holds {word!r}: each of its words is a string", path=path)


def command_of(command: object, runner: object) -> list[str]:
    """The command under the runner; empty for the image's own, which no runner can know.

    `runner`: false for none; a path or a command line if the image has it elsewhere than on its PATH.

    :raises InvalidInput: it is empty, and there is a runner.
    """
    argv, prefix = words_of(command), _prefix(runner)
    if argv and argv[0] == RUNNER:
        return [*(prefix or [RUNNER]), *argv[1:]]
    if not prefix:
        return argv
    if not argv or not argv[0]:
        raise InvalidInput(
            "command is empty: give the deployment a command or an entrypoint, or the pool a default for the "
            "variable `command`; with `runner` false, the image's own command runs",
            path="command",
        )
    return [*prefix, "--", *argv]


def _prefix(runner: object) -> list[str]:
    if runner is None or runner is True:
        return [RUNNER]
    if runner is False:
        return []
    prefix = words_of(runner, "runner")
    if not prefix:
        raise InvalidInput(f"runner is {runner!r}: write a path, or false to have none", path="runner")
    return prefix


def has_runner(argv: Sequence[str], runner: object) -> bool:
    """Whether the command, as `command_of` made it, runs under the runner."""
    return argv[:1] == [RUNNER] or bool(_prefix(runner))


def env_of(env: object, path: str = "env") -> dict[str, Any]:
    """Names and values, of an object or of a list of pairs; what is None stays None. :raises InvalidInput:"""
    if env is None:
        return {}
    if isinstance(env, Mapping):
        return {_name(name, path): _value(name, value, path) for name, value in env.items()}
    if isinstance(env, Sequence) and not isinstance(env, str):
        pairs = [pair for pair in env if isinstance(pair, Mapping) and "name" in pair]
        if len(pairs) == len(env):
            return env_of({pair["name"]: pair.get("value") for pair in pairs}, path)
    raise InvalidInput(f"{path} is {env!r}: write names and their values", path=path)


def _name(name: object, path: str) -> str:
    text = str(name)
    if not text or "=" in text or "\0" in text:
        raise InvalidInput(f"{path} names {text!r}: a name is not empty and holds no `=`", path=path)
    return text


def _value(name: object, value: object, path: str) -> object:
    if value is None or is_mark(value):
        return value
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise InvalidInput(f"{path}.{name} is {value!r}: write it as a string", path=f"{path}.{name}")


def pruned(value: Any) -> Any:
    """Without what is null or empty. False and 0 stay, and so does an empty `value` of a pair."""
    if isinstance(value, Mapping):
        parts = {key: pruned(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if not _is_empty(part) or (key == "value" and part == "")}
    if isinstance(value, list | tuple):
        return [part for part in map(pruned, value) if part is not None and part != {}]
    return value


def _is_empty(part: Any) -> bool:
    return part is None or (isinstance(part, str | dict | list) and not part)
