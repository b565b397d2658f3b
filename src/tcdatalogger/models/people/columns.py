"""Which columns of tables hold players: their ids, their names, and texts that tell of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tcdatalogger.models.people.fields import (
    ELEMENT,
    ERASED,
    TEXTS,
    is_id,
    is_person,
    names_beside,
)
from tcdatalogger.models.records import RUN, SUBJECT, VERSION
from tcdatalogger.models.schema import SYSTEM, Column, TableFamily, TableSchema, Type


@dataclass(frozen=True, slots=True)
class PersonId:
    """A column with ids of players.

    Attributes:
        column: its name.
        names: the columns with the name of the same player.
        erased: the columns that tell who it is and have no alias.
        own: whether a row is that of the player, and goes with one who is removed.
    """

    column: str
    names: tuple[str, ...] = ()
    erased: tuple[str, ...] = ()
    own: bool = False


@dataclass(frozen=True, slots=True)
class PersonColumns:
    """The columns of a table in which players may be.

    Attributes:
        table: its name.
        ids: those with ids.
        texts: those with texts, and whether these tell of people.
        json: those with JSON.
    """

    table: str
    ids: tuple[PersonId, ...] = ()
    texts: Mapping[str, bool] = field(default_factory=dict)
    json: tuple[str, ...] = ()

    def within(self, there: Collection[str], table: str = "") -> PersonColumns:
        """The same for a table that has only some of the columns.

        Args:
            there: the columns that it has.
            table: its name, where that is another one.
        """
        ids = tuple(
            PersonId(
                one.column,
                tuple(name for name in one.names if name in there),
                tuple(name for name in one.erased if name in there),
                one.own,
            )
            for one in self.ids
            if one.column in there
        )
        texts = {name: tells for name, tells in self.texts.items() if name in there}
        json = tuple(name for name in self.json if name in there)
        return PersonColumns(table or self.table, ids, texts, json)

    def called(self, names: Mapping[str, str]) -> PersonColumns:
        """The same for a table whose columns have other names."""

        def now(name: str) -> str:
            return names.get(name, name)

        return replace(
            self,
            ids=tuple(
                PersonId(
                    now(one.column),
                    tuple(map(now, one.names)),
                    tuple(map(now, one.erased)),
                    one.own,
                )
                for one in self.ids
            ),
            texts={now(name): tells for name, tells in self.texts.items()},
            json=tuple(map(now, self.json)),
        )


def of_family(
    family: TableFamily, people: Collection[tuple[str, ...]], *, about_player: bool
) -> tuple[PersonColumns, ...]:
    """Where players are in the tables of a family.

    Args:
        family: the tables.
        people: the paths of a body that hold ids of players.
        about_player: whether its rows are about one player.
    """
    return tuple(_of_table(family, table, people, about_player) for table in family.tables)


def of_names(table: str, columns: Mapping[str, Type | None], *, about: bool) -> PersonColumns:
    """Where players may be in a table of which nothing but the columns is known.

    Args:
        table: its name.
        columns: their types, by name.
        about: whether its rows are about one player.
    """
    names = [name for name in columns if name not in SYSTEM and name not in VERSION]
    ids = [
        PersonId(name, tuple(each for each in names_beside(name) if each in columns))
        for name in names
        if columns[name] in (Type.INT, Type.TEXT) and is_person(name)
    ]
    texts = {name: name in TEXTS for name in names if columns[name] is Type.TEXT}
    ids += [PersonId(SUBJECT, own=True)] if about and SUBJECT in columns else []
    json = tuple(name for name in names if columns[name] is Type.JSON)
    return PersonColumns(table, tuple(ids), texts, json)


def _of_table(
    family: TableFamily,
    table: TableSchema,
    people: Collection[tuple[str, ...]],
    about_player: bool,  # noqa: FBT001 - of the family
) -> PersonColumns:
    places = _places(family, table)
    key = {
        column.path
        for name in family.tables[0].key
        if (column := family.tables[0].column(name)) is not None and not column.ours
    }
    ids = []
    for column in table.data_columns:
        own = family.listed and column.level == 0 and column.path in key and not column.ours
        if _is_person(column, places, people):
            ids.append(
                PersonId(
                    column.name,
                    tuple(_beside(table, column, names_beside(_last(column)))),
                    tuple(_beside(table, column, ERASED)) if is_id(_last(column)) else (),
                    own,
                )
            )
    if about_player:
        ids.append(PersonId(SUBJECT, own=True))
    taken = {one.column for one in ids}
    plain = [column for column in table.data_columns if column.name not in taken]
    return PersonColumns(
        table.name,
        tuple(ids),
        {c.name: _last(c).lower() in TEXTS for c in plain if c.type is Type.TEXT},
        tuple(column.name for column in plain if column.type is Type.JSON),
    )


def _is_person(
    column: Column, places: list[tuple[str, ...]], people: Collection[tuple[str, ...]]
) -> bool:
    if column.name in (*SYSTEM, *VERSION, RUN) or column.is_parameter:
        return False
    if column.type not in (Type.INT, Type.TEXT):
        return False
    if not column.ours and (*places[column.level], *column.path) in people:
        return True
    if not (column.learned or column.ours):
        return False
    last, *before = [step for step in reversed(column.path) if step != ELEMENT] or [column.name]
    return is_person(last) or (is_id(last) and bool(before) and is_person(before[0]))


def _places(family: TableFamily, table: TableSchema) -> list[tuple[str, ...]]:
    """The path in a body to the element of each level."""
    if table.beside:
        return [() for _ in range(len(table.lists) + 1)]
    places = [(*family.root, ELEMENT) if family.listed else family.root]
    for steps in table.lists:
        places.append((*places[-1], *steps, ELEMENT))
    return places


def _beside(table: TableSchema, column: Column, names: Collection[str]) -> Iterator[str]:
    """The columns with fields of these names beside the field of a column."""
    for other in table.data_columns:
        beside = (other.level, other.path[:-1]) == (column.level, column.path[:-1])
        named = bool(other.path) and other.path[-1] in names and not other.ours
        if beside and named and other.type is Type.TEXT:
            yield other.name


def _last(column: Column) -> str:
    return column.path[-1] if column.path else column.name
