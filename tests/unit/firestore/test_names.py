"""Names, times, texts and runs on their way to Firestore and back."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores.firestore import names
from adapters.stores.firestore.database import Found
from adapters.stores.firestore.documents import as_run, new_run_fields, packed, run_fields, unpacked
from adapters.texts import page_mark
from dispatcher.errors import InvalidInput
from dispatcher.runs import Slot
from dispatcher.testing.builders import NOW, make_run

texts = st.text(max_size=120)


@given(texts)
def test_any_name_can_be_a_documents_and_read_back(name: str) -> None:
    text = names.encoded(name)

    assert names.decoded(text) == name
    assert text
    assert "/" not in text
    assert text not in (".", "..")
    assert not re.fullmatch("__.*__", text, re.DOTALL)


@given(texts, texts, texts, texts)
def test_two_records_never_share_a_document(kind: str, key: str, other_kind: str, other_key: str) -> None:
    same = names.record_path(kind, key) == names.record_path(other_kind, other_key)

    assert same == ((kind, key) == (other_kind, other_key))


@pytest.mark.parametrize(
    ("name", "text"), [("a/b", "a%2Fb"), ("..", "%2E."), ("__x__", "%5F_x__"), ("", "%"), ("%", "%25")]
)
def test_what_a_document_may_not_be_called_is_written_otherwise(name: str, text: str) -> None:
    assert names.encoded(name) == text


def test_common_names_stay_as_they_are() -> None:
    assert names.run_path("5f0e2b50-7d6e-4d6c-9d0b-0d3a8a4f7c11") == "runs/5f0e2b50-7d6e-4d6c-9d0b-0d3a8a4f7c11"
    assert names.slot_path(Slot("pool/Größe", "0")) == "limits/pool%2FGröße/slots/0"
    assert names.request_path("r", 2) == "requests/r~2"
    assert names.last_part("owed/cleanup%2Fr%2F1") == "cleanup/r/1"


@pytest.mark.parametrize("name", ["\ud800", "ä" * 751])
def test_a_name_that_no_document_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"text that can be stored|too long"):
        names.encoded(name)


def test_a_key_of_any_length_has_a_document() -> None:
    assert names.key_path("d", "k" * 5000) != names.key_path("d", "k" * 5001)
    assert names.key_path("a", "b:c") != names.key_path("a:b", "c")


def test_a_time_is_stored_in_utc_and_never_without_a_zone() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5)))

    assert names.moment(there, "at").tzinfo is UTC
    assert names.instant(names.moment(there, "at")) == NOW
    with pytest.raises(InvalidInput, match="at"):
        names.moment(datetime(2026, 3, 1), "at")  # noqa: DTZ001  # that is the point


@pytest.mark.parametrize(
    "mark",
    ["", "no mark!", page_mark("record", "k"), page_mark("due", "yesterday", "r"), page_mark("due")],
)
def test_another_lists_mark_is_refused(mark: str) -> None:
    with pytest.raises(InvalidInput, match="after"):
        names.page_place("due", mark)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_packed_text_comes_back(text: str) -> None:
    assert unpacked(packed(text)) == text
    assert unpacked(packed(text * 2000)) == text * 2000


def test_a_long_text_is_deflated_and_a_short_one_can_be_read() -> None:
    assert packed("short") == "short"
    assert len(packed("long " * 10_000)) < 1000


def test_a_run_comes_back_from_its_document() -> None:
    run = make_run(parameters={"a": [1, "ß"]}, job_variables={"cpu": "1"}, tags=("t", "t"))

    assert as_run(Found("runs/r", new_run_fields(run), None)) == run
    assert "payload" not in run_fields(run)


def test_only_a_run_that_waits_says_where() -> None:
    run = make_run(pool="a/b")
    held = replace(run, parked=True)

    assert (run_fields(run)["due_in"], run_fields(run)["parked_in"]) == ("a%2Fb/default", None)
    assert (run_fields(held)["due_in"], run_fields(held)["parked_in"]) == (None, "a/b")
