"""Whom answers are about: the factions, players and companies that are logged into one warehouse.

Two keys of two factions fill the same tables. An answer is about one of them: the one that was
chosen, else the one that `usual` names. Nothing of it stands in the text of a question.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tcdatalogger.models.schema import SYSTEM
from tcdatalogger.questions import question
from tcdatalogger.questions.compiled import compiled
from tcdatalogger.questions.question import SUBJECTS, Value
from tcdatalogger.questions.relations import Relation, Relations
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.text import one_line

_SEEN, _SUBJECT, _RUN = SYSTEM

LATELY: Final = timedelta(days=7)
"""A subject whose newest row is older than another's by more than this is no longer logged."""

_EVER: Final = datetime(2999, 12, 31, tzinfo=UTC)
"""A moment after all that is stored."""
_NAMES: Final = {
    kind: question.read(
        f"""/*
title = "How is each {kind} called?"
page = "members"
caption = "The newest name of each."
chart = {{ kind = "table" }}
{needs}
*/
with told as (
{told}
)
select id, name
from told
where id is not null and name is not null
qualify row_number() over (partition by id order by seen desc, name) = 1
order by id nulls last
""",
        f"names-of-{kind}",
        f"the names of each {kind}",
    )
    for kind, needs, told in (
        (
            "faction",
            """[needs."/faction/basic"]
optional = true
also = ["/faction/{id}/basic"]
[needs."/faction/rankedwars"]
optional = true""",
            """    select b.id, b.name, b.server_timestamp as seen from {faction_basic:now} as b
    union all
    select w.faction_id, w.name, w.server_timestamp from {faction_rankedwars_factions:now} as w""",
        ),
        (
            "player",
            """[needs."/faction/members"]
optional = true
[needs."/user/profile"]
optional = true""",
            """    select m.id, m.name, m.server_timestamp as seen from {faction_members:now} as m
    union all
    select p.id, p.name, p.server_timestamp from {user_profile:now} as p""",
        ),
        (
            "company",
            """[needs."/company/profile"]
optional = true""",
            "    select c.id, c.name, c.server_timestamp as seen from {company_profile:now} as c",
        ),
    )
}
"""What tells how subjects are called, by kind."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A faction, a player or a company.

    Attributes:
        kind: a value of `SUBJECTS`.
        id: Torn's number of it.
        name: "" where nothing that is logged tells it.
    """

    kind: str
    id: int
    name: str = ""

    def __str__(self) -> str:
        return f"{one_line(self.name)} [{self.id}]" if self.name else f"{self.kind} {self.id}"


