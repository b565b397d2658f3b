"""Makes the rows of a family's tables from nested Arrow; child rows get values of their parents.

It uses Arrow kernels only: nothing here loops over rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.models.kept import RowMaker, Rows, detached, in_memory
from tcdatalogger.models.reading.decode import AnyBatch, Batch
from tcdatalogger.models.reading.row_reader import RejectedRecord
from tcdatalogger.models.rows.dedupe import Repeats, dedupe, last_of_each
from tcdatalogger.models.schema import INDEX, SYSTEM, Column, TableFamily, TableSchema, Type
from tcdatalogger.scratch import Scratch

UTC_TIME: Final = pa.timestamp("us", tz="UTC")

ARROW: Final[Mapping[Type, pa.DataType]] = {
    Type.INT: pa.int64(),
    Type.FLOAT: pa.float64(),
    Type.TEXT: pa.string(),
    Type.BOOL: pa.bool_(),
    Type.TIME: UTC_TIME,
    Type.JSON: pa.string(),
}

Way = tuple[tuple[str, ...], ...]
"""The paths of the lists from the root to a table."""

Source = tuple[int, tuple[str, ...]]
"""The source of a column's values: the level of the element and the path inside the element.

Values that this program makes have the complement (`~`) of the level, so they differ from every
field of Torn's.
"""


@dataclass(frozen=True, slots=True)
class _Levels:
    """Tables of a family that are parents and children of each other.

    Attributes:
        tables: the tables by the way to them.
        inner: for each way, the ways to the tables directly inside.
    """

    tables: Mapping[Way, TableSchema]
    inner: Mapping[Way, Sequence[Way]]

    @classmethod
    def of(cls, tables: Iterable[TableSchema]) -> _Levels:
        found = {table.lists: table for table in tables}
        inner: dict[Way, list[Way]] = {way: [] for way in found}
        for way in found:
            if way:
                inner[way[:-1]].append(way)
        return cls(found, inner)

    def below(self, way: Way) -> Iterator[TableSchema]:
        """The table at a way and all tables inside it."""
        yield self.tables[way]
        for inner in self.inner[way]:
            yield from self.below(inner)


@dataclass(frozen=True, slots=True)
class Provenance:
    """The values of one page that are not in its body: the system columns and the parameters.

    Attributes:
        server_time: seconds since 1970 by the clock of the server, None where there was no server.
        subject_id: the subject of the page, None for data of the whole city.
        run_id: the run that fetched the page, None for none.
        parameters: the values of the columns of parameters, by the name of the parameter.
    """

    server_time: float | None = None
    subject_id: int | None = None
    run_id: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


def arrow_schema(table: TableSchema) -> pa.Schema:
    """The Arrow schema of a table's rows."""
    return pa.schema([(column.name, ARROW[column.type]) for column in table.columns])


@dataclass(frozen=True, slots=True)
class Normalized:
    """The rows of a run.

    Attributes:
        tables: the rows by table name, also of tables without rows.
        repeated: how many repeated records are left out.
        changed: those of the left out records that differ from the kept one.
    """

    tables: Mapping[str, Rows]
    repeated: int = 0
    changed: tuple[RejectedRecord, ...] = ()


def normalize(
    batches: Sequence[AnyBatch],
    family: TableFamily,
    pages: Sequence[Provenance],
    *,
    once: bool = False,
    scratch: Scratch | None = None,
    times: Mapping[int, int] | None = None,
) -> Normalized:
    """The rows of every table of `family`.

    Args:
        batches: the batches of `decode`; they are read one after the other.
        family: the family of the grown shape that `decode` returned.
        pages: the provenance of each page, by its number.
        once: whether repeated records are left out, as the pages of one run overlap. Then the pages
            of one subject are one record where the body is no list, and its lists go on from page
            to page.
        scratch: where the rows stand; None for memory.
        times: for pages that came several times and are here once: how often, by their number.
    """
    repeats = _repeats(batches, family, pages, times or {}) if once else None
    made = {table.name: RowMaker(arrow_schema(table), scratch) for table in family.tables}
    before: dict[tuple[Way, int | None], int] = {}
    valid: list[bool] = []
    for at, given in enumerate(batches):
        batch = Batch(given.body, given.pages)
        element, page = _root(batch, family)
        mask = repeats.keep[at] if repeats else None
        if mask is not None:
            element, page = element.filter(mask), page.filter(mask)
        if once and not family.listed:
            valid += pc.is_valid(element).to_pylist()
        for name, table in _tables(batch, element, page, family, pages, before, once=once).items():
            made[name].add(table)
    tables = {name: maker.rows() for name, maker in made.items()}
    if once and not family.listed:
        numbers = [number for batch in batches for number in batch.pages]
        return _of_pages(tables, valid, numbers, family)
    return Normalized(tables, *((repeats.dropped, repeats.changed) if repeats else ()))


