"""What the warehouse sends does by Google's own evaluator what it does by the emulator.

Nothing of it is written here: loads are stored, and each text of SQL that is sent meanwhile is run
twice. The answers have to be the same, and the rows that are in the tables after it.
"""

from __future__ import annotations

import re
from dataclasses import replace

import evaluator
import pyarrow as pa
import pytest
from analyzer import Analyzer
from google.cloud.bigquery import SchemaField
from layers import told

from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.google.connect import connect
from tcdatalogger.services.google.warehouse import BigQueryWarehouse
from warehouses.conftest import SERVED_AT, Maker

ME = 40832
FACTS = {"tag": "text", "rate": "float", "won": "bool", "seen": "time", "more": "json"}
HIT, OTHER = {"id": 7, "user": 158}, {"id": 8, "user": None}
FULL = {"tag": "a\"b'c\\ äß\n", "rate": 0.1 + 0.2, "won": True, "seen": 1_700_000_000,
        "more": {"b": [1, 2.50, None], "a": 9_007_199_254_740_993}}  # fmt: skip
NULLS = dict.fromkeys(FACTS)
MAKES_OR_ALTERS = re.compile(r"create table `\w+` clone `\w+`$|alter table `\w+` \w+ column ")
"""What is no matter of rows, so nobody evaluates it."""
NAN = 0.125
"""What stands for NaN, which no JSON has: an answer of Torn has none, a processor may make one."""
LISTS = (
    (1, {1: {**FULL, "hits": [HIT, OTHER]}, 2: {}, 3: NULLS, 4: {"rate": 3.0, "more": "text"},
         5: {"rate": -0.0}, 6: {"rate": NAN, "hits": [HIT, HIT]}}),
    # of the same second: one is changed, one has a further child, others are as they were or gone
    (1, {1: {**FULL, "hits": [HIT, OTHER]}, 2: {"hits": [OTHER]}, 3: {**NULLS, "rate": -1e300},
         5: {"rate": -0.0}, 6: {"rate": NAN, "hits": [HIT, HIT]}}),
    (3, {1: {**FULL, "more": {"a": 1}}, 3: {**NULLS, "won": False}, 2**53 + 1: {"rate": 1e-7},
         5: {"rate": 0.0, "news": 1}, 6: {"rate": NAN, "hits": [HIT]}}),
    # it comes late, and has a record twice
    (2, {1: {**FULL, "tag": "late"}, 2: {"hits": [HIT]}, 4: {"rate": 3.5}, 7: {}}),
)  # fmt: skip
"""What a list had in a minute, by the ids of its records."""


def stored(warehouse, mode):
    """Store the lists; what was stored of each, and what the tables have in the end."""
    load, receipts = Maker(lambda: warehouse), []
    for minute, wars in LISTS:
        at = SERVED_AT + 60 * minute
        records = [{"id": n, **war} for n, war in wars.items()]
        made = load(*records, of=FACTS, mode=mode.split()[0], at=at)
        made = replace(made, once="once" in mode, tables=with_nan(made.tables))
        if mode == "history":
            made = replace(made, listed={ME: at})
        receipts.append(warehouse.commit(made))
    undone = warehouse.rollback("wars", made.run_id, at=at + 60, by="me")
    columns = warehouse.stored(["wars", "wars_hits"])
    tables = {name: told(warehouse.rows(name, sorted(types))) for name, types in columns.items()}
    return [(r.rows, r.left_out) for r in receipts], undone, tables


def with_nan(tables):
    rows = tables["wars"]
    place = rows.column_names.index("rate")
    values = [float("nan") if rate == NAN else rate for rate in rows["rate"].to_pylist()]
    return {**tables, "wars": rows.set_column(place, "rate", pa.array(values, pa.float64()))}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["append", "append once", "replace", "merge", "history"])
def test_the_evaluator_and_duckdb_choose_the_same_records(
    bigquery, bigquery_url, layers, evaluated, tmp_path, mode
):
    with BigQueryWarehouse(connect(bigquery_url, bigquery.environ)) as warehouse:
        found = stored(warehouse, mode)
    with DuckDBWarehouse(tmp_path / "torn.duckdb") as warehouse:
        assert found == stored(warehouse, mode)

    assert [sql for sql in layers.not_evaluated if not MAKES_OR_ALTERS.match(sql)] == []
    assert layers.compared > 3 * len(LISTS)
    assert layers.filled > 5 * len(LISTS)


