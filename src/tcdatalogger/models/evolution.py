"""Plans how the tables of a warehouse have to change before rows of a family fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tcdatalogger.models.schema import Column, TableFamily, TableSchema, Type
from tcdatalogger.models.shape import Kind, List, Object, Scalar, Shape, walk

if TYPE_CHECKING:
    import pyarrow as pa

StoredTypes = Mapping[str, Mapping[str, Type | None]]
"""The types of the columns of each stored table; None for a type that is none of `Type`."""

Origin = tuple[int, tuple[str, ...], bool]
"""Where the values of a column come from, whatever its name is: `level`, `path`, `ours`."""

Names = Mapping[str, Mapping[Origin, str]]
"""The stored names of the columns of each table, by their origin."""

WIDENING = {(Type.INT, Type.FLOAT)}
"""Pairs of an old and a new type: a column becomes wider by itself where all its values fit."""

WHOLE: Final = 2**53
"""A float holds every integer up to this number, positive and negative; not every larger one."""


class Change(StrEnum):
    """One way in which a table changes."""

    TABLE = "new table"
    COLUMN = "new column"
    WIDER = "wider column"
    RENAMED = "renamed column"
    RETYPED = "another type"
    DROPPED = "dropped column"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one table.

    Attributes:
        change: the kind of the change.
        table: the name of the table.
        column: the name of the column, "" for a whole table.
        type: the new type of the column.
        was: the old type, or the old name of a renamed column; "" for a new column.
    """

    change: Change
    table: str
    column: str = ""
    type: str = ""
    was: str = ""

    @property
    def free(self) -> bool:
        """Whether a load may make this change by itself."""
        return self.change in {Change.TABLE, Change.COLUMN, Change.WIDER}

    def __str__(self) -> str:
        place = f"{self.table}.{self.column}"
        match self.change:
            case Change.TABLE:
                return f"+ table {self.table}"
            case Change.COLUMN:
                return f"+ {place} {self.type}"
            case Change.WIDER:
                return f"~ {place} {self.was} -> {self.type}"
            case Change.RENAMED:
                return f"~ {self.table}.{self.was} renamed to {self.column}"
            case Change.RETYPED:
                return f"! {place} {self.was} cannot become {self.type} by itself"
            case Change.DROPPED:
                return f"- {place} {self.was}"
            case Change.REFUSED:
                return (
                    f"! {self.table}.{self.was} cannot be called {self.column}: "
                    f"the table has another column of this name"
                )


def origin(column: Column) -> Origin:
    """The origin of a column."""
    return column.level, column.path, column.ours


def plan(stored: StoredTypes, family: TableFamily, names: Names | None = None) -> tuple[Step, ...]:
    """The steps from the stored tables to the tables of `family`.

    Callers must not store rows while one of the steps is not free.

    Args:
        stored: the stored columns.
        family: the family of the rows.
        names: the stored names of the columns; a column with another name now is renamed.
    """
    known = names or {}
    return tuple(step for table in family.tables for step in _table_steps(stored, table, known))


def _table_steps(stored: StoredTypes, table: TableSchema, names: Names) -> Iterator[Step]:
    columns = stored.get(table.name)
    if columns is None:
        yield Step(Change.TABLE, table.name)
        return
    known = names.get(table.name, {})
    before = {
        column.name: name
        for column in table.data_columns
        if (name := known.get(origin(column), column.name)) != column.name and name in columns
    }
    leaving = set(before.values())
    for column in table.columns:
        name = before.get(column.name, column.name)
        if name != column.name:
            taken = column.name in columns and column.name not in leaving
            change = Change.REFUSED if taken else Change.RENAMED
            yield Step(change, table.name, column.name, column.type, name)
        elif name not in columns or name in leaving:
            yield Step(Change.COLUMN, table.name, column.name, column.type)
            continue
        yield from _type_steps(table.name, column, columns[name])


def _type_steps(table: str, column: Column, was: Type | None) -> Iterator[Step]:
    if was is column.type or (was is Type.FLOAT and column.type is Type.INT):
        return
    change = Change.WIDER if (was, column.type) in WIDENING else Change.RETYPED
    yield Step(change, table, column.name, column.type, was or "another type")


