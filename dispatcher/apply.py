"""What `pushpool apply` would do: a file against what the server shows, as a list of steps. Pure.

Invariant: a secret is never part of a plan. Those of webhooks are compared by the fingerprint that views show; other
secret values cannot be told apart from here, so what holds one is sent again and the server says whether it changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias

from dispatcher import schedules
from dispatcher.files import PushpoolFile
from dispatcher.forms import DeploymentForm, Form, ScheduleForm, WebhookForm, WorkPoolForm
from dispatcher.http.redaction import redacted_template
from dispatcher.http.showing import fingerprint
from dispatcher.job_templates import REDACTED, redact
from dispatcher.pools import DEFAULT_QUEUE

Json: TypeAlias = Mapping[str, Any]
_NO_TEMPLATE: Json = {"job_configuration": {}, "variables": {}}
_ANCHOR = datetime(2000, 1, 1, tzinfo=UTC)


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    DELETE = "delete"


class Kind(StrEnum):
    POOL = "work pool"
    QUEUE = "work queue"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not as the file says; None where there is no value. Secrets are stars or fingerprints."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One thing, and what is to be done about it. `body` is what is sent, with its secrets, so it is never shown.

    `again`: unchanged as far as can be seen, and sent nevertheless.
    """

    action: Action
    kind: Kind
    name: str
    pool: str = ""
    body: Json = field(default_factory=dict, repr=False)
    differences: tuple[Difference, ...] = ()
    again: bool = False

    @property
    def is_sent(self) -> bool:
        return self.action is not Action.UNCHANGED or self.again

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.pool!r}" if self.pool else f"{self.kind} {self.name!r}"


@dataclass(frozen=True, slots=True)
class Current:
    """What the server shows, as JSON has it. Queues are keyed by pool and name, templates by pool type."""

    pools: Mapping[str, Json] = field(default_factory=dict)
    queues: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    deployments: Mapping[str, Json] = field(default_factory=dict)
    templates: Mapping[str, Json] = field(default_factory=dict)


def plan(file: PushpoolFile, current: Current, *, prune: bool = False) -> list[Step]:
    """The steps in the order in which they can be taken: pools, queues, deployments; deletions the other way round.

    :raises FileProblems: a pool is of another type on the server, or would be pruned though a deployment names it.
    """
    _check_types(file, current)
    steps = [_pool(name, form, current) for name, form in file.pools.items()]
    steps += _queues(file, current)
    steps += [_deployment(name, form, file, current) for name, form in file.deployments.items()]
    return [*steps, *_prunings(file, current)] if prune else steps


def _check_types(file: PushpoolFile, current: Current) -> None:
    for name, form in file.pools.items():
        there = current.pools.get(name, {}).get("type", form.type)
        if there != form.type:
            message = f"it is of type {there!r} on the server, which never changes; give this one another name"
            raise file.problem(("work_pools", name), message, "type")


def _pool(name: str, form: WorkPoolForm, current: Current) -> Step:
    template = _template_of(form, current)
    wanted = {
        **form.model_dump(mode="json"),
        "base_job_template": redacted_template(template),
        "variables": redact(template, form.variables),
    }
    return _step(Kind.POOL, name, "", form, wanted, current.pools.get(name))


def _template_of(form: WorkPoolForm, current: Current) -> Json:
    if form.base_job_template is not None:
        return form.base_job_template
    return current.templates.get(form.type, _NO_TEMPLATE)


def _queues(file: PushpoolFile, current: Current) -> Iterator[Step]:
    """In the order of their priorities: one that is put in place then pushes down only those still to come."""
    last = 10**9
    ordered = sorted(file.queues.items(), key=lambda item: (item[0][0], item[1].priority or last))
    pushed: set[str] = set()  # pools in which a queue takes a new priority, and so may push others
    for (pool, name), form in ordered:
        step = _step(Kind.QUEUE, name, pool, form, form.model_dump(mode="json"), current.queues.get((pool, name)))
        if form.priority is not None and pool in pushed:
            step = replace(step, again=step.action is Action.UNCHANGED)
        if step.action is Action.CREATE or any(each.path == "priority" for each in step.differences):
            pushed.add(pool)
        yield step


def _deployment(name: str, form: DeploymentForm, file: PushpoolFile, current: Current) -> Step:
    there = current.deployments.get(name)
    timetable, dates = _timetables(form.schedules, there.get("schedules", ()) if there else ())
    wanted = {
        **form.model_dump(mode="json"),
        "job_variables": redact(_template_for(form.pool, file, current), form.job_variables),
        "tags": list(dict.fromkeys(form.tags)),
        "schedules": timetable,
        "webhooks": [_webhook(webhook) for webhook in form.webhooks],
    }
    seen = {**there, "schedules": dates} if there is not None else None
    return _step(Kind.DEPLOYMENT, name, "", form, wanted, seen)


