"""`pushpool doctor`: whether everything is there that pools need, without starting anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from dispatcher.cli.commands import Cli, Failed
from dispatcher.cli.options import arg
from dispatcher.errors import PushpoolError

if TYPE_CHECKING:
    from rich.table import Table

Json = dict[str, Any]

UNCHECKED = "not checked"  # begins what is said of a check that could not be made


def doctor(cli: Cli, pool: Annotated[str | None, arg(metavar="POOL", help="This work pool alone.")] = None) -> None:
    """Check what each work pool needs.

    With the credentials of this machine, and without starting anything. Exit 1 if a check fails.
    """
    health = cli.api.get("health")
    found = [_check("", "API and store", True, f"version {health['version']}")]
    pools = [cli.api.get("work-pools", pool)] if pool is not None else list(cli.api.every("work-pools"))
    for each in pools:
        found += _of_pool(each)
    cli.show(found, lambda: _table(found))
    if not all(each["passed"] for each in found):
        raise Failed


def _of_pool(pool: Json) -> list[Json]:
    from dispatcher import job_templates, wiring
    from dispatcher import settings as environment

    name = pool["name"]
    try:
        infrastructure = wiring.infrastructures(environment.read())(pool["type"])
        configuration = job_templates.resolve_configuration(pool["base_job_template"], pool["variables"], environ={})
        # A pool need not have a command: deployments bring theirs.
        found = infrastructure.diagnose({**configuration, "command": configuration["command"] or "true"})
    except PushpoolError as exc:
        return [_check(name, pool["type"], False, str(exc))]
    away = pool["unavailable"]
    available = [_check(name, "available", False, f"{away['reason']}; `work-pool resume` tries again")] if away else []
    return [*(_check(name, what, passed, advice) for what, passed, advice in found), *available]


def _check(pool: str, what: str, passed: bool, advice: str) -> Json:
    return {"pool": pool, "check": what, "passed": passed, "advice": advice}


def _table(found: list[Json]) -> Table | str:
    from rich.text import Text

    from dispatcher.cli import output

    shown = output.table("Work pool", "Check", "Result", "What to do")
    rows = ((each["pool"], each["check"], Text(*_result(each)), _words(each)) for each in found)
    return output.rows(shown, rows, empty="nothing to check")


def _result(check: Json) -> tuple[str, str]:
    if not check["passed"]:
        return "failed", "red"
    return (UNCHECKED, "yellow") if check["advice"].startswith(UNCHECKED) else ("passed", "green")


def _words(check: Json) -> str:
    words: str = check["advice"]
    if words.startswith(UNCHECKED):
        return words.removeprefix(UNCHECKED).removeprefix(": ")
    return "" if check["passed"] else words
