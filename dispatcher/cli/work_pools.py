"""`pushpool work-pool`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli import inputs
from dispatcher.cli.commands import Cli, command, noun
from dispatcher.cli.options import Description, Force, Hours, Limit, PoolName, TemplateFile, Yes, arg, opt
from dispatcher.errors import Conflict

if TYPE_CHECKING:
    from rich.table import Table

    from dispatcher.cli.client import Api

app = noun("Work pools: where runs go, how many at once.")

# What of a view can be sent back.
FORM = ("type", "description", "base_job_template", "variables", "concurrency_limit", "prefetch_seconds", "paused")

Type = Annotated[str, opt("--type", "-t", help="Pool type, such as process.")]
NewLimit = Annotated[int | None, opt("--concurrency-limit", min=0, help="How many runs at once.")]
Prefetch = Annotated[
    int | None,
    opt("--prefetch-seconds", min=0, help="How early runs are submitted; 10."),
]


@command(app, "create", example="pushpool work-pool create laptop --type process --concurrency-limit 4")
def create(
    cli: Cli,
    name: PoolName,
    *,
    type_: Type,
    base_job_template: TemplateFile = None,
    concurrency_limit: NewLimit = None,
    description: Description = None,
    prefetch_seconds: Prefetch = None,
    paused: Annotated[bool, opt("--paused", help="Admit nothing yet.")] = False,
    overwrite: Annotated[bool, opt("--overwrite", help="Change it if it exists.")] = False,
) -> None:
    """Create a work pool."""
    there = cli.api.find("work-pools", name)
    if there is not None and not overwrite:
        raise Conflict(f"work pool {name!r} exists; change it with `work-pool update`, or pass --overwrite")
    said = {
        "type": type_,
        "base_job_template": inputs.template(base_job_template) if base_job_template else None,
        "concurrency_limit": concurrency_limit,
        "description": description,
        "prefetch_seconds": prefetch_seconds,
        "paused": paused or None,
    }
    body = {key: there[key] for key in FORM} if there else {}
    answer = cli.api.put(
        "work-pools", name, body=body | {key: value for key, value in said.items() if value is not None}
    )
    cli.show(answer, lambda: f"work pool {name!r} {answer['change']}")


@command(app, "ls", example="pushpool work-pool ls --json")
def ls(
    cli: Cli,
    verbose: Annotated[bool, opt("--verbose", "-v", help="More columns.")] = False,
) -> None:
    """List work pools."""
    pools = list(cli.api.every("work-pools"))
    cli.show(pools, lambda: _table(pools, verbose=verbose))


def _table(pools: list[dict[str, Any]], *, verbose: bool) -> Table | str:
    from dispatcher.cli import output

    more = ("Prefetch", "Description", "Created") if verbose else ()
    shown = output.table("Name", "Type", "Status", "Active", "Limit", *more)
    found = (
        (
            pool["name"],
            pool["type"],
            output.status(pool["status"]),
            pool["active_slots"],
            output.limit(pool["concurrency_limit"]),
            *((f"{pool['prefetch_seconds']} s", pool["description"], output.when(pool["created"])) if verbose else ()),
        )
        for pool in pools
    )
    return output.rows(shown, found, empty="no work pools; `pushpool work-pool create` makes one")


@command(app, "inspect", example="pushpool work-pool inspect laptop")
def inspect(cli: Cli, name: PoolName) -> None:
    """Show a work pool with its template, and why it is unavailable if it is."""
    pool = cli.api.get("work-pools", name)
    cli.show(pool, lambda: _details(pool))


def _details(pool: dict[str, Any]) -> Table:
    from dispatcher.cli import output

    away, used_up = pool["unavailable"], pool["used_up"]
    return output.details(
        [
            ("name", pool["name"]),
            ("type", pool["type"]),
            ("description", pool["description"]),
            ("status", output.status(pool["status"])),
            ("unavailable", f"until {output.when(away['until'])}: {away['reason']}" if away else None),
            ("used up", f"until {output.when(used_up['until'])}: {used_up['reason']}" if used_up else None),
            ("active slots", f"{pool['active_slots']} of {output.limit(pool['concurrency_limit'])}"),
            ("prefetch", f"{pool['prefetch_seconds']} s"),
            ("default queue", pool["default_queue"]),
            ("created", output.when(pool["created"])),
            ("updated", output.when(pool["updated"])),
            ("variables", json.dumps(pool["variables"], indent=2, ensure_ascii=False) if pool["variables"] else None),
            ("template", json.dumps(pool["base_job_template"], indent=2, ensure_ascii=False)),
        ]
    )


@command(app, "preview", example="pushpool work-pool preview laptop --hours 12")
def preview(
    cli: Cli,
    name: Annotated[str | None, arg(metavar="NAME", help="The work pool.")] = None,
    hours: Hours = 1,
) -> None:
    """List what will fall due."""
    from dispatcher.cli.previews import coming, show_coming

    show_coming(cli, coming(cli.api, name, hours))


@command(app, "pause", example="pushpool work-pool pause laptop")
def pause(cli: Cli, name: PoolName) -> None:
    """Admit no more runs; what was admitted goes on."""
    answer = cli.api.post("work-pools", name, "pause")
    cli.show(answer, lambda: f"work pool {name!r} paused")


@command(app, "resume", example="pushpool work-pool resume laptop")
def resume(cli: Cli, name: PoolName) -> None:
    """Admit runs again, at once, also if the pool was unavailable."""
    answer = cli.api.post("work-pools", name, "resume")
    cli.show(answer, lambda: f"work pool {name!r} resumed")


@command(app, "delete", example="pushpool work-pool delete laptop --yes")
def delete(cli: Cli, name: PoolName, force: Force = False, yes: Yes = False) -> None:
    """Delete a work pool with its queues. With --force it is drained first."""
    cli.confirm(f"Delete work pool {name!r}?", yes=yes)
    left = cli.api.delete("work-pools", name, force=force).get("message", "")
    cli.show({"deleted": name, "message": left}, lambda: left or f"work pool {name!r} deleted")


@command(app, "update", example="pushpool work-pool update laptop --concurrency-limit 8")
def update(
    cli: Cli,
    name: PoolName,
    base_job_template: TemplateFile = None,
    concurrency_limit: NewLimit = None,
    description: Description = None,
    prefetch_seconds: Prefetch = None,
) -> None:
    """Change what is given, and leave the rest as it is."""
    said = {
        "base_job_template": inputs.template(base_job_template) if base_job_template else None,
        "concurrency_limit": concurrency_limit,
        "description": description,
        "prefetch_seconds": prefetch_seconds,
    }
    changes = {key: value for key, value in said.items() if value is not None}
    if not changes:
        raise typer.BadParameter("nothing to change; give one of the options")
    _change(cli, name, changes)


@command(app, "set-concurrency-limit", example="pushpool work-pool set-concurrency-limit laptop 4")
def set_concurrency_limit(cli: Cli, name: PoolName, limit: Limit) -> None:
    """Set how many runs of the pool may be active at once."""
    _change(cli, name, {"concurrency_limit": limit})


@command(app, "clear-concurrency-limit", example="pushpool work-pool clear-concurrency-limit laptop")
def clear_concurrency_limit(cli: Cli, name: PoolName) -> None:
    """Let any number of runs be active at once."""
    _change(cli, name, {"concurrency_limit": None})


def _change(cli: Cli, name: str, changes: dict[str, Any]) -> None:
    pool = cli.api.get("work-pools", name)
    answer = cli.api.put("work-pools", name, body={key: pool[key] for key in FORM if key != "paused"} | changes)
    cli.show(answer, lambda: f"work pool {name!r} {answer['change']}")


@command(
    app,
    "get-default-base-job-template",
    example="pushpool work-pool get-default-base-job-template --type process --file template.json",
)
def get_default_base_job_template(
    cli: Cli,
    type_: Type,
    file: Annotated[Path | None, opt("--file", "-f", metavar="PATH", help="Write it there.")] = None,
) -> None:
    """Print the base job template that pools of a type have when none is given."""
    template = cli.api.get("templates", type_)["base_job_template"]
    if file is None:
        cli.print_json(template)
        return
    inputs.write(file, json.dumps(template, indent=2, ensure_ascii=False))
    cli.show({"type": type_, "file": str(file)}, lambda: f"written to {file}")


@command(app, "slots", example="pushpool work-pool slots laptop")
def slots(cli: Cli, name: PoolName) -> None:
    """Show who holds the slots."""
    from dispatcher.cli.previews import show_slots

    show_slots(cli, slots_of(cli.api, name))


def slots_of(api: Api, pool: str, queue: str | None = None) -> dict[str, Any]:
    """Of the pool, or of one queue of it."""
    found = api.get("work-pools", pool, "slots")
    if queue is None:
        return found
    here = [each for each in found["queues"] if each["name"] == queue]
    holders = [each for each in found["holders"] if each["work_queue"] == queue]
    limit = here[0]["limit"] if here else None
    return {**found, "limit": limit, "active": len(holders), "queues": here, "holders": holders}
