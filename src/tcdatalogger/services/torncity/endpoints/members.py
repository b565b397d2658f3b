"""Members of a faction: `/faction/members` and `/faction/{id}/members`.

What a member's row says depends on the key: `revive_setting` is "Unknown" and `is_in_oc` false for
another faction's members. The rows know their faction by `_subject_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class MembersProcessor(EndpointProcessor):
    """Texts come without HTML, whatever Torn's default is to be."""

    defaults: ClassVar[Mapping[str, str]] = {"striptags": "true"}
