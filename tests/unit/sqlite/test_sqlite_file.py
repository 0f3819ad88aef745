"""What is peculiar to the SQLite store: its file."""

import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from adapters.stores.sqlite import SqliteStore, open_store, schema
from dispatcher.errors import InvalidInput, StoreUnavailable, StoreUnusable
from dispatcher.testing.builders import (
    NOW,
    POOL,
    admitted,
    end,
    make_outbox_entry,
    make_record,
    make_run,
    start,
)
from dispatcher.testing.racing import at_once

Open = Callable[..., SqliteStore]


@contextmanager
def unprivileged() -> Iterator[None]:
    """File modes do not stop root; become nobody meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process in the middle of a write."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_only_its_owner_may_read_the_file_and_its_log(path: Path, opened: Open) -> None:
    opened().put(make_record())

    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert modes == {"runs.db": 0o600, "runs.db-wal": 0o600, "runs.db-shm": 0o600}


def test_what_was_committed_is_there_when_the_file_is_opened_again(opened: Open) -> None:
    first = opened()
    run = admitted(first, make_run())
    first.close()

    assert opened().get_run(run.id) == run


def test_a_file_is_in_wal_mode_and_synced_with_every_commit(opened: Open) -> None:
    with opened()._db.reading() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_copy_that_lost_its_wal_mode_gets_it_back(path: Path, opened: Open) -> None:
    opened().close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = DELETE")
    db.close()

    with opened()._db.reading() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_empty_file_becomes_a_store(path: Path, opened: Open) -> None:
    path.touch()

    assert opened().get("work-pool", "pool") is None


@pytest.mark.parametrize("prefix", ["", "sqlite:", "sqlite://"])
def test_a_store_is_opened_by_its_path_or_url(path: Path, prefix: str) -> None:
    store = open_store(f"{prefix}{path}")
    store.close()

    assert path.exists()


@pytest.mark.parametrize("url", ["", "sqlite:", "sqlite://"])
def test_a_url_without_a_path_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="sqlite:///"):
        open_store(url)


def test_a_path_may_hold_what_a_url_would_have_to_escape(tmp_path: Path) -> None:
    path = tmp_path / "what? 100% #1.db"

    SqliteStore(str(path)).close()

    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"there is no directory .*/missing; create it"):
        SqliteStore(str(tmp_path / "missing" / "runs.db"))

    assert not list(tmp_path.iterdir())


def test_a_directory_is_not_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="a directory; name a file in it"):
        SqliteStore(str(tmp_path))


def test_a_file_that_is_no_database_is_left_as_it_was(path: Path) -> None:
    path.write_text("once upon a time\n" * 1000)
    before = contents(path.parent)

    with pytest.raises(StoreUnusable, match=f"^{path}: not a pushpool store.*name another file"):
        SqliteStore(str(path))

    assert contents(path.parent) == before


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs (a)", "PRAGMA application_id = 7"])
def test_another_programs_database_is_left_as_it_was(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
    before = contents(path.parent)

    with pytest.raises(StoreUnusable, match=f"^{path}: .*another program's database; name another file"):
        SqliteStore(str(path))

    assert contents(path.parent) == before


def test_a_file_of_a_newer_version_is_left_as_it_was(path: Path, opened: Open) -> None:
    opened().close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    db.close()
    before = contents(path.parent)

    with pytest.raises(StoreUnusable, match=f"^{path}: its schema version is 2, .* knows 1; upgrade pushpool"):
        SqliteStore(str(path))

    assert contents(path.parent) == before


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody may enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    SqliteStore(str(folder / "runs.db")).close()
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_file_is_said_to_be_so(open_folder: Path) -> None:
    path = open_folder / "runs.db"
    open_folder.chmod(0o777)
    path.chmod(0o444)

    with unprivileged(), pytest.raises(StoreUnusable, match=f"^{path}: read-only.*make it and its directory writable"):
        SqliteStore(str(path))


def test_a_file_in_a_read_only_directory_is_unusable(open_folder: Path) -> None:
    path = open_folder / "runs.db"
    path.chmod(0o666)
    open_folder.chmod(0o555)
    before = contents(open_folder)

    with unprivileged(), pytest.raises(StoreUnusable, match=f"^{path}: .*writable"):
        SqliteStore(str(path))

    assert contents(open_folder) == before


def test_a_file_cannot_be_made_in_a_read_only_directory(open_folder: Path) -> None:
    open_folder.chmod(0o555)

    with unprivileged(), pytest.raises(StoreUnusable, match=r"cannot be created .*name a file in a writable"):
        SqliteStore(str(open_folder / "new.db"))


def test_a_file_that_nobody_may_read_is_unusable(open_folder: Path) -> None:
    path = open_folder / "runs.db"
    path.chmod(0)

    with unprivileged(), pytest.raises(StoreUnusable, match=f"^{path}: cannot be opened"):
        SqliteStore(str(path))


def test_a_full_disk_is_said_to_be_so_and_nothing_is_half_written(path: Path, opened: Open) -> None:
    store = opened()
    run = admitted(store, make_run(), queue_slot="0")
    with store._db.reading() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
    large = make_outbox_entry(body={"text": "x" * 100_000})

    with pytest.raises(StoreUnusable, match=f"^{path}: the disk is full; free some space"):
        store.move(end(run, outbox=[make_outbox_entry(), large]))

    assert store.get_run(run.id) == run
    assert store.held("queue/pool/default") == {"0": run.id}
    assert not store.outbox_due(POOL, NOW, limit=10)
    store.move(start(run))  # the limit was the connection's, and that one is not used again


def test_a_damaged_file_is_said_to_be_so(path: Path, opened: Open) -> None:
    store = opened()
    for number in range(200):
        store.put(make_record(key=str(number), text="x" * 500))
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)

    with pytest.raises(StoreUnusable, match=f"^{path}: damaged; restore a backup"):
        opened().list("work-pool")


def test_opening_waits_for_a_reader_of_a_file_that_is_not_in_wal_mode(path: Path, opened: Open) -> None:
    opened().close()
    reading = threading.Event()

    def read() -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM run").fetchone()
        reading.set()
        time.sleep(0.1)
        other.close()

    thread = threading.Thread(target=read)
    thread.start()
    reading.wait(10)
    store = opened()
    thread.join()

    store.put(make_record())


def test_opening_waits_for_a_writer_no_longer_than_a_write_does(path: Path, opened: Open) -> None:
    opened()

    with locked(path), pytest.raises(StoreUnavailable):
        opened(wait_seconds=0.1)


def test_a_closed_store_says_so(path: Path, opened: Open) -> None:
    store = opened()
    store.close()
    store.close()

    with pytest.raises(StoreUnusable, match=f"^{path}: this store was closed"):
        store.get("work-pool", "pool")


def test_the_last_to_close_leaves_one_file(path: Path, opened: Open) -> None:
    store = opened()
    at_once([partial(store.put, make_record(key=str(number))) for number in range(8)])

    store.close()

    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_of_several_who_make_the_same_file_all_get_the_same_store(path: Path) -> None:
    for number in range(20):
        file = path.with_name(f"{number}.db")
        stores = at_once([partial(SqliteStore, str(file))] * 4)

        stores[0].put(make_record())

        assert [store.get("work-pool", POOL) is not None for store in stores] == [True] * 4
        for store in stores:
            store.close()
