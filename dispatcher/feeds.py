"""Due candidates of a pool's queues, read in pages, in the order in which they may start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dispatcher.pools import WorkQueue
from dispatcher.ports import Candidate, Store

PAGE = 100


@dataclass(slots=True)
class Feed:
    """One queue's due index, from the `oldest` on. `next_due`: the first that is not due yet."""

    store: Store
    pool: str
    queue: str
    due_before: datetime
    look_until: datetime
    after: str | None = None
    is_over: bool = False
    next_due: datetime | None = None
    oldest: datetime | None = None

    def page(self) -> list[Candidate]:
        """The next candidates; one read serves both what is due and when to come back."""
        if self.is_over:
            return []
        page = self.store.due(self.pool, self.queue, self.look_until, after=self.after, limit=PAGE)
        due = [item for item in page.items if item.due_at <= self.due_before]
        if self.after is None and page.items:
            self.oldest = page.items[0].due_at
        if len(due) < len(page.items):
            self.next_due = page.items[len(due)].due_at
        self.after = page.after
        self.is_over = page.after is None or self.next_due is not None
        return due


@dataclass(slots=True)
class Feeds:
    """All queues' feeds. A lower queue is read only when the higher ones are over or full: priority is strict."""

    store: Store
    pool: str
    due_before: datetime
    look_until: datetime
    feeds: dict[str, Feed] = field(default_factory=dict)

    def gather(self, queues: Sequence[WorkQueue], want: int) -> list[Candidate]:
        """About `want` candidates from `queues` (those with room, by priority), more from none than its next page."""
        found: list[Candidate] = []
        for queue in queues:
            feed = self.feeds.setdefault(
                queue.name, Feed(self.store, self.pool, queue.name, self.due_before, self.look_until)
            )
            while not feed.is_over and len(found) < want:
                found += feed.page()
                if not feed.is_over:
                    return found
            if len(found) >= want:
                break
        return found

    def is_punctual(self, queue: str, moment: datetime) -> bool:
        """Whether it was read, and held nothing that had been due by then."""
        feed = self.feeds.get(queue)
        return feed is not None and (feed.oldest is None or feed.oldest > moment)

    @property
    def next_due(self) -> datetime | None:
        return min((feed.next_due for feed in self.feeds.values() if feed.next_due is not None), default=None)
