"""Passes that messages of the wake queue asked for.

Invariant: a message that could not be dealt with is given back alone; those that were are not delivered again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from adapters.wakes import Wake
from dispatcher.dispatch import Dispatcher
from dispatcher.errors import InvalidInput
from dispatcher.functions import parts
from dispatcher.functions.passes import over
from dispatcher.logs import log

Asked: TypeAlias = tuple[str, int]  # a message's id, and the hops that it tells of


def until(lambda_context: Any) -> datetime:
    """When a pass must be over."""
    return parts.until(timedelta(milliseconds=lambda_context.get_remaining_time_in_millis()))


def wake(dispatcher: Dispatcher, messages: Iterable[Mapping[str, Any]], until: datetime) -> dict[str, Any]:
    """One pass a pool, however many messages name it, all at once; the answer names the messages that failed."""
    asked = _by_pool(messages)
    failed = asked.pop("", [])
    if asked:
        dispatcher.prepare(until)
        with ThreadPoolExecutor(len(asked), thread_name_prefix="pass") as threads:
            passes = {
                pool: threads.submit(over, dispatcher, pool, until, hops=min(hops for _, hops in said))
                for pool, said in asked.items()
            }
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
