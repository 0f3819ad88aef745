"""`make bench`: every figure in one table, with DESIGN's mark beside it."""

from __future__ import annotations

import sqlite3
from itertools import chain

from benchmarks import due_query, footprint, passes
from benchmarks.bench import shown


def main() -> None:
    rows = chain(due_query.rows(), passes.rows(), footprint.rows())
    shown("pushpool", rows, on=f"SQLite {sqlite3.sqlite_version}", width=120)


if __name__ == "__main__":
    main()
