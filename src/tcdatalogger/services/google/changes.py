"""A table changed: what is touched is kept beside, and values and rows are compared.

BigQuery changes no table within a transaction. What adds something comes before it. What takes
something away comes after it, and is written down within it, so that whoever comes next does what a
crash has left undone. Between the two nothing of a value is lost, and the ledger says which columns
a table has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.evolution import Change, Step
from tcdatalogger.models.schema import SYSTEM, Type
from tcdatalogger.services.google import sql, turns
from tcdatalogger.services.google.acts import ENGINE, Count
from tcdatalogger.services.google.session import Session
from tcdatalogger.services.google.tables import NO_CLUSTER
from tcdatalogger.services.warehouse.conservation import agree
from tcdatalogger.services.warehouse.schema_changes import BEFORE, TOUCHES

_PASSING: Final = "_tcd_passing_"
_EXAMPLE: Final = 60

_WAYS: Final = {
    (Type.INT, Type.TIME): ("safe.timestamp_seconds({})", "unix_seconds({})"),
    (Type.TIME, Type.INT): ("unix_seconds({})", "safe.timestamp_seconds({})"),
    (Type.TEXT, Type.JSON): ("to_json({})", "json_value({}, '$')"),
    (Type.JSON, Type.TEXT): (
        "to_json_string({})",
        "safe.parse_json({}, wide_number_mode=>'exact')",
    ),
}
"""Ways there and back that are no cast: a Unix time, and a text, which in JSON has quotes."""


def _ways(was: Type, to: Type) -> tuple[str, str]:
    """How a value of a type becomes one of another, and how that one comes back."""
    there, back = f"safe_cast({{}} as {sql.TYPES[to]})", f"safe_cast({{}} as {sql.TYPES[was]})"
    if Type.JSON in (was, to) and (was, to) not in _WAYS:
        there = (
            f"safe_cast(json_value({{}}, '$') as {sql.TYPES[to]})"
            if was is Type.JSON
            else ("to_json({})")
        )
        back = (
            "to_json({})"
            if was is Type.JSON
            else (f"safe_cast(json_value({{}}, '$') as {sql.TYPES[was]})")
        )
    return _WAYS.get((was, to), (there, back))


def why_not(session: Session, table: str, name: str, to: Type) -> str:
    """Why a column cannot get another type, "" where every value comes back as it was."""
    was = session.stored([table])[table][name]
    if was is None:
        return f"from a type that is not ours to {to}"
    there, back = _ways(was, to)
    own = f"o.{sql.quoted(name)}"
    again = back.format(f"({there.format(own)})")
    changed = f"{_text(again)} is distinct from {_text(own)}"
    relation = session.relation(table)
    try:
        row = session.row(
            f"select count(*) as n, any_value({_text(own)}) as example "
            f"from {relation} o where {changed}"
        )
    except DataRefused as error:
        return f"from {was} to {to}: {error.message}"
    if not int(row["n"]):
        return ""
    example = str(row["example"])
    shown = example if len(example) <= _EXAMPLE else f"{example[: _EXAMPLE - 1]}…"
    return f"from {was} to {to}: {row['n']} of its values would change by it, as {shown}"


def _text(value: str) -> str:
    """A value of any type as a text: BigQuery does not compare JSON."""
    return f"if({value} is null, null, to_json_string({value}))"


def change(session: Session, name: str, key: Sequence[str], steps: Sequence[Step]) -> None:
    """Change one table: drop columns, rename them, add some, and change types.

    Args:
        session: of the transaction.
        name: of the table.
        key: of it, by its names after the change.
        steps: all of them are taken.
    """
    types = dict(session.stored([name])[name])
    _back_up(session, name, key, steps, types)
    now = {step.column: step.was for step in steps if step.change is Change.RENAMED}
    dropped = [step.column for step in steps if step.change is Change.DROPPED]
    retyped = {step.column: Type(step.type) for step in steps if step.change is Change.RETYPED}
    wider = {step.column: Type(step.type) for step in steps if step.change is Change.WIDER}
    added = {step.column: Type(step.type) for step in steps if step.change is Change.COLUMN}
    mark = session.new_mark()
    passing = {column: f"{_PASSING}{mark}_{n}" for n, column in enumerate(retyped)}
    leaving = {*now.values(), *dropped}
    late = {column: kind for column, kind in added.items() if column in leaving}
    free = {column: kind for column, kind in added.items() if column not in leaving}
    if free:
        session.add(name, free)
    for column, kind in wider.items():
        widen(session, name, now.get(column, column), kind)
    if passing:
        session.add(name, {passing[column]: kind for column, kind in retyped.items()})
    for column, kind in retyped.items():
        _retype(session, name, now.get(column, column), passing[column], kind, types)
    for column in now:
        if column not in leaving and column not in types:
            session.tables.vacate(name, column)
    gone = [*dropped, *(now.get(column, column) for column in retyped)]
    clusters = _uncluster(session, name, [*gone, *now.values()])
    session.steps += [turns.Step(turns.DROP, name, column) for column in gone]
    session.steps += _renames(session, name, {c: was for c, was in now.items() if c not in retyped})
    session.steps += [_rename(name, passing[column], column) for column in retyped]
    session.steps += [turns.Step(turns.ADD, name, c, sql.TYPES[kind]) for c, kind in late.items()]
    session.types[name] = _after(types, now, dropped, {**added, **retyped, **wider})
    if clusters:
        called = {was: column for column, was in now.items()}
        left = [called.get(column, column) for column in clusters if column not in dropped]
        left = [column for column in left if session.types[name][column] not in NO_CLUSTER]
        session.steps.append(turns.Step(turns.CLUSTER, name, "", ",".join(left)))


def _uncluster(session: Session, name: str, touched: Sequence[str]) -> Sequence[str]:
    """Let a table be clustered by none of the columns that change; by which it was, or nothing."""
    table = session.tables.get(name)
    clusters = list((table and table.clustering_fields) or [])
    if not set(clusters) & set(touched):
        return []
    session.tables.cluster(name, [column for column in clusters if column not in touched])
    return clusters


def _after(
    types: Mapping[str, Type | None],
    now: Mapping[str, str],
    dropped: Sequence[str],
    kinds: Mapping[str, Type],
) -> dict[str, Type | None]:
    """The columns of a table after its change."""
    called = {was: column for column, was in now.items()}
    found = {called.get(n, n): kind for n, kind in types.items() if n not in dropped}
    return {**found, **kinds}


def _renames(session: Session, name: str, now: Mapping[str, str]) -> list[turns.Step]:
    """By way of names in passing where a column gets the name of another one that leaves it."""
    direct = {column: was for column, was in now.items() if column not in now.values()}
    swapped = {column: was for column, was in now.items() if column not in direct}
    mark = session.new_mark()
    passing = {c: f"{_PASSING}{mark}_{n}" for n, c in enumerate(swapped)}
    steps = [_rename(name, was, passing[column]) for column, was in swapped.items()]
    steps += [_rename(name, was, column) for column, was in direct.items()]
    return steps + [_rename(name, passing[column], column) for column in swapped]


def _rename(table: str, column: str, to: str) -> turns.Step:
    return turns.Step(turns.RENAME, table, column, to)


def widen(session: Session, name: str, column: str, kind: Type) -> None:
    """Let a column hold more; every value stays, so it does not matter if nothing comes of it."""
    for place in dict.fromkeys((name, session.works.get(name, name))):
        _uncluster(session, place, [column])
        session.client.run(
            f"alter table {sql.quoted(place)} alter column {sql.quoted(column)} "
            f"set data type {sql.TYPES[kind]}",
            labels=session.labels,
        )
        session.tables.forget(place)


def _retype(
    session: Session,
    name: str,
    column: str,
    passing: str,
    kind: Type,
    types: Mapping[str, Type | None],
) -> None:
    """Fill the column that takes the place of another one."""
    was = types[column]
    if was is None:
        raise DataRefused(f"The column {name}.{column} is of a type that is not ours.")
    there, back = _ways(was, kind)
    own, new = f"o.{sql.quoted(column)}", f"o.{sql.quoted(passing)}"
    [values] = session.numbers([session.count(name, f"{own} is not null")])
    test = session.where(name, f"{own} is not null")
    session.acts.add(
        f"update {sql.quoted(name)} o set {sql.quoted(passing)} = {there.format(own)} where {test}"
    )
    unlike = f"{_text(back.format(new))} is distinct from {_text(own)}"
    session.acts.must_be(
        Count(name, f"the values of {column}", values, session.count(name, f"{new} is not null")),
        Count(name, f"the values of {column} that changed", 0, session.count(name, unlike)),
    )


def _back_up(
    session: Session,
    name: str,
    key: Sequence[str],
    steps: Sequence[Step],
    types: Mapping[str, Type | None],
) -> None:
    """Keep the columns that will be touched, each row with its key: the newest copy of a table."""
    touched = [step.column for step in steps if step.change in TOUCHES]
    if not touched:
        return
    now = {step.column: step.was for step in steps if step.change is Change.RENAMED}
    wanted = dict.fromkeys(now.get(column, column) for column in (*key, *SYSTEM, *touched))
    kept = {column: kind for column in wanted if (kind := types.get(column)) is not None}
    place = session.new_place(f"{BEFORE}{name}")
    session.client.run(
        f"create table {sql.quoted(place)} as "
        f"select {sql.names(kept)} from {session.relation(name)}",
        labels=session.labels,
    )
    whole, copied = session.numbers(
        [session.count(name), f"select count(*) from {sql.quoted(place)}"]
    )
    agree(ENGINE, name, "those of its copy", whole, copied)
    session.keep(f"{BEFORE}{name}", place, kept)
