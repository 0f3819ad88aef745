"""`pushpool apply`: read the file, show the plan, take its steps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from dispatcher.cli.commands import Cli
from dispatcher.cli.options import Yes, opt
from dispatcher.errors import InvalidInput

if TYPE_CHECKING:
    from rich.text import Text

    from dispatcher.apply import Current, Difference, Step
    from dispatcher.cli.client import Api
    from dispatcher.files import PushpoolFile

File = Annotated[Path, opt("--file", "-f", metavar="PATH", help="Default: pushpool.yaml.")]
Prune = Annotated[bool, opt("--prune", help="Delete what is not in the file.")]
DryRun = Annotated[bool, opt("--dry-run", help="Show the plan, and do nothing.")]

_DONE = {"create": "created", "change": "changed", "delete": "deleted", "unchanged": "unchanged"}
_STYLES = {"create": "green", "change": "yellow", "delete": "red", "unchanged": "dim"}
_SIGNS = {"create": "+", "change": "~", "delete": "-", "unchanged": " "}


def apply(
    cli: Cli, *, file: File = Path("pushpool.yaml"), prune: Prune = False, dry_run: DryRun = False, yes: Yes = False
) -> None:
    """Make the server what a file says.

    Shows a plan of work pools, queues and deployments, and takes its steps. Applying twice changes nothing.
    """
    from dispatcher.apply import Action, plan

    read = _read(file, cli.api)
    current = _current(cli.api, read)
    steps = plan(read, current, prune=prune)
    if not cli.json:
        _draw(steps, dry_run=dry_run)
    deletions = [step for step in steps if step.action is Action.DELETE]
    if not dry_run:
        if deletions:
            cli.confirm(f"Delete {len(deletions)} of them?", yes=yes)
        _take(cli, read, steps)
    if cli.json:
        cli.print_json({"dry_run": dry_run, "steps": [_as_json(step) for step in steps]})


def _read(path: Path, api: Api) -> PushpoolFile:
    from dispatcher import files

    def known_pools() -> list[str]:
        return [str(pool["name"]) for pool in api.every("work-pools")]

    def check_type(kind: str) -> None:
        from dispatcher.cli.client import Refused

        try:
            api.get("templates", kind)
        except Refused as exc:
            if exc.status != 404:
                raise
            raise InvalidInput(str(exc), path="type") from exc

    return files.read(path, known_pools=known_pools, check_type=check_type)


def _current(api: Api, file: PushpoolFile) -> Current:
    """What of the server has a say: all of it, since the file may name any of it and --prune needs the rest."""
    from dispatcher.apply import Current

    pools = {str(pool["name"]): pool for pool in api.every("work-pools")}
    queues = {
        (name, str(queue["name"])): queue for name in pools for queue in api.get("work-pools", name, "queues")["items"]
    }
    wanted = {form.type for form in file.pools.values() if form.base_job_template is None}
    return Current(
        pools=pools,
        queues=queues,
        deployments={str(each["name"]): each for each in api.every("deployments")},
        templates={kind: api.get("templates", kind)["base_job_template"] for kind in sorted(wanted)},
    )


def _draw(steps: list[Step], *, dry_run: bool) -> None:
    from rich.text import Text

    from dispatcher.cli.output import console

    target = console()
    for step in steps:
        style = _STYLES[step.action]
        target.print(Text(f"{_SIGNS[step.action]} {step}: {step.action}{_again(step)}", style=style))
        for difference in step.differences:
            target.print(_line(difference))
    counts = {action: sum(step.action == action for step in steps) for action in _DONE}
    told = ", ".join(f"{number} to {action}" for action, number in counts.items() if action != "unchanged" and number)
    rest = f"{counts['unchanged']} unchanged"
    target.print(Text(f"{'dry run: ' if dry_run else ''}{told or 'nothing to do'}, {rest}", style="bold"))


def _again(step: Step) -> str:
    return " (sent again, to be sure)" if step.again else ""


def _line(difference: Difference) -> Text:
    from rich.text import Text

    return Text(f"    {difference.path}: {_short(difference.old)} → {_short(difference.new)}")


def _short(value: Any) -> str:
    import json

    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}…"


def _take(cli: Cli, file: PushpoolFile, steps: Iterable[Step]) -> None:
    """One by one; the first that is refused ends it, and says where in the file."""
    from dispatcher.apply import Action
    from dispatcher.cli.client import Refused

    for step in steps:
        if not step.is_sent:
            continue
        try:
            if step.action is Action.DELETE:
                cli.api.delete(*_path(step))
            else:
                cli.api.put(*_path(step), body=step.body)
        except Refused as exc:
            if step.action is Action.DELETE:
                raise
            path = str(exc.errors[0].get("path", "")) if exc.errors else ""
            raise file.problem(_place(step), str(exc), path) from exc


def _path(step: Step) -> tuple[str, ...]:
    if step.pool:
        return ("work-pools", step.pool, "queues", step.name)
    return ("work-pools" if step.kind == "work pool" else "deployments", step.name)


def _place(step: Step) -> tuple[str, ...]:
    if step.pool:
        return ("work_pools", step.pool, "queues", step.name)
    return ("work_pools" if step.kind == "work pool" else "deployments", step.name)


def _as_json(step: Step) -> dict[str, Any]:
    return {
        "action": str(step.action),
        "kind": str(step.kind),
        "name": step.name,
        **({"pool": step.pool} if step.pool else {}),
        "differences": [{"path": each.path, "old": each.old, "new": each.new} for each in step.differences],
    }
