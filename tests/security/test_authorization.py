"""Who is let in where: every route with every kind of credential."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from dispatcher import api_keys
from dispatcher.api_keys import Scope
from dispatcher.http.routes import ROUTES, Access, Route
from dispatcher.testing.api_bench import ApiBench
from dispatcher.testing.builders import admitted, make_run
from dispatcher.tokens import KeyRing, RunToken

Credential = Callable[[ApiBench], str | None]
RUN = "00000000-0000-4000-8000-000000000001"
NAMES = {"run": RUN, "type": "process"}


@pytest.fixture
def bench() -> ApiBench:
    bench = ApiBench()
    admitted(bench.store, make_run(id=RUN))
    return bench


def _token(bench: ApiBench, ring: KeyRing, scope: str = "callback", life: timedelta = timedelta(hours=1)) -> str:
    return ring.sign(RunToken(RUN, 1, bench.clock.now() + life, scope), key_id=ring.current)


def _revoked(bench: ApiBench) -> str:
    key = bench.new_key(Scope.ADMIN)
    api_keys.revoke(bench.store, key.split("_")[1], now=bench.clock.now())
    return key


def _expired(bench: ApiBench) -> str:
    key = bench.new_key(Scope.ADMIN, expires=bench.clock.now() + timedelta(minutes=1))
    bench.clock.move(timedelta(minutes=1))
    return key


def _of_another_installation(bench: ApiBench) -> str:
    return ApiBench().keys[Scope.ADMIN]


def _with_another_secret(bench: ApiBench) -> str:
    return "_".join([*bench.keys[Scope.ADMIN].split("_")[:2], "x" * 43])


CREDENTIALS: dict[str, Credential] = {
    "nothing": lambda bench: None,
    "an empty one": lambda bench: " ",
    "a read key": lambda bench: bench.keys[Scope.READ],
    "a run key": lambda bench: bench.keys[Scope.RUN],
    "an admin key": lambda bench: bench.keys[Scope.ADMIN],
    "a revoked admin key": _revoked,
    "an expired admin key": _expired,
    "an admin key of another installation": _of_another_installation,
    "an admin key with another secret": _with_another_secret,
    "a run token": lambda bench: _token(bench, bench.ring),
    "a run token of another installation": lambda bench: _token(bench, KeyRing.generate()),
    "a run token of another scope": lambda bench: _token(bench, bench.ring, "read"),
    "an expired run token": lambda bench: _token(bench, bench.ring, life=timedelta(0)),
    "a run token whose signing key was revoked": lambda bench: _token(bench, KeyRing({"k0": b"0" * 32}, "k0")),
    "a run token under another key's name": lambda bench: _token(bench, KeyRing({bench.ring.current: b"0" * 32}, "k1")),
}
SCOPES = {"a read key": Scope.READ, "a run key": Scope.RUN, "an admin key": Scope.ADMIN}
HOLDS = {
    Scope.READ: {Scope.READ},
    Scope.RUN: {Scope.READ, Scope.RUN},
    Scope.ADMIN: {Scope.READ, Scope.RUN, Scope.ADMIN},
}


def _refusal(route: Route, credential: str) -> int | None:
    """The status of the refusal; None: it is let in."""
    if route.access is Access.ANYBODY:
        return None
    if route.access is Access.RUN_TOKEN:
        return None if credential == "a run token" else 401
    scope = SCOPES.get(credential)
    if scope is None:
        return 401
    return None if route.access in HOLDS[scope] else 403


def _path(route: Route) -> str:
    parts = route.path.split("/")
    return "/".join(NAMES.get(part[1:-1], "none") if part.startswith("{") else part for part in parts)


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_lets_in_whom_its_table_says(bench: ApiBench, route: Route, credential: str) -> None:
    key = CREDENTIALS[credential](bench)
    before = bench.contents()

    answer = bench.call(route.method, _path(route), key=key)

    refusal = _refusal(route, credential)
    if refusal is None:
        assert answer.status not in {401, 403}
    else:
        assert answer.status == refusal
        assert bench.contents() == before


OPEN = {"get_health", "get_runner_py", "get_openapi_json"}
OF_RUNS = {"post_deployments_deployment_runs", "post_runs_run_cancel", "post_runs_run_retry", "post_runs_cancel"}
OF_KEYS = {"get_api_keys", "post_api_keys", "delete_api_keys_key"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_the_table_gives_nobody_more_than_they_need(route: Route) -> None:
    """Reading asks for read, starting and stopping runs for run, keys and all other changes for admin."""
    if route.name in OPEN:
        wanted: Scope | Access = Access.ANYBODY
    elif route.path.startswith("/v1/callbacks/"):
        wanted = Access.RUN_TOKEN
    elif route.name in OF_KEYS or (route.method != "GET" and route.name not in OF_RUNS):
        wanted = Scope.ADMIN
    else:
        wanted = Scope.RUN if route.name in OF_RUNS else Scope.READ

    assert route.access is wanted


def test_what_a_stranger_sends_is_not_even_read(bench: ApiBench) -> None:
    answer = bench.call("PUT", "/v1/work-pools/p", b"no JSON", key=None)

    assert answer.status == 401


def test_a_refusal_says_how_to_authenticate(bench: ApiBench) -> None:
    answer = bench.call("GET", "/v1/runs", key=None)

    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "Authorization: Bearer" in answer.json["detail"]


def test_an_unknown_key_and_a_wrong_one_are_refused_in_the_same_words(bench: ApiBench) -> None:
    refusals = [
        bench.call("GET", "/v1/runs", key=CREDENTIALS[name](bench)).body
        for name in ("nothing", "an admin key of another installation", "an admin key with another secret")
    ]

    assert len(set(refusals)) == 1


def test_a_missing_scope_is_named(bench: ApiBench) -> None:
    answer = bench.call("POST", "/v1/deployments/d/runs", {}, key=bench.keys[Scope.READ])

    assert answer.status == 403
    assert "scope read; this needs run" in answer.json["detail"]


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_may_be_in_any_case(bench: ApiBench, scheme: str) -> None:
    header = {"authorization": f"{scheme} {bench.keys[Scope.READ]}"}

    assert bench.call("GET", "/v1/runs", key=None, headers=header).status == 200


def test_another_scheme_is_refused(bench: ApiBench) -> None:
    header = {"authorization": f"Basic {bench.keys[Scope.READ]}"}

    assert bench.call("GET", "/v1/runs", key=None, headers=header).status == 401
