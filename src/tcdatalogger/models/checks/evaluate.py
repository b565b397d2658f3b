"""Evaluates the checks that a user configures, on whole columns.

A null passes every check except `required`. `unique` compares the rows of one subject.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.errors import ConfigError
from tcdatalogger.models.checks.promised import CheckResult
from tcdatalogger.models.checks.rules import Bound, Rule
from tcdatalogger.models.kept import Rows
from tcdatalogger.models.reading.lossless_json import INT_MAX, INT_MIN
from tcdatalogger.models.renames import near
from tcdatalogger.models.schema import TableFamily, TableSchema, Type

SUBJECT = "_subject_id"

_EXAMPLE = 60
_FAR = 1e19
"""A number that is larger than all integers of a column."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The result of one rule.

    Attributes:
        result: the result as the warehouse stores it.
        failing: a mask of the rows that fail, one value for each row; None where no row fails, or
            where the rule is about the number of rows.
    """

    result: CheckResult
    failing: pa.ChunkedArray | None = None


def evaluate(
    rules: Iterable[Rule], family: TableFamily, tables: Mapping[str, Rows]
) -> Iterator[RuleResult]:
    """The results of all rules whose table and columns exist, in the order of the rules.

    Args:
        rules: the rules.
        family: the schemas of the tables.
        tables: the rows of each table, by name.

    Raises:
        ConfigError: the values of a rule have another type than the column.
    """
    for rule in rules:
        table = family.table(rule.table) if rule.table else family.tables[0]
        if table is not None and all(table.column(name) for name in rule.columns):
            yield _evaluate(rule, table, tables[table.name])


def keyless(family: TableFamily, tables: Mapping[str, Rows]) -> RuleResult:
    """The result of the check that no key column of the root is null.

    The subject may be null: data of the whole city have no subject.
    """
    root = family.tables[0]
    rows = tables[root.name]
    key = [c.name for name in root.key if (c := root.column(name)) and not c.ours]
    failing = pa.chunked_array([pa.repeat(pa.scalar(value=False), rows.num_rows)])
    for name in key:
        if name != SUBJECT:
            failing = pc.or_(failing, pc.is_null(rows.column(name)))
    count = int(pc.sum(failing).as_py() or 0)
    says = f"its key ({', '.join(key)}) is not null"
    result = CheckResult(root.name, says, count, on_failure="quarantine")
    return RuleResult(result, failing if count else None)


def unknown(rules: Iterable[Rule], family: TableFamily) -> list[str]:
    """The tables and columns of rules that `family` lacks, each with a similar name if there is."""
    found = []
    names = [table.name for table in family.tables]
    for rule in rules:
        table = family.table(rule.table) if rule.table else family.tables[0]
        if table is None:
            found.append(f"the table {rule.table!r}{near(rule.table, names)}")
            continue
        known = [column.name for column in table.columns]
        found += [
            f"{table.name}.{name}{near(name, known)}" for name in rule.columns if name not in known
        ]
    return found


def _evaluate(rule: Rule, table: TableSchema, rows: Rows) -> RuleResult:
    def result(failed: int, example: str = "", row: str = "") -> CheckResult:
        return CheckResult(table.name, str(rule), failed, example, rule.on_failure, row)

    if rule.rows:
        number = rows.num_rows
        few = rule.least is not None and number < _number(rule.least)
        many = rule.most is not None and number > _number(rule.most)
        return RuleResult(result(max(number, 1), f"{number}") if few or many else result(0))
    failing = _repeats(rows, rule.columns) if rule.unique else _breaks(rule, table, rows)
    count = int(pc.sum(failing).as_py() or 0)
    if not count:
        return RuleResult(result(0))
    example = rows.slice(pc.indices_nonzero(failing)[0].as_py(), 1).to_pylist()[0]
    key = [name for name in table.key if name in example and name not in rule.columns]
    shown = _short(", ".join(str(example[name]) for name in rule.columns))
    row = _short(", ".join(f"{name} is {example[name]}" for name in key))
    return RuleResult(result(count, shown, row), failing)


def _short(text: str) -> str:
    return text if len(text) <= _EXAMPLE else f"{text[: _EXAMPLE - 1]}…"


def _number(bound: Bound) -> float:
    if isinstance(bound, datetime):
        raise ConfigError("A number of rows is compared with a number, not with a time.")
    return bound


def _breaks(rule: Rule, table: TableSchema, rows: Rows) -> pa.ChunkedArray:
    """A mask of the rows whose value is not allowed by a rule for one column."""
    [name] = rule.columns
    values = rows.column(name)
    column = table.column(name)
    kind = column.type if column else ""
    null = pc.is_null(values)
    wrong = [null if rule.required else _never(values)]
    if rule.type and rule.type != kind:
        wrong.append(pc.invert(_never(values)))
    try:
        if rule.least is not None:
            wrong.append(pc.less(values, _bound(rule.least, values.type, math.ceil)))
        if rule.most is not None:
            wrong.append(pc.greater(values, _bound(rule.most, values.type, math.floor)))
        if rule.values:
            allowed = pa.array(rule.values, values.type)
            wrong.append(pc.and_not(pc.invert(pc.is_in(values, value_set=allowed)), null))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, TypeError):
        raise ConfigError(
            f"The check that {rule} cannot be made: {table.name}.{name} is {kind}.",
            remedy=_fitting(rule, kind),
        ) from None
    found = wrong[0]
    for each in wrong[1:]:
        found = pc.or_(found, pc.fill_null(each, fill_value=False))
    return found


def _fitting(rule: Rule, kind: str) -> str:
    """What a check of a column of this type may have."""
    bounded = rule.least is not None or rule.most is not None
    if bounded and kind not in (Type.INT, Type.FLOAT, Type.TIME):
        return "`min` and `max` are for numbers and times; `values` lists what a column may have."
    if kind == Type.TIME:
        return "Write a time as 2020-01-01T00:00:00Z for `min` and `max`; `values` takes no times."
    return f"Write `{'min` and `max' if bounded else 'values'}` of the type {kind}."


def _never(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.and_(pc.is_null(values), pc.is_valid(values))


def _bound(bound: Bound, kind: pa.DataType, whole: Callable[[float], int]) -> pa.Scalar:
    """A bound as a value of the column's type; for integers it is rounded by `whole`."""
    if pa.types.is_timestamp(kind):
        if not isinstance(bound, datetime):
            raise TypeError("a time is compared with a time")
        return pa.scalar(bound, kind)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)) or isinstance(bound, datetime):
        raise TypeError("a number is compared with a number")
    if pa.types.is_integer(kind) and isinstance(bound, float):
        bound = max(INT_MIN, min(INT_MAX, whole(max(-_FAR, min(_FAR, bound)))))
    return pa.scalar(bound, kind)


