"""What is peculiar to the SQLite store: its locks, its limits, its query plans."""

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from adapters.stores.sqlite import SqliteStore
from adapters.stores.sqlite import runs as sqlite_runs
from dispatcher.errors import InvalidInput, StoreUnavailable
from dispatcher.ports import Record, RunFilter
from dispatcher.runs import StateType
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    make_admission,
    make_cursor,
    make_id,
    make_record,
    make_run,
    parked,
)
from dispatcher.testing.racing import admit_all, at_once

Open = Callable[..., SqliteStore]


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process in the middle of a write."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


def test_who_waits_too_long_for_another_process_is_told_to_try_again(path: Path, opened: Open) -> None:
    store = opened(wait_seconds=0.1)
    run = store.create_run(make_run())

    with locked(path):
        with pytest.raises(StoreUnavailable, match=f"^{path}: .*try again"):
            store.admit([make_admission(run)])
        assert store.get_run(run.id) == run

    store.admit([make_admission(run)])


def test_a_write_that_reads_first_waits_for_another_process_and_then_goes_on(path: Path, opened: Open) -> None:
    store = opened()
    run = store.create_run(make_run())
    waiting = threading.Event()

    def hold() -> None:
        with locked(path) as other:
            other.execute("UPDATE record SET version = 1")
            waiting.set()
            time.sleep(0.1)
            other.execute("COMMIT")

    thread = threading.Thread(target=hold)
    thread.start()
    waiting.wait(10)
    store.admit([make_admission(run)])
    thread.join()

    assert [entry.run_id for entry in store.active(POOL)] == [run.id]


def test_who_waits_too_long_for_another_thread_is_told_to_try_again(path: Path, opened: Open) -> None:
    store = opened(wait_seconds=0.1)
    waiting, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store._db.writing():
            waiting.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    waiting.wait(10)
    with pytest.raises(StoreUnavailable, match=f"^{path}: .*try again"):
        store.put(make_record())
    assert store.get("work-pool", "pool") is None
    done.set()
    thread.join()

    store.put(make_record())


def test_threads_that_come_and_go_share_their_connections(opened: Open) -> None:
    store = opened()

    for number in range(20):
        at_once([partial(store.put, make_record(key=f"{number}/{thread}")) for thread in range(4)])

    assert len(store._db._idle) <= 5


@pytest.mark.parametrize("text", ["\ud800", "a\udfff"])
def test_text_that_is_not_unicode_is_refused(opened: Open, text: str) -> None:
    store = opened()

    for call in (
        lambda: store.get("work-pool", text),
        lambda: store.put(Record("work-pool", text, {})),
        lambda: store.put(make_record(body=text)),
        lambda: store.create_run(make_run(name=text)),
        lambda: store.create_run(make_run(parameters={"a": text})),
        lambda: store.runs(RunFilter(deployment=text)),
    ):
        with pytest.raises(InvalidInput):
            call()

    assert store.runs(RunFilter()).items == ()


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_has_at_least_one_item(opened: Open, limit: int) -> None:
    store = opened()

    for call in (
        lambda: store.list("work-pool", limit=limit),
        lambda: store.due(POOL, "default", NOW, limit=limit),
        lambda: store.runs(RunFilter(), limit=limit),
    ):
        with pytest.raises(InvalidInput, match="limit"):
            call()


def test_a_mark_of_another_list_is_refused(opened: Open) -> None:
    store = opened()
    for key in ("a", "b"):
        store.create_run(make_run())
        store.put(make_record(key=key))
    of_due = store.due(POOL, "default", NOW, limit=1).after
    of_records = store.list("work-pool", limit=1).after

    for call in (
        lambda: store.runs(RunFilter(), after=of_due),
        lambda: store.due(POOL, "default", NOW, after=of_records, limit=1),
        lambda: store.list("work-pool", after=of_due),
    ):
        with pytest.raises(InvalidInput, match="after"):
            call()


def test_more_scheduled_runs_than_fit_one_commit_are_refused(opened: Open) -> None:
    store = opened()
    cursor = store.put_cursor(make_cursor())

    with pytest.raises(InvalidInput, match="20"):
        store.create_scheduled(cursor, [make_run() for _ in range(21)], None)

    assert store.get_cursor(cursor.schedule_id) == cursor


def test_a_scheduled_run_named_twice_is_made_once(opened: Open) -> None:
    store = opened()
    run = make_run()

    store.create_scheduled(store.put_cursor(make_cursor()), [run, run], None)

    assert store.runs(RunFilter()).items == (run,)


def test_of_four_processes_that_admit_50_runs_into_7_slots_none_goes_over(path: Path, opened: Open) -> None:
    store = opened()
    runs = [store.create_run(make_run()) for _ in range(50)]
    spawn = multiprocessing.get_context("spawn")

    with ProcessPoolExecutor(4, mp_context=spawn) as processes:
        work = [processes.submit(admit_all, partial(SqliteStore, str(path)), 7, seed) for seed in range(4)]
        tallies = [future.result(timeout=60) for future in work]

    assert Counter(run_id for tally in tallies for run_id in tally.admitted) == {run.id: 1 for run in runs}
    assert max(tally.most_held for tally in tallies) == 7
    assert not store.active(POOL)


