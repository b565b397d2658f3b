"""Which run or endpoint is meant by the words of a command: the same words for all commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tcdatalogger.errors import DiskFull, UsageError
from tcdatalogger.text import did_you_mean

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.state.store import RunRecord, State

NEWEST: Final = "last"
"""In place of a run's id: the newest."""


def find_run(
    state: State | None, settings: Settings, words: str, *, endpoint: str | None = None
) -> RunRecord:
    """The run that is meant: by its id, how that begins, its endpoint for the newest, or `last`.

    Args:
        state: with the books, None where nothing has run yet.
        settings: with the endpoints.
        words: that name it.
        endpoint: whose newest is the last; None for the newest of all.

    Raises:
        UsageError: there is none, or several begin so.
    """
    whose = endpoint if words == NEWEST else words if settings.endpoint(words) else None
    found: list[RunRecord] = []
    if state is not None and (words == NEWEST or whose is not None):
        found = state.runs(endpoint=whose, most=1)
    elif state is not None and words:
        found = state.runs(run_id=words, most=1) or state.runs(begins=words, most=2)
    if len(found) > 1:
        raise UsageError(
            f"Several runs begin with {words!r}: {found[0].run_id} and {found[1].run_id}.",
            remedy="Give more of the id.",
        )
    if not found:
        raise _none(words, whose, what="is in the books yet")
    return found[0]


def stored_run(application: Application, words: str, *, endpoint: str | None = None) -> str:
    """The id of the run that is meant where rows are at stake: by a name the newest that has some.

    The ledger says which that is: a run may have been killed between its commit and its last word.
    An id that the books do not know is taken as it is: they may be gone, and the ledger and the
    archive know it.

    Raises:
        UsageError: no run has stored anything, or several begin so.
        WarehouseUnavailable: the ledger cannot be asked now.
    """
    settings = application.settings
    whose = endpoint if words == NEWEST else words if settings.endpoint(words) else None
    if words == NEWEST or whose is not None:
        with application.warehouse() as warehouse:
            for line in warehouse.loads(endpoint=whose or "", counting=True, most=1):
                return line.run_id
        raise _none(words, whose, what="has stored anything yet")
    state = application.state if settings.state.begun else None
    if state is None or not words or not state.runs(begins=words, most=1):
        return words
    return find_run(state, settings, words).run_id


def known_endpoint(settings: Settings, name: str | None) -> None:
    """Refuse the name of an endpoint that is not configured; None is none.

    Raises:
        UsageError: there is no such endpoint; the remedy has the near one.
    """
    if name is not None and settings.endpoint(name) is None:
        names = [endpoint.name for endpoint in settings.endpoints]
        raise UsageError(f"There is no endpoint {name!r}.", remedy=near(name, names))


def near(word: str, known: list[str]) -> str:
    """A remedy for a word that is none of those that are known."""
    return did_you_mean(word, known, f"There are: {', '.join(known)}." if known else "")


@contextmanager
def books(settings: Settings) -> Iterator[State | None]:
    """The state, None before the first run: to look at it must not make it."""
    if not settings.state.begun:
        yield None
        return
    with _opened(settings) as state:
        yield state


def _opened(settings: Settings) -> State:
    """The state, with what ended with its process written down; on a full disk as it is."""
    from tcdatalogger.core.state.store import State  # not for the help

    url = settings.state.url or ""
    try:
        state = State(url)
        try:
            state.mark_crashed()
            if state.perhaps_stored():
                from tcdatalogger.core.main import Application  # duckdb

                with Application(settings) as application:
                    application.look()
        except BaseException:
            state.close()
            raise
    except DiskFull:
        return State(url, read_only=True)
    return state


def _none(words: str, endpoint: str | None, *, what: str) -> UsageError:
    if words != NEWEST and endpoint is None:
        return UsageError(
            f"There is no run {words!r}.",
            remedy="`tcdatalogger runs` lists them; `last` is the newest.",
        )
    of = "" if endpoint is None else f" of {endpoint}"
    return UsageError(
        f"No run{of} {what}.",
        remedy=f"`tcdatalogger run {endpoint or '--all'}` makes one.",
    )
