"""Runs: made, read, found by what is due, listed and forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.stores.sqlite.rows import (
    as_run,
    hot_text,
    instant,
    maybe_micros,
    micros,
    page_key,
    payload_text,
    run_columns,
    tag_mark,
)
from adapters.texts import page_mark
from dispatcher.errors import IllegalMove, RunChanged
from dispatcher.ports import Candidate, Page, RunFilter
from dispatcher.runs import TYPE_OF, FlowRun, StateType

_RUN = "SELECT run.hot, payload.body FROM run LEFT JOIN payload ON payload.run = run.seq"
_DUE = "pool = ? AND queue = ? AND state = 'SCHEDULED' AND parked = 0"
_PARKED = "pool = ? AND state = 'SCHEDULED' AND parked = 1"
_IDS_AT_ONCE = 500  # older SQLite takes 999 parameters a statement


def create(db: sqlite3.Connection, run: FlowRun, keep_key_until: datetime | None) -> FlowRun:
    """`run`, or the one that was there before under its id or its key."""
    until = maybe_micros(keep_key_until, "keep_key_until")
    earlier = get(db, run.id) or _by_key(db, run)
    if earlier is not None:
        return earlier
    insert(db, run)
    if run.idempotency_key is not None:
        row = (run.deployment_id, run.idempotency_key, run.id, until)
        sql = "INSERT INTO idempotency_key (deployment_id, key, run_id, keep_until) VALUES (?, ?, ?, ?)"
        db.execute(sql, row)
    return run


def _by_key(db: sqlite3.Connection, run: FlowRun) -> FlowRun | None:
    if run.idempotency_key is None:
        return None
    sql = f"{_RUN} WHERE run.id = (SELECT run_id FROM idempotency_key WHERE deployment_id = ? AND key = ?)"  # noqa: S608
    row = db.execute(sql, (run.deployment_id, run.idempotency_key)).fetchone()
    return None if row is None else as_run(*row)


def insert(db: sqlite3.Connection, run: FlowRun) -> None:
    columns = {"id": run.id, **run_columns(run), "hot": hot_text(run)}
    payload = payload_text(run)
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    seq = db.execute(f"INSERT INTO run ({names}) VALUES ({marks})", list(columns.values())).lastrowid  # noqa: S608
    if payload is not None:
        db.execute("INSERT INTO payload (run, body) VALUES (?, ?)", (seq, payload))


def get(db: sqlite3.Connection, run_id: str) -> FlowRun | None:
    row = db.execute(f"{_RUN} WHERE run.id = ?", (run_id,)).fetchone()
    return None if row is None else as_run(*row)


def get_many(db: sqlite3.Connection, run_ids: Sequence[str]) -> Mapping[str, FlowRun]:
    found: dict[str, FlowRun] = {}
    for some, marks in in_parts(run_ids):
        rows = db.execute(f"{_RUN} WHERE run.id IN ({marks})", some)
        found.update((run.id, run) for run in (as_run(*row) for row in rows))
    return found


def existing(db: sqlite3.Connection, run_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some, marks in in_parts(run_ids):
        found.update(row[0] for row in db.execute(f"SELECT id FROM run WHERE id IN ({marks})", some))  # noqa: S608
    return found


def in_parts(run_ids: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """The ids, as many as a statement takes, and a question mark for each."""
    for start in range(0, len(run_ids), _IDS_AT_ONCE):
        some = run_ids[start : start + _IDS_AT_ONCE]
        yield some, ", ".join("?" * len(some))


def due(
    db: sqlite3.Connection, pool: str, queue: str, before: datetime, *, after: str | None, limit: int
) -> Page[Candidate]:
    begin = ""
    start: tuple[Any, ...] = ()
    if after is not None:
        begin, start = "AND (due_at, id) > (?, ?)", page_key("due", after)
    sql = f"""
        SELECT id, due_at, deployment_id FROM run WHERE {_DUE} AND due_at <= ? {begin}
        ORDER BY due_at, id LIMIT ?
    """  # noqa: S608
    found = _candidates(db.execute(sql, (pool, queue, micros(before, "before"), *start, limit + 1)))
    mark = None
    if len(found) > limit:
        last = found[limit - 1]
        mark = page_mark("due", micros(last.due_at, "due_at"), last.run_id)
    return Page(tuple(found[:limit]), mark)


def parked(db: sqlite3.Connection, pool: str) -> Sequence[str]:
    # One look a deployment, however many of its runs are parked; DISTINCT would read them all.
    sql = f"""
        WITH RECURSIVE found (id) AS (
            SELECT min(deployment_id) FROM run WHERE {_PARKED}
            UNION ALL
            SELECT (SELECT min(deployment_id) FROM run WHERE {_PARKED} AND deployment_id > found.id)
            FROM found WHERE found.id IS NOT NULL
        )
        SELECT id FROM found WHERE id IS NOT NULL
    """  # noqa: S608
    return [row[0] for row in db.execute(sql, (pool, pool))]


def parked_runs(db: sqlite3.Connection, pool: str, deployment_id: str, limit: int) -> Sequence[Candidate]:
    sql = f"""
        SELECT id, due_at, deployment_id FROM run
        WHERE {_PARKED} AND deployment_id = ? ORDER BY due_at, id LIMIT ?
    """  # noqa: S608
    return _candidates(db.execute(sql, (pool, deployment_id, limit)))


def _candidates(rows: Iterable[tuple[str, int, str]]) -> list[Candidate]:
    return [Candidate(run_id, instant(due_at), deployment_id) for run_id, due_at, deployment_id in rows]


def listing(db: sqlite3.Connection, wanted: RunFilter, after: str | None, limit: int) -> Page[FlowRun]:
    """Every index begins its order anew in each state, so the states' lists are merged."""
    types = _types(wanted)
    if not types:
        return Page(())
    where, given = _conditions(wanted, after)
    one = f"SELECT seq, scheduled_time, id FROM run WHERE state = ? {where}"  # noqa: S608
    merged = " UNION ALL ".join([one] * len(types))
    sql = f"""
        SELECT run.hot, payload.body, run.scheduled_time, run.id
        FROM ({merged} ORDER BY 2 DESC, 3 DESC LIMIT ?) AS page
        JOIN run ON run.seq = page.seq LEFT JOIN payload ON payload.run = page.seq
        ORDER BY 3 DESC, 4 DESC
    """  # noqa: S608
    values = [value for state in types for value in (state.value, *given)]
    rows = db.execute(sql, [*values, limit + 1]).fetchall()
    mark = page_mark("run", *rows[limit - 1][2:]) if len(rows) > limit else None
    return Page(tuple(as_run(hot, payload) for hot, payload, *_ in rows[:limit]), mark)


