"""What must change in a warehouse so that rows of a family fit, and whether that is safe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from tcdatalogger.models.schema import TableFamily, TableSchema, Type
from tcdatalogger.models.shape import List, Object, Shape

Stored = Mapping[str, Mapping[str, Type | None]]
"""The types of the columns of each table that is there; None for a type that is not ours."""

WIDENING = {(Type.INT, Type.FLOAT)}
"""From and to: what may be widened without asking, as no value changes by it."""


class Change(StrEnum):
    """One way in which a table changes."""

    TABLE = "new table"
    COLUMN = "new column"
    WIDER = "wider column"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one table.

    Attributes:
        column: its name, "" for a whole table.
        type: what the column becomes.
        was: what it is, "" where it is not there.
    """

    change: Change
    table: str
    column: str = ""
    type: str = ""
    was: str = ""

    def __str__(self) -> str:
        match self.change:
            case Change.TABLE:
                return f"+ table {self.table}"
            case Change.COLUMN:
                return f"+ {self.table}.{self.column} {self.type}"
            case Change.WIDER:
                return f"~ {self.table}.{self.column} {self.was} -> {self.type}"
            case Change.REFUSED:
                return f"! {self.table}.{self.column} {self.was} cannot become {self.type}"


def plan(stored: Stored, family: TableFamily) -> tuple[Step, ...]:
    """The steps from what is stored to what `family` needs; a refused one means: do not store."""
    return tuple(step for table in family.tables for step in _table_steps(stored, table))


def _table_steps(stored: Stored, table: TableSchema) -> Iterator[Step]:
    columns = stored.get(table.name)
    if columns is None:
        yield Step(Change.TABLE, table.name)
        return
    for column in table.columns:
        if column.name not in columns:
            yield Step(Change.COLUMN, table.name, column.name, column.type)
            continue
        was = columns[column.name]
        if was is column.type or (was is Type.FLOAT and column.type is Type.INT):
            continue
        change = Change.WIDER if (was, column.type) in WIDENING else Change.REFUSED
        yield Step(change, table.name, column.name, column.type, was or "another type")


def adopt(shape: Object, known: Object) -> Object:
    """`shape` of the catalogue with the learned fields of `known`, the shape of earlier runs."""
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
        case _:
            return shape
