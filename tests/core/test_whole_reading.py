"""An answer without its data is no empty list, and a list that was cut says nothing of the rest.

The city lies about single answers; everything else goes the way of every run.
"""

from __future__ import annotations

import json

import pytest

from shared import rest_slow
from tcdatalogger.core.archive import Archive, ArchivedCall
from tcdatalogger.core.operations.backfill import backfill
from tcdatalogger.core.operations.replay import rebuild, replay
from tcdatalogger.core.state import run_stats
from tcdatalogger.errors import DataRefused, TornUnavailable, WarehouseUnavailable
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world.people import FACTIONS
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.storage.folder import Folder

HOUR, DAY = 3_600, 86_400
MODES = ("append", "replace", "merge", "history")
NO_CRIMES = [b"{}", b'{"crimes":null}', b'{"notice":"busy"}', b'{"crimes":"busy"}', b'{"crimes":[']


@pytest.fixture
def place(settle):
    return settle(history=20 * DAY)


def write(place, path, words=""):
    place.write(f'[[endpoints]]\nname = "it"\npath = "{path}"\n{words}\n')


def cursor(place):
    with place.application() as application, application.warehouse() as warehouse:
        return warehouse.cursor("it")


def category(name, body):
    """Lie about one of the lists of crimes."""
    return lambda _path, params, _body: body if params.get("cat") == name else None


# --- a run of several walks ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "body"), rest_slow([("append", b"{}"), *(("merge", b) for b in NO_CRIMES)], 2)
)
def test_one_list_of_several_without_its_data_moves_no_cursor_and_loses_nothing(
    place, lie, mode, body
):
    write(place, "/faction/crimes", f'storage_mode = "{mode}"\nincremental = true')
    place.log("it")
    before = cursor(place)
    place.later(2 * DAY)
    lie(lambda _path, params, _body: body if params.get("cat") == "completed" else None)
    done = place.run("run", "it", "--json")
    [run] = done.json

    assert (done.code, run["status"], run["absent"]) == (0, "done", 1)
    assert any("Page 1 has no data" in warning for warning in run["warnings"])
    assert cursor(place) == before
    lie()
    place.later(DAY)
    place.log("it")
    rows = place.sql("from it select id, status order by server_timestamp, rowid")
    newest = {row["id"]: row["status"] for row in rows}
    for row in place.city.expected("crimes", key="limited"):
        if (row["executed_at"] or 0) >= START:
            assert newest[row["id"]] == row["status"]
    assert cursor(place) != before


def test_strict_tells_of_it(place, lie):
    write(place, "/faction/crimes", "incremental = true")
    lie(lambda _path, params, _body: b"{}" if params.get("cat") == "completed" else None)

    assert place.run("run", "it", "--strict").code == 65


def test_where_no_list_has_its_data_the_run_fails(place, lie):
    write(place, "/faction/crimes", "incremental = true")
    lie(lambda *_: b"{}")
    done = place.run("run", "it", "--json")

    assert (done.code, done.json[0]["status"]) == (65, "failed")
    assert not place.warehouse.exists() or not place.sql("from _tcd_loads")


# --- a run of one walk --------------------------------------------------------------------------


def territory(bodies):
    """Two pages of a list by offset, with the second as it is given."""

    def about(path, params, _body):
        if path != "/torn/territory":
            return None
        second = int(params.get("offset", 0)) > 0
        link = "https://api.torn.com/v2/torn/territory?offset=6"
        first = {"territory": [plot(n) for n in range(6)], "_metadata": {"links": {"next": link}}}
        return bodies if second else first

    return about


def plot(number):
    return {"id": f"AA{number}", "sector": 1, "size": 1, "density": 1, "slots": 1, "respect": 1}


@pytest.mark.parametrize("mode", MODES)
def test_a_list_whose_second_page_has_no_data_is_not_the_whole(place, lie, mode):
    write(place, "/torn/territory", f'storage_mode = "{mode}"\nmax_drop = 1.0')
    lie(territory({"territory": [plot(n) for n in range(6, 10)]}))
    assert place.log("it").record.rows["it"] == 10
    before = place.sql("from it order by all")
    lie(territory({"notice": "busy"}))
    place.later(HOUR)
    done = place.run("run", "it", "--json")

    assert done.code == 65
    assert "which is not the same as an empty list" in done.json[0]["error"]["message"]
    assert place.sql("from it order by all") == before
    kept = list(Archive(Folder(place.folder / "archive")).read(done.json[0]["archive_file"]))
    assert [bool(error) for error, _ in kept] == [False, True]
    assert kept[1][1].body == b'{"notice": "busy"}'


