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


def cell(value):
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value) if isinstance(value, dt.date) else value


@pytest.mark.parametrize("name", PACK)
def test_a_question_is_written_in_words_that_both_engines_take_in_one_way(name):
    assert lint.problems(PACK[name]) == []


@pytest.mark.parametrize("name", sorted(each.stem for each in KNOWN.glob("*.json")))
def test_a_question_is_answered_rightly_where_the_answer_is_known(known, name):
    wanted = json.loads((KNOWN / f"{name}.json").read_text(encoding="utf-8"))

    found = known.ask(name, **wanted.get("values", {}))

    rows = [[cell(row[column]) for column in wanted["columns"]] for row in found.rows.to_pylist()]
    assert rows == wanted["rows"]


@pytest.mark.parametrize("name", PACK)
def test_a_question_says_of_its_columns_only_what_its_answer_has(known, name):
    found = known.ask(name)
    if found.rows is None:
        pytest.skip("the faction that is known does not log what this needs")
    assert answers.unknown_names(found) == []
    assert set(re.findall(r"\{(\w+)\}", PACK[name].caption)) <= set(found.values)


def of_google(file, installation, name):
    """A question as BigQuery is asked it, and the tables that its text names."""
    found = installation.ask(name)
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


def asked(known, name):
    if any(lack.blocks for lack in known.relations.lacks(PACK[name])):
        pytest.skip("the faction that is known does not log what this needs")
    return of_google(known.file, known, name)


@pytest.mark.parametrize("name", PACK)
def test_googles_evaluator_gives_the_rows_of_duckdb_in_their_order_and_types(known, name):
    sql, tables, schemas, wanted = asked(known, name)

    found = evaluate(Analyzer(schemas), sql, tables)

    assert found.schema.names == wanted.schema.names
    assert found.to_pylist() == wanted.to_pylist()


@pytest.mark.slow
def test_the_bigquery_emulator_gives_the_rows_of_duckdb_in_their_order(
    bigquery, bigquery_url, known
):
    ready = [
        name
        for name, each in PACK.items()
        if not any(lack.blocks for lack in known.relations.lacks(each))
    ]
    there = set()
    with closing(connect(bigquery_url, bigquery.environ)) as client:
        for name in ready:
            sql, tables, schemas, wanted = asked(known, name)
            for table in set(tables) - there:
                client.create(Table(client.reference(table), schema=schemas[table]))
                client.load(
                    table, tables[table], schemas[table],
                    name=client.job_name("load", table), labels={}, disposition="WRITE_APPEND",
                )  # fmt: skip
            there |= set(tables)
            assert plain(client.ask(sql)).to_pylist() == wanted.to_pylist(), name


@pytest.mark.parametrize("name", PACK)
def test_a_file_of_the_pack_says_who_asks_and_what_is_counted(name):
    each = PACK[name]
    assert each.title.endswith("?")
    assert each.asks
    assert each.caption.endswith(".")
