"""The lines of a configuration that log a path."""

from __future__ import annotations

import json
from collections.abc import Mapping


def written(
    name: str,
    path: str,
    *,
    ids: str = "",
    frequency: str = "",
    mode: str = "",
    since: str = "",
    params: Mapping[str, str] | None = None,
) -> str:
    """The lines of an endpoint; what is "" is left to its default.

    Args:
        name: of the endpoint.
        path: that it reads.
        ids: a list in TOML, or a query that begins with `query:`.
        frequency: an ISO 8601 duration.
        mode: the storage mode.
        since: how far back the first run goes.
        params: the parameters of the path.
    """
    lines = ["[[endpoints]]", f'name = "{name}"', f'path = "{path}"']
    if ids:
        lines.append(f"ids = {ids if ids.startswith('[') else json.dumps(ids)}")
    given = {"frequency": frequency, "storage_mode": mode, "since": since}
    lines += [f'{setting} = "{value}"' for setting, value in given.items() if value]
    if params:
        pairs = ", ".join(f"{name} = {json.dumps(value)}" for name, value in params.items())
        lines.append(f"params = {{ {pairs} }}")
    return "\n".join(lines)


def named(name: str, params: Mapping[str, str], taken: set[str]) -> str:
    """The name of an endpoint: of its path and of what it asks for; no name comes twice."""
    found = "_".join([name, *(value.lower() for value in params.values())])
    while found in taken:
        found += "_more"
    return found
