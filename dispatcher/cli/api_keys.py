"""`pushpool api-key`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dispatcher.cli import inputs
from dispatcher.cli.commands import Cli, command, noun
from dispatcher.cli.options import Yes, arg, opt

if TYPE_CHECKING:
    from rich.table import Table

app = noun("API keys: who may do what.")


class Scope(StrEnum):
    """As the API has them; each holds those before it."""

    READ = "read"
    RUN = "run"
    ADMIN = "admin"


@command(app, "create", example="pushpool api-key create ci --scope run --expires-in '90 days'")
def create(
    cli: Cli,
    name: Annotated[str, arg(metavar="NAME", help="What it is for.")],
    scope: Annotated[Scope, typer.Option("--scope", help="What it may do; each holds those before it.")] = Scope.RUN,
    expires_in: Annotated[str | None, opt("--expires-in", metavar="DURATION", help="Default: never.")] = None,
) -> None:
    """Create an API key. It is shown this once."""
    body: dict[str, Any] = {"name": name, "scope": scope}
    if expires_in is not None:
        life = timedelta(seconds=inputs.seconds(expires_in, "--expires-in"))
        body["expires"] = (datetime.now(UTC) + life).isoformat()
    made = cli.api.post("api-keys", body=body)
    cli.show(made, lambda: f"API key {made['id']} with the scope {made['scope']}, shown this once:\n{made['key']}")


@command(app, "ls", example="pushpool api-key ls")
def ls(cli: Cli) -> None:
    """List API keys, never the keys themselves."""
    keys = list(cli.api.every("api-keys"))
    cli.show(keys, lambda: _table(keys))


def _table(keys: list[dict[str, Any]]) -> Table | str:
    from dispatcher.cli import output

    dates = ("created", "expires", "revoked")
    shown = output.table("Id", "Name", "Scope", "Created", "Expires", "Revoked")
    found = ((each["id"], each["name"], each["scope"], *(output.when(each[key]) for key in dates)) for each in keys)
    return output.rows(shown, found, empty="no API keys")


@command(app, "revoke", example="pushpool api-key revoke 3f9a1c --yes")
def revoke(cli: Cli, key_id: Annotated[str, arg(metavar="ID", help="The key's id.")], yes: Yes = False) -> None:
    """Revoke an API key: it opens nothing from now on."""
    cli.confirm(f"Revoke API key {key_id}?", yes=yes)
    gone = cli.api.delete("api-keys", key_id)
    cli.show(gone, lambda: f"API key {gone['id']} ({gone['name']}) revoked")
