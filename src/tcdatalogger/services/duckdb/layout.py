"""How a table lies in a DuckDB file: what a query by time can leave out."""

from __future__ import annotations

from typing import Final

import duckdb

from tcdatalogger.services.duckdb.engine import quoted

GROUP: Final = 122_880
"""Rows of a row group: DuckDB knows the least and the greatest value of each of them."""


def describe(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[str, bool]:
    """A sentence about the order of its rows, and whether it is the order of time.

    DuckDB has neither partitions nor clusters: it skips the row groups whose values cannot match,
    so rows that stand in the order of their time are found by it without any index.
    """
    rows = connection.execute(
        f"""select epoch_us(min(server_timestamp)), epoch_us(max(server_timestamp)), count(*)
            from {quoted(table)}
            group by rowid // {GROUP} order by rowid // {GROUP}"""
    ).fetchall()
    count = sum(row[2] for row in rows)
    ordered, latest = 0, None
    for least, most, _ in rows:
        ordered += latest is None or least is None or least >= latest
        latest = most if latest is None or (most is not None and most > latest) else latest
    says = f"{count} rows; {ordered} of {len(rows)} row groups in the order of time"
    return says, ordered == len(rows)
