"""Rows once more from the archive: the same as before, once, and all of them or none."""

from __future__ import annotations

import json
from importlib.resources import files

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared import rest_slow
from tcdatalogger.core.operations import reading_ahead
from tcdatalogger.core.operations.quarantine import retry
from tcdatalogger.core.operations.replay import rebuild, replay
from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse import modes, together

CRIMES = '[[endpoints]]\nname = "faction_crimes"\npath = "/faction/crimes"\nincremental = false\n'
MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'
REPLACE = "storage_mode=replace"
OWN_KEY = "key=id"
"""Another question, so that the same answer is not taken for nothing new."""


@pytest.fixture
def place(workplace):
    """A place that logs crimes and members; every run is a minute after the last."""
    workplace.write(CRIMES + MEMBERS)
    log = workplace.log

    def later(name, *words, **options):
        workplace.clock.sleep(60)
        return log(name, *words, **options)

    workplace.log = later
    return workplace


@pytest.fixture
def older(place):
    """Switch to a catalogue that lacks fields of members, or back to the shipped one."""
    shipped = files("tcdatalogger.services.torncity.catalog").joinpath("catalog.json").read_bytes()
    file = place.folder / "tcdatalogger.catalog.json"

    def older(*fields):
        facts = json.loads(shipped)
        facts["version"] = "6.0.0"
        for mark in fields:
            del facts["shapes"]["FactionMember"]["object"][mark]
        # A file of another name each time, since a catalogue is read once in a process.
        new = file.with_name(f"catalog-{'-'.join(fields) or 'whole'}.json")
        new.write_text(json.dumps(facts))
        return f"torn.catalog={new}"

    return older


# Replay


def test_a_replayed_run_has_the_same_rows_as_before_however_often_it_is_replayed(place):
    run = place.log("faction_crimes").record
    place.log("faction_crimes")
    before = place.tables()

    for _ in range(2):
        place.clock.sleep(60)
        one = place.again(replay, run.run_id)
        assert one.receipt.rows == run.rows
        assert place.tables() == before

    alive = place.sql("select run_id, rows from _tcd_loads where superseded_by is null")
    assert {row["run_id"]: json.loads(row["rows"]) for row in alive}[run.run_id] == run.rows
    assert len(alive) == 2


def test_a_dry_replay_stores_nothing(place):
    run = place.log("faction_crimes").record
    books = place.sql("from _tcd_loads")

    one = place.again(replay, run.run_id, dry=True)

    assert one.rows == run.rows
    assert one.receipt is None
    assert place.sql("from _tcd_loads") == books


def test_a_run_that_could_not_be_stored_is_stored_by_its_replay(place, monkeypatch):
    def refused(*_):
        raise DataRefused("The tables cannot take it.")

    with monkeypatch.context() as patch:
        patch.setattr(DuckDBWarehouse, "commit", refused)
        run = place.log("faction_members").record
    assert run.status == "failed"
    assert not place.warehouse.exists() or not place.sql("select 1 from duckdb_tables()")

    one = place.again(replay, run.run_id)

    assert one.receipt.rows == {"faction_members": 30}
    rows = place.sql("select distinct _run_id, server_timestamp, _subject_id from faction_members")
    assert [(row["_run_id"], row["_subject_id"]) for row in rows] == [(run.run_id, 40832)]
    assert rows[0]["server_timestamp"].timestamp() == place.city.now()


@pytest.mark.parametrize("kind", ["truncated", "error"])
def test_a_run_without_whole_answers_is_not_replayed(place, city, kind):
    city.fault(kind, code=21, path="/faction/members")
    run = place.log("faction_members").record
    city.clear_faults()
    place.log("faction_members")
    before = place.tables()

    with pytest.raises(DataRefused, match=run.run_id):
        place.again(replay, run.run_id)
    assert place.tables() == before


