"""Asking a cloud about many attempts where it has to be asked about each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from dispatcher.errors import Unreachable
from dispatcher.ports import Observation

AT_ONCE = 8


def each(ask: Callable[[str], Observation], handles: Sequence[str]) -> dict[str, Observation]:
    """What each is at; one that got no answer is left out. :raises Unreachable: none did."""
    if len(handles) < 2:
        return {handle: ask(handle) for handle in handles}
    troubles: list[Unreachable] = []

    def tried(handle: str) -> Observation | None:
        try:
            return ask(handle)
        except Unreachable as trouble:
            troubles.append(trouble)
            return None

    with ThreadPoolExecutor(min(AT_ONCE, len(handles))) as threads:
        answers = dict(zip(handles, threads.map(tried, handles), strict=True))
    found = {handle: seen for handle, seen in answers.items() if seen is not None}
    if troubles and not found:
        raise troubles[0]
    return found
