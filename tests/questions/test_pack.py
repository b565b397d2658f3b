"""Every question has one text, which gives the right rows on DuckDB and by Google's evaluator."""

from __future__ import annotations

import datetime as dt
import json
import re
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from analyzer import Analyzer
from evaluator import evaluate
from google.cloud.bigquery import SchemaField, Table

from shared import rest_slow
from tcdatalogger.questions import answers, compiled, lint, question
from tcdatalogger.questions.answers import plain
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.google.connect import connect
from tcdatalogger.services.google.warehouse import DIALECT

PACK = question.shipped()
KNOWN = Path(__file__).with_name("known")

OF_GOOGLE = {
    pa.int64(): "INT64", pa.float64(): "FLOAT64", pa.bool_(): "BOOL", pa.string(): "STRING",
    pa.timestamp("us", "UTC"): "TIMESTAMP", pa.date32(): "DATE", pa.large_string(): "STRING",
}  # fmt: skip


OF_MARKET = frozenset(
    """auction-prices balance-movements balances company-profit company-staff faction-wealth
    item-circulation item-prices
    job-points log-income market-spread missions networth price-movers stock-roi
    travel-profit""".split()
)
"""Questions whose answers are known of the installation `known_market`; all others of `known`."""


@pytest.fixture
def its(request, name):
    """The installation of which the answer to a question is known."""
    return request.getfixturevalue("known_market" if name in OF_MARKET else "known")


def cell(value):
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value) if isinstance(value, dt.date) else value


@pytest.mark.parametrize("name", PACK)
def test_a_question_is_written_in_words_that_both_engines_take_in_one_way(name):
    assert lint.problems(PACK[name]) == []


@pytest.mark.parametrize("name", sorted(each.stem for each in KNOWN.glob("*.json")))
def test_a_question_is_answered_rightly_where_the_answer_is_known(its, name):
    wanted = json.loads((KNOWN / f"{name}.json").read_text(encoding="utf-8"))

    found = its.ask(name, **wanted.get("values", {}))

    rows = [[cell(row[column]) for column in wanted["columns"]] for row in found.rows.to_pylist()]
    assert rows == wanted["rows"]


@pytest.mark.parametrize("name", PACK)
def test_a_question_says_of_its_columns_only_what_its_answer_has(its, name):
    found = its.ask(name)
    if found.rows is None:
        pytest.skip("the faction that is known does not log what this needs")
    assert answers.unknown_names(found) == []
    assert set(re.findall(r"\{(\w+)\}", PACK[name].caption)) <= set(found.values)


def of_google(file, installation, name, **texts):
    """A question as BigQuery is asked it, and the tables that its text names."""
    found = installation.ask(name, **texts)
    with DuckDBWarehouse(file, read_only=True) as warehouse:
        relations = installation.relations.of(PACK[name], warehouse)
        sql = compiled.compiled(PACK[name], relations, found.values, DIALECT)
        names = {
            source.table
            for relation in relations.values()
            for source in relation.sources
            if source.stored and f"`{source.table}`" in sql
        }
        tables = {table: warehouse.query(f'select * from "{table}"') for table in sorted(names)}
        types = warehouse.stored(sorted(names))
    schemas = {
        table: [
            SchemaField(
                column.name,
                "JSON" if types[table].get(column.name) == "json" else OF_GOOGLE[column.type],
            )
            for column in rows.schema
        ]
        for table, rows in tables.items()
    }
    return sql, tables, schemas, found.rows


def asked(its, name):
    if any(lack.blocks for lack in its.relations.lacks(PACK[name])):
        pytest.skip("the faction that is known does not log what this needs")
    return of_google(its.file, its, name)


@pytest.mark.parametrize("name", rest_slow(PACK))
def test_googles_evaluator_gives_the_rows_of_duckdb_in_their_order_and_types(its, name):
    sql, tables, schemas, wanted = asked(its, name)

    found = evaluate(Analyzer(schemas), sql, tables)

    assert found.schema.names == wanted.schema.names
    assert found.to_pylist() == wanted.to_pylist()


def load(client, table, rows, schema):
    """Make a table of rows: the text of JSON is loaded first, and read by a statement."""
    of_json = [column.name for column in schema if column.field_type == "JSON"]
    name = f"{table}_text" if of_json else table
    plain_schema = [
        SchemaField(each.name, "STRING") if each.name in of_json else each for each in schema
    ]
    client.create(Table(client.reference(name), schema=plain_schema))
    client.load(
        name, rows, plain_schema,
        name=client.job_name("load", name), labels={}, disposition="WRITE_APPEND",
    )  # fmt: skip
    if of_json:
        read = ", ".join(f"parse_json({column}) as {column}" for column in of_json)
        client.run(f"create table `{table}` as select * replace ({read}) from `{name}`")


@pytest.mark.slow
@pytest.mark.parametrize("of_market", [False, True], ids=["faction", "market"])
def test_the_bigquery_emulator_gives_the_rows_of_duckdb_in_their_order(
    bigquery, bigquery_url, known, known_market, of_market
):
    its = known_market if of_market else known
    ready = [
        name
        for name, each in PACK.items()
        if (name in OF_MARKET) is of_market
        and not any(lack.blocks for lack in its.relations.lacks(each))
    ]
    there = set()
    with closing(connect(bigquery_url, bigquery.environ)) as client:
        for name in ready:
            sql, tables, schemas, wanted = asked(its, name)
            for table in set(tables) - there:
                load(client, table, tables[table], schemas[table])
            there |= set(tables)
            assert plain(client.ask(sql)).to_pylist() == wanted.to_pylist(), name


@pytest.mark.parametrize("name", PACK)
def test_a_file_of_the_pack_says_who_asks_and_what_is_counted(name):
    each = PACK[name]
    assert each.title.endswith("?")
    assert each.asks
    assert each.caption.endswith(".")
