"""Every question has one text, and it gives the same rows on DuckDB and on BigQuery."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from analyzer import Analyzer
from evaluator import evaluate
from google.cloud.bigquery import SchemaField, Table
from zetasql.core.exceptions import ZetaSQLError

import known_faction
from tcdatalogger import questions
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.google.connect import connect
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.task import Task
from tcdatalogger.services.warehouse.ledger_tables import DRIFT, QUARANTINE

ROOT = Path(__file__).parents[1]
QUESTIONS = questions.read()

TYPES = {
    "int": "INT64", "float": "FLOAT64", "bool": "BOOL", "text": "STRING", "time": "TIMESTAMP",
    "json": "JSON",
}  # fmt: skip
OF_GOOGLE = {
    "INT64": pa.int64(), "FLOAT64": pa.float64(), "BOOL": pa.bool_(), "STRING": pa.string(),
    "TIMESTAMP": pa.timestamp("us", "UTC"), "DATE": pa.date32(),
}  # fmt: skip


def schemas():
    """The tables that the demo's endpoints and the ledger have on BigQuery, by the catalogue."""
    known, tables = catalog.load(), [DRIFT, QUARANTINE]
    for name, path in known_faction.PATHS.items():
        endpoint, _ = known.find(path)
        tables += processor(path)(Task(name, endpoint)).plain_family().tables
    return {
        table.name: [SchemaField(column.name, TYPES[column.type]) for column in table.columns]
        for table in tables
    }


SCHEMAS = schemas()
NONE = (None,) * 10
ANSWERS = {
    "balance_movements": (
        ("server_timestamp", "username", "money", "moved"),
        [("2026-01-01 01:00", "Ada", 70, -30)],
    ),
    "crews": (
        ("executed_at", "crime", "difficulty", "money", "payout_percent", "crew"),
        [
            ("2025-12-31 00:00", "Mob Mentality", 2, 2_000_000, 100.0, "Eve (Robber)"),
            ("2025-12-30 00:00", "Pet Project", 1, 90_000_000, 92.25, "Ada (Cat), Bobby (Dog)"),
            ("2025-12-29 00:00", "Mob Mentality", 2, 1_000_001, None,
             "Ada (Robber), Cyd (Lookout)"),
            ("2025-11-22 00:00", "Mob Mentality", 2, 7, 50.0, None),
        ],
    ),
    "crime_earnings": (
        ("paid_on", "crime_id", "crime", "money", "payout_percent", "to_faction", "to_members"),
        [
            ("2026-01-01", 20, "Mob Mentality", 2_000_000, 100.0, 0, 2_000_000),
            ("2025-12-31", 10, "Pet Project", 90_000_000, 92.25, 6_975_000, 83_025_000),
            ("2025-11-23", 12, "Mob Mentality", 7, 50.0, 3, 4),
        ],
    ),
    "crimes_with_names": (
        ("crime_id", "position", "member", "pass_rate", "required_item", "item_is_available",
         "money", "respect_gained", "reward_items"),
        [
            (10, "Cat", "Ada", 70, "Hammer", True, 90_000_000, 10,
             "2 x Xanax, 1 x Hammer, 5 x 777"),
            (10, "Dog", "Bobby", 50, None, None, None, None, None),
            (11, "Robber", "Ada", 85, None, None, 1_000_001, 4, None),
            (11, "Lookout", "Cyd", 60, None, None, None, None, None),
            (11, "Robber", None, None, None, None, None, None, None),
            (12, None, None, None, None, None, 7, 1, "5 x Xanax"),
            (13, "Cat", "Bobby", 51, "Hammer", True, None, None, None),
            (13, "Dog", None, None, "Xanax", False, None, None, None),
            (14, "Robber", "Bobby", 90, None, None, None, None, None),
            (20, "Robber", "Eve", 79, None, None, 2_000_000, 5, None),
        ],
    ),
    "inactive_members": (
        ("name", "position", "level", "last_seen", "days_ago"),
        [
            ("Eve", "Member", 3, "2025-09-22 01:30", 100),
            ("Bobby", "Member", 7, "2025-12-29 00:00", 3),
        ],
    ),
    "member_earnings": (
        ("member", "crimes", "earned"),
        [
            ("Ada", 2, 41_512_500.0), ("Bobby", 1, 41_512_500.0), ("Eve", 1, 2_000_000.0),
            ("Cyd", 1, None),
        ],
    ),
    "member_info": (
        ("name", "level", "days_inactive", "is_in_oc", "crimes_30_days", "crimes_7_days",
         "recommended_difficulty", *(f"pass_{number}" for number in range(1, 11)), "profile"),
        [
            ("Ada", 11, 0, True, 2, 2, 2, 70, 85, *NONE[2:],
             "https://www.torn.com/profiles.php?XID=1"),
            ("Dee", 4, 2, False, 0, 0, 1, *NONE, "https://www.torn.com/profiles.php?XID=4"),
            ("Bobby", 7, 3, False, 1, 1, 1, 50, *NONE[1:],
             "https://www.torn.com/profiles.php?XID=2"),
            ("Eve", 3, 100, False, 1, 1, 1, None, 79, *NONE[2:],
             "https://www.torn.com/profiles.php?XID=5"),
        ],
    ),
    "oc_items": (
        ("difficulty", "crime", "position", "item_needed", "item_is_reusable"),
        [
            (1, "Pet Project", "Cat", "Hammer", True),
            (1, "Pet Project", "Dog", "Xanax", False),
            (1, "Pet Project", "Dog", None, None),
            (2, "Mob Mentality", "Lookout", None, None),
            (2, "Mob Mentality", "Robber", None, None),
        ],
    ),
    "oc_overview": (
        ("difficulty", "crime", "crimes", "successful", "positions", "days", "average_respect",
         "average_money", "average_money_per_position", "average_money_per_position_and_day"),
        [
            (1, "Pet Project", 2, 1, 2, 2.0, 10.0, 90_000_000.0, 45_000_000.0, 22_500_000.0),
            (2, "Mob Mentality", 4, 3, 3, 3.0, 3.0, 1_000_003.0, 333_334.0, 115_942.0),
        ],
    ),
    "set_aside": (
        ("quarantined_at", "endpoint", "path"),
        [("2026-01-01 00:30", "faction_members", "members[1].level")],
    ),
    "status_changes": (
        ("seen_at", "name", "change", "description"),
        [("2026-01-01 01:00", "Ada", "Okay -> Traveling", "Ada is Traveling")],
    ),
    "unknown_fields": (
        ("seen_at", "table_name", "column_name", "type", "example"),
        [("2026-01-01 01:00", "faction_basic", "mood", "text", '"well"')],
    ),
}  # fmt: skip
"""By the name of the question: columns, and their values in all rows, in order."""


