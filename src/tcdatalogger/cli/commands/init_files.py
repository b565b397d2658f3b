"""The files that `tcdatalogger init` writes: a configuration to begin with, and its schema."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tcdatalogger import disk
from tcdatalogger.cli.output import counted, number, program
from tcdatalogger.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from tcdatalogger.questions.presets import Preset

FILE = "tcdatalogger.toml"
KEY = "export TORN_API_KEY=YOUR_KEY"
ENVIRONMENT = "env:TORN_API_KEY"
"""Where the key is, where no file has it."""
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
{about}default = {key}

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


def key_steps(environ: Mapping[str, str]) -> list[str]:
    """The line that gives the program its key.

    There is none where the variable is set: pasted, the line would write over a good key.
    """
    return [] if environ.get(ENVIRONMENT.removeprefix("env:")) else [KEY]


def called(file: Path) -> str:
    """How the program is called from here for a configuration."""
    call = program(config=False)
    return call if file == Path(FILE) else f"{call} --config {shlex.quote(str(file))}"


def write(file: Path, text: str, *, force: bool) -> None:
    """Write a configuration, and the schema for editors beside it.

    Raises:
        UsageError: the configuration is there already, and it is not forced.
        ConfigError: it cannot be written.
        DiskFull: there is no space for it.
    """
    from tcdatalogger.core.config import editor_schema
    from tcdatalogger.services.torncity.catalog import catalog

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
        file.chmod(0o644)  # no secret is in it, and another user may run what this one sets up
        editor_schema.write(file.parent, catalog.load())
    except FileExistsError:
        raise exists(file) from None
    except OSError as error:
        other = ConfigError(
            f"{file} cannot be written: {error.strerror}.", remedy="Name another folder."
        )
        raise disk.failure(error, str(file), other) from None


def exists(file: Path) -> UsageError:
    """The error for a configuration that is there already."""
    return UsageError(
        f"{file} is there already.", remedy="--force overwrites it; or name another folder."
    )


def five(api: str = "", key: str = ENVIRONMENT) -> str:
    """The configuration of five endpoints of a faction; arguments as of `of_preset`."""
    return _head(OF_FIVE, api, key) + FIVE


def _head(about: str, api: str, key: str) -> str:
    """The sections of a configuration before its endpoints."""
    from tcdatalogger.core.config.editor_schema import LINE

    torn = f"\n[torn]\nurl = {json.dumps(api)}\n" if api else ""
    return f"{LINE}\n{HEAD.format(about=about, key=json.dumps(key))}{torn}"


def preset(kinds: Sequence[str], folder: Path) -> Preset:
    """What some kinds of users log, for the questions of `ask` and those in a folder.

    Raises:
        UsageError: there is no question for them.
    """
    from tcdatalogger.questions import presets, question
    from tcdatalogger.services.torncity.catalog import catalog

    chosen = presets.preset(kinds, question.known(folder / "questions"), catalog.load())
    if not chosen.endpoints:
        raise UsageError(f"There is no question for {' and '.join(kinds)}.")
    return chosen


def of_preset(
    kinds: Sequence[str],
    chosen: Preset,
    *,
    api: str = "",
    key: str = ENVIRONMENT,
    refused: Collection[str] = (),
) -> str:
    """The configuration of a preset; of each endpoint it says what it is for.

    Args:
        kinds: of users.
        chosen: what they log.
        api: the address of a sandbox; "" for Torn's.
        key: where the key is.
        refused: the names of endpoints that the key may not read; they are written disabled.
    """
    about = f"{key_needed(chosen)}\nA link that makes such a key, which may read this and no more:"
    lines = [*_comment(about), f"# {chosen.link}"]
    parts = [_head("\n".join([*lines, ""]), api, key)]
    parts.append("\n".join(_comment(f"For {' and '.join(kinds)}: {counts(chosen)}.")))
    parts.append("\n".join([*_comment(cost(chosen)), ""]))
    for each in chosen.endpoints:
        disabled = ["enabled = false  # the key may not read it"] if each.name in refused else []
        lines = [*_comment(f"for {', '.join(each.questions)}"), each.toml, *disabled, ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _comment(text: str) -> list[str]:
    lines = (textwrap.wrap(line, COLUMNS, break_on_hyphens=False) for line in text.splitlines())
    return [f"# {part}" for parts in lines for part in parts]


def counts(chosen: Preset) -> str:
    """How much is logged, and for how many questions."""
    return (
        f"{counted(len(chosen.endpoints), 'endpoint')} "
        f"for {counted(len(chosen.questions), 'question')}"
    )


def cost(chosen: Preset) -> str:
    """What it costs of the calls that Torn allows."""
    from tcdatalogger.questions.presets import MOST_CALLS

    says = f"They take about {number(chosen.calls)} of the {number(MOST_CALLS)} calls a day that "
    says += "Torn allows you"
    if more := [each.name for each in chosen.endpoints if each.of_query]:
        says += f", and {' and '.join(more)} one for each id"
    return f"{says}; the first run takes more, as it goes back some weeks."


def key_needed(chosen: Preset) -> str:
    """Which key can do all of it."""
    says = f'A key of level "{chosen.access.capitalize()}"'
    who = ", of somebody with API access in the faction," if chosen.faction_access else ""
    return f"{says}{who} can do all of this."
