"""Where an endpoint has players: in its bodies, and in the columns of its tables."""

from __future__ import annotations

from tcdatalogger.models.people.columns import PersonColumns, of_family
from tcdatalogger.models.people.rewriter import PersonFacts
from tcdatalogger.models.records import key_fields
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.services.torncity.catalog.catalog import Endpoint


def facts(endpoint: Endpoint, family: TableFamily | None = None) -> PersonFacts:
    """Where players are in the bodies of an endpoint.

    Args:
        endpoint: of the catalogue.
        family: its tables as they are configured; None for those of the catalogue.
    """
    family = family or endpoint.family
    paths = tuple(tuple(text.split(".")) for text in endpoint.people)
    if endpoint.content == "csv":
        return PersonFacts(endpoint.shape, tuple((path[-1],) for path in paths), csv=True)
    if family is None or not family.listed:
        return PersonFacts(endpoint.shape, paths)
    return PersonFacts(endpoint.shape, paths, family.root, key_fields(family))


def columns(endpoint: Endpoint, family: TableFamily) -> tuple[PersonColumns, ...]:
    """Where players are in the tables of an endpoint."""
    paths = tuple(tuple(text.split(".")) for text in endpoint.people)
    return of_family(family, paths, about_player=endpoint.about_player)
