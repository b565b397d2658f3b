"""The reference of the documentation, made of the code: what it says cannot be out of date.

Commands come from the command line's own tree, settings from the schema of the configuration with
the examples of config/tcdatalogger.toml, tables from the catalogue, exit codes from the errors,
metrics from their table.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click

from tcdatalogger import cli, errors
from tcdatalogger.cli import exit_codes
from tcdatalogger.core.config import json_schema
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.models.schema import TableSchema
from tcdatalogger.observability import metrics
from tcdatalogger.services.torncity.catalog import catalog

ROOT: Final = Path(__file__).parents[1]
EXAMPLES: Final = ROOT / "config/tcdatalogger.toml"
SECTIONS: Final = (
    "company", "faction", "forum", "key", "market", "property", "racing", "torn", "user"
)  # fmt: skip
"""The sections of Torn's API; each has a page."""

SIGNALS: Final = {
    0: "Done, or nothing was due, also where records were set aside (`--strict` makes that 65).",
    1: "A bug, of ours or of DuckDB: rows that do not add up are among them.",
    exit_codes.INTERRUPTED: "Ended by Ctrl-C.",
    exit_codes.BROKEN_PIPE: "Whoever read the output closed it.",
}
"""What is no error of a class of its own."""

TYPES: Final = {
    "int": "a whole number of 64 bits",
    "float": "a number with a fraction",
    "text": "text",
    "bool": "true or false",
    "time": "a time in UTC",
    "json": "JSON, where Torn's document allows several shapes",
}


ABOUT_COMMANDS: Final = """Each command has `--help`, which says the same. These options may
stand before or after every command:"""
ABOUT_RUNS: Final = """Where a RUN is wanted, the beginning of its id will do, or `last`, or an
endpoint's name for its newest run."""
ABOUT_SETTINGS: Final = """They stand in `tcdatalogger.toml`, in tables of the names below; paths
are relative to its folder. Each can be overridden by the environment variable that stands beside
it, and for one command by `--set`. A setting that does not exist is an error, which names the
near one. `tcdatalogger config show` prints what is in force, `tcdatalogger config schema` all of
this page as JSON Schema."""
ABOUT_TABLES: Final = """The tables are named as they are where the configuration says nothing
else. Every table also has `server_timestamp` (when Torn sent it, by Torn's clock), `_subject_id`
(whom the row is about) and `_run_id` (the run that stored it); tables in the mode `history` also
have `valid_from` and `valid_to`."""
ABOUT_ROUTES: Final = """It takes any selection of its section, so it has no tables of its own:
name the path of the selection."""
ABOUT_CODES: Final = """Orchestrators act on them: 69, 75 and 124 go away by themselves, so try
again later; 65, 77 and 78 need somebody to change something first. Each command ends within ten
seconds of Ctrl-C or SIGTERM. A run that had fetched all by then is stored by the next run of its
endpoint, from the archive."""
ABOUT_METRICS: Final = """`tcdatalogger schedule` serves them at `[metrics] listen`, for
Prometheus. [Watching it](../observability.md) says how they are counted."""


def pages() -> dict[str, str]:
    """Every page of the reference: its Markdown by its path in the documentation."""
    made = {
        "reference/commands.md": commands(),
        "reference/settings.md": settings(),
        "reference/exit-codes.md": codes(),
        "reference/metrics.md": all_metrics(),
    }
    known = catalog.load()
    for section in SECTIONS:
        made[f"reference/tables-{section}.md"] = tables(section, known)
    return made


# --- commands


def commands() -> str:
    """Every command with its options and examples."""
    lines = [
        "# Commands",
        ABOUT_COMMANDS,
        *_parameters(click.Context(cli.cli, info_name="tcdatalogger")),
        ABOUT_RUNS,
    ]
    root = click.Context(cli.cli, info_name="tcdatalogger")
    for title, section in cli.SECTIONS.items():
        lines.append(f"## {title}")
        for name in section:
            command = cli.cli.get_command(root, name)
            assert command is not None, name  # noqa: S101 - it is in the list of commands
            lines += _command(command, name, root, 3)
    return _page(lines)


def _command(command: click.Command, name: str, above: click.Context, depth: int) -> list[str]:
    context = click.Context(command, info_name=name, parent=above)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"{'#' * depth} {context.command_path.removeprefix('tcdatalogger ')}"]
    lines += _prose(command.help or command.short_help or "")
    lines.append(f"```text\n{usage}\n```")
    lines += _parameters(context)
    if command.epilog:
        example = inspect.cleandoc(command.epilog.replace("\b", "")).strip()
        example = re.sub(r"\AExamples?:\n", "", example)
        lines.append(f"```sh\n{inspect.cleandoc(example)}\n```")
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            below = command.get_command(context, sub)
            if below is not None and not below.hidden:
                lines += _command(below, sub, context, depth + 1)
    return lines


