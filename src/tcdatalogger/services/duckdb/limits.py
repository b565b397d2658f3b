"""Ends a query that takes too long: whoever reads keeps a lock, and every run waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import Final

import duckdb

from tcdatalogger.errors import TimedOut
from tcdatalogger.services.warehouse.protocol import Limits

UNLIMITED: Final = (
    "Ask for less, as a shorter time; or let it take what it needs: `tcdatalogger query "
    "--unlimited`."
)
"""What to do about a limit."""


def settings(limits: Limits) -> list[str]:
    """The settings of a connection that keeps limits; nothing is put aside on the disk."""
    return [
        f"memory_limit = '{limits.memory}B'",
        f"threads = {limits.threads}",
        "temp_directory = ''",
    ]


def in_megabytes(limits: Limits) -> str:
    """The limit of memory for people."""
    return f"{limits.memory // 1_000_000} MB"


@contextmanager
def stopped_after(connection: duckdb.DuckDBPyConnection, limits: Limits | None) -> Iterator[None]:
    """Interrupt what a connection does when its time is over.

    Args:
        connection: the connection.
        limits: None for no limit.

    Raises:
        TimedOut: the time was over.
    """
    if limits is None:
        yield
        return
    over = Event()

    def stop() -> None:
        over.set()
        with suppress(duckdb.Error):  # it was closed meanwhile
            connection.interrupt()

    timer = Timer(limits.seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException:
        if not over.is_set():
            raise
        raise TimedOut(
            f"The query took longer than {limits.seconds:g} s and was stopped.",
            remedy=UNLIMITED,
        ) from None
    finally:
        timer.cancel()
