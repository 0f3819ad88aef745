"""The API on a real socket: what a client sees of the server, and who gets a port."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from dispatcher import runner
from dispatcher.api_keys import Scope
from dispatcher.errors import Misconfigured
from dispatcher.http.server import AlreadyServed, LocalServer
from dispatcher.ports import Record
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.builders import admitted, make_run
from dispatcher.tokens import RunToken

Get = Callable[[str, str], Record | None]


@pytest.fixture
def bench() -> ApiBench:
    return ApiBench()


@pytest.fixture
def server(bench: ApiBench) -> Iterator[LocalServer]:
    server = LocalServer(bench.api, "127.0.0.1", 0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(bench: ApiBench, server: LocalServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {bench.keys[Scope.ADMIN]}"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
        yield client


def test_a_free_port_is_taken_and_told(server: LocalServer) -> None:
    assert server.port > 0
    assert httpx.get(f"http://127.0.0.1:{server.port}/v1/health", trust_env=False).status_code == 200


def test_a_request_passes_through_whole(bench: ApiBench, client: httpx.Client) -> None:
    bench.with_pool()

    made = client.put("/v1/deployments/%72eport", json={"pool": "local", "description": "grün"})
    listed = client.get("/v1/deployments", params={"pool": "local", "limit": 5})

    assert (made.status_code, made.json()["name"], made.json()["description"]) == (201, "report", "grün")
    assert [each["name"] for each in listed.json()["items"]] == ["report"]


def test_nothing_is_said_of_what_serves_it(client: httpx.Client) -> None:
    assert "server" not in client.get("/v1/health").headers


def test_a_connection_serves_several_requests(client: httpx.Client) -> None:
    client.get("/v1/work-pools/none")
    assert client.head("/v1/work-pools").headers["content-length"] != "0"
    assert client.get("/v1/work-pools").json() == {"items": [], "next": None}


def test_no_content_has_no_length(bench: ApiBench, client: httpx.Client) -> None:
    bench.with_pool()

    answer = client.delete("/v1/work-pools/local")

    assert answer.status_code == 204
    assert "content-length" not in answer.headers


@pytest.mark.parametrize(("code", "state"), [(0, "COMPLETED"), (3, "FAILED")])
def test_the_runner_and_the_server_understand_each_other(
    bench: ApiBench, server: LocalServer, code: int, state: str
) -> None:
    run = admitted(bench.store, make_run(parameters={"code": code}))
    token = bench.ring.sign(RunToken(run.id, 1, bench.clock.now() + timedelta(hours=1)), key_id=bench.ring.current)
    environment = {
        "PUSHPOOL_API_URL": server.url,
        "PUSHPOOL_RUN_ID": run.id,
        "PUSHPOOL_ATTEMPT": "1",
        "PUSHPOOL_RUN_TOKEN": token,
        "PUSHPOOL_SCHEDULED_TIME": "2020-01-01T00:00:00Z",
    }
    command = "import json, os, sys; print('hello'); sys.exit(json.loads(os.environ['PUSHPOOL_PARAMETERS'])['code'])"
    argv = [sys.executable, runner.__file__, "--", sys.executable, "-c", command]

    ended = subprocess.run(argv, env=environment, capture_output=True, timeout=60, check=False)

    stored = bench.store.get_run(run.id)
    assert stored is not None
    assert (ended.returncode, stored.state.type, stored.exit_code) == (code, state, code)
    assert stored.attempts[-1].log_tail == "hello\n"


@pytest.mark.parametrize("megabytes", [2, 10, 40])
def test_a_long_body_is_refused_in_an_answer_that_can_be_read(client: httpx.Client, megabytes: int) -> None:
    answer = client.put(
        "/v1/work-pools/x", content=b"x" * megabytes * 1_000_000, headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert client.get("/v1/health").status_code == 200


def test_a_body_may_come_in_chunks(bench: ApiBench, client: httpx.Client) -> None:
    bench.with_pool()

    answer = client.put(
        "/v1/deployments/d", content=iter([b'{"pool":', b'"local"}']), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 201


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v1/health HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"PUT /v1/work-pools/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_as_a_problem(server: LocalServer, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(sent)
        answer = b"".join(iter(lambda: wire.recv(65_536), b""))

    assert b" 4" in answer.split(b"\r\n")[0]
    assert b"application/problem+json" in answer


def test_many_are_answered_at_once(client: httpx.Client) -> None:
    def get(_: int) -> int:
        return client.get("/v1/health").status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(get, range(64))) == {200}


def test_headers_of_proxies_are_not_believed(bench: ApiBench, client: httpx.Client) -> None:
    answer = client.get("/v1/work-pools", headers={"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1"})

    assert answer.status_code == 200


def test_a_port_that_this_installation_serves_already_is_told_apart(bench: ApiBench, server: LocalServer) -> None:
    with pytest.raises(AlreadyServed, match=f":{server.port} is served by another pushpool"):
        LocalServer(bench.api, "127.0.0.1", server.port).start()


def test_a_port_of_another_installation_is_taken(server: LocalServer) -> None:
    with pytest.raises(Misconfigured, match=f"port {server.port} .* taken by something else; .*PUSHPOOL_PORT"):
        LocalServer(ApiBench().api, "127.0.0.1", server.port).start()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"SSH-2.0-x\r\n"])
def test_a_port_of_another_program_is_taken(bench: ApiBench, said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=_answer_once, args=(other, said))
        thread.start()
        with pytest.raises(Misconfigured, match="taken by something else"):
            LocalServer(bench.api, "127.0.0.1", other.getsockname()[1]).start()
        thread.join()


def _answer_once(listening: socket.socket, said: bytes) -> None:
    wire, _ = listening.accept()
    with wire:
        wire.recv(65_536)
        wire.sendall(said)


def test_an_address_of_another_machine_is_refused_by_name(bench: ApiBench) -> None:
    with pytest.raises(Misconfigured, match=r"192\.0\.2\.1"):
        LocalServer(bench.api, "192.0.2.1", 0).start()


def test_to_serve_beyond_this_machine_is_logged(bench: ApiBench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pushpool"):
        server = LocalServer(bench.api, "0.0.0.0", 0)
        server.start()
        server.stop()

    assert [record.getMessage() for record in caplog.records] == ["the API can be reached from other machines"]


def test_ipv6_is_served_too(bench: ApiBench) -> None:
    server = LocalServer(bench.api, "::1", 0)
    try:
        server.start()
    except Misconfigured:
        pytest.skip("this machine has no IPv6")
    try:
        assert httpx.get(f"{server.url}/v1/health", trust_env=False).status_code == 200
    finally:
        server.stop()


def test_stopping_answers_what_has_begun_and_frees_the_port(
    bench: ApiBench, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()
    monkeypatch.setattr(bench.store, "get", _slowly(bench.store.get, entered, release))
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(httpx.get, f"{server.url}/v1/health", trust_env=False)
        assert entered.wait(10)
        stopping = pool.submit(server.stop)
        release.set()
        stopping.result(10)
        assert asked.result(10).status_code == 200

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/v1/health", trust_env=False)


def _slowly(get: Get, entered: threading.Event, release: threading.Event) -> Get:
    def wait(kind: str, key: str) -> Record | None:
        entered.set()
        release.wait(10)
        return get(kind, key)

    return wait


def test_stopping_twice_or_before_the_start_is_no_error(bench: ApiBench, server: LocalServer) -> None:
    server.stop()
    server.stop()
    LocalServer(bench.api, "127.0.0.1", 0).stop()