def _of_pages(
    tables: Mapping[str, Rows], valid: Sequence[bool], numbers: Sequence[int], family: TableFamily
) -> Normalized:
    """The rows, with one row of the root for each subject.

    Values that only the root has are compared: a page with other values is a rejected record.

    Args:
        tables: the rows by table name.
        valid: whether each page has an object for its row of the root.
        numbers: the number of each page.
        family: the tables.
    """
    root, *others = family.tables
    handed = {c.path for table in others for c in table.data_columns if not c.level and not c.ours}
    compared = [c.name for c in root.data_columns if not c.ours and c.path not in handed]
    rows = in_memory(tables[root.name])
    keep, changed = last_of_each(rows, compared, valid, numbers)
    return Normalized({**tables, root.name: rows.filter(pa.array(keep, pa.bool_()))}, 0, changed)


def tells_records(family: TableFamily) -> bool:
    """Whether pages are told by their records alone, which are found by a key of the root's own.

    What was learned beside the payload has a row for each page.
    """
    beside = any(table.beside for table in family.tables)
    return family.listed and bool(_own_key(family)) and not beside


def _own_key(family: TableFamily) -> list[Column]:
    root = family.tables[0]
    return [c for c in root.data_columns if c.name in root.key and not c.ours]


def _repeats(
    batches: Sequence[AnyBatch],
    family: TableFamily,
    pages: Sequence[Provenance],
    times: Mapping[int, int],
) -> Repeats | None:
    """The repeated records by the root's key; None where the root has no key of its own."""
    key = _own_key(family)
    if not family.listed or not key or not batches:
        return None
    keys, again = [], 0
    for batch in batches:
        element, page = _root(batch, family)
        if times:
            extra = pa.array([times.get(number, 1) - 1 for number in batch.pages], pa.int64())
            again += pc.sum(extra.take(page)).as_py() or 0
        subjects = pa.array([pages[number].subject_id for number in batch.pages], pa.int64())
        columns = {column.name: _cast(reach(element, column.path), column.type) for column in key}
        columns = {"_subject_id": subjects.take(page), **columns}
        keys.append(pa.Table.from_batches([detached(pa.RecordBatch.from_pydict(columns))]))
    found = dedupe(keys, _Elements(batches, family), _PageNumbers(batches, family))
    return replace(found, dropped=found.dropped + again)


@dataclass(frozen=True, slots=True)
class _Elements(Sequence[pa.Array]):
    """The elements of the root of each batch, read when they are asked for."""

    batches: Sequence[AnyBatch]
    family: TableFamily

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, at: Any) -> Any:
        return _root(self.batches[at], self.family)[0]


class _PageNumbers(_Elements):
    """The number of the page of each of these elements."""

    def __getitem__(self, at: Any) -> Any:
        batch = self.batches[at]
        return pa.array(batch.pages, pa.int64()).take(_root(batch, self.family)[1])


def _tables(
    batch: Batch,
    element: pa.Array,
    page: pa.Array,
    family: TableFamily,
    pages: Sequence[Provenance],
    before: dict[tuple[Way, int | None], int],
    *,
    once: bool,
) -> dict[str, pa.Table]:
    """The rows of one batch.

    Args:
        batch: the bodies.
        element: the elements of the root.
        page: for each element the row of its page in the batch.
        family: the tables to make.
        pages: the provenance of each page, by its number.
        before: how many rows of each list each subject has so far; this function adds to it.
        once: whether the pages of one subject are one record.
    """
    carried = _system(page, batch, pages) | _parameters(page, batch, pages, family)
    levels = _Levels.of(table for table in family.tables if not table.beside)
    subjects = [pages[number].subject_id for number in batch.pages]
    starts: dict[Way, pa.Array] = {}
    if family.listed:
        carried[~0, (INDEX,)] = _places(page, subjects, before)
    else:
        carried[~0, (INDEX,)] = pa.array(batch.pages, pa.int64())
    if once and not family.listed:
        for way in levels.inner[()]:
            starts[way] = _starts(reach(element, way[0]), subjects, way, before)
    found: dict[str, pa.Table] = {}
    _descend(element, (), carried, levels, found, starts)
    if any(table.beside for table in family.tables):
        _descend_pages(batch, family, pages, found)
    return found


