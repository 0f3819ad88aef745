"""Telling webhooks: signed, to public addresses only, to the one that was checked, once, and nothing that is secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.deployments import Webhook
from dispatcher.errors import InvalidInput, Unreachable
from dispatcher.runs import Name
from dispatcher.testing.builders import NOW, make_run
from dispatcher.webhooks import check_url, message, send, signature

if TYPE_CHECKING:
    from tests.unit.conftest import Receiver

SECRET = "hush-hush-hush"


def hook(url: str, **changes: Any) -> Webhook:
    return Webhook(**{"url": url, "on": ("failed",), "allow_private": True, **changes})


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets names resolve to these addresses; returns the names that were asked for."""

    def resolve(*addresses: str) -> list[str]:
        asked: list[str] = []

        def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            if host.replace(".", "").isdecimal():
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return resolve


# what is sent


def test_a_webhook_receives_the_event_as_signed_json(receiver: Receiver) -> None:
    run = make_run(state=Name.FAILED)

    send(hook(f"{receiver.url}?x=1", secret=SECRET), message(run, "failed", NOW), NOW)

    [(path, headers, body)] = receiver.requests
    at, digest = (part.split("=")[1] for part in headers["X-Pushpool-Signature"].split(","))
    assert path == "/hook?x=1"
    assert json.loads(body)["event"] == "flow-run.failed"
    assert headers["Content-Type"] == "application/json"
    assert headers["Host"] == receiver.url.split("/")[2]
    assert at == str(int(NOW.timestamp()))
    assert digest == hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    send(hook(receiver.url), {}, NOW)

    assert "X-Pushpool-Signature" not in receiver.requests[0][1]


def test_a_signature_is_of_its_body_its_time_and_its_secret() -> None:
    signatures = {signature(SECRET, b"a", NOW), signature(SECRET, b"b", NOW), signature("other", b"a", NOW)}

    assert len(signatures) == 3
    assert signature(SECRET, b"a", NOW) in signatures


def test_the_message_says_what_became_of_the_run_and_nothing_that_may_be_secret() -> None:
    run = make_run(
        state=Name.CRASHED, parameters={"password": SECRET}, job_variables={"env": {"KEY": SECRET}},
        tags=("a",), exit_code=3, idempotency_key=SECRET,
    )  # fmt: skip

    said = message(run, "crashed", NOW)

    assert SECRET not in json.dumps(said)
    assert said["event"] == "flow-run.crashed"
    assert said["run"]["id"] == run.id
    assert (said["run"]["state"], said["run"]["exit_code"], said["run"]["tags"]) == ("Crashed", 3, ["a"])


def test_what_is_not_ascii_arrives_as_it_is(receiver: Receiver) -> None:
    send(hook(receiver.url), {"message": "Grüße ☃"}, NOW)

    assert json.loads(receiver.requests[0][2]) == {"message": "Grüße ☃"}


# what is answered


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_2xx_is_a_yes(receiver: Receiver, status: int) -> None:
    receiver.status = status

    send(hook(receiver.url), {}, NOW)

    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_whatever_else_is_a_no_for_now(receiver: Receiver, status: int) -> None:
    receiver.status = status

    with pytest.raises(Unreachable, match=f"answered {status}"):
        send(hook(receiver.url), {}, NOW)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.status, receiver.headers = status, {"Location": receiver.url + "/again"}

    with pytest.raises(Unreachable, match=f"answered {status}"):
        send(hook(receiver.url), {}, NOW)

    assert len(receiver.requests) == 1


def test_an_answer_without_end_is_not_waited_for(receiver: Receiver) -> None:
    receiver.is_endless = True

    send(hook(receiver.url), {}, NOW)

    assert len(receiver.requests) == 1


def test_nobody_there_is_a_no_for_now_that_names_the_host_only(receiver: Receiver) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/secret-path"

        with pytest.raises(Unreachable) as refusal:
            send(hook(url), {}, NOW)

    assert "127.0.0.1" in str(refusal.value)
    assert "secret-path" not in str(refusal.value)


