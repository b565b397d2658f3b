"""`tcdatalogger catalog`: what Torn offers, and which tables it makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import disk
from tcdatalogger.cli.commands.release import diff, update, use
from tcdatalogger.cli.output import counted, json_option, number, print_json, print_table, say
from tcdatalogger.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tcdatalogger.models.schema import TableFamily
    from tcdatalogger.services.torncity.catalog.catalog import Endpoint

ACCESS = ("public", "minimal", "limited", "full")
PAGING = ("none", "time", "offset", "all", "cursor", "nanostamp")
MOST_VALUES = 8
ROUTE = "takes any selection of its section; name one to get its tables"


@click.group(
    invoke_without_command=True,
    epilog="\b\nExample:\n"
    "  tcdatalogger catalog --section faction\n"
    "  tcdatalogger catalog --paging time --json\n"
    "  tcdatalogger catalog show /faction/crimes",
)
@click.option("--section", metavar="NAME", help="Only user, faction, company, torn, …")
@click.option("--access", type=click.Choice(ACCESS), help="Only what a key of this level may read.")
@click.option("--paging", type=click.Choice(PAGING), help="Only this kind of paging.")
@click.option("--search", metavar="TEXT", help="Only paths, tables or columns with this text.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    section: str | None,
    access: str | None,
    paging: str | None,
    search: str | None,
    as_json: bool,
) -> None:
    """List the paths of Torn's API, with their access, paging and tables.

    A path that takes any selection makes no tables; each of its selections has a path of its own.
    """
    if context.invoked_subcommand is not None:
        return
    from tcdatalogger.services.torncity.catalog import catalog  # not for the help

    found = catalog.load()
    sections = sorted({endpoint.section for endpoint in found.endpoints})
    if section is not None and section not in sections:
        raise UsageError(
            f"There is no section {section!r}.", remedy=f"There are: {', '.join(sections)}."
        )
    chosen = [
        (endpoint, endpoint.family)
        for endpoint in found.endpoints
        if section in {None, endpoint.section}
        and (access is None or ACCESS.index(endpoint.access) <= ACCESS.index(access))
        and paging in {None, endpoint.paging}
    ]
    chosen = [pair for pair in chosen if search is None or _holds(*pair, search.lower())]
    if as_json:
        print_json([facts(endpoint, family) for endpoint, family in chosen])
        return
    print_table(
        ("path", "access", "paging", "limit", "tables", "notes"),
        [
            (
                endpoint.path,
                endpoint.access + (" + faction" if endpoint.faction_access else ""),
                endpoint.paging,
                endpoint.limit,
                len(family.tables) if family else None,
                ", ".join(_notes(endpoint)),
            )
            for endpoint, family in chosen
        ],
    )
    tables = sum(len(family.tables) for _, family in chosen if family)
    routes = sum(endpoint.route for endpoint, _ in chosen)
    of_csv = sum(endpoint.content == "csv" for endpoint, _ in chosen)
    json_, several = len(chosen) - routes - of_csv, counted(routes, "path")
    say(
        f"{counted(len(chosen) - routes, 'endpoint')} ({number(json_)} JSON, {number(of_csv)} "
        f"CSV) with {counted(tables, 'table')}, and {several} to any selection; catalogue "
        f"{found.version}. "
        "More: `tcdatalogger catalog show PATH`"
    )


def endpoint_at(path: str) -> tuple[Endpoint, dict[str, str]]:
    """The endpoint that a path on the command line names, and the values that stand in it.

    Raises:
        UsageError: the catalogue has no such path.
    """
    from tcdatalogger.services.torncity.catalog import catalog

    try:
        return catalog.load().find(path)
    except ConfigError as error:
        raise UsageError(error.message, remedy=error.remedy) from None


def _notes(endpoint: Endpoint) -> Iterator[str]:
    if endpoint.route:
        yield "any selection"
    if endpoint.content != "json":
        yield endpoint.content
    if not endpoint.stable:
        yield "unstable"
    if endpoint.deprecated:
        yield "deprecated"


def _holds(endpoint: Endpoint, family: TableFamily | None, text: str) -> bool:
    if text in endpoint.path:
        return True
    tables = family.tables if family else ()
    return any(text in t.name or any(text in c.name for c in t.columns) for t in tables)


def facts(endpoint: Endpoint, family: TableFamily | None) -> dict[str, Any]:
    """An endpoint as JSON for programs."""
    return {
        "path": endpoint.path,
        "section": endpoint.section,
        "selection": endpoint.selection,
        "access": endpoint.access,
        "faction_access": endpoint.faction_access,
        "stable": endpoint.stable,
        "deprecated": endpoint.deprecated,
        "content": endpoint.content,
        "paging": endpoint.paging,
        "limit": endpoint.limit,
        "parameters": [
            {
                "name": parameter.name,
                "in": parameter.where,
                "required": parameter.required,
                "type": parameter.kind,
                "many": parameter.many,
                "values": parameter.values,
                "default": parameter.default,
            }
            for parameter in endpoint.parameters
        ],
        "no_tables_because": ROUTE if family is None else None,
        "tables": [
            {
                "name": table.name,
                "key": table.key,
                "columns": [
                    {
                        "name": column.name,
                        "type": column.type,
                        "nullable": column.nullable,
                        "deprecated": column.deprecated,
                        "ends": column.ends or None,
                    }
                    for column in table.columns
                ],
            }
            for table in (family.tables if family else ())
        ],
    }


@command.command(
    "show",
    short_help="Show an endpoint: parameters, tables, columns.",
    epilog="\b\nExample:\n"
    "  tcdatalogger catalog show /faction/crimes\n"
    "  tcdatalogger catalog show /faction/40832/members --json",
)
@click.argument("path")
@json_option
def show(path: str, as_json: bool) -> None:
    """Show an endpoint: its parameters, and every table with columns, types and key."""
    endpoint, _ = endpoint_at(path)
    family = endpoint.family
    if as_json:
        print_json(facts(endpoint, family))
        return
    access = f"{endpoint.access} key" + (
        " of somebody with faction API access" if endpoint.faction_access else ""
    )
    paging = endpoint.paging if endpoint.limit is None else f"{endpoint.paging}, {endpoint.limit}"
    say(f"{endpoint.path}   {access}   paging: {paging}")
    if endpoint.parameters:
        print_table(
            ("parameter", "in", "type", "values or default"),
            [
                (p.name + ("" if not p.required else " *"), p.where, p.kind, _values(p))
                for p in endpoint.parameters
            ],
        )
    if family is None:
        say(f"No tables: it {ROUTE}.")
        return
    for table in family.tables:
        say(f"\n{table.name}   key: {', '.join(table.key)}")
        print_table(
            ("column", "type", "null", "notes"),
            [
                (
                    column.name,
                    column.type,
                    "yes" if column.nullable else "no",
                    f"goes {column.ends}".strip() if column.deprecated else "",
                )
                for column in table.columns
            ],
        )


def _values(parameter: Any) -> str:
    texts = [str(value) for value in parameter.values]
    if texts:
        shown = ", ".join(texts[:MOST_VALUES])
        return shown if len(texts) <= MOST_VALUES else f"{shown}, … ({len(texts)})"
    return "" if parameter.default is None else f"default {parameter.default}"


command.add_command(diff)
command.add_command(use)
command.add_command(update)


@command.command(
    "compile",
    short_help="Compile Torn's OpenAPI document.",
    epilog="\b\nExample:\n  tcdatalogger catalog compile openapi.json --to catalog.json",
)
@click.argument("spec", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--to",
    "out",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the catalogue is written.",
)
@json_option
def compile_(spec: Path, out: Path, as_json: bool) -> None:
    """Compile Torn's OpenAPI document into a catalogue: facts only, none of its sentences."""
    from tcdatalogger.services.torncity.catalog import catalog
    from tcdatalogger.services.torncity.catalog.openapi import compile_catalog

    raw = compile_catalog(spec.read_bytes(), str(spec))
    made = catalog.read(raw, str(out))
    try:
        out.write_bytes(raw)
    except OSError as error:
        other = ConfigError(f"{out} cannot be written: {error.strerror}.")
        raise disk.failure(error, str(out), other) from None
    tables = [family for endpoint in made.endpoints if (family := endpoint.family)]
    count = {
        "version": made.version,
        "paths": len(made.endpoints),
        "tables": sum(len(family.tables) for family in tables),
        "columns": sum(len(t.columns) for family in tables for t in family.tables),
        "bytes": len(raw),
    }
    if as_json:
        print_json(count)
        return
    say(
        f"{out}: version {made.version}, {count['paths']} paths, {count['tables']} tables, "
        f"{number(len(raw))} bytes"
    )
