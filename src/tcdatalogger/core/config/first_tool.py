"""Makes a configuration of the files of the first tool, github.com/shepner/TCdatalogger.

That tool read `TC_API_config.json` (endpoints), `TC_API_key.json` (keys by name) and
`app_config.json`. What has no place in our configuration is listed as notes, so nothing is dropped
silently. A key itself never gets into the configuration, only the place where it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tcdatalogger.core.config import configuration
from tcdatalogger.core.config.config_errors import like_a_key, masked, shown
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.settings import WAREHOUSE_URL
from tcdatalogger.errors import ConfigError, UsageError
from tcdatalogger.observability.redact import register
from tcdatalogger.services.torncity.catalog import catalog

CONFIG: Final = "TC_API_config.json"
KEYS: Final = "TC_API_key.json"
APP: Final = "app_config.json"

_FREQUENCY: Final = "PT15M"
"""How often the first tool ran an endpoint without a frequency."""
_RATE: Final = 100
"""Calls a minute that Torn allows a user."""
_API: Final = "api.torn.com"
_COMMENTS: Final = ("/*", "//", "_")
"""How names begin whose values are comments."""
_DAYS_AND_CLOCK: Final = re.compile(r"P(\d+)D(?=T)T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?")
_CLOCK_AS_DATE: Final = re.compile(r"P(\d+)M")
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_LEVELS: Final = {"CRITICAL": "error", "WARN": "warning", "FATAL": "error"}

_NEVER: Final = {
    "max_retries": "calls are tried again within Torn's limits without a setting",
    "retry_delay": "calls are tried again within Torn's limits without a setting",
    "pagination": "the links of a list are followed without a setting",
    "use_time_windows": "lists by time go on where the last run ended, unless the storage mode is "
    "replace; `tcdatalogger backfill NAME` reads older rows",
}
"""Settings of endpoints and of `defaults` that have no counterpart, and why none is needed."""
_READ: Final = ("name", "url", "table", "frequency", "storage_mode", "api_key", "selection")
_OF_APP: Final = {
    "application.log_level": "is none of debug, info, warning and error",
    "google_cloud.credentials_file": "there is no credentials.json beside the file; set "
    "warehouse.credentials for BigQuery",
    "monitoring.enable_metrics": "the scheduler serves metrics at metrics.listen",
    "monitoring.metric_prefix": "metrics are not written to Google; the scheduler serves them",
}
"""Settings of `app_config.json`, and why one is not carried over."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was not carried over as it stood.

    Attributes:
        place: the setting in the files of the first tool.
        text: what became of it, and what to do.
    """

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What was made of the files of the first tool.

    Attributes:
        toml: the text of the configuration; it loads without a mistake.
        endpoints: the names of its endpoints.
        keys: the name of each key, and the place where the configuration looks for it.
        names: the name of each key in the files of the first tool, and its name here.
        notes: what was not carried over as it stood, in the order of the files.
        datasets: the datasets of BigQuery that have the tables of the first tool, as
            `project.dataset`.
    """

    toml: str
    endpoints: tuple[str, ...]
    keys: Mapping[str, str]
    names: Mapping[str, str]
    notes: tuple[Note, ...]
    datasets: tuple[str, ...]


@dataclass(slots=True)
class _Work:
    """The parts of the configuration while they are made."""

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    datasets: dict[str, None] = field(default_factory=dict)

    def note(self, place: str, text: str) -> None:
        self.notes.append(Note(masked(place), masked(text)))


def read(file: Path, *, needed: bool) -> Any:
    """The JSON of a file of the first tool; comments behind `//` are left out.

    Args:
        file: the file.
        needed: whether it is an error where there is no such file; otherwise None is returned.

    Raises:
        ConfigError: the file is missing, cannot be read, or is not JSON. The message has nothing
            of its content, which may be keys.
    """
    try:
        text = file.read_text("utf-8-sig")
    except FileNotFoundError:
        if not needed:
            return None
        raise ConfigError(
            f"There is no {file}.", remedy=f"Name the folder of the first tool that has {CONFIG}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {type(error).__name__}.") from None
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        pass
    try:
        return json.loads(re.sub(r"(?m)(^|[\s,{\[])//[^\n]*$", r"\1", text))
    except (json.JSONDecodeError, RecursionError) as error:
        line = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError(
            f"{file} is not JSON{line}.", remedy="Correct it, and import it again."
        ) from None


