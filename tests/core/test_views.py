"""What people are shown, as values: what the tests of the commands leave unsaid."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tcdatalogger.core.state.store import RunRecord
from tcdatalogger.core.views.quarantine import records
from tcdatalogger.core.views.runs import newest, view
from tcdatalogger.core.views.schema import TableVersion, changes, versions
from tcdatalogger.core.views.status import status
from tcdatalogger.errors import WarehouseUnavailable
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse


def test_the_calls_that_are_left_are_those_that_the_budget_gives(workplace):
    workplace.write(extra="[limits]\nshare = 0.29\n")
    workplace.log("faction_basic")

    with workplace.application() as application:
        found = status(application.settings, application.state, START, workplace.environ)
        most = application.budget.calls

    (owner,) = found.owners
    assert owner.calls_used > 0
    assert owner.calls_used + owner.calls_left == most == 29


def test_before_the_first_run_there_is_a_status_and_no_run(workplace):
    with workplace.application() as application:
        settings = application.settings
    found = status(settings, None, START, {})

    assert [one.endpoint for one in found.endpoints] == [one.name for one in settings.endpoints]
    assert {one.last_run for one in found.endpoints} == {None}
    assert (found.owners, found.keys, found.held) == ((), (), ())
    assert newest(None) == ()


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        ({"status": "done"}, "done"),
        ({"status": "done", "unchanged": True}, "unchanged"),
        ({"status": "failed", "error_class": "Busy"}, "failed: Busy"),
        ({"status": "paused", "step": "validate"}, "paused after validate"),
        ({"status": "crashed"}, "crashed"),
    ],
)
def test_what_became_of_a_run_is_said_in_a_word_or_two(facts, result):
    assert view(RunRecord("1", "faction_basic", START, **facts)).result == result


@pytest.mark.parametrize(
    ("facts", "calls", "seconds"),
    [
        ({"status": "running"}, 0, 0),
        ({"status": "crashed"}, None, None),
        ({"status": "crashed", "calls": 3}, 3, 0),
        ({"status": "superseded", "settled": True}, None, None),
        ({"status": "done", "calls": 2, "seconds": {"fetch": 1.0, "store": 0.5}}, 2, 1.5),
    ],
)
def test_what_nobody_wrote_down_is_not_said_to_be_nothing(facts, calls, seconds):
    found = view(RunRecord("1", "faction_basic", START, **facts))

    assert (found.calls, found.seconds) == (calls, seconds)


def test_a_run_that_goes_on_is_as_late_as_its_beginning():
    going = view(RunRecord("1", "faction_basic", START))
    ended = view(RunRecord("1", "faction_basic", START, finished_at=START + 5))

    assert (going.ended, going.latest) == (None, going.began)
    assert (ended.latest - ended.began).total_seconds() == 5


def test_what_the_ledger_gives_in_no_order_is_shown_the_oldest_first(workplace, city, monkeypatch):
    workplace.write(
        '[[endpoints]]\nname = "members"\npath = "/faction/members"\ncontract = "quarantine"\n'
        '[[endpoints]]\nname = "crimes"\npath = "/faction/crimes"\n'
    )
    city.fault("map", path="/faction/members", times=1)
    for name in ("members", "members", "crimes"):
        workplace.clock.sleep(60)
        workplace.log(name)
    rows = DuckDBWarehouse.rows
    monkeypatch.setattr(DuckDBWarehouse, "rows", lambda *words, **more: rows(*words, **more)[::-1])

    with workplace.application() as application:
        tables = versions(application)
        aside = records(application)

    at = [(one.created_at, one.table_name, one.version) for one in tables]
    assert len(at) > 3
    assert at == sorted(at)
    ids = [(one.quarantined_at, one.quarantine_id) for one in aside]
    assert len(ids) > 1
    assert ids == sorted(ids)


def test_where_nothing_is_stored_there_is_no_table_and_nothing_set_aside(workplace):
    with workplace.application() as application:
        for ask in (versions, records):
            with pytest.raises(WarehouseUnavailable, match="There is no warehouse"):
                ask(application)
        workplace.log("faction_basic")
        assert records(application) == ()


def table(number, **columns):
    """A version of a table with these columns, by name and type."""
    made = tuple({"name": name, "type": kind} for name, kind in columns.items())
    at = datetime(2026, 1, number, tzinfo=UTC)
    return TableVersion("one", "one", number, made, (), (), "drift", "", "6.0.0", at)


def test_versions_differ_by_new_columns_by_those_that_are_gone_and_by_types():
    old, new = (
        table(1, id="int", level="int", name="text"),
        table(2, id="int", level="float", x="json"),
    )

    found = [(c.change, c.column, c.before, c.after) for c in changes(old, new)]

    assert found == [
        ("+", "x", "", "json"),
        ("-", "name", "text", ""),
        ("~", "level", "int", "float"),
    ]
    assert [c.change for c in changes(new, old)] == ["+", "-", "~"]
    assert changes(old, old) == ()
