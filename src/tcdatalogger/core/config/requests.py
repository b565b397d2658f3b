"""The requests of a configured endpoint: one path for each id, and the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.errors import ConfigError, UsageError
from tcdatalogger.services.torncity.catalog import catalog, time_fields
from tcdatalogger.services.torncity.catalog.catalog import BY_TIME
from tcdatalogger.text import did_you_mean


def path_values(
    endpoint: EndpointSettings, entry: catalog.Endpoint, given: Mapping[str, str]
) -> tuple[dict[str, str], ...]:
    """The values of the path's placeholders, one mapping for each request.

    Args:
        endpoint: the configured endpoint.
        entry: its endpoint in the catalogue.
        given: the values that are in its path already, as `Catalog.find` returns them.

    Returns:
        The mappings; a placeholder without a value is missing in them. One empty mapping for a path
        without placeholders.
    """
    names = [parameter.name for parameter in entry.path_parameters]
    fixed = {name: value for name, value in given.items() if value != f"{{{name}}}"}
    fixed |= {name: text(endpoint.params[name]) for name in names if name in endpoint.params}
    free = [name for name in names if name not in fixed]
    if not endpoint.ids or not free:
        return (fixed,)
    return tuple({**fixed, free[0]: text(value)} for value in endpoint.ids)


def query(endpoint: EndpointSettings, entry: catalog.Endpoint) -> tuple[tuple[str, str], ...]:
    """The parameters of the query as texts, in the order of the configuration."""
    in_path = {parameter.name for parameter in entry.path_parameters}
    return tuple(
        (name, text(value)) for name, value in endpoint.params.items() if name not in in_path
    )


def is_incremental(endpoint: EndpointSettings, entry: catalog.Endpoint) -> bool:
    """Whether runs ask only for new rows: as configured, else where the list allows it."""
    if endpoint.incremental is not None:
        return endpoint.incremental
    return endpoint.storage_mode != "replace" and why_not_incremental(endpoint, entry) == ""


def why_not_incremental(endpoint: EndpointSettings, entry: catalog.Endpoint) -> str:
    """Why runs cannot ask only for new rows, "" where they can."""
    if entry.paging not in BY_TIME or not time_fields.field(entry.path):
        return f"{entry.path} is no list by time"
    given = [name for name in ("from", "to", "offset") if name in endpoint.params]
    return f"its params set {given[0]!r}" if given else ""


def text(value: object) -> str:
    """A value as a text for the query: lists with commas, true and false in lower case."""
    if isinstance(value, tuple | list):
        return ",".join(text(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def chosen(
    settings: Settings, names: Sequence[str] = (), *, everything: bool = False, tag: str | None
) -> list[EndpointSettings]:
    """The chosen endpoints: by name, all that are enabled, or those with a tag.

    Args:
        settings: the settings.
        names: names of endpoints.
        everything: whether all enabled endpoints are chosen.
        tag: the tag of the endpoints, None for none.

    Raises:
        UsageError: there is no endpoint with that name or tag.
        ConfigError: all endpoints are chosen, and none is enabled.
    """
    endpoints = settings.endpoints
    if everything:
        enabled = [endpoint for endpoint in endpoints if endpoint.enabled]
        if not enabled:
            raise ConfigError(
                "No endpoint is configured.",
                remedy="Add one under [[endpoints]]; `tcdatalogger catalog` lists them.",
            )
        return enabled
    if tag is not None:
        found = [e for e in endpoints if tag in e.tags and e.enabled]
        if not found:
            known = sorted({tag for e in endpoints if e.enabled for tag in e.tags})
            raise UsageError(
                f"No endpoint that is enabled has the tag {tag!r}.",
                remedy=f"There are: {', '.join(known)}."
                if known
                else 'Give it to an endpoint, as tags = ["war"].',
            )
        return found
    return [_named(settings, name) for name in dict.fromkeys(names)]


def _named(settings: Settings, name: str) -> EndpointSettings:
    found = settings.endpoint(name)
    if found is not None:
        return found
    known = [endpoint.name for endpoint in settings.endpoints]
    raise UsageError(
        f"There is no endpoint {name!r}.",
        remedy=did_you_mean(name, known, f"There are: {', '.join(known)}."),
    )
