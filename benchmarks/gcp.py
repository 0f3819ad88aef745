"""`make bench-gcp`: what pushpool costs and does on Google Cloud, measured on this machine, with DESIGN's marks."""

from __future__ import annotations

import platform
import sys

from rich.console import Console
from rich.table import Table

from benchmarks import cloud_run, firestore, gcp_cold_start


def main() -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table("What", "Measured", "Mark", title="pushpool on Google Cloud, on this machine", title_justify="left")
    with console.status("measuring"), firestore.local() as bench:
        for rows in (gcp_cold_start.rows(), cloud_run.rows(), firestore.rows(bench)):
            for row in rows:
                table.add_row(row.what, row.measured, row.mark)
    console.print(table)
    console.print(f"Python {platform.python_version()}, the Firestore emulator of gcloud, {platform.platform()}")


if __name__ == "__main__":
    main()