@pytest.mark.parametrize("kind", rest_slow(["error", "cut", "reset", "http"], 2))
def test_a_fetch_that_broke_off_after_some_pages_is_nothing_to_replay_or_rebuild(place, city, kind):
    place.log("faction_crimes", REPLACE)
    before = place.tables()
    city.fault(kind, code=16, status=500, after=1, path="/faction/crimes")
    run = place.log("faction_crimes", REPLACE).record
    assert run.status == "failed"
    assert run.pages == 1

    with pytest.raises(DataRefused, match="its fetch"):
        place.again(replay, run.run_id, overrides=[REPLACE])
    place.again(rebuild, "faction_crimes", overrides=[REPLACE])
    assert place.tables() == before


def test_an_id_that_torn_does_not_know_is_passed_over_in_a_replay_too(place):
    place.write('[[endpoints]]\nname = "basics"\npath = "/faction/{id}/basic"\n'
                "ids = [40832, 99999999, 40991]\n")  # fmt: skip
    run = place.log("basics").record
    assert run.rows["basics"] == 2
    before = place.tables()

    place.again(replay, run.run_id)

    assert place.tables() == before


def test_a_run_that_the_archive_does_not_have_is_named(place):
    place.log("faction_members")

    with pytest.raises(UsageError, match="20200101T000000Z-00000000"):
        place.again(replay, "20200101T000000Z-00000000")


# A catalogue that changed in between


def test_what_a_narrower_catalogue_set_aside_is_loaded_by_a_replay_with_the_newer(place, older):
    quarantine = [older("position"), "contract=quarantine"]
    run = place.log("faction_members", *quarantine).record
    assert (run.rows["faction_members"], run.quarantined) == (0, 30)

    place.again(replay, run.run_id)
    replayed = place.tables("faction_members")

    assert place.sql("from _tcd_quarantine") == []
    assert place.value("select count(position) from faction_members") == 30
    place.warehouse.unlink()
    place.again(rebuild, "faction_members")
    assert place.tables("faction_members") == replayed


def test_a_record_that_is_tried_again_is_stored_once_as_if_it_had_fitted_at_first(place, older):
    good = place.log("faction_members").record
    run = place.log("faction_members", older("position"), "contract=quarantine").record
    with place.application() as application:
        with application.warehouse(read_only=True) as warehouse:
            lines = warehouse.query("from _tcd_quarantine").to_pylist()
        assert len(retry(application, lines[:10])) == 10
        assert len(retry(application, lines[10:])) == 20
        stored = place.tables()
        assert retry(application, []) == []

    assert place.sql("from _tcd_quarantine") == []
    rows = "select * exclude (_run_id) from faction_members where _run_id = '%s' order by id"
    assert place.sql(rows % run.run_id) == place.sql(rows % good.run_id)
    place.again(replay, run.run_id)
    assert place.tables() == stored


# Rebuild


def test_a_warehouse_that_is_gone_is_rebuilt_with_the_same_rows(place):
    for name in ("faction_crimes", "faction_members") * 2:
        place.log(name)
    before = place.tables()

    place.warehouse.unlink()
    for name in ("faction_crimes", "faction_members"):
        found = place.again(rebuild, name)
        assert [one.why for one in found] == ["", ""]

    assert place.tables() == before


@pytest.mark.slow
def test_a_rebuild_of_what_is_there_changes_no_row_however_often(place):
    place.log("faction_crimes")
    place.log("faction_crimes")
    before = place.tables()

    for _ in range(2):
        place.again(rebuild, "faction_crimes")
        assert place.tables() == before


def test_a_rebuild_keeps_what_was_learned(place, city):
    city.fault("map", path="/faction/members", times=1)
    place.log("faction_members")
    place.log("faction_members")
    before = place.tables()
    drift = place.sql("from _tcd_drift")

    place.again(rebuild, "faction_members")
    assert place.tables() == before
    assert place.sql("from _tcd_drift") == drift
    place.warehouse.unlink()
    place.again(rebuild, "faction_members")
    assert place.tables() == before
    assert [row["run_id"] for row in place.sql("from _tcd_drift")] == [drift[0]["run_id"]]


