"""`tcdatalogger demo`: a living Torn City, logged into a warehouse, without key or network."""

from __future__ import annotations

import json
import os
import shutil
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import disk
from tcdatalogger.cli import Options
from tcdatalogger.cli.answers import as_table
from tcdatalogger.cli.output import (
    json_option,
    moment,
    number,
    print_json,
    print_table,
    program,
    say,
)
from tcdatalogger.clock import span
from tcdatalogger.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.run.run import RunResult
    from tcdatalogger.questions.answers import Answer
    from tcdatalogger.sandbox.api.server import Sandbox
    from tcdatalogger.services.warehouse.protocol import Warehouse

HOUR = 3_600
ASKED = ("oc-crews", "inactive-members", "status-changes")
"""The questions that are answered in the end."""
SHOWN = 5
"""Rows of each answer, at most."""

VARIABLE = "TCDATALOGGER_DEMO_KEY"
WAREHOUSE = "duckdb:///torn.duckdb"
"""Where the rows go, if nothing else is said: a file in the demo's folder."""

CONFIGURATION = """\
# What `tcdatalogger demo` ran with. The address is that of its sandbox, which has ended: to go on,
#   tcdatalogger sandbox --port 8080
# and put the address and one of the keys that it prints into this file and into {variable}.

[warehouse]
url = {warehouse}

[state]
url = "sqlite:///torn.state.sqlite"

[backup]
path = "backups"

[archive]
path = "archive"

[torn]
url = "{url}"

[keys]
default = "env:{variable}"

[[endpoints]]
name = "faction_crimes"
path = "/faction/crimes"
frequency = "PT15M"
since = "2025-12-01"

[[endpoints]]
name = "faction_members"
path = "/faction/members"
frequency = "PT15M"

[[endpoints]]
name = "faction_balance"
path = "/faction/balance"
frequency = "PT1H"

[[endpoints]]
name = "faction_basic"
path = "/faction/basic"
frequency = "P1D"

[[endpoints]]
name = "torn_items"
path = "/torn/items"
frequency = "P1D"
storage_mode = "replace"
"""


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger demo\n"
    "  tcdatalogger demo --ui\n"
    '  tcdatalogger --config demo/tcdatalogger.toml query "select * from faction_members limit 3"',
)
@click.option(
    "--to",
    "folder",
    default="demo",
    show_default=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the demo keeps its files.",
)
@click.option(
    "--polls", default=4, show_default=True, type=click.IntRange(1, 12), metavar="N",
    help="How often each endpoint is read.",
)  # fmt: skip
@click.option(
    "--warehouse", metavar="URL",
    help="Where the rows go, as bigquery://PROJECT/DATASET: one that is empty, or that this demo "
    "has filled. [duckdb:///torn.duckdb]",
)  # fmt: skip
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on where it was.")
@click.option("--ui", "shows", is_flag=True, help="Open the pages of what was logged at the end.")
@json_option
@click.pass_obj
def command(
    options: Options,
    folder: Path,
    polls: int,
    warehouse: str | None,
    fresh: bool,
    shows: bool,
    as_json: bool,
) -> None:
    """Log a living Torn City, into DuckDB or another warehouse: no key, no network for Torn.

    Starts a sandbox on this machine, reads five endpoints several times while its world goes on,
    and answers three questions from the tables. A second call goes on where the first one was.
    """
    from tcdatalogger.core.config import configuration  # pydantic
    from tcdatalogger.core.main import Application  # pyarrow, duckdb, httpx2
    from tcdatalogger.sandbox.api.server import Sandbox

    options.start_logs(level="error")
    url = _claim(folder, warehouse, fresh=fresh)
    began = time.monotonic()
    with Sandbox(seed=1, start=_start(folder)) as city:
        file = write_configuration(folder, url, city.url)
        settings = configuration.load(file, {})
        environ = {**os.environ, VARIABLE: city.keys["limited"]}
        with Application(settings, environ=environ) as application:
            if not settings.state.begun:
                _must_be_empty(application)
            application.mark_crashed()
            outcomes = list(_poll(application, city, polls, quiet=as_json))
            with application.warehouse(read_only=True) as filled:
                tables = _tables(filled)
                answers = _answers(application, filled)
    place = str(settings.warehouse.file or url)
    facts = _Facts(folder, place, outcomes, tables, answers, time.monotonic() - began)
    if as_json:
        print_json(_as_json(facts))
    else:
        _print(facts)
    if shows:
        _show(settings, environ)
    raise SystemExit(next((o.record.exit_code for o in outcomes if o.record.exit_code), 0))


