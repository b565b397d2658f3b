"""Ids of runs."""

from __future__ import annotations

import secrets

from tcdatalogger.clock import Clock, utc


def new_run_id(clock: Clock) -> str:
    """A new id that sorts by time: `20261123T081500Z-5f3a9c1e`."""
    return f"{utc(clock.now()):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