def test_a_run_is_left_out(place):
    first, second = (place.log("faction_crimes").record.run_id for _ in range(2))

    found = place.again(rebuild, "faction_crimes", without=[first])

    assert [(one.run_id, one.why) for one in found] == [(first, "left out"), (second, "")]
    runs = "select distinct _run_id from %s"
    for name in ("faction_crimes", "faction_crimes_slots", "faction_crimes_rewards_items"):
        assert place.sql(runs % name) == [{"_run_id": second}]
    place.again(rebuild, "faction_crimes")
    assert len(place.sql(runs % "faction_crimes")) == 2


@pytest.mark.parametrize("spoilt", ["its answers make no rows any more", "its file is damaged"])
def test_a_run_is_left_out_though(place, says, spoilt):
    odd = place.log("faction_members").record
    kept = place.log("faction_members").record
    if spoilt == "its file is damaged":
        (place.folder / "archive" / odd.archive_file).write_bytes(b"PAR1")
    else:
        file = place.folder / "archive" / odd.archive_file
        table = pq.read_table(file)
        body = pa.array([b"<html>"] * table.num_rows, pa.binary())
        pq.write_table(table.set_column(table.column_names.index("body"), "body", body), file)

    place.again(rebuild, "faction_members", without=[odd.run_id])

    assert place.sql("select distinct _run_id from faction_members") == [{"_run_id": kept.run_id}]


def test_a_replaced_table_is_rebuilt_from_the_newest_whole_run_alone(place, city):
    runs = [place.log("faction_members", REPLACE, *more).record.run_id for more in ((), (OWN_KEY,))]
    before = place.tables("faction_members")
    city.fault("error", code=16, path="/faction/members")
    place.log("faction_members", REPLACE)
    city.clear_faults()

    found = place.again(rebuild, "faction_members", overrides=[REPLACE])

    assert [one.run_id for one in found] == [runs[1]]
    assert place.tables("faction_members") == before
    place.warehouse.unlink()
    place.again(rebuild, "faction_members", overrides=[REPLACE])
    assert place.tables("faction_members") == before


def test_leaving_the_newest_run_out_of_a_replaced_table_brings_back_the_one_before(place):
    runs = [place.log("faction_members", REPLACE, *more).record.run_id for more in ((), (OWN_KEY,))]

    place.again(rebuild, "faction_members", without=[runs[1]], overrides=[REPLACE])

    assert place.sql("select distinct _run_id from faction_members") == [{"_run_id": runs[0]}]
    assert place.value("select count(*) from faction_members") == 30


def test_an_older_run_is_not_replayed_over_a_newer_one_that_replaced_it(place):
    runs = [place.log("faction_members", REPLACE, *more).record.run_id for more in ((), (OWN_KEY,))]

    with pytest.raises(DataRefused, match=f"later run {runs[1]}"):
        place.again(replay, runs[0], overrides=[REPLACE])
    assert place.sql("select distinct _run_id from faction_members") == [{"_run_id": runs[1]}]


