"""A faction in one row: `/faction/basic` and `/faction/{id}/basic`.

`co_leader_id` is 0 where a faction has none: Torn's word, so it is kept. `is_enlisted` is null
without faction access, which is not the same as false.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class BasicProcessor(EndpointProcessor):
    """Texts come without HTML, whatever Torn's default is to be."""

    defaults: ClassVar[Mapping[str, str]] = {"striptags": "true"}
