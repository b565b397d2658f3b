"""Finds the run or the endpoint that a command names; every command understands the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tcdatalogger.errors import UsageError
from tcdatalogger.text import did_you_mean

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.state.store import RunRecord, State

NEWEST: Final = "last"
"""The name of the newest run."""


def find_run(
    state: State | None, settings: Settings, words: str, *, endpoint: str | None = None
) -> RunRecord:
    """The run of a name.

    Args:
        state: None before the first run.
        settings: with the endpoints.
        words: the name: an id, the beginning of one, an endpoint for its newest run, or `last`.
        endpoint: whose newest run `last` means; None for the newest of all.

    Raises:
        UsageError: there is no such run, or several ids begin like this.
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
        raise _none(words, whose, what="is known yet")
    return found[0]


def stored_run(application: Application, words: str, *, endpoint: str | None = None) -> str:
    """The id of the run of a name, for a command that changes rows.

    An endpoint, or `last`, means the newest run that has stored something. The ledger knows which
    run that is; the state may not, because a run may have been killed right after its commit. An id
    that the state does not know is taken as it is: the state may be lost, and the ledger and the
    archive still know the run.

    Args:
        application: with the settings.
        words: the name, as for `find_run`.
        endpoint: whose newest run `last` means; None for the newest of all.

    Raises:
        UsageError: no run has stored anything, or several ids begin like this.
        WarehouseUnavailable: the ledger cannot be read now.
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
        UsageError: there is no such endpoint; the remedy names a similar one.
    """
    if name is not None and settings.endpoint(name) is None:
        names = [endpoint.name for endpoint in settings.endpoints]
        raise UsageError(f"There is no endpoint {name!r}.", remedy=near(name, names))


def near(word: str, known: list[str]) -> str:
    """The remedy for a word that is not known: a similar one, or all of them."""
    return did_you_mean(word, known, f"There are: {', '.join(known)}." if known else "")


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
