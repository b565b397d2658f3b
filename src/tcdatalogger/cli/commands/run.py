"""`tcdatalogger run`: endpoints now, whatever the schedule says."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import without_pandas
from tcdatalogger.cli import Options
from tcdatalogger.cli.lookup import find_run
from tcdatalogger.cli.output import (
    about,
    counted,
    json_option,
    number,
    once,
    print_json,
    print_table,
    program,
    say,
)
from tcdatalogger.cli.progress import ProgressLines
from tcdatalogger.clock import span
from tcdatalogger.core.run.steps import STEPS
from tcdatalogger.core.views.runs import result
from tcdatalogger.core.views.state import existing_state
from tcdatalogger.errors import Busy, DataRefused, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import EndpointSettings
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.run.run import RunResult
    from tcdatalogger.core.state.store import RunRecord


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger run --all\n"
    "  tcdatalogger run faction_crimes --step transform\n"
    "  tcdatalogger run faction_crimes --run 20261123T081500Z-5f3a9c1e\n"
    "  tcdatalogger run torn_items --set storage_mode=replace --dry-run\n"
    "  tcdatalogger run --all --if-due    # in a line of cron",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every endpoint that is enabled.")
@click.option("--tag", metavar="TAG", help="Every enabled endpoint with this tag.")
@click.option(
    "--step",
    "until",
    type=click.Choice(STEPS),
    help="Stop after this step and show what it holds.",
)
@click.option(
    "--run",
    "going_on",
    metavar="RUN",
    help="Go on with a run that has stopped, without asking Torn again; with --step by one step. "
    "RUN is its id or the beginning of it, or `last`: the last one of NAME, if you give a name.",
)
@click.option("--dry-run", "dry", is_flag=True, help="Fetch, and show what would be stored.")
@click.option(
    "--run-id",
    "run_id",
    metavar="ID",
    default="",
    help="The id for the run of one endpoint. If a run of this id is stored, nothing is done.",
)
@click.option(
    "--if-due",
    "if_due",
    is_flag=True,
    help="Run only the endpoints that are due by their frequency; it is no error if none is.",
)
@click.option(
    "--accept-subject",
    is_flag=True,
    help="Accept rows of another faction, player or company than those of the last run.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with 65 when a record was set aside, or an answer had no data.",
)
@json_option
@click.pass_obj
def command(
    options: Options,
    names: tuple[str, ...],
    everything: bool,
    tag: str | None,
    until: str | None,
    going_on: str | None,
    dry: bool,
    run_id: str,
    if_due: bool,
    accept_subject: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Run endpoints now: fetch, archive, transform, validate, store.

    An endpoint that fails does not stop the others; the exit code is that of the first one that
    failed. An endpoint that another process runs is busy: then it is 75, unless another one failed.
    """
    said = sum((bool(names), everything, tag is not None))
    if said > 1 or (not said and going_on is None):
        raise UsageError(
            "Say in one way which endpoints to run." if said else "Say which endpoints to run.",
            remedy="Give their names, or --all, or --tag TAG.",
        )
    if if_due and (until or dry or run_id or going_on is not None or accept_subject):
        raise UsageError(
            "--if-due runs endpoints from the first step to the last.",
            remedy="Leave --if-due out, or --step, --run, --run-id, --accept-subject and "
            "--dry-run.",
        )
    if not said and going_on is not None:
        names = (_whose(options, going_on),)
    settings = options.load(names=names or None)
    without_pandas.begin(settings.endpoints)
    from tcdatalogger.core.main import Application  # pyarrow, duckdb, httpx2
    from tcdatalogger.core.run import already_stored

    run_id = run_id and already_stored.run_id(run_id)

    progress = ProgressLines(quiet=as_json and not sys.stderr.isatty())
    with Application(settings, tell=progress.tell) as application:
        chosen = application.chosen(names, everything=everything, tag=tag)
        if going_on is not None and (run_id or len(chosen) > 1):
            raise UsageError(
                "Only one run can go on at a time.",
                remedy="Name its endpoint alone, without --all, --tag and --run-id.",
            )
        if run_id and len(chosen) > 1:
            raise UsageError("An id names the run of one endpoint.", remedy="Name just one.")
        application.look()
        with progress:
            if if_due:
                from tcdatalogger.scheduler.run_due import run_due

                outcomes = run_due(application, chosen)
            elif going_on is not None:
                outcomes = [_go_on(application, chosen, going_on, until, dry=dry)]
            else:
                outcomes = [
                    application.run(
                        endpoint,
                        run_id=run_id,
                        until=until or "store",
                        dry=dry,
                        accept_subject=accept_subject,
                    )
                    for endpoint in chosen
                ]
        tell(outcomes, as_json=as_json, until=until or "store", dry=dry)
    codes = [outcome.record.exit_code for outcome in outcomes if outcome.record.exit_code]
    code = next((each for each in codes if each != Busy.exit_code), codes[0] if codes else 0)
    if not code and strict and any(o.record.quarantined or o.record.absent for o in outcomes):
        code = DataRefused.exit_code
    raise SystemExit(code)


