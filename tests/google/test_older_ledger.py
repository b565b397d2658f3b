"""A dataset whose ledger was made before it had all of its columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tcdatalogger.services.google.connect import connect, open_dataset
from warehouses.conftest import Maker

pytestmark = pytest.mark.slow


def test_it_is_read_as_it_is_and_gets_the_columns_at_the_next_load(bigquery, bigquery_url, client):
    def opened():
        return open_dataset(connect(bigquery_url, bigquery.environ))

    with opened() as warehouse:
        make = Maker(lambda: warehouse)
        warehouse.commit(replace(make({"id": 1}), key_owner=7))
    client.run("alter table _tcd_loads drop column key_owner")

    with opened() as old:
        assert [line.run_id for line in old.loads(endpoint="wars")] == ["run-1"]
    with opened() as warehouse:
        make = Maker(lambda: warehouse, runs=1)
        warehouse.commit(replace(make({"id": 2}), key_owner=8))
        owners = warehouse.rows("_tcd_loads", ["key_owner"]).column(0).to_pylist()

    assert sorted(owners, key=str) == [8, None]
