"""The pages of what the ledger of the warehouse knows: versions of tables, new fields, and records
that were set aside. They are read by the cache; a page never opens the warehouse.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.core.views.coverage import PlaceCoverage, coverage
from tcdatalogger.core.views.drift import NewField, new_fields
from tcdatalogger.core.views.quarantine import QuarantinedRecord, records_in
from tcdatalogger.core.views.schema import TableVersion, versions_in
from tcdatalogger.questions.relations import Relations
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.text import harmless
from tcdatalogger.web.cache import Cached, Wanted
from tcdatalogger.web.context import Context, context, viewer
from tcdatalogger.web.drawing import LONGEST, Cell, Table, clipped
from tcdatalogger.web.operations import common as ops
from tcdatalogger.web.render import fewer, is_light

ROWS: Final = 200
"""Lines of a page at most."""
SPANS: Final = 100
"""Stretches of history on the page of an endpoint at most."""
WAIT: Final = 0.3
"""Seconds that a page waits for what nobody has read yet; then it says that it is being read."""
LETTERS: Final = 4_000
"""Letters of a record that are shown."""

T = TypeVar("T")
L = TypeVar("L", TableVersion, NewField, QuarantinedRecord)


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What is read of the ledger, of one endpoint and one run or of all ("")."""

    endpoint: str = ""
    run_id: str = ""

    @property
    def key(self) -> Hashable:
        """What the cache knows it by."""
        return type(self), self.endpoint, self.run_id

    def mark(self, _relations: Relations, marks: Mapping[str, float]) -> float:
        """How many loads were made in all."""
        return sum(marks.values())


class Versions(_Ledger):
    """The versions of all tables, the newest first."""

    def read(self, warehouse: Warehouse, _relations: Relations) -> tuple[TableVersion, ...]:
        """Read them."""
        return versions_in(warehouse)[::-1]


class NewFields(_Ledger):
    """The fields that the catalogue lacks, the newest first."""

    def read(self, warehouse: Warehouse, _relations: Relations) -> tuple[NewField, ...]:
        """Read them."""
        return new_fields(warehouse, endpoint=self.endpoint, run_id=self.run_id, most=ROWS + 1)


class SetAside(_Ledger):
    """The records in the quarantine, the newest first."""

    def read(self, warehouse: Warehouse, _relations: Relations) -> tuple[QuarantinedRecord, ...]:
        """Read them."""
        return records_in(warehouse, endpoint=self.endpoint, run_id=self.run_id, most=ROWS + 1)


@dataclass(frozen=True, slots=True)
class History:
    """What was read of the lists of an endpoint.

    Attributes:
        endpoint: its name.
        asked: identifies the list (`Task.asked`).
    """

    endpoint: str
    asked: str

    @property
    def key(self) -> Hashable:
        """What the cache knows it by."""
        return History, self.endpoint, self.asked

    def mark(self, _relations: Relations, marks: Mapping[str, float]) -> float:
        """How many loads the endpoint has made."""
        return marks.get(self.endpoint, 0.0)

    def read(self, warehouse: Warehouse, _relations: Relations) -> tuple[PlaceCoverage, ...]:
        """Read it."""
        return coverage(warehouse, self.endpoint, self.asked)


def look(here: Context, wanted: Wanted[T], wait: float = 0.0) -> Cached[T]:
    """What the cache has of the ledger."""
    return here.cache.look([wanted], wait)[0]


def schema(request: Request) -> Response:
    """The versions of tables, and what made each."""
    endpoint, table = _given(request, "endpoint"), _given(request, "table")
    here = context(request)
    found = look(here, Versions(), WAIT)
    chosen = [
        one
        for one in found.answer or ()
        if endpoint in {"", one.endpoint} and table in {"", one.table_name}
    ]
    lines, known, cut = _lines(here, chosen)
    rows = [
        (
            Cell(one.table_name, href=ops.address("/ops/schema", table=one.table_name)),
            Cell(str(one.version)),
            Cell(clipped("; ".join(one.diff), LONGEST) or "-"),
            Cell(one.cause),
            Cell(
                f"{one.created_at:%Y-%m-%d %H:%M}",
                ops.moment(one.created_at),
                _run(one.run_id, known),
            ),
            Cell(one.endpoint),
            Cell(one.catalog_version),
        )
        for one in lines
    ]
    columns = ("table", ops.number("version"), "changes", "cause", "when",
               ops.optional("endpoint"), ops.optional("catalogue"))  # fmt: skip
    return _page(
        request,
        found,
        title="Versions of tables",
        what="No table was made yet.",
        table=ops.table(columns, rows),
        chosen=table or endpoint,
        cut=cut,
        command=f"schema history {table}" if table else "schema history",
        newest=chosen[0] if table and chosen else None,
    )


