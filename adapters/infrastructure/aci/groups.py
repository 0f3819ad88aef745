"""A container group, as GET answers, in the words of the core. Pure.

What the main container is at decides: `provisioningState` tells of the group's making, and one that failed there "can
still start later" ("Container states"). Its instance view is in the answer for one group, and in no list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.failures import told
from adapters.infrastructure.aci import reasons
from adapters.infrastructure.aci.places import CONTAINER
from adapters.infrastructure.aci.reasons import Diagnosis
from dispatcher.ports import Cause, Observation, Phase

SENT_AWAY = 75  # by the runner: of another container than the one that claimed the attempt
_KILLS = (137, 143)  # SIGKILL and SIGTERM
_NOT_BEGUN = (126, 127, 128)
_MAINTENANCE = (7147, 7148)  # "Azure container group intermittently restarts"

Json = Mapping[str, Any]


def observation(group: Json, handle: str) -> Observation:
    """Azure's word on one container group."""
    current = _part(_container(group), "currentState")
    state = _word(current.get("state"))
    if state == "terminated" and not _is_settling(group):
        return _ended(group, handle)
    if state in ("running", "terminated"):
        return Observation(phase=Phase.RUNNING, handle=handle, started=_time(current.get("startTime")))
    if _group_state(group) == "stopped":
        return Observation(phase=Phase.STOPPED, handle=handle, cause=Cause.STOPPED, message=reasons.STOPPED.says)
    return _pending(group, handle)


def is_over(group: Json) -> bool:
    """Whether there is nothing left to stop."""
    return observation(group, "").phase is Phase.STOPPED


def is_begun(group: Json) -> bool:
    """Whether its container runs or has run: a stop keeps what it wrote."""
    container = _container(group)
    has_begun = _word(_part(container, "currentState").get("state")) in ("running", "terminated")
    return has_begun or bool(container.get("restartCount"))


def _is_settling(group: Json) -> bool:
    """Whether a killed container's group has not ended yet: only then it says whether somebody asked for that.

    A container beside the main one may keep it going.
    """
    current = _part(_container(group), "currentState")
    killed = current.get("exitCode") in _KILLS and not _is_out_of_memory(current)
    alone = len(_list(_part(group, "properties").get("containers"))) == 1
    return killed and alone and _group_state(group) in ("pending", "running")


def _ended(group: Json, handle: str) -> Observation:
    last = _own(_container(group))
    exit_code = _exit_code(last)
    diagnosis = _why(group, last, exit_code)
    is_its_own = diagnosis.cause in (Cause.EXITED, Cause.KILLED)
    return Observation(
        phase=Phase.STOPPED,
        handle=handle,
        exit_code=exit_code if is_its_own else None,
        cause=diagnosis.cause,
        message=_message("" if diagnosis.cause is Cause.EXITED else _said(group), diagnosis),
        started=_time(last.get("startTime")),
        ended=_time(last.get("finishTime")),
    )


def _own(container: Json) -> Json:
    """The end that is the attempt's own.

    The platform may start a container again that has failed, though told never to; the runner sends that one away.
    """
    current, previous = _part(container, "currentState"), _part(container, "previousState")
    was_sent_away = container.get("restartCount") and current.get("exitCode") == SENT_AWAY
    return previous if was_sent_away and _word(previous.get("state")) == "terminated" else current


def _why(group: Json, last: Json, exit_code: int | None) -> Diagnosis:
    if _is_out_of_memory(last):
        return reasons.OUT_OF_MEMORY
    if exit_code is None or exit_code in _KILLS:
        return _of_kill(group, last, exit_code)
    if _group_state(group) == "stopped" and not (exit_code == 0 and _word(last.get("detailStatus")) == "completed"):
        return reasons.STOPPED
    if exit_code in _NOT_BEGUN and any(map(reasons.is_no_start, _warnings(group))):
        return reasons.NO_START
    return reasons.by_exit_code(exit_code)


