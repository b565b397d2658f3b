"""Checks that are configured for an endpoint, from the file to the ledger."""

from __future__ import annotations

import json
import re

import pytest

from tcdatalogger.core.config import configuration
from tcdatalogger.errors import ConfigError

MEMBERS = """
[[endpoints]]
name = "m"
path = "/faction/members"
"""


@pytest.fixture
def checked(workplace):
    """Members with these checks."""

    def checked(*checks, more="", mode="append"):
        lines = ", ".join(checks)
        workplace.write(f'{MEMBERS}storage_mode = "{mode}"\nchecks = [{lines}]\n{more}')
        return workplace

    return checked


def told(place, columns="table_name, check_text, passed, failed_rows, example, times"):
    return [tuple(r.values()) for r in place.sql(f"select {columns} from _tcd_checks order by all")]


def run(place, code=0):
    place.clock.sleep(60)
    done = place.run("run", "m", "--json")
    assert done.code == code, done.err
    return done.json[0] if done.out else done


# Refused, warned of, set aside


def test_a_failed_check_names_a_row_by_its_key(checked):
    place = checked('{ column = "level", max = 5 }')

    [says] = run(place, 65)["failed_checks"]

    level, number = re.search(r": (\d+), for example where id is (\d+)$", says).groups()
    checked()
    run(place)
    assert place.value(f"select level from m where id = {number}") == int(level)


@pytest.mark.parametrize(
    ("check", "remedy"),
    [
        ('column = "name", min = 1', "`values` lists what a column may have"),
        ('column = "level", values = ["a"]', "Write `values` of the type int"),
        ('column = "level", max = 2020-01-01T00:00:00Z', "Write `min` and `max` of the type int"),
        ('column = "last_action_timestamp", min = 1', "Write a time as 2020-01-01T00:00:00Z"),
    ],
)
def test_a_check_that_does_not_fit_its_column_says_what_does(checked, check, remedy):
    place = checked(f"{{ {check} }}")

    assert remedy in run(place, 78)["error"]["message"] + run(place, 78)["error"]["remedy"]


def test_an_unknown_setting_of_a_check_is_told_with_those_of_a_check(checked):
    place = checked()

    done = place.run("run", "m", "--set", 'checks=[{ column = "level", mx = 5, evn = true }]')

    assert done.code == 78
    assert "checks.0.mx: is not a setting. Did you mean 'max'" in done.err
    assert "checks.0.evn: is not a setting. Known: column, columns, max, min, " in done.err


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_failed_check_keeps_the_old_rows_and_is_written_down(checked, mode):
    place = checked('{ column = "level", min = 1, max = 100 }', mode=mode)
    run(place)
    before = place.sql("from m order by id")
    place = checked('{ column = "level", min = 1, max = 5 }', mode=mode)

    failed = run(place, 65)

    assert "rows fail the check that level is between 1 and 5" in failed["error"]["message"]
    assert place.sql("from m order by id") == before
    found = told(place, "check_text, passed, run_id")
    assert found[1] == ("level is between 1 and 5", False, failed["run_id"])
    assert len(failed["failed_checks"]) == 1
    assert (place.folder / "archive").exists()


@pytest.mark.parametrize("again", ["replay", "rebuild"])
def test_a_replay_whose_rows_fail_a_check_of_today_is_written_down_too(checked, again):
    place = checked()
    first = run(place)["run_id"]
    checked('{ column = "level", min = 1, max = 5 }')
    place.clock.sleep(60)

    shown = place.run(again, "m" if again == "rebuild" else first, "--dry-run")
    assert told(place) == []
    done = place.run(again, "m" if again == "rebuild" else first)

    assert (shown.code, done.code) == ((0, 0) if again == "rebuild" else (65, 65))
    [line] = told(place, "check_text, passed, run_id")
    assert line == ("level is between 1 and 5", False, first)


def test_a_check_that_warns_stores_the_rows_and_says_so(checked):
    place = checked('{ column = "level", max = 5, on_failure = "warn" }')

    done = run(place)

    assert done["rows"]["m"] > 0
    assert any("the check that level is at most 5" in warning for warning in done["warnings"])
    [(_, _, passed, failed, example, _)] = told(place)
    assert not passed
    assert failed > 0
    assert int(example) > 5


