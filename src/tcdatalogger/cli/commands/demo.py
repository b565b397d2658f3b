"""`tcdatalogger demo`: a living Torn City, logged into DuckDB, without key or network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import disk, questions
from tcdatalogger.cli import Options
from tcdatalogger.cli.output import (
    json_option,
    moment,
    number,
    print_json,
    print_table,
    program,
    say,
    span,
)
from tcdatalogger.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.run.run import RunResult
    from tcdatalogger.sandbox.api.server import Sandbox
    from tcdatalogger.services.warehouse.protocol import Warehouse

HOUR = 3_600
ASKED = ("crews", "inactive_members", "status_changes")
"""The questions that are answered in the end."""
SHOWN = 5
"""Rows of each answer, at most."""
SPEED = 1_800
"""The demo's world runs half an hour in a second, and is moved on between the polls."""

VARIABLE = "TCDATALOGGER_DEMO_KEY"

CONFIGURATION = """\
# What `tcdatalogger demo` ran with. The address is that of its sandbox, which has ended: to go on,
#   tcdatalogger sandbox --port 8080
# and put the address and one of the keys that it prints into this file and into {variable}.

[warehouse]
url = "duckdb:///torn.duckdb"

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
since = "P1Y"

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
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on where it was.")
@json_option
@click.pass_obj
def command(
    options: Options,
    folder: Path,
    polls: int,
    fresh: bool,
    as_json: bool,
) -> None:
    """Log a living Torn City into DuckDB: no key, no network.

    Starts a sandbox on this machine, reads five endpoints several times while its world goes on,
    and answers three questions from the tables. A second call goes on where the first one was.
    """
    from tcdatalogger.core.config import configuration  # pydantic
    from tcdatalogger.core.main import Application  # pyarrow, duckdb, httpx2
    from tcdatalogger.sandbox.api.server import Sandbox

    options.start_logs(level="error")
    _claim(folder, fresh=fresh)
    began = time.monotonic()
    with Sandbox(seed=1, start=_start(folder), speed=SPEED) as city:
        file = _write_configuration(folder, city.url)
        settings = configuration.load(file, {})
        environ = {VARIABLE: city.keys["limited"]}
        with Application(settings, environ=environ) as application:
            application.mark_crashed()
            outcomes = list(_poll(application, city, polls, quiet=as_json))
            with application.warehouse(read_only=True) as warehouse:
                tables = _tables(warehouse)
                answers = _answers(warehouse)
        stats = city.stats()
    facts = _Facts(folder, outcomes, tables, answers, time.monotonic() - began, stats)
    if as_json:
        print_json(_as_json(facts))
    else:
        _print(facts)
    raise SystemExit(next((o.record.exit_code for o in outcomes if o.record.exit_code), 0))


@dataclass(frozen=True, slots=True)
class _Facts:
    folder: Path
    outcomes: Sequence[RunResult]
    tables: Sequence[tuple[str, int, int]]
    answers: Sequence[tuple[str, list[dict[str, Any]]]]
    seconds: float
    stats: dict[str, Any]


def _claim(folder: Path, *, fresh: bool) -> None:
    """Make the folder, or see that it is a demo's; for a fresh one remove what a demo made there.

    Raises:
        UsageError: somebody's own configuration is there, which is not the demo's to overwrite.
        ConfigError: the folder cannot be made or written to.
    """
    file = folder / "tcdatalogger.toml"
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
    except OSError as error:
        other = ConfigError(
            f"The folder {folder} cannot be used: {error.strerror}.",
            remedy="Name another one with --to.",
        )
        raise disk.failure(error, str(folder), other) from None


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


def _write_configuration(folder: Path, url: str) -> Path:
    file = folder / "tcdatalogger.toml"
    file.write_text(CONFIGURATION.format(url=url, variable=VARIABLE), encoding="utf-8")
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


def _answers(warehouse: Warehouse) -> list[tuple[str, list[dict[str, Any]]]]:
    """Each question that is asked, with the first rows of its answer."""
    known = questions.read()
    asked = [known[name] for name in ASKED]
    return [(q.asks, warehouse.query(q.sql).slice(0, SHOWN).to_pylist()) for q in asked]


def _print(facts: _Facts) -> None:
    failed = [outcome for outcome in facts.outcomes if outcome.error is not None]
    for outcome in failed:
        say(f"{outcome.record.endpoint}: {outcome.error}", err=True)
    say()
    print_table(("table", "columns", "rows"), facts.tables)
    for asks, rows in facts.answers:
        say(f"\n{asks}")
        if not rows:
            say("  (nobody yet)")
            continue
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    calls = sum(outcome.record.calls for outcome in facts.outcomes)
    steps: dict[str, float] = {}
    for outcome in facts.outcomes:
        for step, seconds in outcome.record.seconds.items():
            steps[step] = steps.get(step, 0.0) + seconds
    spent = ", ".join(f"{step} {span(seconds)}" for step, seconds in steps.items())
    config = facts.folder / "tcdatalogger.toml"
    say(
        f"\n{len(facts.outcomes)} runs, {calls} calls, {span(facts.seconds)} in all ({spent}).\n"
        f"The tables:      {facts.folder / 'torn.duckdb'}\n"
        f"Every answer:    {facts.folder / 'archive'}\n"
        f"The settings:    {config}\n"
        f"Ask it yourself: {program(config=False)} --config {config} "
        f'query "select * from faction_crimes limit 3"\n'
        f"Your own faction: {program()} init"
    )


def _as_json(facts: _Facts) -> dict[str, Any]:
    return {
        "warehouse": str(facts.folder / "torn.duckdb"),
        "runs": [outcome.record.run_id for outcome in facts.outcomes],
        "failed": [o.record.run_id for o in facts.outcomes if o.error is not None],
        "tables": {name: rows for name, _, rows in facts.tables},
        "answers": dict(facts.answers),
        "seconds": round(facts.seconds, 2),
    }