def _show(settings: Settings, environ: Mapping[str, str]) -> None:
    """Serve the pages of the demo at any free port until a signal, and open them."""
    from tcdatalogger.cli.commands.ui import serve
    from tcdatalogger.core.main import Application
    from tcdatalogger.questions import question

    ui = settings.ui.model_copy(update={"listen": "127.0.0.1:0"})
    with Application(settings.model_copy(update={"ui": ui}), environ=environ) as application:
        serve(application, question.shipped(), opens=True)


@dataclass(frozen=True, slots=True)
class _Facts:
    folder: Path
    warehouse: str
    outcomes: Sequence[RunResult]
    tables: Sequence[tuple[str, int, int]]
    answers: Sequence[Answer]
    seconds: float


def _claim(folder: Path, warehouse: str | None, *, fresh: bool) -> str:
    """Make the folder, or see that it is a demo's; for a fresh one remove what a demo made there.

    Args:
        folder: of the demo.
        warehouse: the address that is asked for, None for that of the demo that is there.
        fresh: whether that one is forgotten.

    Returns:
        The address of the warehouse.

    Raises:
        UsageError: somebody's own configuration is there, which is not the demo's to overwrite, or
            a demo with another warehouse.
        ConfigError: the folder cannot be made or written to.
    """
    file = folder / "tcdatalogger.toml"
    before = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if file.exists() and not file.read_text(encoding="utf-8").startswith(CONFIGURATION[:40]):
            raise UsageError(
                f"{file} is not a demo's, so the demo leaves it alone.",
                remedy="Name another folder with --to.",
            )
        if fresh:
            shutil.rmtree(folder / "archive", ignore_errors=True)
            for made in (file, *folder.glob("torn.duckdb*"), *folder.glob("torn.state.sqlite*")):
                made.unlink(missing_ok=True)
        if file.exists():
            before = str(tomllib.loads(file.read_text(encoding="utf-8"))["warehouse"]["url"])
    except OSError as error:
        other = ConfigError(
            f"The folder {folder} cannot be used: {error.strerror}.",
            remedy="Name another one with --to.",
        )
        raise disk.failure(error, str(folder), other) from None
    if before and warehouse and before != warehouse:
        raise UsageError(
            f"The demo in {folder} goes on in {before}.",
            remedy="Name another folder with --to, or begin anew with --fresh.",
        )
    return warehouse or before or WAREHOUSE


def _must_be_empty(application: Application) -> None:
    """Refuse a warehouse with rows that are not this demo's.

    Raises:
        UsageError: it has tables.
    """
    with application.warehouse(read_only=True) as warehouse:
        found = warehouse.owners() if warehouse.exists() else ()
    if found:
        raise UsageError(
            f"{application.settings.warehouse.url} has tables that this demo has not made, as "
            f"{found[0].table}.",
            remedy="Name an empty warehouse with --warehouse.",
        )


def _start(folder: Path) -> float:
    """When the demo's world begins: some hours after what was last seen of it."""
    from tcdatalogger.core.state.store import State
    from tcdatalogger.sandbox.api.server import START

    file = folder / "torn.state.sqlite"
    if not file.exists():
        return START
    with State(file) as state:
        times = [run.server_time for run in state.runs(most=50) if run.server_time]
    return max(times, default=START - 2 * HOUR) + 2 * HOUR


