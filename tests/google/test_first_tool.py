"""What the first tool logged is read in as history: all of it, once, and nothing is invented."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import duckdb
import pytest
from analyzer import Analyzer

from tcdatalogger.core.operations import first_tool as operation
from tcdatalogger.services.google import first_tool

CRIMES = "v2_faction_40832_crimes-raw"
TABLES = f"""
create table `{CRIMES}` (
  server_timestamp datetime, id int64, name string, created_at datetime,
  slots_user_progress float64, slots_item_requirement_is_reusable bool, rewards_money int64,
  seen timestamp);
insert into `{CRIMES}` values
  (datetime '2024-12-31T23:59:59.999999', 1, 'Zo\\u00eb "x"', datetime '2024-01-01T00:00:00', 0.1,
   true, 9007199254740993, timestamp '2025-01-01 00:00:00+00'),
  (datetime '2025-03-01T00:00:00', 1, '', null, -0.5, false, 0, null),
  (datetime '2025-03-01T00:00:00', 1, '', null, -0.5, false, 0, null),
  (null, 2, null, null, null, null, null, null);
create table v2_faction_basic (server_timestamp datetime, id int64, name string, tag_image string);
insert into v2_faction_basic values
  (datetime '2024-06-01T12:00:00', 40832, 'A', 'a.png'),
  (datetime '2024-06-01T12:00:00', 17991, 'B', '');
create table v2_faction_currency (
  server_timestamp string, faction_id int64, points int64, money int64, price numeric, day date,
  more array<int64>, raw bytes);
insert into v2_faction_currency values
  ('2025-01-01T00:00:00.5', 40832, 1, 2, 0.1, date '2025-01-01', [1, 2], b'x'),
  ('yesterday', 40832, 0, 0, null, null, [], null);
create table notes (id int64);
insert into notes values (7);
create table ours (server_timestamp timestamp, _run_id string);
create view shown as select id from notes;
"""
FROM = ("copy", "--from-legacy")


@pytest.fixture
def legacy(workplace, bigquery, bigquery_url, client, monkeypatch):
    """A workplace beside a dataset as the first tool makes one; reads it by a command."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.endpoint)
    for statement in TABLES.split(";\n"):
        if statement.strip():
            client.run(statement)

    def read(*words):
        return workplace.run(*FROM, bigquery_url, *words, "--json")

    return read