def convert(
    config: Any,
    keys: Any,
    app: Any = None,
    *,
    warehouse: str = WAREHOUSE_URL,
    key_files: str = "",
    credentials: str = "",
) -> Imported:
    """The configuration of what the files of the first tool say.

    Args:
        config: the content of `TC_API_config.json`: an object with `endpoints`, or their list.
        keys: the content of `TC_API_key.json`: keys by name; None where there is none.
        app: the content of `app_config.json`; None where there is none.
        warehouse: the address of the warehouse.
        key_files: the folder in which each key has a file, "" where keys are in the environment.
        credentials: the file of the credentials for BigQuery, "" for none.

    Raises:
        ConfigError: a content is not of the form that the first tool reads.
        UsageError: the warehouse is the dataset of the first tool's tables.
    """
    if isinstance(config, list):
        config = {"endpoints": config}
    if not isinstance(config, dict) or not isinstance(config.get("endpoints"), list):
        raise ConfigError(f"{CONFIG} has no list of endpoints.")
    if not isinstance(keys, dict | None):
        raise ConfigError(f"{KEYS} has no keys by name.")
    work = _Work()
    _keys(work, keys or {}, config["endpoints"], key_files)
    for name, value in config.items():
        if name.startswith(_COMMENTS):
            work.note(name, "a comment")
        elif name == "defaults":
            _defaults(work, value)
        elif name != "endpoints":
            work.note(name, "is no setting of the first tool")
    for number, endpoint in enumerate(config["endpoints"], 1):
        if isinstance(endpoint, dict):
            _endpoint(work, endpoint, number, config.get("defaults"))
        else:
            work.note(f"endpoints.#{number}", "is no object")
    _app(work, app, credentials)
    _warehouse(work, warehouse, credentials)
    names = tuple(str(endpoint["name"]) for endpoint in work.endpoints)
    return Imported(
        _toml(work), names, work.keys, work.names, tuple(work.notes), tuple(work.datasets)
    )


# --- keys -----------------------------------------------------------------------------------------


def _keys(work: _Work, keys: Mapping[str, Any], endpoints: Sequence[Any], key_files: str) -> None:
    """Give each key a name and a place, also those that only an endpoint names."""
    for name, value in keys.items():
        if isinstance(value, str) and value:
            register(value)
            _key(work, name, key_files)
        elif not name.startswith(_COMMENTS):
            work.note(f"{KEYS}: {name}", "is no text with a key")
    for endpoint in endpoints:
        named = endpoint.get("api_key", "default") if isinstance(endpoint, dict) else None
        if not isinstance(named, str) or named in work.names:
            continue
        _key(work, named, key_files)
        place = work.keys[work.names[named]]
        if like_a_key(named):
            work.note("api_key", f"an endpoint holds a key itself; put it at {place}")
        else:
            work.note(f"{KEYS}: {named}", f"there is no such key; put it at {place}")


def _key(work: _Work, name: str, key_files: str) -> None:
    ours = re.sub(r"[^A-Za-z0-9_-]+", "_", name)
    if like_a_key(name):
        register(name)
        ours = "unnamed"
    ours = next(each for each in _numbered(ours or "unnamed") if each not in work.keys)
    variable = re.sub(r"[^A-Z0-9]+", "_", ours.upper())
    variable = "TORN_API_KEY" if ours == "default" else f"TORN_API_KEY_{variable}"
    work.names[name] = ours
    # A file that is called as a key looks would be taken for one.
    work.keys[ours] = f"file:{key_files}/torn_{ours}" if key_files else f"env:{variable}"


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}_{number}" if number > 1 else name for number in count(1))


# --- settings -------------------------------------------------------------------------------------


def _defaults(work: _Work, defaults: Any) -> None:
    if not isinstance(defaults, dict):
        work.note("defaults", "is no object")
        return
    for name, value in defaults.items():
        place = f"defaults.{name}"
        if name == "timeout" and _count(value):
            work.sections["torn"] = {"read_timeout": f"PT{value}S"}
        elif name == "rate_limit" and _count(value):
            share = min(value, _RATE) / _RATE
            work.sections["limits"] = {"share": share}
            work.note(
                place,
                f"{value} calls a minute became limits.share = {share}, the share of the {_RATE} "
                "that Torn allows; the first tool never kept to it",
            )
        elif name in _NEVER:
            work.note(place, _NEVER[name])
        else:
            work.note(place, "is no setting of the first tool")


