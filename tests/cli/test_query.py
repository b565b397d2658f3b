"""`tcdatalogger query`: the warehouse in SQL, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
import resource
import sys

import pyarrow.parquet as pq
import pytest

from tcdatalogger.services.warehouse.protocol import Limits


def fill(place):
    assert place.run("run", "faction_crimes", "faction_members", "--set", "since=P1Y").code == 0


@pytest.fixture
def logged(workplace, once):
    once(fill)
    return workplace


def test_the_rows_of_a_crime_have_their_system_columns(logged):
    (first, *_) = logged.run("query", "select * from faction_crimes_slots limit 3", "--json").json

    wanted = {
        "crime_id",
        "name",
        "position",
        "user_id",
        "server_timestamp",
        "_subject_id",
        "_run_id",
    }
    assert wanted <= set(first)
    assert isinstance(first["crime_id"], int)
    assert first["server_timestamp"] == "2026-01-01T00:00:00Z"
    assert first["_subject_id"] == 40832


def test_a_sum_of_money_is_a_number_and_right(logged):
    (row,) = logged.run(
        "query", "select sum(rewards_money) as n from faction_crimes", "--json"
    ).json

    assert row["n"] == logged.value("select sum(rewards_money)::bigint from faction_crimes")
    assert isinstance(row["n"], int)


def test_fractions_and_nulls_keep_what_they_are(logged):
    sql = "select 92.25::double as a, null as b, 1.50::decimal(9, 2) as c, true as d"

    (row,) = logged.run("query", sql, "--json").json
    assert row == {"a": 92.25, "b": None, "c": "1.50", "d": True}


def test_truth_is_written_as_in_sql(logged):
    out = logged.run("query", "select true as a, [false, true] as b").out

    assert out.splitlines()[1].split("  ") == ["true", "false, true"]


def test_more_than_one_statement_is_refused_and_what_prepares_one_is_not(logged):
    refused = logged.run("query", "select 1; select 2")

    assert refused.code == 2
    assert "more than one statement" in refused.err
    assert logged.run("query", "set variable a = 3; select getvariable('a') as a;").code == 0
    assert logged.run("query", "pivot (select 1 a, 2 b) on a using sum(b)").code == 0


def test_two_columns_of_one_name_are_both_there(logged):
    sql = "select 1 as n, 2 as n"

    assert logged.run("query", sql, "--json").json == [{"n": 1, "n_2": 2}]
    assert logged.run("query", sql).out.split() == ["n", "n", "1", "2"]


def test_csv_is_csv_and_lists_are_json_in_it(logged):
    sql = "select id, name, [id, null] as both from faction_members order by id limit 2"

    done = logged.run("query", sql, "--csv")

    rows = list(csv.DictReader(io.StringIO(done.out)))
    wanted = logged.sql(sql)
    assert [(int(r["id"]), r["name"], json.loads(r["both"])) for r in rows] == [
        (r["id"], r["name"], r["both"]) for r in wanted
    ]


def test_parquet_is_written_with_all_rows(logged):
    done = logged.run("query", "from faction_crimes", "--parquet", "crimes.parquet")

    assert done.code == 0
    table = pq.read_table(logged.folder / "crimes.parquet")
    assert table.num_rows == logged.value("select count(*) from faction_crimes")


def test_a_program_that_reads_the_table_gets_every_row(logged):
    done = logged.run("query", "from range(1000)")

    assert len(done.out.splitlines()) == 1001


def test_a_difference_of_times_has_a_word_in_every_output(logged):
    sql = "select interval 2 month + interval 3 day + interval 4 hour as d, 'nan'::double as n"

    assert logged.run("query", sql, "--json").json == [
        {"d": "2 months 3 days 04:00:00", "n": "nan"}
    ]
    assert '"2 months 3 days 04:00:00"' in logged.run("query", sql, "--csv").out
    assert logged.run("query", sql, "--parquet", "x.parquet").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["   "], "empty"),
        (["select 1", "--json", "--csv"], "--csv"),
        (["select * from faction_crime"], "faction_crimes"),
        (["drop table faction_crimes"], "read-only"),
        (["delete from faction_crimes"], "read-only"),
        (["create table x as select 1"], "read-only"),
    ],
)
def test_a_query_that_makes_no_sense_or_changes_something_is_2(logged, words, said):
    done = logged.run("query", *words)

    assert (done.code, said in done.err) == (2, True)
    assert logged.value("select count(*) from faction_crimes") > 0


def test_before_the_first_run_it_says_how_to_make_one(workplace):
    done = workplace.run("query", "select 1")

    assert done.code == 69
    assert "tcdatalogger run --all" in done.err
    assert not workplace.warehouse.exists()


def test_times_are_in_utc_whatever_the_machines_zone(logged, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")

    done = logged.process(
        "query", "select max(server_timestamp) as t from faction_crimes", "--json"
    )

    assert done.json == [{"t": "2026-01-01T00:00:00Z"}]


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/proc/self/environ')",
        "from 'torn.csv'",
        "select * from glob('*')",
        "pragma import_database('copy')",
        "load httpfs",
        "pragma enable_external_access = true",
        "set variable a = 1; from read_csv('torn.csv')",
    ],
)
def test_a_query_reaches_the_tables_of_the_warehouse_alone(logged, sql):
    (logged.folder / "torn.csv").write_text("a,b\n1,2\n")

    done = logged.run("query", sql)

    assert done.code == 2
    assert logged.key not in done.out + done.err


def test_whoever_wants_other_files_says_so(logged):
    (logged.folder / "torn.csv").write_text("a,b\n1,2\n")

    refused = logged.run("query", "from read_csv('torn.csv')")
    assert "`tcdatalogger query --unsafe` lets one read other files" in refused.err

    assert logged.run("query", "--unsafe", "from read_csv('torn.csv')", "--json").json == [
        {"a": 1, "b": 2}
    ]


def test_ids_of_a_query_reach_the_tables_of_the_warehouse_alone(logged):
    ids = "query:select 1 from read_text('/proc/self/environ')"
    logged.write(f'[[endpoints]]\nname = "profiles"\npath = "/user/{{id}}/basic"\nids = "{ids}"')

    done = logged.run("run", "profiles")

    assert done.code == 2
    assert "file system operations are disabled" in done.err


def test_a_query_that_does_not_fit_into_memory_goes_to_a_file_beside(logged):
    sql = "select count(*) as n from (from range(3_000_000) order by hash(range) limit 2_000_000)"

    assert logged.run("query", sql, "--json").json == [{"n": 2_000_000}]


def test_the_query_that_the_help_names_lists_the_tables(logged):
    asked = "select table_name from INFORMATION_SCHEMA.TABLES"

    assert f"`{asked}`" in logged.run("query", "--help").out
    assert f"query '{asked}'" in logged.run("query", " ").err
    assert {"table_name": "faction_members"} in logged.run("query", asked, "--json").json


def test_a_query_that_takes_too_long_says_how_to_let_it(logged, monkeypatch):
    monkeypatch.setattr("tcdatalogger.services.warehouse.protocol.READING", Limits(0.05, 10**9, 1))
    long = "select count(*) as n from range(3000) a, range(100000) b where a.range <> b.range"

    stopped = logged.run("query", long)
    done = logged.run("query", long, "--unlimited", "--json")

    assert stopped.code == 124
    assert "query --unlimited`" in stopped.err
    assert done.json == [{"n": 299_997_000}]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold this limit")
def test_memory_beside_that_of_the_engine_has_a_limit_that_ends_with_the_query(logged):
    before = resource.getrlimit(resource.RLIMIT_DATA)

    refused = logged.run("query", "select length(repeat('x', 2000000000)) as n")

    assert refused.code == 2
    assert "takes more than 512 MB of memory" in refused.err
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_name_that_is_not_there_is_shown_at_its_place(logged):
    refused = logged.run("query", "select id,\n  nane from faction_members")

    assert "LINE 2:   nane from faction_members\n          ^^^^" in refused.err


def test_a_long_query_prints_no_progress_among_its_rows(workplace):
    workplace.log("faction_basic")

    done = workplace.run("query", "select current_setting('enable_progress_bar') as bar", "--json")

    assert done.json == [{"bar": False}]
    with workplace.application() as application, application.warehouse() as warehouse:
        found = warehouse.query("select current_setting('enable_progress_bar') as bar")
        assert found.to_pylist() == [{"bar": False}]
