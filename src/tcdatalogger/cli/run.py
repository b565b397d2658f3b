"""`tcdatalogger run`: endpoints now, whatever the schedule says."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, number, print_json, print_table, span
from tcdatalogger.errors import UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.pipeline import Outcome
    from tcdatalogger.services.torncity.base import Task

STEPS = ("fetch", "transform", "validate", "store")
STRICT = 65
QUIET_SECONDS = 2.0


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger run --all\n"
    "  tcdatalogger run faction_crimes --step transform\n"
    "  tcdatalogger run torn_items --set storage_mode=replace --dry-run",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every endpoint that is enabled.")
@click.option("--tag", metavar="TAG", help="Every enabled endpoint with this tag.")
@click.option(
    "--step",
    "until",
    type=click.Choice(STEPS),
    default="store",
    show_default=True,
    help="Stop after this step and show what it holds.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting for this run: warehouse.url=… or, of the endpoints, params.cat=….",
)
@click.option("--dry-run", "dry", is_flag=True, help="Fetch, and show what would be stored.")
@click.option("--strict", is_flag=True, help="Exit with 65 when a record was set aside.")
@json_option
@click.pass_obj
def command(
    options: Options,
    names: tuple[str, ...],
    everything: bool,
    tag: str | None,
    until: str,
    overrides: tuple[str, ...],
    dry: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Run endpoints now: fetch, archive, transform, validate, store.

    One endpoint that fails changes nothing for the others; the exit code is that of the first that
    failed.
    """
    said = sum((bool(names), everything, tag is not None))
    if said != 1:
        raise UsageError(
            "Say once which endpoints to run." if said else "Say which endpoints to run.",
            remedy="Give their names, or --all, or --tag TAG.",
        )
    settings = options.load(overrides, names=names or None)
    from tcdatalogger.core.main import Application  # pyarrow, duckdb, httpx2

    progress = _Progress()
    with Application(settings, on_page=progress.page) as application:
        chosen = application.chosen(names, everything=everything, tag=tag)
        application.mark_lost()
        outcomes = [application.run(endpoint, until=until, dry=dry) for endpoint in chosen]
        progress.done()
        tell(outcomes, as_json=as_json, until=until, dry=dry)
    code = next((o.record.exit_code for o in outcomes if o.record.exit_code), 0)
    if not code and strict and any(outcome.record.quarantined for outcome in outcomes):
        code = STRICT
    raise SystemExit(code)


def tell(
    outcomes: Sequence[Outcome],
    *,
    as_json: bool,
    until: str = "store",
    dry: bool = False,
) -> None:
    """Print what became of runs."""
    if as_json:
        facts = [outcome_facts(outcome) for outcome in outcomes]
        print_json(facts)
        return
    print_table(
        ("endpoint", "result", "rows", "set aside", "new", "calls", "time", "run"),
        [
            (
                o.record.endpoint,
                _result(o),
                sum(o.record.rows.values()),
                o.record.quarantined,
                o.record.drift,
                o.record.calls,
                span(sum(o.record.seconds.values())),
                o.record.run_id,
            )
            for o in outcomes
        ],
    )
    for outcome in outcomes:
        if outcome.error is not None:
            click.echo(f"{outcome.record.endpoint}: {outcome.error}", err=True)
        if until != "store" or dry:
            _show_step(outcome, dry=dry)


def _result(outcome: Outcome) -> str:
    record = outcome.record
    if record.status == "stopped":
        return f"stopped after {record.step}"
    if record.unchanged:
        return "unchanged"
    return record.status


def _show_step(outcome: Outcome, *, dry: bool) -> None:
    """What the last step holds."""
    made = outcome.made
    if made is None:
        if outcome.fetched is not None and outcome.error is None:
            _show_pages(outcome)
        return
    for name, table in made.tables.items():
        click.echo(f"\n{name}: {number(table.num_rows)} rows, {table.num_columns} columns")
        if table.num_rows and not dry:
            head = table.slice(0, 3)
            print_table(("column", *(f"row {n}" for n in range(head.num_rows))), _across(head))
    if dry:
        steps = [str(step) for step in outcome.plan]
        click.echo("\n" + ("\n".join(steps) if steps else "The tables need no change."))
        click.echo("Nothing was stored.")


def _across(table: Any) -> list[tuple[Any, ...]]:
    """Rows as columns: tables are wider than terminals."""
    columns = zip(table.column_names, table.columns, strict=True)
    return [(name, *(_short(value) for value in column.to_pylist())) for name, column in columns]


def _short(value: Any, most: int = 40) -> Any:
    if isinstance(value, str) and len(value) > most:
        return value[: most - 1] + "…"
    return value


def _show_pages(outcome: Outcome) -> None:
    pages = outcome.fetched.pages if outcome.fetched else ()
    print_table(
        ("page", "path", "bytes", "begins with"),
        [
            (
                number_,
                page.answer.request.path if page.answer else "",
                len(page.body),
                _short(page.body[:60].decode(errors="replace"), 60),
            )
            for number_, page in enumerate(pages)
        ],
    )
    click.echo(f"In the archive: {outcome.record.archive_file}")


def outcome_facts(outcome: Outcome) -> Mapping[str, Any]:
    """A run as JSON for programs."""
    record = outcome.record
    error = None
    if record.error:
        error = {
            "class": record.error_class,
            "message": record.error,
            "remedy": record.remedy,
            "exit_code": record.exit_code,
        }
    facts = {
        "run_id": record.run_id,
        "endpoint": record.endpoint,
        "status": record.status,
        "step": record.step,
        "seconds": record.seconds,
        "calls": record.calls,
        "pages": record.pages,
        "bytes": record.bytes,
        "rows": record.rows,
        "quarantined": record.quarantined,
        "drift": record.drift,
        "repeated": record.repeated,
        "unchanged": record.unchanged,
        "warnings": record.warnings,
        "load_id": record.load_id or None,
        "schema_version": record.schema_version or None,
        "schema_changes": record.steps or [str(step) for step in outcome.plan],
        "archive_file": record.archive_file or None,
        "error": error,
    }
    if outcome.receipt is not None and outcome.receipt.repeated:
        facts["already_stored"] = True
    return facts


class _Progress:
    """A line on a terminal for what takes longer than two seconds."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown = False

    def page(self, task: Task, page: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._began > QUIET_SECONDS:
            click.echo(f"\r\x1b[K{task.name}: page {page}", nl=False, err=True)
            self._shown = True

    def done(self) -> None:
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)