@pytest.mark.parametrize("damage", rest_slow(["half of it", "empty", "something else"]))
def test_a_damaged_archive_file_is_named_and_the_old_rows_stay(place, damage):
    place.log("faction_crimes")
    last = place.log("faction_crimes").record
    before, books = place.tables(), place.sql("from _tcd_loads")
    file = place.folder / "archive" / last.archive_file
    raw = file.read_bytes()
    file.write_bytes({"half of it": raw[: len(raw) // 2], "empty": b""}.get(damage, b"PAR1 no"))

    for what, word in ((rebuild, "faction_crimes"), (replay, last.run_id)):
        with pytest.raises(DataRefused, match=last.archive_file):
            place.again(what, word)
    assert place.tables() == before
    assert place.sql("from _tcd_loads") == books


def test_a_rebuild_that_is_killed_in_the_middle_leaves_the_old_rows(place, monkeypatch):
    place.log("faction_crimes")
    place.log("faction_crimes")
    before, books = place.tables(), place.sql("from _tcd_loads")
    store = modes.store
    stored = []

    def killed(transaction, load):
        if stored:
            raise KeyboardInterrupt
        stored.append(load)
        return store(transaction, load)

    monkeypatch.setattr(modes, "store", killed)
    monkeypatch.setattr(together, "MOST", 1)
    with pytest.raises(KeyboardInterrupt):
        place.again(rebuild, "faction_crimes")

    assert stored
    assert place.tables() == before
    assert place.sql("from _tcd_loads") == books


def test_runs_that_are_stored_together_are_those_of_one_after_the_other(place, monkeypatch):
    check = '{ column = "level", max = 50, on_failure = "warn" }'
    place.write(f"{MEMBERS}checks = [{check}]\n")
    for _ in range(4):
        place.log("faction_members")
    pictures = []
    for most in (1, 128):
        monkeypatch.setattr(together, "MOST", most)
        monkeypatch.setattr(reading_ahead, "MOST", most)
        place.warehouse.unlink()
        for _ in range(2):  # into an empty file, and in place of what is there
            place.again(rebuild, "faction_members")
            loads = (
                "select * exclude (load_id, superseded_by, committed_at, token, seq) "
                "from _tcd_loads order by seq"
            )
            checks = "select * exclude (load_id, checked_at, seq) from _tcd_checks order by seq"
            pictures.append((place.tables(), place.sql(loads), place.sql(checks)))

    assert pictures[:2] == pictures[2:]
    assert pictures[0][2]


def test_a_decimal_in_place_of_a_long_integer_is_set_aside_by_a_rebuild_too(place, lie):
    def odd(value):
        def member(path, _params, body):
            found = json.loads(body)
            if path != "/faction/members":
                return None
            found["members"][0]["odd"] = value
            return found

        lie(member)

    for value in (2**53 + 1, 2, 1.5):
        odd(value)
        place.log("faction_members")
    lie()
    aside = "select record, reason from _tcd_quarantine"
    before, quarantine = place.tables(), place.sql(aside)
    assert len(quarantine) == 1

    place.warehouse.unlink()
    place.again(rebuild, "faction_members")

    assert place.tables() == before
    assert place.sql(aside) == quarantine


def test_the_rebuilding_of_what_was_never_logged_is_refused(place):
    with pytest.raises(UsageError, match="no answers of faction_crimes"):
        place.again(rebuild, "faction_crimes")
    place.log("faction_crimes")
    with pytest.raises(UsageError, match="no run 2020 of faction_crimes"):
        place.again(rebuild, "faction_crimes", without=["2020"])


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("storage_mode=append", {"dry": True}),
        (REPLACE, {"until": "fetch"}),
        (REPLACE, {"until": "validate"}),
    ],
)
def test_a_run_that_was_not_to_store_anything_is_not_rebuilt(place, mode, options):
    place.log("faction_members", mode)
    before = place.tables("faction_members")
    stopped = place.log("faction_members", mode, **options).record
    assert stopped.status == "paused"

    place.again(rebuild, "faction_members", overrides=[mode])
    assert place.tables("faction_members") == before
    one = place.again(replay, stopped.run_id, overrides=[mode])
    assert one.receipt.rows == {"faction_members": 30}


def test_the_archive_of_a_run_holds_its_answers_and_never_the_key(place):
    run = place.log("faction_crimes").record

    rows = pq.read_table(place.folder / "archive" / run.archive_file).to_pylist()

    assert [row["page"] for row in rows] == [0, 1, 2]
    assert place.key not in repr(rows)


def test_a_replay_takes_no_other_run_in_and_says_so(place):
    one, other = (place.log("faction_members").record.run_id for _ in range(2))
    before = place.tables()
    for run, with_ in ((one, other), (other, one)):
        with pytest.raises(UsageError, match=f"makes no other run again, and so not {with_}"):
            place.again(replay, run, taken=[with_])
    assert place.tables() == before