def _prose(text: str) -> list[str]:
    """The paragraphs of a help; those that click is told not to wrap stand as they are."""
    found = []
    for part in inspect.cleandoc(text).split("\n\n"):
        if part.startswith("\b"):
            found.append(f"```text\n{part.strip(chr(8)).strip(chr(10))}\n```")
        else:
            found.append(_safe(" ".join(part.split())))
    return found


def _parameters(context: click.Context) -> list[str]:
    """A table of arguments and options; nothing where there are none but `--help`."""
    rows = []
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Argument):
            many = ", one or several" if parameter.nargs == -1 else ""
            need = "needed" if parameter.required else "may be left out"
            rows.append((f"`{parameter.make_metavar(context)}`", f"an argument; {need}{many}"))
        elif record is not None and "--help" not in parameter.opts:
            rows.append((f"`{record[0]}`", _safe(record[1])))
    return [_table(("option", "meaning"), rows)] if rows else []


# --- settings


def settings() -> str:
    """Every setting: meaning, type, default, example and variable."""
    schema = Settings.model_json_schema(mode="validation")
    json_schema.describe(schema)
    examples = tomllib.loads(EXAMPLES.read_text("utf-8"))
    lines = [
        "# Settings",
        ABOUT_SETTINGS,
    ]
    for name, field in schema["properties"].items():
        lines += _setting_table(name, field, schema["$defs"], examples.get(name))
    return _page(lines)


def _setting_table(
    name: str, field: dict[str, Any], known: dict[str, Any], example: object
) -> Iterator[str]:
    many, model = _model(field, known)
    yield f"## {f'[[{name}]]' if many else f'[{name}]'}"
    if model is None:  # a table whose names are the user's own, as [keys]
        yield _safe(field.get("description", ""))
        yield f"```toml\n[{name}]\n{_toml_lines(example)}\n```"
        return
    yield _safe(model.get("description", ""))
    yield from _settings_of(name, model, known, example, many=many)


def _settings_of(
    place: str, model: dict[str, Any], known: dict[str, Any], example: object, *, many: bool
) -> Iterator[str]:
    shown = example[0] if many and isinstance(example, list) and example else example
    if isinstance(example, list):
        shown = {key: value for entry in example for key, value in entry.items()}
    values = shown if isinstance(shown, dict) else {}
    for name, field in model["properties"].items():
        inner_many, inner = _model(field, known)
        yield f"### {place}.{name}"
        yield _safe(field.get("description", ""))
        facts = [f"- type: {_kind(field)}"]
        if name in model.get("required", ()):
            facts.append("- it has to be given")
        elif field.get("default") not in (None, [], {}):
            facts.append(f"- default: `{_value(field['default'])}`")
        if name in values:
            facts.append(f"- example: `{name} = {_value(values[name])}`")
        if not many and inner is None:
            facts.append(f"- variable: `TCDATALOGGER_{place.upper()}__{name.upper()}`")
        yield "\n".join(facts)
        if inner is not None:
            yield from _settings_of(
                f"{place}.{name}", inner, known, values.get(name), many=inner_many
            )


def _model(field: dict[str, Any], known: dict[str, Any]) -> tuple[bool, dict[str, Any] | None]:
    """Whether a field is a list of tables, and the schema of the table; None for a plain value."""
    for each in (field, *field.get("anyOf", ())):
        if "$ref" in each:
            return False, known[each["$ref"].rpartition("/")[2]]
        if "$ref" in each.get("items", {}):
            return True, known[each["items"]["$ref"].rpartition("/")[2]]
    return False, None


