"""A DuckDB file: opened for as long as it is needed, waited for while another program holds it.

A file may be encrypted. DuckDB then attaches it to a connection in memory, with a key that is
bound as a value: it stands in no statement, and no text of DuckDB's own errors is passed on.
"""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import duckdb

from tcdatalogger import disk, ending, private
from tcdatalogger.backoff import Backoff
from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError, Failure, WarehouseUnavailable
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.duckdb import engine
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.limits import settings as limits_of
from tcdatalogger.services.warehouse.protocol import EncryptionKey, Limits

BACKOFF: Final = Backoff(0.02, 0.5)
"""Between two tries to open a file that another process holds, where the system does not tell."""
LOOK: Final = Backoff(0.005, 0.02)
"""Between two looks whether another process still holds it, where the system tells: a load takes
a few hundredths of a second, and whoever waits for several must not take their processor."""
SILENCE: Final = 2.0
"""Seconds after which a wait is logged."""
AGAIN: Final = 60.0
"""Seconds after which it is logged again."""

_NO_DUCKDB: Final = ("not a valid DuckDB", "is an existing extension")

_log = get_logger("warehouse")

_HOLDER = re.compile(r"held in (?P<program>\S+) \(PID (?P<pid>\d+)\)")

LEAST: Final = (2, 0, 1)
"""The oldest DuckDB that a warehouse is trusted to: 2.0.0 loses the rows of joins in a transaction,
and the lines before it refuse some of our transactions."""

_LOCKED: Final = (
    "python_enable_replacements = false",
    "allow_community_extensions = false",
    "enable_external_access = false",
    "lock_configuration = true",  # the last one: nothing can be set after it
)

_UTC: Final = "TimeZone = 'UTC'"
FUNCTIONS: Final = (
    "unix_seconds(t) as cast(floor(epoch(t)) as bigint)",
    "unix_date(d) as cast(d - date '1970-01-01' as bigint)",
    "first_group(t, pattern) as nullif(regexp_extract(t, pattern, 1), '')",
)
"""Functions of BigQuery that DuckDB lacks, for queries that both of them answer."""
_IS_LOCKED: Final = "configuration has been locked"
_OPEN_HERE: Final = (
    "different configuration than existing",
    "Unique file handle conflict",
    _IS_LOCKED,
)
_OF_KEYS: Final = (
    (
        "without a key",
        "The warehouse {} is encrypted, and no key for it is configured.",
        'Say where its key is: encryption_key = "env:TCD_WAREHOUSE_KEY" under [warehouse].',
    ),
    (
        "Wrong encryption key",
        "The warehouse {} is encrypted with another key than that of warehouse.encryption_key.",
        "Put the key there with which it was made. Without it nobody can read the file.",
    ),
    (
        "is not encrypted",
        "The warehouse {} is not encrypted, but warehouse.encryption_key is set.",
        "Leave the key out; or name a new file in `warehouse.url`, for `rebuild` to fill.",
    ),
)
"""What DuckDB says of keys, what it means, and what to do."""


