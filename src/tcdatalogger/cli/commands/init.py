"""`tcdatalogger init`: a configuration to begin with, and the next two steps."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.commands.init_files import (
    FILE,
    called,
    cost,
    counts,
    five,
    key_needed,
    key_steps,
    of_preset,
    preset,
    write,
)
from tcdatalogger.cli.output import json_option, print_json, say
from tcdatalogger.errors import UsageError


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger init\n"
    "  tcdatalogger init --for faction --for trader my-city\n"
    "  tcdatalogger --config /etc/tcdatalogger/tcdatalogger.toml init"
)
@click.argument(
    "folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False)
)
@click.option(
    "--for",
    "kinds",
    multiple=True,
    type=click.Choice(["faction", "player", "company", "trader"]),
    help="Log all that the questions of `ask` need; can be given several times.",
)
@click.option("--api", metavar="URL", help="Of Torn's API, or of a sandbox. [Torn's]")
@click.option("--no-input", is_flag=True, help="Ask nothing, on a terminal too.")
@click.option("--force", is_flag=True, help="Overwrite a configuration that is there.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    folder: Path | None,
    kinds: tuple[str, ...],
    api: str | None,
    no_input: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write a configuration to begin with into DIR (this folder, where none is named).

    On a terminal it asks whose data you log, for the key, and where; then it runs once. `--config
    FILE` writes that file.
    """
    options: Options = context.obj
    file = _file(options, folder)
    if not (no_input or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        from tcdatalogger.cli.commands.init_dialog import ask

        ask(context, file, kinds=kinds, api=api or "", force=force)
        return
    file = file or Path(FILE)
    chosen = preset(kinds, file.parent) if kinds else None
    text = five(api or "") if chosen is None else of_preset(kinds, chosen, api=api or "")
    write(file, text, force=force)
    call = called(file)
    given = key_steps(os.environ)
    steps = [*given, f"{call} check", f"{call} run --all"]
    if as_json:
        facts = (
            {}
            if chosen is None
            else {"questions": chosen.questions, "calls": chosen.calls, "link": chosen.link}
        )
        print_json({"file": str(file), "next": steps, **facts})
        return
    if chosen is None:
        say(f"Wrote {file}: five endpoints of your faction. Next:")
    else:
        say(f"Wrote {file}: {counts(chosen)}.\n{cost(chosen)}\n{key_needed(chosen)}")
        if given and not api:
            say(f"This link makes one that may read just that:\n  {chosen.link}")
        say("Next:")
    for step in steps:
        say(f"  {step}")
    if chosen is None:
        say(
            "\n`tcdatalogger init --for faction` (or player, company, trader) logs all that the "
            "questions of `tcdatalogger ask` need."
        )


def _file(options: Options, folder: Path | None) -> Path | None:
    """The configuration to write; None where nothing says where.

    Raises:
        UsageError: two things say where.
    """
    if options.config is not None and folder is not None:
        raise UsageError(
            "Both DIR and --config say where the configuration is to be.",
            remedy="Give one of them.",
        )
    if folder is not None:
        return folder / FILE
    named = options.config or os.environ.get("TCDATALOGGER_CONFIG")
    return Path(named) if named else None
