"""A reader is stopped before a run has waited long for it."""

from __future__ import annotations

import pytest

from tcdatalogger.errors import TimedOut, UsageError
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse.protocol import Limits

LONG = "select count(*) from range(100000000) a, range(10000) b where a.range <> b.range"
LARGE = "select count(*) from (select distinct range, hash(range) from range(30000000))"


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "torn.duckdb"
    with DuckDBWarehouse(made) as warehouse:
        warehouse.query("create table members as select 1 as id")
    return made


def reader(file, limits):
    return DuckDBWarehouse(file, read_only=True, limits=limits)


def test_a_query_is_stopped_when_its_time_is_over_and_the_next_one_works(file):
    with reader(file, Limits(0.1, 500_000_000, 1)) as warehouse:
        with pytest.raises(TimedOut, match=r"longer than 0\.1 s .*--unlimited"):
            warehouse.query(LONG)

        assert warehouse.query("from members").num_rows == 1


def test_a_query_that_takes_too_much_memory_ends_and_puts_nothing_aside(file):
    with (
        reader(file, Limits(30.0, 20_000_000, 1)) as warehouse,
        pytest.raises(UsageError, match=r"more than 20 MB of memory.*--unlimited"),
    ):
        warehouse.query(LARGE)

    assert sorted(each.name for each in file.parent.iterdir()) == ["torn.duckdb"]


def test_a_limit_cannot_be_lifted_by_a_query(file):
    with (
        reader(file, Limits(5.0, 500_000_000, 1)) as warehouse,
        pytest.raises(UsageError, match="refused"),
    ):
        warehouse.query("set memory_limit = '9GB'")


def test_of_the_first_rows_of_a_query_no_others_are_made(file):
    many = "select range as n from range(100000000000)"
    with reader(file, Limits(5.0, 100_000_000, 1)) as warehouse:
        assert warehouse.query(many, 3).to_pylist() == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert warehouse.query("from members order by id desc", 5_000).num_rows == 1
        assert warehouse.query("select id from members where false", 5).column_names == ["id"]
        assert warehouse.query("select range from range(5000)", 4_097).num_rows == 4_097


def test_without_limits_a_query_has_the_threads_of_the_machine(file):
    asked = "select current_setting('threads') as n"
    with reader(file, Limits(5.0, 500_000_000, 1)) as warehouse:
        assert warehouse.query(asked).to_pylist() == [{"n": 1}]
    with DuckDBWarehouse(file, read_only=True) as warehouse:
        assert warehouse.query("from members").num_rows == 1
