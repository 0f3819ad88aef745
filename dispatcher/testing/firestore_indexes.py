"""Whether Firestore could answer a query from the indexes that are declared; its emulator answers without any.

By the documentation, "Index types in Cloud Firestore": the index of a query has the fields of its equalities, in any
direction, then those that it sorts by, in theirs ("Index properties"). `in` is an equality; `array-contains` wants that
mode. Several indexes that end with the same sorting are merged, and have all equalities between them ("Take advantage
of index merging"). `__name__` comes last, in the direction of the field before it ("Default ordering and the __name__
field"). A field has an index of its own unless it is exempted ("Single-field index exemptions").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

_NAME, _UP, _DOWN, _CONTAINS = "__name__", "ASCENDING", "DESCENDING", "CONTAINS"
_EQUAL = {"EQUAL": "", "IN": "", "ARRAY_CONTAINS": _CONTAINS}
_MODES = (_UP, _DOWN, _CONTAINS)

Field: TypeAlias = tuple[str, str]  # and its mode
Single: TypeAlias = Mapping[str, Mapping[str, Collection[str]]]


class Declared(Protocol):
    """A composite index, of one collection."""

    @property
    def collection(self) -> str: ...
    @property
    def fields(self) -> Collection[tuple[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a query decides on its index: not its values, nor how much it wants."""

    collection: str
    equal: frozenset[Field]  # with the mode that is wanted, "" for any direction
    sorted_by: tuple[Field, ...]  # `__name__` left out

    def __str__(self) -> str:
        wanted = [f"{name} {mode}".strip() for name, mode in sorted(self.equal)]
        ordered = [f"{name} {mode}" for name, mode in self.sorted_by]
        return f"{self.collection}: {', '.join([*wanted, *ordered]) or 'no field'}"


def shape_of(query: Any) -> Shape:
    """Of a StructuredQuery. :raises ValueError: it has what the rules here say nothing of."""
    (source,) = query.from_
    if source.all_descendants:
        raise ValueError(f"a query over all collections named {source.collection_id!r}")
    equal, ranges = set[Field](), list[str]()
    for where in _filters(query.where):
        name, operator = where.field.field_path, where.op.name
        if operator in _EQUAL:
            equal.add((name, _EQUAL[operator]))
        elif operator in ("LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL"):
            ranges.append(name)
        else:
            raise ValueError(f"a filter {operator} of {name}")
    orders = [(order.field.field_path, order.direction.name) for order in query.order_by]
    if ranges and not orders:
        orders = [(ranges[0], _UP)]  # what a range is of comes first, if nothing else is said
    if {*ranges} - {name for name, _ in orders[:1]}:
        raise ValueError(f"a range of {ranges}, sorted by {orders}")
    return Shape(source.collection_id, frozenset(equal), _without_name(orders))


def _filters(where: Any) -> Iterator[Any]:
    if where.composite_filter.filters:
        if where.composite_filter.op.name != "AND":
            raise ValueError("a disjunction of filters")
        for each in where.composite_filter.filters:
            yield from _filters(each)
    elif where.field_filter.field.field_path:
        yield where.field_filter


def _without_name(orders: list[Field]) -> tuple[Field, ...]:
    *first, last = orders or [(_NAME, _UP)]
    if last[0] != _NAME:
        return tuple(orders)
    if last[1] != (first[-1][1] if first else _UP):
        raise ValueError(f"sorted by {orders}: __name__ in another direction than the field before it")
    return tuple(first)


def is_served(shape: Shape, indexes: Collection[Declared], single: Single) -> bool:
    """Whether some of the indexes, merged if need be, answer it."""
    return bool(serving(shape, indexes, single)) or not (shape.equal or shape.sorted_by)


def serving(shape: Shape, indexes: Collection[Declared], single: Single) -> list[tuple[Field, ...]]:
    """The indexes that answer it, none if they cannot; by name alone a collection is always to be had."""
    usable = [found for found in _of(shape, indexes, single) if _is_part(found, shape)]
    covered = {wanted for found in usable for wanted in shape.equal if _has(_head(found, shape), wanted)}
    return usable if covered >= shape.equal else []


def _of(shape: Shape, indexes: Collection[Declared], single: Single) -> Iterator[tuple[Field, ...]]:
    for index in indexes:
        if index.collection == shape.collection:
            yield tuple((name, str(mode)) for name, mode in index.fields)
    exempted = single.get(shape.collection, {})
    for name in {name for name, _ in (*shape.equal, *shape.sorted_by)}:
        modes = exempted.get(name, exempted.get("*", _MODES))
        yield from (((name, str(mode)),) for mode in modes)


def _is_part(index: tuple[Field, ...], shape: Shape) -> bool:
    """It sorts as is wanted, and before that has nothing but equalities."""
    head = _head(index, shape)
    sorts = index[len(head) :] == shape.sorted_by
    return sorts and all(any(_has((field,), wanted) for wanted in shape.equal) for field in head)


def _head(index: tuple[Field, ...], shape: Shape) -> tuple[Field, ...]:
    return index[: max(0, len(index) - len(shape.sorted_by))]


def _has(fields: tuple[Field, ...], wanted: Field) -> bool:
    name, mode = wanted
    return any(field == name and (has == mode if mode else has != _CONTAINS) for field, has in fields)


def refusing(indexes: Collection[Declared], single: Single, error: Callable[[str], Exception]) -> Callable[[Any], None]:
    """For `firestore_calls.listen`: refuses, in the service's words, what the service would."""

    def check(query: Any) -> None:
        shape = shape_of(query)
        if not is_served(shape, indexes, single):
            raise error(f"The query requires an index. There is none for {shape}.")

    return check
