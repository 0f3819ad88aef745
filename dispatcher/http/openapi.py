"""The OpenAPI 3.1 document, made of the table of routes and of the models it names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from dispatcher.api_keys import Scope
from dispatcher.forms import NAME, DeploymentForm, RunForm, ScheduleForm, WorkPoolForm, WorkQueueForm
from dispatcher.http.bodies import ApiKeyForm, CallbackForm, CancelMatchingForm, StateForm
from dispatcher.http.handlers.installation import version
from dispatcher.http.matching import PATTERNS
from dispatcher.http.messages import JSON, PROBLEM
from dispatcher.http.routes import ROUTES, Access, Route
from dispatcher.http.views import ProblemView

_DESCRIPTION = """Work pools without anything that stays up.

Every error is an RFC 9457 problem. Lists are read page by page: pass `next` on as `cursor` until it is null."""

_SECURITY: Mapping[str, Any] = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `pp_…`; its scope (read, run, admin) holds those before it.",
    },
    "runToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of one attempt of a run, which its container has as PUSHPOOL_RUN_TOKEN.",
    },
}

_PATH_NAMES: Mapping[str, Mapping[str, Any]] = {
    "pool": {"description": "Name of the work pool.", "example": "local"},
    "queue": {"description": "Name of the work queue.", "example": "high"},
    "deployment": {"description": "Name of the deployment.", "example": "report"},
    "schedule": {"description": "Id or slug of the schedule.", "example": "daily"},
    "run": {
        "description": "Id of the run.",
        "schema": {"type": "string", "format": "uuid"},
        "example": "6f1c1f0e-7f5b-4a44-9f0a-3c1d1c2b4a11",
    },
    "key": {"description": "Id of the API key, not the key itself.", "example": "0a1b2c3d"},
    "type": {"description": "Pool type.", "example": "process"},
}

_EXAMPLES: Mapping[type[BaseModel], Mapping[str, Any]] = {
    WorkPoolForm: {"type": "process", "description": "On this machine", "concurrency_limit": 3},
    WorkQueueForm: {"priority": 1, "concurrency_limit": 1},
    DeploymentForm: {
        "pool": "local",
        "queue": "high",
        "command": ["python", "-m", "report"],
        "schedules": [{"cron": "0 6 * * *", "timezone": "Europe/Paris", "slug": "daily"}],
    },
    ScheduleForm: {"interval": 3600, "slug": "hourly"},
    RunForm: {"parameters": {"day": "2026-03-01"}, "idempotency_key": "report-2026-03-01"},
    CancelMatchingForm: {"deployment": "report", "types": ["SCHEDULED"]},
    ApiKeyForm: {"name": "ci", "scope": "run"},
    StateForm: {"state": "RUNNING", "instance": "5f0c2d"},
    CallbackForm: {"instance": "5f0c2d"},
}

_HEADERS: Mapping[int, tuple[str, str]] = {
    401: ("WWW-Authenticate", "How to authenticate."),
    503: ("Retry-After", "Seconds to wait."),
}

_Schemas = Mapping[type[BaseModel], Mapping[str, Any]]
_Model = tuple[type[BaseModel], JsonSchemaMode]


@cache
def document_text() -> bytes:
    return json.dumps(document(ROUTES), ensure_ascii=False).encode()


def document(routes: Sequence[Route]) -> dict[str, Any]:
    references, definitions = _schemas(routes)
    queries = {route.query.__name__ for route in routes if route.query}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references, definitions)
    return {
        "openapi": "3.1.0",
        "info": {"title": "pushpool", "version": version(), "description": _DESCRIPTION},
        "security": [],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in definitions.items() if name not in queries},
            "securitySchemes": _SECURITY,
        },
    }


def _schemas(routes: Iterable[Route]) -> tuple[_Schemas, Mapping[str, Any]]:
    """(reference of each model, what they refer to)."""
    models = dict.fromkeys(pair for route in routes for pair in _models(route))
    found, container = models_json_schema(list(models), ref_template="#/components/schemas/{model}")
    return {pair[0]: found[pair] for pair in models}, container["$defs"]


def _models(route: Route) -> list[_Model]:
    said = [ProblemView, *route.answers.values()]
    return [*_in_mode("validation", [route.form, route.query]), *_in_mode("serialization", said)]


def _in_mode(mode: JsonSchemaMode, models: Iterable[type[BaseModel] | None]) -> list[_Model]:
    return [(model, mode) for model in models if model is not None]


def _operation(route: Route, references: _Schemas, definitions: Mapping[str, Any]) -> dict[str, Any]:
    query = _query(definitions[route.query.__name__]) if route.query else []
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "security": _security(route),
        "parameters": [*_path(route), *query],
        "responses": {
            **{str(status): _answer(route, status, references) for status in route.answers},
            **{str(status): _problem(status, references) for status in sorted(problems_of(route))},
        },
    }
    if isinstance(route.access, Scope):
        operation["description"] = f"Needs an API key with the scope `{route.access}`."
    if route.form is not None:
        content: dict[str, Any] = {"schema": references[route.form]}
        if route.form in _EXAMPLES:
            content["example"] = _EXAMPLES[route.form]
        operation["requestBody"] = {"required": route.form_required, "content": {JSON: content}}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.access is Access.ANYBODY:
        return []
    return [{"runToken": []}] if route.access is Access.RUN_TOKEN else [{"apiKey": []}]


def problems_of(route: Route) -> set[int]:
    """Every status of a problem that the route may answer with."""
    statuses = {500, 503}
    if route.access is not Access.ANYBODY:
        statuses |= {401} | ({403} if isinstance(route.access, Scope) else set())
    if "{" in route.path:
        statuses |= {404, 422}
    if route.query is not None:
        statuses |= {400, 422}
    if route.form is not None:
        statuses |= {400, 413, 415, 422}
    if route.conflicts:
        statuses |= {409}
    return statuses


def _path(route: Route) -> Iterator[dict[str, Any]]:
    for part in route.path.split("/"):
        if part.startswith("{"):
            name = part[1:-1]
            schema = {"type": "string", "pattern": PATTERNS.get(name, NAME)}
            yield {"name": name, "in": "path", "required": True, "schema": schema, **_PATH_NAMES[name]}


def _query(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": _not_null(schema)}
        for name, schema in model["properties"].items()
    ]


def _not_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query has no null; what may be one may be left out."""
    kept = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
    others = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(others) == 1:
        return {**others[0], **kept}
    return {**kept, "anyOf": others} if others else kept


def _answer(route: Route, status: int, references: _Schemas) -> dict[str, Any]:
    view = route.answers[status]
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if view is not None:
        answer["content"] = {JSON: {"schema": references[view]}}
    elif route.media_type != JSON:
        answer["content"] = {route.media_type: {"schema": {"type": "string"}}}
    elif status != HTTPStatus.NO_CONTENT:
        answer["content"] = {JSON: {"schema": {"type": "object"}}}
    return answer


def _problem(status: int, references: _Schemas) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM: {"schema": references[ProblemView]}},
    }
    if status in _HEADERS:
        name, description = _HEADERS[status]
        problem["headers"] = {name: {"description": description, "schema": {"type": "string"}}}
    return problem
