"""Any path of the catalogue, from configuration alone."""

from __future__ import annotations

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class GenericProcessor(EndpointProcessor):
    """All four steps as the catalogue says."""