def test_records_that_fail_are_set_aside_as_torn_sent_them(checked):
    place = checked('{ column = "level", max = 40, on_failure = "quarantine" }')

    done = run(place)

    lines = place.sql("from _tcd_quarantine")
    assert 0 < len(lines) == done["quarantined"]
    assert place.value("select max(level) from m") <= 40
    for line in lines:
        assert line["reason"] == "it fails the check that level is at most 40"
        record = json.loads(line["record"])
        assert record["level"] > 40
        assert set(record) >= {"id", "name", "status", "last_action"}
        assert line["path"].startswith("members[")


@pytest.mark.slow
def test_what_was_set_aside_is_tried_again_by_the_check_of_today(checked):
    place = checked('{ column = "level", max = 40, on_failure = "quarantine" }')
    run(place)
    aside = place.value("select count(*) from _tcd_quarantine")
    stored = place.value("select count(*) from m")

    place.run("quarantine", "retry", "--all")
    assert place.value("select count(*) from _tcd_quarantine") == aside

    place = checked('{ column = "level", max = 100, on_failure = "quarantine" }')
    place.run("quarantine", "retry", "--all")
    assert place.value("select count(*) from _tcd_quarantine") == 0
    assert place.value("select count(*) from m") == stored + aside


def test_all_that_fail_are_named_at_once(checked):
    place = checked('{ column = "level", max = 5 }', "{ rows = { max = 1 } }")

    message = run(place, 65)["error"]["message"]

    assert "level is at most 5" in message
    assert "the number of its rows is at most 1" in message


def test_of_records_with_one_key_all_but_the_last_are_set_aside(workplace, says):
    workplace.write(f'{MEMBERS}key = ["level"]\n')
    says("/faction/members", {"members": [{"id": 1, "level": 3}, {"id": 2, "level": 3}]})

    assert workplace.run("run", "m", "--json").code == 0

    assert workplace.sql("select id from m") == [{"id": 2}]
    [aside] = workplace.sql("from _tcd_quarantine")
    assert json.loads(aside["record"])["id"] == 1


def test_rows_that_would_vanish_are_among_the_failed_checks(checked, says):
    members = [{"id": number, "level": 9} for number in range(1, 11)]
    says("/faction/members", {"members": members}, {"members": members[:2]})
    place = checked(mode="replace")
    run(place)

    failed = run(place, 65)

    assert "max_drop" in failed["error"]["message"]
    assert place.value("select count(*) from m") == 10
    found = told(place, "check_text, passed, failed_rows, run_id")
    assert ("no more than 50% of its records vanish", False, 8, failed["run_id"]) in found


def test_a_dry_run_writes_nothing_of_a_failed_check(checked):
    place = checked('{ column = "level", max = 5 }')

    assert place.run("run", "m", "--dry-run").code == 65

    assert not place.warehouse.exists() or told(place) == []


# The books stay small


def test_a_check_that_passes_has_one_line_however_often_it_does(checked):
    place = checked('{ column = "level", min = 1 }')
    for _ in range(3):
        last = run(place)

    assert told(place, "passed, times, run_id") == [(True, 3, last["run_id"])]


def test_only_the_newest_failures_of_a_check_stay(checked, monkeypatch):
    from tcdatalogger.services.warehouse import ledger  # noqa: PLC0415

    monkeypatch.setattr(ledger, "KEPT_FAILURES", 2)
    place = checked('{ column = "level", max = 5, on_failure = "warn" }')
    runs = [run(place)["run_id"] for _ in range(4)]

    assert told(place, "run_id") == [(one,) for one in sorted(runs[-2:])]


def test_the_ledger_that_cannot_be_written_never_hides_the_refusal(checked, monkeypatch):
    from tcdatalogger.errors import WarehouseUnavailable  # noqa: PLC0415
    from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse  # noqa: PLC0415

    def fails(*_):
        raise WarehouseUnavailable("gone")

    monkeypatch.setattr(DuckDBWarehouse, "note_checks", fails)
    place = checked('{ column = "level", max = 5 }')

    assert "level is at most 5" in run(place, 65)["error"]["message"]