def _app(work: _Work, app: Any, credentials: str) -> None:
    if app is None:
        return
    for name, value in _leaves(app, ""):
        if name.startswith(_COMMENTS):
            continue
        if name == "application.log_level" and isinstance(value, str):
            level = _LEVELS.get(value.upper(), value.lower())
            if level in ("debug", "info", "warning", "error"):
                work.sections["log"] = {"level": level}
                continue
        if name == "google_cloud.credentials_file" and credentials:
            continue  # the first tool read the file beside its configuration, whatever this says
        work.note(f"{APP}: {name}", _OF_APP.get(name, "is no setting of the first tool"))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}".strip("."))
    else:
        yield name, value


def _warehouse(work: _Work, url: str, credentials: str) -> None:
    work.sections = {"warehouse": {"url": url}, **work.sections}
    for dataset in work.datasets:
        if url.partition("?")[0] == f"bigquery://{dataset.replace('.', '/')}":
            raise UsageError(
                f"The dataset {dataset} has the tables of the first tool, whose columns are "
                "others.",
                remedy="Name another dataset: --warehouse bigquery://PROJECT/DATASET",
            )
        work.note(
            dataset,
            f"the tables of the first tool stay there as they are; new rows go to {url}",
        )
    if url.startswith("bigquery:") and credentials:
        work.sections["warehouse"]["credentials"] = f"file:{credentials}"
    elif credentials:
        work.note(credentials, "a warehouse in DuckDB needs no credentials")


# --- endpoints ------------------------------------------------------------------------------------


def _endpoint(work: _Work, given: Mapping[str, Any], number: int, defaults: Any) -> None:
    """Add the endpoints that one of the first tool becomes: one for each selection."""
    name = _snake(given.get("name"), f"endpoint_{number}")
    place = f"endpoints.{name}"
    if name != given.get("name"):
        work.note(f"{place}.name", f"was {shown(given.get('name'))}")
    for path, params, selection in _requests(work, given, place):
        made: dict[str, Any] = {"name": f"{name}_{selection}" if selection else name, "path": path}
        made["api_key"] = _api_key(work, given, place)
        made |= _frequency(work, given, place)
        made |= _mode(work, given, place)
        table = _table(work, given, place)
        made["table"] = f"{table or name}_{selection}" if selection else table or name
        if made["table"] == made["name"]:
            del made["table"]
        if params:
            made["params"] = params
        pages = given.get("pagination", {})
        if isinstance(pages, dict) and _count(pages.get("max_pages")):
            made["max_pages"] = pages["max_pages"]
        _add(work, made, place)
    _rest(work, given, place, defaults)


def _api_key(work: _Work, given: Mapping[str, Any], place: str) -> str:
    name = given.get("api_key", "default")
    if isinstance(name, str):
        return work.names[name]
    work.note(f"{place}.api_key", "is no name of a key; default is taken")
    return work.names.get("default", "default")


def _rest(work: _Work, given: Mapping[str, Any], place: str, defaults: Any) -> None:
    """Note the settings of an endpoint that nothing was made of."""
    usual = defaults if isinstance(defaults, dict) else {}
    for name, value in given.items():
        if name in _READ or (name in usual and value == usual[name]):
            continue
        if name in _NEVER:
            work.note(f"{place}.{name}", _NEVER[name])
        elif name in ("timeout", "rate_limit"):
            work.note(
                f"{place}.{name}", f"{name} is one for all endpoints; that of defaults counts"
            )
        else:
            work.note(f"{place}.{name}", "is no setting of the first tool")


def _add(work: _Work, made: dict[str, Any], place: str) -> None:
    """Add an endpoint, unless it would be a mistake: then each mistake is noted."""
    trial = {"keys": work.keys, "endpoints": [*work.endpoints, made]}
    try:
        configuration.from_mapping(trial, {}, Path())
    except ConfigError as error:
        for problem in error.problems:
            work.note(place, f"is left out: {problem.removeprefix('<mapping>: ')}")
    else:
        work.endpoints.append(made)


def _requests(
    work: _Work, given: Mapping[str, Any], place: str
) -> Iterator[tuple[str, dict[str, str], str]]:
    """The paths that a URL asks for, their parameters, and the selection where it has several."""
    url = given.get("url")
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.hostname != _API or not re.match(r"/v2/", parts.path):
        work.note(place, f"is left out: {shown(url)} is no address of version 2 of Torn's API")
        return
    path = parts.path.removeprefix("/v2").rstrip("/")
    params = dict(parse_qsl(parts.query))
    if "key" in params:
        key = params.pop("key")
        if not key.startswith("{"):
            register(key)
            work.note(f"{place}.url", "holds a key; it is not carried over, api_key names one")
    chosen = [each.strip() for each in params.pop("selections", "").split(",") if each.strip()]
    selection = given.get("selection", [])
    listed = [selection] if isinstance(selection, str) else list(selection or [])
    if listed and chosen != listed:
        work.note(f"{place}.selection", f"{shown(listed)}: the first tool never sent it")
    for each in chosen or [""]:
        to = f"{path}/{each}" if each else path
        if to in catalog.SUCCESSORS:
            better = catalog.SUCCESSORS[to]
            work.note(f"{place}.url", f"Torn has no {to} any more; {better} took its place")
            to = better
        yield to, _params(work, to, params, place), each if len(chosen) > 1 else ""


