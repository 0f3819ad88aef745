"""The tree of commands. Each noun's module imports what it needs when a command of it runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dispatcher.cli import (
    api_keys,
    applying,
    deployments,
    doctor,
    flow_runs,
    running,
    templates,
    work_pools,
    work_queues,
)
from dispatcher.cli.commands import Cli, command
from dispatcher.cli.options import opt

app = typer.Typer(
    name="pushpool", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=True
)
app.add_typer(work_pools.app, name="work-pool")
app.add_typer(work_queues.app, name="work-queue")
app.add_typer(deployments.app, name="deployment")
app.add_typer(flow_runs.app, name="flow-run")
command(app, "apply", example="pushpool apply -f pushpool.yaml --prune --dry-run")(applying.apply)
command(
    app,
    "dispatch",
    example="pushpool dispatch --pool laptop --match hi --limit 5",
    without=frozenset({"api"}),
)(running.dispatch)
app.add_typer(running.agent_app, name="agent")
command(app, "serve", example="pushpool serve --port 4280", without=frozenset({"api", "json_", "output"}))(
    running.serve
)
app.add_typer(templates.app, name="template")
command(app, "doctor", example="pushpool doctor laptop")(doctor.doctor)
app.add_typer(api_keys.app, name="api-key")


@command(app, "schema", example="pushpool schema > pushpool.schema.json", without=frozenset({"api", "json_", "output"}))
def schema(cli: Cli) -> None:
    """Print the JSON Schema of pushpool.yaml. Editors read it after `# yaml-language-server: $schema=PATH`."""
    from dispatcher.files import json_schema

    cli.print_json(json_schema())


@command(app, "version", example="pushpool version", without=frozenset({"api"}))
def version(cli: Cli) -> None:
    """Print the version."""
    found = _version()
    cli.show({"version": found}, lambda: found)


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("pushpool")
    except metadata.PackageNotFoundError:
        return "0"


def _print_version(wanted: Any) -> None:
    if wanted:
        print(_version())  # noqa: T201
        raise typer.Exit


Version = Annotated[bool, opt("--version", help="Print the version.", callback=_print_version, is_eager=True)]


@app.callback(epilog="Example:  pushpool apply -f pushpool.yaml && pushpool serve")
def root(
    version: Annotated[
        bool, opt("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Push work pools: runs go to ECS, Cloud Run, ACI, Modal or this machine, and nothing stays up for them.

    Speaks to the API that PUSHPOOL_API_URL names, with PUSHPOOL_API_KEY; without a URL, to the store of this machine.
    """
