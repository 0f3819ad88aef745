"""`make bench-aws`: what pushpool costs and does on AWS, measured on this machine, with DESIGN's marks beside it."""

from __future__ import annotations

import platform
import sys

from rich.console import Console
from rich.table import Table

from adapters.stores.dynamodb import DynamoStore
from benchmarks import cold_start, dynamodb, ecs_rate


def main() -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table("What", "Measured", "Mark", title="pushpool on AWS, on this machine", title_justify="left")
    with console.status("measuring"), dynamodb.local() as bench:
        for rows in (cold_start.rows(), dynamodb.rows(bench), ecs_rate.rows(DynamoStore(bench.table()))):
            for row in rows:
                table.add_row(row.what, row.measured, row.mark)
    console.print(table)
    console.print(f"Python {platform.python_version()}, DynamoDB Local 1.25.1, {platform.platform()}")


if __name__ == "__main__":
    main()
