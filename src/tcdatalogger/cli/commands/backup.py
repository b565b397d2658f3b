"""`tcdatalogger backup`: all that was logged, in a second place."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, number, print_json, say
from tcdatalogger.core.config import sizes
from tcdatalogger.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.backup.make import Made

QUIET = 2.0
"""Seconds before the first line, and between two lines."""


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger backup\n"
    "  tcdatalogger backup --to /mnt/disk/torn --archive --json\n"
    "  tcdatalogger backup --if-due",
)
@click.option(
    "--to",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that holds the backups. [backup.path]",
)
@click.argument(
    "former", required=False, metavar="", type=click.Path(file_okay=False, path_type=Path)
)
@click.option("--if-due", is_flag=True, help="Only if the newest is older than backup.frequency.")
@click.option("--archive/--no-archive", default=None, help="Copy the archive's files too, or not.")
@json_option
@click.pass_obj
def command(
    options: Options,
    to: Path | None,
    former: Path | None,
    if_due: bool,
    archive: bool | None,
    as_json: bool,
) -> None:
    """Make a backup in a new folder in DIR, and check it. Runs may go on meanwhile.

    It holds the warehouse, the state, and a list of the archive's files with their checksums. Of
    the backups in DIR, the newest stay: as many as backup.keep says.
    """
    if to is not None and former is not None:
        raise UsageError("Name one folder for the backup.", remedy="As: --to /mnt/disk/torn")
    to = to or former  # `backup DIR`, as it was written before
    settings = options.load()
    from tcdatalogger.core.backup import scheduled  # pyarrow, duckdb
    from tcdatalogger.core.backup.make import back_up, due
    from tcdatalogger.core.main import Application

    place = None if to is None else to.resolve()
    with Application(settings) as application:
        if if_due and settings.backup.frequency is None:
            raise ConfigError(
                "--if-due goes by backup.frequency, which is not set.",
                remedy='Set it under [backup], as frequency = "P1D".',
            )
        if if_due:
            made = scheduled.make(
                application,
                lambda: due(settings, application.clock.now(), place),
                place=place,
                archive=archive,
                progress=BackupLines(),
            )
        else:  # whatever the state says: it may be what is broken
            made = back_up(application, place, archive=archive, progress=BackupLines())
    if made is None:
        _not_due(as_json=as_json)
    else:
        _tell(made, as_json=as_json)


def _not_due(*, as_json: bool) -> None:
    if as_json:
        print_json({"made": False, "why": "not due"})
    else:
        say("The next backup is not due yet.")


def _tell(made: Made, *, as_json: bool) -> None:
    found = made.manifest
    facts: dict[str, Any] = {
        "made": True,
        "folder": str(made.folder),
        "tables": {name: table.rows for name, table in found.warehouse.tables.items()},
        "bytes": sum(file.bytes for file in found.files.values()),
        "encrypted": found.warehouse.encrypted,
        "state": found.state.file is not None,
        "archive": {
            "files": found.archive.files,
            "bytes": found.archive.bytes,
            "copied": found.archive.copied,
        },
        "deleted": [str(folder) for folder in made.deleted],
    }
    if as_json:
        print_json(facts)
        return
    rows = sum(facts["tables"].values())
    say(f"{made.folder}: {sizes.shown(facts['bytes'])}, every row checked")
    say(f"  warehouse: {len(facts['tables'])} tables, {number(rows)} rows")
    say(f"  state: {found.state.note or 'copied'}")
    archive = found.archive
    listed = "copied" if archive.copied else "listed, not copied"
    say(f"  archive: {number(archive.files)} files, {sizes.shown(archive.bytes)}, {listed}")
    for folder in made.deleted:
        say(f"  deleted: {folder}")


class BackupLines:
    """Prints how much of a long work is done; it is called as a `Progress`."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, what: str, done: int, whole: int) -> None:
        """Print a line, if the last one is `QUIET` seconds old.

        Args:
            what: the work.
            done: how much of it is done.
            whole: how much there is, in the same unit; 0 where that is not known.
        """
        now = time.monotonic()
        if now - self._told >= QUIET:
            self._told = now
            share = f" {100 * done // whole} %" if whole else ""
            say(f"{what}{share}", err=True)
            sys.stderr.flush()
