"""Options and arguments that several commands have, spelled once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

opt = partial(typer.Option, show_default=False)
arg = partial(typer.Argument, show_default=False)

Yes = Annotated[bool, opt("--yes", "-y", help="Do not ask.")]
Force = Annotated[bool, opt("--force", help="Also if it is in use.")]
PoolName = Annotated[str, arg(metavar="NAME", help="The work pool.")]
QueueName = Annotated[str, arg(metavar="NAME", help="The work queue.")]
DeploymentName = Annotated[str, arg(metavar="NAME", help="The deployment.")]
RunId = Annotated[str, arg(metavar="ID", help="The run's id.")]
Pool = Annotated[str | None, opt("--pool", "-p", help="The work pool. Default: the only one.")]
Hours = Annotated[int, typer.Option("--hours", "-h", min=1, max=168, help="How far to look ahead.")]
Limit = Annotated[int, arg(metavar="N", min=0, help="How many runs at once.")]
Description = Annotated[str | None, opt("--description", help="What it is for.")]
TemplateFile = Annotated[
    Path | None,
    opt("--base-job-template", metavar="PATH", help="A JSON or YAML file. Default: the type's own."),
]
Deployment = Annotated[
    str | None,
    opt("--deployment", "-d", "--flow-name", help="Runs of this deployment."),
]
PoolFilter = Annotated[str | None, opt("--pool", "-p", help="Of this work pool.")]
QueueFilter = Annotated[str | None, opt("--work-queue", "-q", help="Of this work queue.")]
Tags = Annotated[list[str] | None, opt("--tag", "-t", help="With this tag; may be repeated.")]
Since = Annotated[str | None, opt("--since", metavar="TIME", help="Scheduled then or later.")]
Until = Annotated[str | None, opt("--until", metavar="TIME", help="Scheduled before.")]
JobVariables = Annotated[
    list[str] | None,
    opt("--job-variable", "-jv", metavar="KEY=VALUE", help="A job variable; JSON or text."),
]
