"""`make bench`: every figure in one table, with DESIGN's mark beside it."""

from __future__ import annotations

import platform
import sqlite3
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import due_query, footprint, passes


def main() -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("What", "Measured", "Mark", title="pushpool, on this machine", title_justify="left")
    for module in (due_query, passes, footprint):
        with console.status(module.__name__):
            for row in module.rows():
                table.add_row(row.what, row.measured, row.mark)
    console.print(table)
    console.print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.platform()}")


if __name__ == "__main__":
    main()