def drift(request: Request) -> Response:
    """Fields that the catalogue lacks, each with an example."""
    here, endpoint, run_id = context(request), _given(request, "endpoint"), _given(request, "run")
    found = look(here, NewFields(endpoint, run_id), WAIT)
    lines, known, cut = _lines(here, found.answer or ())
    rows = [
        (
            Cell(one.column_name, f"{one.table_name}.{one.column_name}"),
            Cell(one.table_name, href=ops.address("/ops/schema", table=one.table_name)),
            Cell(one.type),
            _foreign(here, request, one.endpoint, one.example or "", 120),
            Cell(one.cause),
            Cell(f"{one.seen_at:%Y-%m-%d %H:%M}", ops.moment(one.seen_at), _run(one.run_id, known)),
            Cell(one.endpoint),
        )
        for one in lines
    ]
    columns = ("column", "table", ops.optional("type"), "example", ops.optional("cause"),
               "seen first", ops.optional("endpoint"))  # fmt: skip
    return _page(
        request,
        found,
        title="Fields that the catalogue lacks",
        what="Torn has sent no field that the catalogue lacks.",
        table=ops.table(columns, rows),
        chosen=run_id or endpoint,
        cut=cut,
        command="schema history",
    )


def quarantine(request: Request) -> Response:
    """Records that were set aside, with the reason and the record."""
    here, endpoint, run_id = context(request), _given(request, "endpoint"), _given(request, "run")
    found = look(here, SetAside(endpoint, run_id), WAIT)
    lines, known, cut = _lines(here, found.answer or ())
    listed = [
        {
            "id": one.quarantine_id,
            "endpoint": one.endpoint,
            "href": ops.endpoint_address(one.endpoint),
            "run": _run(one.run_id, known),
            "at": ops.moment(one.quarantined_at),
            "path": harmless(one.path),
            "reason": harmless(one.reason),
            "again": one.again,
            "record": _foreign(here, request, one.endpoint, _indented(one.record), LETTERS).text,
            "file": one.archive_file,
        }
        for one in lines
    ]
    retry = f"quarantine retry --endpoint {endpoint}" if endpoint else "quarantine retry --all"
    return _page(
        request,
        found,
        template="ops_quarantine.html",
        title="Set aside",
        what="No record is set aside.",
        records=listed,
        chosen=run_id or endpoint,
        cut=cut,
        command=retry,
    )


def _page(
    request: Request,
    found: Cached[Any],
    *,
    cut: bool,
    table: Table | None = None,
    records: Sequence[Mapping[str, Any]] = (),
    template: str = "ops_ledger.html",
    **facts: Any,
) -> Response:
    """A page with as many lines of its table, or as many records, as there is room for."""
    for most in fewer(ROWS):
        made = ops.ops(
            request,
            template,
            found=found,
            table=None if table is None else replace(table, rows=table.rows[:most]),
            records=records[:most],
            cut=cut or max(len(records), len(table.rows) if table else 0) > most,
            **{"newest": None, **facts},
        )
        if is_light(made):
            break
    return made


def _lines(here: Context, every: Sequence[L]) -> tuple[Sequence[L], frozenset[str], bool]:
    """The lines that a page shows, those of their runs that the state knows, and whether there are
    more lines.
    """
    lines = every[:ROWS]
    return lines, here.state.known({one.run_id for one in lines}), len(every) > ROWS


def _given(request: Request, name: str) -> str:
    return request.query_params.get(name, "")


def _run(run_id: str, known: Collection[str]) -> str:
    """The page of a run that the state knows; "" for others, as those of a state that was lost."""
    return ops.run_address(run_id) if run_id in known else ""


def owners_own(here: Context, name: str) -> bool:
    """Whether an endpoint may have what only the key's owner sees, as personal logs."""
    endpoint = here.settings.endpoint(name)
    return endpoint is None or endpoint.path.startswith(("/user", "/key"))


def _foreign(here: Context, request: Request, endpoint: str, text: str, most: int) -> Cell:
    """A value that Torn sent; of the owner's own endpoints only the owner sees it."""
    if viewer(request).role != "owner" and owners_own(here, endpoint):
        return Cell("only the key's owner sees it")
    return Cell(clipped(harmless(text), most))


def _indented(record: str) -> str:
    try:
        return json.dumps(json.loads(record), indent=2, ensure_ascii=False)
    except ValueError:
        return record


def spans(found: Cached[tuple[PlaceCoverage, ...]]) -> Table | None:
    """What was read of each list, as a table; None where nothing was."""
    rows = [
        (
            Cell(each.place if n == 0 else ""),
            Cell("the beginning" if low is None else ops.moment(low)[:16]),
            Cell(ops.moment(high)[:16]),
        )
        for each in found.answer or ()
        for n, (low, high) in enumerate(each.spans)
    ]
    table = ops.table(("list", "from", "to"), rows[:SPANS])
    return replace(table, left_out=max(0, len(rows) - SPANS)) if rows else None
