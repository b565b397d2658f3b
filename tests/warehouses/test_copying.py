"""A warehouse of any kind is copied into one of any kind: nothing is lost, doubled or changed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from shared import rest_slow
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.operations.copy import transfer
from tcdatalogger.errors import Busy, DataRefused, UsageError
from tcdatalogger.models.checks.promised import Checked
from tcdatalogger.models.renames import renamed
from tcdatalogger.models.schema import Type
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse.copying import CopiedTable, Copying
from warehouses import holdings
from warehouses.conftest import KINDS, SERVED_AT, Maker, store_maker

HIT, OTHER = {"id": 7, "user": 158}, {"id": 8, "user": 159}
FACTS = {"tag": "text", "rate": "float", "won": "bool", "seen": "time", "more": "json"}
ODD = {
    "tag": "a\"b'c\\ \u00e4\U0001f98a\n\t", "rate": 0.1 + 0.2, "won": False, "seen": 1_700_000_000,
    "more": {"b": [1, 2.50, None, {"z": "\u00e4", "a": -1e-7}], "a": 9_007_199_254_740_993},
}  # fmt: skip
ADDRESS = "duckdb:///from.duckdb"


@pytest.fixture(params=rest_slow(KINDS))
def make_store(request):
    """Makes an empty warehouse; those in BigQuery are copied in test_copying_bigquery.py."""
    return KINDS[request.param]


@pytest.fixture
def target(request, tmp_path_factory):
    """Opens an empty warehouse anew; what was committed is there. It is of the kind under test."""
    kind = getattr(request, "param", request.node.callspec.params["make_store"])
    return store_maker(request, kind)(tmp_path_factory.mktemp("target"))


into_each = pytest.mark.parametrize("target", rest_slow(KINDS), indirect=True)


MODES = ("append", "replace", "merge", "history")


def fill(warehouse, load, modes=MODES):
    """Rows of every type, what each mode keeps for a rollback, and all that a ledger has."""
    wars = [{"id": 1, "hits": [HIT, OTHER], **ODD}, {"id": 2**62, "hits": []}]
    for number, mode in enumerate(modes):
        for turn in (1, 2):
            at = SERVED_AT + 60 * (10 * number + turn)
            first = {**wars[0], "tag": f"{mode} {turn}", **({"new": turn} if turn > 1 else {})}
            made = load(
                first, wars[1], of=FACTS, mode=mode, endpoint=mode, at=at, run=f"{mode}{turn}"
            )
            made = replace(
                made, listed={40832: at}, cursor=f"at {turn}", digest=f"d{turn}", token=turn
            )
            warehouse.commit(made)
    spoilt = load({"id": "no number"}, {"id": 3}, endpoint="append", of=FACTS, run="odd")
    warehouse.commit(spoilt)
    other = load({"id": 1, "hits": [HIT], **ODD}, endpoint="other", of=FACTS)
    warehouse.commit(other)
    changed = replace(other, family=renamed(other.family, {"rate": "speed"}))
    warehouse.reshape(changed, accept=True)
    warehouse.note_checks(Checked("append", "odd", "load", SERVED_AT, ()))


@pytest.fixture(scope="session")
def filled_file(tmp_path_factory):
    """The file of a filled warehouse, which every test gets a copy of, and who made its loads."""
    file = tmp_path_factory.mktemp("filled") / "torn.duckdb"
    with DuckDBWarehouse(file, ManualClock()) as warehouse:
        load = Maker(lambda: warehouse)
        fill(warehouse, load)
    return file, load


@pytest.fixture
def filled(request, tmp_path, warehouse, load):
    if request.node.callspec.params["make_store"] != "duckdb":
        fill(warehouse, load)
        return warehouse
    file, made = request.getfixturevalue("filled_file")
    shutil.copy(file, tmp_path / "torn.duckdb")
    load.runs, load.made = made.runs, set(made.made)
    load.clock.sleep(made.clock.now() - load.clock.now())
    return warehouse


@pytest.fixture
def few(warehouse, load):
    """The same of one mode, for what is no matter of modes: a quarter of the tables."""
    fill(warehouse, load, MODES[:1])
    return warehouse


def content(warehouse, load):
    return holdings.everything(warehouse, load.made)


def moved(source, target, **facts):
    with target.open() as opened:
        return transfer(source, opened, ADDRESS, **facts)


@into_each
def test_a_copy_holds_what_its_source_holds(filled, load, target):
    found = moved(filled, target)

    with target.open() as copy:
        assert content(copy, load) == content(filled, load)
    kept = [name for name in found if name.startswith("_tcd_former_")]
    assert kept == ["_tcd_former_replace", "_tcd_former_replace_hits"]
    assert any(name.startswith("_tcd_merged_") for name in found)
    assert found["append"].rows == 5
    assert found["append_hits"].columns["user"].values == 4


@into_each
def test_a_copy_goes_on_as_its_source_would(filled, load, target):
    moved(filled, target)

    with target.open() as copy:
        for warehouse in (filled, copy):
            made = Maker(lambda: warehouse, runs=100)  # noqa: B023
            wars = [{"id": 1, "tag": "later", "hits": [HIT]}, {"id": 5}]
            for mode in MODES:
                assert warehouse.cursor(mode) == "at 2"
                warehouse.rollback(mode, f"{mode}2", at=SERVED_AT, by="me")
                at = SERVED_AT + 90_000
                warehouse.commit(
                    replace(
                        made(*wars, of=FACTS, mode=mode, endpoint=mode, at=at, run=f"{mode}3"),
                        listed={40832: at},
                    )
                )
        assert content(copy, load) == content(filled, load)


@into_each
def test_it_goes_back_as_it_came(filled, load, target, new_store):
    moved(filled, target)
    back = new_store()
    with target.open() as copy:
        moved(copy, back)

    with back.open() as again:
        assert content(again, load) == content(filled, load)


def test_a_copy_that_is_not_finished_is_no_warehouse_for_a_run(few, load, target):
    table = CopiedTable("append", {"id": Type.INT})
    with target.open() as begun:
        begun.begin_copy(Copying(ADDRESS, "state"))
        begun.take_in(table, few.batches(table))
        with pytest.raises(Busy, match="copy that is not finished"):
            begun.commit(load({"id": 9}))
        assert begun.loads() == []
        assert begun.copying() == Copying(ADDRESS, "state", frozenset({"append"}))
    with target.open() as begun, pytest.raises(Busy, match="copy that is not finished"):
        begun.commit(load({"id": 9}))


class Stop(BaseException):
    """The end of a process, at a point of a copy."""


def stopping(step, after):
    """Ends the copy at the nth sign of progress."""
    left = [after]

    def progress(_what, _done, _all):
        left[0] -= 1
        if left[0] < 0:
            raise Stop(step)

    return progress


@pytest.mark.parametrize("point", rest_slow([17, 0, 9, 33]))
def test_a_copy_that_ended_anywhere_goes_on_with_what_is_not_there(filled, load, target, point):
    with pytest.raises(Stop):
        moved(filled, target, progress=stopping("copying", point))
    with target.open() as begun:
        whole = begun.copying().whole
        with pytest.raises(Busy):
            begun.commit(load({"id": 9}, endpoint="append"))

    found = moved(filled, target)

    assert {name for name, table in found.items() if table.before} == whole
    with target.open() as copy:
        assert content(copy, load) == content(filled, load)


def test_a_copy_that_was_finished_is_compared_and_stays(filled, load, target):
    moved(filled, target)
    found = moved(filled, target)
    assert all(table.before for table in found.values())
    with target.open() as copy:
        assert content(copy, load) == content(filled, load)
        copy.commit(load({"id": 77}, endpoint="append", of=FACTS, run="more"))
    with pytest.raises(UsageError, match="has tables already"):
        moved(filled, target)


def test_what_the_source_stored_since_a_copy_began_is_brought_too(filled, load, target):
    with pytest.raises(Stop):
        moved(filled, target, progress=stopping("copying", 12))
    filled.rollback("append", "append1", at=SERVED_AT, by="me")

    found = moved(filled, target)

    assert not any(table.before for table in found.values())
    with target.open() as copy:
        assert content(copy, load) == content(filled, load)


def test_what_the_source_stores_while_it_is_copied_ends_the_copy(few, load, target):
    def store():
        few.commit(load({"id": 99}, endpoint="append", of=FACTS))

    with pytest.raises(Busy, match="changed while it was copied"):
        moved(few, target, ask=store)
    with target.open() as copy:
        assert copy.copying() is not None
    moved(few, target)
    with target.open() as copy:
        assert content(copy, load) == content(few, load)


def test_a_target_that_is_not_empty_is_left_as_it_is(few, load, target):
    with target.open() as other:
        made = Maker(lambda: other)
        other.commit(made({"id": 1}))
        before = content(other, made)
        with pytest.raises(UsageError, match="has tables already"):
            transfer(few, other, ADDRESS)
        assert content(other, made) == before


def test_a_target_with_a_copy_of_another_warehouse_is_left_as_it_is(few, target):
    with target.open() as other:
        other.begin_copy(Copying("duckdb:///another.duckdb", "x"))
        with pytest.raises(UsageError, match=r"copy of duckdb:///another\.duckdb"):
            transfer(few, other, ADDRESS)
        assert other.copying() == Copying("duckdb:///another.duckdb", "x")


class Faulty:
    """A target that changes rows as it takes them in."""

    def __init__(self, target, fault):
        self._target, self._fault = target, fault

    def __getattr__(self, name):
        return getattr(self._target, name)

    def take_in(self, table, rows):
        if table.name == "append":
            rows = [self._fault(batch) for batch in rows]
        self._target.take_in(table, rows)


def other_value(column, change):
    def fault(batch):
        at = batch.schema.get_field_index(column)
        values = [None if v is None else change(v) for v in batch[at].to_pylist()]
        import pyarrow as pa  # noqa: PLC0415

        return batch.set_column(at, column, pa.array(values, batch.schema.field(at).type))

    return fault


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda batch: batch.slice(1), "it has [0-9] rows, and the source 5"),
        (other_value("id", lambda value: value + 1), "its column id has other values"),
        (other_value("rate", lambda value: value * (1 + 1e-15)), "its column rate has other value"),
        (other_value("tag", str.upper), "its column tag has other values"),
        (other_value("won", lambda _: None), "its column won has 0 values, and in the source 2"),
        (other_value("more", lambda t: t.replace("null", "0")), "its column more has other values"),
    ],
    ids=["a row less", "an integer", "a float", "a text", "a null", "json"],
)  # fmt: skip
def test_a_value_that_is_not_the_same_is_an_error_with_its_place(few, load, target, fault, told):
    with target.open() as opened:
        with pytest.raises(DataRefused, match=f"The table append of the target .*{told}"):
            transfer(few, Faulty(opened, fault), ADDRESS)
        with pytest.raises(Busy):
            opened.commit(load({"id": 9}))
        transfer(few, opened, ADDRESS)
        assert content(opened, load) == content(few, load)


def test_json_is_the_same_however_it_is_written(few, load, target):
    def written_otherwise(text):
        return json.dumps(json.loads(text), indent=1, sort_keys=True)

    with target.open() as opened:
        transfer(few, Faulty(opened, other_value("more", written_otherwise)), ADDRESS)
        assert content(opened, load) == content(few, load)


def test_a_column_of_a_strangers_type_is_refused_by_name(make_duckdb, maker, tmp_path, new_store):
    import duckdb  # noqa: PLC0415

    with make_duckdb(tmp_path).open() as warehouse:
        warehouse.commit(maker(lambda: warehouse)({"id": 1}))
    with duckdb.connect(str(tmp_path / "torn.duckdb")) as connection:
        connection.execute("alter table wars add column mine date")
    with make_duckdb(tmp_path).open() as warehouse, new_store().open() as opened:
        with pytest.raises(DataRefused, match="column mine of the table wars"):
            transfer(warehouse, opened, ADDRESS)
        assert opened.copying() is None