@dataclass(frozen=True, slots=True)
class SubjectRows:
    """The rows of one subject in a table.

    Attributes:
        table: its name.
        kind: of the relation that it is of (`Relation.kind`).
        subject: None for rows of nobody, or of somebody who is not known.
        oldest, newest: the times of its rows.
        run: that stored it.
        own: whether it is of the owner of a key that asked.
        offered: whether somebody can choose this subject by this table.
    """

    table: str
    kind: str
    subject: int | None
    oldest: datetime | None
    newest: datetime | None
    run: str
    own: bool
    offered: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are about somebody.

    Attributes:
        name: of the table.
        kind: of its relation; "" where its rows are about nobody.
        whose: the column that says about whom; "" for none.
        own, offered: as of `SubjectRows`.
    """

    name: str
    kind: str
    whose: str
    own: bool
    offered: bool


def tables_of(relation: Relation, *, offered: bool) -> Iterator[Table]:
    """The stored tables of a relation."""
    for source in relation.sources:
        if source.stored:
            whose = source.columns.get(relation.whose, "") if relation.kind else ""
            yield Table(source.table, relation.kind, whose, source.own, offered)


def stored(warehouse: Warehouse, tables: Iterable[Table]) -> tuple[SubjectRows, ...]:
    """What some tables have, by subject."""
    listed = sorted({table.name: table for table in tables}.values(), key=lambda each: each.name)
    if not listed:
        return ()
    name = warehouse.dialect.name
    # Run ids begin with their time, so the newest run has the greatest id.
    text = " union all ".join(
        f"select {at} as nth, {name(each.whose) if each.whose else 'cast(null as int64)'} as whose,"
        f" min({_SEEN}) as oldest, max({_SEEN}) as newest, max({_RUN}) as run"
        f" from {name(each.name)}{' group by 2' if each.whose else ''}"
        for at, each in enumerate(listed)
    )
    found = []
    for row in warehouse.query(f"select * from ({text}) as t order by nth, whose").to_pylist():
        table = listed[row["nth"]]
        times = row["oldest"], row["newest"]
        run = row["run"] or ""
        found.append(
            SubjectRows(table.name, table.kind, row["whose"], *times, run, table.own, table.offered)
        )
    return tuple(found)


def offered(found: Collection[SubjectRows], kind: str) -> tuple[int, ...]:
    """The subjects of a kind among which somebody may choose, by their ids."""
    mine = [each for each in found if each.kind == kind and each.subject is not None]
    needed = [each for each in mine if each.offered] or mine
    return tuple(sorted({each.subject for each in needed if each.subject is not None}))


def usual(found: Collection[SubjectRows], kind: str) -> int | None:
    """The subject that an answer is about where nobody chose one.

    Owners of keys come before others. Of those who are still logged (`LATELY`), it is the one
    who was logged first.

    Returns:
        None where there are not several: then every row counts.
    """
    ids = offered(found, kind)
    if not ids[1:]:
        return None
    mine = [each for each in found if each.kind == kind and each.subject in ids]
    mine = [each for each in mine if each.own] or mine
    times: dict[int, tuple[datetime, datetime]] = {}
    for each in mine:
        if each.subject is None or each.oldest is None or each.newest is None:
            continue
        first, last = times.get(each.subject, (each.oldest, each.newest))
        times[each.subject] = min(first, each.oldest), max(last, each.newest)
    ends = max((last for _, last in times.values()), default=None)
    lately = [
        (first, one) for one, (first, last) in times.items() if ends and ends - last <= LATELY
    ]
    return min(lately)[1] if lately else min(ids)


def names(warehouse: Warehouse, relations: Relations, kind: str) -> Mapping[int, str]:
    """How the subjects of a kind are called now, by their ids: what is logged of it.

    Args:
        warehouse: to read.
        relations: of the installation.
        kind: a value of `SUBJECTS`.
    """
    asked = _NAMES[kind]
    values: dict[str, Value] = {"until": _EVER}
    sql = compiled(asked, relations.of(asked, warehouse), values, warehouse.dialect)
    return {row["id"]: row["name"] for row in warehouse.query(sql).to_pylist()}


def logged(warehouse: Warehouse, relations: Relations) -> tuple[SubjectRows, ...]:
    """What is stored of those who are logged by keys of their own; `relations.usual` follows it.

    Args:
        warehouse: to read.
        relations: of the installation.
    """
    roots = relations.own_roots()
    there = warehouse.stored(sorted(roots)) if roots and warehouse.exists() else {}
    found = stored(
        warehouse,
        (
            Table(table, roots[table], _SUBJECT, own=True, offered=True)
            for table, columns in there.items()
            if {*SYSTEM} <= set(columns)
        ),
    )
    firsts = {kind: usual(found, kind) for kind in SUBJECTS.values()}
    relations.usual = {kind: first for kind, first in firsts.items() if first is not None}
    return found


def known(warehouse: Warehouse, relations: Relations) -> Mapping[str, tuple[Subject, ...]]:
    """Who is logged by keys of their own, the usual one first, by kind.

    Args:
        warehouse: to read.
        relations: of the installation.
    """
    found = logged(warehouse, relations)
    told: dict[str, tuple[Subject, ...]] = {}
    for kind in SUBJECTS.values():
        first = usual(found, kind)
        ids = sorted(offered(found, kind), key=lambda each: (each != first, each))
        called = names(warehouse, relations, kind) if ids else {}
        told[kind] = tuple(Subject(kind, each, called.get(each, "")) for each in ids)
    return told