class Opened:
    """A file that is open, until `close` or until nobody has this object any more.

    Args:
        connection: to it.
        path: of the file.
        lent: whether the connection was lent (`engine.lend`).
        reads: whether it is one for reading (`engine.read`).
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        *,
        lent: bool = False,
        reads: bool = False,
    ) -> None:
        self.connection = connection
        self._path = path
        self._lent = lent
        self._reads = reads
        # A signal may come between the end of a block and `close`; a notebook would live on.
        self._left = weakref.finalize(self, _end, connection, path, lent=lent, reads=reads)
        self._left.atexit = False  # the end of the process lets go of all

    def close(self, *, good: bool = True) -> None:
        """Let the file go.

        Args:
            good: whether it was used without an error.
        """
        if self._left.detach() is not None:
            _end(self.connection, self._path, lent=self._lent, reads=self._reads, good=good)


def _end(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    lent: bool,
    reads: bool,
    good: bool = False,
) -> None:
    if lent:
        engine.take_back(path, connection, good=good)
    elif reads:
        engine.end_reading(path, connection)
    else:
        connection.close()


def connect(
    path: Path,
    clock: Clock,
    patience: float,
    *,
    read_only: bool = False,
    key: EncryptionKey | None = None,
    unsafe: bool = False,
    limits: Limits | None = None,
) -> Opened:
    """Open the file, in UTC. A connection for queries is shut off from all other files.

    Args:
        path: of the file; its folder is made where it is not there.
        clock: that is slept on while another process holds the file.
        patience: seconds to wait for it.
        read_only: for queries: several readers may have it open at once.
        key: of an encrypted file; one that is made is encrypted with it.
        unsafe: whether queries may read other files, write some, and load extensions.
        limits: of memory and threads; None for none.

    Raises:
        WarehouseUnavailable: another process holds it, or it is to be read and does not exist.
        ConfigError: it is no DuckDB file, this user may not write there, the key is not that of
            the file, this machine cannot encrypt, or its DuckDB is too old.
        DiskFull: it could not be opened for want of space.
    """
    _refuse_old(duckdb.__version__)
    if read_only and not path.exists():
        raise WarehouseUnavailable(
            f"There is no warehouse {path} yet.", remedy="`tcdatalogger run --all` makes it."
        )
    _make_folder(path)
    began, pause, silent, look = clock.now(), BACKOFF.first, SILENCE, LOOK.first
    while True:
        waited = clock.now() - began
        if (
            waited + look <= patience
            and (number := engine.holder(path, read_only=read_only)) is not None
        ):
            if waited > silent:
                _tell_of_waiting(waited, patience, holder=str(number))
                silent = waited + AGAIN
            ending.check()
            clock.sleep(look)
            look = LOOK.after(look)
            continue
        new = not path.exists()
        try:
            with private.umask():  # the engine makes its files itself
                opened = _opened(path, key, limits, read_only=read_only, unsafe=unsafe)
        except (duckdb.Error, WarehouseUnavailable) as error:
            ending.check()
            failure = error if isinstance(error, WarehouseUnavailable) else _failure(path, error)
            waited = clock.now() - began
            if not isinstance(failure, WarehouseUnavailable) or waited + pause > patience:
                raise failure from None
            if waited > silent:
                _tell_of_waiting(waited, patience, **failure.facts)
                silent = waited + AGAIN
            clock.sleep(pause)
            pause = BACKOFF.after(pause)
        else:
            with _closed_on_error(opened):
                if new:
                    private.narrow(path)
                ending.watch_over(opened.connection, duckdb.Error)
            return opened


def _tell_of_waiting(waited: float, patience: float, **facts: object) -> None:
    _log.warning("warehouse_waited", **facts, waited=round(waited), patience=patience)


def _refuse_old(version: str) -> None:
    """Refuse an engine that is known to lose rows, whatever it is to be opened for.

    Raises:
        ConfigError: so it is.
    """
    number = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if number < LEAST:
        least = ".".join(map(str, LEAST))
        raise ConfigError(
            f"DuckDB {version} is installed, and a warehouse needs {least} or later: 2.0.0 loses "
            "rows, and older ones refuse what this program does.",
            remedy=f'`{sys.executable} -m pip install "duckdb>={least},<3"` installs one.',
        )


def _opened(
    path: Path,
    key: EncryptionKey | None,
    limits: Limits | None,
    *,
    read_only: bool,
    unsafe: bool,
) -> Opened:
    if key is not None:
        opened = Opened(duckdb.connect(config=engine.ALONE), path)
    elif read_only:
        opened = Opened(engine.read(path), path, reads=True)
    else:
        opened = _lent(path)
    connection = opened.connection
    with _closed_on_error(opened):
        with suppress(duckdb.InvalidInputException):  # another thread has locked its settings
            connection.execute("set enable_progress_bar = false")  # it would stand among our JSON
        if key is not None:
            _attach(connection, path, key, read_only=read_only)
        settings = [_UTC]
        if (most := memory()) is not None:
            settings.append(f"memory_limit = '{most}B'")
        if limits is not None:
            settings += limits_of(limits)
        if read_only:
            for function in FUNCTIONS:
                connection.execute(f"create temp macro {function}")
        if read_only and not unsafe:
            _lock_down(connection, settings)
        else:
            for setting in settings:
                connection.execute(f"set {setting}")
    return opened


def _lent(path: Path) -> Opened:
    """A file opened by the DuckDB of this process, whose last user may have had a limit."""
    opened = Opened(engine.lend(path), path, lent=True)
    if memory() is None:
        with _closed_on_error(opened):
            opened.connection.execute(usual())
    return opened


@contextmanager
def _closed_on_error(opened: Opened) -> Iterator[None]:
    """Let a file go that nobody has yet when an error or a signal ends the block.

    A notebook keeps the last traceback, whose frames would keep the connection, and so the file.
    """
    try:
        yield
    except BaseException:
        opened.close(good=False)
        raise


def _lock_down(connection: duckdb.DuckDBPyConnection, settings: Sequence[str]) -> None:
    """Let queries reach the attached file alone, for good: SQL may come from anybody.

    `select * from read_text('/proc/self/environ')` would show keys, `pragma import_database` would
    run statements of a file, a table's name would find variables of this program.

    The connections of a process to one file share their settings. So they are made for all of them,
    and where another thread has locked them, they are these already: the lock is the last one.

    Args:
        connection: for queries.
        settings: that are made before.
    """
    for setting in (*settings, *_LOCKED):
        try:
            connection.execute(f"set global {setting}")
        except duckdb.InvalidInputException as error:
            if _IS_LOCKED not in str(error):
                raise
            return


def memory() -> int | None:
    """Bytes that DuckDB may take where this process was given a limit: half; None without one.

    By itself it would take most of the machine's. What does not fit goes to a file beside.
    """
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  # there is none on Windows

    most, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return None if most == resource.RLIM_INFINITY else most // 2


def sparing(columns: int, used: int) -> str:
    """The setting of memory under which rows are inserted that come batch by batch.

    Of all rows only some have to be in memory at once; what DuckDB holds of them goes to a file
    beside. A column takes a third of what it is given here, whatever is in it.

    Args:
        columns: how many the rows have.
        used: the bytes that DuckDB uses already: it cannot always let go of them.
    """
    wanted = used + 16_000_000 + 750_000 * columns
    return f"memory_limit = '{min(wanted, memory() or wanted)}B'"


def usual() -> str:
    """The statement after which memory is limited as for all else."""
    most = memory()
    return "reset memory_limit" if most is None else f"set memory_limit = '{most}B'"


def _attach(
    connection: duckdb.DuckDBPyConnection, path: Path, key: EncryptionKey, *, read_only: bool
) -> None:
    load_cipher(connection, required=not read_only)
    connection.execute("set temp_file_encryption = true")  # beside the file all is secret, too
    mode = ", read_only" if read_only else ""
    engine.attach(connection, path, f", encryption_key $key{mode}", {"key": key.reveal()})
    connection.execute(f"use {quoted(engine.database(path))}")


def load_cipher(connection: duckdb.DuckDBPyConnection, *, required: bool) -> None:
    """Let DuckDB encrypt: with OpenSSL, which its extension httpfs brings.

    Reading needs no extension: the module that is built in deciphers, and only refuses to write.
    It can be forced to write by a setting that DuckDB itself calls unsafe (its random numbers can
    be guessed), so this program never does. Tests do, by replacing this function, as the extension
    comes from the network.

    Raises:
        ConfigError: it is required, not there, and cannot be fetched.
    """
    with suppress(duckdb.Error):
        connection.execute("load httpfs")
        return
    if not required:
        return
    try:
        connection.execute("install httpfs")
        connection.execute("load httpfs")
    except duckdb.Error:
        raise ConfigError(
            "An encrypted warehouse needs DuckDB's extension httpfs, which is not on this machine "
            "and cannot be fetched.",
            remedy="Fetch it once where there is a network, from a DuckDB of the same version: "
            "`INSTALL httpfs`.",
        ) from None


def look_for_cipher() -> None:
    """Whether this machine can encrypt: looked at as a run would, which fetches what is not here.

    Raises:
        ConfigError: it cannot.
    """
    with duckdb.connect() as connection:
        load_cipher(connection, required=True)


def _make_folder(path: Path) -> None:
    try:
        private.folder(path.parent)
    except OSError as error:
        raise disk.failure(
            error,
            f"the warehouse {path}",
            ConfigError(
                f"The folder {path.parent} cannot be made: {error.strerror}.",
                remedy="Give the warehouse a folder that this user may write to.",
            ),
        ) from None


def _no_warehouse(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} is not a DuckDB file that this version can read.",
        remedy="Name another file in `warehouse.url`, or move this one away.",
    )


def _failure(path: Path, error: duckdb.Error) -> Failure:
    text = str(error)
    holder = _HOLDER.search(text)
    if holder is not None:
        program = Path(holder["program"]).name
        return WarehouseUnavailable(
            f"The warehouse {path} is open in another program: {program}, process {holder['pid']}.",
            remedy="Close it there, or open it read-only and only as long as you look at it.",
            holder=holder["pid"],
        )
    if any(sign in text for sign in _OPEN_HERE):
        return engine.elsewhere(path)
    for sign, says, remedy in _OF_KEYS:
        if sign in text:
            return ConfigError(says.format(path), remedy=remedy)
    if disk.is_full(path.parent, text):
        return disk.full(f"the warehouse {path}")
    if any(sign in text for sign in _NO_DUCKDB) or isinstance(error, duckdb.SerializationException):
        return _no_warehouse(path)
    return ConfigError(
        f"The warehouse {path} cannot be opened: {_first_line(text)}.",
        remedy="Check that this user may write to it and its folder.",
    )


def _first_line(text: str) -> str:
    return text.partition("\n")[0].removeprefix("IO Error: ").rstrip(".!")