# The configuration


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ('{ column = "level" }', "checks nothing"),
        ("{ min = 1 }", "needs a column"),
        ('{ column = "level", columns = ["id"], unique = true }', "needs a column"),
        ('{ column = "level", min = 5, max = 1 }', "min is greater"),
        ('{ column = "level", min = 5, unique = true }', "unique stands alone"),
        ('{ columns = ["id", "level"], required = true }', "for unique alone"),
        ("{ rows = {} }", "needs a min or a max"),
        ('{ rows = { min = 1 }, column = "id" }', "counts rows"),
        ('{ rows = { min = 1 }, on_failure = "quarantine" }', "nothing can be set aside"),
        ('{ column = "level", min = 2026-01-01T00:00:00 }', "needs its zone"),
        ('{ column = "level", minn = 1 }', "min"),
        ('{ column = "level", min = 1, on_failure = "stop" }', "refuse"),
        ('{ column = "level", type = "number" }', "int"),
    ],
)
def test_a_check_that_makes_no_sense_is_told_with_its_place(workplace, check, why):
    workplace.write(f"{MEMBERS}checks = [{check}]\n")

    with pytest.raises(ConfigError) as refused:
        configuration.load(workplace.file, {})

    [problem] = refused.value.problems
    assert why in problem
    assert "endpoints.m.checks" in problem


def test_a_column_that_is_nearly_one_stops_the_run_until_it_is_corrected(checked):
    place = checked('{ column = "levle", min = 1 }')

    failed = run(place, 78)

    assert "did you mean 'level'" in failed["error"]["message"]
    assert not place.warehouse.exists() or "m" not in {
        row["name"] for row in place.sql("show tables")
    }


def test_a_column_that_may_be_learned_one_day_is_only_told(checked):
    place = checked('{ column = "zodiac", required = true }')

    assert any("zodiac" in warning for warning in run(place)["warnings"])


# `check` and `status`


def findings(place):
    done = place.run("check", "--offline", "--json")
    assert "findings" in done.out, done.out + done.err
    return {f["part"]: f for f in done.json["findings"]}, done.code


def test_check_looks_over_what_is_stored(checked):
    place = checked()
    run(place)
    run(place)
    place = checked('{ column = "level", min = 1 }', '{ column = "position", max = 5 }')

    place = checked('{ column = "level", min = 1 }')
    found, code = findings(place)

    assert code == 0
    assert found["key of m"]["says"].startswith("id: unique within each run, ")
    assert "level is at least 1: " in found["check of m"]["says"]
    assert "row groups in the order of time" in found["layout of m"]["says"]


def test_the_versions_of_a_history_do_not_repeat_its_key(workplace, living_city, checked):
    workplace.city, workplace.key = living_city, living_city.keys["limited"]
    place = checked(mode="history")
    run(place)
    living_city.advance(3 * 86400)
    run(place)
    [versions, members] = place.sql("select count(*) n, count(distinct id) m from m")[0].values()

    found, code = findings(place)

    assert versions > members
    assert code == 0
    assert found["key of m"]["says"].startswith("id: unique among the versions in force, ")


def test_check_finds_a_key_that_repeats_and_rows_that_break_a_check_of_today(checked):
    import duckdb  # noqa: PLC0415

    place = checked()
    run(place)
    with duckdb.connect(str(place.warehouse)) as connection:
        connection.execute("insert into m from m limit 2")
    place = checked('{ column = "level", max = 5 }')

    found, code = findings(place)

    assert code == 65
    assert "repeats in 2 rows within each run" in found["key of m"]["problem"]
    assert "the check that level is at most 5" in found["check of m"]["problem"]


def test_check_names_a_column_that_nobody_knows(checked):
    found, code = findings(checked('{ column = "zodiac", required = true }'))

    assert code == 78
    assert "zodiac" in found["m"]["problem"]


def test_a_learned_column_may_be_checked(checked, says):
    says("/faction/members", {"members": [{"id": 1, "zodiac": 4}]})
    place = checked()
    run(place)

    _, code = findings(checked('{ column = "zodiac", max = 12 }'))

    assert code == 0


def test_status_and_check_show_what_the_last_run_failed(checked):
    place = checked('{ column = "level", max = 5 }')
    run(place, 65)

    status = place.run("status", "--json").json
    [one] = [e for e in status["endpoints"] if e["endpoint"] == "m"]
    assert "level is at most 5" in one["last_run"]["failed_checks"][0]
    found, _ = findings(place)
    assert "level is at most 5" in found["last run of m"]["problem"]
