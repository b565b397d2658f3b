"""What was fetched is kept: of a list without an end, of a run without time, of one told to end."""

from __future__ import annotations

import dataclasses
import json
import signal

import pytest

from shared import rest_slow
from tcdatalogger import ending
from tcdatalogger.core.archive import Archive
from tcdatalogger.core.operations.backfill import backfill
from tcdatalogger.core.run.recorder import BROKEN_OFF
from tcdatalogger.errors import Stopped, TornUnavailable
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.services.torncity.lists import paging
from tcdatalogger.services.warehouse.ledger import Ledger

DAY = 86_400
HALF_A_SECOND = """
select count(*) from range(30000) a, range(30000) b where (a.range * b.range) % 7 = 3"""
ATTACKS = """
[[endpoints]]
name = "attacks"
path = "/faction/attacks"
since = "P20D"
"""


@pytest.fixture
def place(workplace):
    workplace.write(ATTACKS)
    return workplace


# --- a list without an end ---------------------------------------------------------------------


@pytest.fixture
def endless(city, monkeypatch):
    """From page 2 on a list has no rows, and a link onward for ever; the pages that were asked."""
    asked = []
    answer = city.city.answer

    def ours(request):
        reply = answer(dataclasses.replace(request, gzip=False))
        if request.path not in {"/faction/attacks", "/faction/crimes"}:
            return reply
        asked.append(request.params)
        body = json.loads(reply.body)
        name = request.path.rpartition("/")[2]
        if len(asked) > 1:
            body[name] = []
        at = len(asked)
        to = int(request.params.get("to", START)) - 1_000
        later = {"to": str(to), "from": "0", "offset": str(100 * at)}
        kept = {"attacks": ("to", "from"), "crimes": ("offset",)}[name]
        query = "&".join(f"{key}={later[key]}" for key in kept)
        link = f"{request.base}{request.path}?{query}"
        body["_metadata"] = {"links": {"next": link, "prev": link}}
        return dataclasses.replace(reply, body=json.dumps(body).encode())

    monkeypatch.setattr(city.city, "answer", ours)
    return asked


@pytest.mark.parametrize("name", ["attacks", "crimes"])
def test_after_three_pages_in_a_row_without_a_row_a_run_stores_what_came(place, endless, name):
    how = "incremental = false" if name == "crimes" else 'params = { sort = "DESC" }'
    place.write(f'[[endpoints]]\nname = "it"\npath = "/faction/{name}"\n{how}\n')

    record = place.log("it").record

    assert (record.status, record.exit_code) == ("done", 0)
    assert len(endless) == 4
    assert place.value("select count(*) from it") == record.records > 0
    assert any("3 pages in a row had no row" in warning for warning in record.warnings)


def test_a_backfill_stops_at_a_history_that_never_ends(place, endless):
    with place.application() as application:
        going = backfill(application, "attacks", pages=2)
        with pytest.raises(TornUnavailable, match="100 pages in a row had no row"):
            list(going)
    assert sum(place.ids("attacks").values()) > 0


# --- a run that has had its time ---------------------------------------------------------------


def ended(place, name, by, after=2, **words):
    """Run an endpoint that is ended when page `after` comes."""

    def tell(record):
        if record.pages == after and record.step == "fetch" and record.status == "running":
            by()

    options = [f"endpoints.attacks.{name}={value}" for name, value in words.items()]
    with place.application(*options, tell=tell) as application:
        (endpoint,) = application.chosen([name])
        return application.run(endpoint)


