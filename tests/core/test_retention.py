"""What is older than it is kept goes, and comes back by no run, no replay and no rebuild."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.operations.prune import Pruned, prune, scheduled
from tcdatalogger.core.operations.replay import rebuild, replay
from tcdatalogger.core.state.leases import PRUNE
from tcdatalogger.core.state.plans import plans
from tcdatalogger.errors import ConfigError, TornUnavailable
from tcdatalogger.models.kept import KeptRows, RowMaker, in_memory
from tcdatalogger.models.rows.expiry import Expiry, unexpired
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.models.schema import Type
from tcdatalogger.scratch import Scratch

import pyarrow as pa  # isort: skip

DAY = 86_400
MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
NEWS = '[[endpoints]]\nname = "news"\npath = "/faction/news"\nparams = { cat = "armoryAction" }\n'


def agrees(place, table):
    """Whether the ledger counts for each run what the table has."""
    has = {r["_run_id"]: r["n"] for r in place.sql(
        f"select _run_id, count(*) n from {table} group by all")}  # fmt: skip
    told = {
        r["run_id"]: json.loads(r["rows"]).get(table, 0)
        for r in place.sql("select run_id, rows from _tcd_loads where superseded_by is null")
    }
    return {run: n for run, n in told.items() if n} == has


def test_rows_older_than_they_are_kept_go_once_they_were_counted(settle):
    place = settle(f'{MEMBERS}keep = "P2D"\n')
    first = place.log("members").record
    place.later(3 * DAY)
    second = place.log("members").record

    would = place.run("prune", "--dry-run", "--json").json
    assert would["pruned"][0]["rows"] == {"members": first.rows["members"]}
    assert place.value("select count(distinct _run_id) from members") == 2

    done = place.run("prune")
    assert done.code == 0
    assert f"{first.rows['members']} rows and 0 files of the archive deleted." in done.out
    assert place.value("select distinct _run_id from members") == second.run_id
    assert agrees(place, "members")
    assert "0 rows and 0 files" in place.run("prune").out


def test_a_clock_that_is_far_ahead_deletes_nothing(settle):
    place = settle(f'{MEMBERS}keep = "P2D"\n')
    place.log("members")
    place.clock = ManualClock(place.clock.now() + 400 * DAY)  # and Torn's is not

    assert place.again(prune) == [Pruned("members")]
    assert place.value("select count(*) from members") > 0


def test_nothing_is_deleted_while_torn_cannot_say_what_time_it_is(settle):
    place = settle(f'{MEMBERS}keep = "P2D"\n')
    place.log("members")
    place.later(3 * DAY)
    place.city.outage("down", seconds=600)

    with pytest.raises(TornUnavailable):
        place.again(prune)
    assert place.value("select count(*) from members") > 0


def test_without_a_key_that_works_the_clock_of_this_machine_counts(settle):
    place = settle(f'{MEMBERS}keep = "P2D"\n')
    rows = place.log("members").record.rows
    place.later(3 * DAY)
    place.key = None

    assert place.again(prune) == [Pruned("members", rows)]


def test_no_rebuild_and_no_replay_brings_them_back(settle):
    place = settle(f'{MEMBERS}keep = "P2D"\n')
    first = place.log("members").record
    place.later(3 * DAY)
    second = place.log("members").record
    place.again(prune)
    before = place.tables()

    place.again(rebuild, "members")
    assert place.tables() == before
    place.again(replay, first.run_id)
    assert place.tables() == before
    assert place.value("select distinct _run_id from members") == second.run_id
    assert agrees(place, "members")


def test_a_list_by_time_goes_by_the_time_of_its_records_and_stores_no_expired_one_again(settle):
    place = settle(f'{NEWS}since = "P20D"\noverlap = "P15D"\nkeep = "P10D"\n')
    place.log("news")
    oldest = "select min(timestamp) from news"
    begin = place.clock.now() - 10 * DAY
    assert place.value(oldest).timestamp() >= begin  # what had expired was never stored

    place.later(4 * DAY)
    expired = place.value(f"select count(*) from news where epoch(timestamp) < {begin + 4 * DAY}")
    assert expired > 0
    assert place.again(prune)[0].rows == {"news": expired}
    place.log("news")
    assert place.value(oldest).timestamp() >= begin + 4 * DAY
    assert place.again(prune)[0].rows == {}
    assert agrees(place, "news")


def test_a_history_keeps_what_is_current_however_long_ago_it_began(settle):
    place = settle(f'{MEMBERS}storage_mode = "history"\nkeep = "P2D"\n')
    place.log("members")
    place.later(1 * DAY)
    place.log("members")
    place.later(5 * DAY)
    current = "select count(*) from members where valid_to is null"
    before, ended = place.value(current), place.value(
        "select count(*) from members where valid_to is not null")  # fmt: skip
    assert ended > 0

    assert place.again(prune)[0].rows == {"members": ended}
    assert place.value(current) == before == place.value("select count(*) from members")
    place.again(rebuild, "members")
    assert place.value(current) == before == place.value("select count(*) from members")


def test_records_that_were_set_aside_go_too(settle):
    check = 'checks = [{ column = "level", max = 50, on_failure = "quarantine" }]\n'
    place = settle(f'{MEMBERS}keep = "P2D"\n{check}')
    place.log("members")
    aside = "select count(*) from _tcd_quarantine"
    assert place.value(aside) > 0
    place.later(1 * DAY)
    place.again(prune)
    assert place.value(aside) > 0

    place.later(2 * DAY)
    place.again(prune)
    assert place.value(aside) == 0


def test_the_answers_of_the_archive_go_by_their_own_setting(settle):
    place = settle(MEMBERS)
    place.file.write_text(
        place.file.read_text().replace('path = "archive"', 'path = "archive"\nkeep = "P2D"')
    )
    place.log("members")
    place.later(5 * DAY)

    assert place.again(prune, dry=True) == [Pruned("members", files=1)]
    assert place.again(prune) == [Pruned("members", files=1)]
    assert list((place.folder / "archive").rglob("*.parquet")) == []
    assert place.value("select count(*) from members") > 0


def test_an_endpoint_that_somebody_else_runs_is_left_out(settle):
    place = settle(f'{MEMBERS}keep = "P2D"\n')
    place.log("members")
    with place.application() as application:
        claim = application.state.leases.claim("members", "another", seconds=1e6)
        done = place.run("prune")
        application.state.leases.release(claim)

    assert done.code == 75
    assert "members is left out" in done.err


def test_without_keep_there_is_a_sentence_and_no_table(settle):
    place = settle(MEMBERS)
    assert place.run("prune").out.startswith("Everything is kept for ever")


def test_the_scheduler_prunes_each_day_where_something_is_kept_for_a_time(settle):
    place = settle(f'{MEMBERS}frequency = "PT1H"\nkeep = "P2D"\n')
    assert PRUNE in plans(configuration.load(place.file, {}))
    without = place.write(f'{MEMBERS}frequency = "PT1H"\n')
    assert PRUNE not in plans(configuration.load(without, {}))


def test_what_the_scheduler_prunes_stands_with_the_runs(settle):
    place = settle(f'{MEMBERS}keep = "P2D"\n')
    place.log("members")
    place.later(3 * DAY)
    with place.application() as application:
        claim = application.state.leases.claim(PRUNE, "20260104T000000Z-00000000")
        (one,) = scheduled(application, claim, 60.0)
        assert one.rows["members"] > 0
        (run,) = application.state.runs(endpoint=PRUNE)
    assert (run.status, run.step) == ("done", "prune")


@pytest.mark.parametrize(
    ("endpoints", "says"),
    [
        (f'{MEMBERS}keep = "P2D"\nstorage_mode = "replace"\n', "do not grow old"),
        (
            f'{MEMBERS}keep = "P2D"\n{MEMBERS.replace("members", "others", 1)}table = "members"\n',
            "for another time than 'members' says",
        ),
    ],
)
def test_a_keep_that_makes_no_sense_is_refused(workplace, endpoints, says):
    workplace.write(endpoints)
    with pytest.raises(ConfigError) as refused:
        configuration.load(workplace.file, {})
    assert says in str(refused.value)


TIMES = st.lists(st.none() | st.integers(0, 100), max_size=30)


@given(own=TIMES, before=st.integers(0, 100), kept=st.booleans())
def test_the_first_time_that_is_known_tells_how_old_a_row_is(tmp_path_factory, own, before, kept):
    seen = [50] * len(own)
    columns = {"own": own, "server_timestamp": seen}
    arrays = {n: pa.array([None if v is None else v * 10**6 for v in values], pa.int64())
              .cast(ARROW[Type.TIME]) for n, values in columns.items()}  # fmt: skip
    rows = pa.table(arrays)
    if kept:
        maker = RowMaker(rows.schema, Scratch(tmp_path_factory.getbasetemp()))
        maker.add(rows)
        rows = maker.rows()
        assert isinstance(rows, KeptRows)
    expiry = Expiry(float(before), {"t": ("own", "server_timestamp")})

    left = in_memory(unexpired({"t": rows}, expiry)["t"])["own"].to_pylist()

    wanted = [value for value in own if (50 if value is None else value) >= before]
    assert [None if at is None else round(at.timestamp()) for at in left] == wanted