def test_an_answer_that_differs_is_told(client, layers, evaluated):
    assert client.ask("select 1 + 1 as n")["n"].to_pylist() == [2]
    assert layers.compared == 1
    with pytest.raises(AssertionError, match="answers otherwise"):
        layers.compare("select 1 + 1 as n", pa.table({"n": [3]}))


def test_rows_that_differ_after_a_text_are_told(client, layers, evaluated, monkeypatch):
    client.run("create table here (i int64)")
    client.run("insert into here values (1)")
    assert layers.filled == 1
    other = evaluator.Ran(changed={"here": pa.table({"i": [1, 3]})})
    monkeypatch.setattr(evaluator, "run", lambda *_: other)
    with pytest.raises(AssertionError, match="fills here otherwise"):
        client.run("insert into here values (2)")


def test_what_makes_a_table_that_stays_is_not_evaluated(client, layers, evaluated):
    client.run("create table here (i int64, f float64, j json)")
    assert len(layers.not_evaluated) == 1
    client.run("insert into here values (1, 0.5, json '{\"a\": 1}'), (2, null, null)")
    found = client.ask(
        "create temp table t as select i, f, j.a is null as lacks from here; "
        "select count(*) as n, sum(f) as f, countif(lacks) as lacks from t"
    )
    assert found.to_pylist() == [{"n": 2, "f": 0.5, "lacks": 1}]
    assert (layers.compared, layers.filled) == (1, 1)
    client.ask("begin transaction; delete from here where i = 1; select count(*) as n from here")
    assert (layers.compared, layers.filled) == (2, 1)  # it is undone
    assert len(layers.not_evaluated) == 1


WARS = pa.table({"id": [1, 2, None], "name": ["a", None, "c"]})


def run(sql, **parameters):
    known = Analyzer({"wars": [SchemaField("id", "INT64"), SchemaField("name", "STRING")]})
    return evaluator.run(known, sql, lambda _: WARS, parameters)


def test_the_evaluator_runs_a_script():
    ran = run(
        """declare seen string; begin transaction;
        insert into wars (name) select concat(name, @more) from wars where id = 1;
        assert @@row_count = 1 as 'lost';
        create temp table other as select 2 as id, 'b' as name;
        update `wars` w set name = o.name, id = 20 from other o where w.id = o.id;
        set seen = (select string_agg(name order by name) from wars);
        if seen != 'a,az,b,c' then raise using message = seen; end if;
        delete from wars w where w.name = 'az'; commit transaction; select seen as told""",
        more="z",
    )
    assert ran.raised == ""
    assert ran.answer.to_pylist() == [{"told": "a,az,b,c"}]
    assert list(ran.changed) == ["wars"]
    assert ran.changed["wars"].to_pylist() == [
        {"id": 1, "name": "a"}, {"id": 20, "name": "b"}, {"id": None, "name": "c"},
    ]  # fmt: skip
    assert run("truncate table wars").changed["wars"].num_rows == 0
    assert run("begin transaction; truncate table wars").changed == {}  # BigQuery undoes it


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("assert (select count(*) from wars) = 4 as 'lost'", "lost"),
        ("if exists (select 1 from wars) then raise using message = 'no'; end if", "no"),
        ("select parse_json('{') as j", "PARSE_JSON"),
        ("update wars w set id = o.n from (select 1 as n union all select 2) o where true",
         "changed twice"),
    ],
)  # fmt: skip
def test_the_evaluator_tells_what_ends_a_script(sql, why):
    assert why in run(sql).raised


def test_the_evaluator_leaves_alone_what_it_cannot_run():
    assert run("create table other as select 1 as i; select i from other") is None
    assert evaluator.run(Analyzer({"wars": [SchemaField("id", "INT64")]}), "select id from wars",
                         lambda _: WARS.select(["id"]), most=2) is None  # fmt: skip
