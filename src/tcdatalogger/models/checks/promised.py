"""Checks of rows before they are stored: what is promised and missing, and keys that repeat.

The checks that a user configures are in `rules.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.schema import TableFamily, TableSchema


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of one check of the rows of a load.

    Attributes:
        table: whose rows.
        check: in words: `level is between 1 and 100`.
        failed: how many rows fail it.
        example: a value that does, "" where there is none to show.
        on_failure: what follows: `refuse`, `warn` or `quarantine`.
    """

    table: str
    check: str
    failed: int = 0
    example: str = ""
    on_failure: str = "refuse"

    @property
    def passed(self) -> bool:
        return not self.failed

    def __str__(self) -> str:
        if self.passed:
            return f"{self.table}: {self.check}"
        rows = "1 row fails" if self.failed == 1 else f"{self.failed} rows fail"
        example = f": {self.example}, for example" if self.example else ""
        return f"{self.table}: {rows} the check that {self.check}{example}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of the checks of one load, for the books.

    Attributes:
        endpoint, run_id, load_id: whose rows were checked.
        at: when, seconds since 1970.
    """

    endpoint: str
    run_id: str
    load_id: str
    at: float
    results: tuple[CheckResult, ...]


class CheckFailed(DataRefused):
    """A check refuses rows.

    Attributes:
        results: what came of the checks that were made, for the books.
    """

    def __init__(self, message: str, results: Iterable[CheckResult], *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.results = tuple(results)


def missing(
    family: TableFamily, tables: Mapping[str, pa.Table]
) -> Iterator[tuple[str, CheckResult]]:
    """A sentence for each column that the catalogue promises and some rows lack; for the books too.

    An observation: older bodies lack what was promised later, and no load fails on it.
    """
    for table in family.tables:
        rows = tables[table.name]
        for column in table.data_columns:
            absent = rows.column(column.name).null_count
            if absent and not column.nullable and column.level == len(table.lists):
                place = f"{table.name}.{column.name}"
                yield (
                    f"{place} is promised, and {absent} of {rows.num_rows} rows lack it",
                    CheckResult(
                        table.name, f"{column.name} is there, as promised", absent, "", "warn"
                    ),
                )


def repeated_keys(family: TableFamily, tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """How many rows of each table have a key that another row of the same subject has too."""
    found = {}
    for table in family.tables:
        count = _repeated(table, tables[table.name])
        if count:
            found[table.name] = count
    return found


def _repeated(table: TableSchema, rows: pa.Table) -> int:
    if not table.key or rows.num_rows < 2:  # noqa: PLR2004 - one row repeats nothing
        return 0
    names = list(dict.fromkeys((*table.key, "_subject_id")))
    keys = rows.select(names)
    for name in table.key:
        if name != "_subject_id" and keys.column(name).null_count:
            keys = keys.filter(pc.is_valid(keys.column(name)))
    distinct = keys.group_by(names, use_threads=False).aggregate([]).num_rows
    return int(keys.num_rows - distinct)
