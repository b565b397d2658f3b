"""Rows that are older than they are kept go, in every warehouse, and the ledger counts them no
longer."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tcdatalogger.models.rows.expiry import Expiry

SERVED_AT = 1_767_225_600.0
DAY = 86_400.0
ME = 40832
HIT = {"id": 7, "user": 158}
TAG = {"tag": "text"}


def day(number):
    """The server's time so many days later."""
    return SERVED_AT + DAY * number


def war(number, tag, *hits):
    return {"id": number, "tag": tag, "hits": list(hits)}


@pytest.fixture
def at(load, warehouse):
    """Commit what was listed on a day, as the whole list of the subject."""

    def at(number, *wars, mode="append"):
        made = load(*wars, mode=mode, at=day(number), of=TAG)
        return warehouse.commit(replace(made, listed={ME: day(number)}, whole=True)), made

    return at


def counted(warehouse):
    """The rows of each run by the ledger, without those of which none is left."""
    lines = warehouse.loads(endpoint="wars", counting=True)
    return {line.run_id: dict(line.rows) for line in lines if any(line.rows.values())}


def test_rows_of_an_earlier_day_go_and_the_ledger_counts_them_no_longer(at, warehouse, rows):
    at(0, war(1, "a", HIT, HIT))
    _, made = at(2, war(2, "b", HIT))
    expiry = Expiry.of(made.family, (), "append", day(1))

    would = warehouse.expire("wars", expiry, dry=True)
    assert would == {"wars": 1, "wars_hits": 2}
    assert len(rows("wars", "id")) == 2

    assert warehouse.expire("wars", expiry) == would
    assert rows("wars", "id") == [2]
    assert rows("wars_hits", "war_id") == [2]
    assert counted(warehouse) == {"run-2": {"wars": 1, "wars_hits": 1}}
    assert warehouse.expire("wars", expiry) == {}


def test_of_a_history_only_versions_go_that_ended_before(at, warehouse, rows):
    at(0, war(1, "a", HIT), war(2, "same", HIT), mode="history")
    at(1, war(1, "b"), war(2, "same", HIT), mode="history")
    _, made = at(5, war(1, "c"), war(2, "same", HIT), mode="history")
    expiry = Expiry.of(made.family, (), "history", day(3))

    assert warehouse.expire("wars", expiry) == {"wars": 1, "wars_hits": 1}
    assert sorted(rows("wars", "id", "tag", current=False)) == [(1, "b"), (1, "c"), (2, "same")]
    assert rows("wars_hits", "war_id", current=False) == [2]


def test_of_a_merge_records_go_that_were_not_seen_since_and_no_rollback_brings_them(
    at, warehouse, rows
):
    at(0, war(1, "a", HIT), war(2, "b"), mode="merge")
    _, made = at(2, war(2, "c", HIT), mode="merge")

    warehouse.expire("wars", Expiry.of(made.family, (), "merge", day(1)))
    assert rows("wars", "id", "tag") == [(2, "c")]

    warehouse.rollback("wars", "run-2", at=day(3), by="by-hand")
    assert rows("wars", "id") == []


def test_the_ledger_of_years_is_changed_in_few_steps(at, warehouse):
    for number in range(3):
        at(number, war(number, "a"))
    _, made = at(9, war(9, "z"))

    warehouse.expire("wars", Expiry.of(made.family, (), "append", day(5)))

    lines = warehouse.loads(endpoint="wars")
    assert [json.dumps(dict(line.rows)) for line in lines] == [
        '{"wars": 1, "wars_hits": 0}',
        *['{"wars": 0, "wars_hits": 0}'] * 3,
    ]