@pytest.mark.parametrize("body", [b'{"member":[{"id":1}]}', b'{"error":null}', b"[]"])
def test_another_name_for_the_data_is_a_failure_each_time(place, lie, body):
    write(place, "/faction/members")
    lie(lambda path, *_: body if path == "/faction/members" else None)

    assert [place.run("run", "it").code for _ in range(2)] == [65, 65]


def test_an_empty_moment_passes(place, lie):
    write(place, "/faction/members", 'storage_mode = "replace"')
    told = iter([b"{}", b'{"members":null}'])
    lie(lambda path, *_: next(told, None) if path == "/faction/members" else None)
    record = place.log("it").record

    assert (record.status, record.absent, record.warnings) == ("done", 0, ())
    assert record.rows["it"] == 30


# --- a list that was not read to its end --------------------------------------------------------

LINK = "https://api.torn.com/v2/torn/territory?offset={}"


def land(odd):
    """A list of two pages; `odd` may change the first as text."""

    def about(path, params, _body):
        if path != "/torn/territory":
            return None
        at = int(params.get("offset", 0))
        links = {"next": LINK.format(50) if at == 0 else None}
        rows = [plot(number) for number in range(at, at + 50)]
        text = json.dumps({"territory": rows, "notice": "n", "_metadata": {"links": links}})
        return (odd(text) if at == 0 else text).encode()

    return about


STOPS = {
    "a link to another host": lambda text: text.replace("api.torn.com", "example.com"),
    "a link back": lambda text: text.replace("offset=50", "offset=0"),
    "links of another kind": lambda text: text.replace('{"links"', '{"links":5,"x"'),
}
GOES_ON = {
    "half a pair in a name": lambda text: text.replace('"AA0"', '"\\ud800"'),
    "half a pair beside": lambda text: text.replace('"notice": "n"', '"notice": "\\udfff"'),
    "a mark at its head": lambda text: "\ufeff" + text,
    "a key twice": lambda text: text.replace('"size": 1', '"size": 1, "size": 1', 1),
    "deep in a record": lambda text: text.replace('"AA1"', "[" * 99 + "]" * 99, 1),
}


@pytest.mark.parametrize("odd", rest_slow(["max_pages", *STOPS], 2))
def test_a_list_that_stopped_early_replaces_nothing(place, lie, odd):
    words = 'max_drop = 1.0\nstorage_mode = "replace"\n'
    write(place, "/torn/territory", words)
    lie(land(lambda text: text))
    good = place.log("it").record
    before = place.sql("from it order by all")
    if odd == "max_pages":
        write(place, "/torn/territory", f"{words}max_pages = 1")
    else:
        lie(land(STOPS[odd]))
    place.later(HOUR)
    refused = place.log("it")

    assert isinstance(refused.error, DataRefused)
    assert "was not read to its end" in refused.record.error
    assert place.sql("from it order by all") == before
    with place.application() as application:
        [made] = rebuild(application, "it")
        with pytest.raises(DataRefused, match="was not read to its end"):
            replay(application, refused.record.run_id)
    assert (made.run_id, made.why) == (good.run_id, "")
    assert place.sql("from it order by all") == before
    assert place.run("run", "it", "--dry-run").code == 65


@pytest.mark.parametrize("odd", GOES_ON)
def test_what_the_records_can_be_read_from_can_be_paged_on(place, lie, odd):
    write(place, "/torn/territory", 'storage_mode = "replace"')
    lie(land(GOES_ON[odd]))
    record = place.log("it").record

    assert record.status == "done"
    assert record.pages == 2
    assert place.value("select count(*) from it") + record.quarantined >= 100
    assert record.quarantined <= 1


# --- what concludes from absence ----------------------------------------------------------------

OURS, OTHER = FACTIONS[0].id, FACTIONS[1].id
TWO = f'ids = [{OURS}, {OTHER}]\nstorage_mode = "history"\nmax_drop = 1.0'


def of_other(body):
    return lambda path, *_: body if path == f"/faction/{OTHER}/members" else None


def current(place, subject):
    return place.value(f"select count(*) from it where valid_to is null and _subject_id={subject}")


@pytest.mark.parametrize("old", [False, True])
def test_a_history_closes_nothing_of_a_list_without_its_data(place, lie, old):
    write(place, "/faction/{id}/members", TWO)
    place.log("it")
    before = current(place, OTHER)
    place.later(HOUR)
    lie(of_other(b"{}"))
    record = place.log("it").record
    if old:
        as_an_older_version_wrote_it(place, record)
    with place.application() as application:
        rebuild(application, "it")

    assert (record.status, record.absent) == ("done", 1)
    assert current(place, OTHER) == before > 0
    assert not place.sql("select * from it where id is null")
    lie(of_other(b'{"members":[]}'))
    place.later(HOUR)
    place.log("it")
    assert current(place, OTHER) == 0
    assert current(place, OURS) > 0


