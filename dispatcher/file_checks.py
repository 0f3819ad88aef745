"""What no single form of `pushpool.yaml` can tell: names that lead nowhere, dates that never come, clashes.

Every check adds to what is found, and none stops another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dispatcher import job_templates, json_schema, registry, schedules, webhooks
from dispatcher.errors import InvalidInput
from dispatcher.faults import near
from dispatcher.forms import DeploymentForm, ScheduleForm, WorkPoolForm, WorkQueueForm
from dispatcher.located import Steps
from dispatcher.rendering import layers

_ANCHOR = datetime(2000, 1, 1, tzinfo=UTC)  # for a schedule that leaves its own to be set when it is registered


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a thing of the file; `path` says where in it, with dots."""

    what: Steps
    path: str
    message: str


def of_pool(name: str, pool: WorkPoolForm, check_type: Callable[[str], None]) -> Iterator[Finding]:
    """Its type, its template, and its own defaults against the template."""
    what = ("work_pools", name)
    refused = [*_refused(what, "type", partial(check_type, pool.type)), *_of_template(what, pool)]
    yield from refused
    template = pool.base_job_template or registry.templates().get(pool.type)
    if template is not None and not refused:
        yield from _refused(what, "variables", _overrides(template, pool.variables))


def _of_template(what: Steps, pool: WorkPoolForm) -> Iterator[Finding]:
    template = pool.base_job_template
    if template is None:
        return
    yield from _refused(what, "base_job_template", partial(job_templates.check_template, template, pool_type=pool.type))


def _overrides(template: Mapping[str, Any], *layers: Mapping[str, Any]) -> Callable[[], object]:
    return partial(job_templates.check_overrides, template, *layers, require=False)


def of_priorities(queues: Mapping[tuple[str, str], WorkQueueForm]) -> Iterator[Finding]:
    """Of two queues with one priority each registration would push the other down."""
    taken: dict[tuple[str, int], str] = {}
    for (pool, name), queue in queues.items():
        if queue.priority is None:
            continue
        other = taken.setdefault((pool, queue.priority), name)
        if other != name:
            message = f"priority {queue.priority} is that of queue {other!r} too; give each its own"
            yield Finding(("work_pools", pool, "queues", name), "priority", message)


def of_deployment(name: str, deployment: DeploymentForm, pool: WorkPoolForm | None) -> Iterator[Finding]:
    """Everything that would be refused when it is registered; against its pool if the file has that."""
    what = ("deployments", name)
    for number, webhook in enumerate(deployment.webhooks):
        check = partial(webhooks.check_url, webhook.url, allow_private=webhook.allow_private)
        yield from _refused(what, f"webhooks.{number}.url", check)
    yield from _of_schedules(what, deployment.schedules)
    yield from _of_parameters(what, deployment)
    template = (pool.base_job_template or registry.templates().get(pool.type)) if pool is not None else None
    if pool is not None and template is not None and not any(_of_template(what, pool)):  # else its pool tells of it
        # What rendering needs of a pool and a deployment, their forms have too.
        found = layers(pool.model_copy(update={"base_job_template": template}), deployment, {})  # type: ignore[arg-type]
        yield from _refused(what, "job_variables", _overrides(template, *found))


def _of_schedules(what: Steps, forms: list[ScheduleForm]) -> Iterator[Finding]:
    slugs: dict[str, int] = {}
    for number, form in enumerate(forms):
        yield from _refused(what, f"schedules.{number}", partial(_check_dates, form))
        if form.slug is not None and slugs.setdefault(form.slug, number) != number:
            message = f"the slug {form.slug!r} is that of an earlier schedule too; give each its own"
            yield Finding(what, f"schedules.{number}.slug", message)


def _check_dates(form: ScheduleForm) -> None:
    schedules.check(schedules.from_dict(form.timing(), default_anchor=_ANCHOR))


def _of_parameters(what: Steps, deployment: DeploymentForm) -> Iterator[Finding]:
    schema = deployment.parameter_schema
    if schema is None:
        return
    wrong = list(_refused(what, "parameter_schema", partial(json_schema.check_schema, schema)))
    yield from wrong
    if wrong:
        return
    check = partial(json_schema.check_parameters, schema, deployment.parameters, require=False)
    yield from _refused(what, "parameters", check)
    for number, form in enumerate(deployment.schedules):
        given = {**deployment.parameters, **form.parameters}
        yield from _refused(
            what, f"schedules.{number}.parameters", partial(json_schema.check_parameters, schema, given)
        )


def of_foreign_pools(
    deployments: Mapping[str, DeploymentForm], pools: Collection[str], known: Callable[[], Collection[str]]
) -> Iterator[Finding]:
    """Deployments that name a pool which is neither in the file nor on the server."""
    foreign = {name: form.pool for name, form in deployments.items() if form.pool not in pools}
    if not foreign:
        return
    there = {*pools, *known()}
    for name, pool in foreign.items():
        if pool not in there:
            message = f"work pool {pool!r} is neither in this file nor on the server; {near(pool, there)}"
            yield Finding(("deployments", name), "pool", message)


def _refused(what: Steps, path: str, check: Callable[[], object]) -> Iterator[Finding]:
    try:
        check()
    except InvalidInput as exc:
        yield Finding(what, ".".join(part for part in (path, exc.path) if part), str(exc))
