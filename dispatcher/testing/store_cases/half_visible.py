"""Commits of which others see some items before the rest: admission holds its limits all the same."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from dispatcher.errors import AdmissionRefused
from dispatcher.ports import Store
from dispatcher.runs import FlowRun, StateType
from dispatcher.testing.builders import NOW, POOL, end, make_admission, make_run
from dispatcher.testing.half_visible import Blur
from dispatcher.testing.racing import OpenStore

LIMIT = 4


class HalfVisibleCases:
    @pytest.mark.parametrize("seed", range(4))
    def test_limits_hold_and_no_run_goes_twice_whatever_is_seen_of_a_commit(
        self, open_store: OpenStore, seed: int
    ) -> None:
        clear = open_store()
        runs = [clear.create_run(make_run()) for _ in range(16)]
        random, admitted = Random(seed), Counter[str]()  # noqa: S311
        blurs = [Blur(open_store(), seed + 10 * number) for number in range(2)]
        for _ in range(400):
            batch = _admit(random.choice(blurs).store, random)
            admitted.update(batch)
            assert len(clear.active(POOL)) <= LIMIT
            if not batch:
                _end_one(clear, random)
            if sum(admitted.values()) == len(runs) and not clear.active(POOL):
                break

        assert admitted == {run.id: 1 for run in runs}
        assert {run.state.type for run in clear.get_runs(list(admitted)).values()} == {StateType.COMPLETED}
        assert sum(blur.blurred for blur in blurs) > 10


def _admit(store: Store, random: Random) -> list[str]:
    """Up to three of what seems due, into what seems free; the ids of those that were admitted."""
    free = sorted({str(n) for n in range(LIMIT)} - {entry.slot.name for entry in store.active(POOL)})
    candidates = [item.run_id for item in store.due(POOL, "default", NOW, limit=8).items]
    few = random.sample(candidates, min(len(candidates), 3))
    waiting = [run for run in store.get_runs(few).values() if run.state.type is StateType.SCHEDULED]
    admissions = [make_admission(run, slot=name) for run, name in zip(waiting, free, strict=False)]
    try:
        store.admit(admissions)
    except AdmissionRefused:
        return []
    return [each.after.id for each in admissions]


def _end_one(store: Store, random: Random) -> None:
    entries = sorted(store.active(POOL), key=lambda entry: entry.slot.name)
    if entries:
        run: FlowRun | None = store.get_run(random.choice(entries).run_id)
        assert run is not None
        store.move(end(run))