def as_an_older_version_wrote_it(place, record):
    """Write the archive file of a run as if nobody had judged its answers."""
    archive = Archive(Folder(place.folder / "archive"))
    about = archive.about(record.archive_file)
    kept = [
        ArchivedCall(page.answer, subject_id=page.subject_id or OTHER)
        for _, page in archive.read(record.archive_file)
    ]
    about["readings"] = [one | {"complete": True, "at": int(START)} for one in about["readings"]]
    archive.write(record.run_id, "it", kept, about)


def test_one_id_of_several_without_its_data_replaces_nothing(place, lie):
    write(place, "/faction/{id}/members", TWO.replace("history", "replace"))
    place.log("it")
    before = place.sql("from it order by all")
    lie(of_other(b'{"members":null}'))
    place.later(HOUR)

    assert place.log("it").record.exit_code == 65
    assert place.sql("from it order by all") == before


def test_a_run_that_is_stored_later_is_judged_by_its_archive_file(place, lie, monkeypatch):
    write(place, "/faction/{id}/members", TWO)
    place.log("it")
    before = current(place, OTHER)
    place.later(HOUR)
    lie(of_other(b"{}"))

    def refuse(_self):
        raise WarehouseUnavailable("The warehouse cannot be had.")

    with monkeypatch.context() as patch:
        patch.setattr(DuckDBWarehouse, "_connection", property(refuse))
        unstored = place.log("it").record
    lie()
    place.later(HOUR)
    settled = place.log("it").settled

    assert unstored.status == "pending"
    assert [run.run_id for run in settled] == [unstored.run_id]
    gone = (
        f"select count(*) from it where _subject_id = {OTHER} and _closed_by = '{unstored.run_id}'"
    )
    assert place.value(gone) == 0
    assert current(place, OTHER) == before


def test_a_count_of_rows_is_no_check_of_what_was_not_read_whole(place, lie):
    write(place, "/faction/crimes", "incremental = true\nchecks = [{ rows = { min = 1 } }]")
    lie(lambda path, *_: b"{}" if path == "/faction/crimes" else None)
    assert place.log("it").record.exit_code == 65
    empty = b'{"crimes":[],"_metadata":{"links":{"next":null,"prev":null}}}'
    told = {"completed": b"{}", "available": empty, "expired": empty}
    lie(lambda _path, params, _body: told.get(params.get("cat")))
    record = place.log("it").record

    assert (record.status, record.absent) == ("done", 1)


# --- a backfill ---------------------------------------------------------------------------------


def back(place):
    with place.application() as application:
        return list(backfill(application, "it", pages=2))


@pytest.mark.parametrize("where", rest_slow(["in the middle", "before the last row", "at once"]))
def test_a_backfill_never_takes_an_answer_without_its_data_for_the_end(place, lie, where):
    write(place, "/faction/attacks")
    oldest = min(row["ended"] for row in place.city.expected("attacks", key="limited"))

    def about(path, params, body):
        if path != "/faction/attacks":
            return None
        to = int(params.get("to", 2**40))
        told = {
            "in the middle": START - 12 * DAY < to < START - 8 * DAY,
            "before the last row": to < oldest,
            "at once": True,
        }[where]
        return b'{"notice":"busy"}' if told and "idFilter" not in str(params) else None

    lie(about)
    with pytest.raises((DataRefused, TornUnavailable)):
        back(place)
    lie()
    assert back(place)[-1].back_to is None
    assert set(place.ids("it")) == place.expected("attacks")
    assert set(place.ids("it").values()) == {1}


# --- who is told --------------------------------------------------------------------------------


def test_an_endpoint_of_which_a_part_is_missing_is_not_fresh(place, lie, monkeypatch):
    write(place, "/faction/crimes", "incremental = true")
    good = place.log("it").record
    place.later(HOUR)
    lie(lambda _path, params, _body: b"{}" if params.get("cat") == "expired" else None)
    place.log("it")
    monkeypatch.setattr("tcdatalogger.cli.commands.status.time.time", place.clock.now)

    [one] = place.run("status", "--json").json["endpoints"]
    told = place.run("status").out
    with place.application() as application:
        last = run_stats.lasts(application.state)["it"]
        absent = run_stats.sums(application.state)["absent"]

    assert one["fresh_seconds"] == round(place.clock.now() - good.finished_at, 1)
    assert one["last_run"]["absent"] == 1
    assert "it: not fresh: 1 answer of Torn had no data" in told
    assert last.success_at == good.finished_at
    assert absent == {("it", ""): 1.0}
