"""Every error that pushpool raises on purpose, split by what the caller does next.

PushpoolError
├── InvalidInput            change the request                       (HTTP 422)
│   ├── TemplateError         the base job template or an override
│   ├── ScheduleError         a cron, interval, rrule or timezone
│   └── TooLarge              over one of the limits of size         (HTTP 413)
├── NotFound                name something that exists               (HTTP 404)
├── Conflict                look again, then decide                  (HTTP 409)
│   ├── RunChanged            the run is not as it was read
│   ├── RecordChanged         the catalogue record is not as it was read
│   ├── IllegalMove           the state table has no such move
│   └── AdmissionRefused      a slot was taken or a run had changed
├── Unauthorized            bring a valid key or token               (HTTP 401)
├── Forbidden               bring a key with the scope               (HTTP 403)
├── Unreachable             the cloud did not answer: try again later
├── StoreUnavailable        busy or throttled: try again later       (HTTP 503)
└── Misconfigured           change the installation
    ├── StoreUnusable         read-only, full, or of a newer version
    ├── SecretsUnavailable    no secret at all can be read
    └── AdapterUnavailable    an extra is missing, or the type is unknown
"""

from __future__ import annotations

from collections.abc import Collection


class PushpoolError(Exception):
    """The base of all of them; its text is one line that may be shown to anyone."""


class InvalidInput(PushpoolError):
    """The message names the thing, the value and the way out; `path` says where it stands, if that is known."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class TemplateError(InvalidInput, ValueError):
    """A base job template, or an override of its variables, that cannot be used. Prefect raises ValueError here."""


class ScheduleError(InvalidInput):
    """A schedule whose dates cannot be told."""


class TooLarge(InvalidInput):
    """Something is over its limit of size; the message says the limit."""


class NotFound(PushpoolError):
    """Nothing has that name."""


class Conflict(PushpoolError):
    """True a moment ago, or never: the state of things does not allow it."""


class RunChanged(Conflict):
    """The run is no longer as it was read; the write was not made."""


class RecordChanged(Conflict):
    """The record is no longer as it was read; the write was not made."""


class IllegalMove(Conflict):
    """The state table does not allow this move, or not to this actor."""


class AdmissionRefused(Conflict):
    """Nothing of the batch was admitted; says which slot names were taken and which runs had changed."""

    def __init__(self, *, taken: Collection[object] = (), changed: Collection[str] = ()) -> None:
        super().__init__(f"admission refused: {len(taken)} slots taken, {len(changed)} runs changed")
        self.taken = frozenset(taken)
        self.changed = frozenset(changed)


class Unauthorized(PushpoolError):
    """No key or token, or one that is forged, expired or revoked. Never says which."""


class Forbidden(PushpoolError):
    """The key is good, and lacks the scope."""


class Unreachable(PushpoolError):
    """A cloud call other than a submission got no answer; nothing is known."""


class StoreUnavailable(PushpoolError):
    """The store is busy, throttled or out of reach; the same call may succeed later."""


class Misconfigured(PushpoolError):
    """The installation must be changed by a person."""


class StoreUnusable(Misconfigured):
    """The store cannot be used as it is: read-only, full, not ours, or written by a newer version."""


class SecretsUnavailable(Misconfigured):
    """The installation's secrets cannot be read as things are: whichever is asked for."""


class AdapterUnavailable(Misconfigured):
    """No adapter of that type, or its extra is not installed."""