def write_configuration(folder: Path, warehouse: str, url: str) -> Path:
    """Write the configuration of a demo.

    Args:
        folder: of the demo.
        warehouse: the address of the warehouse.
        url: the address of the city.
    """
    file = folder / "tcdatalogger.toml"
    text = CONFIGURATION.format(warehouse=json.dumps(warehouse), url=url, variable=VARIABLE)
    file.write_text(text, encoding="utf-8")
    return file


def _poll(
    application: Application, city: Sandbox, polls: int, *, quiet: bool
) -> Iterator[RunResult]:
    for poll in range(polls):
        if poll:
            city.advance(3 * HOUR)
        began, rows = time.monotonic(), 0
        for endpoint in application.chosen(everything=True):
            outcome = application.run(endpoint)
            rows += sum(outcome.record.rows.values())
            yield outcome
        if not quiet:
            say(
                f"poll {poll + 1} of {polls}   Torn's time {moment(city.now())}   "
                f"{number(rows)} rows in {span(time.monotonic() - began)}"
            )


def _tables(warehouse: Warehouse) -> list[tuple[str, int, int]]:
    """Each table with its columns and rows; the ledger's own are left out."""
    names = sorted(owner.table for owner in warehouse.owners())
    stored, counts = warehouse.stored(names), warehouse.counts(names)
    return [(name, len(stored[name]), counts[name]) for name in names]


def _answers(application: Application, warehouse: Warehouse) -> list[Answer]:
    """The answers to the questions that the demo asks."""
    from tcdatalogger.questions import answers, question
    from tcdatalogger.questions.relations import Relations

    known = question.shipped()
    relations = Relations(application.settings, application.catalog, application.clock.now())
    return [answers.ask(warehouse, relations, known[name]) for name in ASKED]


def _print(facts: _Facts) -> None:
    failed = [outcome for outcome in facts.outcomes if outcome.error is not None]
    for outcome in failed:
        say(f"{outcome.record.endpoint}: {outcome.error}", err=True)
    say()
    print_table(("table", "columns", "rows"), facts.tables)
    for answer in facts.answers:
        say(f"\n{answer.question.title}")
        if answer.rows is None or not answer.rows.num_rows:
            say("  (nobody yet)")
            continue
        print_table(*as_table(answer, SHOWN))
    calls = sum(outcome.record.calls for outcome in facts.outcomes)
    steps: dict[str, float] = {}
    for outcome in facts.outcomes:
        for step, seconds in outcome.record.seconds.items():
            steps[step] = steps.get(step, 0.0) + seconds
    spent = ", ".join(f"{step} {span(seconds)}" for step, seconds in steps.items())
    config = facts.folder / "tcdatalogger.toml"
    say(
        f"\n{len(facts.outcomes)} runs, {calls} calls, {span(facts.seconds)} in all ({spent}).\n"
        f"The tables:      {facts.warehouse}\n"
        f"Every answer:    {facts.folder / 'archive'}\n"
        f"The settings:    {config}\n"
        f"See it:          {program(config=False)} --config {config} ui --open\n"
        f"Ask it yourself: {program(config=False)} --config {config} ask\n"
        f"In SQL:          {program(config=False)} --config {config} "
        f'query "select * from faction_crimes limit 3"\n'
        f"Your faction:    {program()} init"
    )


def _as_json(facts: _Facts) -> dict[str, Any]:
    from tcdatalogger.models import tabular

    return {
        "warehouse": facts.warehouse,
        "runs": [outcome.record.run_id for outcome in facts.outcomes],
        "failed": [o.record.run_id for o in facts.outcomes if o.error is not None],
        "tables": {name: rows for name, _, rows in facts.tables},
        "answers": {
            each.question.title: tabular.records(each.rows.slice(0, SHOWN))
            for each in facts.answers
            if each.rows is not None
        },
        "seconds": round(facts.seconds, 2),
    }