def time_is_over():
    signal.raise_signal(signal.SIGALRM)


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_run_that_has_had_its_time_stores_the_pages_that_it_has(place, mode):
    outcome = ended(place, "attacks", time_is_over, after=3, storage_mode=mode)

    record = outcome.record
    assert (record.status, record.exit_code) == ("done", 0)
    assert "took longer than its timeout" in record.warnings[-1]
    assert "the 2 pages that came are stored" in record.warnings[-1]
    stored = place.ids("attacks")
    assert 0 < len(stored) < len(place.expected("attacks", int(START) - 20 * DAY))
    # The third page had come to the archive alone: nobody makes rows of it twice, or of nothing.
    archive = Archive(Folder(place.folder / "archive"))
    assert [error for error, _ in archive.read(record.archive_file)] == ["", "", BROKEN_OFF]

    later = place.log("attacks", f"endpoints.attacks.storage_mode={mode}").record

    assert later.status == "done"
    assert set(place.ids("attacks")) == place.expected("attacks", int(START) - 20 * DAY)
    assert set(place.ids("attacks").values()) == {1}


@pytest.mark.slow
def test_a_time_that_is_over_is_over_once(place, monkeypatch):
    """The alarm rings on for engines that did not hear it: not for one that stores what came."""
    known_shape, worked = Ledger.known_shape, []

    def slow(ledger, endpoint):
        signal.raise_signal(signal.SIGALRM)
        worked.append(ledger._tables._session.execute(HALF_A_SECOND).fetchall())
        return known_shape(ledger, endpoint)

    place.log("attacks")  # there are books to be asked
    place.clock.sleep(60)
    monkeypatch.setattr(Ledger, "known_shape", slow)
    with ending.answered():
        record = ended(place, "attacks", time_is_over, overlap="P20D").record
    assert worked
    assert (record.status, record.exit_code, record.error) == ("done", 0, "")


@pytest.mark.parametrize("mode", rest_slow(["replace", "history"]))
def test_a_mode_that_takes_no_pieces_keeps_its_old_rows(place, mode):
    words = {"storage_mode": mode, "incremental": "false"}
    place.log("attacks", *[f"endpoints.attacks.{name}={value}" for name, value in words.items()])
    before = place.ids("attacks")

    record = ended(place, "attacks", time_is_over, **words).record

    assert (record.status, record.exit_code) == ("failed", 124)
    assert place.ids("attacks") == before


def test_a_run_without_a_page_has_had_its_time(place):
    record = ended(place, "attacks", time_is_over, after=1).record
    assert (record.status, record.exit_code, record.error_class) == ("failed", 124, "TimedOut")


# --- a backfill that is told to end ------------------------------------------------------------


def told_to_end():
    raise Stopped


def when_the_page_comes(application, monkeypatch, by):
    def tell(record):
        if record.pages == 3 and record.step == "fetch" and record.status == "running":
            by()

    monkeypatch.setattr(application, "_tell", tell)


def when_it_was_looked_at(_application, monkeypatch, by):
    """The walk knows how far the page goes, and nobody has the page yet."""
    looked = []

    def choose(links, way):
        looked.append(links)
        if len(looked) == 3:
            by()
        return links_choose(links, way)

    links_choose = paging.choose
    monkeypatch.setattr(paging, "choose", choose)


def control_c():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("at", [when_the_page_comes, when_it_was_looked_at])
@pytest.mark.parametrize(("by", "kind"), [(control_c, KeyboardInterrupt), (told_to_end, Stopped)])
def test_a_backfill_that_is_told_to_end_stores_the_pages_of_its_stretch(
    place, monkeypatch, at, by, kind
):
    since = START - 20 * DAY
    with monkeypatch.context() as patch, place.application() as application:
        at(application, patch, by)
        with pytest.raises(kind):
            list(backfill(application, "attacks", since=since))
    stored = place.ids("attacks")
    assert 0 < len(stored) < len(place.expected("attacks", int(START) - 20 * DAY))
    assert place.value("select count(*) from _tcd_loads where stretch is not null") == 1
    before = place.city.stats()["calls"]

    with place.application() as application:
        steps = list(backfill(application, "attacks", since=since))

    assert set(place.ids("attacks")) == place.expected("attacks", int(START) - 20 * DAY)
    assert set(place.ids("attacks").values()) == {1}
    assert place.city.stats()["calls"] - before == steps[-1].calls
    with place.application() as application:
        assert [run.status for run in application.state.runs(endpoint="attacks")] == ["done"] * 2
