"""Checks of every load: columns that the catalogue promises, and keys that repeat.

`rules.py` has the checks that a user configures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.distinct import distinct
from tcdatalogger.models.schema import TableFamily, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check of the rows of a load.

    Attributes:
        table: the table whose rows are checked.
        check: the check in words, as `level is between 1 and 100`.
        failed: how many rows fail.
        example: a value that fails, "" for none.
        on_failure: what happens with a failure: `refuse`, `warn` or `quarantine`.
        row: the key of the row of the example, as `id 12`, "" for none.
    """

    table: str
    check: str
    failed: int = 0
    example: str = ""
    on_failure: str = "refuse"
    row: str = ""

    @property
    def passed(self) -> bool:
        """Whether no row fails."""
        return not self.failed

    def __str__(self) -> str:
        if self.passed:
            return f"{self.table}: {self.check}"
        rows = "1 row fails" if self.failed == 1 else f"{self.failed} rows fail"
        example = f": {self.example}, for example" if self.example else ""
        example += f" where {self.row}" if example and self.row else ""
        return f"{self.table}: {rows} the check that {self.check}{example}"


@dataclass(frozen=True, slots=True)
class Checked:
    """The results of the checks of one load, as the warehouse stores them.

    Attributes:
        endpoint, run_id, load_id: the load whose rows were checked.
        at: the time of the check, seconds since 1970.
        results: one result for each check.
    """

    endpoint: str
    run_id: str
    load_id: str
    at: float
    results: tuple[CheckResult, ...]


class CheckFailed(DataRefused):
    """A check refused the rows of a load.

    Attributes:
        results: the results of all checks that were made.
    """

    def __init__(self, message: str, results: Iterable[CheckResult], *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.results = tuple(results)


def missing(
    family: TableFamily, tables: Mapping[str, pa.Table]
) -> Iterator[tuple[str, CheckResult]]:
    """The columns that the catalogue promises and some rows lack: a sentence and a result for each.

    No load fails by this: older bodies lack fields that Torn added later.
    """
    for table in family.tables:
        rows = tables[table.name]
        for column in table.data_columns:
            absent = rows.column(column.name).null_count
            if absent and not column.nullable and column.level == len(table.lists):
                place = f"{table.name}.{column.name}"
                yield (
                    f"{place} is missing in {absent} of {rows.num_rows} rows, and promised",
                    CheckResult(
                        table.name, f"{column.name} is there, as promised", absent, "", "warn"
                    ),
                )


def repeated_keys(family: TableFamily, tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """How many rows repeat the key of an earlier row of the same subject, by table."""
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
            keys = keys.filter(keys.column(name).is_valid())
    return int(keys.num_rows - distinct(keys))
