"""Money and points of a faction: `/faction/balance`.

Version 1 of Torn's API called it `currency`; version 2 answers that with error 22. The root has one
row for the faction; a child table has the balance of each member.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class CurrencyProcessor(EndpointProcessor):
    """Asks for present members; with `cat = "all"` also for former members with a balance."""

    defaults: ClassVar[Mapping[str, str]] = {"cat": "current"}