def _repeats(rows: Rows, columns: tuple[str, ...]) -> pa.ChunkedArray:
    """A mask of rows with the values of an earlier row of the same subject; nulls never match."""
    names = list(dict.fromkeys((*columns, SUBJECT)))
    if not rows.num_rows:
        return pa.chunked_array([[]], pa.bool_())
    numbers = pa.array(range(rows.num_rows), pa.int64())
    keyed = rows.select(names).append_column("_row", numbers)
    first = keyed.group_by(names, use_threads=False).aggregate([("_row", "min")])["_row_min"]
    later = pc.invert(pc.is_in(numbers, value_set=first.combine_chunks()))
    for name in columns:
        valid = pc.is_valid(rows.column(name)).combine_chunks()
        later = pc.and_(later, valid)
    return pa.chunked_array([later])


def without(
    family: TableFamily, tables: Mapping[str, Rows], rule_results: Iterable[RuleResult]
) -> tuple[dict[str, Rows], dict[int, str]]:
    """The rows without the records that fail, and the reasons of these records.

    A record is a row of the root with all its child rows; all of them are taken out.

    Args:
        family: the schemas of the tables.
        tables: the rows of each table, by name.
        rule_results: the results of the rules.

    Returns:
        The rows that are left, by table; and the reason of each failed record, by its row number in
        the root.
    """
    root = family.tables[0]
    keys = {table.name: _records(family, table, tables[table.name]) for table in family.tables}
    why: dict[object, str] = {}
    for rule_result in rule_results:
        name = rule_result.result.table
        own = keys[name]
        if rule_result.failing is not None and own is not None:
            for key in own.filter(rule_result.failing).to_pylist():
                why.setdefault(key, f"it fails the check that {rule_result.result.check}")
    bad = pa.array(list(why), pa.string())
    left, rows = {}, {}
    for name, table in tables.items():
        own = keys[name]
        if own is None:
            left[name] = table
            continue
        gone = pc.is_in(own, value_set=bad)
        left[name] = table.filter(pc.invert(gone))
        if name == root.name:
            rows = {at: why[own[at].as_py()] for at in pc.indices_nonzero(gone).to_pylist()}
    return left, rows


def _records(family: TableFamily, table: TableSchema, rows: Rows) -> pa.ChunkedArray | None:
    """For each row the key of its record (root key and subject) as one text.

    None for tables that do not belong to records.
    """
    root = family.tables[0]
    names = [SUBJECT]
    for wanted in root.key:
        source = root.column(wanted)
        if source is None or wanted == SUBJECT:
            continue
        own = next((c for c in table.columns if c.name == wanted and table is root), None)
        own = own or next(
            (
                c
                for c in table.columns
                if (c.level, c.path, c.ours) == (source.level, source.path, source.ours)
            ),
            None,
        )
        if own is None:
            return None
        names.append(own.name)
    if table.beside:
        return None
    texts = [pc.cast(rows.column(name), pa.string()) for name in names]
    return pc.binary_join_element_wise(
        *texts, "\x1f", null_handling="replace", null_replacement="\x00"
    )
