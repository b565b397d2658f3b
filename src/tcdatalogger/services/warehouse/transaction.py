"""What a warehouse does with tables within one transaction: the hands of an engine.

The rules of storing, taking back and changing tables are the same for every warehouse (`modes.py`,
`rollback.py`, `schema_changes.py`). They ask and act through this protocol alone. An engine does
each act at once or at the commit: no act has a result that the engine cannot tell beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tcdatalogger.models.evolution import Step, StoredTypes
from tcdatalogger.models.records import Group
from tcdatalogger.models.schema import TableSchema, Type
from tcdatalogger.services.warehouse.ledger import Ledger
from tcdatalogger.services.warehouse.load import Load


@dataclass(frozen=True, slots=True)
class Moved:
    """What the tables took of a load.

    Attributes:
        taken: rows of the same run that gave way to it, by table.
        left_out: records that were stored already and had not changed, or whose stored state was
            seen later.
        left: the rows of those, by table.
        chosen: whether any record of it was stored.
        closed: records that a whole list no longer has.
    """

    taken: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    left: Mapping[str, int] = field(default_factory=dict)
    chosen: bool = True
    closed: int = 0


class Transaction(Protocol):
    """The tables and the ledger of a warehouse, until the commit."""

    @property
    def engine(self) -> str:
        """What is under the warehouse, and its version."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Its ledger."""
        ...

    # --- to ask ----------------------------------------------------------------------------------

    def stored(self, names: Sequence[str]) -> StoredTypes:
        """The columns of those tables that are there, and their types."""
        ...

    def there(self, names: Sequence[str]) -> list[str]:
        """Those tables that are there, in the same order."""
        ...

    def counts(self, names: Sequence[str]) -> dict[str, int]:
        """How many rows tables have; none where they are not there."""
        ...

    def rows_of(self, names: Sequence[str], runs: Sequence[str]) -> dict[str, int]:
        """How many rows of runs can be read in tables; none where they are not there."""
        ...

    def rows_of_each(self, names: Sequence[str], runs: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many rows of each run can be read in tables: by run, and then by table."""
        ...

    def holds(self, table: str, *, versions: bool) -> bool:
        """Whether a table holds rows that are versions of a history, or rows that are none."""
        ...

    def current(self, table: str) -> int:
        """How many rows of a history are current."""
        ...

    def closed_by(self, names: Sequence[str], runs: Sequence[str]) -> dict[str, int]:
        """How many versions runs have ended, by table; none where a table has no versions."""
        ...

    def has_value(self, table: str, column: str, without: str) -> bool:
        """Whether a column has a value in a row that is not of the run `without`."""
        ...

    def subject(self, table: str, runs: Sequence[str]) -> int | None:
        """Whom the rows of the first of these runs are about that a table has rows of."""
        ...

    def why_not(self, table: str, column: str, to: Type) -> str:
        """Why a column cannot get another type without a value of it changing, "" where it can."""
        ...

    def expired(self, table: str, columns: Sequence[str], before: float) -> dict[str, int]:
        """How many rows of a table are of a time before a moment, by run.

        Args:
            table: its name; also that of a table that is kept for a rollback.
            columns: the times of a row: the first one that is not null counts.
            before: seconds since 1970.
        """
        ...

    def values(
        self,
        table: str,
        column: str,
        *,
        having: Sequence[str] = (),
        where: tuple[str, object] | None = None,
    ) -> list[object]:
        """The different values of a column that are not null, in no order; JSON as a text.

        Args:
            table: its name; also that of a table that is kept for a rollback.
            column: of integers, texts or JSON.
            having: only texts with one of these in them, in large or small letters.
            where: a column and the value that its rows have.
        """
        ...

    def counted(self, table: str, column: str, values: Sequence[object]) -> int:
        """How many rows of a table have one of these values in a column."""
        ...

    def rows_with(self, table: str, column: str, values: Sequence[object]) -> dict[str, int]:
        """How many rows have one of these values in a column, by run."""
        ...

    # --- to change tables ------------------------------------------------------------------------

    def create(self, table: TableSchema) -> None:
        """Make a table."""
        ...

    def change(self, table: str, key: Sequence[str], steps: Sequence[Step]) -> None:
        """Change a table: drop columns first, then rename, add, and change types.

        What is touched is kept in a table beside, and every value is compared before and after.

        Args:
            table: its name.
            key: of it, by its names after the change.
            steps: all of them are taken.

        Raises:
            DataRefused: a value would change.
            Unbalanced: a value or a row changed though it should not.
        """
        ...

    def drop(self, table: str, column: str = "") -> None:
        """Drop a table, or a column of it."""
        ...

    # --- to store --------------------------------------------------------------------------------

    def append(self, load: Load) -> Moved:
        """Add the rows of a load."""
        ...

    def append_new(self, load: Load) -> Moved:
        """Add those records of a load that are not stored yet, or have changed since.

        Where the load has no key that tells records apart, all of them are added.
        """
        ...

    def replace(
        self, load: Load, steps: Sequence[Step], emptied: Sequence[str], *, keep: bool
    ) -> Moved:
        """Put the rows of a load in the place of all that its tables hold, and change these.

        Args:
            load: with the rows.
            steps: how its tables change; what is kept for a rollback is as it was before.
            emptied: tables of its family that it has no rows for: they are empty afterwards.
            keep: whether what was there is kept for a rollback, in the place of what is kept now.
        """
        ...

    def merge(self, load: Load, groups: Sequence[Group], *, first: bool) -> Moved:
        """Put each record of a load in the place of the stored one with its key.

        A stored record that was seen later stays. What is replaced is kept for a rollback.

        Args:
            load: with the rows.
            groups: its records.
            first: whether what is kept of an earlier run is forgotten before anything is replaced.
        """
        ...

    def version(self, load: Load, groups: Sequence[Group]) -> Moved:
        """Store the records of a load that changed as new versions.

        Those that a whole list no longer has are closed.
        """
        ...

    # --- to take back ----------------------------------------------------------------------------

    def take_out(self, names: Sequence[str], runs: Sequence[str], *, kept: bool = False) -> None:
        """Delete the rows of runs.

        Args:
            names: of the tables.
            runs: whose rows.
            kept: whether also from what is kept for the rollback of others.
        """
        ...

    def expire(self, table: str, columns: Sequence[str], before: float) -> None:
        """Delete the rows that `expired` counts.

        Raises:
            Unbalanced: other rows went.
        """
        ...

    def exchange(self, table: str, column: str, new: Mapping[object, Mapping[str, object]]) -> None:
        """Give columns of rows other values, by the value that one column has now.

        Args:
            table: its name; also that of a table that is kept for a rollback.
            column: by which the rows are told.
            new: the new values of columns, by the value of the rows; no new value of `column` is
                among the old ones, and each row gets values for the same columns.

        Raises:
            Unbalanced: some rows still have an old value.
        """
        ...

    def delete(self, table: str, column: str, values: Sequence[object]) -> None:
        """Delete the rows that have one of these values in a column.

        Raises:
            Unbalanced: other rows went.
        """
        ...

    def reopen(self, names: Sequence[str], runs: Sequence[str]) -> None:
        """Make the versions current again that runs ended."""
        ...

    def kept_by_replace(self, names: Sequence[str]) -> dict[str, int]:
        """The tables of which the former state is kept, and how many rows that has."""
        ...

    def swap_back(self, names: Sequence[str]) -> None:
        """Give tables their former state again."""
        ...

    def kept_by_merge(
        self, endpoint: str, keys: Mapping[str, Sequence[str]], without: Sequence[str] = ()
    ) -> dict[str, int] | None:
        """How many of the rows that the newest load of an endpoint replaced can be put back.

        Those of a record that somebody else has stored since cannot.

        Args:
            endpoint: whose load it was.
            keys: the columns of each table that tell whose record a row is of; the first is the
                root.
            without: runs whose rows do not count as stored since.

        Returns:
            None where nothing is kept.
        """
        ...

    def put_back(self, endpoint: str, keys: Mapping[str, Sequence[str]]) -> None:
        """Put back what the newest load of an endpoint replaced, and keep it no longer."""
        ...

    def keep(self, endpoint: str, root: str) -> None:
        """Note that what the newest load of an endpoint replaced is kept, though it be nothing."""
        ...

    def forget(
        self, *, endpoint: str = "", replaced: Sequence[str] = (), tables: Sequence[str] = ()
    ) -> None:
        """Forget what is kept for a rollback.

        Args:
            endpoint: what its newest `merge` replaced.
            replaced: tables of which the newest `replace` keeps the former state.
            tables: all that is kept of these tables, by whatever endpoint.
        """
        ...
