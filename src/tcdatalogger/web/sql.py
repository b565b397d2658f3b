"""The page for SQL: a query in the address, its rows, and the tables that there are."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tcdatalogger.clock import ago, utc
from tcdatalogger.core.config import sizes
from tcdatalogger.errors import Failure, TryAgain, UsageError
from tcdatalogger.models import tabular
from tcdatalogger.questions.answers import given
from tcdatalogger.questions.relations import Relations
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.text import harmless
from tcdatalogger.web.analyst import Analyst, Found
from tcdatalogger.web.cache import Asked
from tcdatalogger.web.cards import WAIT
from tcdatalogger.web.context import Context, analyst, context, viewer
from tcdatalogger.web.drawing import Cell, Column, Table
from tcdatalogger.web.render import fewer, is_light, page
from tcdatalogger.web.security import comes_from_here, only_here

ROWS: Final = 200
"""Rows on the page."""
ALL_ROWS: Final = 100_000
"""Rows as CSV."""
COLUMNS: Final = 1_000
"""Columns of all tables until which the page lists them."""
LONGEST: Final = 10_000
"""Letters of a query: it stands in the address."""
_LONGEST_CELL: Final = 300
"""Letters of a value on the page; CSV has all."""
_MORE_LINES: Final = 6
"""Lines of what the engine proposes."""
_OF_THE_LEDGER: Final = "_"
"""How tables begin that nobody logs for."""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table or a view, and the names and types of its columns."""

    name: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StoredTables:
    """What tables there are: the cache reads it."""

    @property
    def key(self) -> Hashable:
        """What the cache knows it by."""
        return StoredTables

    def mark(self, _relations: Relations, marks: Mapping[str, float]) -> float:
        """How many loads were made in all."""
        return sum(marks.values())

    def read(self, warehouse: Warehouse, _relations: Relations) -> tuple[StoredTable, ...]:
        """Read them; those of the ledger are the last."""
        if not warehouse.exists():
            return ()
        rows = warehouse.query(
            "select table_name, column_name, "
            "replace(lower(data_type), 'timestamp with time zone', 'timestamp') as type "
            "from information_schema.columns where table_schema = 'main' "
            "order by table_name, ordinal_position"
        ).to_pylist()
        found = [
            StoredTable(name, tuple((each["column_name"], each["type"]) for each in columns))
            for name, columns in groupby(rows, key=lambda each: each["table_name"])
        ]
        return tuple(sorted(found, key=lambda each: each.name.startswith(_OF_THE_LEDGER)))


def routes() -> list[Route]:
    """The addresses of this page."""
    return [Route("/sql", sql), Route("/sql.csv", csv)]


def sql(request: Request) -> Response:
    """The page: a query, what it found, and the tables that there are."""
    here, asks = context(request), analyst(request)
    if asks is None:
        return _off(request)
    text, says, failure = request.query_params.get("q", ""), "", None
    found = None
    if name := request.query_params.get("question"):
        text, says = _of_question(here, request, name)
    elif text.strip() and not comes_from_here(request.headers):
        says = "Another page led here: look at the query before you run it."
    elif text.strip():
        try:
            found = _asked(asks, text, ROWS)
        except Failure as error:
            failure = error
    [tables] = here.cache.look([StoredTables()], WAIT)
    copy, now = asks.copy, here.clock.now()
    there = tables.answer or ()
    for rows in fewer(ROWS):
        made = page(
            request,
            "sql.html",
            title="SQL",
            text=text,
            longest=LONGEST,
            says=says,
            found=found,
            table=None if found is None else _table(found, rows),
            failure=failure,
            refusal=None if failure is None else _refusal(failure),
            asked=None if copy is None else utc(copy.made_at),
            age="" if copy is None else ago(copy.made_at, max(now, copy.made_at)),
            size="" if copy is None else sizes.shown(copy.size),
            csv=f"/sql.csv?{urlencode({'q': text})}",
            tables=tables,
            with_columns=sum(len(each.columns) for each in there) <= COLUMNS,
            first_rows=_first_rows,
            questions=_to_begin_with(here, request),
        )
        if is_light(made):
            break
    return made


