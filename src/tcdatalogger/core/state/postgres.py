"""The state in a Postgres database, for the processes of several machines.

Several configurations may share a database, each in a schema of its own:
`postgresql://user@host/database?options=-csearch_path%3Dname`. A missing schema is created.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.core.state.database import PATIENCE
from tcdatalogger.errors import Busy, ConfigError, Failure, StateUnavailable

if TYPE_CHECKING:
    import psycopg
    from psycopg import Connection

_T = TypeVar("_T")

PACKAGE: Final = "psycopg[binary]>=3.3,<4"
"""The package of the extra `postgres`."""

_DEFAULTS: Final = {
    "connect_timeout": 10,
    "application_name": "tcdatalogger",
    # A machine that disappears is noticed within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

_SESSION: Final = f"""
set lock_timeout = '{PATIENCE:.0f}s';
set idle_in_transaction_session_timeout = '10s';
set client_min_messages = 'warning'
"""
"""A process that sleeps within a transaction must not block the others for ever."""

_BEGIN: Final = """
begin isolation level read committed;
select pg_advisory_xact_lock(1952670822, hashtext(current_schema()))
"""
"""As `begin immediate` of SQLite: one writer at a time, which sees all earlier commits."""

_TIME: Final = "select extract(epoch from clock_timestamp())::double precision"

_MEASURED: Final = 60.0
"""Seconds after which the difference of the two clocks is measured again."""
_AGAIN: Final = 5.0
"""Seconds until it is measured again after a failure."""
_JUMP: Final = 0.25
"""Seconds that the clock may differ from the monotonic clock before it counts as set."""


class Postgres:
    """A connection that is opened again when it is lost (`database.Database`).

    Args:
        url: the address; the password may also come from PGPASSWORD, .pgpass or a service file.

    Raises:
        ConfigError: psycopg is not installed, the address is none, or this user has no rights.
        StateUnavailable: the server cannot be reached now.
    """

    def __init__(self, url: str) -> None:
        self._psycopg = _psycopg()
        self._wanted = self._read(url)
        self._password = str(self._wanted.get("password") or "")
        host = self._wanted.get("host") or self._wanted.get("service") or "localhost"
        self.place = f"postgresql://{host}/{self._wanted.get('dbname') or ''}"
        self._alone = RLock()  # the threads of a process share one connection
        self._open = False
        self._db: Connection[Any] | None = None
        try:
            self._connected()
        except self._psycopg.Error as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Close the connection; it opens again at the next use."""
        self._drop()

    @contextmanager
    def writing(self) -> Iterator[_Transaction]:
        """One transaction without other writers; see `Tables.writing`."""
        with self._alone:
            try:
                db = self._begun()
                self._open = True
                yield _Transaction(db)
                db.execute("commit")
            except self._psycopg.Error as error:
                self._undo()
                raise self._failure(error) from None
            except BaseException:  # also at Ctrl-C and an alarm: undo what is half-written
                self._undo()
                raise
            finally:
                self._open = False

    def reading(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query; within `writing` those of its transaction."""
        with self._alone:
            try:
                return self._again(lambda db: db.execute(_translated(query), values).fetchall())
            except self._psycopg.Error as error:
                raise self._failure(error) from None
            except BaseException:  # also at Ctrl-C and an alarm: no transaction stays open
                if not self._open:
                    self._undo()
                raise

    def has(self, table: str) -> bool:
        """Whether there is a table of that name."""
        return self.reading("select to_regclass(?) is not null", (table,)) == [(True,)]

    def compact(self) -> None:
        """Do nothing: the server takes away what its old lines leave."""

    def shared_clock(self, clock: Clock) -> Clock:
        """The clock of this machine, corrected to the database's time; other clocks unchanged."""
        return SharedClock(self.time) if isinstance(clock, SystemClock) else clock

    def time(self) -> float:
        """The time of the database, seconds since 1970."""
        ((now,),) = self.reading(_TIME)
        return float(now)

    # --- the connection --------------------------------------------------------------------

    def _read(self, url: str) -> dict[str, Any]:
        from psycopg import conninfo  # noqa: PLC0415  # only with the extra

        try:
            found = {**_DEFAULTS, **conninfo.conninfo_to_dict(url)}
        except self._psycopg.Error:  # its text has the address with the password
            found = {"host": "@"}
        # Where a password is not written with %XX, a part of it may be in the other parts.
        if any("@" in str(found.get(part) or "") for part in ("host", "dbname", "user", "port")):
            raise ConfigError(
                "The address of the state cannot be read.",
                remedy="Write postgresql://USER@HOST/DATABASE in `state.url`, and what is special "
                "in a password as %XX.",
            )
        return found

    def _connected(self) -> Connection[Any]:
        if self._db is None or self._db.closed:
            db = self._psycopg.connect(**self._wanted, autocommit=True)
            self._db = db
            try:
                db.execute(_SESSION, prepare=False)
                self._make_schema(db)
            except BaseException:  # the connection is of no use
                self._drop()
                raise
        return self._db

    def _make_schema(self, db: Connection[Any]) -> None:
        row = db.execute("select current_schema(), current_setting('search_path')").fetchone()
        if row is not None and row[0] is None:
            from psycopg import sql  # noqa: PLC0415  # only with the extra

            name = str(row[1]).split(",")[0].strip().strip('"')
            with suppress(self._psycopg.errors.UniqueViolation):  # another process was faster
                db.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(name)))

    def _begun(self) -> Connection[Any]:
        self._again(lambda db: db.execute(_BEGIN, prepare=False))
        return cast("Connection[Any]", self._db)

    def _again(self, call: Callable[[Connection[Any]], _T]) -> _T:
        """The result of `call`; it is called once more where the connection was lost."""
        known = self._db
        db = self._connected()
        try:
            return call(db)
        except self._psycopg.OperationalError:
            if not db.closed or db is not known or self._open:
                raise
        self._drop()
        return call(self._connected())

    def _undo(self) -> None:
        """Roll back; where this fails, the server does it at the end of the connection."""
        db = self._db
        if db is None:
            return
        idle = self._psycopg.pq.TransactionStatus.IDLE
        try:
            if db.info.transaction_status != idle:
                db.execute("rollback")
        except self._psycopg.Error:
            self._drop()

    def _drop(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None

    def _failure(self, error: psycopg.Error) -> Failure:
        errors = self._psycopg.errors
        why = self._clean(error)
        if isinstance(error, errors.LockNotAvailable):
            return Busy(
                f"The state {self.place} is being written by another process.",
                remedy="Try again.",
            )
        if isinstance(error, errors.InsufficientPrivilege | errors.InvalidSchemaName):
            return ConfigError(
                f"The state {self.place} cannot be used: {why}.",
                remedy="Let its user make tables there, or name a schema that it may write to: "
                "?options=-csearch_path%3Dname.",
            )
        cut_off = self._db is None or self._db.closed
        passing = self._psycopg.OperationalError | errors.ReadOnlySqlTransaction
        if cut_off or isinstance(error, passing):
            self._drop()
            return StateUnavailable(
                f"The state {self.place} cannot be reached: {why}.",
                remedy="Look whether the server runs and lets this user in; when it does, it goes "
                "on by itself.",
            )
        return ConfigError(f"The state {self.place} cannot be used: {why}.")

    def _clean(self, error: psycopg.Error) -> str:
        """The first line of the server's message, without the password."""
        text = (error.diag.message_primary or str(error)).strip().partition("\n")[0].rstrip(".")
        return text.replace(self._password, "***") if self._password else text


class _Transaction:
    """An open transaction (`database.Statements`)."""

    def __init__(self, db: Connection[Any]) -> None:
        self._db = db

    def execute(self, query: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        return self._db.execute(_translated(query), values)


class SharedClock:
    """The clock of this machine, corrected by its difference to the database's clock.

    So machines with different clocks agree when a claim runs out and when a call may go. While the
    database cannot be asked, the last difference counts.

    Args:
        ask: returns the time of the database.
        wall: returns the time of this machine.
        pace: returns the time of a clock that is never set.
    """

    def __init__(
        self,
        ask: Callable[[], float],
        *,
        wall: Callable[[], float] = time.time,
        pace: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._wall = wall
        self._pace = pace
        self._alone = RLock()
        self._offset = 0.0
        self._zero: float | None = None
        self._due = 0.0

    def now(self) -> float:
        """The time of the database, in seconds since 1970."""
        wall, pace = self._wall(), self._pace()
        with self._alone:
            jumped = self._zero is not None and abs(wall - pace - self._zero) > _JUMP
            if self._zero is None or pace >= self._due or jumped:
                return self._measured()
            return wall + self._offset

    def sleep(self, seconds: float) -> None:
        """Wait; no time for zero or less."""
        if seconds > 0:
            time.sleep(seconds)

    def _measured(self) -> float:
        before = self._wall()
        try:
            there = self._ask()
        except Failure:
            self._due = self._pace() + _AGAIN
        else:
            self._offset = there - (before + self._wall()) / 2
            self._due = self._pace() + _MEASURED
        wall = self._wall()
        self._zero = wall - self._pace()
        return wall + self._offset


@lru_cache(maxsize=256)
def _translated(query: str) -> str:
    """`?` as psycopg marks values; no query of ours has a question mark or percent in a text."""
    return query.replace("%", "%%").replace("?", "%s")


def _psycopg() -> Any:
    try:
        import psycopg  # noqa: PLC0415  # only with the extra
    except ImportError:
        raise ConfigError(
            "A state on Postgres needs the package psycopg, which is not installed.",
            remedy=f"`{sys.executable} -m pip install '{PACKAGE}'` installs it.",
        ) from None
    return psycopg
