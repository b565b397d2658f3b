"""What a schedule takes of Google's limits, and what it costs. Nothing is asked here.

The facts are Google's documentation, read in November 2026 in public copies:
docs.cloud.google.com/bigquery/quotas (standard tables, partitioned tables, load jobs),
…/bigquery/docs/data-manipulation-language, …/reference/standard-sql/dml-syntax and
cloud.google.com/bigquery/pricing (a copy of September 2026).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

WRITES: Final = 1_500
"""How often a day a table may be written to.

Load, copy and query jobs beyond it are refused. What this program puts into a table that stays is
put by statements, and those are never refused: "DML statements are excluded" (quotas). But of more
than 1,500 INSERT statements within 24 hours at most ten run at once, and a hundred wait."""
OUR_WRITES: Final = 1_000
"""How often a day a schedule may write to a table: the rest is for retries and backfills."""
LOADS: Final = 100_000
"""Load jobs a day of a project; failed ones count. A commit has one for each of its tables, and
each of them has a table of its own, so the limit of a table is not touched."""
OUR_LOADS: Final = LOADS * OUR_WRITES // WRITES
"""How many of them a schedule may have."""

LEAST: Final = 10 * 2**20
"""The fewest bytes that are billed for a table of which a statement reads anything."""
FREE: Final = 2**40
"""Bytes of queries that a billing account has for nothing in a month."""
PRICE: Final = 6.25
"""US dollars for each TiB beyond, on demand, in the EU and the US."""
_DAYS: Final = 365.25 / 12

APPEND: Final = (10, 5)
COMPARE: Final = (20, 12)
"""How many tables the statements of one commit read: in all, and for each table of the family.

Those of a plain append, and of a commit that compares with what is stored. A test counts them
(`tests/google/test_calls_of_a_commit.py`)."""
_WHOLE: Final[Mapping[str, float]] = {"append": 0.5, "replace": 1.0, "merge": 3.0, "history": 3.0}
"""How often a run reads all bytes of its tables, at most, by its storage mode.

Each counts the rows of the run, which reads `_run_id`. `merge` and `history` read the keys, keep
what they change, and are billed for all of the partitions that a statement changes."""
_ONCE: Final = 1.5
"""The same for append, where it looks for what is stored already."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What runs by itself.

    Attributes:
        endpoint: its name.
        mode: its storage mode.
        once: whether it leaves out what is stored already.
        tables: that it writes.
        runs: in a day.
        stored: bytes of its tables as they are now.
    """

    endpoint: str
    mode: str
    once: bool
    tables: tuple[str, ...]
    runs: float
    stored: int

    @property
    def scanned(self) -> float:
        """The bytes that its commits read in a month, at most."""
        whole = max(_WHOLE[self.mode], _ONCE if self.once else 0.0) * self.stored
        plain = self.mode == "append" and not self.once
        of_ledger, of_a_table = APPEND if plain else COMPARE
        least = LEAST * (of_ledger + of_a_table * len(self.tables))
        return self.runs * _DAYS * (whole + least)


def writes(scheduled: Iterable[Scheduled]) -> dict[str, float]:
    """How often a day each table is written to."""
    found: dict[str, float] = defaultdict(float)
    for one in scheduled:
        for table in one.tables:
            found[table] += one.runs
    return dict(found)


def loads(scheduled: Iterable[Scheduled]) -> float:
    """The load jobs of a day."""
    return sum(one.runs * len(one.tables) for one in scheduled)


def price(scanned: float) -> float:
    """US dollars for the bytes that are read in a month, on demand."""
    return max(0.0, scanned - FREE) / 2**40 * PRICE
