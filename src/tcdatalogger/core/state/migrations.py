"""The database of a state, by its address, with its tables as this release wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tcdatalogger.clock import Clock
from tcdatalogger.core.config.settings import POSTGRES, SQLITE
from tcdatalogger.core.state.database import Database
from tcdatalogger.core.state.sqlite import SQLite
from tcdatalogger.errors import ConfigError

_VERSION: Final = "create table if not exists state_version (version bigint not null)"


class Shared:
    """A database with tables of ours, which are made or changed where it is of an older release.

    Args:
        place: an address (`sqlite:///FILE`, `postgresql://user@host/database`), or a SQLite file.
        releases: for each version of the tables the statements that make it from the one before.
        read_only: to look at a file where nothing can be written; its tables stay as they are.

    Raises:
        ConfigError: it cannot be used, or is of a newer release.
        StateUnavailable: it cannot be reached now.
    """

    def __init__(
        self, place: str | Path, releases: Sequence[str], *, read_only: bool = False
    ) -> None:
        self.database = opened(place, read_only=read_only)
        self.writing = self.database.writing
        self.reading = self.database.reading
        if read_only:
            return
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


def opened(place: str | Path, *, read_only: bool = False) -> Database:
    """The database at an address, or in a SQLite file, which alone may be opened to be read."""
    if isinstance(place, Path):
        return SQLite(place, read_only=read_only)
    if place.startswith(SQLITE) and place != SQLITE:
        return SQLite(Path(place.removeprefix(SQLITE)), read_only=read_only)
    if place.startswith(POSTGRES):
        from tcdatalogger.core.state.postgres import Postgres  # noqa: PLC0415  # psycopg

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