def _go_on(
    application: Application,
    chosen: list[EndpointSettings],
    run: str,
    step: str | None,
    *,
    dry: bool,
) -> RunResult:
    """Go on with the run of a name."""
    from tcdatalogger.core.operations.resume import resume  # not for runs that begin

    state, settings = application.state, application.settings
    record = find_run(state, settings, run, endpoint=chosen[0].name)
    return resume(application, chosen[0], record.run_id, step=step, dry=dry)


def _whose(options: Options, run: str) -> str:
    """The endpoint of the run that is to go on, where the command line names none."""
    settings = options.load()
    with existing_state(settings) as state:
        return find_run(state, settings, run).endpoint


def tell(
    outcomes: Sequence[RunResult],
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
    if not outcomes:
        say("Nothing is due.")
        return
    print_table(
        ("endpoint", "result", "rows", "set aside", "new", "calls", "time", "run"),
        [
            (
                o.record.endpoint,
                result(o.record),
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
        for earlier in outcome.settled:
            say(_settled(earlier))
        if outcome.receipt is not None and outcome.receipt.repeated:
            record = outcome.record
            say(f"{record.endpoint}: the run {record.run_id} was stored before.")
    errors = [(o.record.endpoint, str(o.error)) for o in outcomes if o.error is not None]
    for names, error in once(errors):
        say(about(names, error), err=True)
    waiting = [
        outcome.record.endpoint for outcome in outcomes if outcome.record.status == "pending"
    ]
    if waiting:
        say(
            f"The answers of {', '.join(waiting)} are in the archive: the next run of the endpoint "
            "stores them.",
            err=True,
        )
    for outcome in outcomes:
        if until != "store" or dry:
            _show_step(outcome, dry=dry)


def _settled(run: RunRecord) -> str:
    """What became of an earlier run whose answers waited in the archive."""
    begins = f"{run.endpoint}: the earlier run {run.run_id}, whose answers waited in the archive,"
    match run.status:
        case "done":
            return f"{begins} is stored now: {counted(sum(run.rows.values()), 'row')}."
        case "failed":
            return f"{begins} cannot be stored: {run.error}"
        case _:
            return f"{begins} is not stored: {run.note}"


def _show_step(outcome: RunResult, *, dry: bool) -> None:
    """Print what the last step made."""
    made = outcome.made
    if made is None or outcome.record.status != "paused":
        if outcome.fetched is not None and outcome.error is None and made is None:
            _show_pages(outcome)
        return
    for name, table in made.tables.items():
        say(f"\n{name}: {number(table.num_rows)} rows, {table.num_columns} columns")
        if table.num_rows and not dry:
            head = table.slice(0, 3)
            print_table(("column", *(f"row {n}" for n in range(head.num_rows))), _across(head))
    if outcome.record.artifact:
        say(f"\nIn {outcome.record.artifact}")
        _show_way(outcome)
    if dry:
        steps = [str(step) for step in outcome.plan]
        say("\n" + ("\n".join(steps) if steps else "The tables need no change."))
        say("Nothing was stored.")


def _across(table: Any) -> list[tuple[Any, ...]]:
    """Rows as columns: tables are wider than terminals."""
    columns = zip(table.column_names, table.columns, strict=True)
    return [(name, *(_short(value) for value in column.to_pylist())) for name, column in columns]


def _short(value: Any, most: int = 40) -> Any:
    if isinstance(value, str) and len(value) > most:
        return value[: most - 1] + "…"
    return value


def _show_pages(outcome: RunResult) -> None:
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
    say(f"In the archive: {outcome.record.archive_file}")
    _show_way(outcome)


def _show_way(outcome: RunResult) -> None:
    """Print the command that goes on with a run that stopped."""
    record = outcome.record
    say(f"It goes on with: {program()} run {record.endpoint} --run {record.run_id}")


def outcome_facts(outcome: RunResult) -> Mapping[str, Any]:
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
        "absent": record.absent,
        "unchanged": record.unchanged,
        "warnings": record.warnings,
        "failed_checks": record.failed_checks,
        "load_id": record.load_id or None,
        "schema_version": record.schema_version or None,
        "schema_changes": record.steps or [str(step) for step in outcome.plan],
        "archive_file": record.archive_file or None,
        "artifact": record.artifact or None,
        "waited": record.waited,
        "cursor": record.cursor or None,
        "error": error,
    }
    if outcome.receipt is not None and outcome.receipt.repeated:
        facts["already_stored"] = True
    return facts
