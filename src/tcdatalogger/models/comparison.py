"""Compares two families of one endpoint: which tables and columns differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tcdatalogger.models.schema import Column, TableFamily, TableSchema


class ChangeKind(StrEnum):
    """The kinds of differences."""

    TABLE_ADDED = "table added"
    TABLE_REMOVED = "table removed"
    COLUMN_ADDED = "column added"
    COLUMN_REMOVED = "column removed"
    TYPE_CHANGED = "type changed"
    NULL_CHANGED = "null changed"
    KEY_CHANGED = "key changed"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference of a table.

    Attributes:
        kind: the kind of the difference.
        table: the name of the table.
        column: the name of the column, "" where the table itself differs.
        before, after: the two values in words; "" where there is no value.
    """

    kind: ChangeKind
    table: str
    column: str = ""
    before: str = ""
    after: str = ""


def compare(before: TableFamily, after: TableFamily) -> Iterator[Difference]:
    """The differences between two families, table by table in the order of `after`."""
    for table in after.tables:
        old = before.table(table.name)
        if old is None:
            yield Difference(
                ChangeKind.TABLE_ADDED, table.name, after=f"{len(table.columns)} columns"
            )
        else:
            yield from _compare_tables(old, table)
    for table in before.tables:
        if after.table(table.name) is None:
            yield Difference(
                ChangeKind.TABLE_REMOVED, table.name, before=f"{len(table.columns)} columns"
            )


def _compare_tables(before: TableSchema, after: TableSchema) -> Iterator[Difference]:
    name = after.name
    if before.key != after.key:
        yield Difference(
            ChangeKind.KEY_CHANGED, name, "", ", ".join(before.key), ", ".join(after.key)
        )
    for column in after.columns:
        old = before.column(column.name)
        if old is None:
            yield Difference(ChangeKind.COLUMN_ADDED, name, column.name, after=column.type)
        else:
            yield from _compare_columns(name, old, column)
    for column in before.columns:
        if after.column(column.name) is None:
            yield Difference(ChangeKind.COLUMN_REMOVED, name, column.name, before=column.type)


def _compare_columns(table: str, before: Column, after: Column) -> Iterator[Difference]:
    name = after.name
    if before.type != after.type:
        yield Difference(ChangeKind.TYPE_CHANGED, table, name, before.type, after.type)
    if before.nullable != after.nullable:
        words = {True: "may be null", False: "never null"}
        yield Difference(
            ChangeKind.NULL_CHANGED, table, name, words[before.nullable], words[after.nullable]
        )
    if after.deprecated and (not before.deprecated or before.ends != after.ends):
        yield Difference(ChangeKind.DEPRECATED, table, name, after=after.ends)
