"""Chooses the processor of an endpoint: a built-in one by the path, one of a file or of a package.

An endpoint names a processor of a file by `processor = "levels.py:Levels"`. A package registers a
processor as follows, and an endpoint names it by `processor = "battle_report"`:

    [project.entry-points."tcdatalogger.processors"]
    battle_report = "my_package:BattleReport"
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Final

from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.endpoints import in_file
from tcdatalogger.services.torncity.endpoints.basic import BasicProcessor
from tcdatalogger.services.torncity.endpoints.crimes import CrimesProcessor
from tcdatalogger.services.torncity.endpoints.currency import CurrencyProcessor
from tcdatalogger.services.torncity.endpoints.items import ItemsProcessor
from tcdatalogger.services.torncity.endpoints.members import MembersProcessor
from tcdatalogger.services.torncity.processing.base import EndpointProcessor
from tcdatalogger.text import did_you_mean

GROUP: Final = "tcdatalogger.processors"

BUILT_IN: Final[dict[str, type[EndpointProcessor]]] = {
    "basic": BasicProcessor,
    "crimes": CrimesProcessor,
    "currency": CurrencyProcessor,
    "generic": EndpointProcessor,
    "items": ItemsProcessor,
    "members": MembersProcessor,
}

_BY_PATH: Final = {
    "/faction/basic": "basic",
    "/faction/{id}/basic": "basic",
    "/faction/crimes": "crimes",
    "/faction/balance": "currency",
    "/torn/items": "items",
    "/faction/members": "members",
    "/faction/{id}/members": "members",
}


def processor(path: str, name: str = "") -> type[EndpointProcessor]:
    """The class that serves an endpoint.

    Args:
        path: the path of the catalogue.
        name: the configured name of a processor, with an absolute path for a file; "" for the
            processor of the path.

    Raises:
        ConfigError: no package registers this name, the registered object is no processor, or
            loading the file fails (`in_file.load`).
    """
    name = name or _BY_PATH.get(path, "generic")
    if name in BUILT_IN:
        return BUILT_IN[name]
    if in_file.names_file(name):
        return in_file.load(name)
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in others:
        raise ConfigError(
            f"No processor {name!r} is registered.",
            remedy=did_you_mean(
                name,
                [*BUILT_IN, *others],
                f"A package registers it in the entry point group {GROUP!r}; one in a file is "
                "named as 'levels.py:Levels'.",
            ),
        )
    return _load(others[name])


def _load(entry: EntryPoint) -> type[EndpointProcessor]:
    try:
        found = entry.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"The processor {entry.name!r} cannot be loaded: {error}.") from None
    if not (isinstance(found, type) and issubclass(found, EndpointProcessor)):
        raise ConfigError(
            f"The processor {entry.name!r} ({entry.value}) is no EndpointProcessor.",
            remedy="Derive it from tcdatalogger.EndpointProcessor.",
        )
    return found
