"""The far side of a proof: a cloud as it is seen from outside, and the hand of its containers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

CLOCK = "clock"  # the file, in the folder of a proof, in which its time stands


class Unsettled(Exception):
    """The cloud and what really runs did not come to the same in time; the message says where they differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One that was really started. `name` is its own: the instance that its runner would say.

    `began` and `ended` are the infrastructure's own times in seconds, of one clock; `ended` None: it is live. `is_up`:
    its command runs, so that it can speak.
    """

    name: str
    run_id: str
    attempt: int
    deployment: str
    token: str
    began: float
    ended: float | None
    is_up: bool


class Far(Protocol):
    """One life's part of a cloud. Nothing that another life has started is seen here."""

    @property
    def type(self) -> str:
        """The pool's type."""
        ...

    @property
    def settings(self) -> Mapping[str, str]:
        """What the adapter is told, in any process."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """What leads the adapter here, in any process's environment."""
        ...

    @property
    def template(self) -> Mapping[str, Any]:
        """The pool's base job template."""
        ...

    @property
    def variables(self) -> Mapping[str, Any]:
        """The pool's variables."""
        ...

    @property
    def faults(self) -> Sequence[str]:
        """What `fail_next` can bring about, of: throttled, denied, timeout, reply lost."""
        ...

    def job(self, deployment: str) -> Mapping[str, Any]:
        """What a deployment of that name says of its job: fields of its form, as `command` and `job_variables`."""
        ...

    def seconds(self) -> float:
        """Now, on the clock of `began` and `ended`."""
        ...

    def containers(self) -> list[Container]:
        """Every one that was ever started in this life, the oldest first."""
        ...

    def finish(self, name: str, exit_code: int) -> None:
        """The container's command exits."""
        ...

    def crash(self, name: str) -> None:
        """It is killed from outside, in this cloud's usual way of losing one."""
        ...

    def forget(self, name: str) -> None:
        """It is gone, and the cloud knows nothing of it any more."""
        ...

    def restarted(self) -> Collection[str]:
        """Names of containers that the cloud has started once more by itself, after a crash; nobody submitted them."""
        ...

    def take_events(self) -> list[Mapping[str, Any]]:
        """What the cloud has told since it was last asked, as a function receives it."""
        ...

    def fail_next(self, kind: str, *, times: int = 1) -> None:
        """The next submissions meet with that, one of `faults`; said before anybody talks to the cloud.

        `throttled`, `denied`: a definite no. `timeout`: no answer, no effect. `reply lost`: no answer, and the effect.
        """
        ...

    def settle(self) -> None:
        """Waits until what was accepted is up or has ended, and what was told to end has. :raises Unsettled:"""
        ...

    def left(self) -> list[str]:
        """What the cloud still keeps of this life and somebody has to remove: live, or ended and not cleaned up."""
        ...

    def close(self) -> None: ...


NewFar: TypeAlias = Callable[[], Far]
