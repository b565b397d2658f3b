"""The steps of a run."""

from __future__ import annotations

from typing import Final

STEPS: Final = ("fetch", "transform", "validate", "store")
"""The steps in their order."""
