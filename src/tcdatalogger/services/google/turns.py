"""The table that the engine keeps for itself: whose turn it is, what is kept, what is still to do.

All that a transaction was told is true at its commit if nobody else has changed the same since its
begin. So each endpoint and each family of tables has a row, its turn, and each commit changes the
turns of what it has to do with, which it must find as they were. Every commit changes one more row,
that of all: BigQuery refuses all but one of the scripts that change one table at once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
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
CLUSTER: Final = "cluster"

LOST: Final = "tcd-turn"
"""What BigQuery says where another commit came first."""

NOW: Final = "unix_micros(current_timestamp())"
"""The time by BigQuery's clock: tables expire by it, and a machine's own clock may be wrong."""

READ: Final = (
    f"select kind, name, value from {TABLE} union all select 'now', '', cast({NOW} as string)"
)


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
        what: `DROP`, `RENAME`, `ADD` or `CLUSTER`.
        table: its name.
        column: of it; "" for the whole table.
        to: its other name, the type of a new one in BigQuery's word, or the columns by which the
            table is clustered, with a comma between them.
    """

    what: str
    table: str
    column: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the table says.

    Attributes:
        values: the turn of each endpoint and each family, by `endpoint` and `family`; that of all
            by "".
        kept: what is kept for a rollback, by name.
        to_do: what the last commits have left to be done, in order; by the name of its row.
        now: when it was read, by BigQuery's clock; seconds since 1970.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, KeptTable] = field(default_factory=dict)
    to_do: Mapping[str, Step] = field(default_factory=dict)
    now: float = 0.0


ALL: Final = ""
OWNERS: Final = "owners"
"""The turn of those who write whose tables are."""


def endpoint(name: str) -> str:
    """The turn of an endpoint."""
    return f"endpoint {name}"


def family(root: str) -> str:
    """The turn of the tables of a family."""
    return f"family {root}"


def time(client: Client) -> float:
    """What BigQuery's clock says, seconds since 1970."""
    [row] = client.ask(f"select {NOW} as now").to_pylist()
    return int(row["now"]) / 1e6


def current(client: Client) -> Turn:
    """The turns as they are now."""
    table = client.table(TABLE)
    return (
        Turn() if table is None else read(client.read(table, ["kind", "name", "value"]).to_pylist())
    )


def read(rows: Sequence[Mapping[str, str]]) -> Turn:
    """What the rows of the table say; without any nothing was committed yet."""
    values, kept, to_do, now = {}, {}, {}, 0.0
    for row in sorted(rows, key=lambda row: row["name"]):
        name, value = row["name"], row["value"]
        match row["kind"]:
            case "now":
                now = int(value) / 1e6
            case "turn":
                values[name] = value
            case "kept":
                place, columns = json.loads(value)
                kept[name] = KeptTable(place, {n: Type(kind) for n, kind in columns.items()})
            case _:
                to_do[name] = Step(*json.loads(value))
    return Turn(values, kept, to_do, now)


def take(before: Turn, mine: Collection[str] | None, by: str) -> list[str]:
    """The first statements of a commit: nobody has changed the same since `before` was read.

    Args:
        before: the turns at the start.
        mine: those of the commit; None for all of them.
        by: what they become; no two commits have the same.
    """
    turn = f"kind = '{TURN}'"
    statements = [
        f"update {TABLE} set value = {text(by)} where {turn} and name = '{ALL}'",
        f"assert @@row_count = 1 as '{LOST}'",
    ]
    if mine is None:
        count = f"(select count(*) from {TABLE} where {turn})"
        statements.append(f"assert {count} = {len(before.values)} as '{LOST}'")
    names = sorted(set(before.values if mine is None else mine) - {ALL})
    known = [name for name in names if name in before.values]
    new = [name for name in names if name not in before.values]
    if known:
        found = " or ".join(
            f"(name = {text(name)} and value = {text(before.values[name])})" for name in known
        )
        statements += [
            f"update {TABLE} set value = {text(by)} where {turn} and ({found})",
            f"assert @@row_count = {len(known)} as '{LOST}'",
        ]
    if new:
        some = ", ".join(map(text, new))
        lines = ", ".join(f"('{TURN}', {text(name)}, {text(by)})" for name in new)
        taken = f"select 1 from {TABLE} where {turn} and name in ({some})"
        statements += [
            f"assert not exists ({taken}) as '{LOST}'",
            f"insert into {TABLE} (kind, name, value) values {lines}",
        ]
    return statements


def write(
    before: Turn, kept: Mapping[str, KeptTable], steps: Sequence[Step], now: float
) -> list[str]:
    """The last statements of a commit: what is kept now, and what is to do afterwards.

    Args:
        before: as the transaction found it.
        kept: what is kept now.
        steps: what is to do, in order.
        now: seconds since 1970.
    """
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
            f"{now:017.6f}-{place:06d}",
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
