"""`pushpool work-queue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli.commands import Cli, command, noun
from dispatcher.cli.options import Description, Force, Hours, Limit, Pool, QueueName, Yes, opt
from dispatcher.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from rich.table import Table

    from dispatcher.cli.client import Api

app = noun("Work queues: lanes of a work pool, served by priority.")

FORM = ("description", "priority", "concurrency_limit", "paused")

NewLimit = Annotated[int | None, opt("--limit", "-l", min=0, help="How many at once.")]
Priority = Annotated[
    int | None,
    opt("--priority", "-q", min=1, help="Lower is served first. Default: the first free."),
]


def pool_or_only(api: Api, pool: str | None) -> str:
    """The pool that was named, or the only one there is. :raises InvalidInput: there are others."""
    if pool is not None:
        return pool
    names = [each["name"] for each in api.every("work-pools")]
    if len(names) == 1:
        return str(names[0])
    raise InvalidInput(f"say which work pool with --pool; there are: {', '.join(names)}" if names else "no work pools")


@command(app, "create", example="pushpool work-queue create high --pool laptop --priority 1 --limit 3")
def create(
    cli: Cli,
    name: QueueName,
    *,
    pool: Pool = None,
    limit: NewLimit = None,
    priority: Priority = None,
    description: Description = None,
) -> None:
    """Create a work queue. A priority that is taken pushes the others down."""
    where = pool_or_only(cli.api, pool)
    if cli.api.find("work-pools", where, "queues", name) is not None:
        raise Conflict(f"work queue {name!r} of {where!r} exists; change it with `work-queue update`")
    _put(cli, where, name, {"concurrency_limit": limit, "priority": priority, "description": description})


@command(app, "update", example="pushpool work-queue update high --pool laptop --priority 2")
def update(
    cli: Cli,
    name: QueueName,
    *,
    pool: Pool = None,
    limit: NewLimit = None,
    priority: Priority = None,
    description: Description = None,
) -> None:
    """Change what is given, and leave the rest as it is."""
    said = {"concurrency_limit": limit, "priority": priority, "description": description}
    if all(value is None for value in said.values()):
        raise typer.BadParameter("nothing to change; give one of the options")
    where = pool_or_only(cli.api, pool)
    _put(cli, where, name, _form(cli.api.get("work-pools", where, "queues", name)) | _given(said))


def _form(queue: dict[str, Any]) -> dict[str, Any]:
    return {key: queue[key] for key in FORM if key != "paused"}


def _given(said: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if value is not None}


def _put(cli: Cli, pool: str, name: str, body: dict[str, Any]) -> None:
    kept = {key: value for key, value in body.items() if value is not None}
    answer = cli.api.put("work-pools", pool, "queues", name, body=kept)
    cli.show(answer, lambda: f"work queue {name!r} of {pool!r} {answer['change']}")


@command(app, "ls", example="pushpool work-queue ls --pool laptop")
def ls(
    cli: Cli,
    pool: Annotated[str | None, opt("--pool", "-p", help="Of this pool alone.")] = None,
    match: Annotated[str | None, opt("--match", "-m", metavar="PREFIX", help="Names that begin so.")] = None,
) -> None:  # fmt: skip
    """List work queues, the first to be served first."""
    pools = [pool] if pool is not None else [each["name"] for each in cli.api.every("work-pools")]
    queues = [
        queue
        for name in pools
        for queue in cli.api.get("work-pools", name, "queues")["items"]
        if queue["name"].startswith(match or "")
    ]
    cli.show(queues, lambda: _table(queues))


def _table(queues: list[dict[str, Any]]) -> Table | str:
    from dispatcher.cli import output

    shown = output.table("Work pool", "Name", "Priority", "Status", "Active", "Limit", "Description")
    found = (
        (
            queue["pool"],
            queue["name"],
            queue["priority"],
            output.status(queue["status"]),
            queue["active_slots"],
            output.limit(queue["concurrency_limit"]),
            queue["description"],
        )
        for queue in queues
    )
    return output.rows(shown, found, empty="no work queues")


@command(app, "inspect", example="pushpool work-queue inspect high --pool laptop")
def inspect(cli: Cli, name: QueueName, pool: Pool = None) -> None:
    """Show a work queue."""
    queue = cli.api.get("work-pools", pool_or_only(cli.api, pool), "queues", name)
    cli.show(queue, lambda: _details(queue))


def _details(queue: dict[str, Any]) -> Table:
    from dispatcher.cli import output

    return output.details(
        [
            ("name", queue["name"]),
            ("work pool", queue["pool"]),
            ("description", queue["description"]),
            ("status", output.status(queue["status"])),
            ("priority", queue["priority"]),
            ("active slots", f"{queue['active_slots']} of {output.limit(queue['concurrency_limit'])}"),
            ("late runs", queue["late"]),
            ("created", output.when(queue["created"])),
            ("updated", output.when(queue["updated"])),
        ]
    )


@command(app, "preview", example="pushpool work-queue preview high --pool laptop --hours 12")
def preview(cli: Cli, name: QueueName, pool: Pool = None, hours: Hours = 1) -> None:
    """List what will fall due."""
    from dispatcher.cli.previews import coming, show_coming

    where = pool_or_only(cli.api, pool)
    cli.api.get("work-pools", where, "queues", name)
    show_coming(cli, coming(cli.api, where, hours, name))


@command(app, "pause", example="pushpool work-queue pause high --pool laptop")
def pause(cli: Cli, name: QueueName, pool: Pool = None) -> None:
    """Admit no more runs of the queue; what was admitted goes on."""
    _act(cli, pool, name, "pause", "paused")


@command(app, "resume", example="pushpool work-queue resume high --pool laptop")
def resume(cli: Cli, name: QueueName, pool: Pool = None) -> None:
    """Admit runs of the queue again."""
    _act(cli, pool, name, "resume", "resumed")


def _act(cli: Cli, pool: str | None, name: str, what: str, done: str) -> None:
    where = pool_or_only(cli.api, pool)
    answer = cli.api.post("work-pools", where, "queues", name, what)
    cli.show(answer, lambda: f"work queue {name!r} of {where!r} {done}")


@command(app, "delete", example="pushpool work-queue delete high --pool laptop --yes")
def delete(cli: Cli, name: QueueName, pool: Pool = None, force: Force = False, yes: Yes = False) -> None:
    """Delete a work queue. With --force its runs and deployments move to the default queue."""
    where = pool_or_only(cli.api, pool)
    cli.confirm(f"Delete work queue {name!r} of {where!r}?", yes=yes)
    cli.api.delete("work-pools", where, "queues", name, force=force)
    cli.show({"deleted": name, "pool": where}, lambda: f"work queue {name!r} of {where!r} deleted")


@command(app, "set-concurrency-limit", example="pushpool work-queue set-concurrency-limit high 3 --pool laptop")
def set_concurrency_limit(cli: Cli, name: QueueName, limit: Limit, pool: Pool = None) -> None:
    """Set how many runs of the queue may be active at once."""
    where = pool_or_only(cli.api, pool)
    queue = cli.api.get("work-pools", where, "queues", name)
    _put(cli, where, name, _form(queue) | {"concurrency_limit": limit})


@command(app, "clear-concurrency-limit", example="pushpool work-queue clear-concurrency-limit high --pool laptop")
def clear_concurrency_limit(cli: Cli, name: QueueName, pool: Pool = None) -> None:
    """Let any number of runs of the queue be active at once, within the pool's limit."""
    where = pool_or_only(cli.api, pool)
    queue = cli.api.get("work-pools", where, "queues", name)
    _put(cli, where, name, _form(queue) | {"concurrency_limit": None})


@command(app, "read-runs", example="pushpool work-queue read-runs high --pool laptop")
def read_runs(
    cli: Cli,
    name: QueueName,
    pool: Pool = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="How many.")] = 15,
) -> None:
    """List the runs of the queue, the latest first."""
    from dispatcher.cli.flow_runs import show_runs

    where = pool_or_only(cli.api, pool)
    cli.api.get("work-pools", where, "queues", name)
    show_runs(cli, limit, pool=where, queue=name)


@command(app, "slots", example="pushpool work-queue slots high --pool laptop")
def slots(cli: Cli, name: QueueName, pool: Pool = None) -> None:
    """Show who holds the queue's slots."""
    from dispatcher.cli.previews import show_slots
    from dispatcher.cli.work_pools import slots_of

    where = pool_or_only(cli.api, pool)
    cli.api.get("work-pools", where, "queues", name)
    show_slots(cli, slots_of(cli.api, where, name))