# where it may go

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254",
    "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "224.0.0.1", "255.255.255.255",
    "::", "::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "::ffff:168.63.129.16", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
    "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_loopback_or_metadata_address_is_refused(address: str) -> None:
    host = f"[{address}]" if ":" in address else address

    with pytest.raises(InvalidInput, match="not a public address"):
        send(hook(f"https://{host}/x", allow_private=False), {}, NOW)


@pytest.mark.parametrize("address", PRIVATE)
def test_so_is_a_name_that_resolves_to_one(names: Callable[..., list[str]], address: str) -> None:
    names(address)

    with pytest.raises(InvalidInput, match="not a public address"):
        send(hook("https://hook.example/x", allow_private=False), {}, NOW)


def test_one_private_address_among_public_ones_is_enough_to_refuse(names: Callable[..., list[str]]) -> None:
    names("93.184.215.14", "10.0.0.1")

    with pytest.raises(InvalidInput, match=r"10\.0\.0\.1"):
        send(hook("https://hook.example/x", allow_private=False), {}, NOW)


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "127.1", "017700000001"])
def test_other_ways_to_write_loopback_are_loopback(host: str) -> None:
    with pytest.raises((InvalidInput, Unreachable), match=r"not a public address|no such host"):
        send(hook(f"https://{host}/x", allow_private=False), {}, NOW)


def test_it_goes_to_the_address_that_was_checked_under_its_own_name(
    receiver: Receiver, names: Callable[..., list[str]]
) -> None:
    """The name is resolved once: whoever answers differently the second time is not asked."""
    asked = names("127.0.0.1")
    port = receiver.url.split(":")[2].split("/")[0]

    send(hook(f"http://hook.example:{port}/x"), {}, NOW)

    assert asked.count("hook.example") == 1
    assert receiver.requests[0][1]["Host"] == f"hook.example:{port}"


def test_a_name_beyond_ascii_is_reached_under_its_encoded_one(
    receiver: Receiver, names: Callable[..., list[str]]
) -> None:
    names("127.0.0.1")
    port = receiver.url.split(":")[2].split("/")[0]

    send(hook(f"http://bücher.example:{port}/x"), {}, NOW)

    assert receiver.requests[0][1]["Host"] == f"xn--bcher-kva.example:{port}"


def test_an_ipv6_address_is_reached(receiver_on_ipv6: Receiver) -> None:
    send(hook(receiver_on_ipv6.url), {}, NOW)

    assert receiver_on_ipv6.requests[0][1]["Host"] == receiver_on_ipv6.url.split("/")[2]


def test_a_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    send(hook(receiver.url), {}, NOW)

    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "https://", "example.com", "",
        "https:///x", "https://user:password@example.com/", "https://user@example.com/", "https://example.com:99999/",
        "https://[::1/", "javascript:alert(1)", "https://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/",
    ],
)  # fmt: skip
def test_an_address_that_is_never_allowed_is_refused_when_it_is_registered_and_when_it_is_used(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(url, allow_private=False)
    with pytest.raises(InvalidInput):
        send(hook(url, allow_private=False), {}, NOW)


def test_plain_http_is_allowed_within_ones_own_network_only() -> None:
    check_url("http://hooks.internal/x", allow_private=True)
    with pytest.raises(InvalidInput):
        check_url("http://hooks.internal/x", allow_private=False)
    with pytest.raises(InvalidInput):
        check_url("ftp://hooks.internal/x", allow_private=True)


@pytest.mark.parametrize(
    "url", ["https://exa mple.com/", "https://a..b/", f"https://{'a' * 70}.example/", "https://\x00/"]
)
def test_a_name_that_cannot_be_one_is_an_error_of_ours_and_not_of_python(url: str) -> None:
    with pytest.raises((InvalidInput, Unreachable)):
        send(hook(url), {}, NOW)