def _types(wanted: RunFilter) -> list[StateType]:
    types = wanted.types or frozenset(StateType)
    if wanted.names:
        types &= {kind for name, kind in TYPE_OF.items() if name in wanted.names}
    return sorted(types)


def _conditions(wanted: RunFilter, after: str | None) -> tuple[str, list[Any]]:
    """What follows `state = ?`, and its values."""
    terms: list[tuple[str, Sequence[Any]]] = [
        (f"{column} = ?", [value])
        for column in ("deployment", "pool", "queue")
        if (value := getattr(wanted, column)) is not None
    ]
    if wanted.names:
        terms.append((f"name IN ({', '.join('?' * len(wanted.names))})", sorted(wanted.names)))
    terms += [("instr(tags, ?)", [tag_mark(tag)]) for tag in sorted(wanted.tags)]
    if wanted.since is not None:
        terms.append(("scheduled_time >= ?", [micros(wanted.since, "since")]))
    if wanted.until is not None:
        terms.append(("scheduled_time < ?", [micros(wanted.until, "until")]))
    if after is not None:
        terms.append(("(scheduled_time, id) < (?, ?)", page_key("run", after)))
    return "".join(f" AND {term}" for term, _ in terms), [value for _, values in terms for value in values]


def delete(db: sqlite3.Connection, run: FlowRun) -> None:
    row = db.execute("SELECT seq FROM run WHERE id = ? AND version = ?", (run.id, run.version)).fetchone()
    if row is None:
        raise RunChanged(f"run {run.id} is not at version {run.version} any more")
    if not run.is_final and (run.was_admitted or run.is_active):
        raise IllegalMove(f"run {run.id} is {run.state.name}: it can be deleted once it has ended; cancel it first")
    _forget(db, row[0], run.id)


def purge(db: sqlite3.Connection, before: datetime, limit: int) -> int:
    until = micros(before, "before")
    sql = "SELECT seq, id FROM run WHERE expires_at < ? ORDER BY expires_at LIMIT ?"
    runs = db.execute(sql, (until, limit)).fetchall()
    for seq, run_id in runs:
        _forget(db, seq, run_id)
    sql = "SELECT deployment_id, key FROM idempotency_key WHERE keep_until < ? ORDER BY keep_until LIMIT ?"
    keys = db.execute(sql, (until, limit - len(runs))).fetchall()
    db.executemany("DELETE FROM idempotency_key WHERE deployment_id = ? AND key = ?", keys)
    return len(runs) + len(keys)


def _forget(db: sqlite3.Connection, seq: int, run_id: str) -> None:
    """The run, and its key: a key without its run could answer nothing."""
    db.execute("DELETE FROM run WHERE seq = ?", (seq,))
    db.execute("DELETE FROM payload WHERE run = ?", (seq,))
    db.execute("DELETE FROM request WHERE run = ?", (seq,))
    db.execute("DELETE FROM idempotency_key WHERE run_id = ?", (run_id,))
