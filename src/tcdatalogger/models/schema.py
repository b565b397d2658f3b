"""Makes a family of tables from the shape of a body: tables, columns and their names.

Names depend on the shape only and never on the data; they are lower snake case. Fields that were
learned from data (drift) get their names last, so they never change another name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from tcdatalogger.errors import ConfigError
from tcdatalogger.models.naming import prefixed, short, singular, snake
from tcdatalogger.models.shape import Field, Json, List, Object, Scalar, Shape
from tcdatalogger.text import did_you_mean

METADATA = "_metadata"
"""The field of a body that holds links and not data."""

SYSTEM = ("server_timestamp", "_subject_id", "_run_id")
"""The columns that every row of every table has."""

INDEX = "_index"
"""The name of the column with the place of an element in its list, counted from 0."""


PARAMETER = "?"
"""The start of the path of a column with a parameter of the query; no field has this name."""


class Type(StrEnum):
    """The types of columns."""

    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    BOOL = "bool"
    TIME = "time"
    JSON = "json"


SYSTEM_TYPES = (Type.TIME, Type.INT, Type.TEXT)


@dataclass(frozen=True, slots=True)
class Column:
    """One column and the origin of its values.

    Attributes:
        name: the name, unique in the table.
        type: the type of the values.
        nullable: whether the catalogue says that null may occur; no constraint.
        level: the level whose element has the value: 0 is the root, the highest is the table's own.
        path: the fields from that element to the value; `(INDEX,)` is the place of the element in
            its list; empty for a list of scalars.
        deprecated, ends: as in the shape.
        learned: whether the catalogue does not know the field.
        ours: whether this program makes the values: a place in a list, a system column, a parameter
            of the query, or a column that a processor adds.
        compared: whether a record has changed where the value has.
    """

    name: str
    type: Type
    nullable: bool
    level: int
    path: tuple[str, ...]
    deprecated: bool = False
    ends: str = ""
    learned: bool = False
    ours: bool = False
    compared: bool = True

    @property
    def is_parameter(self) -> bool:
        """Whether the column has a parameter of the query."""
        return self.ours and self.path[:1] == (PARAMETER,)


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table of a family.

    Attributes:
        name: the name of the table.
        lists: the path from the root's element to this table's element, one path for each level;
            empty for the root.
        columns: the columns of the outermost parent first, then the others, the system columns
            last.
        key: the names of the columns that identify a row of one subject.
        learned: whether the catalogue does not know the table.
        beside: whether the table holds fields that were learned beside the payload.
        plain: the name that the shape gives the table, where `owners.apart` looked at it; else "".
    """

    name: str
    lists: tuple[tuple[str, ...], ...]
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    learned: bool = False
    beside: bool = False
    plain: str = ""

    @property
    def added(self) -> tuple[Column, ...]:
        """The columns that a processor adds (`TableFamily.with_column`)."""
        return tuple(
            c for c in self.data_columns if c.ours and c.path != (INDEX,) and not c.is_parameter
        )

    @property
    def moved(self) -> bool:
        """Whether the table has another name than its shape gives it, because that was taken."""
        return self.plain not in ("", self.name)

    @property
    def data_columns(self) -> tuple[Column, ...]:
        """The columns without the system columns."""
        return self.columns[: -len(SYSTEM)]

    def column(self, name: str) -> Column | None:
        """The column with this name, None where there is none."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class TableFamily:
    """The tables of one endpoint, the root first, parents before children.

    Attributes:
        shape: the shape of a body.
        root: the path from the body to the root's element, or to the list of these elements.
        listed: whether the root has a row for each element of a list; else it has a row for each
            page.
        tables: the tables; parents stand before their children.
    """

    shape: Object
    root: tuple[str, ...]
    listed: bool
    tables: tuple[TableSchema, ...]

    def table(self, name: str) -> TableSchema | None:
        """The table with this name, None where there is none."""
        return next((table for table in self.tables if table.name == name), None)

    def with_column(self, name: str, type: str, *, table: str = "") -> TableFamily:  # noqa: A002
        """The family with a column of a processor, whose values Torn does not send.

        Args:
            name: the name of the column.
            type: one of `Type`, as "int".
            table: the name of the table, "" for the root.

        Raises:
            ConfigError: there is no such type or table, or the table has a column of this name.
        """
        if type not in tuple(Type):
            raise ConfigError(
                f"The column {name} cannot have the type {type!r}.",
                remedy=f"The types are {', '.join(Type)}.",
            )
        found = self.table(table) if table else self.tables[0]
        if found is None:
            raise ConfigError(
                f"The processor adds the column {name} to the table {table}, which does not exist.",
                remedy=did_you_mean(table, [each.name for each in self.tables]),
            )
        if name.lower() in {column.name.lower() for column in found.columns}:
            raise ConfigError(
                f"The processor adds the column {name} to {found.name}, which has one already.",
                remedy="Give the column of the processor another name.",
            )
        own = Column(
            name, Type(type), nullable=True, level=len(found.lists), path=(name,), ours=True
        )
        columns = (*found.data_columns, own, *found.columns[-len(SYSTEM) :])
        made = replace(found, columns=columns)
        return replace(self, tables=tuple(made if each is found else each for each in self.tables))

    def with_parameters(self, names: Iterable[str], telling: Collection[str] = ()) -> TableFamily:
        """The family with a column `_NAME` for each of these parameters of the query.

        The values are those of the configuration, so two records never differ by them alone: they
        are not compared.

        Args:
            names: the parameters; each gets a column of the root.
            telling: those of them that identify a record together with the key. The children have
                them too, and they are in the key of every table.
        """
        own = [
            Column(
                f"_{snake(name)}",
                Type.TEXT,
                nullable=True,
                level=0,
                path=(PARAMETER, name),
                ours=True,
                compared=False,
            )
            for name in names
        ]
        root, *others = self.tables
        keyed = [column for column in own if column.path[1] in telling]
        tables = [_with(root, own, keyed)]
        tables += [table if table.beside else _with(table, keyed, keyed) for table in others]
        return replace(self, tables=tuple(tables))


def _with(table: TableSchema, columns: Sequence[Column], keyed: Sequence[Column]) -> TableSchema:
    """A table with columns of parameters, before the places in lists in its key."""
    system = table.columns[-len(SYSTEM) :]
    inside = {c.name for c in table.columns if c.path == (INDEX,) and c.level}
    key = table.key
    if keyed:
        own = [name for name in key if name not in inside and name != SYSTEM[1]]
        key = (*own, *(c.name for c in keyed), *(name for name in key if name in inside))
    return replace(table, columns=(*table.data_columns, *columns, *system), key=key)


@dataclass(frozen=True, slots=True)
class _Level:
    """One level on the way down.

    Attributes:
        name: the name of its element.
        shape: the shape of its element.
        path: the path to it from the level above.
    """

    name: str
    shape: Shape
    path: tuple[str, ...] = ()


def family(
    shape: Shape,
    table: str,
    *,
    selection: str = "",
    key: Sequence[str] = (),
    several: bool = False,
) -> TableFamily:
    """The tables for bodies of this shape; a run asks for the same ones several times.

    Args:
        shape: the shape of the whole body.
        table: the name of the root table.
        selection: the name of the root's element where the body does not name it.
        key: the key columns of the root; empty for the field `id` or a similar one.
        several: whether each body is a record of its own, as for files; else the bodies of one
            subject are pages of one record.
    """
    return _family(shape, table, selection, tuple(key), several=several)


@lru_cache(maxsize=16)
def _family(
    shape: Shape, table: str, selection: str, key: tuple[str, ...], *, several: bool
) -> TableFamily:
    body = _drop_metadata(shape if isinstance(shape, Object) else Object(()))
    root, element = _root(body)
    listed = isinstance(element, List)
    if isinstance(element, List):
        level = _Level(singular(snake(root[-1])), element.element)
    else:
        level = _Level(snake(root[-1]) if root else singular(selection or table), element)
    learned = tuple(f for f in body.fields if f.learned and f.name not in root)
    found_key = _root_key(level, key, listed=listed, several=several)
    tables = list(_tables(table, (level,), found_key))
    if root and learned:
        page = Object(learned)
        extra = _tables(f"{table}_page", (_Level("page", page),), (INDEX,), learned=True)
        tables += [replace(found, beside=True) for found in extra]
    return TableFamily(shape=body, root=root, listed=listed, tables=_unique(tables))


def _drop_metadata(body: Object) -> Object:
    return replace(body, fields=tuple(f for f in body.fields if f.name != METADATA))


def _root(body: Object) -> tuple[tuple[str, ...], Shape]:
    """The path and the shape of the root's element: the payload, if it is one list or object."""
    payload = [field for field in body.fields if not field.learned]
    if len(payload) == 1 and isinstance(payload[0].shape, Object | List):
        return (payload[0].name,), payload[0].shape
    return (), body


