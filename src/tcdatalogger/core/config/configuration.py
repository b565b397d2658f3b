"""Makes validated, frozen settings from the configuration file, the environment and `--set`.

All mistakes are collected, each with its place and its remedy, and raised in one `ConfigError`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tcdatalogger.core.config.channels import ChannelSettings
from tcdatalogger.core.config.config_errors import ConfigErrors, masked, near, shown
from tcdatalogger.core.config.exports import ExportSettings
from tcdatalogger.core.config.overrides import DEEPEST, apply, too_deep
from tcdatalogger.core.config.paths import resolve_path
from tcdatalogger.core.config.settings import (
    AlertsSettings,
    ArchiveSettings,
    BackupSettings,
    DigestSettings,
    EndpointSettings,
    LimitsSettings,
    LogSettings,
    MetricsSettings,
    SchedulerSettings,
    Settings,
    StateSettings,
    TermsSettings,
    TornSettings,
    UiSettings,
    WarehouseSettings,
)
from tcdatalogger.core.config.toml_lines import Place
from tcdatalogger.core.config.validate import Environment, Part, validate
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.catalog import catalog

__all__ = [
    "AlertsSettings",
    "ArchiveSettings",
    "BackupSettings",
    "ChannelSettings",
    "DigestSettings",
    "EndpointSettings",
    "ExportSettings",
    "LimitsSettings",
    "LogSettings",
    "MetricsSettings",
    "SchedulerSettings",
    "Settings",
    "StateSettings",
    "TermsSettings",
    "TornSettings",
    "UiSettings",
    "WarehouseSettings",
    "from_mapping",
    "json_schema",
    "load",
    "locate",
    "look",
    "written",
]

FILE = "tcdatalogger.toml"
VERSION = 1
"""The version of the form of configuration that this program knows."""
_MAPPING = "<mapping>"
"""How messages call a configuration that is no file."""
LARGEST_FILE = 16_000_000
"""The most bytes of a configuration: a thousand endpoints are less than a megabyte, and some files
never end."""
_SECTIONS: dict[str, type[BaseModel]] = {
    "warehouse": WarehouseSettings,
    "archive": ArchiveSettings,
    "state": StateSettings,
    "backup": BackupSettings,
    "scheduler": SchedulerSettings,
    "limits": LimitsSettings,
    "torn": TornSettings,
    "log": LogSettings,
    "metrics": MetricsSettings,
    "alerts": AlertsSettings,
    "digest": DigestSettings,
    "ui": UiSettings,
    "terms": TermsSettings,
}
_LISTS: dict[str, type[BaseModel]] = {"channels": ChannelSettings, "exports": ExportSettings}
"""Sections that are lists of tables, besides the endpoints."""
_Model = TypeVar("_Model", bound=BaseModel)


def locate(path: Path | None, environ: Mapping[str, str]) -> Path:
    """The configuration file: `path`, else TCDATALOGGER_CONFIG, else tcdatalogger.toml here."""
    if path is not None:
        return path
    return Path(environ.get("TCDATALOGGER_CONFIG") or FILE)


def load(
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Sequence[str] = (),
    *,
    names: Sequence[str] | None = None,
    processors: bool = False,
) -> Settings:
    """The settings of a file, the environment and `--set`; a later one overrides an earlier one.

    Args:
        path: the file, None for the file that `locate` finds.
        environ: TCDATALOGGER_WAREHOUSE__URL overrides `warehouse.url`, and
            TCDATALOGGER_ENDPOINTS__FACTION_CRIMES__FREQUENCY a setting of that endpoint.
        overrides: `warehouse.url=…`, `endpoints.NAME.storage_mode=…`, or the bare key of an
            endpoint (`storage_mode=replace`).
        names: the endpoints to which bare keys apply; None for all endpoints.
        processors: whether named processors are imported, which runs their code. Then a processor
            that cannot be imported is a mistake; otherwise each of its runs fails.

    Raises:
        ConfigError: the configuration has mistakes; all of them are in `problems`.
        UsageError: an override is not written as `key=value`.
    """
    file = locate(path, environ)
    settings, _, problems = _looked_at(file, path, environ, overrides, names, processors=processors)
    if problems.all():
        raise _mistaken(file, problems)
    return settings.resolved(file.resolve().parent)


def written(text: str, file: Path) -> Settings:
    """The settings of the text of a configuration as they stand there: relative paths stay so.

    Args:
        text: of the file.
        file: how messages call it.

    Raises:
        ConfigError: it has mistakes; all of them are in `problems`.
    """
    raw = _parse(text, file)
    _refuse_later(raw, str(file))
    problems = ConfigErrors(str(file), text, raw)
    settings, _ = _reviewed(raw, problems, Environment({}, file.resolve().parent))
    if problems.all():
        raise _mistaken(file, problems)
    return settings


def from_mapping(given: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """As `load`, of a mapping in the form of the file.

    Args:
        given: sections and their settings; lists may be tuples, and texts that name files paths.
        environ: as for `load`.
        folder: that relative paths are taken from.

    Raises:
        ConfigError: with every mistake in `problems`.
    """
    raw = _plain(given)
    if too_deep(raw):
        raise _too_deep(_MAPPING)
    _refuse_later(raw, _MAPPING)
    folder = folder.resolve()
    problems = ConfigErrors(_MAPPING, "", raw)
    apply(raw, problems, environ, (), None)
    settings, _ = _reviewed(raw, problems, Environment(environ, folder))
    if problems.all():
        raise _mistaken(_MAPPING, problems)
    return settings.resolved(folder)


def _plain(value: Any) -> Any:
    """A copy of Python's own values as TOML would give them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value


