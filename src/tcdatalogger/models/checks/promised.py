"""The results of checks, and the error of rows that fail one.

`rules.py` has the checks that a user configures, `every_load.py` those of every load.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tcdatalogger.errors import DataRefused


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
