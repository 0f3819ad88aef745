"""The due query's cost depends on what is due, not on what is stored."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from adapters.stores.sqlite import open_store
from benchmarks.bench import Row, timed
from dispatcher.runs import Name
from dispatcher.testing.builders import NOW, POOL, make_run

SIZES = (100, 10_000, 1_000_000)


def rows() -> Iterator[Row]:
    for stored in SIZES:
        with tempfile.TemporaryDirectory(prefix="pushpool-bench-") as folder:
            path = Path(folder) / "bench.db"
            store = open_store(str(path))
            store.create_run(make_run(state=Name.COMPLETED))
            _multiply(path, stored)
            for _ in range(10):
                store.create_run(make_run())
            times = [timed(lambda s=store: s.due(POOL, "default", NOW, limit=100)) for _ in range(200)]  # type: ignore[misc]
            found = len(store.due(POOL, "default", NOW, limit=100).items)
            yield Row(
                f"due query, {found} due of {stored:,} stored", f"{statistics.median(times) * 1000:.3f} ms", "flat"
            )


def _multiply(path: Path, wanted: int) -> None:
    """Copies of the one run, half of them waiting for a far date, so that the due index is full too."""
    far = int((NOW + timedelta(days=365)).timestamp() * 1_000_000)
    with sqlite3.connect(path) as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(run)")]
        new = {
            "seq": "NULL",
            "id": "printf('%08x-0000-4000-8000-000000000000', n)",
            "state": "iif(n % 2, 'SCHEDULED', state)",
            "due_at": f"{far} + n",
        }
        chosen = ", ".join(new.get(name, name) for name in columns)
        db.execute(
            f"WITH RECURSIVE many(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM many WHERE n < ?)"
            f" INSERT INTO run SELECT {chosen} FROM run, many WHERE run.seq = 1",
            [wanted],
        )
