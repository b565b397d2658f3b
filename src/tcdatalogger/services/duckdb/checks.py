"""What came of checks, in the ledger: every failure of late, and of what passes the last time.

A check that passes has one line, which every run that passes it renews: an endpoint that runs each
minute for years would fill the ledger with good news. A failure is a line of its own, and the
newest `KEPT` of each check stay.
"""

from __future__ import annotations

from typing import Final

import duckdb

from tcdatalogger.clock import utc
from tcdatalogger.models.checks.promised import Checked, CheckResult

KEPT: Final = 100
"""Failures of one check that stay in the ledger."""


def note(connection: duckdb.DuckDBPyConnection, checked: Checked) -> None:
    """Write the results of the checks of a load; begins and ends no transaction."""
    for result in checked.results:
        times = _take_out(connection, checked, result) if result.passed else 0
        connection.execute(
            "insert into _tcd_checks values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                checked.endpoint, result.table, result.check, result.passed, result.failed,
                result.example or None, result.on_failure, checked.run_id, checked.load_id,
                times + 1, utc(checked.at),
            ],
        )  # fmt: skip
        if not result.passed:
            _thin_out(connection, checked, result)


def _take_out(connection: duckdb.DuckDBPyConnection, checked: Checked, result: CheckResult) -> int:
    """Remove the line of a check that passed before, and tell how often it did."""
    rows = connection.execute(
        """delete from _tcd_checks
           where endpoint = ? and table_name = ? and check_text = ? and passed returning times""",
        [checked.endpoint, result.table, result.check],
    ).fetchall()
    return max((int(times) for (times,) in rows), default=0)


def _thin_out(connection: duckdb.DuckDBPyConnection, checked: Checked, result: CheckResult) -> None:
    connection.execute(
        """delete from _tcd_checks where rowid in (
               select rowid from _tcd_checks
               where endpoint = ? and table_name = ? and check_text = ? and not passed
               order by rowid desc offset ?)""",
        [checked.endpoint, result.table, result.check, KEPT],
    ).fetchall()
