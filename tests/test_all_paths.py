"""Every path of the catalogue, from the city to the warehouse; and every family of tables."""

from __future__ import annotations

import json
import re
import runpy
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from shared import reading
from tcdatalogger.core.run.load import Guard, load_of
from tcdatalogger.models.records import key_columns, key_fields
from tcdatalogger.models.rows.normalize import arrow_schema
from tcdatalogger.models.schema import SYSTEM, Type, family
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.base import Task
from tcdatalogger.services.warehouse.load import Load

BENCHMARK = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "all_paths.py"))
PATHS = BENCHMARK["paths"]()
STORED = {
    Type.INT: "BIGINT",
    Type.FLOAT: "DOUBLE",
    Type.TEXT: "VARCHAR",
    Type.BOOL: "BOOLEAN",
    Type.TIME: "TIMESTAMP WITH TIME ZONE",
    Type.JSON: "JSON",
}
RESERVED = ("order", "select", "table", "group", "user", "primary", "null")


def family_of(endpoint, table=""):
    name = table or BENCHMARK["name_of"](endpoint)
    return family(endpoint.shape, name, selection=endpoint.selection)


def test_the_catalogue_has_222_json_paths_and_3_csv_snapshots_besides_the_9_routes():
    assert Counter(endpoint.content for endpoint in PATHS) == {"json": 222, "csv": 3}
    assert sum(endpoint.route for endpoint in catalog.load().endpoints) == 9


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Every path, run once: the endpoints with their outcomes, and the warehouse."""
    folder = tmp_path_factory.mktemp("all")
    began = time.perf_counter()
    found = list(BENCHMARK["log_everything"](folder, pages=1))
    print("\n" + BENCHMARK["summary"](found, time.perf_counter() - began))  # noqa: T201 - with -s
    with duckdb.connect(str(folder / "torn.duckdb"), read_only=True) as connection:
        yield found, connection


@pytest.mark.slow
def test_every_path_of_the_catalogue_is_logged_by_its_path_alone(logged):
    found, connection = logged

    assert [endpoint for endpoint, _ in found] == PATHS
    wrong = [(e.path, str(o.error)) for e, o in found if o.record.status != "done"]
    assert wrong == []
    assert [(e.path, o.made.drift) for e, o in found if o.made.drift] == []
    # What is not worth another try came twice: the city gives two sectors one name.
    aside = [(e.path, m.reason) for e, o in found for m in o.made.rejected if m.again]
    assert aside == []
    loads = connection.sql("select count(*), count(distinct endpoint) from _tcd_loads")
    assert loads.fetchall() == [(225, 225)]
    # A path that brought no rows would show nothing of its types.
    assert [e.path for e, o in found if not o.record.rows[o.made.family.tables[0].name]] == []


@pytest.mark.slow
def test_every_table_has_the_columns_and_types_that_the_catalogue_promises(logged):
    found, connection = logged

    stored = {}
    for table, column, kind in connection.sql(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where schema_name = 'main' and not internal and not starts_with(table_name, '_tcd_') "
        "order by column_index"
    ).fetchall():
        stored.setdefault(table, {})[column] = kind
    promised = {
        table.name: {column.name: STORED[column.type] for column in table.columns}
        | {column.name: "VARCHAR" for column in made.columns if column.is_parameter}
        for endpoint, outcome in found
        for table, made in zip(family_of(endpoint).tables, outcome.made.family.tables, strict=True)
    }
    assert stored == promised


@pytest.mark.slow
def test_the_books_count_the_rows_that_are_there_and_every_row_says_whence_it_came(logged):
    found, connection = logged

    for _, outcome in found:
        for table, rows in outcome.receipt.rows.items():
            (ours,) = connection.execute(
                f'select count(*), count(server_timestamp), count(_subject_id) from "{table}" '
                "where _run_id = ?",
                [outcome.record.run_id],
            ).fetchall()
            assert ours[:2] == (rows, rows)
            assert ours[2] in {0, rows}


@pytest.mark.slow
def test_snapshots_are_typed_and_their_empty_cells_are_null(logged):
    _, connection = logged

    (row,) = connection.sql(
        "select typeof(any_value(id)), typeof(any_value(signed_up)), min(level), count(spouse) "
        "from user_snapshot"
    ).fetchall()
    assert row == ("BIGINT", "TIMESTAMP WITH TIME ZONE", row[2], 0)
    assert row[2] > 0
    names = connection.sql("select min(name) from company_snapshot").fetchall()
    assert names == [("Shop & Sons, No. 0",)]


# Modes


def nulled(endpoint, made, page):
    """A page of which the first record has lost its key, None where it has no field for one."""
    found = made.family
    names = [path[-1] for path in key_fields(found)]
    if not names:
        return None
    if endpoint.content == "csv":
        header, first, *rest = page.body.decode().splitlines()
        cells = first.split(",")
        cells[header.split(",").index(names[0])] = ""
        body = "\n".join((header, ",".join(cells), *rest)).encode()
        return replace(page, body=body)
    body = record = json.loads(page.body)
    for name in found.root:
        record = record[name]
    record[0][names[0]] = None
    return replace(page, body=json.dumps(body).encode())


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_every_path_takes_every_mode_and_a_null_key_goes_to_the_quarantine(logged, tmp_path, mode):
    """Each answer comes with a second one that is the same, but for its first record's key.

    What is told apart by its subject alone, which is null for the whole city, is stored twice; of
    the others some are stored, as they are all alike and each takes its time.
    """
    found, _ = logged
    kept = mode in ("merge", "history")
    chosen = [(e, o) for e, o in found if key_columns(o.made.family) is not None or not kept]
    assert len(chosen) == (198 if kept else 225)
    rows, loads = {}, []
    with DuckDBWarehouse(tmp_path / "torn.duckdb") as warehouse:
        for number, (endpoint, outcome) in enumerate(chosen):
            pages = outcome.fetched.pages
            odd = nulled(endpoint, outcome.made, pages[0]) if outcome.made.family.listed else None
            pages = (*pages, odd) if odd else pages
            fetched = replace(outcome.fetched, pages=pages, readings=())
            name, root = BENCHMARK["name_of"](endpoint), outcome.made.family.tables[0].name
            for run in ("r1", "r2") if key_columns(outcome.made.family) == () else ("r1",):
                task = Task(name, endpoint, run_id=run, mode=mode)
                maker = processor(endpoint.path)(task)
                made = maker.validate(maker.transform_data(fetched), fetched)
                aside = [m.path for m in made.rejected if "key of the record is null" in m.reason]
                assert len(aside) == (odd is not None), endpoint.path
                assert made.tables[root].num_rows == outcome.made.tables[root].num_rows
                if kept and (key_columns(outcome.made.family) == () or number % 8 == 0):
                    rows[root] = made.tables[root].num_rows
                    loads.append(load_of(task, fetched, made, Guard(), cursor=None, at=1.0))
        warehouse.commit_all(loads)
        for root, expected in rows.items():
            [row] = warehouse.query(f'select count(*) as n from "{root}"').to_pylist()
            assert row["n"] == expected, root


# Families


@pytest.mark.parametrize("endpoint", PATHS, ids=lambda endpoint: endpoint.path)
def test_a_family_has_plain_unique_names_and_keys_that_are_columns(endpoint):
    tables = family_of(endpoint).tables

    names = [table.name for table in tables]
    assert len(set(names)) == len(names)
    for table in tables:
        columns = [column.name for column in table.columns]
        assert len(set(columns)) == len(columns)
        assert columns[-3:] == list(SYSTEM)
        assert all(re.fullmatch(r"_?[a-z0-9]+(_+[a-z0-9]+)*", n) for n in [table.name, *columns])
        assert table.key
        assert set(table.key) <= set(columns)
    assert tables[0].lists == ()


@pytest.mark.slow
def test_every_family_can_be_stored_with_a_row_of_nulls_in_each_table(tmp_path):
    file = tmp_path / "torn.duckdb"

    def load(number, found):
        def nulls(field):  # what runs are counted by is never null
            run = field.name == "_run_id"
            return pa.array(["by-hand"], field.type) if run else pa.nulls(1, field.type)

        rows = {
            table.name: pa.table(
                [nulls(field) for field in arrow_schema(table)], schema=arrow_schema(table)
            )
            for table in found.tables
        }
        return Load(f"{number}", "by-hand", found.tables[0].name, "append", found, rows, "", 1.0)

    families = [family_of(endpoint) for endpoint in PATHS]
    families += [family_of(PATHS[0], word) for word in RESERVED]
    with DuckDBWarehouse(file) as warehouse:
        receipts = warehouse.commit_all(load(n, found) for n, found in enumerate(families))

    tables = [table.name for found in families for table in found.tables]
    assert Counter(tables).most_common(1)[0][1] == 1
    assert [name for receipt in receipts for name in receipt.rows] == tables
    with reading(file) as connection:
        for name in tables:
            assert connection.sql(f'select count(*) from "{name}"').fetchall() == [(1,)]


# Ids that a query of the warehouse finds

MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'
PROFILES = """
[[endpoints]]
name = "profiles"
path = "/user/{id}/profile"
ids = "query:%s"
"""


def test_ids_are_read_from_the_warehouse_and_rows_are_told_apart_by_them(workplace):
    wanted = "select id from faction_members order by id desc limit 3"
    workplace.write(MEMBERS + PROFILES % wanted)
    workplace.log("faction_members")

    outcome = workplace.log("profiles")

    ids = [row["id"] for row in workplace.sql(wanted)]
    assert outcome.record.calls == 3
    assert outcome.record.rows["profiles"] == 3
    rows = workplace.sql("select id, _subject_id from profiles order by rowid")
    assert [(row["id"], row["_subject_id"]) for row in rows] == [(each, each) for each in ids]


def test_an_id_that_the_query_finds_twice_is_asked_for_once_and_a_null_not_at_all(workplace):
    query = "select unnest([150001, null, 150002, 150001])"
    workplace.write(MEMBERS + PROFILES % query)
    workplace.log("faction_members")

    assert workplace.log("profiles").record.calls == 2
    assert workplace.value("select count(distinct _subject_id) from profiles") == 2


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ("select id from faction_members where level > 1000", 65, "gives none"),
        ("select id from nobody", 2, "nobody"),
        ("selekt id", 2, "selekt"),
        ("select null", 65, "gives none"),
        ("delete from faction_members", 2, "read-only"),
    ],
)
def test_a_query_without_ids_or_with_wrong_sql_changes_nothing(workplace, query, code, says):
    workplace.write(MEMBERS + PROFILES % query)
    workplace.log("faction_members")
    before = workplace.sql("from _tcd_loads")

    outcome = workplace.log("profiles")

    assert outcome.record.status == "failed"
    assert outcome.record.exit_code == code
    assert says in outcome.record.error
    assert outcome.record.calls == 0
    assert workplace.sql("from _tcd_loads") == before
    assert workplace.value("select count(*) from faction_members") == 30


def test_a_query_before_the_first_load_says_that_there_is_no_warehouse_yet(workplace):
    workplace.write(PROFILES % "select id from faction_members")

    outcome = workplace.log("profiles")

    assert outcome.record.exit_code == 69
    assert "There is no warehouse" in outcome.record.error
