"""The analyser of the tests refuses what BigQuery refuses, and takes what this program sends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from analyzer import Analyzer, Refused, parse
from google.cloud.bigquery import SchemaField

WARS = [
    SchemaField("id", "INT64"), SchemaField("score", "FLOAT64"), SchemaField("won", "BOOL"),
    SchemaField("name", "STRING"), SchemaField("seen", "TIMESTAMP"), SchemaField("more", "JSON"),
]  # fmt: skip
COMMIT = """
declare known int64 default (select count(*) from loads where id = @load);
declare told string;
begin
  begin transaction;
  if known > 0 then
    set told = concat('there: ', cast(known as string));
    raise using message = told;
  end if;
  create temp table fresh as select s.* from staging as s left join wars as w using (id)
    where w.id is null;
  insert into `tcd.torn.wars` (id, name, more)
    select id, name, parse_json(more, wide_number_mode => 'exact') from fresh;
  merge wars as w using (select distinct id from fresh) as f on w.id = f.id
    when matched and w.seen < timestamp_micros(@now) then update set won = true
    when not matched by source and w.seen >= timestamp '2026-01-01' then delete;
  assert (select count(*) from fresh) = @rows as 'rows were lost or doubled';
  commit transaction;
exception when error then
  rollback transaction;
  raise using message = @@error.message;
end;
select count(*) as n, max(seen) as newest from torn.wars
"""
GIVEN = {"load": "l1", "now": 1, "rows": 3}


@pytest.fixture
def analyzer():
    staging = [*WARS[:-1], SchemaField("more", "STRING")]
    return Analyzer(
        {"wars": WARS, "staging": staging, "loads": [SchemaField("id", "STRING")]}, "tcd.torn"
    )


def test_a_query_tells_its_columns_and_their_types(analyzer):
    assert analyzer.check("select id, score / 2 as half, more.a as a, seen from wars") == [
        ("id", "INT64"), ("half", "FLOAT64"), ("a", "JSON"), ("seen", "TIMESTAMP"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["wars", "`wars`", "torn.wars", "tcd.torn.wars", "`tcd`.torn.wars", "`tcd`.`torn`.`wars`",
     "`tcd.torn.wars`", "`tcd.torn`.wars", "`torn.wars`"],
)  # fmt: skip
def test_a_table_is_found_by_every_way_to_write_its_name(analyzer, name):
    assert analyzer.check(f"select id from {name}") == [("id", "INT64")]


def test_a_script_is_analysed_with_its_variables_and_its_tables(analyzer):
    assert analyzer.check(COMMIT, GIVEN) == [("n", "INT64"), ("newest", "TIMESTAMP")]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("where w.id is null", "where w.nothing is null"),
        ("set told = concat", "set other = concat"),
        ("set told = concat('there: ', cast(known as string))", "set told = [1]"),
        ("if known > 0", "if known"),
        ("parse_json(more, wide_number_mode => 'exact')", "more"),
        ("@rows as 'rows", "@load as 'rows"),
        ("from fresh;", "from nowhere;"),
        ("timestamp_micros(@now)", "@now"),
        ("commit transaction;", "commit transactions please;"),
    ],
)
def test_one_wrong_word_in_a_script_is_refused(analyzer, right, wrong):
    assert right in COMMIT
    with pytest.raises(Refused):
        analyzer.check(COMMIT.replace(right, wrong), GIVEN)


@pytest.mark.parametrize(
    "sql",
    [
        "selec 1", "select id from nothing", "select nothing from wars", "select @nothing",
        "select id || 1 from wars", "insert into wars (id) values ('x')",
        "select date_diff(seen, seen, day) from wars",
        "select timestamp_diff(cast(seen as datetime), seen, day) from wars",
        "insert into wars (id, id) values (1, 1)", "from wars select id",
        "create table x (i int32)", "select greatest(id, name) from wars",
        "select id from wars qualify row_number() over (partition by id order by id) = 1",
    ],
)  # fmt: skip
def test_what_bigquery_refuses_is_refused(analyzer, sql):
    with pytest.raises(Refused, match=r"INVALID_ARGUMENT"):
        analyzer.check(sql)


TAKEN = """
create table t (id int64 not null options (description = 'x'), seen timestamp,
    primary key (id) not enforced) partition by timestamp_trunc(seen, month) cluster by id
    options (require_partition_filter = true, description = 'y', labels = [('a', 'b')]);
create snapshot table kept clone wars options (expiration_timestamp = timestamp '2027-01-01');
drop snapshot table if exists kept;
create or replace table wars partition by timestamp_trunc(seen, month) as select * from wars;
create table t copy wars;
create table t clone wars;
create table t like wars;
alter table wars add column if not exists further string, alter column name drop not null;
alter table wars rename column name to title;
truncate table wars;
delete from wars where seen >= @since and id in unnest(@ids);
update wars set won = false where seen < @since;
select * from wars for system_time as of timestamp_sub(@since, interval 1 day);
select id from wars where true
    qualify row_number() over (partition by id order by seen desc) = 1;
select to_json_string(t) as j, farm_fingerprint(to_json_string(t)) as f from wars as t;
select * except (id) replace (seen as seen) from wars where json_value(more, '$.a') = 'x'
"""


@pytest.mark.parametrize("sql", TAKEN.split(";\n"))
def test_what_bigquery_takes_is_taken(analyzer, sql):
    analyzer.check(sql, {"since": datetime(2026, 1, 1, tzinfo=UTC), "ids": [1, 2]})


def test_what_changes_tables_changes_what_the_next_statement_finds(analyzer):
    analyzer.check("alter table torn.wars rename column name to title")
    analyzer.check("alter table wars add column if not exists title string, add column x int64")
    analyzer.check("alter table wars drop column more")
    assert [name for name, _ in analyzer.columns("wars")] == [
        "id", "score", "won", "title", "seen", "x",
    ]  # fmt: skip
    analyzer.check("drop table wars")
    with pytest.raises(Refused):
        analyzer.check("select * from wars")


def test_text_that_is_no_statement_does_not_parse():
    parse(COMMIT)
    with pytest.raises(Refused):
        parse("declare x int64; selec x")
