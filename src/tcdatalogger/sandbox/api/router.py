"""Finds the endpoints that a path asks for, also by the parameter `selections`."""

from __future__ import annotations

from collections.abc import Mapping

from tcdatalogger.sandbox.api.errors import Refusal
from tcdatalogger.services.torncity.catalog.catalog import Catalog, Endpoint

Routed = tuple[Endpoint, Mapping[str, str]]

_ONLY_V1 = {
    "faction": {
        *("armorynews", "attacknews", "crimenews", "currency", "donations", "fundsnews"),
        *("mainnews", "membershipnews", "territorynews", "armor", "boosters", "caches"),
        *("cesium", "drugs", "medical", "utilities", "temporary", "weapons"),
    },
    "torn": {
        *("dirtybombs", "raidreport", "raids", "chainreport", "rackets", "rankedwarreport"),
        *("rankedwars", "territorynames", "territorywarreport", "territorywars", "pawnshop"),
    },
    "company": {"details"},
}
_STANDALONE = {"log", "search", "snapshot"}
_SECTION, _OWN, _WITH_ID = 1, 2, 3  # parts of a path


class Router:
    """The endpoints of a catalogue by section and selection.

    Attributes:
        catalog: the catalogue.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._own: dict[tuple[str, str], Endpoint] = {}
        self._with_id: dict[tuple[str, str], tuple[Endpoint, str]] = {}
        for endpoint in catalog.endpoints:
            parts = endpoint.path.strip("/").split("/")
            if len(parts) == _OWN:
                self._own[parts[0], parts[1].lower()] = endpoint
            elif len(parts) == _WITH_ID:
                place = (parts[0], parts[2].lower())
                self._with_id[place] = (endpoint, parts[1].strip("{}"))

    def find(self, path: str, params: Mapping[str, str]) -> list[Routed]:
        """The endpoints that a call asks for, each with the values of its placeholders.

        Raises:
            Refusal: a selection is unknown (4), exists in v1 only (22), or the id does not fit (6).
        """
        parts = [part for part in path.split("/") if part]
        if not parts:
            raise Refusal(4)
        section = parts[0]
        given = params.get("id", "")
        if len(parts) == _WITH_ID:
            return [self._one(section, parts[2], parts[1])]
        if len(parts) == _OWN and (section, parts[1].lower()) in self._own | self._with_id:
            return [self._one(section, parts[1], given)]
        wanted = [word for word in params.get("selections", "").split(",") if word]
        if len(parts) == _OWN and not wanted:
            return [self._one(section, parts[1], given)]
        if len(parts) > _OWN or not wanted:
            raise Refusal(4)
        if len(wanted) > 1 and _STANDALONE.intersection(wanted):
            raise Refusal(4)
        which = parts[1] if len(parts) == _OWN else given
        return [self._one(section, word, which) for word in wanted]

    def _one(self, section: str, selection: str, given: str) -> Routed:
        place = (section, selection.lower())
        if given and place in self._with_id:
            endpoint, name = self._with_id[place]
            return endpoint, {name: given}
        if not given and place in self._own:
            return self._own[place], {}
        if selection.lower() in _ONLY_V1.get(section, ()):
            raise Refusal(22)
        if place in self._own:
            raise Refusal(6)
        raise Refusal(6 if place in self._with_id else 4)
