"""Starts the emulator; it runs on the emulator's Python and imports nothing of ours.

While the emulator translates a statement it looks into its catalogue for each mention of a table,
and a look takes milliseconds. Nothing changes meanwhile, so each table is looked up once.
Where two transactions met it answers with words of its own engine; it gets those of BigQuery.
"""

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from local_bigquery import cli, errors
from local_bigquery.catalog import metadata, tables
from local_bigquery.engine import database
from local_bigquery.grpc import read
from local_bigquery.jobs import query
from local_bigquery.sql import script, translate
from local_bigquery.sql.rules import partitions

_MET = "Failed to commit DuckLake transaction"
_BUSY = "Transaction is aborted due to concurrent update against table"

_now = threading.local()


def once(look: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but asked once for the same words while a statement is translated."""

    @functools.wraps(look)
    def looked(*words: object) -> Any:
        seen = getattr(_now, "seen", None)
        if seen is None:
            return look(*words)
        key = (look, *map(str, words))
        if key not in seen:
            seen[key] = look(*words)
        return seen[key]

    return looked


def translated(tree: object, context: object) -> Any:
    """As the emulator translates it."""
    _now.seen = {}
    try:
        return _translate(tree, context)
    finally:
        _now.seen = None


def refused(error: Any, reason: str, message: str, location: str | None = None) -> None:
    """An error, in BigQuery's words."""
    _refused(error, reason, _BUSY if _MET in message else message, location)


_refused = errors.BigQueryError.__init__
errors.BigQueryError.__init__ = refused
_translate = translate.translate
for module in (translate, script, query, read):
    module.translate = translated
database.objects = once(database.objects)
metadata.load = once(metadata.load)
tables.columns = once(tables.columns)
partitions._hidden = once(partitions._hidden)  # noqa: SLF001  # the emulator's

if __name__ == "__main__":
    sys.exit(cli.main())
