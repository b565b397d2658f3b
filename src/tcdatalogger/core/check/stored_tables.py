"""Checks stored tables: their keys, the configured checks, and their layout."""

from __future__ import annotations

from collections.abc import Iterator

from tcdatalogger.errors import DataRefused, Failure
from tcdatalogger.models.checks.evaluate import evaluate
from tcdatalogger.models.checks.rules import Rule
from tcdatalogger.models.records import SEEN, VERSION
from tcdatalogger.models.schema import TableFamily, TableSchema, Type
from tcdatalogger.services.torncity.processing.task import Task
from tcdatalogger.services.warehouse.protocol import Warehouse

CLOSED = VERSION[1]
"""The column with the end of a version; null for a current version."""


_EVER = f"({SEEN} is null or {SEEN} >= timestamp '0001-01-01 00:00:00+00')"
"""Holds for every row: BigQuery may refuse a query that does not say which times it means."""


def findings(
    warehouse: Warehouse, task: Task, family: TableFamily
) -> Iterator[tuple[str, str, Failure | None, bool]]:
    """The fields of a `Finding` for every table: part, text, failure, and whether it is plain.

    Args:
        warehouse: the warehouse; nothing is changed.
        task: the task of the endpoint.
        family: the tables of the endpoint with all learned fields.
    """
    stored = {
        name: set(columns)
        for name, columns in warehouse.stored([table.name for table in family.tables]).items()
    }
    there = [table for table in family.tables if table.name in stored]
    for table in there:
        yield *_key(warehouse, task, table, stored[table.name]), False
    for rule in task.checks:
        owner = next((t for t in there if t.name == (rule.table or family.tables[0].name)), None)
        lasting = not rule.rows and not rule.unique
        if owner is not None and lasting and stored[owner.name].issuperset(rule.columns):
            yield *_rule(warehouse, rule, family, owner, stored[owner.name]), False
    for table in there:
        says, well = warehouse.layout(table.name)
        yield f"layout of {table.name}", says, None, well


def _key(
    warehouse: Warehouse, task: Task, table: TableSchema, stored: set[str]
) -> tuple[str, str, Failure | None]:
    """Whether a key is repeated: within a run for append, else among the current rows."""
    part = f"key of {table.name}"
    within = ["_subject_id", *(["_run_id"] if task.mode == "append" else [])]
    names = list(dict.fromkeys((*table.key, *within)))
    lacking = [name for name in names if name not in stored]
    if lacking:
        return part, f"its column {lacking[0]} is not stored yet", None
    quoted = warehouse.dialect.name
    own = [name for name in table.key if name != "_subject_id"]
    open_only = task.mode == "history" and CLOSED in stored
    given = " and ".join(
        [
            *(f"{quoted(name)} is not null" for name in own),
            f"{quoted(CLOSED)} is null" if open_only else "true",
            _ever(stored),
        ]
    )
    [row] = warehouse.query(
        f"""select count(*) as keys, coalesce(sum(times - 1), 0) as too_many
            from (select count(*) as times from {quoted(table.name)}
                  where {given} group by {warehouse.dialect.names(*names)}) as counted"""
    ).to_pylist()
    key = ", ".join(table.key)
    scope = {"append": " within each run", "history": " among the versions in force"}.get(
        task.mode, ""
    )
    if row["too_many"]:
        return (
            part,
            "",
            DataRefused(
                f"The key of {table.name} ({key}) repeats in {int(row['too_many'])} rows{scope}.",
                remedy=f"`tcdatalogger rebuild {task.name}` makes the rows again.",
            ),
        )
    return part, f"{key}: unique{scope}, {row['keys']} keys", None


def _rule(
    warehouse: Warehouse, rule: Rule, family: TableFamily, table: TableSchema, stored: set[str]
) -> tuple[str, str, Failure | None]:
    """Evaluate a check on the stored rows."""
    part = f"check of {table.name}"
    dialect = warehouse.dialect
    columns = ", ".join(
        dialect.text_of_json(c.name) if c.type is Type.JSON else dialect.name(c.name)
        for c in table.columns
        if c.name in rule.columns
    )
    rows = warehouse.query(
        f"select {columns} from {dialect.name(table.name)} where {_ever(stored)}"
    )
    try:
        [rule_result] = evaluate([rule], family, {table.name: rows})
    except Failure as failure:
        return part, "", failure
    if rule_result.result.passed:
        return part, f"{rule}: {rows.num_rows} rows", None
    wrong = DataRefused(
        f"{rule_result.result}.", remedy="The rows were stored before the check was configured."
    )
    return part, "", wrong


def _ever(stored: set[str]) -> str:
    return _EVER if SEEN in stored else "true"
