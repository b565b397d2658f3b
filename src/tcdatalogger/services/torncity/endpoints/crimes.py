"""Organised crimes: `/faction/crimes`.

Slots and reward items are two child tables that know their crime and not each other: joined by
crime alone they would multiply, so sum money over `faction_crimes`, never over a child. An empty
slot has no user, and its `checkpoint_pass_rate` is then that of the key's owner, not of the slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tcdatalogger.services.torncity.base import EndpointProcessor


class CrimesProcessor(EndpointProcessor):
    """All crimes, newest first: a crime changes for days after it was created."""

    defaults: ClassVar[Mapping[str, str]] = {"cat": "all"}
