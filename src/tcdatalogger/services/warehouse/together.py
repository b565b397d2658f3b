"""Loads that are stored together: the rows of many runs in one insert for each table.

A rebuild makes thousands of small loads again. What the ledger and the tables are asked for one of
them takes ten times as long as its rows. Loads of one endpoint that are appended to the same tables
are asked for once, and stored as if one came after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa

from tcdatalogger.models.kept import KeptRows
from tcdatalogger.services.warehouse.load import Load

MOST: Final = 128
"""Loads of a group."""

VALUES: Final = 1_000_000
"""Values that the rows of a group have: some megabytes."""


def groups(loads: Iterable[Load]) -> Iterator[list[Load]]:
    """Loads in their order, those together that can be stored together.

    A load that is stored alone is not kept until the next one comes.
    """
    found: list[Load] = []
    size = 0
    for load in loads:
        more = _values(load)
        alone = more is None
        full = len(found) == MOST or size + (more or 0) > VALUES
        if found and (alone or full or not _joins(found, load)):
            group, found, size = found, [], 0
            yield group
        if more is None:
            yield [load]
        else:
            found.append(load)
            size += more
    if found:
        yield found


def joined(loads: Sequence[Load]) -> Load:
    """One load with the rows of a group; all else is that of the first."""
    first, *others = loads
    if not others:
        return first
    tables = {
        name: pa.concat_tables([load.tables[name] for load in loads]) for name in first.tables
    }
    return replace(first, tables=tables, others=tuple(load.run_id for load in others))


def _values(load: Load) -> int | None:
    """How many values the rows of a load have; None for a load that is stored alone.

    So it is where what it stores hangs on the rows before it, or its rows are not in memory.
    """
    if load.mode != "append" or load.once or load.settles:
        return None
    size = 0
    for rows in load.tables.values():
        if isinstance(rows, KeptRows):
            return None
        size += rows.num_rows * rows.num_columns
    return size


def _joins(group: Sequence[Load], load: Load) -> bool:
    """Whether a load can be stored together with those of a group."""
    first = group[0]
    return (
        load.endpoint == first.endpoint
        and load.family == first.family
        and (load.again, load.token, load.cause) == (first.again, first.token, first.cause)
        and (load.catalog_version, load.path) == (first.catalog_version, first.path)
        and all(load.tables[n].schema == rows.schema for n, rows in first.tables.items())
        and all(load.run_id != other.run_id and load.id != other.id for other in group)
    )
