"""What the local issuer and the local Pub/Sub must do: Google's own verifier is the judge of tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google.auth import exceptions
from google.auth.transport.requests import Request
from google.oauth2 import id_token

from dispatcher.testing.servers.google.project import GoogleProject, google_project
from dispatcher.testing.servers.google.receiver import Receiver, receiver

Json = dict[str, Any]
AUDIENCE, EMAIL = "https://events.example", "invoker@example"


@pytest.fixture(scope="module")
def google_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleProject]:
    with google_project(tmp_path_factory.mktemp("google")) as made:
        yield made


@pytest.fixture
def function() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def verified(google_cloud: GoogleProject, token: str) -> Json:
    url = google_cloud.issuer.certs_url
    return dict(id_token.verify_token(token, Request(), AUDIENCE, certs_url=url, clock_skew_in_seconds=0))


def test_a_token_is_as_googles(google_cloud: GoogleProject) -> None:
    claims = verified(google_cloud, google_cloud.token(AUDIENCE, email=EMAIL))

    assert (claims["iss"], claims["email"], claims["email_verified"]) == ("https://accounts.google.com", EMAIL, True)
    assert claims["exp"] - claims["iat"] == 3600


def test_those_that_are_over_or_of_another_or_forged_are_not(google_cloud: GoogleProject) -> None:
    for token in (
        google_cloud.token(AUDIENCE, seconds=-10),
        google_cloud.token("https://other.example"),
        google_cloud.issuer.forged(audience=AUDIENCE, email=EMAIL),
    ):
        with pytest.raises(exceptions.GoogleAuthError):
            verified(google_cloud, token)


def test_after_a_rotation_the_new_key_counts_and_not_the_old(google_cloud: GoogleProject) -> None:
    old = google_cloud.token(AUDIENCE)
    google_cloud.issuer.rotate()

    assert verified(google_cloud, google_cloud.token(AUDIENCE))
    with pytest.raises(exceptions.GoogleAuthError, match="not found"):
        verified(google_cloud, old)


def entry(**labels: str) -> Json:
    name = "projects/p/logs/cloudaudit.googleapis.com%2Fsystem_event"
    return {"logName": name, "protoPayload": {"response": {"metadata": {"labels": labels}}}}


def unwrapped(body: bytes) -> Json:
    found: Json = json.loads(base64.b64decode(json.loads(body)["message"]["data"]))
    return found


def test_an_entry_that_is_ours_is_pushed_and_no_other(google_cloud: GoogleProject, function: Receiver) -> None:
    made = google_cloud.push_events_to(function.url, audience=AUDIENCE)
    ours = entry(**{"managed-by": "pushpool"})

    made.hear(entry(**{"managed-by": "somebody"}))
    made.hear(entry())
    made.hear({**ours, "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity"})
    made.hear(ours)

    assert made.courier.settled()
    (heard,) = function.heard
    assert unwrapped(heard.body) == ours
    assert verified(google_cloud, heard.headers["authorization"].removeprefix("Bearer "))


def test_what_is_not_taken_is_pushed_again_until_it_is_given_up(
    google_cloud: GoogleProject, function: Receiver
) -> None:
    made = google_cloud.push_events_to(function.url, most_tries=3)
    function.answers.extend([503, 403, 204, 500, 500, 500])

    taken, lost = made.push(b"{}"), ""
    assert made.courier.settled()
    lost = made.push(b"{}")
    assert made.courier.settled()

    assert [each.name for each in made.courier.tries] == [taken] * 3 + [lost] * 3
    assert made.courier.undelivered == [lost]


def test_what_cloud_run_tells_of_a_job_comes_as_a_push(google_cloud: GoogleProject, function: Receiver) -> None:
    google_cloud.push_events_to(function.url)
    jobs = google_cloud.cloud_run.client("JobsClient")
    labels = {"managed-by": "pushpool"}
    container = {"image": google_cloud.cloud_run.image, "command": ["true"]}
    job = {
        "labels": labels,
        "template": {"labels": labels, "template": {"containers": [container], "max_retries": 0}},
        "start_execution_token": "run",
    }
    parent = f"projects/{google_cloud.id}/locations/{google_cloud.cloud_run.region}"
    jobs.create_job({"parent": parent, "job_id": "one", "job": job}, retry=None)

    function.wait_for(2)

    resources = {unwrapped(heard.body)["protoPayload"]["resourceName"] for heard in function.heard}
    assert any(each.endswith("/executions/one-run") for each in resources)