def _root_key(
    level: _Level, chosen: Sequence[str], *, listed: bool, several: bool
) -> tuple[str, ...]:
    """The key of the root: the chosen columns, the `id`, the place in the list, or the subject.

    For an object that may be null, or whose `id` may be null, the key is the subject: a subject
    without a job or a faction is a state that has a row, too.
    """
    if chosen:
        return tuple(chosen)
    if isinstance(level.shape, Object) and (listed or not level.shape.nullable):
        for name in ("id", f"{level.name}_id", "uid", "slug"):
            field = level.shape.field(name)
            if not field or not isinstance(field.shape, Scalar) or field.learned:
                continue
            if listed or (field.required and not field.shape.nullable):
                return (name,)
    return (INDEX,) if listed or several else ("_subject_id",)


def _tables(
    name: str, levels: tuple[_Level, ...], key: tuple[str, ...], *, learned: bool = False
) -> Iterator[TableSchema]:
    """The table of the innermost level, then the tables of the lists inside it."""
    columns = _name_columns(levels, root_indexed=INDEX in key)
    found = [
        column.name
        for column in columns
        if column.level == 0
        and len(column.path) == 1
        and column.path[0] in key
        and column.ours == (column.path == (INDEX,))
    ]
    places = [c.name for c in columns if c.ours and c.level > 0]
    yield TableSchema(
        name,
        tuple(level.path for level in levels[1:]),
        (*columns, *_system(len(levels) - 1)),
        (*(found or key), *places),
        learned=learned,
    )
    for path, element, is_learned in _lists(levels[-1].shape):
        word = snake(path[-1]) if path else "value"
        inner = _Level(singular(word), element, path)
        child = "_".join((name, *(map(snake, path) if path else ("value",))))
        yield from _tables(child, (*levels, inner), key, learned=learned or is_learned)