def _descend_pages(
    batch: Batch,
    family: TableFamily,
    pages: Sequence[Provenance],
    found: dict[str, pa.Table],
) -> None:
    """The rows of fields that were learned beside the payload: one for each page."""
    everyone = pa.array(range(len(batch.pages)), pa.int64())
    carried = _system(everyone, batch, pages)
    carried[~0, (INDEX,)] = pa.array(batch.pages, pa.int64())
    levels = _Levels.of(table for table in family.tables if table.beside)
    _descend(batch.body, (), carried, levels, found, {})


def _root(batch: AnyBatch, family: TableFamily) -> tuple[pa.Array, pa.Array]:
    """The elements of the root, and for each element the row of its page in the batch."""
    everyone = pa.array(range(len(batch.pages)), pa.int64())
    body = batch.body
    if not family.root:
        return body, everyone
    inner = reach(body, family.root)
    if not family.listed:
        return inner, everyone
    if pa.types.is_null(inner.type):
        return inner.slice(0, 0), everyone.slice(0, 0)
    return pc.list_flatten(inner), pc.list_parent_indices(inner).cast(pa.int64())


def _system(page: pa.Array, batch: Batch, pages: Sequence[Provenance]) -> dict[Source, pa.Array]:
    """The system columns of the root's rows."""
    of = [pages[number] for number in batch.pages]
    micros = [None if p.server_time is None else round(p.server_time * 1e6) for p in of]
    columns = (
        pa.array(micros, pa.int64()).cast(UTC_TIME),
        pa.array([p.subject_id for p in of], pa.int64()),
        pa.array([p.run_id for p in of], pa.string()),
    )
    return {(~0, (name,)): column.take(page) for name, column in zip(SYSTEM, columns, strict=True)}


def _parameters(
    page: pa.Array, batch: Batch, pages: Sequence[Provenance], family: TableFamily
) -> dict[Source, pa.Array]:
    """The parameters of the root's rows; null where a page was asked for without one."""
    of = [pages[number].parameters for number in batch.pages]
    return {
        _source(column): pa.array([p.get(column.path[1]) for p in of], pa.string()).take(page)
        for column in family.tables[0].columns
        if column.is_parameter
    }


def _places(
    page: pa.Array, subjects: Sequence[int | None], before: dict[tuple[Way, int | None], int]
) -> pa.Array:
    """The place of each root row among the rows of its subject, over all pages of the run."""
    counts = {item["values"]: item["counts"] for item in pc.value_counts(page).to_pylist()}
    starts, row = [], 0
    for number, subject in enumerate(subjects):
        starts.append(before.get(((), subject), 0) - row)
        before[(), subject] = before.get(((), subject), 0) + counts.get(number, 0)
        row += counts.get(number, 0)
    return pc.add(_range(len(page)), pa.array(starts, pa.int64()).take(page))


def _starts(
    lists: pa.Array,
    subjects: Sequence[int | None],
    way: Way,
    before: dict[tuple[Way, int | None], int],
) -> pa.Array:
    """For the list of each page, how many elements the lists of earlier pages have."""
    starts = []
    lengths = pc.list_value_length(lists).to_pylist() if pa.types.is_list(lists.type) else []
    for subject, length in zip(subjects, lengths, strict=bool(lengths)):
        starts.append(before.get((way, subject), 0))
        before[way, subject] = starts[-1] + (length or 0)
    return pa.array(starts, pa.int64())


def _range(length: int) -> pa.Array:
    if not length:
        return pa.array([], pa.int64())
    return pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), length), start=-1)


