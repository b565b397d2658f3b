"""A faction in one row: `/faction/basic` and `/faction/{id}/basic`.

`co_leader_id` is 0 where a faction has no co-leader, as Torn sends it. `is_enlisted` is null
without faction access; that is not the same as false.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class BasicProcessor(EndpointProcessor):
    """Asks for texts without HTML, so a change of Torn's default changes no row."""

    defaults: ClassVar[Mapping[str, str]] = {"striptags": "true"}
