"""Settings from the environment and the command line, laid over those of the file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from tcdatalogger.core.config.problems import ConfigErrors, masked, near
from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.config.toml_lines import Place
from tcdatalogger.errors import UsageError

PREFIX = "TCDATALOGGER_"
DEEPEST = 32
"""How deep values may be nested; no setting is by far."""


def apply(
    raw: dict[str, Any],
    problems: ConfigErrors,
    environ: Mapping[str, str],
    overrides: Sequence[str],
    names: Sequence[str] | None,
) -> None:
    """Change `raw` by the environment, then by the overrides; the last one wins.

    Raises:
        UsageError: an override is not written as `key=value`.
    """
    for variable in sorted(environ):
        # Without the double underscore it is not ours: Kubernetes, for one, sets
        # TCDATALOGGER_PORT beside a service of that name.
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
    """Whether a value is nested deeper than any setting."""
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
    """The keys that a variable names. Its case tells nothing, save for a parameter's own name."""
    keys = [part.lower() for part in rest.split("__")]
    own = rest.split("__")
    if len(keys) > 3 and keys[2] == "params" and not own[3].isupper():  # noqa: PLR2004
        keys[3] = own[3]
    section = raw.get(keys[0])
    if keys[0] == "keys" and len(keys) > 1 and isinstance(section, dict):
        keys[1] = next((name for name in section if name.lower() == keys[1]), keys[1])
    return keys


def _meant(keys: list[str], raw: dict[str, Any], names: Sequence[str] | None) -> list[list[str]]:
    """A bare key of an endpoint is meant for each of `names`."""
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
    if keys[0] == "endpoints":
        index = _index(raw, keys, origin, problems)
        if index is None:
            return
        place, here, keys = ("endpoints", index), raw["endpoints"][index], keys[2:]
        # One of the two is enough, so the new one takes the place of the old.
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
    """The place of the endpoint that `keys` name."""
    endpoints = raw.get("endpoints")
    named = {
        str(endpoint.get("name")): index
        for index, endpoint in enumerate(endpoints if isinstance(endpoints, list) else [])
        if isinstance(endpoint, dict)
    }
    if len(keys) < 3:  # noqa: PLR2004
        problems.add_at(origin, "names no setting", "Write endpoints.NAME.KEY.")
        return None
    if keys[1] not in named:
        problems.add_at(origin, "there is no such endpoint", near(keys[1], named))
        return None
    return named[keys[1]]


def _known(wrong: str) -> str:
    return near(
        wrong, [*Settings.model_fields, *EndpointSettings.model_fields], known=False
    ) or near(wrong, Settings.model_fields)


def value_of(text: str) -> Any:
    """What a text from outside means: TOML where it is some (`5`, `true`, `["a"]`), else itself."""
    if "\n" in text:
        return text
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    if too_deep(value):
        return text
    return value if isinstance(value, str | bool | int | float | list | dict) else text
