"""How much a commit asks of BigQuery: no more with the years, and no more with other endpoints."""

from __future__ import annotations

import re

import pytest
from proxy import JOBS

from tcdatalogger.services.google import quotas
from tcdatalogger.services.google.connect import connect, open_dataset
from warehouses.conftest import Maker

HIT = {"id": 7, "user": 158}
LOOKS = "GET .*/tables/"

pytestmark = pytest.mark.slow


@pytest.fixture
def warehouse(bigquery_url, proxy):
    made = connect(bigquery_url, {"BIGQUERY_EMULATOR_HOST": proxy.endpoint})
    with open_dataset(made) as opened:
        yield opened


def calls_of(warehouse, proxy, load):
    """The jobs that a load begins, and the tables that it looks at."""
    before = proxy.count(JOBS), proxy.count(LOOKS)
    warehouse.commit(load)
    return proxy.count(JOBS) - before[0], proxy.count(LOOKS) - before[1]


def test_a_commit_begins_three_jobs_and_one_for_each_table(warehouse, proxy):
    load = Maker(lambda: warehouse)
    warehouse.commit(load({"id": 1, "hits": [HIT]}))

    jobs, _ = calls_of(warehouse, proxy, load({"id": 2, "hits": [HIT]}))

    assert jobs == 3 + 2


def test_a_commit_asks_no_more_where_the_dataset_has_more(warehouse, proxy):
    load = Maker(lambda: warehouse)
    for _ in range(2):
        warehouse.commit(load({"id": 1, "hits": [HIT]}))
    alone = calls_of(warehouse, proxy, load({"id": 2, "hits": [HIT]}))
    for name in ("alpha", "beta", "gamma"):
        warehouse.commit(load({"id": 1, "hits": [HIT]}, endpoint=name))

    assert calls_of(warehouse, proxy, load({"id": 3, "hits": [HIT]})) == alone


def tables_read(warehouse, proxy, load):
    """How many tables the statements of a commit name, each statement by itself."""
    there = {item.table_id for item in warehouse._client.tables()}
    before = len(proxy.calls)
    warehouse.commit(load)
    sent = [
        call.json["configuration"]["query"]["query"]
        for call in proxy.calls[before:]
        if re.search(JOBS, call.line) and not call.path.startswith("/upload")
    ]
    statements = [statement for text in sent for statement in text.split(";\n")]
    return sum(
        len({n for n in re.findall(r"\w+", each) if n in there or n.startswith("_tcd_stage")})
        for each in statements
    )


@pytest.mark.parametrize(
    ("mode", "most"),
    [
        ("append", quotas.APPEND),
        ("replace", quotas.COMPARE),
        ("merge", quotas.COMPARE),
        ("history", quotas.COMPARE),
    ],
)
def test_check_reckons_with_no_fewer_tables_than_a_commit_reads(warehouse, proxy, mode, most):
    load = Maker(lambda: warehouse)
    for number in range(2):
        warehouse.commit(load({"id": number, "hits": [HIT]}, mode=mode, at=60.0 * number))

    read = tables_read(warehouse, proxy, load({"id": 1, "hits": []}, mode=mode, at=180.0))

    in_all, for_each = most
    assert read <= in_all + 2 * for_each
    assert read > in_all
