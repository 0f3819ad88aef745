"""A pool with a limit of 5 and two who ask for work: how many of its runs there are at once, as the runs tell it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.prefect import measures, ours
from benchmarks.prefect.listening import Listener
from benchmarks.prefect.local import FAST_QUERY_SECONDS, command
from benchmarks.prefect.processes import Place
from benchmarks.prefect.report import Better, Figure
from benchmarks.prefect.side import Lane, Pair
from benchmarks.prefect.theirs import Prefect

LIMIT = 5
RUN_SECONDS = 2.0  # longer than a worker's pause, so that the pool can fill up
QUEUES = ("high", "low")


def figures(place: Place, theirs: Prefect, listener: Listener, *, rounds: int, runs: int) -> Iterator[Figure]:
    """Two that are alike, and one for each of the pool's queues."""
    for name, queues in (("each for both queues", (None, None)), ("each for a queue of its own", QUEUES)):
        with ExitStack() as opened:
            our_side = opened.enter_context(ours.agents(place, f"agents-{queues[0]}", queues))
            pair = _pair(theirs, our_side, listener)
            for queue in queues:
                worker = theirs.worker("limited", "process", query_seconds=FAST_QUERY_SECONDS, queue=queue)
                opened.enter_context(worker)
            found = measures.in_turns(pair, rounds, lambda lane: measures.most_at_once(lane, QUEUES, runs))
        yield Figure(f"most at once, {name}", found, better=Better.NEITHER)


def _pair(theirs: Prefect, our_side: ours.Pushpool, listener: Listener) -> Pair:
    words = command(listener, RUN_SECONDS)
    our_side.pool("limited", "process", runner=False)
    theirs.pool("limited", "process")
    for queue in QUEUES:
        our_side.deploy(queue, "limited", queue=queue, command=words)
        theirs.deploy(queue, "limited", queue=queue, job_variables={"command": shlex.join(words)})
    for side in (theirs, our_side):
        side.limit("limited", LIMIT)
    return Pair(Lane(theirs, "limited", QUEUES[0], listener), Lane(our_side, "limited", QUEUES[0], listener))
