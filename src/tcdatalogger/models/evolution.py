"""What must change in a warehouse so that rows of a family fit, and whether that is safe."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.models.schema import Column, TableFamily, TableSchema, Type
from tcdatalogger.models.shape import Kind, List, Object, Scalar, Shape, walk

Stored = Mapping[str, Mapping[str, Type | None]]
"""The types of the columns of each table that is there; None for a type that is not ours."""

Origin = tuple[int, tuple[str, ...], bool]
"""Where a column's values come from, whatever it is called: its level, its path, whether ours."""

Names = Mapping[str, Mapping[Origin, str]]
"""What the columns of each table are called there, by their origin."""

WIDENING = {(Type.INT, Type.FLOAT)}
"""From and to: what may be widened without asking, if every value of the column can be held."""

WHOLE: Final = 2**53
"""Beyond it, up and down, a float does not hold every integer."""


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
        column: its name, "" for a whole table.
        type: what the column becomes.
        was: what it is, its name where it is renamed; "" where it is not there.
    """

    change: Change
    table: str
    column: str = ""
    type: str = ""
    was: str = ""

    @property
    def free(self) -> bool:
        """Whether it happens by itself, in the step of a load."""
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
                    f"another column of the table is"
                )


def origin(column: Column) -> Origin:
    """Where the values of a column come from."""
    return column.level, column.path, column.ours


def plan(stored: Stored, family: TableFamily, names: Names | None = None) -> tuple[Step, ...]:
    """The steps from what is stored to what `family` needs; one that is not free: do not store.

    Args:
        stored: what is there.
        family: of the rows that are to be stored.
        names: what the columns are called there; one that has another name now is renamed.
    """
    known = names or {}
    return tuple(step for table in family.tables for step in _table_steps(stored, table, known))


def _table_steps(stored: Stored, table: TableSchema, names: Names) -> Iterator[Step]:
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
    """The integers among these values that a float would change."""
    long = pc.or_(pc.greater(values, WHOLE), pc.less(values, -WHOLE))
    suspects = values.filter(pc.fill_null(long, fill_value=False))
    return [value for value in suspects.to_pylist() if int(float(value)) != value]


def widened(before: Object, after: Object) -> frozenset[tuple[str, ...]]:
    """The places of integers that have become decimals."""
    kinds = {path: one.kind for path, one in walk(before) if isinstance(one, Scalar)}
    return frozenset(
        path
        for path, one in walk(after)
        if isinstance(one, Scalar) and one.kind is Kind.FLOAT and kinds.get(path) is Kind.INT
    )


def as_whole(shape: Object, places: Collection[tuple[str, ...]]) -> Object:
    """`shape` with integers for the decimals at these places."""
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
    """`shape` of the catalogue with the learned fields of `known`, the shape of earlier runs.

    Decimals stay decimals, as their columns do.
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
    """`shape` with the learned fields at these places as they were before, or without them.

    Args:
        shape: as it is known.
        places: of fields, as `drift.place` tells them.
        before: as it was known then.
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
    """Whether nothing is left in an object."""
    match before, after:
        case Object(fields=(_, *_)), Object(fields=()):
            return True
        case _:
            return False
