"""The law of conservation, with the engine's name in its errors."""

from __future__ import annotations

from functools import partial
from typing import Final

import duckdb

from tcdatalogger.services.warehouse import conservation

ENGINE: Final = f"DuckDB {duckdb.__version__}"

agree: Final = partial(conservation.agree, ENGINE)
"""As `conservation.agree` of every warehouse."""
