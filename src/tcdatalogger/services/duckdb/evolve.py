"""Tables made to fit a load: planned, refused where a value could be lost, and applied.

All of it happens inside of the transaction of the commit; nothing here begins or ends one.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.evolution import Change, Step, plan
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.services.duckdb import tables
from tcdatalogger.services.warehouse import Load


def plan_of(connection: duckdb.DuckDBPyConnection, load: Load) -> tuple[Step, ...]:
    """How the tables must change for a load.

    Raises:
        DataRefused: a column cannot become what the load needs.
    """
    steps = plan(
        tables.stored(connection, [table.name for table in load.family.tables]), load.family
    )
    refused = [str(step) for step in steps if step.change is Change.REFUSED]
    if refused:
        raise DataRefused(
            f"The tables of {load.endpoint} cannot take these rows:\n  " + "\n  ".join(refused),
            remedy="Give the endpoint another `table`, or rename the old one.",
        )
    return steps


def apply(
    connection: duckdb.DuckDBPyConnection, family: TableFamily, steps: Sequence[Step]
) -> None:
    """Make the tables and columns that are missing, and widen those that are too narrow."""
    for table in family.tables:
        own = [step for step in steps if step.table == table.name]
        if any(step.change is Change.TABLE for step in own):
            connection.execute(tables.create(table.name, table))
        tables.alter(connection, table.name, own)
