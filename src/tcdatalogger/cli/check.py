"""`tcdatalogger check`: whether everything that a run needs is there."""

from __future__ import annotations

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, print_json, print_table


@click.command(
    epilog="\b\nExample:\n  tcdatalogger check\n  tcdatalogger check --offline --json",
)
@click.option("--offline", is_flag=True, help="Do not ask Torn about the keys.")
@json_option
@click.pass_obj
def command(options: Options, offline: bool, as_json: bool) -> None:
    """Check the configuration, the keys, the folders and the tables, and change nothing.

    Asks Torn one question for each key. The exit code is that of the first thing that is wrong.
    """
    settings = options.load()
    from tcdatalogger.core.inspection import inspect  # pyarrow, duckdb, httpx2
    from tcdatalogger.core.main import Application

    with Application(settings) as application:
        findings = list(inspect(application, online=not offline))
    wrong = [finding.failure for finding in findings if finding.failure is not None]
    if as_json:
        print_json(
            {
                "ok": not wrong,
                "findings": [
                    {
                        "part": finding.part,
                        "ok": finding.failure is None,
                        "says": finding.says,
                        "problem": finding.failure and finding.failure.message,
                        "remedy": finding.failure and finding.failure.remedy,
                    }
                    for finding in findings
                ],
            }
        )
    else:
        print_table(
            ("", "part", "found"),
            [
                ("ok" if f.failure is None else "WRONG", f.part, str(f.failure or f.says))
                for f in findings
            ],
        )
        click.echo(
            "Everything is there: tcdatalogger run --all" if not wrong else f"{len(wrong)} to mend."
        )
    raise SystemExit(wrong[0].exit_code if wrong else 0)
