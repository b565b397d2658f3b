"""Snapshots of a dataset are of one state, and come back as a whole or go on."""

from __future__ import annotations

import json
import time

import pytest

from tcdatalogger.errors import Busy, UsageError
from tcdatalogger.services.google import snapshots, turns
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.connect import connect
from tcdatalogger.services.google.warehouse import BigQueryWarehouse

pytestmark = pytest.mark.slow

NOW = time.time()
LATER = NOW + 86_400
COMMIT = "update _tcd_bigquery set value = 'other' || value where kind = 'turn'"


@pytest.fixture
def dataset(client):
    """A dataset with a ledger that is empty."""
    BigQueryWarehouse(client)._make()
    return client


@pytest.fixture
def target(bigquery, new_dataset, clock):
    made = connect(new_dataset(), bigquery.environ, clock=clock)
    yield made
    made.close()


def storing(dataset, monkeypatch, after, times):
    """Let somebody commit after the snapshot of a table, so many times; the tables in order."""
    made, original = [], Client.snapshot

    def snapshot(self, source, to, **words):
        original(self, source, to, **words)
        if source == after and made.count(after) < times:
            dataset.run(COMMIT)
        made.append(source)

    monkeypatch.setattr(Client, "snapshot", snapshot)
    return made


def test_they_are_made_again_where_a_run_has_stored_meanwhile(dataset, monkeypatch):
    made = storing(dataset, monkeypatch, "_tcd_loads", 1)

    taken = snapshots.take(dataset, NOW, LATER)

    assert len(made) == 2 * len(taken.tables)
    place = taken.tables[turns.TABLE].place
    (kept,) = dataset.ask(f"select value from `{place}`").to_pylist()
    assert kept["value"] == turns.current(dataset).values[turns.ALL]
    (found,) = snapshots.kept(dataset)
    assert found.tables == taken.tables


def test_nothing_takes_them_for_tables_of_the_warehouse(dataset):
    taken = snapshots.take(dataset, NOW, LATER)

    assert set(BigQueryWarehouse(dataset).sums()) == set(taken.tables) - {turns.TABLE}
    kinds = {item.table_id: item.table_type for item in dataset.tables()}
    assert {kinds[each.place] for each in taken.tables.values()} == {"SNAPSHOT"}


def test_none_are_listed_where_runs_store_all_the_time(dataset, monkeypatch):
    storing(dataset, monkeypatch, turns.TABLE, 99)
    monkeypatch.setattr(snapshots, "_tables", lambda *_: [turns.TABLE])  # one suffices here

    with pytest.raises(Busy, match="changed each of the 3 times"):
        snapshots.take(dataset, NOW, LATER)

    assert snapshots.kept(dataset) == []


def test_a_table_that_a_run_has_dropped_meanwhile_is_not_missed(dataset, monkeypatch):
    kept = "_tcd_former_wars_1767225600_0a1b2c3d"
    dataset.run(f"create table `{kept}` (i int64)")
    value = json.dumps([kept, {"i": "int"}])
    insert = "insert into _tcd_bigquery (kind, name, value) values"
    dataset.run(f"{insert} ('kept', '_tcd_former_wars', '{value}')")
    tables = snapshots._tables

    def dropped(client, warehouse, turn):
        found = tables(client, warehouse, turn)
        if kept in found:
            dataset.run("delete from _tcd_bigquery where kind = 'kept'")
            dataset.delete(kept)
        return found

    monkeypatch.setattr(snapshots, "_tables", dropped)

    taken = snapshots.take(dataset, NOW, LATER)

    assert kept not in taken.tables
    assert turns.TABLE in taken.tables


class Stop(BaseException):
    """The end of a process, at a point of a restore."""


def test_a_restore_that_ended_anywhere_is_no_warehouse_and_goes_on(dataset, target, monkeypatch):
    taken = snapshots.take(dataset, NOW, LATER)
    original, left = Client.restore, [3]

    def restore(self, *args, **words):
        left[0] -= 1
        if left[0] < 0:
            raise Stop
        original(self, *args, **words)

    monkeypatch.setattr(Client, "restore", restore)
    with pytest.raises(Stop):
        snapshots.restore(dataset, taken, target)
    with (
        pytest.raises(Busy, match="not finished"),
        BigQueryWarehouse(target)._transaction(),
    ):
        pass

    left[0] = 99
    snapshots.restore(dataset, taken, target)

    assert left[0] == 99 - (len(taken.tables) - 3)
    assert turns.current(target) == turns.current(dataset)
    with BigQueryWarehouse(target)._transaction():
        pass
    with pytest.raises(UsageError, match="has tables already"):
        snapshots.restore(dataset, taken, target)