def _kind(field: dict[str, Any]) -> str:
    """The type of a setting in words."""
    if "anyOf" in field:
        kinds = [_kind(each) for each in field["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in field:
        return "a table"
    if "enum" in field:
        return " or ".join(f"`{_value(value)}`" for value in field["enum"])
    if field.get("format") == "duration":
        return "a duration of ISO 8601, as `PT15M`"
    if field.get("format") in ("path", "date-time"):
        return {"path": "a path", "date-time": "a time"}[field["format"]]
    match field.get("type"):
        case "array":
            return f"a list of {_kind(field['items'])}" if field.get("items") else "a list"
        case "object":
            return "a table"
        case "boolean":
            return "`true` or `false`"
        case "integer" | "number" as kind:
            bounds = [f"at least {field['minimum']}"] if "minimum" in field else []
            bounds += [f"at most {field['maximum']}"] if "maximum" in field else []
            return ", ".join(["a whole number" if kind == "integer" else "a number", *bounds])
        case _:
            return "text"


def _value(value: object) -> str:
    """A value as TOML writes it."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            inside = ", ".join(f"{_toml_key(key)} = {_value(each)}" for key, each in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case _:
            return str(value)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else _value(key)


def _toml_lines(example: object) -> str:
    values = example if isinstance(example, dict) else {}
    return "\n".join(f"{_toml_key(name)} = {_value(value)}" for name, value in values.items())


# --- tables


def tables(section: str, known: catalog.Catalog) -> str:
    """Every path of a section of Torn's API: parameters, tables and columns."""
    mine = [endpoint for endpoint in known.endpoints if endpoint.section == section]
    lines = [
        f"# Tables of /{section}",
        f"{len(mine)} paths of Torn's document {known.version}. {ABOUT_TABLES}",
        "Types: " + ", ".join(f"`{name}` is {text}" for name, text in TYPES.items()) + ".",
    ]
    for endpoint in mine:
        lines.append(f"## {endpoint.path}")
        lines.append(". ".join(_facts(endpoint)) + ".")
        if endpoint.parameters:
            rows = [
                (f"`{p.name}`" + (" (needed)" if p.required else ""), p.where, p.kind, _choices(p))
                for p in endpoint.parameters
            ]
            lines.append(_table(("parameter", "in", "type", "values"), rows))
        if endpoint.family is None:
            lines.append(ABOUT_ROUTES)
            continue
        for table in endpoint.family.tables:
            lines += _columns(table)
    return _page(lines)


def _facts(endpoint: catalog.Endpoint) -> Iterator[str]:
    owner = " of somebody with API access in the faction" if endpoint.faction_access else ""
    yield f"Key: {endpoint.access}{owner}"
    if endpoint.paging == "none":
        yield "Pages: one"
    else:
        most = "" if endpoint.limit is None else f", at most {endpoint.limit} rows each"
        by = "time and offset" if endpoint.paging == "all" else endpoint.paging
        yield f"Pages: by {by}{most}"
    if endpoint.content != "json":
        yield f"Torn answers with {endpoint.content.upper()}"
    if not endpoint.stable:
        yield "Torn calls it unstable"
    if endpoint.deprecated:
        yield f"Torn will remove it{f' on {endpoint.ends}' if endpoint.ends else ''}"


def _choices(parameter: catalog.Parameter) -> str:
    if parameter.values:
        return ", ".join(f"`{value}`" for value in parameter.values)
    return "" if parameter.default is None else f"default `{parameter.default}`"


def _columns(table: TableSchema) -> Iterator[str]:
    key = ", ".join(f"`{name}`" for name in table.key)
    yield f"**`{table.name}`**" + (f", key {key}" if key else "")
    rows = [
        (
            f"`{c.name}`",
            c.type.value,
            "yes" if c.nullable else "",
            f"goes {c.ends}" if c.deprecated else "",
        )
        for c in table.columns
        if not c.ours
    ]
    if any(note for *_, note in rows):
        yield _table(("column", "type", "null", "note"), rows)
    else:
        yield _table(("column", "type", "null"), [row[:3] for row in rows])


# --- exit codes and metrics


def codes() -> str:
    """Every exit code and the errors that end so."""
    rows: dict[int, list[str]] = {code: [text] for code, text in SIGNALS.items()}
    for error in (*_below(errors.Failure), errors.Stopped):
        first = inspect.getdoc(error)
        assert first, error  # noqa: S101 - a test of docstrings sees to it
        if error not in (errors.Failure, errors.FixIt, errors.TryAgain):
            sentence = " ".join(first.split("\n\n")[0].split())
            rows.setdefault(error.exit_code, []).append(f"`{error.__name__}`: {_safe(sentence)}")
    lines = [
        "# Exit codes",
        ABOUT_CODES,
        _table(
            ("code", "meaning"), [(str(code), "<br>".join(rows[code])) for code in sorted(rows)]
        ),
    ]
    return _page(lines)


def _below(parent: type[errors.Failure]) -> Iterator[type[errors.Failure]]:
    """A class of errors and all below it, without those by which no process ends."""
    yield parent
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__ and child is not errors.SetAside:
            yield from _below(child)


def all_metrics() -> str:
    """Every metric of `/metrics`."""
    rows = [
        (f"`{metrics.PREFIX}{m.name}`", m.kind, ", ".join(m.labels), _safe(m.help))
        for m in metrics.METRICS.values()
    ]
    lines = [
        "# Metrics",
        ABOUT_METRICS,
        _table(("metric", "type", "labels", "meaning"), rows),
    ]
    return _page(lines)


# --- Markdown


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _safe(text: str) -> str:
    """Text that Markdown and HTML take for text; what stands in backticks stays as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if number % 2 else re.sub(r"([*_\[\]\\])", r"\\\1", part).replace("<", "&lt;")
        for number, part in enumerate(parts)
    )