def _system(level: int) -> Iterator[Column]:
    for name, kind in zip(SYSTEM, SYSTEM_TYPES, strict=True):
        yield Column(name, kind, nullable=True, level=level, path=(name,), ours=True)


def _lists(shape: Shape) -> Iterator[tuple[tuple[str, ...], Shape, bool]]:
    """The lists directly inside an element: path, element, whether learned."""
    match shape:
        case List(element=element):
            yield (), element, False
        case Object(fields=fields):
            for field in fields:
                match field.shape:
                    case List(element=element):
                        yield (field.name,), element, field.learned
                    case Object():
                        for path, element, learned in _lists(field.shape):
                            yield (field.name, *path), element, learned or field.learned
                    case _:
                        continue
        case _:
            return


@lru_cache(maxsize=256)  # thousands of endpoints of one path differ in the names of their tables
def _name_columns(levels: tuple[_Level, ...], *, root_indexed: bool) -> tuple[Column, ...]:
    """The columns of the innermost level's table.

    Names are given in this order: the element's own fields, then the fields of its parents from the
    nearest; then the learned fields in the same order. A name that is taken gets the name of its
    level before it.
    """
    last = len(levels) - 1
    wanted: list[tuple[Column, str]] = []
    if last or root_indexed:
        wanted.append((_place(last), levels[-1].name))
    wanted += [(column, levels[-1].name) for column in _own(levels[-1], last)]
    for number in range(last - 1, -1, -1):
        wanted += _parent(levels[number], levels[number + 1].path, number)
        if number or root_indexed:
            wanted.append((_place(number), levels[number].name))
    taken = set(SYSTEM)
    named: dict[int, Column] = {}
    for at, (column, prefix) in sorted(enumerate(wanted), key=lambda item: item[1][0].learned):
        whole = column.name
        while (name := short(whole)) in taken:
            whole = prefixed(whole, prefix)
        taken.add(name)
        named[at] = replace(column, name=name)

    def place(item: tuple[int, Column]) -> tuple[bool, int, int, int]:
        at, column = item
        depth = len(column.path) if column.level < last else 0
        return column.ours, column.level, depth, at

    return tuple(column for _, column in sorted(named.items(), key=place))


