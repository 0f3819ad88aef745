"""Bugs to plant in dispatcher processes: a proof is only as good as what it finds.

Each takes away one thing on which a promise rests, in the process in which it is planted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from dispatcher import callbacks, outbox
from dispatcher.callbacks import StateWord
from dispatcher.context import Context
from dispatcher.ports import ActiveEntry, Admission, Event, Infrastructure, Move, Outcome, Store, Submission
from dispatcher.runs import FlowRun, Slot, amended
from dispatcher.tending import Tender
from dispatcher.testing.proof.promises import Promise
from dispatcher.tokens import RunToken


@dataclass(frozen=True, slots=True)
class Bug:
    """`plant` makes the context that has it. `trouble`: in which it shows; `broken`: the promise that it breaks."""

    plant: Callable[[Context], Context]
    broken: Promise
    trouble: str = "none"


class _Behind:
    """Whatever stands behind, but for what a bug overrides."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


class _Keeping(_Behind):
    """The end of an attempt frees the pool's slot alone."""

    def move(self, move: Move) -> None:
        if move.before.is_active and not move.after.is_active:
            move = replace(move, after=replace(move.after, slots=move.before.slots[1:]))
        self._behind.move(move)


class _Alone(_Behind):
    """Each process counts for itself: its slots have names of their own, and it sees no others."""

    def admit(self, admissions: Sequence[Admission]) -> None:
        self._behind.admit([replace(each, after=self._renamed(each.after)) for each in admissions])

    def active(self, pool: str) -> Sequence[ActiveEntry]:
        return [entry for entry in self._behind.active(pool) if entry.slot.name.endswith(f"-{os.getpid()}")]

    def held(self, limit: str) -> Mapping[str, str]:
        return {name: run for name, run in self._behind.held(limit).items() if name.endswith(f"-{os.getpid()}")}

    def _renamed(self, run: FlowRun) -> FlowRun:
        return replace(run, slots=tuple(Slot(slot.limit, f"{slot.name}-{os.getpid()}") for slot in run.slots))


class _Tokenless(_Behind):
    """What is sent again is sent under another name."""

    def submit(self, submission: Submission) -> Outcome:
        outcome: Outcome = self._behind.submit(replace(submission, submit_seq=uuid4().int % 10**6))
        return outcome


def _with_store(kind: Callable[[Store], Any]) -> Callable[[Context], Context]:
    return lambda context: replace(context, store=kind(context.store))


def _with_cloud(kind: Callable[[Infrastructure], Any]) -> Callable[[Context], Context]:
    return lambda context: replace(context, infrastructure=lambda name: kind(context.infrastructure(name)))


def _believing(context: Context) -> Context:
    """An end word counts, whoever says it."""
    really = callbacks._end  # noqa: SLF001 # a bug comes from inside

    def end(context: Context, run: FlowRun, token: RunToken, word: StateWord) -> Move | None:
        claimer = run.current.claimed_by if run.current is not None else None
        return really(context, run, token, replace(word, instance=claimer or word.instance))

    callbacks._end = end  # noqa: SLF001
    return context


def _credulous(context: Context) -> Context:
    """An event counts whichever attempt it is of."""
    really = callbacks.hear

    def hear(context: Context, infrastructure: Infrastructure, event: Event) -> FlowRun | None:
        run = context.store.get_run(event.run_id)
        if run is None or run.current is None:
            return None
        seen = replace(event.observation, handle=run.current.handle or event.observation.handle)
        return really(context, infrastructure, replace(event, attempt=run.attempt, submit_seq=None, observation=seen))

    callbacks.hear = hear
    return context


def _negligent(context: Context) -> Context:
    """Nobody looks after what is overdue."""
    setattr(Tender, "tend", lambda *_: False)  # noqa: B010 # for mypy it is a method, and final
    return context


def _untidy(context: Context) -> Context:
    """What is owed is not worked off."""
    setattr(outbox, "work_off", lambda *_, **__: False)  # noqa: B010
    return context


def _forgetful(context: Context) -> Context:
    """What has ended is not known to have ended: its container may go on."""
    really = callbacks._end  # noqa: SLF001

    def end(context: Context, run: FlowRun, token: RunToken, word: StateWord) -> Move | None:
        if run.is_final:
            return Move(run, amended(run, exit_code=word.exit_code))
        return really(context, run, token, word)

    callbacks._end = end  # noqa: SLF001
    return context


BUGS: Mapping[str, Bug] = {
    "each dispatcher counts for itself": Bug(_with_store(_Alone), Promise.LIMIT),
    "an end keeps slots": Bug(_with_store(_Keeping), Promise.LEAKED),
    "a repeat has another token": Bug(_with_cloud(_Tokenless), Promise.DOUBLED, "reply lost"),
    "anybody may tell of an end": Bug(_believing, Promise.LOST),
    "an event of any attempt counts": Bug(_credulous, Promise.LOST, "events doubled"),
    "a word after the end counts": Bug(_forgetful, Promise.STALE),
    "nobody looks after what is overdue": Bug(_negligent, Promise.LOST),
    "what is owed is not worked off": Bug(_untidy, Promise.LOST),
}
