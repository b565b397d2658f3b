"""The commands that mend what became of a run, as people type them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.operations.resume import GOES_ON
from tcdatalogger.core.state.alerts import REFUSED
from tcdatalogger.core.state.leases import BACKUP
from tcdatalogger.core.state.store import RUNNING, RunRecord
from tcdatalogger.errors import ConfigError, KeyRefused
from tcdatalogger.services.torncity.client.error_codes import KeyFault

_TO_FIX: Final = {
    ConfigError.__name__: ("check", "Looks at the configuration, the keys and the folders."),
    KeyRefused.__name__: ("keys check", "Says what each key may do, with the link for a new one."),
    KeyFault.__name__: ("keys check", "Says what each key may do, with the link for a new one."),
}
"""What to look at first, by the class of the error."""


@dataclass(frozen=True, slots=True)
class Mend:
    """A command that mends something.

    Attributes:
        command: the words after the name of the program.
        says: what it does, in a sentence.
    """

    command: str
    says: str


def mends(run: RunRecord, endpoint: EndpointSettings | None, *, newest: bool) -> tuple[Mend, ...]:
    """What may be done about a run, the next step first.

    Args:
        run: as the state has it.
        endpoint: its endpoint as it is configured; None where it is not any more.
        newest: whether no later run of the endpoint has stored anything.
    """
    if run.status == RUNNING:
        return (Mend("runs tail -f", "Follows the runs until Ctrl-C."),)
    if run.endpoint == BACKUP:
        again = "" if run.status == "done" else "Makes a backup now."
        return (Mend("backup", again),) if again else ()
    found = [*_again(run, endpoint), *_stored(run, endpoint, newest=newest)]
    if run.quarantined and endpoint is not None:
        found += [
            Mend(
                f"quarantine list --endpoint {run.endpoint}", "Lists what was set aside, and why."
            ),
            Mend(
                f"quarantine retry --endpoint {run.endpoint}",
                "Tries it again: with a newer catalogue it may fit.",
            ),
        ]
    if run.drift:
        found.append(
            Mend(
                f"schema history --endpoint {run.endpoint}",
                "Lists the columns that new fields became.",
            )
        )
    return tuple(found)


def _again(run: RunRecord, endpoint: EndpointSettings | None) -> Iterator[Mend]:
    """Commands for a run that has not stored its rows."""
    if run.status not in GOES_ON and run.status != "superseded":
        return
    name, run_id = run.endpoint, run.run_id
    if run.error_class in _TO_FIX:
        yield Mend(*_TO_FIX[run.error_class])
    if endpoint is None:
        return
    if run.error_class in REFUSED and run.archive_file:
        yield Mend(f"replay {run_id} --with {run_id} --dry-run", "Makes its rows, stores nothing.")
        yield Mend(
            f"replay {run_id} --with {run_id}", "Stores its rows although they were refused."
        )
    elif run.archive_file and run.status in GOES_ON and not run.settled:
        yield Mend(
            f"run {name} --run {run_id}", "Goes on from its archived answers; Torn is not asked."
        )
    if run.backfill:
        yield Mend(f"backfill {name}", "Goes on with the history where it stopped.")
    else:
        yield Mend(f"run {name}", "Runs it anew.")


def _stored(run: RunRecord, endpoint: EndpointSettings | None, *, newest: bool) -> Iterator[Mend]:
    """Commands for a run that has stored its rows, or whose rows were taken back."""
    run_id = run.run_id
    if run.status == "rolled back" and run.archive_file:
        yield Mend(f"replay {run_id}", "Brings its rows back from the archive.")
    if run.status != "done" or run.unchanged or not run.rows:
        return
    if run.archive_file and endpoint is not None:
        yield Mend(f"replay {run_id} --dry-run", "Makes its rows again, and stores nothing.")
        yield Mend(
            f"replay {run_id}", "Puts its rows, made again from the archive, in their place."
        )
    if endpoint is None or endpoint.storage_mode == "append" or newest:
        yield Mend(f"rollback {run_id} --dry-run", "Shows what would be taken back.")
        yield Mend(f"rollback {run_id}", "Takes its rows back; its answers stay in the archive.")
    else:
        yield Mend(
            f"rebuild {run.endpoint} --without {run_id} --dry-run",
            "Makes the rows of all other runs again, and stores nothing.",
        )
        yield Mend(
            f"rebuild {run.endpoint} --without {run_id}",
            f"Makes the tables again without it: by {endpoint.storage_mode} only the newest run "
            "can be rolled back.",
        )
