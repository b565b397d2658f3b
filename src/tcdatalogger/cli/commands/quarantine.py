"""`tcdatalogger quarantine`: the records that were set aside, and another try for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, moment, number, print_json, print_table, say
from tcdatalogger.errors import UsageError, WarehouseUnavailable

if TYPE_CHECKING:
    from tcdatalogger.core.main import Application

_ALL = "select * from _tcd_quarantine order by quarantined_at, quarantine_id"


@click.group(
    epilog="\b\nExample:\n"
    "  tcdatalogger quarantine list --endpoint faction_members\n"
    "  tcdatalogger quarantine show 0f3c9a7be12d4c55-0\n"
    "  tcdatalogger quarantine retry --endpoint faction_members",
)
def command() -> None:
    """Look at the records that did not fit, and try them again."""


@command.command("list", epilog="\b\nExample:\n  tcdatalogger quarantine list --json")
@click.option("--endpoint", metavar="NAME", help="Only records of this endpoint.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="So many at most, the newest of them.  [all]",
)
@json_option
@click.pass_obj
def list_(options: Options, endpoint: str | None, limit: int | None, as_json: bool) -> None:
    """List what was set aside, and why."""
    with _application(options) as application:
        found = _read(application, endpoint)
    shown = found[-(limit or 0) :]
    if as_json:
        print_json(shown)
        return
    print_table(
        ("id", "endpoint", "when", "where", "reason"),
        [
            (r["quarantine_id"], r["endpoint"], moment(r["quarantined_at"]), r["path"], r["reason"])
            for r in shown
        ],
    )
    say(f"{number(len(found))} set aside.")


@command.command("show", epilog="\b\nExample:\n  tcdatalogger quarantine show 0f3c9a7be12d4c55-0")
@click.argument("quarantine_id", metavar="ID")
@json_option
@click.pass_obj
def show(options: Options, quarantine_id: str, as_json: bool) -> None:
    """Show one record whole, with its reason and its run."""
    with _application(options) as application:
        found = [r for r in _read(application) if r["quarantine_id"] == quarantine_id]
    if not found:
        raise _unknown(quarantine_id)
    if as_json:
        print_json(found[0])
        return
    for name, value in found[0].items():
        if name != "record":
            say(f"{name + ':':<16} {value}")
    say(found[0]["record"])


@command.command(
    "retry", epilog="\b\nExample:\n  tcdatalogger quarantine retry --endpoint faction_members"
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--endpoint", metavar="NAME", help="All records of this endpoint.")
@click.option("--all", "everything", is_flag=True, help="All records.")
@json_option
@click.pass_obj
def retry(
    options: Options,
    ids: tuple[str, ...],
    endpoint: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Try records again: with a newer catalogue they may fit. The others stay where they are."""
    if sum((bool(ids), endpoint is not None, everything)) != 1:
        raise UsageError("Say which records to try.", remedy="Give ids, or --endpoint, or --all.")
    from tcdatalogger.core.operations import quarantine as again  # pyarrow, duckdb

    with _application(options) as application:
        found = _read(application, endpoint)
        known = {record["quarantine_id"] for record in found}
        for quarantine_id in ids:
            if quarantine_id not in known:
                raise _unknown(quarantine_id)
        chosen = [r for r in found if not ids or r["quarantine_id"] in ids]
        stored = again.retry(application, chosen)
    if as_json:
        print_json({"tried": len(chosen), "stored": stored})
        return
    say(f"{number(len(stored))} of {number(len(chosen))} are stored now.")


def _application(options: Options) -> Application:
    settings = options.load()
    from tcdatalogger.core.main import Application  # pyarrow, duckdb

    return Application(settings)


def _read(application: Application, endpoint: str | None = None) -> list[dict[str, Any]]:
    if endpoint is not None:
        application.chosen([endpoint])
    try:
        with application.warehouse(read_only=True) as warehouse:
            found = warehouse.query(_ALL).to_pylist()
    except UsageError:
        raise WarehouseUnavailable(
            "The warehouse has no books yet.", remedy="`tcdatalogger run --all` makes them."
        ) from None
    return [record for record in found if endpoint in {None, record["endpoint"]}]


def _unknown(quarantine_id: str) -> UsageError:
    return UsageError(
        f"No record {quarantine_id} is in the quarantine.",
        remedy="`tcdatalogger quarantine list` lists them.",
    )
