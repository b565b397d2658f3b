"""The database of a state, by its address."""

from __future__ import annotations

from pathlib import Path

from tcdatalogger.core.config.settings import POSTGRES, SQLITE
from tcdatalogger.core.state.database import Database
from tcdatalogger.core.state.migrations import behind
from tcdatalogger.core.state.sqlite import SQLite
from tcdatalogger.errors import ConfigError, TryAgain


def older(place: str) -> bool:
    """Whether a former release made the state at an address; False where it cannot be asked now.

    Args:
        place: as of `open_database`; nothing is made there.
    """
    try:
        database = open_database(place, read_only=True)
        try:
            return behind(database)
        finally:
            database.close()
    except (ConfigError, TryAgain):
        return False


def open_database(place: str | Path, *, read_only: bool = False) -> Database:
    """Open the database at an address; nothing is done to its tables.

    Args:
        place: an address (`sqlite:///FILE`, `postgresql://user@host/database`), or a SQLite file.
        read_only: to look at a file where nothing can be written. Postgres ignores it.

    Raises:
        ConfigError: it cannot be used, or the address is of no kind that is known.
        StateUnavailable: it cannot be reached now.
    """
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