def _template_for(pool: str, file: PushpoolFile, current: Current) -> Json:
    if pool in file.pools:
        return _template_of(file.pools[pool], current)
    template: Json = current.pools.get(pool, {}).get("base_job_template", _NO_TEMPLATE)
    return template


def _webhook(form: WebhookForm) -> dict[str, Any]:
    secret = form.secret
    shown = secret if secret is None or secret.startswith("sha256:") else fingerprint(secret)
    return {**form.model_dump(mode="json"), "secret": shown}


def _timetables(forms: list[ScheduleForm], views: Any) -> tuple[Json, Json]:
    """(wanted, seen) by slug or number: what a form leaves out is as in the view that it matches."""
    left = [_seen(view) for view in views]
    wanted: dict[str, Json] = {}
    seen: dict[str, Json] = {}
    for number, form in enumerate(forms):
        label = form.slug or str(number)
        match = next((view for view in left if _matches(form, view)), None)
        if match is not None:
            left.remove(match)
            seen[label] = match
        wanted[label] = _wanted(form, match)
    for number, view in enumerate(left, start=len(forms)):
        seen[view["slug"] or str(number)] = view
    return wanted, seen


def _seen(view: Json) -> dict[str, Any]:
    timing = schedules.to_dict(schedules.from_dict(ScheduleForm.model_validate(_timing(view)).timing()))
    kept = {key: view[key] for key in ("slug", "active", "parameters", "catchup", "max_lateness_seconds")}
    return {**kept, **timing}


def _timing(view: Json) -> dict[str, Any]:
    keys = ("cron", "interval", "rrule", "timezone", "day_or", "anchor_date")
    return {key: view[key] for key in keys if view.get(key) is not None}


def _matches(form: ScheduleForm, view: Json) -> bool:
    """Whether the server takes it for the same schedule: by slug, else by its content."""
    if form.slug is not None or view["slug"] is not None:
        return bool(form.slug == view["slug"])
    wanted = _wanted(form, view)
    return all(wanted.get(key) == view.get(key) for key in (*_timing(view), "parameters"))


def _wanted(form: ScheduleForm, view: Json | None) -> dict[str, Any]:
    anchor = (view or {}).get("anchor_date")
    default = datetime.fromisoformat(anchor) if anchor is not None else _ANCHOR
    timing = schedules.to_dict(schedules.from_dict(form.timing(), default_anchor=default))
    if anchor is None and form.anchor_date is None:
        timing.pop("anchor_date", None)
    active = form.active if form.active is not None else (view or {"active": True})["active"]
    rest = form.model_dump(mode="json", include={"slug", "parameters", "catchup", "max_lateness_seconds"})
    return {**timing, **rest, "active": active}


def _step(kind: Kind, name: str, pool: str, form: Form, wanted: Json, seen: Json | None) -> Step:
    """`wanted` as it would be shown; a field that the form leaves as it is has None there and no say."""
    body = form.model_dump(mode="json", exclude_unset=True)
    if seen is None:
        return Step(Action.CREATE, kind, name, pool, body)
    kept = {key for key in ("paused", "priority") if wanted.get(key) is None}
    found = tuple(
        difference
        for key in type(form).model_fields
        if key not in kept
        for difference in _differences(key, seen.get(key), wanted[key])
    )
    action = Action.CHANGE if found else Action.UNCHANGED
    return Step(action, kind, name, pool, body, found, again=not found and _has_stars(wanted))


def _differences(path: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(f"{path}.{key}", old.get(key), new.get(key))
    elif old != new:
        hidden = REDACTED in (old, new)  # whichever side says that it is a secret
        yield Difference(path, REDACTED if hidden and old else old, REDACTED if hidden and new else new)


def _has_stars(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_stars(each) for each in value.values())
    return bool(value == REDACTED)


def _prunings(file: PushpoolFile, current: Current) -> Iterator[Step]:
    """What the server has and the file has not, but for default queues and what the file's deployments name."""
    named = {(form.pool, form.queue) for form in file.deployments.values()}
    for name in current.deployments:
        if name not in file.deployments:
            yield Step(Action.DELETE, Kind.DEPLOYMENT, name)
    for pool, name in current.queues:
        if pool in file.pools and name != DEFAULT_QUEUE and (pool, name) not in {*file.queues, *named}:
            yield Step(Action.DELETE, Kind.QUEUE, name, pool)
    for pool in current.pools:
        if pool not in file.pools:
            _check_unnamed(pool, file)
            yield Step(Action.DELETE, Kind.POOL, pool)


def _check_unnamed(pool: str, file: PushpoolFile) -> None:
    users = [name for name, form in file.deployments.items() if form.pool == pool]
    if users:
        message = f"work pool {pool!r} is not in the file, so --prune would delete it; add it to the file"
        raise file.problem(("deployments", users[0]), message, "pool")
