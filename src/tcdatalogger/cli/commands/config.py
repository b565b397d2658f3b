"""`tcdatalogger config`: the configuration as it is in force, and the schema of its file."""

from __future__ import annotations

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, print_json, print_table


@click.group(
    name="config",
    epilog="\b\nExample:\n  tcdatalogger config show\n  tcdatalogger config schema > schema.json",
)
def command() -> None:
    """Show the configuration or its schema."""


@command.command(
    "schema", epilog="\b\nExample:\n  tcdatalogger config schema > tcdatalogger.schema.json"
)
@click.option("--json", "_as_json", is_flag=True, expose_value=False, hidden=True)
def schema() -> None:
    """Print the JSON Schema of the configuration file, with what each setting means."""
    from tcdatalogger.core.config.configuration import json_schema  # pydantic

    # Always indented: it goes into a file that people open.
    print_json(json_schema())


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
    settings = options.load(processors=True).model_dump(mode="json")
    if as_json:
        print_json(settings)
        return
    print_table(("setting", "value"), _flat(settings, ""))


def _flat(value: object, name: str) -> list[tuple[str, object]]:
    """`endpoints.faction_crimes.timeout` and its value, for everything below `value`."""
    if isinstance(value, dict) and value:
        return [
            line for key, item in value.items() for line in _flat(item, f"{name}.{key}".strip("."))
        ]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [line for item in value for line in _flat(item, f"{name}.{item['name']}")]
    return [] if value in (None, {}, []) else [(name, value)]
