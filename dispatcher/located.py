"""YAML and JSON text as plain values, each with the place where it stands, so that every error can point at it.

YAML is 1.2 and safe: only what JSON has comes out. What a bounded reader must refuse is refused here: circular
aliases, aliases that multiply, nesting without end, duplicate keys.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from dispatcher.errors import InvalidInput

MAX_FILE_BYTES = 1024 * 1024
MAX_DEPTH = 60
MAX_VALUES = 100_000

Steps: TypeAlias = tuple[str | int, ...]
_TAG = "tag:yaml.org,2002:"
_TEXT = frozenset({"str", "timestamp", "value", "merge"})  # JSON has no dates: they stay as they are written


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands; lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, and where."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class FileProblems(InvalidInput):
    """Everything that is wrong with a file, one line each, in the order of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(slots=True)
class Located:
    """A value, and where each value and each key of it stands."""

    value: Any
    values: dict[Steps, Place]
    keys: dict[Steps, Place] = field(default_factory=dict)

    def known(self, steps: Steps) -> Steps:
        """Those of `steps` that lead somewhere; what a validator adds in between is passed over."""
        found: Steps = ()
        for step in steps:
            if (*found, step) in self.values:
                found = (*found, step)
        return found

    def place(self, steps: Steps) -> Place:
        """Of the value, or of the nearest thing around it."""
        return self.values[self.known(steps)]

    def key(self, steps: Steps) -> Place:
        """Of the key that names it; of a list's item, the item's own."""
        found = self.known(steps)
        return self.keys.get(found, self.values[found])

    def graft(self, steps: Steps, other: Located) -> None:
        """Put `other` in the place of the mapping at `steps`."""
        parent = self.value
        for step in steps[:-1]:
            parent = parent[step]
        parent[steps[-1]] = other.value
        self.values |= {(*steps, *inner): place for inner, place in other.values.items()}
        self.keys |= {(*steps, *inner): place for inner, place in other.keys.items()}


def read_text(path: Path) -> str:
    """:raises FileProblems: it is missing, cannot be read, is too long or not UTF-8."""
    start = Place(str(path))
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise FileProblems([Problem(start, "there is no such file; name another one")]) from None
    except OSError as exc:
        raise FileProblems([Problem(start, f"cannot be read: {exc.strerror}")]) from exc
    if len(raw) > MAX_FILE_BYTES:
        raise FileProblems([Problem(start, f"has more than {MAX_FILE_BYTES} bytes; split it")])
    return _decoded(raw, start)


