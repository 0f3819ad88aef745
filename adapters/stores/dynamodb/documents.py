"""A run as items: a hot one that every step rewrites, kept under 1 KB, and parts that are written once.

DynamoDB charges a write for the whole item by the started KB, so what is large and does not change stays out of the
hot item: the payload (a small one stays in it, a middle one goes into the run's card, a large one into an item of its
own) and long texts (log tails, messages). Parts are found by a digest of their content, so a writer that lost a race
has overwritten nothing. What the hot item says beside its document is there for conditions and for people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.stores.dynamodb.actions import STAMP, new_stamp
from adapters.stores.dynamodb.keys import Key, card_key, cold_key, digest, payload_key, run_key, seconds, waiting
from adapters.stores.dynamodb.keys import moment as sortable
from adapters.stores.dynamodb.table import DUE_HASH, DUE_RANGE, EXPIRES, HASH, RANGE
from adapters.stores.dynamodb.values import Item, item, packed, unpacked
from adapters.texts import json_text
from dispatcher.documents import from_json, to_json
from dispatcher.errors import InvalidInput
from dispatcher.runs import FlowRun

# Where things go is told by their length as they are, not packed: another zlib must find them too.
_INLINE_BYTES = 256  # of a payload in the hot item
_CARD_BYTES = 3072  # of one in the card
_LONG_TEXT = 64  # characters; shorter ones always stay in the hot item
_LONG_TEXTS = 256  # all of them together, before they are taken out
_MARK = "\0"  # begins a text that was taken out, with its number


@dataclass(frozen=True, slots=True)
class Parts:
    """What belongs to a run besides its hot item; `items` are written before it."""

    card: Key
    items: tuple[Item, ...]
    refers: Mapping[str, str | bytes]  # what the hot item says of the payload

    @property
    def keys(self) -> list[Key]:
        return [(sent[HASH]["S"], sent[RANGE]["S"]) for sent in self.items]


def parts_of(run: FlowRun) -> Parts:
    """:raises InvalidInput: the payload cannot be said in JSON."""
    refers: dict[str, str | bytes] = {}
    items: list[Item] = []
    kept: bytes | None = None
    name: str | None = None
    if (payload := payload_text(run)) is not None:
        body, length = packed(payload), len(payload.encode())
        if length <= _INLINE_BYTES:
            refers["payload"] = body
        elif length <= _CARD_BYTES:
            kept = body
            refers["card"] = name = digest(payload)
        else:
            refers["far"] = far = digest(payload)
            items.append(_part(payload_key(run.id, far), run, body))
    card = card_key(run, name)
    return Parts(card, (*items, _part(card, run, kept)), refers)


def _part(key: Key, run: FlowRun, body: bytes | None) -> Item:
    return item(pk=key[0], sk=key[1], body=body, expires=seconds(run.expires_at, "expires_at"))


def payload_text(run: FlowRun) -> str | None:
    if not run.parameters and not run.job_variables:
        return None
    parameters, variables = json_text(run.parameters, "parameters"), json_text(run.job_variables, "job_variables")
    return f'{{"parameters":{parameters},"job_variables":{variables}}}'


@dataclass(frozen=True, slots=True)
class Written:
    """A run as it is about to be stored, whoever stores it: what changes in its hot item, and its long texts."""

    run: FlowRun
    attributes: Mapping[str, str | int | bytes]
    gone: frozenset[str]
    cold: Item | None
    stamp: str = field(default_factory=new_stamp)

    def hot_item(self, parts: Parts) -> Item:
        """For a run that is new."""
        key = run_key(self.run.id)
        return item(pk=key[0], sk=key[1], **{STAMP: self.stamp}, **parts.refers, **self.attributes)

    def change(self, **more: str) -> tuple[str, dict[str, str | int | bytes]]:
        """The update expression and its values."""
        values: dict[str, str | int | bytes] = {STAMP: self.stamp, **self.attributes, **more}
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
        if self.gone:
            change += " REMOVE " + ", ".join(f"#{name}" for name in sorted(self.gone))
        return change, values


def written(run: FlowRun) -> Written:
    """:raises InvalidInput: a time has no timezone, a text is not Unicode."""
    _check_times(run)
    bare = replace(run, parameters={}, job_variables={}) if run.parameters or run.job_variables else run
    try:
        document = to_json(bare)
    except ValueError as exc:
        raise InvalidInput(f"run {run.id} cannot be stored as JSON: {exc}") from exc
    cold, texts = None, _long_texts(run)
    if texts:
        document, cold = _without_long_texts(document, texts), _cold(run, texts)
    attributes = _attributes(run, document)
    if cold is not None:
        attributes["cold"] = cold[RANGE]["S"].partition("#")[2]
    optional = {DUE_HASH, DUE_RANGE, EXPIRES, "cold"}
    return Written(run, attributes, frozenset(optional - attributes.keys()), cold)


def cold_of(run: FlowRun) -> Item | None:
    """The item with the run's long texts, as it is stored; None if it has none."""
    texts = _long_texts(run)
    return _cold(run, texts) if texts else None


