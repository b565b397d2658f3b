"""The state as who only reads it opens it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tcdatalogger.errors import DiskFull

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.state.store import State


@contextmanager
def existing_state(settings: Settings) -> Iterator[State | None]:
    """The state for a reader, closed at the end of the block.

    The runs of dead processes are marked as crashed first. On a full disk the state is shown as it
    is.

    Args:
        settings: the configuration.

    Yields:
        None before the first run: a reader must not create the state.

    Raises:
        ConfigError: the state cannot be opened.
        StateUnavailable: the state cannot be reached now.
    """
    if not settings.state.begun:
        yield None
        return
    with _opened(settings) as state:
        yield state


def _opened(settings: Settings) -> State:
    from tcdatalogger.core.state.store import State  # noqa: PLC0415  # help opens no database

    url = settings.state.url or ""
    try:
        state = State(url)
        try:
            state.mark_crashed()
            if state.perhaps_stored():
                from tcdatalogger.core.main import Application  # noqa: PLC0415  # as above

                with Application(settings) as application:
                    application.look()
        except BaseException:  # also at Ctrl-C: no other code can close it
            state.close()
            raise
    except DiskFull:
        return State(url, read_only=True)
    return state