def _decoded(raw: bytes, start: Place) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise FileProblems([Problem(start, "is UTF-16; save it as UTF-8")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        before = raw[: exc.start].decode()
        line = before.count("\n") + 1
        place = Place(start.file, line, len(before) - (before.rfind("\n") + 1) + 1)
        byte = f"0x{raw[exc.start]:02x}"
        raise FileProblems([Problem(place, f"the byte {byte} is not UTF-8; save the file as UTF-8")]) from exc


def load(path: Path) -> Located:
    """What the file holds. :raises FileProblems: it cannot be read, or cannot be made into JSON's values."""
    text = read_text(path)
    located = load_json(text, str(path)) if path.suffix == ".json" else load_yaml(text, str(path))
    try:
        json.dumps(located.value, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        message = "an escape in it is half of a character (\\ud800 to \\udfff); write the character itself"
        raise FileProblems([Problem(Place(str(path)), message)]) from exc
    return located


def load_json(text: str, file: str) -> Located:
    """Keys and values stand at its start: JSON is read whole, and its inner places are not kept."""
    start = Place(file)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise FileProblems([Problem(start, f"the key {twice[0]!r} stands twice in one object; keep one")])
        return dict(pairs)

    def no_constant(name: str) -> None:
        raise FileProblems([Problem(start, f"{name} is no JSON value; leave it out")])

    try:
        value = json.loads(text, object_pairs_hook=once, parse_constant=no_constant)
    except json.JSONDecodeError as exc:
        message = f"is not JSON: {exc.msg[:1].lower()}{exc.msg[1:]}"
        raise FileProblems([Problem(Place(file, exc.lineno, exc.colno), message)]) from exc
    except (RecursionError, ValueError) as exc:
        raise FileProblems([Problem(start, "is nested too deep, or has a number without end")]) from exc
    if _is_deep(value):
        raise FileProblems([Problem(start, f"is nested more than {MAX_DEPTH} deep; flatten it")])
    return Located(value, {(): start})


def _is_deep(value: Any) -> bool:
    parts = [value]
    for _ in range(MAX_DEPTH):
        inner = (each.values() if isinstance(each, dict) else each for each in parts if isinstance(each, dict | list))
        parts = [part for each in inner for part in each]
    return bool(parts)


def load_yaml(text: str, file: str) -> Located:
    """:raises FileProblems: with every duplicate key and every value that JSON does not have."""
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = MAX_DEPTH
    yaml.composer.warn_double_anchors = False  # an anchor may be given anew; the warning would go to stderr
    try:
        root = yaml.compose(text)
    except YAMLError as exc:
        raise FileProblems([_of_syntax(exc, file, text)]) from exc
    except (ValueError, OverflowError) as exc:  # what its scanner makes of an escape such as "\UFFFFFFFF"
        raise FileProblems([Problem(Place(file), f"is not YAML: {exc}")]) from exc
    if root is None:
        return Located(None, {(): Place(file)})
    walk = _Walk(file, yaml)
    value = walk.build(root, ())
    if walk.problems:
        raise FileProblems(walk.problems)
    return Located(value, walk.values, walk.keys)


def _of_syntax(exc: YAMLError, file: str, text: str) -> Problem:
    if not isinstance(exc, MarkedYAMLError):  # a character that YAML does not have; the error has an offset
        before = text[: getattr(exc, "position", 0)]
        place = Place(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        return Problem(place, "a character that YAML does not allow; remove it")
    mark = exc.problem_mark or exc.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark is not None else Place(file)
    if isinstance(exc, MaxDepthExceededError):
        return Problem(place, f"is nested more than {MAX_DEPTH} deep; flatten it")
    said = " ".join(f"{exc.problem or exc.context}".split())
    if "'\\t'" in said:
        return Problem(place, "a tab stands where YAML wants spaces; replace it by spaces")
    if "undefined alias" in said:
        return Problem(place, f"{said}; an anchor (&name) must stand before it")
    if "another document" in said:
        return Problem(place, "a second document begins here; keep one in a file")
    around = f" {exc.context}" if exc.context and exc.problem else ""
    return Problem(place, f"is not YAML: {said}{around}")


class _TooMany(Exception):
    pass


class _Walk:
    """Makes values of composed nodes, and remembers where they stand."""

    def __init__(self, file: str, yaml: YAML) -> None:
        self.problems: list[Problem] = []
        self.values: dict[Steps, Place] = {}
        self.keys: dict[Steps, Place] = {}
        self._file = file
        made = yaml.constructor
        self._makers: dict[str, Callable[[Any], Any]] = {
            "bool": made.construct_yaml_bool,
            "int": made.construct_yaml_int,
            "float": made.construct_yaml_float,
        }
        self._open: set[int] = set()
        self._count = 0

    def build(self, root: Any, steps: Steps) -> Any:
        try:
            return self._value(root, steps)
        except _TooMany:
            message = f"has more than {MAX_VALUES:,} values once its aliases are written out; use fewer"
            self.problems.append(Problem(Place(self._file), message))
            return None

    def _value(self, node: Any, steps: Steps) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _TooMany
        self.values.setdefault(steps, self._place(node))
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            self._wrong(node, f"{_named(node)} contains itself; write out what you mean")
            return None
        if str(node.tag) not in (f"{_TAG}map", f"{_TAG}seq"):
            self._wrong(node, f"the tag {_tag(node)} is not taken; use plain mappings, lists, text and numbers")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, steps)
            assert isinstance(node, SequenceNode)
            return [self._value(item, (*steps, number)) for number, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: Any, steps: Steps) -> dict[str, Any]:
        made: dict[str, Any] = {}
        own: dict[str, Place] = {}
        merged = []
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                merged.append(value_node)
                continue
            key = self._key(key_node)
            if key is None:
                continue
            if key in own:
                first = f"first in line {own[key].line}"
                self._wrong(key_node, f"the key {key!r} stands here a second time, {first}; keep one")
                continue
            own[key] = self.keys.setdefault((*steps, key), self._place(key_node))
            made[key] = self._value(value_node, (*steps, key))
            if made[key] is None:  # what is left empty stands where the next thing begins
                self.values[*steps, key] = own[key]
        for value_node in merged:
            for key, value in self._merged(value_node, steps):
                made.setdefault(key, value)
        return made

    def _merged(self, node: Any, steps: Steps) -> Iterator[tuple[str, Any]]:
        """What `<<: *anchor` brings in; of several, the first has the say."""
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, MappingNode):
                self._wrong(source, "`<<` takes a mapping, or a list of them; give it an alias of one")
            elif id(source) in self._open:
                self._wrong(source, f"{_named(source)} contains itself; write out what you mean")
            else:
                self._open.add(id(source))
                yield from self._mapping(source, steps).items()
                self._open.discard(id(source))

    def _key(self, node: Any) -> str | None:
        if isinstance(node, ScalarNode):
            value = self._scalar(node)
            if isinstance(value, str):
                return value
            self._wrong(node, f"the key {node.value!r} reads as {_kind(value)}; put it in quotes")
        else:
            self._wrong(node, "a key must be text; this is a list or a mapping")
        return None

    def _scalar(self, node: Any) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind in _TEXT:
            return node.value
        if kind == "null":
            return None
        if kind not in self._makers:
            self._wrong(node, f"the tag {_tag(node)} is not taken; use plain text, numbers, true, false or null")
            return None
        try:
            value = self._makers[kind](node)
            if math.isfinite(value):
                return value
        except (ValueError, KeyError, OverflowError):
            pass
        self._wrong(node, f"{_short(node.value)} is no number or truth value that JSON has; put it in quotes")
        return None

    def _wrong(self, node: Any, message: str) -> None:
        self.problems.append(Problem(self._place(node), message))

    def _place(self, node: Any) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)


def _is_merge(node: Any) -> bool:
    return isinstance(node, ScalarNode) and str(node.tag) == f"{_TAG}merge"


def _tag(node: Any) -> str:
    return str(node.tag).replace(_TAG, "!!")


def _named(node: Any) -> str:
    return f"the anchor &{node.anchor}" if node.anchor else "this"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}…")


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case _:
            return "a number"
