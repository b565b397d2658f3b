"""The whole history: from the runs back to the beginning, stopped and gone on with."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.operations.backfill import backfill
from tcdatalogger.errors import TornUnavailable, UsageError
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world.bursts import Bursts
from tcdatalogger.sandbox.world.people import FACTIONS

DAY = 86_400
LISTS = """
[[endpoints]]
name = "attacks"
path = "/faction/attacks"

[[endpoints]]
name = "crimes"
path = "/faction/crimes"

[[endpoints]]
name = "chains"
path = "/faction/{id}/chains"
ids = [40832, OTHER]

[[endpoints]]
name = "members"
path = "/faction/members"
""".replace("OTHER", str(FACTIONS[1].id))


@pytest.fixture
def place(settle):
    return settle(LISTS, cache=29, history=60 * DAY, bursts=Bursts(every=20, rows=230))


def back(place, name="attacks", *words, **options):
    options.setdefault("pages", 5)
    with place.application(*words) as application:
        return list(backfill(application, name, **options))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.slow
def test_runs_and_backfill_together_have_all_there_is_once(place, first):
    if first:
        place.log("attacks")
    steps = back(place)

    assert steps[-1].back_to is None
    assert set(place.ids("attacks")) == place.expected("attacks")
    assert set(place.ids("attacks").values()) == {1}
    assert back(place) == []
    place.later(3 * DAY)
    place.log("attacks")
    assert set(place.ids("attacks")) == place.expected("attacks")
    assert set(place.ids("attacks").values()) == {1}


def test_crimes_are_read_back_by_when_they_were_created(place):
    place.log("crimes")
    back(place, "crimes")
    assert set(place.ids("crimes")) == place.expected("crimes")
    assert set(place.ids("crimes").values()) == {1}


def test_each_id_has_a_history_of_its_own(place):
    steps = back(place, "chains", pages=1)
    other = FACTIONS[1].id
    assert {step.place for step in steps} == {"40832", str(other)}
    assert [step.place for step in steps if step.back_to is None] == ["40832", str(other)]
    found = place.sql("select _subject_id, count(*) as n from chains group by all order by all")
    assert {row["_subject_id"] for row in found} == {40832, other}
    assert sum(row["n"] for row in found) == len(place.ids("chains"))
    assert {
        row["id"] for row in place.sql("from chains where _subject_id = 40832")
    } == place.expected("chains")


@pytest.mark.slow
def test_a_piece_of_history_and_then_the_rest(place):
    since, until = int(START) - 20 * DAY, int(START) - 10 * DAY

    steps = back(place, since=since, until=until)

    assert set(place.ids("attacks")) == place.expected("attacks", since, until)
    assert steps[-1].part == 1.0
    assert steps[-1].back_to == since
    assert back(place, since=since, until=until) == []
    back(place)
    assert set(place.ids("attacks")) == place.expected("attacks")
    assert set(place.ids("attacks").values()) == {1}


@pytest.mark.slow
def test_it_goes_on_where_it_was_stopped(place):
    with place.application() as application:
        going = backfill(application, "attacks", pages=2)
        first = [next(going) for _ in range(3)]
        going.close()
    steps = back(place)

    assert steps[0].back_to < first[-1].back_to
    assert set(place.ids("attacks")) == place.expected("attacks")
    assert set(place.ids("attacks").values()) == {1}


def test_the_load_of_a_stretch_has_an_id_of_its_own_however_often_it_is_tried(place, monkeypatch):
    with place.application() as application:
        (endpoint,) = application.chosen(["attacks"])
        from tcdatalogger.services.torncity.lists.cursor import TimeRange  # noqa: PLC0415

        one, other = (
            dataclasses.replace(application.task(endpoint), stretch=TimeRange("1", high))
            for high in (5, 6)
        )
        again = dataclasses.replace(application.task(endpoint), stretch=TimeRange("1", 5))
    assert one.run_id != again.run_id
    assert one.load_id == again.load_id != other.load_id


def of_attacks(change):
    """A lie about the faction's attacks, whose bodies `change` is given and gives as JSON."""
    return lambda path, params, body: (
        change(params, json.loads(body)) if path == "/faction/attacks" else None
    )


@pytest.mark.slow
def test_a_list_that_says_too_early_that_it_ends_is_read_on(place, lie):
    def change(params, body):
        last = body["attacks"][-1]["ended"] if body["attacks"] else 0
        if START - 30 * DAY < last < START - 20 * DAY:
            body["_metadata"]["links"]["prev"] = None
        return body

    lie(of_attacks(change))
    back(place)
    assert set(place.ids("attacks")) == place.expected("attacks")


@pytest.mark.slow
def test_an_empty_answer_is_not_the_end(place, lie):
    count = iter(range(1_000))

    def change(params, body):
        if "idFilter" not in params.get("filters", "") and next(count) == 3:
            return {"attacks": [], "_metadata": {"links": {"prev": None, "next": None}}}
        return body

    lie(of_attacks(change))
    with pytest.raises(TornUnavailable, match="cannot be read past second"):
        back(place, pages=1)
    back(place)
    assert set(place.ids("attacks")) == place.expected("attacks")
    assert set(place.ids("attacks").values()) == {1}


@pytest.mark.slow
def test_months_without_a_row_are_not_the_end(place, lie):
    low, high = START - 45 * DAY, START - 12 * DAY

    def change(params, body):
        body["attacks"] = [row for row in body["attacks"] if not low < row["ended"] < high]
        return body

    lie(of_attacks(change))
    back(place)
    quiet = {
        r["id"] for r in place.city.expected("attacks", key="limited") if low < r["ended"] < high
    }
    assert set(place.ids("attacks")) == place.expected("attacks") - quiet


@pytest.mark.slow
def test_a_fault_ends_it_and_what_was_stored_stays(place):
    with place.application() as application:
        going = backfill(application, "attacks", pages=2)
        next(going)
        place.city.fault("error", code=17, path="/faction/attacks")
        with pytest.raises(TornUnavailable):
            next(going)
    stored = place.ids("attacks")
    assert stored
    place.city.clear_faults()
    place.clock = ManualClock(place.clock.now() + 3600)
    back(place)
    assert set(place.ids("attacks")) == place.expected("attacks")
    assert set(place.ids("attacks").values()) == {1}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("members", ""),
        ("attacks", 'storage_mode = "replace"'),
        ("attacks", "params = { from = 5 }"),
    ],
)
def test_what_has_no_history_is_refused_before_anything_is_asked(place, path, words):
    place.write(f'[[endpoints]]\nname = "it"\npath = "/faction/{path}"\n{words}\n')
    with pytest.raises(UsageError, match="has no history that could be read back"):
        back(place, "it")


def test_its_calls_are_of_low_priority(place, monkeypatch):
    from tcdatalogger.core.main import Application  # noqa: PLC0415

    seen = set()
    source = Application.source

    def watching(self, endpoint, task, priority=None):
        seen.add(priority)
        return source(self, endpoint, task, priority)

    monkeypatch.setattr(Application, "source", watching)
    back(place, since=START - DAY)
    assert seen == {"low"}


def test_the_progress_says_how_far_it_is(place):
    since = datetime(2025, 12, 22, tzinfo=UTC).timestamp()
    steps = back(place, since=since)
    parts = [step.part for step in steps]
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    tables = place.sql("select table_name from duckdb_tables() where not table_name ^@ '_'")
    counts = [place.value(f"select count(*) from {row['table_name']}") for row in tables]
    assert steps[-1].rows == sum(counts) > len(place.ids("attacks"))
    assert steps[-1].calls >= len(steps)
