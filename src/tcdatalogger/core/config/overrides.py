"""Applies settings of the environment and of `--set` over those of the file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from tcdatalogger.core.config.config_errors import ConfigErrors, masked, near
from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.config.toml_lines import Place
from tcdatalogger.errors import UsageError

PREFIX = "TCDATALOGGER_"
_LISTS = {"endpoints": "endpoint", "channels": "channel", "exports": "export"}
"""Sections that are lists of tables, and what one of them is called."""
DEEPEST = 32
"""How deep values may be nested; no setting needs as much."""


def apply(
    raw: dict[str, Any],
    problems: ConfigErrors,
    environ: Mapping[str, str],
    overrides: Sequence[str],
    names: Sequence[str] | None,
) -> None:
    """Change the raw configuration by the environment, then by the overrides; the last one wins.

    Args:
        raw: the parsed file; it is changed in place.
        problems: where mistakes are added.
        environ: the environment.
        overrides: texts of `--set`, as `key=value`.
        names: the endpoints to which bare keys apply; None for all endpoints.

    Raises:
        UsageError: an override is not written as `key=value`.
    """
    for variable in sorted(environ):
        # Our variables have a double underscore. Kubernetes sets others with this prefix, as
        # TCDATALOGGER_PORT for a service of that name.
        if variable.startswith(PREFIX) and "__" in variable:
            keys = _from_variable(variable.removeprefix(PREFIX), raw)
            _put(raw, keys, environ[variable], variable, problems)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                "--set takes KEY=VALUE.",
                remedy="As --set endpoints.faction_crimes.timeout=PT1M.",
            )
        keys = [part.strip() for part in key.split(".")]
        for each in _meant(keys, raw, names):
            _put(raw, each, value, f"--set {masked(key.strip())}", problems)


def too_deep(value: Any) -> bool:
    """Whether a value is nested deeper than `DEEPEST`."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _from_variable(rest: str, raw: dict[str, Any]) -> list[str]:
    """The keys that a variable names, in lower case; only names of parameters keep their case."""
    keys = [part.lower() for part in rest.split("__")]
    own = rest.split("__")
    if len(keys) > 3 and keys[2] == "params" and not own[3].isupper():  # noqa: PLR2004
        keys[3] = own[3]
    section = raw.get(keys[0])
    if keys[0] == "keys" and len(keys) > 1 and isinstance(section, dict):
        keys[1] = next((name for name in section if name.lower() == keys[1]), keys[1])
    return keys


def _meant(keys: list[str], raw: dict[str, Any], names: Sequence[str] | None) -> list[list[str]]:
    """The full keys: a bare key of an endpoint means this key of each endpoint in `names`."""
    if keys[0] in Settings.model_fields or keys[0] not in EndpointSettings.model_fields:
        return [keys]
    if names is None:
        endpoints = raw.get("endpoints")
        names = [
            str(endpoint["name"])
            for endpoint in (endpoints if isinstance(endpoints, list) else [])
            if isinstance(endpoint, dict) and "name" in endpoint
        ]
    return [["endpoints", name, *keys] for name in names]


def _put(
    raw: dict[str, Any], keys: list[str], text: str, origin: str, problems: ConfigErrors
) -> None:
    place: Place = ()
    here: Any = raw
    if keys[0] not in Settings.model_fields:
        problems.add_at(origin, "there is no such setting", _known(keys[0]))
        return
    if keys[0] in _LISTS:
        name, index = keys[0], _index(raw, keys, origin, problems)
        if index is None:
            return
        place, here, keys = (name, index), raw[name][index], keys[2:]
        # An endpoint has a path or a url, so a new one replaces the other.
        here.pop({"path": "url", "url": "path"}.get(keys[0], ""), None)
    for key in keys[:-1]:
        place = (*place, key)
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            problems.add_at(origin, f"{problems.dotted(place)} holds no settings of its own")
            return
    if not keys or (not place and len(keys) == 1):
        problems.add_at(origin, "names a section, not a setting", f"As {origin}.url=…")
        return
    here[keys[-1]] = value_of(text)
    problems.origins[*place, keys[-1]] = origin


def _index(raw: dict[str, Any], keys: list[str], origin: str, problems: ConfigErrors) -> int | None:
    """The index of the entry that `keys` name, None where there is none."""
    entries = raw.get(keys[0])
    named = {
        str(entry.get("name")): index
        for index, entry in enumerate(entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    }
    if len(keys) < 3:  # noqa: PLR2004
        problems.add_at(origin, "names no setting", f"Write {keys[0]}.NAME.KEY.")
        return None
    if keys[1] not in named:
        what = _LISTS[keys[0]]
        problems.add_at(origin, f"there is no such {what}", near(keys[1], named))
        return None
    return named[keys[1]]


def _known(wrong: str) -> str:
    return near(
        wrong, [*Settings.model_fields, *EndpointSettings.model_fields], known=False
    ) or near(wrong, Settings.model_fields)


def value_of(text: str) -> Any:
    """The value of a text: as TOML where it is valid TOML (`5`, `true`, `["a"]`), else the text."""
    if "\n" in text:
        return text
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    if too_deep(value):
        return text
    return value if isinstance(value, str | bool | int | float | list | dict) else text
