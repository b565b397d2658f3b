"""`tcdatalogger quarantine`: the records that were set aside, and another try for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, moment, number, print_json, print_table, say
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.main import Application


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
    help="At most N, the newest ones.  [all]",
)
@json_option
@click.pass_obj
def list_(options: Options, endpoint: str | None, limit: int | None, as_json: bool) -> None:
    """List what was set aside, and why."""
    with _application(options) as application:
        from tcdatalogger.core.views.quarantine import records  # pyarrow, duckdb

        found = records(application, endpoint)
    shown = found[-(limit or 0) :]
    if as_json:
        print_json([asdict(record) for record in shown])
        return
    print_table(
        ("id", "endpoint", "when", "where", "reason"),
        [(r.quarantine_id, r.endpoint, moment(r.quarantined_at), r.path, r.reason) for r in shown],
    )
    say(f"{number(len(found))} set aside.")


@command.command("show", epilog="\b\nExample:\n  tcdatalogger quarantine show 0f3c9a7be12d4c55-0")
@click.argument("quarantine_id", metavar="ID")
@json_option
@click.pass_obj
def show(options: Options, quarantine_id: str, as_json: bool) -> None:
    """Show one record whole, with its reason and its run."""
    with _application(options) as application:
        from tcdatalogger.core.views.quarantine import by_id, records  # pyarrow, duckdb

        [found] = by_id(records(application), [quarantine_id])
    facts = asdict(found)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        if name != "record":
            say(f"{name + ':':<16} {value}")
    say(found.record)


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
    """Try records again: with a newer catalogue they may fit. The others stay in the quarantine."""
    if sum((bool(ids), endpoint is not None, everything)) != 1:
        raise UsageError("Say which records to try.", remedy="Give ids, or --endpoint, or --all.")
    from tcdatalogger.core.operations import quarantine as again  # pyarrow, duckdb
    from tcdatalogger.core.views.quarantine import by_id, records

    with _application(options) as application:
        chosen = records(application, endpoint)
        if ids:
            chosen = by_id(chosen, ids)
        stored = again.retry(application, [asdict(record) for record in chosen])
    if as_json:
        print_json({"tried": len(chosen), "stored": stored})
        return
    say(f"{number(len(stored))} of {number(len(chosen))} are stored now.")


def _application(options: Options) -> Application:
    settings = options.load()
    from tcdatalogger.core.main import Application  # pyarrow, duckdb

    return Application(settings)
