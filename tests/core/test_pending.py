"""Stored later: a run that could not store its rows is pending, and the next one stores them."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from shared import held, rest_slow
from tcdatalogger import ending
from tcdatalogger.core.operations.replay import rebuild
from tcdatalogger.core.run import pending
from tcdatalogger.core.run import run as running
from tcdatalogger.core.run.run import Run
from tcdatalogger.errors import Busy, TimedOut, WarehouseUnavailable
from tcdatalogger.services.duckdb import tables
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse

HOUR = 3_600
MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
ATTACKS = '[[endpoints]]\nname = "attacks"\npath = "/faction/attacks"\nsince = "PT8H"\n'
CRIMES = '[[endpoints]]\nname = "crimes"\npath = "/faction/crimes"\nsince = "PT8H"\n'


@pytest.fixture
def unavailable(monkeypatch):
    """Let the warehouse refuse, and be free again."""

    def unavailable(error=WarehouseUnavailable):
        def refuse(_self):
            raise error("The warehouse cannot be had.")

        monkeypatch.setattr(DuckDBWarehouse, "_connection", property(refuse))

    yield unavailable
    monkeypatch.undo()


@pytest.fixture
def free(monkeypatch):
    whole = DuckDBWarehouse._connection
    return lambda: monkeypatch.setattr(DuckDBWarehouse, "_connection", whole)


@pytest.fixture
def place(workplace):
    workplace.write(MEMBERS)
    return workplace


@pytest.fixture
def living(settle):
    return settle(history=3 * 86_400)


def runs_of(place, table="members"):
    return Counter(row["_run_id"] for row in place.sql(f"select _run_id from {table}"))


def loads(place):
    return place.value("select count(*) from _tcd_loads")


def test_a_warehouse_that_another_program_holds_ends_the_run_as_later(place):
    place.log("members")
    with held(place.warehouse) as holder:
        done = place.run("run", "members", "--json")

    (run,) = done.json
    assert done.code == 69
    assert run["status"] == "pending"
    assert f"process {holder.pid}" in run["error"]["message"]
    assert "the next run of the endpoint stores them" in run["error"]["remedy"]
    assert (place.folder / "archive" / run["archive_file"]).exists()
    assert runs_of(place)[run["run_id"]] == 0


def test_a_person_reads_that_it_is_stored_later(place):
    place.log("members")
    with held(place.warehouse):
        told = place.run("run", "members")
    shown = place.run("status")
    listed = place.run("runs")

    assert "pending" in told.out
    assert told.err.count("another program") >= 1
    assert "pending" in listed.out
    assert "members: 1 run is not stored yet" in shown.out
    assert place.run("status", "--json").json["endpoints"][0]["pending"] == 1


def test_the_next_run_stores_what_is_pending_once_and_the_oldest_first(place, unavailable, free):
    place.log("members")
    unavailable()
    unstored = [place.log("members").record for _ in range(2)]
    free()

    third = place.log("members")

    order = [row["run_id"] for row in place.sql("select run_id from _tcd_loads order by rowid")]
    assert order[1:] == [*sorted(one.run_id for one in unstored), third.record.run_id]
    assert set(runs_of(place).values()) == {30}
    assert [run.status for run in third.settled] == ["done", "done"]
    for one in unstored:
        found = place.record(one.run_id)
        assert (found.status, found.exit_code, found.error) == ("done", 0, "")
        assert found.note.startswith("Stored later, at 2026-01-01")
        assert found.rows["members"] == 30
        assert one.load_id in {"", found.load_id}
    place.log("members")
    assert len(runs_of(place)) == 5
    assert loads(place) == 5


def test_torn_is_not_asked_again_for_what_is_pending(place, unavailable, free, city):
    unavailable()
    unstored = place.log("members").record
    free()
    city.fault("http", status=503, path="/faction/members")

    failed = place.log("members")

    assert failed.record.status == "failed"
    assert runs_of(place) == {unstored.run_id: 30}


def test_a_commit_that_happened_before_the_end_came_is_not_done_again(place, monkeypatch):
    commit = DuckDBWarehouse.commit

    def dying(self, load):
        commit(self, load)
        raise KeyboardInterrupt

    monkeypatch.setattr(DuckDBWarehouse, "commit", dying)
    with pytest.raises(KeyboardInterrupt):
        place.log("members")
    monkeypatch.setattr(DuckDBWarehouse, "commit", commit)

    place.log("members")

    assert sorted(runs_of(place).values()) == [30, 30]
    assert loads(place) == 2


@pytest.mark.parametrize("error", [WarehouseUnavailable, Busy, TimedOut])
def test_whatever_keeps_it_from_storing_for_now_is_later(place, unavailable, error):
    unavailable(error)
    run = place.log("members").record
    assert (run.status, run.exit_code) == ("pending", error.exit_code)


@pytest.mark.parametrize(
    ("words", "options"),
    [((), {"until": "validate"}), ((), {"dry": True}), (("contract=freeze",), {})],
)
def test_what_was_not_to_be_stored_or_was_refused_is_not_pending(place, city, words, options):
    city.fault("map", path="/faction/members", times=1)  # a field that the catalogue lacks
    first = place.log("members", *words, **options)
    assert first.record.status in {"paused", "failed"}

    second = place.log("members")

    assert second.settled == ()
    assert runs_of(place) == {second.record.run_id: 30}


def test_a_dry_run_leaves_what_is_pending(place, unavailable, free):
    unavailable()
    unstored = place.log("members").record
    free()
    place.log("members", dry=True)
    assert not place.warehouse.exists()
    assert place.record(unstored.run_id).status == "pending"


def test_replay_stores_a_run_that_is_pending_and_the_next_run_does_not_again(
    place, unavailable, free
):
    unavailable()
    unstored = place.log("members").record
    free()

    assert place.run("replay", unstored.run_id).code == 0

    assert place.record(unstored.run_id).status == "done"
    second = place.log("members")
    assert runs_of(place) == {unstored.run_id: 30, second.record.run_id: 30}


def test_a_rebuild_takes_what_is_pending_along_and_it_is_not_stored_again(place, unavailable, free):
    place.log("members")
    unavailable()
    unstored = place.log("members").record
    free()
    with place.application() as application:
        rebuild(application, "members")
    assert runs_of(place)[unstored.run_id] == 30

    place.log("members")

    assert set(runs_of(place).values()) == {30}
    assert place.record(unstored.run_id).status == "done"


def test_a_pending_run_that_a_later_one_has_replaced_is_superseded_with_a_note(
    place, unavailable, free
):
    mode = "storage_mode=replace"
    unavailable()
    unstored = place.log("members", mode).record
    free()
    place.city.city.clock.advance(0)
    with place.application(mode) as application:
        state = application.state
        state.write_run(pending.replace(unstored, settled=True))  # so that it is passed over
        place.clock.sleep(60)
        (endpoint,) = application.chosen(["members"])
        newer = application.run(endpoint).record
        state.write_run(unstored)

    place.log("members", mode)

    found = place.record(unstored.run_id)
    assert found.status == "superseded"
    assert newer.run_id in found.note
    assert set(runs_of(place)) == {newer.run_id}


def test_the_answers_of_a_pending_run_that_are_damaged_are_told_and_the_next_goes_on(
    place, unavailable, free
):
    unavailable()
    unstored = place.log("members").record
    free()
    file = place.folder / "archive" / unstored.archive_file
    file.write_bytes(file.read_bytes()[:100])

    done = place.run("run", "members", "--json")

    assert done.code == 0
    found = place.record(unstored.run_id)
    assert (found.status, found.error_class) == ("failed", "DataRefused")
    assert unstored.archive_file in found.error
    assert found.remedy
    assert len(runs_of(place)) == 1


def test_answers_that_end_every_process_do_not_keep_their_endpoint_from_running(
    place, unavailable, free, monkeypatch
):
    unavailable()
    unstored = place.log("members").record
    free()

    store = Run.store

    def end(self, fetched, warehouse):
        if self.record.run_id == unstored.run_id:
            raise KeyboardInterrupt
        store(self, fetched, warehouse)

    monkeypatch.setattr(Run, "store", end)
    for _ in range(pending.TRIES):
        with pytest.raises(KeyboardInterrupt):
            place.log("members")
    assert place.log("members").record.status == "done"
    assert place.record(unstored.run_id).status == "superseded"


HEAVY = "select count(*) from range(3000000) a, range(3000000) b where (a.range * b.range) % 7 = 3"


LONG = 600.0


@pytest.fixture
def endless(monkeypatch):
    """Let the storing of some pending runs come to no end within the engine: their time is up."""
    store, runs, passed = Run.store, set(), [0.0]

    def slow(self, fetched, warehouse):
        if self.record.run_id in runs:
            passed[0] += LONG
            signal.setitimer(signal.ITIMER_REAL, 0.2, ending.AGAIN)  # the alarm of that time
            warehouse._connection.execute(HEAVY)
        store(self, fetched, warehouse)

    monkeypatch.setattr(Run, "store", slow)
    monkeypatch.setattr(running, "longest", lambda *_: LONG)
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])
    monkeypatch.setattr(running, "time", clock)
    return runs


@pytest.mark.slow
def test_what_takes_too_long_to_store_does_not_keep_its_endpoint_from_running(
    place, unavailable, free, endless
):
    unavailable()
    unstored = place.log("members").record
    free()
    endless.add(unstored.run_id)

    for tries in range(1, pending.TRIES + 1):
        assert place.run("run", "members", "--json").json[0]["status"] == "done"
        found = place.record(unstored.run_id)
        assert (found.status, found.tries, found.settled) == ("pending", tries, False)
        assert "took longer" in found.note
    assert place.run("run", "members").code == 0
    found = place.record(unstored.run_id)
    assert (found.status, found.settled) == ("superseded", True)
    assert "replay" in found.note
    endless.clear()
    assert place.run("replay", unstored.run_id).code == 0
    assert len(runs_of(place)) == pending.TRIES + 2
    assert set(runs_of(place).values()) == {30}


@pytest.mark.slow
def test_what_is_pending_is_stored_a_run_at_a_time_and_what_is_stored_stays(
    place, unavailable, free, endless
):
    unavailable()
    unstored = sorted(place.log("members").record.run_id for _ in range(3))
    free()
    endless.add(unstored[1])

    run = place.run("run", "members", "--json").json[0]

    assert run["status"] == "done"
    assert set(runs_of(place)) == {unstored[0], run["run_id"]}
    assert [place.record(one).status for one in unstored] == ["done", "pending", "pending"]
    endless.clear()
    place.log("members")
    assert [place.record(one).status for one in unstored] == ["done"] * 3
    assert set(runs_of(place).values()) == {30}


@pytest.mark.slow
def test_a_history_takes_no_older_run_after_a_later_one_and_replay_puts_it_in_its_place(
    place, unavailable, free, endless
):
    place.write(MEMBERS + 'storage_mode = "history"\nkey = ["id"]\n')
    unavailable()
    unstored = place.log("members").record.run_id
    free()
    endless.add(unstored)
    place.clock.sleep(60)

    assert place.run("run", "members").code == 0
    endless.clear()
    place.clock.sleep(60)
    assert place.run("run", "members").code == 0

    found = place.record(unstored)
    assert (found.status, found.settled) == ("superseded", True)
    assert "replay" in found.note
    assert place.run("replay", unstored).code == 0
    assert place.value("select count(*) from members where valid_to is null") == 30


# Lists that are read on from a cursor


@pytest.mark.parametrize(("name", "words"), [("attacks", ATTACKS), ("crimes", CRIMES)])
def test_a_list_is_read_on_while_the_ledger_cannot_be_and_nothing_is_lost_or_doubled(
    living, unavailable, free, name, words
):
    living.write(words)
    living.log(name)
    asked = []
    for _ in range(2):
        living.later(5 * HOUR)
        unavailable()
        outcome = living.log(name)
        assert outcome.record.status == "pending"
        params = [dict(page.answer.request.params) for page in outcome.fetched.pages]
        asked.append(min(int(one["from"]) for one in params if "from" in one))
        free()
    assert asked[1] == asked[0] + 5 * HOUR or name == "attacks"
    living.later(5 * HOUR)
    done = living.log(name)

    assert [run.status for run in done.settled] == ["done", "done"]
    low = int(living.city.now()) - 15 * HOUR
    ids = Counter(row["id"] for row in living.sql(f"select id from {name}"))
    if name == "attacks":
        assert set(ids) >= {r["id"] for r in living.city.expected(name, low, key="limited")}
        assert set(ids.values()) == {1}
    states = living.sql(f"select * exclude (_run_id, server_timestamp), count(*) n from {name} "
                        "group by all having n > 1")  # fmt: skip
    assert name == "crimes" or states == []
    spans = json.loads(done.record.cursor)["spans"]["40832"]
    assert spans[1] > low


def test_rows_that_torn_no_longer_shows_arrive(living, unavailable, free, lie):
    living.write(ATTACKS)
    living.log("attacks")
    living.later(5 * HOUR)
    unavailable()
    unstored = living.log("attacks")
    free()
    seen = {
        row["id"] for page in unstored.fetched.pages for row in json.loads(page.body)["attacks"]
    }
    assert seen
    empty = b'{"attacks":[],"_metadata":{"links":{"prev":null,"next":null}}}'
    lie(lambda path, *_: empty if "attacks" in path else None)
    living.log("attacks")

    assert seen <= {row["id"] for row in living.sql("select id from attacks")}


@pytest.mark.slow
def test_a_cursor_never_jumps_over_what_nobody_read(living, unavailable, free):
    """The warehouse came back from a backup: the archive knows of more than the ledger."""
    living.write(ATTACKS)
    living.log("attacks")
    older = living.warehouse.read_bytes()
    living.later(5 * HOUR)
    living.log("attacks")
    living.warehouse.write_bytes(older)
    living.later(HOUR)
    unavailable()
    living.log("attacks")
    free()
    living.later(60)

    living.log("attacks")

    low = int(living.city.now()) - 13 * HOUR
    ids = Counter(row["id"] for row in living.sql("select id from attacks"))
    assert set(ids) >= {row["id"] for row in living.city.expected("attacks", low, key="limited")}
    assert set(ids.values()) == {1}


# The state


@pytest.mark.parametrize("name", ["members", "attacks"])
def test_the_state_can_be_lost_altogether(living, name):
    living.write(MEMBERS + ATTACKS)
    living.log(name)
    for file in living.folder.glob("*.db*"):
        file.unlink()
    for file in living.folder.glob("state*"):
        file.unlink()
    living.later(HOUR)

    second = living.log(name)

    assert second.record.status == "done"
    if name == "attacks":
        assert set(Counter(r["id"] for r in living.sql("select id from attacks")).values()) == {1}
        params = dict(second.fetched.pages[0].answer.request.params)
        assert int(params["from"]) > living.city.now() - 8 * HOUR
    else:
        assert sorted(runs_of(living).values()) == [30, 30]


@pytest.mark.parametrize("mode", rest_slow(["append", "replace", "merge", "history"]))
def test_a_run_whose_rows_do_not_add_up_is_pending_and_stored_when_the_engine_is_mended(
    place, monkeypatch, mode
):
    place.write(f'{MEMBERS}storage_mode = "{mode}"\n')
    insert, copy = tables.insert, tables.copy
    monkeypatch.setattr(tables, "insert", lambda own, to, rows: insert(own, to, rows[1:]))
    monkeypatch.setattr(
        tables, "copy", lambda own, to, rows: copy(own, to, f"(from {rows} limit 2)")
    )

    monkeypatch.setattr(pending, "TRIES", 1)  # it is none
    runs = [place.log("members") for _ in range(3)]  # the second is not kept from fetching
    for run in runs:
        assert run.error.exit_code == 1
        assert (run.record.status, run.record.error_class) == ("pending", "Unbalanced")
        assert "should be 30" in run.record.error
        assert "next run" in run.record.remedy
        assert run.record.calls
    assert place.sql("show tables") == []

    monkeypatch.setattr(tables, "insert", insert)
    monkeypatch.setattr(tables, "copy", copy)
    last = place.log("members")
    assert [one.status for one in last.settled] == ["done"] * 3
    assert set(runs_of(place).values()) == {30}


def test_what_is_pending_is_not_forgotten_however_old_it_is(place, unavailable, free, monkeypatch):
    place.write(MEMBERS, extra='[state]\nkeep = "P2D"\n')
    keep = "archive.keep=P1D"
    unavailable()
    unstored = [place.log("members", keep).record.run_id for _ in range(2)]
    free()
    place.clock.sleep(4 * 24 * HOUR)
    monkeypatch.setattr(running, "longest", lambda *_: 1e-9)  # no time for what is pending

    new = place.log("members", keep).record

    assert new.status == "done"
    assert stored(place) == {new.run_id}
    monkeypatch.undo()
    place.clock.sleep(60)
    newest = place.log("members", keep).record.run_id
    assert stored(place) == {*unstored, new.run_id, newest}


def test_a_clock_that_is_ahead_deletes_no_answers(place):
    first = place.log("members", "archive.keep=P30D").record
    place.clock.sleep(800 * 24 * HOUR)  # ours alone
    place.log("members", "archive.keep=P30D")
    assert (place.folder / "archive" / first.archive_file).exists()


def stored(place):
    return {row["_run_id"] for row in place.sql("select distinct _run_id from members")}
