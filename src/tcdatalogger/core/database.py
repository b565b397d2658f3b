"""The state's database: SQLite for one machine, Postgres for several, with the same SQL.

Queries are in what both understand: `?` marks values, numbers are `bigint` and `double precision`,
an order is always named, and there are no booleans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError

SQLITE: Final = "sqlite:///"
POSTGRES: Final = ("postgresql://", "postgres://")

PATIENCE: Final = 15.0
"""Seconds to wait for another process that writes."""

_VERSION: Final = "create table if not exists state_version (version bigint not null)"


class Found(Protocol):
    """What a statement gives."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Statements(Protocol):
    """A transaction that is open."""

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Found: ...


class Database(Protocol):
    """A database that several processes and threads share.

    Every method raises, where it cannot go on:
        Busy: another process writes for longer than we wait.
        StateUnavailable: it cannot be reached or written now; at its next use it is tried again.
        ConfigError: this user may not do that.
    """

    @property
    def place(self) -> str:
        """Where it is, for people; never with a password."""
        ...

    def writing(self) -> AbstractContextManager[Statements]:
        """One transaction; other writers, of other processes and machines too, wait for it."""
        ...

    def reading(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query; nobody is waited for."""
        ...

    def has(self, table: str) -> bool:
        """Whether there is a table of that name."""
        ...

    def shared_clock(self, clock: Clock) -> Clock:
        """The clock by which all who share this database go, given this machine's."""
        ...

    def close(self) -> None: ...


class Shared:
    """A database with tables of ours, which are made or changed where it is of an older release.

    Args:
        place: an address (`sqlite:///FILE`, `postgresql://user@host/database`), or a SQLite file.
        releases: for each version of the tables the statements that make it from the one before.

    Raises:
        ConfigError: it cannot be used, or is of a newer release.
        StateUnavailable: it cannot be reached now.
    """

    def __init__(self, place: str | Path, releases: Sequence[str]) -> None:
        self.database = opened(place)
        self.writing = self.database.writing
        self.reading = self.database.reading
        try:
            _bring_up(self.database, releases)
        except BaseException:  # whatever stops it: nobody else could close what is open
            self.database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def place(self) -> str:
        return self.database.place

    def has(self, table: str) -> bool:
        return self.database.has(table)

    def shared_clock(self, clock: Clock) -> Clock:
        return self.database.shared_clock(clock)

    def close(self) -> None:
        self.database.close()


def opened(place: str | Path) -> Database:
    """The database at an address, or in a SQLite file."""
    from tcdatalogger.core.sqlite import SQLite  # noqa: PLC0415  # one of them is needed

    if isinstance(place, Path):
        return SQLite(place)
    if place.startswith(SQLITE) and place != SQLITE:
        return SQLite(Path(place.removeprefix(SQLITE)))
    if place.startswith(POSTGRES):
        from tcdatalogger.core.postgres import Postgres  # noqa: PLC0415  # psycopg

        return Postgres(place)
    raise ConfigError(
        "The address of the state is of no kind that is known.",
        remedy="Write sqlite:///FILE or postgresql://USER@HOST/DATABASE in `state.url`.",
    )


def _bring_up(database: Database, releases: Sequence[str]) -> None:
    """Make or change the tables, unless they are as wanted; one process at a time does it."""
    if _version(database) == len(releases):
        return
    with database.writing() as db:
        db.execute(_VERSION)
        row = db.execute("select max(version) from state_version").fetchone()
        before = int(row[0] or 0)
        if before > len(releases):
            raise ConfigError(
                f"The state {database.place} is of a newer release of TCdatalogger.",
                remedy="Update this one, or give it a state of its own in `state.url`.",
            )
        for release in releases[before:]:
            for statement in filter(None, map(str.strip, release.split(";"))):
                db.execute(statement)
        if before < len(releases):
            db.execute("delete from state_version")
            db.execute("insert into state_version (version) values (?)", (len(releases),))


def _version(database: Database) -> int:
    if not database.has("state_version"):
        return 0
    ((found,),) = database.reading("select max(version) from state_version")
    return int(found or 0)
