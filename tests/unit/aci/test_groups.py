"""What a container group that Azure describes means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.failures import LONGEST_MESSAGE
from adapters.infrastructure.aci import groups, reasons
from dispatcher.ports import Cause, Observation, Phase

HANDLE = "/subscriptions/s/resourceGroups/jobs/providers/Microsoft.ContainerInstance/containerGroups/pushpool-1"
STARTED, ENDED = "2026-11-22T10:00:00.1234567Z", "2026-11-22T10:05:00Z"
LACKS = "The requested resource is not available in the location 'westeurope' at this moment."
NO_PULL = 'Failed to pull image "etl:1": rpc error: code = NotFound: manifest unknown'

Json = dict[str, Any]


def ended(code: int | None, detail: str = "Error") -> Json:
    told = {} if code is None else {"exitCode": code}
    return {"state": "Terminated", "startTime": STARTED, "finishTime": ENDED, "detailStatus": detail, **told}


RUNNING: Json = {"state": "Running", "startTime": STARTED, "detailStatus": ""}
WAITING: Json = {"state": "Waiting", "detailStatus": ""}


def warning(name: str, message: str, kind: str = "Warning") -> Json:
    return {"count": 1, "name": name, "message": message, "type": kind}


def described(
    current: Json | None = None,
    *,
    previous: Json | None = None,
    restarts: int = 0,
    state: str = "Failed",
    provisioning: str = "Succeeded",
    events: tuple[Json, ...] = (),
    priority: str = "Regular",
    beside: int = 0,
) -> Json:
    view = {"restartCount": restarts, "currentState": current, "previousState": previous, "events": list(events)}
    main = {"name": "run", "properties": {"image": "etl:1", "instanceView": view if current else None}}
    others = [{"name": f"other-{number}", "properties": {}} for number in range(beside)]
    return {
        "id": HANDLE,
        "properties": {
            "provisioningState": provisioning,
            "priority": priority,
            "instanceView": {"state": state, "events": []},
            "containers": [*others, main],
        },
    }


def seen(**keys: Any) -> Observation:
    return groups.observation(described(**keys), HANDLE)


ENDS: list[tuple[str, Json, Cause, int | None, str]] = [
    ("done", {"current": ended(0, "Completed"), "state": "Succeeded"}, Cause.EXITED, 0, ""),
    ("its own failure", {"current": ended(3)}, Cause.EXITED, 3, ""),
    ("no such command", {"current": ended(127)}, Cause.EXITED, 127, "PATH"),
    (
        "never begun",
        {"current": ended(127), "events": (warning("Failed", "Error: Failed to start container."),)},
        Cause.REFUSED,
        None,
        "start container; check the command and `entrypoint`, and that the image has pushpool-run",
    ),
    ("out of memory", {"current": ended(137, "OOMKilled")}, Cause.KILLED, 137, "give it more"),
    ("killed", {"current": ended(137)}, Cause.KILLED, 137, "SIGKILL"),
    ("crashed", {"current": ended(139)}, Cause.KILLED, 139, "SIGSEGV"),
    ("another signal", {"current": ended(130)}, Cause.KILLED, 130, "signal 2"),
    ("stopped", {"current": ended(143), "state": "Stopped"}, Cause.STOPPED, None, "on request"),
    ("stopped, and it failed", {"current": ended(1), "state": "Stopped"}, Cause.STOPPED, None, "on request"),
    ("done before the stop", {"current": ended(0, "Completed"), "state": "Stopped"}, Cause.EXITED, 0, ""),
    ("maintenance", {"current": ended(7147)}, Cause.INFRASTRUCTURE, None, "maintenance"),
    (
        "evicted",
        {"current": ended(137), "events": (warning("Preempted", "Spot node was evicted"),)},
        Cause.INFRASTRUCTURE,
        None,
        "Spot",
    ),
    ("cut off", {"current": ended(None, "")}, Cause.INFRASTRUCTURE, None, "cut off"),
    (
        "an old warning is no reason",
        {"current": ended(3), "events": (warning("Failed", NO_PULL),)},
        Cause.EXITED,
        3,
        "",
    ),
    ("started again", {"current": ended(75), "previous": ended(3), "restarts": 1}, Cause.EXITED, 3, ""),
    (
        "started again after it was killed",
        {"current": ended(75), "previous": ended(137), "restarts": 1, "priority": "Spot"},
        Cause.INFRASTRUCTURE,
        None,
        "another machine",
    ),
    (
        "started again after its memory ran out",
        {"current": ended(75), "previous": ended(137, "OOMKilled"), "restarts": 1, "priority": "Spot"},
        Cause.KILLED,
        137,
        "out of memory",
    ),
    ("sent away at once", {"current": ended(75)}, Cause.EXITED, 75, ""),
    (
        "started again, and it was welcome",
        {"current": ended(3), "previous": ended(75), "restarts": 1},
        Cause.EXITED,
        3,
        "",
    ),
]


@pytest.mark.parametrize(("keys", "cause", "code", "words"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_of_each_end_it_is_said_whose_it_was(keys: Json, cause: Cause, code: int | None, words: str) -> None:
    found = seen(**keys)

    assert (found.phase, found.cause, found.exit_code) == (Phase.STOPPED, cause, code)
    assert words in found.message
    assert found.handle == HANDLE


def test_an_end_has_its_own_times() -> None:
    again = {**ended(75), "startTime": "2026-11-22T11:00:00Z"}

    found = seen(current=again, previous=ended(3), restarts=1)

    assert found.started == datetime(2026, 11, 22, 10, 0, 0, 123456, UTC)
    assert found.ended == datetime(2026, 11, 22, 10, 5, tzinfo=UTC)


GIVEN_UP: list[tuple[str, Json, Cause | None, str]] = [
    ("waits", {"current": WAITING, "provisioning": "Creating"}, None, ""),
    ("nothing is told yet", {"provisioning": "Pending"}, None, ""),
    ("is deleted", {"current": WAITING, "provisioning": "Deleting"}, None, ""),
    ("no reason", {"current": WAITING, "provisioning": "Failed"}, Cause.INFRASTRUCTURE, "could not provision"),
    (
        "no capacity",
        {"current": WAITING, "provisioning": "Failed", "events": (warning("InsufficientCapacity.", LACKS),)},
        Cause.INFRASTRUCTURE,
        "other_regions",
    ),
    ("node lost", {"current": WAITING, "provisioning": "Unhealthy"}, Cause.INFRASTRUCTURE, "could not provision"),
    ("no image", {"current": WAITING, "events": (warning("Failed", NO_PULL),)}, Cause.REFUSED, "AcrPull"),
    (
        "an image that is pulled yet",
        {"current": WAITING, "events": (warning("Pulling", NO_PULL, "Normal"),)},
        None,
        "",
    ),
    (
        "a volume that may be had yet",
        {"current": WAITING, "events": (warning("Failed", "failed to mount volume share"),)},
        None,
        "",
    ),
    (
        "a volume that is not to be had",
        {
            "current": WAITING,
            "provisioning": "Failed",
            "events": (warning("Failed", "failed to mount volume share"),),
        },
        Cause.REFUSED,
        "key",
    ),
    (
        "moved",
        {"current": WAITING, "previous": ended(7148), "restarts": 1},
        Cause.INFRASTRUCTURE,
        "another machine",
    ),
    ("tried again", {"current": WAITING, "previous": ended(3), "restarts": 1}, None, ""),
]


@pytest.mark.parametrize(("keys", "cause", "words"), [row[1:] for row in GIVEN_UP], ids=[row[0] for row in GIVEN_UP])
def test_what_does_not_run_waits_or_is_given_up(keys: Json, cause: Cause | None, words: str) -> None:
    found = seen(**{"state": "Pending", **keys})

    assert (found.phase, found.cause) == (Phase.PENDING, cause)
    assert words in found.message
    assert (found.exit_code, found.ended) == (None, None)


@pytest.mark.parametrize("provisioning", ["Succeeded", "Failed", "Unhealthy", "Deleting"])
def test_what_runs_runs_whatever_becomes_of_its_group(provisioning: str) -> None:
    found = seen(current=RUNNING, state="Running", provisioning=provisioning)

    assert (found.phase, found.cause, found.ended) == (Phase.RUNNING, None, None)
    assert found.started is not None


def test_a_killed_one_runs_until_its_group_says_whether_that_was_asked_for() -> None:
    assert seen(current=ended(143), state="Running").phase is Phase.RUNNING
    assert seen(current=ended(143), state="Running", beside=1).phase is Phase.STOPPED
    assert seen(current=ended(137, "OOMKilled"), state="Running").phase is Phase.STOPPED


def test_one_that_was_stopped_before_it_began_was_stopped() -> None:
    found = seen(current=WAITING, state="Stopped")

    assert (found.phase, found.cause) == (Phase.STOPPED, Cause.STOPPED)


@pytest.mark.parametrize(
    ("keys", "begun", "over"),
    [
        ({"current": RUNNING, "state": "Running"}, True, False),
        ({"current": WAITING, "state": "Pending"}, False, False),
        ({"current": WAITING, "state": "Pending", "restarts": 1, "previous": ended(3)}, True, False),
        ({"current": ended(143), "state": "Running"}, True, False),
        ({"current": ended(0, "Completed"), "state": "Succeeded"}, True, True),
    ],
)
def test_what_has_begun_is_stopped_and_what_is_over_is_left(keys: Json, begun: bool, over: bool) -> None:
    group = described(**keys)

    assert (groups.is_begun(group), groups.is_over(group)) == (begun, over)


@pytest.mark.parametrize("group", [{}, {"properties": None}, {"properties": {"containers": [{"name": "x"}]}}])
def test_of_what_says_nothing_nothing_is_known(group: Json) -> None:
    assert groups.observation(group, HANDLE) == Observation(phase=Phase.PENDING, handle=HANDLE)


def test_a_message_is_one_line_that_keeps_the_advice() -> None:
    found = seen(
        current=WAITING,
        state="Pending",
        provisioning="Failed",
        events=(warning("Failed", f"{LACKS}\n{'x' * 2000}"),),
    )

    assert len(found.message) == LONGEST_MESSAGE
    assert found.message.endswith(f"…; {reasons.CAPACITY_ADVICE}")
    assert "\n" not in found.message
