"""`tcdatalogger check`: whether everything that a run needs is there."""

from __future__ import annotations

import re

from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse


def test_where_everything_is_there_it_says_how_to_go_on(workplace):
    done = workplace.run("check")

    assert done.code == 0
    assert done.out.splitlines()[-1] == "Everything is there: `tcdatalogger run --all`"
    assert not workplace.warehouse.exists()


def test_the_findings_are_json_for_programs(workplace):
    found = workplace.run("check", "--json").json

    assert found["ok"]
    assert {one["part"] for one in found["findings"]} >= {
        "warehouse",
        "key default",
        "tables of torn_items",
    }


def test_the_exit_code_is_that_of_what_is_wrong(workplace, city):
    workplace.key = city.keys["dead"]
    dead = workplace.run("check", "--json")
    workplace.key = None
    missing = workplace.run("check", "--json")

    assert (dead.code, missing.code) == (77, 78)
    assert not dead.json["ok"]
    (problem,) = [one for one in missing.json["findings"] if not one["ok"]]
    assert "TORN_API_KEY" in problem["problem"]
    assert problem["remedy"]


def test_offline_torn_is_not_asked(workplace, city):
    workplace.key = None
    before = city.stats()["calls"]

    assert workplace.run("check", "--offline").code == 0
    assert city.stats()["calls"] == before


def test_a_wrong_configuration_is_told_before_anything_else(workplace, city):
    workplace.write('[[endpoints]]\nname = "x"\npath = "/faction/crime"\n')
    before = city.stats()["calls"]

    done = workplace.run("check")

    assert done.code == 78
    assert "/faction/crimes" in done.err
    assert city.stats()["calls"] == before


def test_alerts_are_tried_out_when_asked_for(workplace):
    missing = workplace.run("check", "--offline", "--alerts", "--json")
    workplace.write(extra='[alerts]\nwebhook = "env:TORN_API_KEY"\n')
    refused = workplace.run("check", "--offline", "--alerts", "--json")

    for done, problem in ((missing, "No channel gets alerts."), (refused, "did not take")):
        (found,) = (one for one in done.json["findings"] if one["part"] == "alerts")
        assert problem in found["problem"]
        assert done.code == 78


def test_without_an_endpoint_it_says_so_and_not_that_everything_is_there(workplace):
    workplace.write("")

    done = workplace.run("check")

    assert done.code == 0
    assert "Everything is there" not in done.out
    assert "No endpoint is configured yet" in done.out


def test_it_names_torn_first_and_what_is_to_be_made(workplace, city):
    before = workplace.run("check", "--offline").out
    workplace.log("torn_items")
    after = workplace.run("check", "--offline").out

    assert before.splitlines()[1].split() == ["ok", "torn", city.url]
    for part in ("state", "archive", "warehouse"):
        (line,) = (one for one in before.splitlines() if one.split()[1] == part)
        assert line.endswith(", to be made")
        (line,) = (one for one in after.splitlines() if one.split()[1] == part)
        assert "to be made" not in line


def test_how_a_table_lies_is_for_programs_unless_something_is_to_be_said(workplace, monkeypatch):
    workplace.log("torn_items")

    assert "layout of" not in workplace.run("check", "--offline").out
    found = workplace.run("check", "--offline", "--json").json["findings"]
    assert any(one["part"] == "layout of torn_items" for one in found)
    monkeypatch.setattr(DuckDBWarehouse, "layout", lambda *_: ("1 of 2 in order", False))
    assert "1 of 2 in order" in workplace.run("check", "--offline").out


def test_what_is_well_of_many_tables_is_one_line_and_each_with_all(workplace):
    before = workplace.run("check", "--offline").out
    assert "new tables of 5" in before
    workplace.run("run", "--all")

    short, long = workplace.run("check").out, workplace.run("check", "--all").out

    assert re.search(r"ok +tables +of 5 endpoints are as they should be", short)
    keys = len(re.findall(r"(?m)^ok +key of ", long))
    assert keys > 5
    assert re.search(rf"ok +keys of tables +{keys} are unique", short)
    assert "tables of torn_items" in long
    assert "tables of torn_items" not in short
    assert short.splitlines()[-1] == long.splitlines()[-1]
