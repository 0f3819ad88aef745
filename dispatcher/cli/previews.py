"""What will fall due, and who holds the slots: of a pool or of one queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dispatcher.cli import output

if TYPE_CHECKING:
    from rich.table import Table

    from dispatcher.cli.client import Api
    from dispatcher.cli.commands import Cli

Json = dict[str, Any]


def coming(api: Api, pool: str | None, hours: int, queue: str | None = None) -> list[Json]:
    """Of the pool, or of all; the earliest first."""
    names = [pool] if pool is not None else [each["name"] for each in api.every("work-pools")]
    found = [
        {**item, "work_pool": name}
        for name in names
        for item in api.get("work-pools", name, "preview", hours=hours)["items"]
        if queue in (None, item["work_queue"])
    ]
    return sorted(found, key=lambda item: str(item["due_at"]))


def show_coming(cli: Cli, items: list[Json]) -> None:
    def drawn() -> Table | str:
        shown = output.table("Due", "Deployment", "Work pool", "Work queue", "State", "Run")
        found = (
            (
                output.when(item["due_at"]),
                item["deployment"],
                item["work_pool"],
                item["work_queue"],
                item["state_name"] or "",
                item["run_id"] or "",
            )
            for item in items
        )
        return output.rows(shown, found, empty="nothing will fall due by then")

    cli.show(items, drawn)


def show_slots(cli: Cli, slots: Json) -> None:
    def drawn() -> Table | str:
        title = f"{slots['active']} of {output.limit(slots['limit'])} in use"
        shown = output.table("Slot", "Work queue", "Deployment", "State", "Attempt", "Since", "Run", title=title)
        found = (
            (
                each["slot"],
                each["work_queue"],
                each["deployment"],
                each["state_name"] or "gone",
                each["attempt"],
                output.when(each["since"]),
                each["run_id"],
            )
            for each in slots["holders"]
        )
        return output.rows(shown, found, empty=f"no slot is held; the limit is {output.limit(slots['limit'])}")

    cli.show(slots, drawn)