def reach(array: pa.Array, path: Sequence[str]) -> pa.Array:
    """The values at `path` in a struct array; null where a parent or the path is missing."""
    for name in path:
        kind = array.type
        if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
            return pa.nulls(len(array))
        array = pc.struct_field(array, [kind.get_field_index(name)])
    return array


def _inside(array: pa.Array) -> dict[tuple[str, ...], pa.Array]:
    """The values at every path in an array, as `reach` gives them; the array itself is at `()`."""
    found: dict[tuple[str, ...], pa.Array] = {(): array}
    if pa.types.is_struct(array.type):
        for field, inner in zip(array.type, array.flatten(), strict=True):
            found |= {(field.name, *path): values for path, values in _inside(inner).items()}
    return found


def _descend(
    element: pa.Array,
    lists: Way,
    carried: Mapping[Source, pa.Array],
    levels: _Levels,
    found: dict[str, pa.Table],
    starts: Mapping[Way, pa.Array],
) -> None:
    """Make the table of this level, then the tables of the lists inside of its elements.

    Args:
        element: the elements of this level, one row each.
        lists: the way from the root to this level.
        carried: the values of parents, one for each element.
        levels: the tables.
        found: the tables that are made, by name; this function adds to it.
        starts: for lists that go on from another page, the place of the first element.
    """
    table = levels.tables[lists]
    depth = len(lists)
    own = _inside(element)
    found[table.name] = pa.table(
        [_values(column, own, carried, depth) for column in table.columns],
        schema=arrow_schema(table),
    )
    for way in levels.inner[lists]:
        inner = own.get(way[-1])
        if inner is None or not pa.types.is_list(inner.type):
            for below in levels.below(way):
                found[below.name] = arrow_schema(below).empty_table()
            continue
        parents = pc.list_parent_indices(inner)
        handed = _hand_down(way, own, carried, levels, parents)
        places = _places_inside(inner, parents)
        if way in starts:
            places = pc.add(places, starts[way].take(parents))
        handed[~(depth + 1), (INDEX,)] = places
        _descend(pc.list_flatten(inner), way, handed, levels, found, starts)


def _values(
    column: Column,
    own: Mapping[tuple[str, ...], pa.Array],
    carried: Mapping[Source, pa.Array],
    depth: int,
) -> pa.Array:
    array = carried.get(_source(column))
    if array is None:
        if column.level != depth:
            raise LookupError(f"{column.name} was not handed down")
        array = own.get(column.path)
    return (
        pa.nulls(len(own[()]), ARROW[column.type]) if array is None else _cast(array, column.type)
    )


def _source(column: Column) -> Source:
    """The source of a column's values; system columns belong to the root."""
    if not column.ours:
        return column.level, column.path
    return (~column.level if column.path == (INDEX,) else ~0), column.path


def _cast(array: pa.Array, kind: Type) -> pa.Array:
    if array.type == ARROW[kind]:
        return array
    if kind is Type.TIME and not pa.types.is_null(array.type):
        return array.cast(pa.timestamp("s", tz="UTC")).cast(UTC_TIME)
    return array.cast(ARROW[kind])


def _hand_down(
    way: Way,
    own: Mapping[tuple[str, ...], pa.Array],
    carried: Mapping[Source, pa.Array],
    levels: _Levels,
    parents: pa.Array,
) -> dict[Source, pa.Array]:
    """The values that the tables at `way` and below take from this level and its parents."""
    depth = len(way) - 1
    wanted: dict[Source, None] = {(~0, (name,)): None for name in SYSTEM}
    for table in levels.below(way):
        wanted |= {_source(c): None for c in table.data_columns if c.level <= depth}
    handed: dict[Source, pa.Array] = {}
    for source in wanted:
        level, path = source
        array = carried.get(source)
        if array is None and level == depth:
            array = own.get(path)
            array = pa.nulls(len(own[()])) if array is None else array
        if array is not None:
            handed[source] = array.take(parents)
    return handed


def _places_inside(lists: pa.Array, parents: pa.Array) -> pa.Array:
    """The place of each element in its list, counted from 0."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int64())
    starts = pc.subtract(pc.cumulative_sum(lengths), lengths)
    return pc.subtract(_range(len(parents)), starts.take(parents))
