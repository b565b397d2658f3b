"""`tcdatalogger schema`: the versions of the tables, and why each came to be."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, moment, print_json, print_table, say
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tcdatalogger.models.evolution import Step

_VERSIONS = """
select endpoint, table_name, version, columns, key, diff, cause, run_id, catalog_version, created_at
from _tcd_schemas order by created_at, table_name, version
"""


@click.group(
    epilog="\b\nExample:\n"
    "  tcdatalogger schema history --endpoint faction_crimes\n"
    "  tcdatalogger schema diff faction_members 1 2\n"
    "  tcdatalogger schema apply faction_members --dry-run",
)
def command() -> None:
    """Show the versions of tables and why they came, make another, or go back to one."""


@command.command(
    "history", epilog="\b\nExample:\n  tcdatalogger schema history --endpoint faction_crimes --json"
)
@click.argument("name", required=False, metavar="[TABLE]")
@click.option("--endpoint", metavar="NAME", help="Only tables of this endpoint.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="So many at most, the newest of them.  [all]",
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
        print_json([{k: v for k, v in one.items() if k != "columns"} for one in found])
        return
    print_table(
        ("table", "version", "when", "cause", "catalogue", "run", "changes"),
        [
            (
                one["table_name"],
                one["version"],
                moment(one["created_at"]),
                one["cause"],
                one["catalog_version"],
                one["run_id"],
                _short(one["diff"]),
            )
            for one in found
        ],
    )


@command.command("show", epilog="\b\nExample:\n  tcdatalogger schema show faction_crimes")
@click.argument("name")
@click.option("--version", type=click.IntRange(min=1), help="The newest where none is named.")
@json_option
@click.pass_obj
def show(options: Options, name: str, version: int | None, as_json: bool) -> None:
    """Show the columns of a table in one version."""
    one = _one(_versions(options, name), name, version)
    if as_json:
        print_json(one)
        return
    say(
        f"{one['table_name']} version {one['version']}   key: {', '.join(one['key'])}   "
        f"{one['cause']}"
    )
    print_table(
        ("column", "type", "null", "notes"),
        [
            (column["name"], column["type"], "yes" if column["nullable"] else "no", _notes(column))
            for column in one["columns"]
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
    before, after = _one(found, name, old), _one(found, name, new)
    ours = {column["name"]: column for column in before["columns"]}
    theirs = {column["name"]: column for column in after["columns"]}
    changes = [("+", n, "", c["type"]) for n, c in theirs.items() if n not in ours]
    changes += [("-", n, c["type"], "") for n, c in ours.items() if n not in theirs]
    changes += [
        ("~", n, ours[n]["type"], c["type"])
        for n, c in theirs.items()
        if n in ours and ours[n]["type"] != c["type"]
    ]
    if as_json:
        names = ("change", "column", "before", "after")
        print_json([dict(zip(names, change, strict=True)) for change in changes])
        return
    print_table(("", "column", "before", "after"), changes)


@command.command(
    "apply",
    short_help="Make the tables fit configuration and catalogue.",
    epilog="\b\nExample:\n"
    "  tcdatalogger schema apply faction_crimes --dry-run\n"
    "  tcdatalogger schema apply faction_crimes --accept",
)
@click.argument("name")
@click.option("--accept", is_flag=True, help="Take the steps too that no load takes by itself.")
@click.option("--dry-run", is_flag=True, help="Take them, compare every value, and undo it all.")
@json_option
@click.pass_obj
def apply(options: Options, name: str, accept: bool, dry_run: bool, as_json: bool) -> None:
    """Make the tables of an endpoint fit the configuration and the catalogue.

    New columns and wider ones need nothing else; names and other types need --accept. A value that
    would change by it stops it all. What is touched is kept in _tcd_before_TABLE.
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
@click.option("--dry-run", is_flag=True, help="Do it, compare every value, and undo it all.")
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
        say(f"The next load has this to say, as the configuration is: {step}")


def _print_steps(steps: Sequence[Step]) -> None:
    for step in steps:
        say(f"{step}   {'' if step.free else step.change.value}".rstrip())
    if not steps:
        say("The tables are so already.")


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


def _versions(options: Options, name: str | None) -> list[dict[str, Any]]:
    """The versions of a table, of the tables of an endpoint or of all, the oldest first."""
    settings = options.load()
    from tcdatalogger.core.main import Application  # pyarrow, duckdb

    application = Application(settings)
    with application, application.warehouse(read_only=True) as warehouse:
        rows = warehouse.query(_VERSIONS).to_pylist()
    found = [row for row in rows if name in {None, row["table_name"], row["endpoint"]}]
    if name is not None and not found:
        known = sorted({row["table_name"] for row in rows} | {row["endpoint"] for row in rows})
        near = difflib.get_close_matches(name, known, n=1)
        raise UsageError(
            f"No table or endpoint {name!r} was ever stored.",
            remedy=f"Did you mean {near[0]!r}?"
            if near
            else "`tcdatalogger query 'show tables'` lists all.",
        )
    for row in found:
        row |= {key: json.loads(row[key]) for key in ("columns", "key", "diff")}
    return found


def _one(found: Sequence[dict[str, Any]], name: str, version: int | None) -> dict[str, Any]:
    of_table = [one for one in found if one["table_name"] == name]
    if not of_table:
        tables = sorted({one["table_name"] for one in found})
        raise UsageError(
            f"{name!r} is an endpoint; name one of its tables.", remedy=", ".join(tables)
        )
    if version is None:
        return of_table[-1]
    for one in of_table:
        if one["version"] == version:
            return one
    raise UsageError(
        f"{name} has no version {version}.", remedy=_versions_of(name, of_table[-1]["version"])
    )


def _versions_of(name: str, newest: int) -> str:
    if newest == 1:
        return "It has version 1 alone: it was never changed."
    return f"It has 1 to {newest}: `tcdatalogger schema history {name}` tells of each."


def _notes(column: dict[str, Any]) -> str:
    notes = ["learned from data"] if column.get("learned") else []
    if column.get("deprecated"):
        notes.append(f"goes {column.get('ends') or ''}".strip())
    return ", ".join(notes)


def _short(steps: list[str], most: int = 3) -> str:
    shown = "; ".join(steps[:most])
    return shown if len(steps) <= most else f"{shown}; … ({len(steps)})"
