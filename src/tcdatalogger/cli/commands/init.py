"""`tcdatalogger init`: a configuration to begin with, and the next two steps."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tcdatalogger import disk
from tcdatalogger.cli.output import counted, json_option, number, print_json, program, say
from tcdatalogger.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tcdatalogger.questions.presets import Preset

FILE = "tcdatalogger.toml"
KEY = "export TORN_API_KEY=YOUR_KEY"
COLUMNS = 96
"""Letters of a line of a comment."""

HEAD = """\
# TCdatalogger's configuration. `tcdatalogger config schema` explains every setting.
# Folders and files are relative to this file.

[warehouse]
url = "duckdb:///data/torn.duckdb"

[archive]
path = "data/archive"             # every answer of Torn as it came

[keys]
# Where a key is, never the key itself: env:VARIABLE, file:PATH or keyring:SERVICE/USER.
{key}default = "env:TORN_API_KEY"

[limits]
share = 0.9                       # of 100 calls a minute; the rest is for your other tools
"""

FIVE = """
# Five endpoints of your faction. `tcdatalogger catalog` lists all the others.

[[endpoints]]
name = "faction_basic"            # names its runs and its table
path = "/faction/basic"
frequency = "P1D"                 # ISO 8601: PT15M is 15 minutes, P1D a day

[[endpoints]]
name = "faction_members"          # append: each run adds a picture of the moment
path = "/faction/members"
frequency = "PT1H"

[[endpoints]]
name = "faction_crimes"
path = "/faction/crimes"
frequency = "PT15M"
storage_mode = "replace"          # the tables hold what the latest run saw
params = { cat = "all" }

[[endpoints]]
name = "faction_balance"          # money and points of the faction and of each member
path = "/faction/balance"
frequency = "PT1H"

[[endpoints]]
name = "torn_items"
path = "/torn/items"
frequency = "P1D"
storage_mode = "replace"
"""


OF_FIVE = """\
# A key of level "Limited", of somebody with API access in the faction, can do all of this.
"""


@click.command(
    epilog="\b\nExample:\n"
    "  tcdatalogger init my-faction\n"
    "  cd my-faction && tcdatalogger check\n"
    "  tcdatalogger init --for faction --for trader my-city"
)
@click.argument(
    "folder", default=".", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False)
)
@click.option(
    "--for",
    "kinds",
    multiple=True,
    type=click.Choice(["faction", "player", "company", "trader"]),
    help="Log all that the questions of `ask` need; can be given several times.",
)
@click.option("--force", is_flag=True, help="Overwrite a configuration that is there.")
@json_option
def command(folder: Path, kinds: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Write a configuration to begin with into DIR (this folder, where none is named)."""
    file = folder / FILE
    chosen = _preset(kinds, folder) if kinds else None
    text = HEAD.format(key=OF_FIVE) + FIVE if chosen is None else _of_preset(kinds, chosen)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
        file.chmod(0o644)  # no secret is in it, and another user may run what this one sets up
    except FileExistsError:
        raise UsageError(
            f"{file} is there already.", remedy="--force overwrites it; or name another folder."
        ) from None
    except OSError as error:
        other = ConfigError(
            f"{file} cannot be written: {error.strerror}.", remedy="Name another folder."
        )
        raise disk.failure(error, str(file), other) from None
    call = program(config=False)
    if folder != Path():  # no `cd`: the program may be called by a path from here
        call += f" --config {shlex.quote(str(file))}"
    steps = [KEY, f"{call} check", f"{call} run --all"]
    if as_json:
        facts = {} if chosen is None else {"questions": chosen.questions, "calls": chosen.calls}
        print_json({"file": str(file), "next": steps, **facts})
        return
    if chosen is None:
        say(f"Wrote {file}: five endpoints of your faction. Next:")
    else:
        say(f"Wrote {file}: {_counts(chosen)}.\n{_cost(chosen)}\n{_key(chosen)} Next:")
    for step in steps:
        say(f"  {step}")
    if chosen is None:
        say(
            "\n`tcdatalogger init --for faction` (or player, company, trader) logs all that the "
            "questions of `tcdatalogger ask` need."
        )


def _preset(kinds: Sequence[str], folder: Path) -> Preset:
    from tcdatalogger.questions import presets, question
    from tcdatalogger.services.torncity.catalog import catalog

    chosen = presets.preset(kinds, question.known(folder / "questions"), catalog.load())
    if not chosen.endpoints:
        raise UsageError(f"There is no question for {' and '.join(kinds)}.")
    return chosen


def _of_preset(kinds: Sequence[str], chosen: Preset) -> str:
    """The configuration of a preset; of each endpoint it says what it is for."""
    key = f"{_key(chosen)}\nA link that makes such a key, which may read this and no more:"
    lines = [*_comment(key), f"# {chosen.link}"]
    parts = [HEAD.format(key="\n".join([*lines, ""]))]
    parts.append("\n".join(_comment(f"For {' and '.join(kinds)}: {_counts(chosen)}.")))
    parts.append("\n".join([*_comment(_cost(chosen)), ""]))
    parts += [
        "\n".join([*_comment(f"for {', '.join(each.questions)}"), each.toml, ""])
        for each in chosen.endpoints
    ]
    return "\n".join(parts)


def _comment(text: str) -> list[str]:
    lines = (textwrap.wrap(line, COLUMNS, break_on_hyphens=False) for line in text.splitlines())
    return [f"# {part}" for parts in lines for part in parts]


def _counts(chosen: Preset) -> str:
    return (
        f"{counted(len(chosen.endpoints), 'endpoint')} "
        f"for {counted(len(chosen.questions), 'question')}"
    )


def _cost(chosen: Preset) -> str:
    """What it costs of the calls that Torn allows."""
    from tcdatalogger.questions.presets import MOST_CALLS

    says = f"They take about {number(chosen.calls)} of the {number(MOST_CALLS)} calls a day that "
    says += "Torn allows you"
    if more := [each.name for each in chosen.endpoints if each.of_query]:
        says += f", and {' and '.join(more)} one for each id"
    return f"{says}; the first run takes more, as it goes back some weeks."


def _key(chosen: Preset) -> str:
    says = f'A key of level "{chosen.access.capitalize()}"'
    who = ", of somebody with API access in the faction," if chosen.faction_access else ""
    return f"{says}{who} can do all of this."
