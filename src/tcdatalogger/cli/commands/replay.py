"""`tcdatalogger replay` and `rebuild`: rows once more from the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import without_pandas
from tcdatalogger.cli import Options
from tcdatalogger.cli.lookup import stored_run
from tcdatalogger.cli.output import json_option, number, print_json, print_table, say

if TYPE_CHECKING:
    from tcdatalogger.core.operations.replay import Replayed


_with = click.option(
    "--with",
    "with_",
    multiple=True,
    metavar="RUN",
    help="Take also the rows of this run, which were refused or rolled back.",
)


@click.command(epilog="\b\nExample:\n  tcdatalogger replay 20261123T081500Z-5f3a9c1e --dry-run")
@click.argument("run_id", metavar="RUN")
@_with
@click.option("--dry-run", "dry", is_flag=True, help="Make the rows and store nothing.")
@json_option
@click.pass_obj
def command(
    options: Options, run_id: str, with_: tuple[str, ...], dry: bool, as_json: bool
) -> None:
    """Make the rows of one run again from its archived answers; they replace those it stored.

    Torn is not asked. If the run failed after its fetch, its rows are stored for the first time; if
    its rows were refused, this needs --with.

    RUN is its id or the beginning of it, the name of an endpoint for its newest run that stored
    something, or `last` for the newest of all such runs.
    """
    settings = options.load()
    without_pandas.begin(settings.endpoints)
    from tcdatalogger.core.main import Application  # pyarrow, duckdb
    from tcdatalogger.core.operations.replay import replay

    with Application(settings) as application:
        run_id = stored_run(application, run_id)
        taken = [stored_run(application, run) for run in with_]
        found = replay(application, run_id, taken=taken, dry=dry)
    _tell([found], as_json=as_json, dry=dry)


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger rebuild faction_crimes --dry-run\n"
    "  tcdatalogger rebuild faction_crimes --without 20261123T081500Z-5f3a9c1e",
)
@click.argument("name")
@click.option("--without", multiple=True, metavar="RUN", help="Leave the rows of this run out.")
@_with
@click.option("--dry-run", "dry", is_flag=True, help="Make the rows and store nothing.")
@json_option
@click.pass_obj
def rebuild_command(
    options: Options,
    name: str,
    without: tuple[str, ...],
    with_: tuple[str, ...],
    dry: bool,
    as_json: bool,
) -> None:
    """Make all rows of an endpoint again from the archive, in one step: all of them or none.

    Runs that were rolled back are left out, and so are those whose rows were refused (by max_drop,
    a check or a contract). --with takes such a run in; today's checks and contract hold for it too.
    """
    settings = options.load()
    without_pandas.begin(settings.endpoints)
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.operations.replay import rebuild

    with Application(settings) as application:
        application.chosen([name])  # a wrong name is reported first, with a similar one
        out = [stored_run(application, run, endpoint=name) for run in without]
        taken = [stored_run(application, run) for run in with_]
        found = rebuild(application, name, without=out, taken=taken, dry=dry)
    _tell(found, as_json=as_json, dry=dry)


def _tell(found: list[Replayed], *, as_json: bool, dry: bool) -> None:
    facts = [_facts(one) for one in found]
    if as_json:
        print_json(facts)
        return
    print_table(
        ("run", "rows", "set aside", "result"),
        [
            (one["run_id"], sum(one["rows"].values()), one["quarantined"], one["result"])
            for one in facts
        ],
    )
    rows = sum(sum(one["rows"].values()) for one in facts)
    what = "would be made; nothing was stored" if dry else "made"
    say(f"{number(rows)} rows {what}.")


def _facts(one: Replayed) -> dict[str, Any]:
    return {
        "run_id": one.run_id,
        "rows": one.rows,
        "quarantined": one.quarantined,
        "result": one.why or ("stored" if one.receipt else "not stored"),
    }
