"""Several machines store in one dataset at once: each load once, and none is lost."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tcdatalogger.services.google.connect import connect, open_dataset
from warehouses.conftest import Maker

HIT = {"id": 7, "user": 158}

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(bigquery, bigquery_url):
    """Opens the dataset as a machine of its own."""
    return lambda: open_dataset(connect(bigquery_url, bigquery.environ))


def store(machine, load):
    with machine() as warehouse:
        return warehouse.commit(load)


def at_once(machine, loads):
    with ThreadPoolExecutor(len(loads)) as pool:
        return list(pool.map(lambda load: store(machine, load), loads))


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_load_that_two_machines_store_at_once_is_stored_once(machine, mode):
    with machine() as warehouse:
        make = Maker(lambda: warehouse)
        warehouse.commit(make({"id": 1, "hits": [HIT]}, mode=mode))
        load = make({"id": 2, "hits": [HIT, HIT]}, {"id": 3}, mode=mode)

        receipts = at_once(machine, [load, load])

        assert sorted(receipt.repeated for receipt in receipts) == [False, True]
        assert warehouse.counts(["wars", "wars_hits"]) == {"wars": 3, "wars_hits": 3}
        assert Counter(line.load_id for line in warehouse.ledger.loads()).most_common(1)[0][1] == 1


def test_loads_of_several_endpoints_are_all_stored_and_their_lines_are_numbered_apart(machine):
    with machine() as warehouse:
        make = Maker(lambda: warehouse)
        names = ("alpha", "beta", "gamma")
        loads = [make({"id": 1, "hits": [HIT]}, endpoint=name, run=f"run-{name}") for name in names]

        receipts = at_once(machine, loads)

        assert [receipt.rows for receipt in receipts] == [
            {name: 1, f"{name}_hits": 1} for name in names
        ]
        lines = warehouse.ledger.loads()
        assert sorted(line.endpoint for line in lines) == sorted(names)
        assert len({line.seq for line in lines}) == len(names)


def test_two_runs_of_one_endpoint_that_store_at_once_both_count(machine):
    with machine() as warehouse:
        make = Maker(lambda: warehouse)
        warehouse.commit(make({"id": 1, "hits": [HIT]}))
        loads = [make({"id": 2, "hits": [HIT]}, run=f"run-{n}") for n in "ab"]

        receipts = at_once(machine, loads)

        assert [receipt.repeated for receipt in receipts] == [False, False]
        assert warehouse.counts(["wars", "wars_hits"]) == {"wars": 3, "wars_hits": 3}
