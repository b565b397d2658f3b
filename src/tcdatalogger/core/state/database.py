"""The state's database: SQLite for one machine, Postgres for several, with the same SQL.

Queries are in what both understand: `?` marks values, numbers are `bigint` and `double precision`,
an order is always named, and there are no booleans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from tcdatalogger.clock import Clock

PATIENCE: Final = 15.0
"""Seconds to wait for another process that writes."""


class Found(Protocol):
    """The result of a statement."""

    def fetchone(self) -> Any:
        """The next row as a tuple; None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left, as tuples."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Statements(Protocol):
    """An open transaction."""

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Found:
        """Execute one statement with a value for each `?`."""
        ...


class Tables(Protocol):
    """Tables that several processes and threads share.

    Every method raises, where it cannot go on:
        Busy: another process writes for longer than we wait.
        StateUnavailable: they cannot be reached or written now; at the next use it is tried again.
        ConfigError: this user may not do that.
    """

    def writing(self) -> AbstractContextManager[Statements]:
        """One transaction; other writers, of other processes and machines too, wait for it."""
        ...

    def reading(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query; it does not wait for writers."""
        ...


class Database(Tables, Protocol):
    """A database that is open. Its methods raise what those of `Tables` do."""

    @property
    def place(self) -> str:
        """Where it is, for people; never with a password."""
        ...

    def has(self, table: str) -> bool:
        """Whether there is a table of that name."""
        ...

    def compact(self) -> None:
        """Leave nothing of lines that were changed or deleted, where the disk is this machine's."""
        ...

    def shared_clock(self, clock: Clock) -> Clock:
        """The clock by which all who share this database go, given this machine's."""
        ...

    def close(self) -> None:
        """Close the database; a second time does nothing."""
        ...