def test_after_a_kill_every_run_agrees_with_its_slots(path: Path, opened: Open) -> None:
    store = opened()
    runs = [make_run() for _ in range(1000)]
    with store._db.writing() as db:
        for run in runs:
            sqlite_runs.insert(db, run)
    script = (
        "import sys; from adapters.stores.sqlite import SqliteStore\n"
        "from dispatcher.testing.racing import admit_all\n"
        "admit_all(lambda: SqliteStore(sys.argv[1]), 50, 1)"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, str(path)])
    while len(store.due(POOL, "default", NOW, limit=1000).items) > 960:
        time.sleep(0.01)
    worker.kill()
    worker.wait()

    found = store.get_runs([run.id for run in runs]).values()
    active = {run.id: run.slots for run in found if run.is_active}
    waiting = {run.id for run in found if run.state.type is StateType.SCHEDULED}
    assert {entry.run_id: entry.slots for entry in store.active(POOL)} == active
    assert {item.run_id for item in store.due(POOL, "default", NOW, limit=1000).items} == waiting
    assert {run.id for run in found if store.request(run.id, 1) is None} == waiting
    assert waiting
    admitted(store, make_run())


def plans(store: SqliteStore, call: Callable[[], object]) -> list[str]:
    """How SQLite goes about what `call` reads."""
    seen: list[str] = []
    with store._db.reading() as db:
        db.set_trace_callback(seen.append)
    call()
    with store._db.reading() as db:
        db.set_trace_callback(None)
        reads = [sql for sql in seen if sql.strip().startswith(("SELECT", "WITH"))]
        return [row[3] for sql in reads for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]


READS: dict[str, tuple[Callable[[SqliteStore], object], str]] = {
    "due": (lambda s: s.due(POOL, "q", NOW, limit=9), "COVERING INDEX run_due (pool=? AND queue=? AND due_at<?)"),
    "parked": (lambda s: s.parked(POOL), "COVERING INDEX run_parked (pool=? AND deployment_id>?)"),
    "parked runs": (
        lambda s: s.parked_runs(POOL, "d", limit=9),
        "COVERING INDEX run_parked (pool=? AND deployment_id=?)",
    ),
    "cursors": (lambda s: s.cursors_due(NOW, limit=9), "INDEX schedule_cursor_due (next_at<?)"),
    "outbox": (lambda s: s.outbox_due(POOL, NOW, limit=9), "INDEX outbox_due (pool=? AND due_at<?)"),
    "expired": (lambda s: s.purge(NOW, limit=9), "INDEX run_expiry (expires_at<?)"),
    "expired keys": (lambda s: s.purge(NOW, limit=9), "INDEX idempotency_key_expiry (keep_until<?)"),
    "records": (lambda s: s.list("k"), "INDEX sqlite_autoindex_record_1 (kind=?)"),
    "records of": (lambda s: s.list("k", parent="p"), "INDEX record_by_parent (kind=? AND parent=?)"),
    "active": (lambda s: s.active(POOL), "PRIMARY KEY (held_limit=?)"),
    "runs": (lambda s: s.runs(RunFilter()), "INDEX run_by_state (state=?)"),
    "runs since": (lambda s: s.runs(RunFilter(since=NOW)), "run_by_state (state=? AND scheduled_time>?)"),
    "runs in pool": (lambda s: s.runs(RunFilter(pool=POOL)), "INDEX run_by_pool (pool=? AND state=?)"),
    "runs in queue": (
        lambda s: s.runs(RunFilter(pool=POOL, queue="default")),
        "INDEX run_by_queue (pool=? AND queue=? AND state=?)",
    ),
    "runs of deployment": (
        lambda s: s.runs(RunFilter(deployment="d", types=frozenset({StateType.FAILED}))),
        "INDEX run_by_deployment (deployment=? AND state=?)",
    ),
}


@pytest.mark.parametrize("read", READS)
def test_what_is_read_is_read_from_its_index_in_its_order(opened: Open, read: str) -> None:
    store = opened()
    call, index = READS[read]

    steps = plans(store, lambda: call(store))

    assert any(index in step for step in steps), steps
    assert not [step for step in steps if step.startswith(("SCAN run", "SCAN record", "SCAN outbox", "SCAN slot"))]
    sorts = [step for step in steps if "TEMP B-TREE" in step]
    assert len(sorts) == (1 if read.startswith("runs") else 0)  # a page of runs is put in order once it is read


def test_what_is_due_costs_the_same_however_much_is_stored(opened: Open) -> None:
    store = opened()
    for _ in range(10):
        store.create_run(make_run())
    parked(store, make_run(deployment="parked"))
    few = cost_of_looking(store)

    with store._db.writing() as db:
        for number in range(5000):
            sqlite_runs.insert(db, make_run(due_in=timedelta(days=1 + number)))
            sqlite_runs.insert(db, make_run(deployment="parked", parked=True))

    assert cost_of_looking(store) < few + 20


def cost_of_looking(store: SqliteStore) -> int:
    """SQLite's steps for what a pass asks of a queue."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with store._db.reading() as db:
        db.set_progress_handler(count, 1)
    assert len(store.due(POOL, "default", NOW, limit=25).items) == 10
    assert list(store.parked(POOL)) == [make_id("parked")]
    assert len(store.parked_runs(POOL, make_id("parked"), limit=1)) == 1
    assert len(store.runs(RunFilter(), limit=1).items) == 1
    assert not store.purge(NOW, limit=10)
    with store._db.reading() as db:
        db.set_progress_handler(None, 1)
    return steps
