"""Values, texts and keys on their way to DynamoDB and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import texts
from adapters.stores.dynamodb import keys
from adapters.stores.dynamodb.actions import ABSENT, put, update
from adapters.stores.dynamodb.dictionary import DICTIONARY
from adapters.stores.dynamodb.values import item, packed, plain, size, unpacked
from dispatcher.errors import InvalidInput
from dispatcher.testing.builders import NOW, make_run

moments = st.datetimes(timezones=st.just(UTC))


@given(st.text(), st.text())
def test_a_packed_text_comes_back(text: str, near: str) -> None:
    text, near = (given.encode("utf-8", "replace").decode() for given in (text, near))

    assert unpacked(packed(text, near=near), near=near) == text


def test_a_text_that_repeats_another_takes_next_to_nothing() -> None:
    near = "".join(chr(33 + n * n % 89) for n in range(3000))

    assert len(packed(near[100:2900], near=near)) < 40


def test_the_dictionary_never_changes() -> None:
    """What is stored is read with it; another one would be another format byte."""
    import hashlib

    assert hashlib.sha256(DICTIONARY).hexdigest() == "e032bcbfe1ab1366d603e6e1a282956dc7e05a3f892e87ee71398ce3f81d710a"


def test_an_item_comes_back_as_it_was_made() -> None:
    made = item(pk="a", n=-(2**60), b=b"\0", gone=None)

    assert made == {"pk": {"S": "a"}, "n": {"N": str(-(2**60))}, "b": {"B": b"\0"}}
    assert plain(made) == {"pk": "a", "n": -(2**60), "b": b"\0"}
    assert size(made) == 3 + 13 + 2


@pytest.mark.parametrize("text", ["\ud800", "a\udfff"])
def test_a_text_that_is_not_unicode_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="text that can be stored"):
        item(name=text)


@given(moments, moments)
def test_times_sort_as_they_follow(one: datetime, other: datetime) -> None:
    assert (keys.moment(one, "") < keys.moment(other, "")) == (one < other)
    assert keys.instant(keys.moment(one, "")) == one


def test_a_time_is_stored_as_the_instant_it_is() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-11)))

    assert keys.moment(there, "") == keys.moment(NOW, "") == "2026-03-01T12:00:00.000000Z"
    with pytest.raises(InvalidInput, match="due_at"):
        keys.moment(NOW.replace(tzinfo=None), "due_at")


@given(st.text(), st.text(), st.text())
def test_names_do_not_run_into_each_other(deployment: str, pool: str, queue: str) -> None:
    key = keys.roster_key(make_run(deployment=deployment, pool=pool, queue=queue))

    assert keys.roster_parts(key[1]) == [deployment, pool, queue]


def test_places_in_the_due_index_come_back() -> None:
    run = make_run(pool="a#b", queue="c%")
    place, parked = keys.waiting(run), keys.waiting(make_run(id=run.id, parked=True))

    assert place is not None
    assert place[0] == "due#a%23b#c%25"
    assert keys.due_sort(place[1]) == (NOW, run.id, run.deployment_id)
    assert parked is not None
    assert keys.parked_sort(parked[1]) == (NOW, run.id, run.deployment_id)


def test_a_mark_of_another_list_is_refused() -> None:
    mark = texts.page_mark("due", "x")

    assert keys.page_key("due", mark) == "x"
    for wrong in ("run", "record"):
        with pytest.raises(InvalidInput, match="after"):
            keys.page_key(wrong, mark)


def test_every_attribute_goes_by_an_alias() -> None:
    action = update(("p", "s"), "SET #state = :state REMOVE #due_pk", "#v = :was", state="x", was=1)

    assert action.body["ExpressionAttributeNames"] == {"#state": "state", "#due_pk": "due_pk", "#v": "v"}
    assert action.body["ExpressionAttributeValues"] == {":state": {"S": "x"}, ":was": {"N": "1"}}
    assert action.body["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


def test_a_write_knows_itself_by_its_stamp() -> None:
    action = put(item(pk="p", sk="s", w="mine"), ABSENT)

    assert action.is_done({"w": "mine"})
    assert not action.is_done({"w": "another's"})
    assert not action.is_done({})
