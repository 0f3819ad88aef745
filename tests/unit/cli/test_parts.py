"""The parts of the command line: the client, what is typed, how time is spoken."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dispatcher.cli import client, flow_runs, inputs, output, watching, work_pools, work_queues
from dispatcher.cli.client import Api
from dispatcher.cli.commands import Cli
from dispatcher.errors import PushpoolError
from dispatcher.forms import WorkPoolForm, WorkQueueForm

if TYPE_CHECKING:
    pass


def test_what_can_be_sent_back_of_a_view_is_what_its_form_takes() -> None:
    """Else a change of one field would reset another."""
    assert set(work_pools.FORM) == set(WorkPoolForm.model_fields)
    assert set(work_queues.FORM) == set(WorkQueueForm.model_fields)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("2 hours", 7200),
        ("1 day, 2 h", 93_600),
        ("1.5 min", 90),
        ("1w", 604_800),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """Numbers with units, one or several."""
    assert inputs.seconds(text, "--x") == seconds


SPOKEN = {0: "0 s", 0.44: "0.4 s", 5: "5 s", 59: "59 s", 65: "1 min 5 s", 300: "5 min", 3_700: "1 h 1 min"}
SPOKEN |= {90_000: "1 d 1 h", 864_000: "10 d"}


@pytest.mark.parametrize(("seconds", "spoken"), SPOKEN.items())
def test_durations_are_spoken(seconds: float, spoken: str) -> None:
    """The largest unit, and the next one where the number is small."""
    assert output.spoken(seconds) == spoken


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-11-22T12:03:00Z", "in 3 min (12:03:00 UTC)"),
        ("2026-11-22T12:00:00+02:00", "2 h ago (10:00:00 UTC)"),
        ("2026-11-22T12:00:00Z", "now (12:00:00 UTC)"),
        ("2026-11-21T12:00:00Z", "1 d ago (2026-11-21 12:00:00 UTC)"),
        (None, ""),
    ],
)
def test_times_are_told_from_now_and_in_utc(at: str | None, shown: str) -> None:
    """The date only where it is another than today's."""
    assert output.when(at, NOW) == shown


class Server:
    """Answers in turn what it was given, and notes what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.raw_path.decode()}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def api(self) -> Api:
        return Api(httpx.Client(base_url="http://there", transport=httpx.MockTransport(self)), "http://there", "a hint")


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept, which takes no time."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


BUSY = httpx.Response(503, json={"detail": "the store is busy"}, headers={"Retry-After": "1"})


def test_what_is_busy_is_asked_again(naps: list[float]) -> None:
    """As soon as it says; four times at most."""
    server = Server(BUSY, httpx.Response(200, json={"name": "p"}))

    assert server.api().get("work-pools", "p") == {"name": "p"}
    assert naps == [1.0]
    with pytest.raises(client.Refused, match="the store is busy"):
        Server(*[BUSY] * 4).api().put("work-pools", "p", body={})


def test_a_post_is_not_repeated_after_a_503(naps: list[float]) -> None:
    """It may have made a run; after a 429 it has not."""
    server = Server(BUSY)

    with pytest.raises(client.Refused):
        server.api().post("deployments", "d", "runs")

    assert len(server.asked) == 1
    assert Server(httpx.Response(429, json={}), httpx.Response(201, json={"id": "1"})).api().post("x") == {"id": "1"}


def test_names_are_quoted_and_pages_are_followed() -> None:
    """Whatever was typed stays one part of the path."""
    pages = ({"items": [{"n": 1}], "next": "a+b"}, {"items": [{"n": 2}], "next": None})
    server = Server(*(httpx.Response(200, json=page) for page in pages))

    found = list(server.api().every("work-pools", "a/../b ?c", "queues", limit=1, pool=None))

    assert found == [{"n": 1}, {"n": 2}]
    assert server.asked == [
        "GET /v1/work-pools/a%2F..%2Fb%20%3Fc/queues?limit=1",
        "GET /v1/work-pools/a%2F..%2Fb%20%3Fc/queues?limit=1&cursor=a%2Bb",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.ConnectError("refused"), "http://there cannot be reached (refused); is `pushpool serve` running?"),
        (httpx.ReadTimeout("late"), "http://there did not answer in time; is `pushpool serve` running?"),
        (httpx.RemoteProtocolError("odd"), "http://there: odd; is that the address of a pushpool API?"),
        (httpx.Response(502, text="<html>"), "http://there answered 502 Bad Gateway, not as a pushpool API does"),
        (httpx.Response(200, json=[]), "http://there answered 200 OK, not as a pushpool API does; check the URL"),
        (httpx.Response(401, json={"detail": "no key"}), "no key; a hint"),
        (httpx.Response(404, json={"detail": "no such thing", "errors": []}), "no such thing"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(answer: httpx.Response | Exception, said: str) -> None:
    """The address, and the way out."""
    with pytest.raises(PushpoolError) as caught:
        Server(answer).api().get("health")

    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_runs_are_cancelled_until_there_are_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    """The API takes so many at once."""
    pages = ({"cancelled": 500, "more": True}, {"cancelled": 7, "more": False})
    server = Server(*(httpx.Response(200, json=page) for page in pages))

    flow_runs.cancel(Cli(_api=[server.api()]), deployment="d", yes=True)

    assert server.asked == ["POST /v1/runs/cancel"] * 2
    assert capsys.readouterr().out == "507 runs cancelled or told to stop\n"


def a_run(state: str, **fields: Any) -> dict[str, Any]:
    name = {"SCHEDULED": "Scheduled", "RUNNING": "Running", "COMPLETED": "Completed"}[state]
    at = "2026-11-22T12:00:00Z"
    history = [{"type": state, "name": name, "at": at, "message": ""}]
    run = {"id": "1", "name": "r", "state_type": state, "state_name": name, "state_message": "", "history": history}
    return {**run, "waits_for": "", "started": at, "ended": at, "exit_code": 0, "log_tail": "", **fields}


def test_a_server_that_is_started_anew_is_waited_for(naps: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """Watching goes on where it was."""
    away = httpx.ConnectError("refused")
    server = Server(away, away, *(httpx.Response(200, json=a_run(state)) for state in ("RUNNING", "COMPLETED")))
    cli = Cli(_api=[server.api()])

    watching.watch_to_the_end(cli, a_run("SCHEDULED"), interval=1, timeout=None)

    said = capsys.readouterr().out
    assert [line.split()[1] for line in said.splitlines()] == ["Scheduled", "Running", "Completed", "Completed"]


def test_a_late_run_asks_whether_somebody_serves(naps: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """Else one would wait for ever, and not know why."""
    late = a_run("SCHEDULED", state_name="Late", waits_for="a pass is about to look at it")
    cli = Cli(_api=[Server(httpx.Response(200, json=a_run("COMPLETED"))).api()])

    watching.watch_to_the_end(cli, late, interval=1, timeout=None)

    hint = "waits: a pass is about to look at it; is `pushpool serve` or an agent running?"
    assert hint in capsys.readouterr().out


def test_a_late_run_that_waits_for_something_else_does_not(
    naps: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    late = a_run("SCHEDULED", state_name="Late", waits_for="work pool 'jobs' is paused")
    cli = Cli(_api=[Server(httpx.Response(200, json=a_run("COMPLETED"))).api()])

    watching.watch_to_the_end(cli, late, interval=1, timeout=None)

    said = capsys.readouterr().out
    assert "waits: work pool 'jobs' is paused" in said
    assert "an agent" not in said
