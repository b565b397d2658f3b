"""What a storage mode did with a load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from tcdatalogger.models.checks.promised import CheckFailed, CheckResult
from tcdatalogger.models.evolution import Step
from tcdatalogger.services.duckdb import ledger
from tcdatalogger.services.warehouse.protocol import Load


@dataclass(frozen=True, slots=True)
class ModeResult:
    """What a mode did with a load.

    Attributes:
        rows: that were added, by table.
        taken: rows of the same run that gave way to them, by table.
        left_out: records that were stored already and had not changed, or whose stored state was
            seen later.
        left: their rows, by table.
        news: whether it is worth a line in the ledger.
    """

    rows: Mapping[str, int]
    taken: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    left: Mapping[str, int] = field(default_factory=dict)
    news: bool = True


def is_news(
    connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step], changed: object
) -> bool:
    """Whether a load is worth a line in the ledger: it changed something, or was asked for."""
    told = changed or steps or load.rejected or load.drift
    asked = load.again or load.settles or load.stretch is not None
    return bool(told or asked or load.cursor != ledger.latest(connection, load.endpoint, "cursor"))


def refuse_drop(load: Load, table: str, drop: int, there: int) -> None:
    """Refuse a load by which more records would vanish than its endpoint allows.

    Raises:
        CheckFailed: so it is.
    """
    if load.again or not there or drop <= load.max_drop * there + 1e-9:
        return
    promise = f"no more than {load.max_drop:.0%} of its records vanish"
    raise CheckFailed(
        f"{table} would lose {drop} of its {there} records, and max_drop of {load.endpoint} "
        f"is {load.max_drop:g}.",
        [*load.checks, CheckResult(table, promise, drop)],
        remedy="The old rows stay. If Torn is right: "
        f"`tcdatalogger run {load.endpoint} --set max_drop=1`.",
    )