def _place(level: int) -> Column:
    return Column(INDEX, Type.INT, nullable=False, level=level, path=(INDEX,), ours=True)


def _own(level: _Level, number: int) -> Iterator[Column]:
    """The element's own columns: fields of objects are joined with `_`.

    The field `id` gets the name of the element before it; only the `id` of the root does not.
    """
    if isinstance(level.shape, List):
        return
    if not isinstance(level.shape, Object):
        yield _column("value", level.shape, number, ())
        return
    for field in level.shape.fields:
        name = f"{level.name}_id" if field.name == "id" and number else snake(field.name)
        yield from _flat(field, name, number, ())


def _flat(
    field: Field,
    name: str,
    level: int,
    path: tuple[str, ...],
    *,
    outer: Field | None = None,
) -> Iterator[Column]:
    """The columns of one field: one for a scalar, the inner ones for an object, none for a list.

    A field inside an object inherits from the object: optional, deprecated, its end, learned.
    `outer` is the field of the object with what that field inherited.
    """
    here = (*path, field.name)
    if outer is not None:
        field = replace(
            field,
            required=field.required and outer.required,
            deprecated=field.deprecated or outer.deprecated,
            ends=field.ends or outer.ends,
            learned=field.learned or outer.learned,
        )
    around = replace(field, required=field.required and not field.shape.nullable)
    match field.shape:
        case Object(fields=fields):
            for inner in fields:
                yield from _flat(inner, f"{name}_{snake(inner.name)}", level, here, outer=around)
        case List():
            return
        case _:
            yield _column(name, field.shape, level, here, field)


def _column(
    name: str,
    shape: Scalar | Json,
    level: int,
    path: tuple[str, ...],
    field: Field | None = None,
) -> Column:
    return Column(
        name,
        Type.JSON if isinstance(shape, Json) else Type(shape.kind),
        nullable=shape.nullable or (field is not None and not field.required),
        level=level,
        path=path,
        deprecated=field is not None and field.deprecated,
        ends=field.ends if field else "",
        learned=field is not None and field.learned,
    )


def _parent(level: _Level, towards: tuple[str, ...], number: int) -> Iterator[tuple[Column, str]]:
    """The columns that child rows take from a parent: scalars of the parent and of objects on the
    way to the list, each with the name of its level.

    Args:
        level: the parent.
        towards: the path from the parent's element to the list.
        number: the number of the parent's level.
    """
    chain: list[tuple[str, Shape, tuple[str, ...]]] = [(level.name, level.shape, ())]
    for step in towards[:-1]:
        _, shape, path = chain[-1]
        field = shape.field(step) if isinstance(shape, Object) else None
        if field is not None:
            chain.append((snake(step), field.shape, (*path, step)))
    for name, shape, path in reversed(chain):
        if not isinstance(shape, Object):
            continue
        for field in shape.fields:
            if isinstance(field.shape, Scalar):
                own = f"{name}_id" if field.name == "id" else snake(field.name)
                yield _column(own, field.shape, number, (*path, field.name), field), name


def _unique(tables: Iterable[TableSchema]) -> tuple[TableSchema, ...]:
    """The tables with different names: `a_b` and `b` inside `a` may have the same name at first."""
    taken: set[str] = set()
    found: dict[int, TableSchema] = {}
    for at, table in sorted(enumerate(tables), key=lambda item: item[1].learned):
        name, number = short(table.name), 2
        while name in taken:
            name, number = short(f"{table.name}_{number}"), number + 1
        taken.add(name)
        found[at] = replace(table, name=name)
    return tuple(found[at] for at in sorted(found))
