"""The table of routes is whole: every route has a name of its own, and its handler takes what it declares."""

from __future__ import annotations

import inspect
import re
from functools import partial
from typing import get_type_hints

import pytest

from dispatcher.http.messages import Reply
from dispatcher.http.openapi import document, problems_of
from dispatcher.http.routes import ROUTES, Route

DESIGNED = """
PUT GET DELETE /v1/work-pools/{pool}; GET /v1/work-pools; POST /v1/work-pools/{pool}/pause;
POST /v1/work-pools/{pool}/resume; GET /v1/work-pools/{pool}/preview; GET /v1/work-pools/{pool}/slots;
PUT GET DELETE /v1/work-pools/{pool}/queues/{queue}; GET /v1/work-pools/{pool}/queues;
POST /v1/work-pools/{pool}/queues/{queue}/pause; POST /v1/work-pools/{pool}/queues/{queue}/resume;
PUT GET DELETE /v1/deployments/{deployment}; GET /v1/deployments; POST /v1/deployments/{deployment}/pause;
POST /v1/deployments/{deployment}/resume; POST /v1/deployments/{deployment}/runs;
POST /v1/deployments/{deployment}/schedules; DELETE /v1/deployments/{deployment}/schedules/{schedule};
POST /v1/deployments/{deployment}/schedules/{schedule}/pause;
POST /v1/deployments/{deployment}/schedules/{schedule}/resume;
GET /v1/runs; GET DELETE /v1/runs/{run}; POST /v1/runs/{run}/cancel; POST /v1/runs/{run}/retry; GET /v1/runs/{run}/logs;
POST /v1/runs/cancel; POST /v1/callbacks/state; POST /v1/callbacks/heartbeat; GET /v1/callbacks/parameters;
GET /v1/health; GET /v1/templates/{type}; GET /v1/runner.py; GET /v1/metrics; GET /openapi.json;
GET POST /v1/api-keys; DELETE /v1/api-keys/{key}
"""


def test_every_operation_that_was_designed_is_there_and_no_other() -> None:
    designed = set()
    for line in re.sub(r"\s+", " ", DESIGNED).strip().split("; "):
        *methods, path = line.split()
        designed |= {(method, path) for method in methods}

    assert {(route.method, route.path) for route in ROUTES} == designed


def test_no_two_routes_share_a_place_or_a_name() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert len({route.name for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_handler_takes_what_its_route_declares(route: Route) -> None:
    bound = route.handler.keywords if isinstance(route.handler, partial) else {}
    function = route.handler.func if isinstance(route.handler, partial) else route.handler
    hints = get_type_hints(function)
    taken = set(list(inspect.signature(function).parameters)[1:]) - set(bound)
    declared = set(re.findall(r"{(\w+)}", route.path))
    declared |= ({"form"} if route.form else set()) | ({"query"} if route.query else set())

    assert taken == declared
    assert hints["return"] is Reply
    assert hints.get("form") is route.form
    assert hints.get("query") is route.query


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_an_operation_is_documented_whole(route: Route) -> None:
    operation = document(ROUTES)["paths"][route.path][route.method.lower()]

    assert operation["operationId"] == route.name
    assert operation["summary"]
    assert {int(status) for status in operation["responses"]} == {*route.answers, *problems_of(route)}
    named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
    assert named == set(re.findall(r"{(\w+)}", route.path))
