"""The keys of every kind of item, times that sort, and the marks that pages end with.

| partition | sort | item |
|---|---|---|
| `run#ID` | `run` | the run, small |
| | `payload#HASH`, `cold#HASH` | its large parts |
| | `request#ATTEMPT#HASH` | a rendered submission |
| `runs#DEPLOYMENT` | `SCHEDULED_TIME#ID#HASH` | the run's card: it is listed here, and keeps a payload of middle size |
| `roster` | `DEPLOYMENT#POOL#QUEUE` | says that there are such runs |
| `slot#LIMIT` | `NAME` | a slot that is held; the pool's is the active entry |
| `key#DEPLOYMENT_ID#KEY` | `key` | an idempotency key and its run |
| `record#KIND` | `KEY` | a record of the catalogue |
| `child#KIND#PARENT` | `KEY` | its copy, to be listed by parent |
| `cursor#SCHEDULE` | `cursor` | how far a schedule is |
| `owed#ID` | `owed` | an outbox entry |
| `budget#NAME` | `budget` | what is left of a rate |
| `meta` | `meta` | the schema's version |
"""

from __future__ import annotations

import base64
import hashlib
import math
from datetime import UTC, datetime
from typing import TypeAlias

from adapters.texts import page_place
from dispatcher.contract import check_aware
from dispatcher.runs import FlowRun, Slot, StateType

Key: TypeAlias = tuple[str, str]

HOT = "run"
ROSTER = "roster"
CURSORS = "cursors"  # a partition of the due index
META: Key = ("meta", "meta")
_TIME = 27  # characters of `moment`
LAST = "\U0010ffff"  # sorts after everything that follows a prefix


def run_key(run_id: str) -> Key:
    return f"run#{run_id}", HOT


def request_key(run_id: str, attempt: int, digest: str) -> Key:
    return f"run#{run_id}", f"request#{attempt}#{digest}"


def cold_key(run_id: str, digest: str) -> Key:
    return f"run#{run_id}", f"cold#{digest}"


def payload_key(run_id: str, digest: str) -> Key:
    return f"run#{run_id}", f"payload#{digest}"


def card_partition(deployment: str) -> str:
    return f"runs#{deployment}"


def card_key(run: FlowRun, digest: str | None) -> Key:
    return card_partition(run.deployment), f"{moment(run.scheduled_time, 'scheduled_time')}#{run.id}#{digest or ''}"


def roster_key(run: FlowRun) -> Key:
    return ROSTER, f"{_part(run.deployment)}#{_part(run.pool)}#{_part(run.queue)}"


def roster_parts(sort: str) -> list[str]:
    """Deployment, pool and queue."""
    return [_whole(part) for part in sort.split("#")]


def slot_partition(limit: str) -> str:
    return f"slot#{limit}"


def slot_key(slot: Slot) -> Key:
    return slot_partition(slot.limit), slot.name


def idempotency_key(deployment_id: str, key: str) -> Key:
    return f"key#{deployment_id}#{key}", "key"


def record_key(kind: str, key: str) -> Key:
    return f"record#{kind}", key


def child_key(kind: str, parent: str, key: str) -> Key:
    return f"child#{kind}#{parent}", key


def cursor_key(schedule_id: str) -> Key:
    return f"cursor#{schedule_id}", "cursor"


def owed_key(entry_id: str) -> Key:
    return f"owed#{entry_id}", "owed"


def budget_key(name: str) -> Key:
    return f"budget#{name}", "budget"


# the due index


def due_partition(pool: str, queue: str) -> str:
    return f"due#{_part(pool)}#{_part(queue)}"


def parked_partition(pool: str) -> str:
    return f"parked#{pool}"


def owed_partition(pool: str) -> str:
    return f"owed#{pool}"


def waiting(run: FlowRun) -> Key | None:
    """Where the due index has a run that waits; None for every other."""
    due = moment(run.due_at, "due_at")
    if run.state.type is not StateType.SCHEDULED:
        return None
    if run.parked:
        return parked_partition(run.pool), f"{run.deployment_id}#{due}#{run.id}"
    return due_partition(run.pool, run.queue), f"{due}#{run.id}#{run.deployment_id}"


def due_sort(sort: str) -> tuple[datetime, str, str]:
    """When it is due, and what follows: the run's id and its deployment's."""
    run_id, _, deployment_id = sort[_TIME + 1 :].partition("#")
    return instant(sort[:_TIME]), run_id, deployment_id


def parked_sort(sort: str) -> tuple[datetime, str, str]:
    """As `due_sort`."""
    deployment_id, _, rest = sort.partition("#")
    return instant(rest[:_TIME]), rest[_TIME + 1 :], deployment_id


def moment(at: datetime, what: str) -> str:
    """A time as text of one width that sorts by the instant. :raises InvalidInput: it has no timezone."""
    check_aware(at, what)
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def maybe_moment(at: datetime | None, what: str) -> str | None:
    return None if at is None else moment(at, what)


def instant(stored: str) -> datetime:
    return datetime.fromisoformat(stored)


def seconds(at: datetime | None, what: str) -> int | None:
    """For DynamoDB's expiry, which counts in seconds: never before the moment itself."""
    if at is None:
        return None
    check_aware(at, what)
    return math.ceil(at.timestamp())


def digest(*texts: str) -> str:
    """The same for the same texts: what is stored under it can be written twice, and never over anything else."""
    hashed = hashlib.sha256("\0".join(texts).encode()).digest()
    return base64.urlsafe_b64encode(hashed[:9]).decode()


def _part(name: str) -> str:
    return name.replace("%", "%25").replace("#", "%23")


def _whole(part: str) -> str:
    return part.replace("%23", "#").replace("%25", "%")


def page_key(kind: str, mark: str) -> str:
    """The key that a page of this kind ended with. :raises InvalidInput: no mark, or another listing's."""
    key: str = page_place(kind, mark, [str])[0]
    return key