def _long_texts(run: FlowRun) -> list[str]:
    """Those that are taken out, if they are worth it."""
    given = [state.message for state in (run.state, *run.history)]
    given += [run.stop.message] if run.stop is not None else []
    given += [text for attempt in run.attempts for text in (attempt.log_tail, attempt.outcome)]
    texts = list(dict.fromkeys(text for text in given if len(text) > _LONG_TEXT or text.startswith(_MARK)))
    marked = any(text.startswith(_MARK) for text in texts)
    return texts if marked or sum(map(len, texts)) > _LONG_TEXTS else []


def _attributes(run: FlowRun, document: str) -> dict[str, str | int | bytes]:
    found: dict[str, str | int | bytes | None] = {
        "v": run.version,
        "state": run.state.name.value,
        "attempt": run.attempt,
        "pool": run.pool,
        "queue": run.queue,
        "dep": run.deployment,
        "doc": packed(document),
        EXPIRES: seconds(run.expires_at, "expires_at"),
    }
    if (place := waiting(run)) is not None:
        found[DUE_HASH], found[DUE_RANGE] = place
    return {name: given for name, given in found.items() if given is not None}


def _check_times(run: FlowRun) -> None:
    for what in ("created", "scheduled_time", "due_at", "started", "ended"):
        if (at := getattr(run, what)) is not None:
            sortable(at, what)
    sortable(run.state.at, "state.at")


def _cold(run: FlowRun, texts: list[str]) -> Item:
    said = json.dumps(texts, ensure_ascii=False)
    return _part(cold_key(run.id, digest(said)), run, packed(said))


def _without_long_texts(document: str, texts: list[str]) -> str:
    """The document with a mark in the place of each."""
    loaded: dict[str, Any] = json.loads(document)
    numbers = {text: number for number, text in enumerate(texts)}
    for holder, name in _places(loaded):
        if (number := numbers.get(holder.get(name, ""))) is not None:
            holder[name] = f"{_MARK}{number}"
    return json.dumps(loaded, ensure_ascii=False, separators=(",", ":"))


def _with_long_texts(document: str, texts: list[str]) -> str:
    loaded: dict[str, Any] = json.loads(document)
    for holder, name in _places(loaded):
        if holder.get(name, "").startswith(_MARK):
            number = int(holder[name].removeprefix(_MARK))
            holder[name] = texts[number] if number < len(texts) else ""
    return json.dumps(loaded, ensure_ascii=False, separators=(",", ":"))


def _places(document: dict[str, Any]) -> Iterable[tuple[dict[str, Any], str]]:
    """Where texts of any length may stand."""
    states = [document["state"], *document.get("history", ()), document.get("stop", {})]
    yield from ((state, "message") for state in states)
    for attempt in document.get("attempts", ()):
        yield attempt, "log_tail"
        yield attempt, "outcome"


# reading


def bare_run(hot: Item) -> FlowRun:
    """The run as the hot item has it, with what is in it of the payload and without long texts."""
    return _run(hot, None, [])


def far_parts(hot: Item) -> list[Key]:
    """Keys of the parts without which the hot item is not the whole run."""
    keys = far_payload(hot)
    if "card" in hot:
        keys.append(card_key(bare_run(hot), hot["card"]))
    if "cold" in hot:
        keys.append(cold_key(hot[HASH].removeprefix("run#"), hot["cold"]))
    return keys


def far_payload(hot: Item) -> list[Key]:
    """The key of a payload that has an item of its own."""
    return [payload_key(hot[HASH].removeprefix("run#"), hot["far"])] if "far" in hot else []


def whole_run(hot: Item, parts: Mapping[Key, Item]) -> FlowRun | None:
    """None: its payload is gone already, as the run will be: DynamoDB forgets item by item."""
    found = [parts.get(key) for key in far_parts(hot)]
    cold = found.pop() if "cold" in hot else None
    payload = hot.get("payload")
    if found:
        if found[0] is None:
            return None
        payload = found[0]["body"]
    texts: list[str] = json.loads(unpacked(cold["body"])) if cold is not None else []
    return _run(hot, payload, texts)


def _run(hot: Item, payload: bytes | None, texts: list[str]) -> FlowRun:
    document = unpacked(hot["doc"])
    if "cold" in hot:
        document = _with_long_texts(document, texts)
    if payload is not None:
        # Two JSON objects without a common key, as one: cheaper than to change the run once it is read.
        document = f"{document[:-1]},{unpacked(payload)[1:]}"
    return from_json(FlowRun, document)
