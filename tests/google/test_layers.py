"""Each text of SQL is analysed as it is sent, with the tables as they are then."""

from __future__ import annotations

import threading

import pytest
from alike import alike
from analyzer import Analyzer, Refused
from google.cloud import bigquery as google
from google.cloud.bigquery import SchemaField
from layers import Counts, told

from tcdatalogger.errors import DataRefused

COLUMNS = [SchemaField("i", "INT64"), SchemaField("s", "STRING")]


@pytest.fixture
def here(client):
    """A table that the program has made."""
    return client.create(google.Table(client.reference("here"), schema=COLUMNS))


def test_what_google_refuses_fails_the_test_that_sends_it(client, here, layers):
    with pytest.raises(Refused, match="Unexpected keyword NEW"):
        client.ask("with new as (select 1 as n) select n from new")
    with pytest.raises(Refused, match="Unrecognized name: j"):
        client.run("begin transaction; update here set i = 1 where j = 2; commit transaction")


def test_what_is_wrong_on_purpose_has_to_be_refused_by_bigquery_too(client, here, wrong_sql):
    with pytest.raises(DataRefused):
        client.ask("select nothing from here")
    with pytest.raises(AssertionError, match="BigQuery takes what Google's analyser refuses"):
        client.ask("with new as (select 1 as n) select n from new")


def test_what_a_thread_sends_fails_its_test_in_the_end(client, layers):
    met = []

    def send():
        try:
            client.ask("with new as (select 1 as n) select n from new")
        except Refused as error:
            met.append(error)

    def test():
        with layers.watching(client._google):
            thread = threading.Thread(target=send)
            thread.start()
            thread.join()

    with pytest.raises(Refused, match="NEW") as caught:
        test()
    assert met == [caught.value]


def test_tables_are_known_as_they_are_whoever_has_changed_them(client, here, bigquery):
    other = client._google.get_table(here.reference)
    other.schema = [*COLUMNS, SchemaField("late", "BOOL")]
    client._google.update_table(other, ["schema"])
    assert client.ask("select late from here").num_rows == 0
    client._google.create_table(google.Table(client.reference("there"), schema=COLUMNS))
    assert client.ask("select s from there").num_rows == 0
    client.run("alter table there add column more json")
    client.run("create table copied as select i, i + 0.5 as half from here")
    assert client.ask("select more, half from there join copied using (i)").num_rows == 0
    client.delete("there")
    with pytest.raises(DataRefused, match="there"):
        client.ask("select s from there")


KNOWN = ("here", "there")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select i from here", "select  i  from there -- of others\n"),
        ("select 1, 'x', 1.5 from `here`", "select 22, 'yy', 1.5 from `there`"),
        ("where i in (1, 2, 3)", "where i in (4)"),
        ("insert into here (i) values (1)", "insert into there (i) values (1), (2), (3)"),
        ("timestamp '2026-01-01 00:00:00+00'", "timestamp '2027-11-30 23:59:59+00'"),
    ],
)
def test_texts_are_alike_that_differ_in_names_numbers_and_texts(one, other):
    assert alike(one, KNOWN)[0] == alike(other, KNOWN)[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select i from here", "select s from here"),
        ("select i from here join there", "select i from here join here"),
        ("select 1", "select 1.5"),
        ("select 1", "select '1'"),
        ("select 1", "select 1, 2"),
        ("select 'x'", r"select '\x1'"),
        ("json_value(s, '$.a')", "json_value(s, '$.a[')"),
        ("timestamp '2026-01-01'", "timestamp '2026-1-1'"),
        ("select i from here", "select i from nowhere"),
        ("select `i` from here", "select i from here"),
        ("select 1", "select 99999999999999999999"),
        ("insert into here (i, s) values (1, 'x')", "insert into here (i, s) values (1, 2)"),
    ],
)
def test_texts_are_not_alike_of_which_one_may_be_wrong_alone(one, other):
    assert alike(one, KNOWN)[0] != alike(other, KNOWN)[0]


def test_what_is_alike_is_analysed_once_and_a_column_of_the_name_of_a_table_is_none_else():
    remembered = {}
    some = Analyzer({"wars": [SchemaField("wars", "INT64")]}, remembered=remembered)
    other = Analyzer({"hits": [SchemaField("hits", "INT64")]}, remembered=remembered)
    assert some.check("select w.wars from wars w where w.wars = 1") == [("wars", "INT64")]
    assert other.check("select w.hits from hits w where w.hits = 2") == [("hits", "INT64")]
    assert len(remembered) == 1
    third = Analyzer({"hits": [SchemaField("wars", "INT64")]}, remembered=remembered)
    with pytest.raises(Refused):
        third.check("select w.hits from hits w where w.wars = 1")
    third.check("create temp table made as select w.wars as n from hits w; select n from made")
    assert third.names() == ["hits"]


@pytest.mark.parametrize(
    "change", ["alter table wars add column x int64", "create table other as select 1 as i"]
)
def test_no_table_that_stays_is_changed_within_a_transaction(change):
    analyzer = Analyzer({"wars": COLUMNS})
    analyzer.check(f"{change}; begin transaction; create temp table t as select 1 as i; "
                   "drop table t; truncate table wars; commit transaction")  # fmt: skip
    with pytest.raises(Refused, match="within a transaction"):
        analyzer.check(f"begin transaction; {change}; commit transaction")


def test_what_several_processes_have_done_is_counted_together():
    counts = Counts(tests=2, sent=5, texts={1, 2}, left_out=0)
    for other in (Counts(tests=1, sent=3, texts={2, 3}, evaluated={3}, left_out=7),) * 2:
        counts.add(other.told())
    assert counts == Counts(4, 0, 11, {1, 2, 3}, {3}, 7)


def test_answers_are_the_same_in_any_order_and_however_numbers_are_written():
    import pyarrow as pa  # noqa: PLC0415

    one = pa.table({"told": ['{"a":1.0,"b":[2]}', '{"a":null}']})
    assert told(one) == told(pa.table({"told": ['{"a":null}', '{"b":[2.0],"a":1}']}))
    assert told(one) != told(pa.table({"told": ['{"a":null}', '{"b":[2.5],"a":1}']}))
