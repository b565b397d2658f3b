"""Money and points of a faction: `/faction/balance`.

The first version of Torn's API had `currency` for it; version 2 answers that with error 22. One row
for the faction, and a child table with what each member has in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class CurrencyProcessor(EndpointProcessor):
    """The members of today; `cat = "all"` brings those who left with money in it too."""

    defaults: ClassVar[Mapping[str, str]] = {"cat": "current"}