def csv(request: Request) -> Response:
    """All rows of a query as CSV."""
    asks = analyst(request)
    if asks is None:
        return _off(request)
    if not comes_from_here(request.headers):
        return PlainTextResponse("Another page led here. Ask on the page /sql.", 403)
    try:
        found = _asked(asks, request.query_params.get("q", ""), ALL_ROWS)
        if found.more:
            raise UsageError(
                f"The answer has more than {ALL_ROWS:,} rows.",
                remedy="`tcdatalogger query … --csv` writes all of them.",
            )
        body = tabular.csv(tabular.plain_spans(found.rows))
    except TryAgain as error:
        return PlainTextResponse(str(error), 503, {"retry-after": "10"})
    except Failure as error:
        return PlainTextResponse(str(error), 400)
    except pa.ArrowException:
        says = "CSV has no type for one of the columns. Cast it: cast(… as varchar)."
        return PlainTextResponse(says, 400)
    name = {"content-disposition": 'attachment; filename="sql.csv"'}
    return Response(body, media_type="text/csv", headers=name)


def _off(request: Request) -> Response:
    """Why there is no such page; nothing of it where others see the pages."""
    says = "There is no such page."
    remedy = ""
    if only_here(context(request).settings.ui):
        says = "There is no SQL page for BigQuery: what a query reads there costs money."
        remedy = "`tcdatalogger query 'SQL'` asks it, up to warehouse.maximum_bytes_billed."
    return page(request, "problem.html", 404, title="Not found", says=says, remedy=remedy)


def _asked(asks: Analyst, text: str, most: int) -> Found:
    if len(text) > LONGEST:
        raise UsageError(
            f"The query has more than {LONGEST:,} letters, too many for an address.",
            remedy="`tcdatalogger query - < FILE` asks the query of a file.",
        )
    return asks.ask(text, most)


def _of_question(here: Context, request: Request, name: str) -> tuple[str, str]:
    """The SQL of a question as it ran, and what is to be said of it."""
    question = here.questions.get(name)
    if question is None or not viewer(request).sees(question):
        return "", f"There is no question {name}."
    if here.relations.is_blocked(question):
        return "", f"Nothing logs what the question {name} needs."
    [found] = here.cache.look([Asked(question, given(question, {}))], WAIT)
    if found.answer is None:
        return "", found.says or "This is being read; open the page again."
    if not found.answer.sql:
        return "", f"Nothing is stored yet for the question {name}."
    return found.answer.sql, question.title


def _to_begin_with(here: Context, request: Request) -> list[tuple[str, str]]:
    looks = viewer(request)
    return [
        (f"/sql?{urlencode({'question': each.name})}", each.title)
        for each in here.questions.values()
        if looks.sees(each) and not here.relations.is_blocked(each)
    ]


def _first_rows(table: str) -> str:
    name = '"' + table.replace('"', '""') + '"' if not table.isidentifier() else table
    return f"/sql?{urlencode({'q': f'select * from {name} limit 100'})}"


def _refusal(failure: Failure) -> tuple[str, str, str]:
    """What is wrong in a line, where it is in the query, and what else the engine says of it."""
    says, _, place = harmless(failure.message).partition("\n\nLINE ")
    first, _, more = says.partition("\n")
    few = [line.strip() for line in more.splitlines()[:_MORE_LINES]]
    return first, f"LINE {place}" if place else "", "\n".join(few)


# --- rows ----------------------------------------------------------------------------------------


def _table(found: Found, most: int) -> Table:
    """Rows as people read them."""
    rows = tabular.plain_spans(found.rows.slice(0, most))
    columns = tuple(Column(field.name, _is_number(field.type)) for field in rows.schema)
    values = [tabular.values(column) for column in rows.columns]
    return Table(columns, tuple(tuple(map(_cell, row)) for row in zip(*values, strict=True)))


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _cell(value: Any) -> Cell:
    match value:
        case None:
            return Cell("null", "no value")
        case bool():
            text = str(value).lower()
        case datetime():
            text = f"{value:%Y-%m-%d %H:%M:%S}" + (f".{value:%f}" if value.microsecond else "")
        case float() if math.isfinite(value):
            text = f"{value:.10g}"
            return Cell(text, "" if float(text) == value else repr(value))
        case Decimal():
            text = f"{value:f}"
        case bytes():
            text = value.hex(" ", 4)
        case list() | dict():
            text = json.dumps(value, default=str, ensure_ascii=False)
        case _:
            text = str(value)
    text = harmless(text)
    if len(text) > _LONGEST_CELL:
        return Cell(f"{text[:_LONGEST_CELL]}…", f"{len(text):,} letters")
    return Cell(text)
