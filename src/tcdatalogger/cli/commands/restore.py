"""`tcdatalogger restore`: bring a backup back, in a new folder or into another warehouse."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.commands.backup import BackupLines, facts
from tcdatalogger.cli.output import counted, json_option, moment, print_json, print_table, say
from tcdatalogger.core.config import sizes
from tcdatalogger.errors import Failure, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tcdatalogger.core.backup.restore import Restored
    from tcdatalogger.core.config.secrets import Secret
    from tcdatalogger.core.config.settings import Settings


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger restore backups/20261123T081500Z --to restored --dry-run\n"
    "  tcdatalogger restore backups/20261123T081500Z --to restored\n"
    "  tcdatalogger restore backups/20261123T081500Z --to restored \\\n"
    "    --warehouse 'bigquery://my-project/torn?location=EU'\n"
    "  tcdatalogger restore --snapshots 20261123T081500Z \\\n"
    "    --warehouse 'bigquery://my-project/again?location=EU'",
)
@click.argument(
    "folder",
    metavar="[FROM]",
    required=False,
    type=click.Path(file_okay=False, path_type=Path),
)
@click.option(
    "--to",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder that does not exist yet.",
)
@click.option(
    "--encryption-key",
    metavar="REFERENCE",
    help="Where the key of an encrypted warehouse is: env:, file: or keyring:.",
)
@click.option(
    "--warehouse",
    "url",
    metavar="URL",
    help="The warehouse that gets the tables instead of a file in DIR. It is empty, or does not "
    "exist yet.",
)
@click.option(
    "--credentials",
    metavar="REFERENCE",
    help="Where the credentials for BigQuery are: env: or file:. [warehouse.credentials]",
)
@click.option(
    "--snapshots",
    metavar="NAME",
    help="Snapshots of the configured warehouse that are brought back instead of FROM, into "
    "--warehouse.",
)
@click.option("--dry-run", "dry", is_flag=True, help="Only check the backup.")
@json_option
@click.pass_obj
def command(
    options: Options,
    folder: Path | None,
    to: Path | None,
    encryption_key: str | None,
    url: str | None,
    credentials: str | None,
    snapshots: str | None,
    dry: bool,
    as_json: bool,
) -> None:
    """Bring a backup back in a new folder, and compare it row for row.

    Nothing else changes: the command prints the settings that use the new folder. It needs no
    configuration. With --warehouse, the tables and the ledger go into that one, each column is
    compared, and what ends before its end is called again.

    With --snapshots, BigQuery makes the tables of snapshots that `tcdatalogger backup --snapshots`
    made. The dataset that gets them is empty and lies in the same place.
    """
    given = {"url": url, "encryption_key": encryption_key, "credentials": credentials}
    if snapshots is not None:
        if folder or to or encryption_key or dry or url is None:
            raise UsageError(
                "Snapshots go into a dataset of BigQuery, and nowhere else.",
                remedy=f"As: tcdatalogger restore --snapshots {snapshots} "
                "--warehouse 'bigquery://my-project/again?location=EU'",
            )
        _restore_snapshots(options, snapshots, given, as_json=as_json)
        return
    if folder is None or to is None:
        raise UsageError(
            "Name the backup and a folder that does not exist yet.",
            remedy="As: tcdatalogger restore backups/20261123T081500Z --to restored",
        )
    settings = _settings_if_any(options)
    from tcdatalogger.clock import SystemClock
    from tcdatalogger.core.backup.restore import Target, restore
    from tcdatalogger.core.main import Application

    if settings is not None and settings.state.begun:
        _refuse_others(settings, folder, to)
    target = None if url is None else _target(options, settings, given)
    into = None if target is None else Target(target.warehouse.url, Application(target).warehouse)
    reference = encryption_key or (settings.warehouse.encryption_key if settings else None)
    found = restore(
        folder,
        to,
        clock=SystemClock(),
        key=_key(reference),
        into=into,
        dry=dry,
        progress=BackupLines(),
    )
    if not dry and settings is not None and settings.state.begun:
        _keep_forgotten(settings, found, as_json=as_json)
    lines = found.settings(reference, None if target is None else target.warehouse.credentials)
    _tell_restored(found, lines, dry=dry, as_json=as_json)


def _refuse_others(settings: Settings, folder: Path, to: Path) -> None:
    """Refuse a backup of which the list of forgotten players cannot become one with that here.

    Where the state here cannot be asked, the backup is brought back: it may be what was lost.
    """
    from tcdatalogger.core.backup.forgotten import refuse_others
    from tcdatalogger.core.main import Application

    known = None
    with suppress(Failure), Application(settings) as application:
        known = application.state.forgotten.pseudonyms()
    if known:
        refuse_others(folder, known, to)


def _keep_forgotten(settings: Settings, found: Restored, *, as_json: bool) -> None:
    """Give players who are forgotten by now their aliases in what came back."""
    from tcdatalogger.core.backup.forgotten import Place, renew
    from tcdatalogger.core.main import Application

    with Application(settings) as application:
        pseudonyms = application.state.forgotten.pseudonyms()
        if not pseudonyms:
            return
        place = Place(found.url, found.state, found.archive)
        done = renew(application, place, pseudonyms)
    rows = counted(sum(done.rows.values()) + sum(done.deleted.values()), "row")
    if not as_json:
        say(f"Players who are forgotten have their aliases in it: {rows} changed.")


def _restore_snapshots(
    options: Options, name: str, given: Mapping[str, str | None], *, as_json: bool
) -> None:
    from tcdatalogger.core.backup import snapshots
    from tcdatalogger.core.main import Application

    settings = options.load(upgrades=False)
    target = _target(options, settings, given)
    with Application(settings) as application, Application(target) as to:
        found = snapshots.restore(application, name, to)
    lines = f'[warehouse]\nurl = "{target.warehouse.url}"'
    if target.warehouse.credentials is not None:
        lines += f'\ncredentials = "{target.warehouse.credentials}"'
    if as_json:
        print_json({"restored": True, **facts(found), "settings": lines})
        return
    print_table(("table", "rows"), [(table, each.rows) for table, each in found.tables.items()])
    say(f"The snapshots of {moment(found.made_at)} are brought back; every row was counted.")
    say(f"These settings use them; state and archive stay:\n\n{lines}")


def _target(
    options: Options, settings: Settings | None, given: Mapping[str, str | None]
) -> Settings:
    """The settings with the warehouse that gets the tables."""
    from tcdatalogger.core.config import configuration

    said = {name: value for name, value in given.items() if value}
    if settings is None:
        return configuration.from_mapping({"warehouse": said}, os.environ, Path())
    changed = [f"warehouse.{name}={value}" for name, value in said.items()]
    return replace(options, overrides=(*options.overrides, *changed)).settings()


def _settings_if_any(options: Options) -> Settings | None:
    from tcdatalogger.core.config import configuration

    asked = options.config is not None or "TCDATALOGGER_CONFIG" in os.environ
    if asked or configuration.locate(None, os.environ).exists():
        return options.load(upgrades=False)
    options.start_logs("warning")
    return None


def _key(reference: str | None) -> Callable[[], Secret] | None:
    if reference is None:
        return None
    from tcdatalogger.core.config.secrets import ENCRYPTION_KEY, misplaced, resolve

    if misplaced(reference, os.environ):
        resolve(ENCRYPTION_KEY, reference, os.environ)  # says so: it is not to be shown
    return lambda: resolve(ENCRYPTION_KEY, reference, os.environ)


def _tell_restored(found: Restored, lines: str, *, dry: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "restored": not dry,
                "made_at": found.manifest.made,
                "tables": {name: table.rows for name, table in found.tables.items()},
                "files": found.files,
                "bytes": found.bytes,
                "warehouse": found.url.removeprefix("duckdb:///"),
                "state": found.state and str(found.state),
                "archive": found.archive and str(found.archive),
                "settings": lines,
            }
        )
        return
    print_table(("table", "rows"), [(name, table.rows) for name, table in found.tables.items()])
    done = "is whole; nothing was copied" if dry else "is brought back, and every row compared"
    say(f"The backup of {moment(found.manifest.made_at)} ({sizes.shown(found.bytes)}) {done}.")
    if not dry:
        say(f"These settings use it:\n\n{lines}")
        if found.archive is None:
            say(f"\nThe archive stays at {found.manifest.origin['archive']}.")
