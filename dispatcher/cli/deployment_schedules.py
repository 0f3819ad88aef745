"""`pushpool deployment schedule`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli import inputs
from dispatcher.cli.commands import Cli, command, noun
from dispatcher.cli.options import DeploymentName, Yes, arg, opt
from dispatcher.errors import InvalidInput

if TYPE_CHECKING:
    from rich.table import Table

app = noun("A deployment's schedules.")

ScheduleId = Annotated[str, arg(metavar="SCHEDULE_ID", help="Its id or slug.")]
OneOrAll = Annotated[str | None, arg(metavar="SCHEDULE_ID", help="Its id or slug.")]
All = Annotated[bool, opt("--all", help="All of the deployment's.")]


@command(app, "ls", example="pushpool deployment schedule ls nightly")
def ls(cli: Cli, name: DeploymentName) -> None:
    """List the schedules of a deployment."""
    found = cli.api.get("deployments", name)["schedules"]
    cli.show(found, lambda: _table(found))


def _table(schedules: list[dict[str, Any]]) -> Table | str:
    from dispatcher.cli import output

    shown = output.table("Id", "Slug", "Schedule", "Active", "Catchup", "Next")
    found = (
        (
            each["id"],
            each["slug"],
            each["description"],
            each["active"],
            each["catchup"],
            output.when(each["next_at"]),
        )
        for each in schedules
    )
    return output.rows(shown, found, empty="no schedules")


@command(
    app, "create", example="pushpool deployment schedule create nightly --cron '0 3 * * *' --timezone Europe/Paris"
)
def create(
    cli: Cli,
    name: DeploymentName,
    *,
    interval: Annotated[
        str | None, opt("--interval", metavar="DURATION", help="Such as 3600 or 1h30m.")
    ] = None,
    anchor_date: Annotated[
        str | None, opt("--anchor-date", metavar="TIME", help="What an interval counts from.")
    ] = None,
    rrule: Annotated[str | None, opt("--rrule", help="RFC 5545.")] = None,
    cron: Annotated[str | None, opt("--cron", help="5 or 6 fields, or @daily.")] = None,
    day_or: Annotated[
        bool | None,
        opt("--day_or/--no-day_or", help="Either day field of a cron matches, or both."),
    ] = None,
    timezone: Annotated[
        str | None, opt("--timezone", help="Such as Europe/Paris; UTC.")
    ] = None,
    slug: Annotated[str | None, opt("--slug", help="A name for it.")] = None,
    catchup: Annotated[
        str | None, opt("--catchup", help="Dates missed: all, latest or none.")
    ] = None,
    active: Annotated[bool, typer.Option("--active/--no-active", help="Whether it makes runs.")] = True,
    replace: Annotated[bool, opt("--replace", help="The others go.")] = False,
    yes: Yes = False,
) -> None:  # fmt: skip
    """Add a schedule: one of --cron, --interval and --rrule."""
    if replace:
        cli.confirm(f"Replace all schedules of deployment {name!r}?", yes=yes)
    body = {
        "interval": inputs.seconds(interval, "--interval") if interval is not None else None,
        "anchor_date": anchor_date,
        "rrule": rrule,
        "cron": cron,
        "day_or": day_or,
        "timezone": timezone,
        "slug": slug,
        "catchup": catchup,
        "active": active,
    }
    given = {key: value for key, value in body.items() if value is not None}
    answer = cli.api.post("deployments", name, "schedules", body=given, only=replace or None)
    cli.show(answer["schedules"], lambda: _table(answer["schedules"]))


@command(app, "pause", example="pushpool deployment schedule pause nightly --all")
def pause(cli: Cli, name: DeploymentName, schedule_id: OneOrAll = None, all_: All = False) -> None:
    """Make no more runs by a schedule; those that wait for their date are cancelled."""
    _act(cli, name, schedule_id, "pause", every=all_)


@command(app, "resume", example="pushpool deployment schedule resume nightly --all")
def resume(cli: Cli, name: DeploymentName, schedule_id: OneOrAll = None, all_: All = False) -> None:
    """Make runs by a schedule again."""
    _act(cli, name, schedule_id, "resume", every=all_)


def _act(cli: Cli, name: str, schedule_id: str | None, what: str, *, every: bool) -> None:
    if (schedule_id is None) is not every:
        raise typer.BadParameter("give one SCHEDULE_ID, or --all")
    ids = _ids(cli, name) if schedule_id is None else [schedule_id]
    for each in ids:
        cli.api.post("deployments", name, "schedules", each, what)
    found = cli.api.get("deployments", name)["schedules"]
    cli.show(found, lambda: _table(found))


def _ids(cli: Cli, name: str) -> list[str]:
    ids = [str(each["id"]) for each in cli.api.get("deployments", name)["schedules"]]
    if not ids:
        raise InvalidInput(f"deployment {name!r} has no schedules")
    return ids


@command(app, "delete", example="pushpool deployment schedule delete nightly every-hour --yes")
def delete(cli: Cli, name: DeploymentName, schedule_id: ScheduleId, yes: Yes = False) -> None:
    """Delete a schedule; its runs that wait for their date are cancelled."""
    cli.confirm(f"Delete schedule {schedule_id!r} of deployment {name!r}?", yes=yes)
    cli.api.delete("deployments", name, "schedules", schedule_id)
    cli.show({"deleted": [schedule_id]}, lambda: f"schedule {schedule_id!r} of {name!r} deleted")


@command(app, "clear", example="pushpool deployment schedule clear nightly --yes")
def clear(cli: Cli, name: DeploymentName, yes: Yes = False) -> None:
    """Delete all schedules of a deployment."""
    ids = [str(each["id"]) for each in cli.api.get("deployments", name)["schedules"]]
    cli.confirm(f"Delete all {len(ids)} schedules of deployment {name!r}?", yes=yes)
    for each in ids:
        cli.api.delete("deployments", name, "schedules", each)
    cli.show({"deleted": ids}, lambda: f"{len(ids)} schedules of {name!r} deleted")
