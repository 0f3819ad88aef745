"""A run as items: what the hot one says, where its payload goes, and that all of it comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from string import ascii_letters
from typing import Any

import pytest

from adapters.stores.dynamodb.documents import cold_of, far_parts, parts_of, whole_run, written
from adapters.stores.dynamodb.keys import Key
from adapters.stores.dynamodb.values import Item, plain, size
from dispatcher.runs import FlowRun, Name, StateType
from dispatcher.testing.builders import NOW, cancel, make_admission, make_attempt, make_run, park


def stored(run: FlowRun) -> tuple[Item, dict[Key, Item]]:
    """The hot item as it is read, and all parts."""
    new, parts = written(run), parts_of(run)
    items = [plain(sent) for sent in (*parts.items, *([new.cold] if new.cold else []))]
    return plain(new.hot_item(parts)), {(item["pk"], item["sk"]): item for item in items}


def noise(number: int) -> str:
    return "".join(Random(number).choices(ascii_letters, k=number))


@pytest.mark.parametrize("number", [0, 10, 200, 1000, 2500, 50_000])
def test_a_run_comes_back_whatever_the_size_of_its_payload(number: int) -> None:
    run = make_run(parameters={"text": noise(number)} if number else {}, job_variables={"cpu": 1.0})

    hot, parts = stored(run)

    assert whole_run(hot, parts) == run


@pytest.mark.parametrize(
    ("number", "place"), [(10, "payload"), (1000, "card"), (9000, "far")], ids=["hot", "card", "its own"]
)
def test_a_payload_goes_where_its_size_belongs(number: int, place: str) -> None:
    hot, parts = stored(make_run(parameters={"text": noise(number)}))

    assert [name for name in ("payload", "card", "far") if name in hot] == [place]
    assert len(far_parts(hot)) == (0 if place == "payload" else 1)
    assert set(far_parts(hot)) <= parts.keys()


def test_the_same_payload_has_the_same_place_and_another_has_another() -> None:
    run = make_run(parameters={"text": noise(1000)})
    other = replace(run, parameters={"text": noise(1001)})

    assert parts_of(run).keys == parts_of(replace(run, name="renamed")).keys
    assert parts_of(run).keys != parts_of(other).keys


def test_what_conditions_and_people_need_is_plain() -> None:
    hot, _ = stored(park(make_run()).after)

    assert hot["pk"].startswith("run#")
    assert (hot["v"], hot["state"], hot["attempt"]) == (2, "AwaitingConcurrencySlot", 1)
    assert (hot["pool"], hot["queue"], hot["dep"]) == ("pool", "default", "etl")
    assert hot["due_pk"] == "parked#pool"


def test_only_a_run_that_waits_is_in_the_due_index() -> None:
    waiting = make_run()
    gone = [make_admission(waiting).after, cancel(waiting).after]

    assert {"due_pk", "due_sk"} <= written(waiting).attributes.keys()
    for run in gone:
        assert not {"due_pk", "due_sk"} & written(run).attributes.keys()
        assert {"due_pk", "due_sk"} <= written(run).gone
        assert run.state.type is not StateType.SCHEDULED


def test_no_two_writes_have_the_same_stamp() -> None:
    run = make_run()

    assert written(run).stamp != written(run).stamp


LONG = "word after word " * 30


@pytest.mark.parametrize(
    "changes",
    [
        {"log_tail": noise(4000)},
        {"outcome": noise(1200)},
        {"log_tail": "\0"},
        {"log_tail": "\0001"},
        {"log_tail": noise(900), "outcome": noise(900)},
    ],
    ids=["a tail", "an outcome", "a mark", "a number", "two"],
)
def test_long_texts_come_back_from_their_own_item(changes: dict[str, Any]) -> None:
    run = replace(make_run(state=Name.CRASHED), attempts=(make_attempt(), make_attempt(number=2, **changes)))

    hot, parts = stored(run)

    assert whole_run(hot, parts) == run
    assert len(far_parts(hot)) == 1
    assert size(written(run).hot_item(parts_of(run))) < 1024


def test_many_long_messages_come_back_too() -> None:
    run = make_run()
    for number in range(12):
        run = park(replace(run, state=replace(run.state, message=f"{number}: {noise(100 + number)}"))).after
    run = replace(run, history=tuple(replace(state, message=noise(80 + n)) for n, state in enumerate(run.history)))

    hot, parts = stored(run)

    assert whole_run(hot, parts) == run
    assert cold_of(run) == written(run).cold is not None


def test_short_texts_stay_where_they_are() -> None:
    run = replace(make_run(), attempts=(make_attempt(log_tail="done\n"),))

    assert written(run).cold is None
    assert cold_of(run) is None


def test_a_run_whose_long_texts_are_gone_is_a_run_still() -> None:
    run = replace(make_run(), attempts=(make_attempt(log_tail=noise(3000)),))
    hot, _ = stored(run)

    found = whole_run(hot, {})

    assert found is not None
    assert found.attempts[0].log_tail == ""


def test_an_expiry_is_never_before_its_moment() -> None:
    run = replace(make_run(), expires_at=NOW + timedelta(microseconds=1))

    assert written(run).attributes["expires"] == int(NOW.timestamp()) + 1
    assert written(replace(run, expires_at=NOW)).attributes["expires"] == int(NOW.timestamp())
