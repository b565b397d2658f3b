"""The table that the engine keeps for itself: whose turn it is, what is kept, what is still to do.

All that a transaction was told is true at its commit if nobody else has committed since its begin.
So each commit takes the next turn: it changes one row, which it must find as it was. Two commits
that change it at once are refused by BigQuery but for one; who comes later does not find the row.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from google.cloud.bigquery import SchemaField

from tcdatalogger.models.schema import Type
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.sql import text

TABLE: Final = "_tcd_bigquery"
SCHEMA: Final = (
    SchemaField("kind", "STRING", "REQUIRED"),
    SchemaField("name", "STRING", "REQUIRED"),
    SchemaField("value", "STRING", "REQUIRED"),
)
TURN: Final = "turn"
KEPT: Final = "kept"
TO_DO: Final = "to do"

DROP: Final = "drop"
RENAME: Final = "rename"
ADD: Final = "add"

LOST: Final = "tcd-turn"
"""What BigQuery says where another commit came first."""

READ: Final = f"select kind, name, value from {TABLE}"


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table that is kept for a rollback. Its name is one of ours; where it is, is BigQuery's.

    Attributes:
        place: the name of the table in the dataset.
        columns: of it, with their types.
    """

    place: str
    columns: Mapping[str, Type]


@dataclass(frozen=True, slots=True)
class Step:
    """A change of a table that comes after its commit, as BigQuery takes none within it.

    Attributes:
        what: `DROP`, `RENAME` or `ADD`.
        table: its name.
        column: of it.
        to: its other name, or the type of a new one in BigQuery's word.
    """

    what: str
    table: str
    column: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the table says.

    Attributes:
        number: of the commits so far.
        seq: the greatest number of a line of the ledger.
        by: tells two commits with the same numbers apart.
        kept: what is kept for a rollback, by name.
        to_do: what the last commits have left to be done, in order; by the name of its row.
    """

    number: int = 0
    seq: int = 0
    by: str = ""
    kept: Mapping[str, KeptTable] = field(default_factory=dict)
    to_do: Mapping[str, Step] = field(default_factory=dict)

    @property
    def value(self) -> str:
        """As it stands in the table."""
        return json.dumps([self.number, self.seq, self.by])

    def next(self, seq: int) -> Turn:
        """The turn that a commit takes; `seq` is the greatest number of a line after it."""
        return replace(self, number=self.number + 1, seq=seq, by=uuid.uuid4().hex)


def current(client: Client) -> Turn:
    """The turn as it is now."""
    return read(client.ask(READ).to_pylist())


def read(rows: Sequence[Mapping[str, str]]) -> Turn:
    """What the rows of the table say; without any nothing was committed yet."""
    kept, to_do, found = {}, {}, Turn()
    for row in sorted(rows, key=lambda row: row["name"]):
        value = json.loads(row["value"])
        match row["kind"]:
            case "turn":
                number, seq, by = value
                found = replace(found, number=number, seq=seq, by=by)
            case "kept":
                place, columns = value
                kept[row["name"]] = KeptTable(place, {n: Type(kind) for n, kind in columns.items()})
            case _:
                to_do[row["name"]] = Step(*value)
    return replace(found, kept=kept, to_do=to_do)


def take(before: Turn, after: Turn) -> list[str]:
    """The first statements of a commit: nobody else has committed since `before` was read."""
    mine = f"kind = '{TURN}' and value = {text(before.value)}"
    return [
        f"update {TABLE} set value = {text(after.value)} where {mine}",
        f"assert @@row_count = 1 as '{LOST}'",
    ]


def write(
    before: Turn, kept: Mapping[str, KeptTable], steps: Sequence[Step], number: int
) -> list[str]:
    """The last statements of a commit: what is kept now, and what is to do afterwards."""
    changed = sorted(
        name for name in {*before.kept, *kept} if before.kept.get(name) != kept.get(name)
    )
    gone = [name for name in changed if name in before.kept]
    lines = [
        (KEPT, name, json.dumps([kept[name].place, dict(kept[name].columns)]))
        for name in changed
        if name in kept
    ]
    lines += [
        (
            TO_DO,
            f"{number:012d}-{place:06d}",
            json.dumps([step.what, step.table, step.column, step.to]),
        )
        for place, step in enumerate(steps)
    ]
    statements = []
    if gone:
        some = ", ".join(map(text, gone))
        statements.append(f"delete from {TABLE} where kind = '{KEPT}' and name in ({some})")
    if lines:
        values = ", ".join(f"({', '.join(map(text, line))})" for line in lines)
        statements.append(f"insert into {TABLE} (kind, name, value) values {values}")
    return statements


def done(name: str) -> str:
    """The statement that forgets what was to do and is done."""
    return f"delete from {TABLE} where kind = '{TO_DO}' and name = {text(name)}"