def look(
    path: Path | None, environ: Mapping[str, str], overrides: Sequence[str] = ()
) -> tuple[Settings, tuple[str, ...]]:
    """The settings for commands that only show data.

    Endpoints with a mistake are left out.

    Args:
        path: the file, None for the file that `locate` finds.
        environ: as for `load`.
        overrides: as for `load`.

    Returns:
        The settings, and the mistakes of the endpoints that are left out.

    Raises:
        ConfigError: a mistake is outside of the endpoints.
        UsageError: as for `load`.
    """
    file = locate(path, environ)
    settings, parts, problems = _looked_at(file, path, environ, overrides)
    wrong = problems.endpoints()
    if wrong is None:
        raise _mistaken(file, problems)
    well = tuple(
        endpoint
        for part, endpoint in zip(parts, settings.endpoints, strict=True)
        if part.index not in wrong
    )
    looked = settings.resolved(file.resolve().parent)
    return looked.model_copy(update={"endpoints": well}), problems.all()


def _refuse_later(raw: Mapping[str, Any], place: str) -> None:
    """Refuse a configuration of a later version before its new settings look like mistakes.

    Raises:
        ConfigError: it is of one.
    """
    told = raw.get("version")
    if isinstance(told, int) and told > VERSION:
        raise ConfigError(
            f"{place} is a configuration of version {told}, and this TCdatalogger knows {VERSION}.",
            remedy="Update TCdatalogger (docs/upgrade.md). Nothing was changed.",
        )


def _looked_at(
    file: Path,
    path: Path | None,
    environ: Mapping[str, str],
    overrides: Sequence[str] = (),
    names: Sequence[str] | None = None,
    *,
    processors: bool = False,
) -> tuple[Settings, list[Part], ConfigErrors]:
    """The settings as far as they can be read, their endpoints, and the mistakes."""
    text = _read(file, asked=path is not None or "TCDATALOGGER_CONFIG" in environ)
    raw = _parse(text, file)
    _refuse_later(raw, str(file))
    problems = ConfigErrors(str(file), text, raw)
    apply(raw, problems, environ, overrides, names)
    environment = Environment(environ, file.resolve().parent, processors=processors)
    return *_reviewed(raw, problems, environment), problems


def _reviewed(
    raw: dict[str, Any], problems: ConfigErrors, environment: Environment
) -> tuple[Settings, list[Part]]:
    """The settings as far as they can be read, and its endpoints; mistakes are noted."""
    settings, parts = _validated(raw, problems)
    validate(settings, parts, problems, _catalog(settings, environment.folder), environment)
    return settings, parts


def _mistaken(file: Path | str, problems: ConfigErrors) -> ConfigError:
    found = problems.all()
    count = "one mistake" if len(found) == 1 else f"{len(found)} mistakes"
    return ConfigError(f"The configuration {file} has {count}.", problems=found)


