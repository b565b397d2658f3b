"""Players who are forgotten get their aliases in all tables, and in the lines of the ledger.

All of it happens inside of one transaction; nothing here begins or ends one. What is done is the
same however often it is done: an alias is nobody who is forgotten.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tcdatalogger.models.people import texts
from tcdatalogger.models.people.columns import PersonColumns, PersonId
from tcdatalogger.models.people.fields import ELEMENT, is_person
from tcdatalogger.models.people.pseudonyms import Alias, Pseudonyms
from tcdatalogger.models.people.rewriter import BodyRewriter, PersonFacts
from tcdatalogger.models.schema import INDEX, Type
from tcdatalogger.models.shape import Json
from tcdatalogger.services.warehouse.ledger import Ledger
from tcdatalogger.services.warehouse.ledger_tables import (
    CHECKS,
    DRIFT,
    LOADS,
    PRESENT,
    QUARANTINE,
    SEQ,
)
from tcdatalogger.services.warehouse.schema_changes import BEFORE, FORMER, MERGED
from tcdatalogger.services.warehouse.transaction import Transaction

_LINKS: Final = ("id", "profile")
"""A text without any of these leads to nobody."""

_NOTHING: Final = PersonFacts(Json())


@dataclass(frozen=True, slots=True)
class Places:
    """Where players are in a warehouse.

    Attributes:
        tables: the columns of each table that endpoints have stored.
        bodies: what is known of the bodies of each endpoint.
        about_player: the endpoints whose rows are about one player.
    """

    tables: Sequence[PersonColumns]
    bodies: Mapping[str, PersonFacts] = field(default_factory=dict)
    about_player: frozenset[str] = frozenset()


@dataclass(slots=True)
class Rewritten:
    """What was found in a warehouse, or would be.

    Attributes:
        rows: rows with an alias now, by table; of the ledger too.
        deleted: rows of players who are removed, by table.
        names: names by which texts can name the players, with the hash of each.
    """

    rows: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)


def names_in(transaction: Transaction, places: Places, pseudonyms: Pseudonyms) -> dict[str, str]:
    """The names that tables have of players who are forgotten, by which texts can name them."""
    found: dict[str, str] = {}
    for name, columns, _ in _tables(transaction, places):
        seen = BodyRewriter(_NOTHING, pseudonyms)
        for one in columns.ids if any(each.names for each in columns.ids) else ():
            for value in transaction.values(name, one.column):
                alias = pseudonyms.of_id(value)
                if alias is not None:
                    _see(transaction, name, one, value, alias, seen)
        found |= seen.names
    return found


def rewrite(
    transaction: Transaction, places: Places, pseudonyms: Pseudonyms, *, dry: bool = False
) -> Rewritten:
    """Give players who are forgotten their aliases, everywhere.

    Args:
        transaction: with the tables.
        places: where players are.
        pseudonyms: the players.
        dry: whether the rows are only counted.

    Raises:
        Unbalanced: other rows were changed than those that were counted.
    """
    found = Rewritten()
    gone: dict[str, dict[str, dict[str, int]]] = {}
    for name, columns, endpoint in _tables(transaction, places):
        rewriter = BodyRewriter(_NOTHING, pseudonyms)
        for one in columns.ids:
            by_run = _ids(transaction, name, one, pseudonyms, found, dry=dry)
            for run, rows in by_run.items() if endpoint else ():
                runs = gone.setdefault(endpoint, {}).setdefault(name, {})
                runs[run] = runs.get(run, 0) + rows
        for column, tells in columns.texts.items():
            having = () if tells and pseudonyms.names else _LINKS
            new = {
                value: made
                for value in transaction.values(name, column, having=having)
                if (made := rewriter.text(str(value), tells=tells)) != value
            }
            found.rows[name] += _exchange(transaction, name, column, new, dry=dry)
        for column in columns.json:
            new = {
                value: made
                for value in transaction.values(name, column)
                if (made := rewriter.json(str(value))) != value
            }
            found.rows[name] += _exchange(transaction, name, column, new, dry=dry)
        found.names |= rewriter.names
    _ledger(transaction.ledger, places, pseudonyms, found, dry=dry)
    for endpoint, tables in gone.items() if not dry else ():
        transaction.ledger.take_off(endpoint, tables)
    found.rows, found.deleted = +found.rows, +found.deleted
    return found


def _tables(transaction: Transaction, places: Places) -> Iterator[tuple[str, PersonColumns, str]]:
    """Each table that is there, also those that are kept for a rollback; with its columns.

    The last is the endpoint whose ledger counts the rows, "" for what is kept.
    """
    ledger = transaction.ledger
    endpoints = ledger.endpoints()
    filled = {table: name for name in endpoints for table in ledger.tables_of(name)}
    for columns in places.tables:
        names = [columns.table, f"{FORMER}{columns.table}", f"{BEFORE}{columns.table}"]
        names += [f"{MERGED}{name}__{columns.table}" for name in endpoints]
        for name, types in transaction.stored(names).items():
            known = {column for column, kind in types.items() if kind is not None}
            endpoint = filled.get(name, "")
            yield name, columns.within(known, name), endpoint


def _ids(
    transaction: Transaction,
    table: str,
    one: PersonId,
    pseudonyms: Pseudonyms,
    found: Rewritten,
    *,
    dry: bool,
) -> Mapping[str, int]:
    """Exchange the ids of a column, with what stands beside them; rows of runs that went."""
    seen = BodyRewriter(_NOTHING, pseudonyms)
    new: dict[object, Mapping[str, object]] = {}
    gone: list[object] = []
    text = transaction.stored([table])[table][one.column] is Type.TEXT
    for value in transaction.values(table, one.column):
        alias = pseudonyms.of_id(value)
        if alias is None:
            continue
        _see(transaction, table, one, value, alias, seen)
        if alias.removed and one.own:
            gone.append(value)
        else:
            new[value] = _in_place(one, alias, text=text)
    found.names |= seen.names
    found.rows[table] += transaction.counted(table, one.column, list(new))
    if new and not dry:
        transaction.exchange(table, one.column, new)
    by_run = transaction.rows_with(table, one.column, gone) if gone else {}
    found.deleted[table] += sum(by_run.values())
    if gone and not dry:
        transaction.delete(table, one.column, gone)
    return by_run


def _see(
    transaction: Transaction,
    table: str,
    one: PersonId,
    value: object,
    alias: Alias,
    seen: BodyRewriter,
) -> None:
    """Remember the names that stand beside the id of somebody forgotten."""
    for name in one.names:
        for told in transaction.values(table, name, where=(one.column, value)):
            seen.saw(alias, str(told))


def _in_place(one: PersonId, alias: Alias, *, text: bool) -> Mapping[str, object]:
    """What a row of a player has instead."""
    value = None if alias.removed else alias.digits if text else alias.id
    names = dict.fromkeys(one.names, alias.name)
    return {one.column: value, **names, **dict.fromkeys(one.erased, None)}


def _exchange(
    transaction: Transaction, table: str, column: str, new: Mapping[object, str], *, dry: bool
) -> int:
    rows = transaction.counted(table, column, list(new)) if new else 0
    if new and not dry:
        transaction.exchange(table, column, {old: {column: now} for old, now in new.items()})
    return rows


# --- the ledger --------------------------------------------------------------------------------


def _ledger(
    ledger: Ledger, places: Places, pseudonyms: Pseudonyms, found: Rewritten, *, dry: bool
) -> None:
    changes = (
        (LOADS.name, _loads(ledger, places, pseudonyms)),
        (QUARANTINE.name, _quarantine(ledger, places, pseudonyms)),
        (DRIFT.name, _examples(ledger, DRIFT.name, places, pseudonyms)),
        (CHECKS.name, _examples(ledger, CHECKS.name, places, pseudonyms)),
    )
    for table, lines in changes:
        alike: dict[tuple[tuple[str, object], ...], list[int]] = {}
        for seq, values in lines:
            alike.setdefault(tuple(values.items()), []).append(seq)
        for told, seqs in alike.items():
            found.rows[table] += len(seqs)
            if not dry:
                ledger.correct(table, seqs, dict(told))


def _loads(
    ledger: Ledger, places: Places, pseudonyms: Pseudonyms
) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Loads with the key of a player, and places of cursors that are a player's."""
    wanted = ("endpoint", "key_owner", "cursor", "stretch", SEQ)
    for line in ledger.lines(LOADS, wanted, {"key_owner": PRESENT}):
        alias = pseudonyms.of_id(line["key_owner"])
        if alias is not None:
            yield line[SEQ], {"key_owner": alias.id}
    for name in sorted(places.about_player):
        for line in ledger.lines(LOADS, wanted, {"endpoint": name}):
            new = {
                column: made
                for column in ("cursor", "stretch")
                if line[column] and (made := at_place(line[column], pseudonyms)) != line[column]
            }
            if new:
                yield line[SEQ], new


