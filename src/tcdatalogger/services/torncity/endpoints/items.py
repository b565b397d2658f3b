"""Items of the city: `/torn/items`.

All of `details` is stored: base stats, ammunition, mods and coverage. Torn's document says that the
category `All` has no details, but its answers have them. Shops are a child table. Torn removes the
vendor and its prices, columns of the root, on 1 January 2027.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class ItemsProcessor(EndpointProcessor):
    """Asks for all categories by default."""

    defaults: ClassVar[Mapping[str, str]] = {"cat": "All"}
