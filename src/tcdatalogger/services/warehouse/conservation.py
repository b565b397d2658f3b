"""The law of conservation: a row that is handed in is in its table, or is of a record left out.

An engine may lose rows of a join and say that all went well. So rows are counted, and no statement
is asked how many it moved: what is handed in by Arrow, what a table holds by reading the rows of
the run, what is left out by rows that are found. A join that loses rows makes the sum too small,
never right.
"""

from __future__ import annotations

from collections.abc import Mapping

from tcdatalogger.errors import Unbalanced
from tcdatalogger.services.warehouse.load import Load


def agree(engine: str, table: str, what: str, wanted: int, found: int) -> None:
    """Refuse two numbers that have to be the same.

    Args:
        engine: of the warehouse, and its version.
        table: whose rows were counted.
        what: which of its rows.
        wanted: how many there should be.
        found: how many there are.

    Raises:
        Unbalanced: they are not the same.
    """
    if wanted != found:
        raise Unbalanced(
            f"The rows of {table} do not add up: {what} are {found} and should be {wanted}.",
            remedy="Nothing was changed, and the answers are in the archive. It is a fault of this "
            f"program or of {engine}: please report it. Once it is mended, the next run stores "
            "what is pending.",
            table=table,
            wanted=wanted,
            found=found,
        )


def check(
    engine: str,
    load: Load,
    before: Mapping[str, int],
    after: Mapping[str, int],
    taken: Mapping[str, int],
    left: Mapping[str, int],
) -> dict[str, int]:
    """Hold a load to the law; how many rows each of its tables was given.

    Args:
        engine: of the warehouse, and its version.
        load: its tables say what was handed in.
        before: how many rows of the run each table had.
        after: how many it has.
        taken: how many of them gave way to those of the load.
        left: how many of the rows handed in are of records that are stored already.

    Raises:
        Unbalanced: a table breaks it.
    """
    given = {}
    for table in load.family.tables:
        name = table.name
        given[name] = after[name] - before[name] + taken.get(name, 0)
        agree(
            engine,
            name,
            f"those stored ({given[name]}) and those of records left out ({left.get(name, 0)})",
            load.tables[name].num_rows,
            given[name] + left.get(name, 0),
        )
    return given
