"""`tcdatalogger backup`: all that was logged, in a second place or in snapshots."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, moment, number, print_json, print_table, say
from tcdatalogger.clock import utc
from tcdatalogger.core.config import sizes
from tcdatalogger.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.backup.make import Made
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.services.google.snapshots import Snapshots

QUIET = 2.0
"""Seconds before the first line, and between two lines."""


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger backup\n"
    "  tcdatalogger backup --to /mnt/disk/torn --archive --json\n"
    "  tcdatalogger backup --if-due\n"
    "  tcdatalogger backup --snapshots P30D\n"
    "  tcdatalogger backup --list",
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
@click.option(
    "--snapshots",
    metavar="PERIOD",
    help="Make snapshots of all tables in their dataset of BigQuery instead, for P30D, or PT12H.",
)
@click.option("--list", "listed", is_flag=True, help="List the backups in DIR, and the snapshots.")
@json_option
@click.pass_obj
def command(
    options: Options,
    to: Path | None,
    former: Path | None,
    if_due: bool,
    archive: bool | None,
    snapshots: str | None,
    listed: bool,
    as_json: bool,
) -> None:
    """Make a backup in a new folder in DIR, and check it. Runs may go on meanwhile.

    It holds the warehouse, the state, and a list of the archive's files with their checksums. Of
    the backups in DIR, the newest stay: as many as backup.keep says.

    With --snapshots, all tables of a warehouse on BigQuery are kept there as of one moment, ledger
    included. Nothing is copied, and BigQuery deletes them after PERIOD.
    """
    if to is not None and former is not None:
        raise UsageError("Name one folder for the backup.", remedy="As: --to /mnt/disk/torn")
    to = to or former  # `backup DIR`, as it was written before
    if snapshots is not None and (to or if_due or archive is not None or listed):
        raise UsageError(
            "--snapshots goes alone: snapshots are no files.",
            remedy="As: tcdatalogger backup --snapshots P30D",
        )
    settings = options.load(upgrades=False)
    if snapshots is not None:
        _take(settings, snapshots, as_json=as_json)
        return
    if listed:
        _list(settings, to or settings.backup.path, as_json=as_json)
        return
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


def _take(settings: Settings, period: str, *, as_json: bool) -> None:
    from tcdatalogger.core.backup import snapshots
    from tcdatalogger.core.config.durations import parse  # whenever
    from tcdatalogger.core.main import Application

    try:
        keep = parse(period)
    except ValueError as error:
        raise UsageError(f"--snapshots is {error}.") from None
    with Application(settings) as application:
        made = snapshots.take(application, keep)
    if as_json:
        print_json({"made": True, **facts(made)})
        return
    say(f"Snapshots {made.name} of {len(made.tables)} tables, until {moment(made.expires_at)}")
    say(
        f"  back: tcdatalogger restore --snapshots {made.name} "
        "--warehouse 'bigquery://PROJECT/DATASET'"
    )


def facts(found: Snapshots) -> dict[str, Any]:
    """What `--json` tells of snapshots."""
    return {
        "snapshots": found.name,
        "made_at": _iso(found.made_at),
        "expires_at": _iso(found.expires_at),
        "tables": {name: table.rows for name, table in found.tables.items()},
    }


def _iso(seconds: float) -> str:
    return f"{utc(seconds):%Y-%m-%dT%H:%M:%SZ}"


def _list(settings: Settings, place: Path | None, *, as_json: bool) -> None:
    from tcdatalogger.core.backup import manifest, snapshots
    from tcdatalogger.core.main import Application

    folders = [] if place is None else manifest.kept(place, settings.warehouse.url)
    with Application(settings) as application:
        kept = snapshots.kept(application)
    if as_json:
        print_json(
            {
                "backups": [
                    {
                        "folder": str(one.folder),
                        "made_at": one.manifest.made,
                        "tables": {n: t.rows for n, t in one.manifest.warehouse.tables.items()},
                    }
                    for one in folders
                ],
                "snapshots": [facts(each) for each in kept],
            }
        )
        return
    if not folders and not kept:
        say("There are no backups yet; `tcdatalogger backup` makes one.")
        return
    print_table(
        ("backup", "made", "expires", "tables"),
        [
            *(
                (one.folder, moment(one.manifest.made_at), "", len(one.manifest.warehouse.tables))
                for one in folders
            ),
            *(
                (
                    f"snapshots {each.name}",
                    moment(each.made_at),
                    moment(each.expires_at),
                    len(each.tables),
                )
                for each in kept
            ),
        ],
    )


def _not_due(*, as_json: bool) -> None:
    if as_json:
        print_json({"made": False, "why": "not due"})
    else:
        say("The next backup is not due yet.")


def _tell(made: Made, *, as_json: bool) -> None:
    found = made.manifest
    told: dict[str, Any] = {
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
        print_json(told)
        return
    rows = sum(told["tables"].values())
    say(f"{made.folder}: {sizes.shown(told['bytes'])}, every row checked")
    say(f"  warehouse: {len(told['tables'])} tables, {number(rows)} rows")
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
