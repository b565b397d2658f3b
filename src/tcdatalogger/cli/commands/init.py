"""`tcdatalogger init`: a configuration to begin with, and the next two steps."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from tcdatalogger import disk
from tcdatalogger.cli.output import json_option, print_json, program, say
from tcdatalogger.errors import ConfigError, UsageError

FILE = "tcdatalogger.toml"
KEY = "export TORN_API_KEY=YOUR_KEY"

CONFIGURATION = """\
# TCdatalogger's configuration. `tcdatalogger config schema` explains every setting.
# Folders and files are relative to this file.

[warehouse]
url = "duckdb:///data/torn.duckdb"

[archive]
path = "data/archive"             # every answer of Torn as it came

[keys]
# Where a key is, never the key itself: env:VARIABLE, file:PATH or keyring:SERVICE/USER.
# A key of level "Limited", of somebody with API access in the faction, can do all of this.
default = "env:TORN_API_KEY"

[limits]
share = 0.9                       # of 100 calls a minute; the rest is for your other tools

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


@click.command(
    epilog="\b\nExample:\n  tcdatalogger init my-faction\n  cd my-faction && tcdatalogger check"
)
@click.argument(
    "folder", default=".", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False)
)
@click.option("--force", is_flag=True, help="Overwrite a configuration that is there.")
@json_option
def command(folder: Path, force: bool, as_json: bool) -> None:
    """Write a configuration to begin with into DIR (this folder, where none is named)."""
    file = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(CONFIGURATION)
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
        print_json({"file": str(file), "next": steps})
        return
    say(f"Wrote {file}: five endpoints of your faction. Next:")
    for step in steps:
        say(f"  {step}")
