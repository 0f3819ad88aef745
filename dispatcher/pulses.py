"""What passes leave behind about a pool: when one was made, whether its circuit is open, what it has used up."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from dispatcher import records
from dispatcher.errors import RecordChanged
from dispatcher.logs import log
from dispatcher.pools import Circuit, PoolPulse, Spent
from dispatcher.ports import PoolUnavailable, Store
from dispatcher.watch import Patience

MARK_EVERY = timedelta(seconds=55)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=15)
WORTH_TELLING = timedelta(seconds=60)  # budgets that fill up sooner are no news
PROBE = timedelta(seconds=60)  # one prober at a time


def pulse_of(store: Store, pool: str) -> PoolPulse:
    return records.read(store, PoolPulse, pool) or PoolPulse(pool=pool)


def beat(store: Store, pulse: PoolPulse, now: datetime) -> PoolPulse:
    """Say that a pass was made; at most one write a minute."""
    if pulse.last_pass is not None and now - pulse.last_pass < MARK_EVERY:
        return pulse
    return _try(store, replace(pulse, last_pass=now)) or pulse


def was_away(pulse: PoolPulse, patience: Patience, now: datetime) -> bool:
    return pulse.last_pass is not None and now - pulse.last_pass > patience.away


def may_admit(store: Store, pulse: PoolPulse, now: datetime) -> tuple[bool, int | None]:
    """(whether to admit, how many): all with a closed circuit, one as a probe when an open one's time has come."""
    circuit = pulse.circuit
    if circuit is None:
        return True, None
    if now < circuit.until:
        return False, None
    probing = replace(pulse, circuit=replace(circuit, until=now + PROBE))
    return _try(store, probing) is not None, 1


def opened(store: Store, pool: str, no: PoolUnavailable, now: datetime) -> Circuit | None:
    """Open the circuit, or keep it open for longer."""
    pulse = pulse_of(store, pool)
    failures = pulse.circuit.failures + 1 if pulse.circuit else 1
    pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE)
    since = pulse.circuit.since if pulse.circuit else now
    circuit = Circuit(reason=no.reason, since=since, until=no.until or now + pause, failures=failures)
    log.error("circuit open", extra={"pool": pool, "why": no.reason, "until": circuit.until.isoformat()})
    return circuit if _try(store, replace(pulse, circuit=circuit)) is not None else None


def closed(store: Store, pool: str) -> None:
    """Close the circuit, whoever opened it."""
    for _ in range(3):
        pulse = pulse_of(store, pool)
        if pulse.circuit is None or _try(store, replace(pulse, circuit=None)) is not None:
            return


def used_up(store: Store, pool: str, spent: Spent, now: datetime) -> None:
    """Say until when, unless that is soon or said already."""
    pulse = pulse_of(store, pool)
    said = pulse.spent.until if pulse.spent is not None else now
    if spent.until > now + WORTH_TELLING and abs(spent.until - said) > WORTH_TELLING:
        log.warning("budget used up", extra={"pool": pool, "why": spent.reason, "until": spent.until.isoformat()})
        _try(store, replace(pulse, spent=spent))


def used_up_until(pulse: PoolPulse, now: datetime) -> Spent | None:
    """What is still used up."""
    return pulse.spent if pulse.spent is not None and pulse.spent.until > now else None


def _try(store: Store, pulse: PoolPulse) -> PoolPulse | None:
    try:
        return records.write(store, pulse)
    except RecordChanged:
        return None
