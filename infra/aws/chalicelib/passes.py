"""Passes that the schedule or a wake asked for.

Invariant: a message that could not be dealt with is given back alone; those that were are not delivered again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeAlias

from adapters.wakers.sqs import Wake
from dispatcher.dispatch import Dispatcher
from dispatcher.errors import InvalidInput
from dispatcher.logs import log

Asked: TypeAlias = tuple[str, int]  # a message's id, and the hops that it tells of


def tick(dispatcher: Dispatcher, until: datetime) -> None:
    """A pass over each pool."""
    passes = dispatcher.tick(until=until)
    log.debug("tick made", extra={"pools": len(passes)})


def wake(dispatcher: Dispatcher, messages: Iterable[Mapping[str, Any]], until: datetime) -> dict[str, Any]:
    """One pass a pool, however many messages name it, all at once; the answer names the messages that failed."""
    asked = _by_pool(messages)
    failed = asked.pop("", [])
    if asked:
        dispatcher.prepare(until)
        with ThreadPoolExecutor(len(asked), thread_name_prefix="pass") as threads:
            passes = {pool: threads.submit(_over, dispatcher, pool, said, until) for pool, said in asked.items()}
        failed += [each for pool, is_made in passes.items() if not is_made.result() for each in asked[pool]]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id, _ in failed]}


def _by_pool(messages: Iterable[Mapping[str, Any]]) -> dict[str, list[Asked]]:
    """Who asked for which pool; under no name, those that are no wakes."""
    asked: dict[str, list[Asked]] = {}
    for message in messages:
        try:
            said = Wake.parse(message["body"])
        except InvalidInput as exc:
            log.error("message is no wake", extra={"sqs_message": message["messageId"], "why": str(exc)})
            said = Wake("")
        asked.setdefault(said.pool, []).append((message["messageId"], said.hops))
    return asked


def _over(dispatcher: Dispatcher, pool: str, asked: list[Asked], until: datetime) -> bool:
    """Whether the pass was made."""
    try:
        dispatcher.over(pool, until=until, hops=min(hops for _, hops in asked), paced=True)
    except Exception:  # noqa: BLE001  # the boundary between pools: what went wrong is in the log
        log.exception("pass failed", extra={"pool": pool})
        return False
    return True
