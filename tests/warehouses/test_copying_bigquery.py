"""A warehouse is copied from a file into a dataset of BigQuery and back, and nothing changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tcdatalogger.core.operations.copy import transfer
from tcdatalogger.errors import Busy, DataRefused
from warehouses import holdings
from warehouses.conftest import KINDS, SERVED_AT, Maker

pytestmark = pytest.mark.slow

ADDRESS = "duckdb:///from.duckdb"
HIT = {"id": 7, "user": 158}
FACTS = {"tag": "text", "rate": "float", "won": "bool", "seen": "time", "more": "json"}
ODD = {
    "tag": "a\"b'c\\ \u00e4\U0001f98a\n\t", "rate": 0.1 + 0.2, "won": False, "seen": 1_700_000_000,
    "more": {"b": [1, 2.50, None, {"z": "\u00e4", "a": -0.25}], "a": 9_007_199_254_740_993},
}  # fmt: skip


@pytest.fixture(params=["duckdb"])
def make_store(request):
    """What is copied is a file: to fill a dataset load by load takes long."""
    return KINDS[request.param]


@pytest.fixture
def filled(warehouse, load):
    """Rows of every type, and what `replace` and `merge` keep for a rollback."""
    for mode in ("replace", "merge"):
        for turn in (1, 2):
            wars = [{"id": 1, "hits": [HIT], **ODD, "tag": f"{turn}"}, {"id": 2**62, "hits": []}]
            made = load(*wars, of=FACTS, mode=mode, endpoint=mode, run=f"{mode}{turn}")
            warehouse.commit(replace(made, cursor=f"at {turn}", token=turn))
    return warehouse


@pytest.fixture
def target(make_bigquery, tmp_path):
    return make_bigquery(tmp_path)


def content(warehouse, load):
    return holdings.everything(warehouse, load.made)


def moved(source, target, **facts):
    with target.open() as opened:
        return transfer(source, opened, ADDRESS, **facts)


def test_it_goes_back_as_it_came(filled, load, target, new_store):
    found = moved(filled, target)
    assert {"_tcd_former_replace", "_tcd_merged_merge__merge", "merge_hits"} <= set(found)
    back = new_store()
    with target.open() as copy, back.open() as again:
        transfer(copy, again, ADDRESS)
        assert content(again, load) == content(filled, load)


def test_runs_go_on_in_the_dataset_as_they_would_in_the_file(filled, load, target):
    moved(filled, target)

    with target.open() as copy:
        for warehouse in (filled, copy):
            for mode in ("replace", "merge"):
                assert warehouse.cursor(mode) == "at 2"
                warehouse.rollback(mode, f"{mode}2", at=SERVED_AT, by="me")
            made = Maker(lambda: warehouse, runs=100)  # noqa: B023
            wars = [{"id": 1, **ODD, "tag": "later", "hits": [HIT]}, {"id": 5}]
            warehouse.commit(made(*wars, of=FACTS, mode="merge", endpoint="merge", run="merge3"))
        assert content(copy, load) == content(filled, load)


class Stop(BaseException):
    """The end of a process, at a point of a copy."""


@pytest.mark.parametrize("point", [0, 3, 8])
def test_a_copy_that_ended_anywhere_is_no_warehouse_and_goes_on(
    filled, load, target, point, new_store
):
    left = [point]

    def progress(_what, _done, _all):
        left[0] -= 1
        if left[0] < 0:
            raise Stop

    with pytest.raises(Stop):
        moved(filled, target, progress=progress)
    with target.open() as begun:
        whole = begun.copying().whole
        with pytest.raises(Busy, match="copy that is not finished"):
            begun.commit(load({"id": 9}, endpoint="merge"))

    found = moved(filled, target)

    assert {name for name, table in found.items() if table.before} == whole
    back = new_store()
    with target.open() as copy, back.open() as again:
        transfer(copy, again, ADDRESS)
        assert content(again, load) == content(filled, load)


def test_a_table_of_somebody_else_is_left_as_it_is(filled, target, make_bigquery):
    with target.open() as opened:
        opened._client.run("create table `merge` (id int64)")
        opened._client.run("insert into `merge` values (7)")
        with pytest.raises(DataRefused, match="merge is there already"):
            transfer(filled, opened, ADDRESS)
        assert opened.query("select id from `merge`").to_pylist() == [{"id": 7}]
