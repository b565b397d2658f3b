"""`tcdatalogger schema`: the versions of the tables, and why each came to be."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import without_pandas
from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, moment, print_json, print_table, say
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tcdatalogger.core.views.schema import TableVersion
    from tcdatalogger.models.evolution import Step


@click.group(
    epilog="\b\nExample:\n"
    "  tcdatalogger schema history --endpoint faction_crimes\n"
    "  tcdatalogger schema diff faction_members 1 2\n"
    "  tcdatalogger schema apply faction_members --dry-run",
)
def command() -> None:
    """Show the versions of tables and their causes, make a new one, or go back to an old one."""


@command.command(
    "history", epilog="\b\nExample:\n  tcdatalogger schema history --endpoint faction_crimes --json"
)
@click.argument("name", required=False, metavar="[TABLE]")
@click.option("--endpoint", metavar="NAME", help="Only tables of this endpoint.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="At most N, the newest ones.  [all]",
)
@json_option
@click.pass_obj
def history(
    options: Options, name: str | None, endpoint: str | None, limit: int | None, as_json: bool
) -> None:
    """List the versions of all tables, or of one."""
    if name is not None and endpoint is not None:
        raise UsageError("Name a table or an endpoint, not both.")
    found = _versions(options, endpoint or name)[-(limit or 0) :]
    if as_json:
        print_json([{k: v for k, v in asdict(one).items() if k != "columns"} for one in found])
        return
    print_table(
        ("table", "version", "when", "cause", "catalogue", "run", "changes"),
        [
            (
                one.table_name,
                one.version,
                moment(one.created_at),
                one.cause,
                one.catalog_version,
                one.run_id,
                _short(one.diff),
            )
            for one in found
        ],
    )


@command.command("show", epilog="\b\nExample:\n  tcdatalogger schema show faction_crimes")
@click.argument("name")
@click.option("--version", type=click.IntRange(min=1), help="The version to show.  [the newest]")
@json_option
@click.pass_obj
def show(options: Options, name: str, version: int | None, as_json: bool) -> None:
    """Show the columns of a table in one version."""
    found = _versions(options, name)
    from tcdatalogger.core.views.schema import version_of  # pyarrow, duckdb

    one = version_of(found, name, version)
    if as_json:
        print_json(asdict(one))
        return
    say(f"{one.table_name} version {one.version}   key: {', '.join(one.key)}   {one.cause}")
    print_table(
        ("column", "type", "null", "notes"),
        [
            (column["name"], column["type"], "yes" if column["nullable"] else "no", _notes(column))
            for column in one.columns
        ],
    )


@command.command("diff", epilog="\b\nExample:\n  tcdatalogger schema diff faction_crimes 1 2")
@click.argument("name")
@click.argument("old", type=click.IntRange(min=1))
@click.argument("new", type=click.IntRange(min=1))
@json_option
@click.pass_obj
def diff(options: Options, name: str, old: int, new: int, as_json: bool) -> None:
    """Show what changed between two versions of a table."""
    found = _versions(options, name)
    from tcdatalogger.core.views.schema import changes, version_of  # pyarrow, duckdb

    changed = changes(version_of(found, name, old), version_of(found, name, new))
    if as_json:
        print_json([asdict(change) for change in changed])
        return
    print_table(
        ("", "column", "before", "after"),
        [(change.change, change.column, change.before, change.after) for change in changed],
    )


@command.command(
    "apply",
    short_help="Make the tables fit configuration and catalogue.",
    epilog="\b\nExample:\n"
    "  tcdatalogger schema apply faction_crimes --dry-run\n"
    "  tcdatalogger schema apply faction_crimes --accept",
)
@click.argument("name")
@click.option("--accept", is_flag=True, help="Take also the steps that no load takes by itself.")
@click.option("--dry-run", is_flag=True, help="Tell the steps; count values that would change.")
@json_option
@click.pass_obj
def apply(options: Options, name: str, accept: bool, dry_run: bool, as_json: bool) -> None:
    """Make the tables of an endpoint fit the configuration and the catalogue.

    New columns and wider types need no consent; other names and types need --accept. If a value
    would change, nothing is done. A table that changes is kept as it was in _tcd_before_TABLE.
    """
    settings = options.load()
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.operations import schema  # pyarrow, duckdb

    with Application(settings) as application:
        plan = schema.planned(application, name)
        if not as_json:
            _print_steps(plan.steps)
        asking = [step for step in plan.steps if not step.free]
        if as_json and asking and not (accept or dry_run):
            print_json(_steps_of(plan.name, plan.steps, applied=False))
        done = schema.apply(application, name, accept=accept, dry=dry_run)
    if as_json:
        print_json(_steps_of(done.name, done.steps, applied=bool(done.steps) and not dry_run))
    elif done.steps:
        say("Nothing was changed: it was a dry run." if dry_run else "Done.")


@command.command(
    "rollback",
    epilog="\b\nExample:\n  tcdatalogger schema rollback faction_members 1 --dry-run",
)
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--dry-run", is_flag=True, help="Tell the steps; count values that would change.")
@json_option
@click.pass_obj
def rollback(options: Options, name: str, version: int, dry_run: bool, as_json: bool) -> None:
    """Give a table the columns of an older version, as a new version.

    Columns that came since are dropped; their values stay in _tcd_before_TABLE and in the archive.
    """
    settings = options.load()
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.operations import schema  # pyarrow, duckdb

    with Application(settings) as application:
        done = schema.roll_back(application, name, version, dry=dry_run)
    if as_json:
        facts = _steps_of(done.name, done.steps, applied=bool(done.steps) and not dry_run)
        print_json({**facts, "next_load": [str(step) for step in done.next]})
        return
    _print_steps(done.steps)
    if done.steps:
        say("Nothing was changed: it was a dry run." if dry_run else "Done.")
    for step in done.next:
        say(f"With this configuration, the next load brings: {step}")


def _print_steps(steps: Sequence[Step]) -> None:
    for step in steps:
        say(f"{step}   {'' if step.free else step.change.value}".rstrip())
    if not steps:
        say("The tables fit already.")


def _steps_of(name: str, steps: Sequence[Step], *, applied: bool) -> dict[str, Any]:
    return {
        "name": name,
        "applied": applied,
        "steps": [
            {
                "change": step.change.value,
                "table": step.table,
                "column": step.column or None,
                "type": step.type or None,
                "was": step.was or None,
                "by_itself": step.free,
                "says": str(step),
            }
            for step in steps
        ],
    }


def _versions(options: Options, name: str | None) -> tuple[TableVersion, ...]:
    """The versions of a table, of the tables of an endpoint or of all, the oldest first."""
    settings = options.load()
    without_pandas.begin(())  # it runs no processor
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.core.views.schema import versions

    with Application(settings) as application:
        return versions(application, name)


def _notes(column: Mapping[str, Any]) -> str:
    notes = ["learned from data"] if column.get("learned") else []
    if column.get("deprecated"):
        notes.append(f"goes {column.get('ends') or ''}".strip())
    return ", ".join(notes)


def _short(steps: Sequence[str], most: int = 3) -> str:
    shown = "; ".join(steps[:most])
    return shown if len(steps) <= most else f"{shown}; … ({len(steps)})"