def plain(value):
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value) if isinstance(value, dt.date) else value


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A warehouse of which every answer is known."""
    file = tmp_path_factory.mktemp("known") / "torn.duckdb"
    known_faction.fill(file)
    return file


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The demo's warehouse, as a reader of the questions has it."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    words = ["-m", "tcdatalogger", "demo", "--to", str(folder), "--polls", "4"]
    subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=120)
    return folder / "torn.duckdb"


def answer(file, name):
    with DuckDBWarehouse(file, read_only=True) as warehouse:
        return warehouse.query(QUESTIONS[name].sql)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_is_answered_rightly_where_the_answer_is_known(known, name):
    columns, expected = ANSWERS[name]

    found = answer(known, name)

    rows = [tuple(plain(row[column]) for column in columns) for row in found.to_pylist()]
    assert rows == expected


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_gets_an_answer_from_what_the_demo_logged(logged, name):
    found = answer(logged, name)

    assert found.num_columns > 2
    assert found.num_rows or "_tcd_" in QUESTIONS[name].sql


def test_no_answer_holds_money_that_the_crimes_did_not_bring(logged):
    with DuckDBWarehouse(logged, read_only=True) as warehouse:
        crimes = warehouse.query("select distinct id, rewards_money from faction_crimes")
    money = sum(filter(None, crimes["rewards_money"].to_pylist()))

    def total(name, column):
        return sum(filter(None, answer(logged, name)[column].to_pylist()))

    assert total("crimes_with_names", "money") == money
    paid = answer(logged, "crime_earnings").to_pylist()
    assert len({each["crime_id"] for each in paid}) == len(paid) > 1
    assert all(each["to_faction"] + each["to_members"] == each["money"] for each in paid)


@pytest.fixture(scope="module")
def analyzer():
    return Analyzer(SCHEMAS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_googles_analyser_takes_a_question_and_tells_the_types_of_its_answer(known, analyzer, name):
    columns = analyzer.check(QUESTIONS[name].sql)

    found = answer(known, name).schema
    assert [(column, OF_GOOGLE[kind]) for column, kind in columns] == [
        (field.name, field.type) for field in found
    ]


def content(file, sql):
    """The tables that a query names, by their names."""
    with DuckDBWarehouse(file, read_only=True) as warehouse:
        return {
            name: warehouse.query(f"select * from {name}")
            for name in SCHEMAS
            if re.search(rf"\b{name}\b", sql)
        }


@pytest.mark.parametrize("filled", ["known", pytest.param("logged", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", QUESTIONS)
def test_googles_evaluator_gives_the_rows_of_duckdb_in_their_order_and_types(
    analyzer, request, filled, name
):
    file, sql = request.getfixturevalue(filled), QUESTIONS[name].sql

    found, wanted = evaluate(analyzer, sql, content(file, sql)), answer(file, name)

    assert found.schema == wanted.schema
    assert found.to_pylist() == wanted.to_pylist()


@pytest.mark.slow
@pytest.mark.parametrize("filled", ["known", "logged"])
def test_the_bigquery_emulator_gives_the_rows_of_duckdb_in_their_order_and_types(
    bigquery, bigquery_url, request, filled
):
    file = request.getfixturevalue(filled)
    with closing(connect(bigquery_url, bigquery.environ)) as client:
        for name, rows in content(file, " ".join(each.sql for each in QUESTIONS.values())).items():
            client.create(Table(client.reference(name), schema=SCHEMAS[name]))
            client.load(
                name, rows, SCHEMAS[name],
                name=client.job_name("load", name), labels={}, disposition="WRITE_APPEND",
            )  # fmt: skip
        for name, question in QUESTIONS.items():
            asked, wanted = client.ask(question.sql), answer(file, name)
            assert asked.schema.remove_metadata() == wanted.schema, name
            assert asked.to_pylist() == wanted.to_pylist(), name


TEN, ELEVEN = "timestamp '2026-01-01 10:59:00+00'", "timestamp '2026-01-01 11:01:00+00'"
HOURS = "extract(day from {0}) * 24 + extract(hour from {0})"
SINCE = "select timestamp '2026-01-04 00:00:00+00' - timestamp '2024-01-01 00:00:00+00' as d"
NULL = "cast(null as int64)"
SPELLINGS = {
    "from": ("from (select 1 as x) as t", "select x from (select 1 as x) as t", [1]),
    "qualify": (
        "select x from (select 1 as x) as t qualify row_number() over (order by x) = 1",
        "select x from (select 1 as x) as t where true qualify row_number() over (order by x) = 1",
        [1],
    ),
    "filter": (
        "select count(*) filter (where x > 1) as x from (select 1 as x) as t",
        "select count(case when x > 1 then 1 end) as x from (select 1 as x) as t",
        [0],
    ),
    "group by all": (
        "select x from (select 1 as x) as t group by all",
        "select x from (select 1 as x) as t group by x",
        [1],
    ),
    "text": ("select 1::text as x", "select cast(1 as string) as x", ["1"]),
    "float": ("select cast(1 as float64) as x", "select 1 * 1e0 as x", [1.0]),
    "timestamp_diff": (
        f"select timestamp_diff({ELEVEN}, {TEN}, hour) as x",
        f"select {HOURS.format(f'({ELEVEN} - {TEN})')} as x",
        [0],
    ),
    "date_diff": (
        f"select date_diff('hour', {TEN}, {ELEVEN}) as x",
        f"select {HOURS.format(f'({ELEVEN} - {TEN})')} as x",
        [0],
    ),
    "weekday": (
        "select extract(dayofweek from date '2026-01-04') as x",
        f"select mod(cast(floor(({HOURS.format('d')}) / 24) as int64), 7) as x from ({SINCE}) as t",
        [6],
    ),
    "sum": (
        "select sum(n) as x from (select 1 as n) as t",
        "select cast(sum(n) as int64) as x from (select 1 as n) as t",
        [1],
    ),
    "halves": (
        "select cast(2.5e0 as int64) as x", "select cast(round(2.5e0) as int64) as x", [3],
    ),
    "greatest": (
        f"select greatest(1, {NULL}) as x",
        f"select case when 1 > {NULL} then 1 else {NULL} end as x",
        [None],
    ),
    "concat": (
        "select concat('a', cast(null as string)) as x",
        "select 'a' || cast(null as string) as x",
        [None],
    ),
    "division": ("select 1 / 0 as x", "select 1 / nullif(0, 0) as x", [None]),
    "nulls": (
        "select x from (select 1 as x union all select null) as t order by x",
        "select x from (select 1 as x union all select null) as t order by x nulls last",
        [1, None],
    ),
    "regexp_extract": (
        "select regexp_extract('a=1', '=([0-9])') as x", "select substr('a=1', 3) as x", ["1"],
    ),
    "regexp_replace": (
        "select regexp_replace('a1b1', '[0-9]', '') as x",
        "select replace('a1b1', '1', '') as x",
        ["ab"],
    ),
    "respect": (
        "select t.respect as x from (select 1 as respect) as t",
        "select t.gained as x from (select 1 as gained) as t",
        [1],
    ),
}  # fmt: skip
"""What two warehouses take in two ways, or one refuses; how it is written for both; its values."""


@pytest.mark.parametrize("name", SPELLINGS)
def test_what_is_no_word_of_both_warehouses_has_a_spelling_that_is(name):
    two, one, values = SPELLINGS[name]

    def told(ask, sql):
        try:
            return repr(ask(sql)["x"].to_pylist())
        except (duckdb.Error, ZetaSQLError):
            return "refused"

    with duckdb.connect() as connection:
        here = [told(lambda sql: connection.sql(sql).to_arrow_table(), sql) for sql in (two, one)]
    there = [told(lambda sql: evaluate(Analyzer({}), sql, {}), sql) for sql in (two, one)]

    assert here[0] != there[0]
    assert here[1] == there[1] == repr(values)


def test_the_page_of_recipes_has_every_question_as_it_is_shipped():
    page = (ROOT / "docs/recipes.md").read_text()
    blocks = re.findall(r"(?m)^```sql\n(.*?)^```", page, re.DOTALL)

    assert sorted(each for each in blocks if "…" not in each) == sorted(
        each.sql for each in QUESTIONS.values()
    )