def _catalog(settings: Settings, folder: Path) -> catalog.Catalog:
    """The catalogue in use: the file that `catalog use` wrote, or the shipped one."""
    file = resolve_path(str(settings.torn.catalog), folder)
    return catalog.load(file if file.exists() else None)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the file, with a description of every setting."""
    from tcdatalogger.core.config.json_schema import describe  # noqa: PLC0415  # for this alone

    schema = Settings.model_json_schema()
    describe(schema)
    lists: dict[str, type[BaseModel]] = {"endpoints": EndpointSettings, **_LISTS}
    for name, model in lists.items():
        items = {"$ref": f"#/$defs/{model.__name__}"}
        schema["properties"][name] |= {"type": "array", "items": items}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    tidy: dict[str, Any] = _tidy(schema)
    return tidy


def _tidy(node: Any) -> Any:
    """The schema with descriptions on one line, and without titles that only repeat the names."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: " ".join(value.split())
        if key == "description" and isinstance(value, str)
        else _tidy(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
    }


def _read(file: Path, *, asked: bool) -> str:
    try:
        with file.open("rb") as opened:
            held = opened.read(LARGEST_FILE + 1)
        if len(held) > LARGEST_FILE:
            raise ConfigError(
                f"The configuration {file} has over {LARGEST_FILE // 10**6} MB.",
                remedy="Name a file of settings.",
            )
        # An editor on Windows may write a byte order mark, which TOML does not allow.
        return held.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise ConfigError(
            f"There is no configuration file {file}.",
            remedy="Check the path."
            if asked
            else "`tcdatalogger init` writes one here; "
            "--config FILE or TCDATALOGGER_CONFIG names another.",
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"The configuration {file} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigError(f"The configuration {file} cannot be read: {error.strerror}.") from None


def _parse(text: str, file: Path) -> dict[str, Any]:
    try:
        raw = tomllib.loads(text)
    except RecursionError:
        raw = None
    except tomllib.TOMLDecodeError as error:
        # Before Python 3.14 the error has no attribute for its line.
        message = re.sub(r"\s*\(at .*\)$", "", str(error))
        at = re.search(r"\(at line (\d+)", str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        problem = f'{file}:{line}: {masked(message)}. Texts stand in quotes: name = "value".'
        raise ConfigError(
            f"The configuration {file} is not valid TOML.", problems=[problem]
        ) from None
    if raw is None or too_deep(raw):
        raise _too_deep(file)
    return raw


def _too_deep(file: Path | str) -> ConfigError:
    return ConfigError(
        f"The configuration {file} has a value that is nested over {DEEPEST} deep.",
        remedy="No setting is; look for a bracket that is repeated.",
    )


def _validated(raw: dict[str, Any], problems: ConfigErrors) -> tuple[Settings, list[Part]]:
    """The settings as far as they can be read; everything else is added to the problems."""
    for name in raw:
        if name not in Settings.model_fields:
            problems.add((name,), "is not a section", near(name, Settings.model_fields))
    sections: dict[str, Any] = {
        name: _read_part(model, raw.get(name, {}), (name,), problems)[0] or model()
        for name, model in _SECTIONS.items()
    }
    parts = _endpoints(raw, problems)
    lists: dict[str, Any] = {
        name: _entries(model, raw, name, problems) for name, model in _LISTS.items()
    }
    settings = Settings.model_construct(
        **sections,
        **lists,
        keys=_keys(raw, problems),
        endpoints=tuple(part.endpoint for part in parts),
    )
    return settings, parts


def _keys(raw: dict[str, Any], problems: ConfigErrors) -> dict[str, str]:
    keys = raw.get("keys", {})
    if not isinstance(keys, dict):
        problems.add(("keys",), "must be a table, written [keys]")
        return {}
    for name, value in keys.items():
        if not isinstance(value, str):
            problems.add(("keys", name), "must be a text such as env:TORN_API_KEY")
    return {name: value if isinstance(value, str) else "env:?" for name, value in keys.items()}


def _listed(raw: dict[str, Any], name: str, problems: ConfigErrors) -> list[Any]:
    """The entries of a section that is a list of tables."""
    found = raw.get(name, [])
    if not isinstance(found, list):
        problems.add((name,), "must be a list", f"Begin each with a line [[{name}]].")
        return []
    return found


def _entries(
    model: type[_Model], raw: dict[str, Any], name: str, problems: ConfigErrors
) -> tuple[_Model, ...]:
    """The entries of a list of tables that have no mistake."""
    found = []
    for index, value in enumerate(_listed(raw, name, problems)):
        entry, wrong = _read_part(model, value, (name, index), problems)
        if entry is not None and not wrong:
            found.append(entry)
    return tuple(found)


def _endpoints(raw: dict[str, Any], problems: ConfigErrors) -> list[Part]:
    parts = []
    for index, value in enumerate(_listed(raw, "endpoints", problems)):
        place = ("endpoints", index)
        endpoint, wrong = _read_part(EndpointSettings, value, place, problems)
        if endpoint is not None:
            for name in endpoint.params if endpoint.url else ():
                problems.alias((*place, "params", name), (*place, "url"))
            parts.append(Part(index, endpoint, wrong))
    return parts


def _read_part(
    model: type[_Model], value: Any, place: Place, problems: ConfigErrors
) -> tuple[_Model | None, frozenset[str]]:
    """Read one table as its model.

    A model does not always report all its mistakes at once. So it is read again without the wrong
    fields, until nothing else is wrong.

    Returns:
        The model without the wrong fields (None where it cannot be made), and their names.
    """
    if not isinstance(value, dict):
        problems.add(place, "must be a table", f"Write it as [{place[0]}] and lines below.")
        return None, frozenset()
    wrong: set[str] = set()
    for _ in range(4):
        rest = {key: item for key, item in value.items() if key not in wrong}
        if wrong and model is EndpointSettings:
            rest |= {key: item for key, item in _STAND_INS.items() if key in wrong}
        try:
            return model.model_validate(rest), frozenset(wrong)
        except ValidationError as error:
            for details in error.errors(include_url=False, include_input=False):
                wrong |= _note(model, value, place, details, problems)
    return None, frozenset(wrong)


_STAND_INS = {"name": "unnamed", "path": "/"}


def _note(
    model: type[BaseModel],
    value: dict[str, Any],
    place: Place,
    error: ErrorDetails,
    problems: ConfigErrors,
) -> set[str]:
    """Add one error of pydantic to the problems; returns the fields to leave out."""
    loc: list[str | int] = []
    here: Any = value
    for step in error["loc"]:
        # pydantic also names the branches of a union; only steps through the data are a place.
        if error["type"] != "missing" and not _holds(here, step):
            break
        loc.append(step)
        here = here[step] if _holds(here, step) else None
    if "[key]" in error["loc"][-1:]:  # not the value is wrong, but what it is called
        here = loc[-1]
    problems.add((*place, *loc), *_sentence(model, error, here))
    return {str(loc[0])} if loc else {"path", "url"}


def _holds(here: Any, step: str | int) -> bool:
    if isinstance(here, dict):
        return step in here
    return isinstance(here, list) and isinstance(step, int) and step < len(here)


def _around(model: type[BaseModel], place: tuple[str | int, ...]) -> type[BaseModel]:
    """The model that the last step of a place is a field of, from the outermost model down."""
    for step in place[:-1]:
        field = model.model_fields.get(str(step))
        model = (_inner(field.annotation) if field else None) or model
    return model


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The model inside of an annotation, as of `tuple[CheckSettings, ...]`; None for none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_inner, get_args(annotation))), None)


def _sentence(model: type[BaseModel], error: ErrorDetails, value: Any) -> tuple[str, str]:
    """The mistake and its remedy, in plain words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return "is not a setting", near(error["loc"][-1], _around(model, error["loc"]).model_fields)
    if kind == "missing":
        return "is missing", f"Write {error['loc'][-1]} = …"
    if kind == "wrong":
        return str(context["text"]), ""
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context["expected"]))
        hint = near(value, choices, known=False)
        return f"{shown(value)} is not one of {', '.join(choices)}", hint
    if kind == "string_pattern_mismatch" and error["loc"][-1] in ("name", "table"):
        return f"{shown(value)} is not lower snake_case", "Write it as faction_crimes."
    simple = {
        "string_type": "must be a text in quotes",
        "bool_type": "must be true or false, without quotes",
        "int_type": "must be a whole number",
        "float_type": "must be a number",
        "dict_type": 'must be a table, as { cat = "all" }',
        "string_pattern_mismatch": "has a character that is not allowed here",
    }
    message = simple.get(kind) or error["msg"].replace("Input should be", "must be")
    return message[0].lower() + message[1:], ""
