"""`pushpool flow-run`."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli import inputs
from dispatcher.cli.commands import Cli, command, noun
from dispatcher.cli.options import Deployment, PoolFilter, QueueFilter, RunId, Since, Tags, Until, Yes, arg, opt

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

app = noun("Flow runs: listed, followed, cancelled, retried.")

Json = dict[str, Any]
StateTypes = Annotated[list[str] | None, opt("--state-type", help="Such as RUNNING; may be repeated.")]
PAGE = 200


@command(app, "ls", example="pushpool flow-run ls --state Late --limit 50")
def ls(
    cli: Cli,
    *,
    deployment: Deployment = None,
    pool: PoolFilter = None,
    work_queue: QueueFilter = None,
    state: Annotated[list[str] | None, opt("--state", help="Such as Late; may be repeated.")] = None,
    state_type: StateTypes = None,
    tag: Tags = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="How many.")] = 15,
) -> None:
    """List runs, the latest first."""
    show_runs(
        cli,
        limit,
        deployment=deployment,
        pool=pool,
        queue=work_queue,
        state=[*_states(state), *(word.upper() for word in state_type or ())],
        tag=tag,
        since=_time(since, "--since"),
        until=_time(until, "--until"),
    )


def _states(words: list[str] | None) -> list[str]:
    """As Prefect does, `late` and `LATE` are taken for `Late`."""
    from dispatcher.runs import Name

    spelled = {name.lower(): str(name) for name in Name}
    return [spelled.get(word.lower(), word) for word in words or ()]


def _time(text: str | None, option: str) -> str | None:
    return inputs.instant(text, option).isoformat() if text is not None else None


def show_runs(cli: Cli, limit: int, **wanted: Any) -> None:
    found = list(islice(cli.api.every("runs", limit=min(limit, PAGE), **wanted), limit))
    cli.show(found, lambda: _table(found))


def _table(runs: list[Json]) -> Table | str:
    from dispatcher.cli import output

    shown = output.table("Id", "Name", "Deployment", "Work queue", "State", "Scheduled", "Took", "Exit", "Attempt")
    found = (
        (
            each["id"],
            each["name"],
            each["deployment"],
            f"{each['work_pool']}/{each['work_queue']}",
            output.state(each["state_type"], each["state_name"]),
            output.when(each["scheduled_time"]),
            output.took(each["started"], each["ended"]),
            each["exit_code"],
            each["attempt"],
        )
        for each in runs
    )
    return output.rows(shown, found, empty="no runs")


@command(app, "inspect", example="pushpool flow-run inspect 6f1e2a34-5b6c-4d7e-8f90-a1b2c3d4e5f6")
def inspect(cli: Cli, run_id: RunId) -> None:
    """Show a run: why it waits, its attempts and its history."""
    run = cli.api.get("runs", run_id)
    cli.show(run, lambda: _details(run))


def _details(run: Json) -> RenderableType:
    from rich.console import Group

    from dispatcher.cli import output

    plain = ("parameters", "job_variables", "idempotency_key", "exit_code", "attempt", "retries_used")
    facts = output.details(
        [
            ("id", run["id"]),
            ("name", run["name"]),
            ("deployment", run["deployment"]),
            ("work pool", run["work_pool"]),
            ("work queue", run["work_queue"]),
            ("state", output.state(run["state_type"], run["state_name"])),
            ("message", run["state_message"]),
            ("waits for", run["waits_for"]),
            ("scheduled", output.when(run["scheduled_time"])),
            ("due", output.when(run["due_at"]) if run["due_at"] != run["scheduled_time"] else None),
            ("started", output.when(run["started"])),
            ("ended", output.when(run["ended"])),
            ("took", output.took(run["started"], run["ended"])),
            *((key.replace("_", " "), run[key]) for key in plain),
            ("tags", ", ".join(run["tags"])),
            *(run["links"].items()),
            ("handle", run["attempts"][-1]["handle"] if run["attempts"] else None),
        ]
    )
    return Group(facts, "", _history(run))


def _history(run: Json) -> Table:
    from rich.text import Text

    from dispatcher.cli import output

    shown = output.table("When", "State", "Message", title="History")
    for each in run["history"]:
        shown.add_row(output.when(each["at"]), output.state(each["type"], each["name"]), Text(each["message"]))
    return shown


@command(app, "cancel", example="pushpool flow-run cancel --deployment nightly --state-type SCHEDULED --yes")
def cancel(
    cli: Cli,
    run_id: Annotated[str | None, arg(metavar="ID", help="The run's id; or say which by options.")] = None,
    *,
    deployment: Deployment = None,
    pool: PoolFilter = None,
    work_queue: QueueFilter = None,
    state_type: StateTypes = None,
    tag: Tags = None,
    since: Since = None,
    until: Until = None,
    message: Annotated[str, opt("--message", help="Why; of a single run.")] = "",
    yes: Yes = False,
) -> None:
    """Cancel a run, or every unfinished run that the options say."""
    said = {
        "deployment": deployment,
        "pool": pool,
        "queue": work_queue,
        "types": [word.upper() for word in state_type or ()],
        "tags": tag,
        "since": _time(since, "--since"),
        "until": _time(until, "--until"),
    }
    wanted = {key: value for key, value in said.items() if value}
    if (run_id is None) is not bool(wanted):
        raise typer.BadParameter("give one ID, or say which runs by options")
    if run_id is None:
        _cancel_matching(cli, wanted, yes=yes)
        return
    run = cli.api.post("runs", run_id, "cancel", body={"message": message})
    cli.show(run, lambda: f"run {run['name']!r} is {run['state_name']}")


def _cancel_matching(cli: Cli, wanted: Json, *, yes: bool) -> None:
    spoken = ", ".join(
        f"{key} {value if isinstance(value, str) else ' or '.join(value)}" for key, value in wanted.items()
    )
    cli.confirm(f"Cancel every unfinished run of {spoken}?", yes=yes)
    cancelled, more = 0, True
    while more:
        answer = cli.api.post("runs", "cancel", body=wanted)
        cancelled, more = cancelled + answer["cancelled"], answer["more"]
    cli.show({"cancelled": cancelled}, lambda: f"{cancelled} runs cancelled or told to stop")


@command(app, "delete", example="pushpool flow-run delete 6f1e2a34-5b6c-4d7e-8f90-a1b2c3d4e5f6 --yes")
def delete(cli: Cli, run_ids: Annotated[list[str], arg(metavar="ID", help="The runs' ids.")], yes: Yes = False) -> None:
    """Delete runs that have ended or were never started."""
    cli.confirm(f"Delete {len(run_ids)} runs?" if len(run_ids) > 1 else f"Delete run {run_ids[0]}?", yes=yes)
    for run_id in run_ids:
        cli.api.delete("runs", run_id)
    cli.show({"deleted": run_ids}, lambda: "\n".join(f"run {each} deleted" for each in run_ids))


@command(app, "retry", example="pushpool flow-run retry 6f1e2a34-5b6c-4d7e-8f90-a1b2c3d4e5f6")
def retry(cli: Cli, run_id: RunId) -> None:
    """Run a finished run again, as a new attempt."""
    run = cli.api.post("runs", run_id, "retry")
    cli.show(run, lambda: f"run {run['name']!r} is {run['state_name']}, attempt {run['attempt']}")


@command(app, "logs", example="pushpool flow-run logs 6f1e2a34-5b6c-4d7e-8f90-a1b2c3d4e5f6 --tail -n 50")
def logs(
    cli: Cli,
    run_id: RunId,
    *,
    head: Annotated[bool, opt("--head", "-h", help="The first lines; 20 without -n.")] = False,
    tail: Annotated[bool, opt("--tail", "-t", help="The last lines; 20 without -n.")] = False,
    num_logs: Annotated[int | None, opt("--num-logs", "-n", min=1, help="How many lines.")] = None,
    reverse: Annotated[bool, opt("--reverse", "-r", help="The last line first.")] = False,
    attempt: Annotated[int | None, opt("--attempt", min=1, help="Default: the last.")] = None,
) -> None:
    """Print an attempt's output, or say where it is kept."""
    if head and tail:
        raise typer.BadParameter("give one of --head and --tail")
    found = cli.api.get("runs", run_id, "logs", attempt=attempt)
    if found["text"] is None:
        cli.show(found, lambda: str(found["message"]))
        return
    lines = found["text"].splitlines()
    if head or tail or num_logs:
        number = num_logs or 20
        lines = lines[-number:] if tail else lines[:number]
    text = "\n".join(reversed(lines) if reverse else lines)
    if found["message"]:
        cli.say(found["message"])
    cli.show({**found, "text": text}, lambda: text)


@command(app, "watch", example="pushpool flow-run watch 6f1e2a34-5b6c-4d7e-8f90-a1b2c3d4e5f6 --timeout 600")
def watch(
    cli: Cli,
    run_id: RunId,
    timeout: Annotated[float | None, opt("--timeout", min=0, help="Seconds to watch at most.")] = None,
    interval: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 0.5,
) -> None:
    """Follow a run to its end; exit 1 if it did not complete."""
    from dispatcher.cli.watching import watch_to_the_end

    watch_to_the_end(cli, cli.api.get("runs", run_id), interval=interval, timeout=timeout)