def at_place(text: str, pseudonyms: Pseudonyms) -> str:
    """A cursor or a stretch of an endpoint about players, with aliases as places."""
    told = json.loads(text)
    alias = pseudonyms.of_id(str(told.get("place", "")))
    if alias is not None:
        told["place"] = alias.digits
    spans = told.get("spans")
    if isinstance(spans, dict):
        told["spans"] = {
            place if (one := pseudonyms.of_id(place)) is None else one.digits: span
            for place, span in spans.items()
        }
    changed = json.dumps(told, sort_keys=True)
    return text if json.loads(text) == told else changed


def _quarantine(
    ledger: Ledger, places: Places, pseudonyms: Pseudonyms
) -> Iterator[tuple[int, Mapping[str, object]]]:
    for line in ledger.lines(QUARANTINE, ("endpoint", "path", "record", SEQ), {}):
        facts = places.bodies.get(line["endpoint"], _NOTHING)
        rewriter = BodyRewriter(facts, pseudonyms)
        listed = line["path"].endswith("]") and bool(facts.root)
        path = (*facts.root, ELEMENT) if listed else ()
        made = rewriter.record(line["record"], path)
        if made != line["record"]:
            yield line[SEQ], {"record": made}


def _examples(
    ledger: Ledger, table: str, places: Places, pseudonyms: Pseudonyms
) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Examples of values that are a player's, by their columns: a check may be of several."""
    told = DRIFT if table == DRIFT.name else CHECKS
    named = "column_name" if told is DRIFT else "check_text"
    ids = {one.table: {each.column for each in one.ids} for one in places.tables}
    wanted = ("table_name", named, "example", SEQ)
    for line in ledger.lines(told, wanted, {"example": PRESENT}):
        column, *others = re.split("[ ,]+", str(line[named]))
        old = str(line["example"])
        rewriter = BodyRewriter(_NOTHING, pseudonyms)
        made = rewriter.text(old, tells=True)
        alias = pseudonyms.of_id(old) if is_person(column) or column == INDEX else None
        alias = alias or (pseudonyms.of_name(old) if column.endswith("name") else None)
        made = made if alias is None else (alias.digits if old.isdigit() else alias.word)
        if ids.get(str(line["table_name"]), set()) & {column, *others}:
            made = texts.exchanged(made, pseudonyms)
        if made != old:
            yield line[SEQ], {"example": made}