def _params(work: _Work, path: str, params: Mapping[str, str], place: str) -> dict[str, str]:
    """The parameters that a path takes; the others are noted."""
    try:
        entry, _ = catalog.load().find(path)
    except ConfigError:
        return dict(params)  # the path itself is the mistake
    taken = {}
    for name, value in params.items():
        if entry.parameter(name) is None:
            work.note(f"{place}.url", f"{entry.path} takes no parameter {shown(name)}")
        else:
            taken[name] = value
    return taken


def _frequency(work: _Work, given: Mapping[str, Any], place: str) -> dict[str, str]:
    place = f"{place}.frequency"
    text = str(given.get("frequency", _FREQUENCY)).strip().upper()
    if "frequency" not in given:
        work.note(place, f"there is none; the first tool ran it every 15 minutes: {_FREQUENCY}")
    mixed = _DAYS_AND_CLOCK.fullmatch(text)
    if mixed:
        days, hours, minutes, seconds = (int(part or 0) for part in mixed.groups())
        parts = ((24 * days + hours, "H"), (minutes, "M"), (seconds, "S"))
        clock = "PT" + "".join(f"{number}{unit}" for number, unit in parts if number)
        work.note(place, f"{text} became {clock}: a day of the calendar is not always 24 hours")
        text = clock
    try:
        parse(text)
    except ValueError as error:
        work.note(place, f"{shown(text)} is left out, so it runs only when it is named: {error}")
        return {}
    if _CLOCK_AS_DATE.fullmatch(text):
        work.note(place, f"{text} means months; for minutes write PT{text.removeprefix('P')}")
    return {"frequency": text}


def _mode(work: _Work, given: Mapping[str, Any], place: str) -> dict[str, str]:
    mode = str(given.get("storage_mode", "append")).lower()
    if mode not in ("append", "replace"):
        work.note(f"{place}.storage_mode", f"{shown(mode)} is none of ours; append is taken")
        mode = "append"
    return {} if mode == "append" else {"storage_mode": mode}


def _table(work: _Work, given: Mapping[str, Any], place: str) -> str:
    table = given.get("table")
    if not isinstance(table, str) or not table:
        return ""
    *where, last = table.replace(":", ".").split(".")
    if where:
        work.datasets[".".join(where)] = None
    name = _snake(last, "")
    if name != last:
        work.note(f"{place}.table", f"{shown(last)} became {name or 'the name of the endpoint'}")
    return name


def _snake(text: Any, otherwise: str) -> str:
    """A text as a name of ours: lower case, words with underscores between."""
    words = re.findall(r"[a-z0-9]+", str(text).lower()) if isinstance(text, str) else []
    name = "_".join(words)
    name = name if not name[:1].isdigit() else f"t_{name}"
    return name[:63].rstrip("_") if _NAME.fullmatch(name) else otherwise


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


# --- the text -------------------------------------------------------------------------------------


def _toml(work: _Work) -> str:
    lines = [
        f"# Made by `tcdatalogger config import` of {CONFIG}.",
        "# `tcdatalogger config schema` explains every setting.",
    ]
    if work.notes:
        lines += ["#", "# What was not carried over as it stood:"]
        lines += [f"# - {_comment(f'{note.place}: {note.text}')}" for note in work.notes]
    for name, section in work.sections.items():
        lines += ["", f"[{name}]", *_pairs(section)]
    lines += ["", "[keys]", *_pairs(work.keys)]
    for endpoint in work.endpoints:
        lines += ["", "[[endpoints]]", *_pairs(endpoint)]
    return "\n".join(lines) + "\n"


def _pairs(section: Mapping[str, Any]) -> Iterator[str]:
    return (f"{_word(name)} = {_value(value)}" for name, value in section.items())


def _word(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: Any) -> str:
    """A value as TOML; a text of TOML is one of JSON, but for one character."""
    if isinstance(value, dict):
        return "{ " + ", ".join(_pairs(value)) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)
