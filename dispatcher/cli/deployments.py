"""`pushpool deployment`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli import deployment_schedules, inputs
from dispatcher.cli.commands import Cli, command, noun
from dispatcher.cli.options import DeploymentName, JobVariables, Yes, arg, opt

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

app = noun("Deployments: what is run, where and when.")
app.add_typer(deployment_schedules.app, name="schedule")

Json = dict[str, Any]
Watch = Annotated[bool, opt("--watch", help="Wait for its end; exit 1 if it fails.")]
Interval = Annotated[float, typer.Option("--watch-interval", min=0.1, help="Seconds between two looks.")]
Timeout = Annotated[float | None, opt("--watch-timeout", min=0, help="Seconds to watch at most.")]
Parameter = Annotated[
    list[str] | None,
    opt("--param", "-p", metavar="KEY=VALUE", help="A parameter; JSON or text."),
]


@command(app, "ls", example="pushpool deployment ls --pool laptop")
def ls(
    cli: Cli,
    names: Annotated[list[str] | None, arg(metavar="NAME", help="Only these.")] = None,
    pool: Annotated[str | None, opt("--pool", help="Of this work pool.")] = None,
    by_created: Annotated[bool, opt("--by-created", help="The newest first.")] = False,
) -> None:  # fmt: skip
    """List deployments."""
    found = [each for each in cli.api.every("deployments", pool=pool) if not names or each["name"] in names]
    if by_created:
        found.sort(key=lambda each: str(each["created"]), reverse=True)
    cli.show(found, lambda: _table(found))


def _table(deployments: list[Json]) -> Table | str:
    from dispatcher.cli import output

    shown = output.table("Name", "Work pool", "Work queue", "Status", "Limit", "Schedules", "Tags")
    found = (
        (
            each["name"],
            each["pool"],
            each["queue"],
            output.status("PAUSED" if each["paused"] else each["status"]),
            output.limit(each["concurrency_limit"]),
            "\n".join(_schedule(schedule) for schedule in each["schedules"]),
            ", ".join(each["tags"]),
        )
        for each in deployments
    )
    return output.rows(shown, found, empty="no deployments; `pushpool apply -f pushpool.yaml` registers them")


def _schedule(schedule: Json) -> str:
    return f"{schedule['description']}{'' if schedule['active'] else ' (paused)'}"


@command(app, "inspect", example="pushpool deployment inspect nightly")
def inspect(cli: Cli, name: DeploymentName) -> None:
    """Show a deployment."""
    found = cli.api.get("deployments", name)
    cli.show(found, lambda: _details(found))


def _details(found: Json) -> RenderableType:
    from dispatcher.cli import output

    plain = ("image", "entrypoint", "command", "parameters", "parameter_schema", "job_variables", "collision_strategy")
    retries = f"{found['retries']}, {found['retry_delay_seconds']} s apart" if found["retries"] else None
    return output.details(
        [
            ("name", found["name"]),
            ("id", found["id"]),
            ("description", found["description"]),
            ("work pool", found["pool"]),
            ("work queue", found["queue"]),
            ("status", output.status("PAUSED" if found["paused"] else found["status"])),
            ("limit", output.limit(found["concurrency_limit"])),
            *((key.replace("_", " "), found[key]) for key in plain),
            ("retries", retries),
            ("timeout", f"{found['timeout_seconds']} s" if found["timeout_seconds"] else None),
            ("tags", ", ".join(found["tags"])),
            ("schedules", "\n".join(f"{_schedule(each)}, {_next(each)}" for each in found["schedules"])),
            ("webhooks", "\n".join(f"{each['url']} on {', '.join(each['on'])}" for each in found["webhooks"])),
            ("created", output.when(found["created"])),
            ("updated", output.when(found["updated"])),
        ]
    )


def _next(schedule: Json) -> str:
    from dispatcher.cli import output

    return f"next {output.when(schedule['next_at'])}" if schedule["next_at"] else "no next date"


@command(app, "run", example="pushpool deployment run nightly -p day=2026-01-31 -jv cpu=512 --watch")
def run(
    cli: Cli,
    name: DeploymentName,
    *,
    param: Parameter = None,
    params: Annotated[str | None, opt("--params", metavar="JSON", help="Parameters; - for stdin.")] = None,
    job_variable: JobVariables = None,
    start_in: Annotated[str | None, opt("--start-in", metavar="DURATION", help="Such as 10m or '2 hours'.")] = None,
    start_at: Annotated[str | None, opt("--start-at", metavar="TIME", help="Such as 2026-01-31T09:00.")] = None,
    tag: Annotated[list[str] | None, opt("--tag", "-t", help="May be repeated.")] = None,
    work_queue: Annotated[str | None, opt("--work-queue", "-q", help="Another queue of its pool.")] = None,
    flow_run_name: Annotated[str | None, opt("--flow-run-name", help="Its name.")] = None,
    idempotency_key: Annotated[str | None, opt("--idempotency-key", help="The same key gives the same run.")] = None,
    watch: Watch = False,
    watch_interval: Interval = 0.5,
    watch_timeout: Timeout = None,
) -> None:
    """Create a run of a deployment, now or at a time, and with --watch see it to its end."""
    given = inputs.json_object(params, "--params") if params is not None else {}
    body = {
        "parameters": given | inputs.pairs(param or (), "--param"),
        "job_variables": inputs.pairs(job_variable or (), "--job-variable"),
        "scheduled_time": inputs.start_time(start_in, start_at),
        "tags": tag,
        "queue": work_queue,
        "name": flow_run_name,
        "idempotency_key": idempotency_key,
    }
    made = cli.api.post("deployments", name, "runs", body={key: value for key, value in body.items() if value})
    if not watch:
        cli.show(made, lambda: f"run {made['name']!r} created, id {made['id']}\n{_due(made)}")
        return
    from dispatcher.cli.watching import watch_to_the_end

    watch_to_the_end(cli, made, interval=watch_interval, timeout=watch_timeout)


def _due(made: Json) -> str:
    from dispatcher.cli import output

    return f"due {output.when(made['due_at'])}; `pushpool flow-run watch {made['id']}` follows it"


@command(app, "pause", example="pushpool deployment pause nightly")
def pause(cli: Cli, name: DeploymentName) -> None:
    """Make and admit no more of its runs; those that are active go on."""
    answer = cli.api.post("deployments", name, "pause")
    cli.show(answer, lambda: f"deployment {name!r} paused")


@command(app, "resume", example="pushpool deployment resume nightly")
def resume(cli: Cli, name: DeploymentName) -> None:
    """Make and admit its runs again."""
    answer = cli.api.post("deployments", name, "resume")
    cli.show(answer, lambda: f"deployment {name!r} resumed")


@command(app, "delete", example="pushpool deployment delete nightly --yes")
def delete(
    cli: Cli,
    name: Annotated[str | None, arg(metavar="NAME", help="The deployment.")] = None,
    all_: Annotated[bool, opt("--all", help="All deployments.")] = False,
    yes: Yes = False,
) -> None:
    """Delete a deployment: its waiting runs are cancelled, its active ones finish."""
    if (name is None) is not all_:
        raise typer.BadParameter("give one NAME, or --all")
    names = [name] if name is not None else [each["name"] for each in cli.api.every("deployments")]
    cli.confirm(f"Delete {f'deployment {name!r}' if name else f'all {len(names)} deployments'}?", yes=yes)
    left = {each: cli.api.delete("deployments", each).get("message") for each in names}
    lines = [said or f"deployment {each!r} deleted" for each, said in left.items()]
    cli.show({"deleted": names}, lambda: "\n".join(lines) or "no deployments")
