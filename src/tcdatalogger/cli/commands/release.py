"""`tcdatalogger catalog diff`, `use` and `update`: another version of Torn's document."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcdatalogger import disk
from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, number, print_json, print_table, say
from tcdatalogger.errors import ConfigError, DataRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.operations.catalog_update import Touched
    from tcdatalogger.services.torncity.catalog.catalog import Catalog
    from tcdatalogger.services.torncity.catalog.diff import EndpointChange

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "diff",
    epilog="\b\nExample:\n"
    "  tcdatalogger catalog diff old-openapi.json new-openapi.json\n"
    "  tcdatalogger --config tcdatalogger.toml catalog diff old.json new.json --json",
)
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@json_option
@click.pass_obj
def diff(options: Options, old: Path, new: Path, as_json: bool) -> None:
    """Show what changes from one version of Torn's document to another.

    OLD and NEW are compiled catalogues or Torn's own documents. If there is a configuration, its
    endpoints that change are listed too.
    """
    from tcdatalogger.core.operations import catalog_update  # pyarrow, not for the help
    from tcdatalogger.services.torncity.catalog import diff

    before, after = diff.read(old), diff.read(new)
    changes = list(diff.changes(before, after))
    endings = list(diff.endings(after))
    settings = _settings(options)
    touched = list(catalog_update.touched(settings, (before, after), changes)) if settings else []
    if as_json:
        print_json(
            {
                "old": before.version,
                "new": after.version,
                "changes": [asdict(change) for change in changes],
                "endings": [asdict(ending) for ending in endings],
                "touched": None if settings is None else [asdict(each) for each in touched],
            }
        )
        return
    _print(before, after, changes)
    if endings:
        say(f"\nAnnounced to be removed in {after.version}:")
        print_table(
            ("path", "table", "column", "on"),
            [(e.path, e.table, e.column, e.on or "no day named") for e in endings],
        )
    if settings is not None:
        _print_touched(touched)


def _print_touched(touched: Sequence[Touched]) -> None:
    names = ", ".join(f"{each.endpoint} ({each.change})" for each in touched)
    say(f"\nTouched in your configuration: {names or 'nothing'}")


def _print(before: Catalog, after: Catalog, changes: Sequence[EndpointChange]) -> None:
    kinds = Counter(change.change for change in changes)
    inner = Counter(str(d.kind) for change in changes for d in change.differences)
    counts = [f"{number(n)} {word}" for word, n in kinds.items()]
    if not changes:
        say(f"{before.version} -> {after.version}: nothing changes.")
        return
    say(f"{before.version} -> {after.version}: {', '.join(counts)} endpoints")
    say(", ".join(f"{number(n)} x {word}" for word, n in inner.items()))
    rows: list[tuple[str, ...]] = []
    for change in changes:
        if change.change != "changed":
            rows.append((change.path, f"endpoint {change.change}", "", "", ""))
        rows += [(change.path, name, "", was, now) for name, was, now in change.facts]
        rows += [
            (change.path, d.kind, f"{d.table}.{d.column}".rstrip("."), d.before, d.after)
            for d in change.differences
        ]
    print_table(("path", "what", "where", "before", "after"), rows)


def _settings(options: Options) -> Settings | None:
    """The configuration, None where there is none to be found; a broken one is an error."""
    import os

    from tcdatalogger.core.config import configuration

    if not configuration.locate(options.config, os.environ).exists() and options.config is None:
        return None
    return options.load()


@click.command(
    "use",
    short_help="Switch to another catalogue.",
    epilog="\b\nExample:\n"
    "  tcdatalogger catalog use openapi.json && tcdatalogger check\n"
    "  tcdatalogger catalog use --shipped",
)
@click.argument("file", required=False, type=_FILE)
@click.option("--shipped", is_flag=True, help="Go back to the catalogue of the package.")
@json_option
@click.pass_obj
def use(options: Options, file: Path | None, shipped: bool, as_json: bool) -> None:
    """Switch to another catalogue: a compiled one, or Torn's own document.

    It is kept in the file of the setting `torn.catalog`. The warehouse does not change yet:
    `tcdatalogger check` shows how its tables will change.
    """
    from tcdatalogger.errors import UsageError
    from tcdatalogger.services.torncity.catalog import catalog, diff

    if (file is None) != shipped:
        raise UsageError("Name a file, or say --shipped.")
    target = options.load().torn.catalog
    if file is None:
        target.unlink(missing_ok=True)
        used = catalog.load()
    else:
        raw = diff.compiled(file)
        used = catalog.read(raw, str(file))
        _write(target, raw)
    version = used.version
    renew_schema(options, used)
    if as_json:
        print_json({"version": version, "file": None if shipped else str(target)})
        return
    say(f"In use: the catalogue of version {version}. `tcdatalogger check` shows the plan.")


@click.command(
    "update",
    short_help="Fetch Torn's document, and switch to it.",
    epilog="\b\nExample:\n"
    "  tcdatalogger catalog update --dry-run\n"
    "  tcdatalogger catalog update && tcdatalogger check",
)
@click.option("--dry-run", is_flag=True, help="Show what changes, and switch to nothing.")
@click.option(
    "--accept", is_flag=True, help="Switch also if paths of your endpoints are gone from it."
)
@json_option
@click.pass_obj
def update(options: Options, dry_run: bool, accept: bool, as_json: bool) -> None:
    """Fetch Torn's own document, show what it changes in your tables, and switch to it.

    Its address is the setting `torn.document`. It is kept beside the configuration, in the file of
    the setting `torn.catalog`. The warehouse does not change yet: `tcdatalogger check` shows how
    its tables will change.
    """
    settings = options.load()
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.operations import catalog_update

    with Application(settings) as application:
        found = catalog_update.look(application)
        taken = not dry_run and bool(found.changes)
        if not as_json:
            _print(found.before, found.after, found.changes)
            _print_touched(found.touched)
        if taken and found.lost and not accept:
            raise DataRefused(
                f"The new document has no path for {', '.join(found.lost)}.",
                remedy="Take them out of the configuration, or say --accept: their runs will fail.",
            )
        if taken:
            _write(settings.torn.catalog, found.raw)
            renew_schema(options, found.after)
            catalog_update.note(application)
    if as_json:
        print_json(
            {
                "old": found.before.version,
                "new": found.after.version,
                "changes": [asdict(change) for change in found.changes],
                "touched": [asdict(each) for each in found.touched],
                "file": str(settings.torn.catalog) if taken else None,
            }
        )
    elif taken:
        say(
            f"In use: the catalogue of version {found.after.version}. `tcdatalogger check` shows "
            "the plan."
        )


def renew_schema(options: Options, used: Catalog) -> None:
    """Write the schema for editors anew, where one stands beside the configuration.

    Args:
        options: they name the configuration.
        used: the catalogue that is in use now.
    """
    import os

    from tcdatalogger.core.config import configuration, editor_schema

    folder = configuration.locate(options.config, os.environ).resolve().parent
    if (folder / editor_schema.FILE).exists():
        editor_schema.write(folder, used)


def _write(target: Path, raw: bytes) -> None:
    part = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(raw)
        part.replace(target)
    except OSError as error:
        other = ConfigError(f"{target} cannot be written: {error.strerror}.")
        raise disk.failure(error, str(target), other) from None
