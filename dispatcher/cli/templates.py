"""`pushpool template`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from dispatcher.cli import inputs
from dispatcher.cli.commands import Cli, command, noun
from dispatcher.cli.options import DeploymentName, JobVariables, arg, opt

if TYPE_CHECKING:
    from dispatcher.cli.client import Api
    from dispatcher.deployments import Deployment
    from dispatcher.pools import WorkPool
    from dispatcher.ports import Job

app = noun("Base job templates and what they become.")

_NOBODY = "00000000-0000-0000-0000-000000000000"


@command(
    app,
    "import",
    example="pushpool template import exported.json -o template.json",
    without=frozenset({"api", "output"}),
)
def import_(
    cli: Cli,
    file: Annotated[Path, arg(metavar="FILE", help="As `prefect work-pool inspect -o json` prints it.")],
    output: Annotated[Path | None, opt("--output", "-o", metavar="PATH", help="Default: stdout.")] = None,
) -> None:
    """Take in a base job template of Prefect: without its credential blocks, and else as it is."""
    from dispatcher import job_templates

    imported = job_templates.import_prefect_template(inputs.template(file))
    for note in imported.notes:
        print(f"note: {note}", file=sys.stderr)  # noqa: T201
    if output is None:
        cli.print_json(imported.template)
        return
    inputs.write(output, json.dumps(imported.template, indent=2, ensure_ascii=False))
    cli.show({"file": str(output), "notes": imported.notes}, lambda: f"written to {output}")


@command(app, "show", example="pushpool template show process", without=frozenset({"json_", "output"}))
def show(cli: Cli, type_: Annotated[str, arg(metavar="TYPE", help="Pool type, such as process.")]) -> None:
    """Print the base job template that pushpool ships for a pool type."""
    cli.print_json(cli.api.get("templates", type_)["base_job_template"])


@command(app, "render", example="pushpool template render nightly -jv cpu=512")
def render(cli: Cli, name: DeploymentName, job_variable: JobVariables = None) -> None:
    """Print the exact request that a run of a deployment would send, with stars for secrets."""
    from dispatcher import job_templates, rendering, wiring
    from dispatcher import settings as environment

    found = _found(cli.api, name)
    settings = environment.read()
    infrastructure = wiring.infrastructures(settings)(found.pool.type)
    place = rendering.Place(
        found.pool, found.deployment, infrastructure, settings.public_url or settings.local_url, "", _patience(settings)
    )
    run = _run(found, inputs.pairs(job_variable or (), "--job-variable"))
    job: Job = rendering.job_of(run, place, run.created)
    shown = job_templates.redact(found.pool.base_job_template, job.configuration)
    request = infrastructure.request(replace(job, configuration=shown))
    cli.print_json({"target": _plain(request.target), "request": request.body})


@dataclass(frozen=True, slots=True)
class _Found:
    pool: WorkPool
    deployment: Deployment


def _found(api: Api, name: str) -> _Found:
    """From the store itself where there is one; else of what the API shows, where secrets are stars already."""
    from dispatcher.deployments import Deployment
    from dispatcher.documents import from_document
    from dispatcher.pools import WorkPool

    if api.context is not None:
        from dispatcher.catalogue.changes import deployment_named
        from dispatcher.catalogue.queues import pool_named

        deployment = deployment_named(api.context, name)
        return _Found(pool_named(api.context, deployment.pool), deployment)
    shown = {**api.get("deployments", name), "schedules": [], "webhooks": []}
    deployment = from_document(Deployment, _named(shown))
    return _Found(from_document(WorkPool, _named(api.get("work-pools", deployment.pool))), deployment)


def _named(shown: Any) -> Any:
    """With a name wherever stars hide the name of a secret: stars would not do as one."""
    from dispatcher.job_templates import REDACTED

    if isinstance(shown, dict):
        return {key: _named(value) for key, value in shown.items()}
    if isinstance(shown, list):
        return [_named(value) for value in shown]
    return "hidden" if shown == REDACTED else shown


def _run(found: _Found, job_variables: dict[str, Any]) -> Any:
    """A run that will never be: its id is all zeros."""
    from dispatcher.runs import FlowRun, Name, State

    now = datetime.now(UTC).replace(microsecond=0)
    deployment = found.deployment
    return FlowRun(
        id=_NOBODY,
        name=f"{deployment.name}-00000000",
        deployment_id=deployment.id,
        deployment=deployment.name,
        pool=deployment.pool,
        queue=deployment.queue,
        scheduled_time=now,
        due_at=now,
        state=State(Name.SCHEDULED, now),
        created=now,
        parameters=deployment.parameters,
        job_variables=job_variables,
    )


def _patience(settings: Any) -> Any:
    from dispatcher.watch import Patience

    return Patience(heartbeat=settings.heartbeat)


def _plain(target: Any) -> dict[str, str]:
    return {"type": target.type, "account": target.account, "region": target.region, "group": target.group}
