"""What a commit leaves to do is done by whoever comes next, or keeps from one table alone."""

from __future__ import annotations

import json

import pytest

from tcdatalogger.errors import DataRefused
from tcdatalogger.services.google.connect import connect, open_dataset
from warehouses.conftest import Maker, called

HIT = {"id": 7, "user": 158}

pytestmark = pytest.mark.slow


@pytest.fixture
def warehouse(bigquery, bigquery_url):
    with open_dataset(connect(bigquery_url, bigquery.environ)) as opened:
        yield opened


@pytest.fixture
def load(warehouse):
    return Maker(lambda: warehouse)


def leave(client, *step):
    """Write down a step as a commit does that has ended before it took it."""
    value = json.dumps(json.dumps(step))
    client.run(
        "insert into _tcd_bigquery (kind, name, value) "
        f"values ('to do', '0000000001.000000-000000', {value})"
    )


def test_a_column_by_which_a_table_is_clustered_gets_another_name(warehouse, load, client):
    warehouse.commit(load({"id": 1, "hits": [HIT]}))
    assert client.table("wars").clustering_fields == ["id"]
    again = called(load({"id": 2}), id="war")

    warehouse.reshape(again, accept=True)

    assert client.table("wars").clustering_fields == ["war"]
    warehouse.commit(again)
    assert sorted(warehouse.rows("wars", ["war"]).column("war").to_pylist()) == [1, 2]


def test_a_step_that_was_left_is_taken_by_the_next_commit(warehouse, load, client):
    warehouse.commit(load({"id": 1, "tag": "a"}, of={"tag": "text"}))
    leave(client, "cluster", "wars", "", "id,tag")

    warehouse.commit(load({"id": 1}, endpoint="peace"))

    assert client.table("wars").clustering_fields == ["id", "tag"]


@pytest.mark.usefixtures("wrong_sql")
def test_a_step_that_bigquery_refuses_keeps_from_its_own_table_alone(warehouse, load, client):
    warehouse.commit(load({"id": 1, "tag": "a"}, of={"tag": "text"}))
    leave(client, "rename", "wars", "tag", "id")
    made = load({"id": 2}, of={"tag": "text"})

    warehouse.commit(load({"id": 1}, endpoint="peace"))
    with pytest.raises(DataRefused, match="wars is not yet as it was to be changed"):
        warehouse.commit(made)

    assert warehouse.counts(["peace"]) == {"peace": 1}
    client.run("delete from _tcd_bigquery where kind = 'to do'")
    warehouse.commit(made)
    assert sorted(warehouse.rows("wars", ["id"]).column("id").to_pylist()) == [1, 2]