def _of_kill(group: Json, last: Json, exit_code: int | None) -> Diagnosis:
    """By a signal that may have been the platform's, or somebody's who stopped the group."""
    if any(map(reasons.is_eviction, [str(last.get("detailStatus") or ""), *_told(group)])):
        return reasons.TAKEN_BACK
    if _is_moved(group, last):
        return reasons.MOVED
    if _group_state(group) == "stopped":
        return reasons.STOPPED
    return reasons.CUT_OFF if exit_code is None else reasons.by_exit_code(exit_code)


def _is_moved(group: Json, last: Json) -> bool:
    """Whether the platform ended it and started it again, as it does with Spot containers ("Eviction policies")."""
    if last is not _part(_container(group), "previousState"):
        return False
    if _exit_code(last) in _MAINTENANCE:
        return True
    is_spot = _word(_part(group, "properties").get("priority")) == "spot"
    is_told = any(each.startswith("Killing") for each in _told(group))
    return _exit_code(last) in _KILLS and not _is_out_of_memory(last) and (is_spot or is_told)


def _pending(group: Json, handle: str) -> Observation:
    """One that Azure has given up, or whose image is not to be had, is told of as such: it is to be deleted."""
    previous = _part(_container(group), "previousState")
    if _is_moved(group, previous):
        cause, message = Cause.INFRASTRUCTURE, reasons.MOVED.says
        return Observation(phase=Phase.PENDING, handle=handle, cause=cause, message=message)
    found = reasons.by_message(" ".join([_waits_for(group), *_warnings(group)]))
    if _word(_part(group, "properties").get("provisioningState")) in ("failed", "unhealthy"):
        found = found or reasons.NOT_PROVISIONED
    elif found is None or not found.hopeless:
        return Observation(phase=Phase.PENDING, handle=handle)
    return Observation(phase=Phase.PENDING, handle=handle, cause=found.cause, message=_message(_said(group), found))


def _waits_for(group: Json) -> str:
    return str(_part(_container(group), "currentState").get("detailStatus") or "")


def _said(group: Json) -> str:
    """Azure's words, each once."""
    return "; ".join(dict.fromkeys(_warnings(group)))


def _warnings(group: Json) -> Iterator[str]:
    """What is no reason for anything is left out."""
    return (_spelled(event) for event in _events(group) if _word(event.get("type")) != "normal")


def _told(group: Json) -> Iterator[str]:
    return map(_spelled, _events(group))


def _events(group: Json) -> Iterator[Json]:
    """Of the group and of its main container."""
    for view in (_part(group, "properties", "instanceView"), _container(group)):
        yield from _list(view.get("events"))


def _spelled(event: Json) -> str:
    name, message = str(event.get("name") or "").rstrip("."), " ".join(str(event.get("message") or "").split())
    return f"{name}: {message}" if name else message


def _exit_code(state: Json) -> int | None:
    code = state.get("exitCode")
    return code if isinstance(code, int) else None


def _is_out_of_memory(state: Json) -> bool:
    return "oom" in _word(state.get("detailStatus"))


def _container(group: Json) -> Json:
    """The main one's instance view."""
    containers = _list(_part(group, "properties").get("containers"))
    main = next((each for each in containers if each.get("name") == CONTAINER), containers[0] if containers else {})
    return _part(main, "properties", "instanceView")


def _group_state(group: Json) -> str:
    return _word(_part(group, "properties", "instanceView").get("state"))


def _message(said: str, diagnosis: Diagnosis) -> str:
    """One line: what it was, in Azure's words too where they say more, and what to do."""
    return told(diagnosis.says, said.rstrip("."), diagnosis.advice)


def _part(whole: Json, *keys: str) -> Json:
    for key in keys:
        part = whole.get(key)
        if not isinstance(part, Mapping):
            return {}
        whole = part
    return whole


def _list(value: object) -> list[Json]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _word(value: object) -> str:
    return str(value or "").lower()


def _time(value: object) -> datetime | None:
    """Azure writes seven digits of a second's fraction; here six count."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and value else None
    except ValueError:
        return None
    if found is None:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
