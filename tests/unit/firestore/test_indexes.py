"""Which queries the declared indexes serve: the rules themselves, and that nothing is declared for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud.firestore import FieldFilter, Query

from adapters.stores.firestore.layout import EXEMPTIONS, INDEXES, Index, Mode
from dispatcher.testing.firestore_indexes import Shape, is_served, refusing, serving, shape_of

UP, DOWN, ANY = Mode.ASCENDING, Mode.DESCENDING, Mode.CONTAINS


def shape(*equal: str, by: str = "", of: str = "runs") -> Shape:
    """`-time` is by time descending, `tags[]` one of the tags."""
    wanted = frozenset((name.removesuffix("[]"), "CONTAINS" if name.endswith("[]") else "") for name in equal)
    order = ((by.removeprefix("-"), "DESCENDING" if by.startswith("-") else "ASCENDING"),) if by else ()
    return Shape(of, wanted, order)


ONE = Index("runs", (("a", UP), ("t", DOWN)))
OTHER = Index("runs", (("b", DOWN), ("t", DOWN)))
TAGS = Index("runs", (("tags", ANY), ("t", DOWN)))
BOTH = Index("runs", (("a", UP), ("b", UP), ("t", DOWN)))
NONE = {"runs": {"*": ()}}


@pytest.mark.parametrize(
    ("wanted", "indexes"),
    [
        (shape(), []),
        (shape("a", by="-t"), [ONE]),
        (shape("b", by="-t"), [OTHER]),
        (shape("a", "b", by="-t"), [ONE, OTHER]),
        (shape("a", "b", by="-t"), [BOTH]),
        (shape("a", "b", "c", by="-t"), [BOTH, Index("runs", (("c", UP), ("t", DOWN)))]),
        (shape("a", "tags[]", by="-t"), [ONE, TAGS]),
    ],
    ids=str,
)
def test_what_is_served(wanted: Shape, indexes: list[Index]) -> None:
    assert is_served(wanted, indexes, NONE)


@pytest.mark.parametrize(
    ("wanted", "indexes"),
    [
        (shape(by="-t"), [ONE]),
        (shape("a", by="t"), [ONE]),  # the other direction
        (shape("a", by="-u"), [ONE]),
        (shape("a"), [ONE]),
        (shape("a", "b", by="-t"), [ONE]),
        (shape("a", by="-t"), [BOTH]),  # those without a `b` are not in it
        (shape("tags", by="-t"), [TAGS]),
        (shape("a[]", by="-t"), [ONE]),
        (shape("a", by="-t", of="records"), [ONE]),
        (shape("a", "b", by="-t"), [ONE, Index("runs", (("b", UP), ("t", UP)))]),  # merged must end alike
    ],
    ids=str,
)
def test_what_is_not_served(wanted: Shape, indexes: list[Index]) -> None:
    assert not is_served(wanted, indexes, NONE)


def test_a_field_has_an_index_of_its_own_unless_it_is_exempted() -> None:
    assert is_served(shape(by="-t"), [], {})
    assert is_served(shape("a", "b"), [], {})  # merged
    assert not is_served(shape(by="-t"), [], NONE)
    assert is_served(shape(by="-t"), [], {"runs": {"*": (), "t": (DOWN,)}})
    assert not is_served(shape(by="t"), [], {"runs": {"*": (), "t": (DOWN,)}})


# queries as the client makes them


class Runs:
    """As much of a collection as a query that is never sent asks for."""

    id = "runs"
    _path = ("runs",)


def runs() -> Any:
    return Query(Runs())


def asked(query: Any) -> Any:
    return query._to_protobuf()


def test_a_query_is_read_as_its_shape() -> None:
    query = runs().where(filter=FieldFilter("pool", "==", "p")).where(filter=FieldFilter("type", "in", ["A", "B"]))
    query = query.where(filter=FieldFilter("tags", "array_contains", "t")).where(filter=FieldFilter("at", ">=", 3))
    query = query.order_by("at", Query.DESCENDING).order_by("__name__", Query.DESCENDING)

    assert shape_of(asked(query)) == shape("pool", "type", "tags[]", by="-at")
    assert str(shape_of(asked(query))) == "runs: pool, tags CONTAINS, type, at DESCENDING"


def test_a_range_without_an_order_is_ordered_by_itself() -> None:
    assert shape_of(asked(runs().where(filter=FieldFilter("at", "<", 3)))) == shape(by="at")


@pytest.mark.parametrize(
    "query",
    [
        lambda: runs().order_by("a").order_by("__name__", Query.DESCENDING),
        lambda: runs().where(filter=FieldFilter("a", "!=", 1)),
        lambda: runs().where(filter=FieldFilter("a", "<", 1)).order_by("b"),
    ],
    ids=["name the other way", "not equal", "range of another field"],
)
def test_a_query_that_the_rules_say_nothing_of_is_refused(query: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        shape_of(asked(query()))


def test_a_query_without_its_index_is_refused_in_the_services_words() -> None:
    check = refusing([ONE], NONE, RuntimeError)
    check(asked(runs().where(filter=FieldFilter("a", "==", 1)).order_by("t", Query.DESCENDING)))

    with pytest.raises(RuntimeError, match=r"The query requires an index.*runs: b, t DESCENDING"):
        check(asked(runs().where(filter=FieldFilter("b", "==", 1)).order_by("t", Query.DESCENDING)))


# what is declared

FILTERS = ("deployment", "pool", "queue", "type", "name", "tags[]")
NEEDED = [
    shape("due_in", by="due_at"),
    Shape("runs", frozenset({("parked_in", "")}), (("deployment_id", "ASCENDING"), ("due_at", "ASCENDING"))),
    shape("parked_in", "deployment_id", by="due_at"),
    shape(by="-scheduled_time"),
    shape(*FILTERS, by="-scheduled_time"),
    *(shape(each, by="-scheduled_time") for each in FILTERS),
    shape("pool", by="due_at", of="owed"),
    shape("kind", by="key", of="records"),
    shape("kind", "parent", by="key", of="records"),
    shape(by="next_at", of="cursors"),
    shape(by="expires_at"),
    shape(by="expires_at", of="keys"),
]


def test_every_query_of_the_store_is_served_and_nothing_is_declared_for_nothing() -> None:
    used = {(each.collection, found) for each in NEEDED for found in serving(each, INDEXES, EXEMPTIONS)}

    assert all(is_served(each, INDEXES, EXEMPTIONS) for each in NEEDED)
    for index in INDEXES:
        assert (index.collection, tuple((name, str(mode)) for name, mode in index.fields)) in used
    for collection, fields in EXEMPTIONS.items():
        for name, modes in fields.items():
            assert all((collection, ((name, str(mode)),)) in used for mode in modes)


@pytest.mark.parametrize("left_out", INDEXES, ids=str)
def test_an_index_that_is_left_out_is_missed(left_out: Index) -> None:
    rest = [index for index in INDEXES if index != left_out]

    assert not all(is_served(each, rest, EXEMPTIONS) for each in NEEDED)


def test_no_field_that_only_grows_has_an_index_that_nobody_asks() -> None:
    assert {name for fields in EXEMPTIONS.values() for name, modes in fields.items() if modes} == {
        "scheduled_time", "expires_at", "next_at"
    }  # fmt: skip
    assert all(fields["*"] == () for fields in EXEMPTIONS.values())
