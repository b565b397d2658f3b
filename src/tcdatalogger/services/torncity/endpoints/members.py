"""Members of a faction: `/faction/members` and `/faction/{id}/members`.

Some values depend on the key: `revive_setting` is "Unknown" and `is_in_oc` is false for members of
another faction. The column `_subject_id` has the faction of a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class MembersProcessor(EndpointProcessor):
    """Asks for texts without HTML, so a change of Torn's default changes no row."""

    defaults: ClassVar[Mapping[str, str]] = {"striptags": "true"}