def rows(place, table, *columns):
    with duckdb.connect(str(place.warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        names = ", ".join(columns) or "*"
        return connection.sql(f"select {names} from {table} order by all").fetchall()


def test_every_table_becomes_one_of_its_own_with_its_values_as_they_are(workplace, legacy):
    done = legacy()

    assert done.code == 0, done.err
    told = {table["source"]: table for table in done.json["tables"]}
    assert {
        name: (table["table"], table["rows"], table["new"]) for name, table in told.items()
    } == {
        CRIMES: ("legacy_v2_faction_40832_crimes_raw", 4, 4),
        "v2_faction_basic": ("legacy_v2_faction_basic", 2, 2),
        "v2_faction_currency": ("legacy_v2_faction_currency", 2, 2),
    }
    columns = ("id", "name", "created_at", "rewards_money", "slots_user_progress", "seen")
    table = "legacy_v2_faction_40832_crimes_raw"
    assert rows(workplace, table, "server_timestamp", *columns, "_subject_id") == [
        (datetime(2024, 12, 31, 23, 59, 59, 999_999, UTC), 1, 'Zoë "x"',
         datetime(2024, 1, 1, tzinfo=UTC), 9_007_199_254_740_993, 0.1,
         datetime(2025, 1, 1, tzinfo=UTC), None),
        *[(datetime(2025, 3, 1, tzinfo=UTC), 1, "", None, 0, -0.5, None, None)] * 2,
        (None, 2, None, None, None, None, None, None),
    ]  # fmt: skip
    assert done.json["left"] == {
        "notes": "no column server_timestamp; `--table notes` reads it",
        "ours": "a table of this program",
        "shown": "a view, not a table",
    }


def test_a_value_of_a_type_that_is_not_one_of_ours_becomes_a_text_and_is_told(workplace, legacy):
    told = {table["source"]: table for table in legacy().json["tables"]}

    assert told["v2_faction_currency"]["converted"] == {
        "server_timestamp": "STRING", "price": "NUMERIC", "day": "DATE", "more": "INTEGER",
        "raw": "BYTES",
    }  # fmt: skip
    columns = ("server_timestamp", "server_timestamp_text", "day", "more", "raw", "price")
    (first, second) = rows(workplace, "legacy_v2_faction_currency", *columns)
    assert first[:-1] == (
        datetime(2025, 1, 1, 0, 0, 0, 500_000, UTC), "2025-01-01T00:00:00.5", "2025-01-01",
        "[1,2]", "eA==",
    )  # fmt: skip
    assert first[-1].rstrip("0") == "0.1"  # the emulator writes all nine places of a NUMERIC
    assert second == (None, "yesterday", None, "[]", None, None)


def test_it_is_read_once(workplace, legacy):
    first = legacy().json["tables"]
    before = rows(workplace, "legacy_v2_faction_40832_crimes_raw")

    again = legacy().json["tables"]

    assert [table["new"] for table in again] == [0, 0, 0]
    assert [table["run_id"] for table in again] == [table["run_id"] for table in first]
    assert rows(workplace, "legacy_v2_faction_40832_crimes_raw") == before


def test_it_is_in_the_ledger_and_can_be_rolled_back_and_read_again(workplace, legacy):
    (told,) = legacy("--table", CRIMES).json["tables"]
    loads = workplace.sql("select endpoint, run_id, mode, rows from _tcd_loads")
    assert [(load["endpoint"], load["run_id"], load["mode"]) for load in loads] == [
        (told["table"], told["run_id"], "append")
    ]
    assert json.loads(loads[0]["rows"]) == {told["table"]: 4}

    assert workplace.run("rollback", told["run_id"]).code == 0
    with duckdb.connect(str(workplace.warehouse)) as connection:
        found = connection.sql("select table_name from duckdb_tables()").fetchall()
    assert (told["table"],) not in found
    workplace.clock.sleep(60)
    (again,) = legacy("--table", CRIMES).json["tables"]
    assert again["run_id"] != told["run_id"]
    assert len(rows(workplace, told["table"])) == 4


def test_a_large_table_is_read_month_by_month_and_goes_on_where_it_ended(
    workplace, legacy, monkeypatch
):
    monkeypatch.setattr(first_tool, "LARGE", 1)
    commits, parts = [], operation._parts

    def cut_short(*args, **options):
        for part in parts(*args, **options):
            if len(commits) == 2:
                raise KeyboardInterrupt
            commits.append(part[0])
            yield part

    monkeypatch.setattr(operation, "_parts", cut_short)
    assert legacy("--table", CRIMES).code == 130
    assert commits == ["no time", "2024-12"]
    monkeypatch.setattr(operation, "_parts", parts)
    monkeypatch.setattr(first_tool, "LARGE", 10**6)  # as it began, so it goes on

    (told,) = legacy("--table", CRIMES).json["tables"]

    assert (told["rows"], told["new"]) == (4, 2)
    assert len(rows(workplace, told["table"])) == 4
    assert len(workplace.sql("select distinct run_id from _tcd_loads")) == 1


def test_what_the_first_tool_has_stored_since_is_told_with_the_way_to_read_it(
    workplace, legacy, client
):
    (told,) = legacy("--table", "v2_faction_basic").json["tables"]
    client.run("insert into v2_faction_basic (id) values (3)")

    refused = legacy("--table", "v2_faction_basic")

    assert refused.code == 65
    assert "has other rows than the first tool" in refused.err
    assert f"tcdatalogger rollback {told['run_id']}" in refused.err
    assert len(rows(workplace, told["table"])) == 2


def test_a_value_that_changes_on_its_way_is_told(workplace, legacy, monkeypatch):
    whole = operation._ours

    def changed(table, run):
        made = whole(table, run)
        at = made.column_names.index("rewards_money")
        return made.set_column(
            at,
            "rewards_money",
            made["rewards_money"].cast("double", safe=False).cast("int64", safe=False),
        )

    monkeypatch.setattr(operation, "_ours", changed)
    refused = legacy("--table", CRIMES)

    assert refused.code == 65
    assert "its column rewards_money has other values" in refused.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--table", "v2_faction_basics"], "Did you mean 'v2_faction_basic'?"),
        (["--table", "ours"], "is a table of this program"),
        (["--to", "duckdb:///copy.duckdb"], "Say where to copy to, or from where"),
    ],
)
def test_what_cannot_be_read_is_a_clear_line(legacy, words, told):
    refused = legacy(*words)

    assert refused.code == 2
    assert told in refused.err


def test_a_table_without_a_time_is_read_where_it_is_named(workplace, legacy):
    (told,) = legacy("--table", "notes").json["tables"]

    assert (told["table"], told["rows"]) == ("legacy_notes", 1)
    assert rows(workplace, "legacy_notes", "id", "server_timestamp") == [(7, None)]


def test_people_are_told_what_was_read_and_what_was_not(workplace, legacy, bigquery_url):
    done = workplace.run(*FROM, bigquery_url)

    assert done.code == 0, done.err
    assert "legacy_v2_faction_currency.day was DATE" in done.out
    assert "left out: shown: a view, not a table" in done.out
    assert "3 tables with 8 rows, every column compared with its source." in done.out


def test_every_statement_is_one_that_google_takes(legacy, client, monkeypatch):
    from tcdatalogger.services.google.client import Client  # noqa: PLC0415 - takes a second

    asked, ask = [], Client.ask

    def kept(self, sql, **options):
        asked.append((sql, options.get("parameters") or {}))
        return ask(self, sql, **options)

    monkeypatch.setattr(Client, "ask", kept)
    assert legacy().code == 0
    monkeypatch.setattr(first_tool, "LARGE", 1)
    assert legacy("--table", "notes").code == 0
    for table in ("v2_faction_basic", CRIMES, "v2_faction_currency"):
        with_months = first_tool.find(client, (table,))[0][0]
        for month in first_tool.months(client, with_months):
            first_tool.read(client, with_months, month, part=True)

    names = ("v2_faction_basic", CRIMES, "v2_faction_currency", "notes")
    schemas = {name: client.table(name).schema for name in names}
    google = Analyzer(schemas, str(client.address))
    assert len(asked) > 10
    for sql, given in asked:
        assert google.check(sql, given), sql
