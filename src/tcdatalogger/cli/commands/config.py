"""`tcdatalogger config`: the configuration in force, the schema of its file, and importing one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tcdatalogger import disk, private
from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, print_json, print_table, program, say
from tcdatalogger.errors import ConfigError, Failure, UsageError

if TYPE_CHECKING:
    from tcdatalogger.core.config.first_tool import Imported

FILE = "tcdatalogger.toml"
KEY_FILES = "keys"
"""The folder beside the configuration for files with one key each."""


@click.group(
    name="config",
    epilog="\b\nExample:\n  tcdatalogger config show\n  tcdatalogger config schema > schema.json\n"
    "  tcdatalogger config import ../TCdatalogger/config",
)
def command() -> None:
    """Show the configuration or its schema, or make one of the files of the first tool."""


@command.command(
    "schema", epilog="\b\nExample:\n  tcdatalogger config schema > tcdatalogger.schema.json"
)
@click.option("--json", "_as_json", is_flag=True, expose_value=False, hidden=True)
@click.pass_obj
def schema(options: Options) -> None:
    """Print the JSON Schema of the configuration file, with what each setting means.

    It lists the paths, parameters and values of the catalogue in use, for an editor to complete:
    a first line `#:schema ./tcdatalogger.schema.json` names its file.
    """
    from tcdatalogger.core.config.editor_schema import editor_schema  # pydantic
    from tcdatalogger.services.torncity.catalog import catalog

    try:
        used = options.settings().torn.catalog
    except Failure:  # without a configuration, or while one is being written
        used = None
    print_json(editor_schema(catalog.load(used if used is not None and used.exists() else None)))


@command.command(
    "show",
    epilog="\b\nExample:\n  tcdatalogger config show --set limits.share=0.5 --json",
)
@json_option
@click.pass_obj
def show(options: Options, as_json: bool) -> None:
    """Show the settings in force: of the file, the environment and --set, or the default.

    With --json also those that are not set. Keys are shown as references; where they lead is
    never read.
    """
    settings = options.load(processors=True, upgrades=False).model_dump(mode="json")
    if as_json:
        print_json(settings)
        return
    print_table(("setting", "value"), _flat(settings, ""))


@command.command(
    "import",
    epilog="\b\nExample:\n"
    "  tcdatalogger config import ../TCdatalogger/config\n"
    "  tcdatalogger config import ../TCdatalogger/config --to faction --key-files\n"
    "  tcdatalogger config import config --warehouse bigquery://my-project/torn?location=EU",
)
@click.argument("source", metavar="FROM", type=click.Path(path_type=Path))
@click.option(
    "--to",
    metavar="DIR",
    default=".",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the new configuration; this one by default.",
)
@click.option(
    "--warehouse",
    metavar="URL",
    help="Where new rows go. [duckdb:///data/torn.duckdb]",
)
@click.option(
    "--key-files",
    "in_files",
    is_flag=True,
    help="Write each key into a file that only you can read; without it, the environment has them.",
)
@click.option("--force", is_flag=True, help="Overwrite a configuration that is there.")
@json_option
def import_(
    source: Path, to: Path, warehouse: str | None, in_files: bool, force: bool, as_json: bool
) -> None:
    """Make a configuration of the files of the first tool (github.com/shepner/TCdatalogger).

    FROM is its folder with TC_API_config.json and TC_API_key.json, or the first of these files. A
    key never gets into the configuration. What cannot be carried over is listed, and stands in the
    new file too.
    """
    from tcdatalogger.core.config import first_tool  # pydantic
    from tcdatalogger.core.config.settings import WAREHOUSE_URL

    file = source if source.is_file() else source / first_tool.CONFIG
    keys = first_tool.read(file.with_name(first_tool.KEYS), needed=False)
    credentials = file.with_name("credentials.json").resolve()
    found = first_tool.convert(
        first_tool.read(file, needed=True),
        keys,
        first_tool.read(file.with_name(first_tool.APP), needed=False),
        warehouse=warehouse or WAREHOUSE_URL,
        key_files=KEY_FILES if in_files else "",
        credentials=str(credentials) if credentials.exists() else "",
    )
    target = to / FILE
    try:
        _write(target, found.toml, force=force)
        if in_files:
            _write_keys(to / KEY_FILES, found, keys or {})
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} is there already.",
            remedy="--force overwrites a configuration; or name another folder with --to.",
        ) from None
    except OSError as error:
        other = ConfigError(
            f"{error.filename or target} cannot be written: {error.strerror}.",
            remedy="Name another folder with --to.",
        )
        raise disk.failure(error, str(target), other) from None
    _tell_imported(target, found, as_json=as_json)


def _write(file: Path, text: str, *, force: bool) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w" if force else "x", encoding="utf-8") as stream:
        stream.write(text)
    file.chmod(0o644)  # no secret is in it


def _write_keys(folder: Path, found: Imported, keys: dict[str, Any]) -> None:
    """Write each key into a file of its own; a file that is there stays as it is."""
    private.folder(folder)
    for name, ours in found.names.items():
        file = folder / Path(found.keys[ours]).name
        if isinstance(keys.get(name), str) and not file.exists():
            with open(file, "x", encoding="utf-8", opener=private.opener) as stream:
                stream.write(f"{keys[name]}\n")


def _tell_imported(file: Path, found: Imported, *, as_json: bool) -> None:
    call = program(config=False)
    if file.parent != Path():
        call += f" --config {shlex.quote(str(file))}"
    variables = [place.removeprefix("env:") for place in found.keys.values() if "env:" in place]
    steps = [f"export {variable}=YOUR_KEY" for variable in variables]
    steps += [f"{call} check", f"{call} run --all"]
    if as_json:
        notes = [{"place": note.place, "text": note.text} for note in found.notes]
        print_json(
            {
                "file": str(file),
                "endpoints": found.endpoints,
                "keys": found.keys,
                "notes": notes,
                "datasets": found.datasets,
                "next": steps,
            }
        )
        return
    if found.notes:
        print_table(
            ("setting", "not carried over as it stood"), [(n.place, n.text) for n in found.notes]
        )
    endpoints = "one endpoint" if len(found.endpoints) == 1 else f"{len(found.endpoints)} endpoints"
    keys = "one key" if len(found.keys) == 1 else f"{len(found.keys)} keys"
    say(f"Wrote {file}: {endpoints} and {keys}. Next:")
    for step in steps:
        say(f"  {step}")


def _flat(value: object, name: str) -> list[tuple[str, object]]:
    """`endpoints.faction_crimes.timeout` and its value, for everything below `value`."""
    if isinstance(value, dict) and value:
        return [
            line for key, item in value.items() for line in _flat(item, f"{name}.{key}".strip("."))
        ]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [line for item in value for line in _flat(item, f"{name}.{item['name']}")]
    return [] if value in (None, {}, []) else [(name, value)]
