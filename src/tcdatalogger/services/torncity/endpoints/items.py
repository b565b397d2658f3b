"""Items of the city: `/torn/items`.

The whole of `details` is kept: base stats, ammunition, mods and coverage. The document says that
the category `All` comes without them; it comes with them. Shops are a child table; the vendor and
its prices in the root go on 1 January 2027.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class ItemsProcessor(EndpointProcessor):
    """Every category unless one is asked for."""

    defaults: ClassVar[Mapping[str, str]] = {"cat": "All"}