def too_long(values: pa.ChunkedArray) -> list[int]:
    """The integers that a float would change, in the order of the values."""
    import pyarrow.compute as pc  # noqa: PLC0415  # the configuration needs none, and it is slow

    long = pc.or_(pc.greater(values, WHOLE), pc.less(values, -WHOLE))
    suspects = values.filter(pc.fill_null(long, fill_value=False))
    return [value for value in suspects.to_pylist() if int(float(value)) != value]


def widened(before: Object, after: Object) -> frozenset[tuple[str, ...]]:
    """The paths of fields that are integers in `before` and decimals in `after`."""
    kinds = {path: shape.kind for path, shape in walk(before) if isinstance(shape, Scalar)}
    return frozenset(
        path
        for path, shape in walk(after)
        if isinstance(shape, Scalar) and shape.kind is Kind.FLOAT and kinds.get(path) is Kind.INT
    )


def as_whole(shape: Object, places: Collection[tuple[str, ...]]) -> Object:
    """`shape` with integers in place of the decimals at these paths."""
    narrow = _as_whole(shape, (), frozenset(places))
    return narrow if isinstance(narrow, Object) else shape


def _as_whole(shape: Shape, here: tuple[str, ...], places: frozenset[tuple[str, ...]]) -> Shape:
    match shape:
        case Object(fields=fields):
            inner = (
                replace(field, shape=_as_whole(field.shape, (*here, field.name), places))
                for field in fields
            )
            return replace(shape, fields=tuple(inner))
        case List(element=element):
            return replace(shape, element=_as_whole(element, (*here, "[]"), places))
        case Scalar(kind=Kind.FLOAT) if here in places:
            return replace(shape, kind=Kind.INT)
        case _:
            return shape


def adopt(shape: Object, known: Object) -> Object:
    """The shape of the catalogue with the learned fields of earlier runs.

    An integer of the catalogue becomes a decimal where `known` has a decimal, because its column is
    one of decimals.

    Args:
        shape: the shape of the catalogue.
        known: the shape of earlier runs.
    """
    grown = _adopt(shape, known)
    return grown if isinstance(grown, Object) else shape


def _adopt(shape: Shape, known: Shape) -> Shape:
    match shape, known:
        case Object(), Object():
            fields = [
                field
                if (other := known.field(field.name)) is None
                else replace(field, shape=_adopt(field.shape, other.shape))
                for field in shape.fields
            ]
            fields += [f for f in known.fields if f.learned and shape.field(f.name) is None]
            return replace(shape, fields=tuple(fields))
        case List(), List():
            return replace(shape, element=_adopt(shape.element, known.element))
        case Scalar(kind=Kind.INT), Scalar(kind=Kind.FLOAT):
            return replace(shape, kind=Kind.FLOAT)
        case _:
            return shape


def taken_back(
    shape: Object, places: Collection[tuple[str, ...]], before: Object | None = None
) -> Object:
    """`shape` with the learned fields at these paths as they were before, or without them.

    Args:
        shape: the shape that is known now.
        places: the paths of the fields, as `drift.place` gives them.
        before: the shape that was known before, None for none.
    """
    left = _taken_back(shape, (), frozenset(places), before)
    return left if isinstance(left, Object) else shape


def _taken_back(
    shape: Shape, here: tuple[str, ...], places: frozenset[tuple[str, ...]], before: Shape | None
) -> Shape:
    match shape:
        case Object(fields=fields):
            then = before if isinstance(before, Object) else Object(())
            kept = []
            for field in fields:
                at, old = (*here, field.name), then.field(field.name)
                inner = _taken_back(field.shape, at, places, None if old is None else old.shape)
                if field.learned and at in places:
                    kept += [] if old is None else [old]
                elif not (field.learned and _emptied(field.shape, inner)):
                    kept.append(replace(field, shape=inner))
            return replace(shape, fields=tuple(kept))
        case List(element=element):
            then_ = before.element if isinstance(before, List) else None
            return replace(shape, element=_taken_back(element, (*here, "[]"), places, then_))
        case _:
            return shape


def _emptied(before: Shape, after: Shape) -> bool:
    """Whether an object had fields and has none any more."""
    match before, after:
        case Object(fields=(_, *_)), Object(fields=()):
            return True
        case _:
            return False
