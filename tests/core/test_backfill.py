"""The whole history: from the runs back to the beginning, stopped and gone on with."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.operations.backfill import backfill
from tcdatalogger.errors import TornUnavailable, UsageError
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import START, Sandbox
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
RULES = Rules(
    cache=29, per_user=10**6, per_address=10**6, cloud_rows=10**9, history=60 * DAY,
    bursts=Bursts(every=20, rows=230),
)  # fmt: skip


@pytest.fixture
def place(workplace):
    with Sandbox(seed=5, rules=RULES) as living:
        workplace.city = living
        workplace.key = living.keys["limited"]
        workplace.write(LISTS)
        yield workplace


def back(place, name="attacks", *words, **options):
    options.setdefault("pages", 5)
    with place.application(*words) as application:
        return list(backfill(application, name, **options))


def ids(place, table="attacks"):
    return Counter(row["id"] for row in place.sql(f"select id from {table}"))


def books(place, what="attacks", low=None, high=None):
    return {row["id"] for row in place.city.expected(what, low, high, key="limited")}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.slow
def test_runs_and_backfill_together_have_all_there_is_once(place, first):
    if first:
        place.log("attacks")
    steps = back(place)

    assert steps[-1].back_to is None
    assert set(ids(place)) == books(place)
    assert set(ids(place).values()) == {1}
    assert back(place) == []
    place.city.advance(3 * DAY)
    place.clock = ManualClock(place.city.now())
    place.log("attacks")
    assert set(ids(place)) == books(place)
    assert set(ids(place).values()) == {1}


def test_crimes_are_read_back_by_when_they_were_created(place):
    place.log("crimes")
    back(place, "crimes")
    assert set(ids(place, "crimes")) == books(place, "crimes")
    assert set(ids(place, "crimes").values()) == {1}


def test_each_id_has_a_history_of_its_own(place):
    steps = back(place, "chains", pages=1)
    other = FACTIONS[1].id
    assert {step.place for step in steps} == {"40832", str(other)}
    assert [step.place for step in steps if step.back_to is None] == ["40832", str(other)]
    found = place.sql("select _subject_id, count(*) as n from chains group by all order by all")
    assert {row["_subject_id"] for row in found} == {40832, other}
    assert sum(row["n"] for row in found) == len(ids(place, "chains"))
    assert {row["id"] for row in place.sql("from chains where _subject_id = 40832")} == books(
        place, "chains"
    )


@pytest.mark.slow
def test_a_piece_of_history_and_then_the_rest(place):
    since, until = int(START) - 20 * DAY, int(START) - 10 * DAY

    steps = back(place, since=since, until=until)

    assert set(ids(place)) == books(place, "attacks", since, until)
    assert steps[-1].part == 1.0
    assert steps[-1].back_to == since
    assert back(place, since=since, until=until) == []
    back(place)
    assert set(ids(place)) == books(place)
    assert set(ids(place).values()) == {1}


def test_it_goes_on_where_it_was_stopped(place):
    with place.application() as application:
        going = backfill(application, "attacks", pages=2)
        first = [next(going) for _ in range(3)]
        going.close()
    steps = back(place)

    assert steps[0].back_to < first[-1].back_to
    assert set(ids(place)) == books(place)
    assert set(ids(place).values()) == {1}


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


def lying(place, monkeypatch, lie):
    """The city, but some answers are changed."""
    answer = place.city.city.answer

    def changed(request):
        reply = answer(dataclasses.replace(request, gzip=False))
        if request.path != "/faction/attacks":
            return reply
        body = lie(request.params, json.loads(reply.body))
        return dataclasses.replace(reply, body=json.dumps(body).encode())

    monkeypatch.setattr(place.city.city, "answer", changed)


@pytest.mark.slow
def test_a_list_that_says_too_early_that_it_ends_is_read_on(place, monkeypatch):
    def lie(params, body):
        last = body["attacks"][-1]["ended"] if body["attacks"] else 0
        if START - 30 * DAY < last < START - 20 * DAY:
            body["_metadata"]["links"]["prev"] = None
        return body

    lying(place, monkeypatch, lie)
    back(place)
    assert set(ids(place)) == books(place)


@pytest.mark.slow
def test_an_empty_answer_is_not_the_end(place, monkeypatch):
    count = iter(range(1_000))

    def lie(params, body):
        if "idFilter" not in params.get("filters", "") and next(count) == 3:
            return {"attacks": [], "_metadata": {"links": {"prev": None, "next": None}}}
        return body

    lying(place, monkeypatch, lie)
    with pytest.raises(TornUnavailable, match="cannot be read past second"):
        back(place, pages=1)
    back(place)
    assert set(ids(place)) == books(place)
    assert set(ids(place).values()) == {1}


@pytest.mark.slow
def test_months_without_a_row_are_not_the_end(place, monkeypatch):
    low, high = START - 45 * DAY, START - 12 * DAY

    def lie(params, body):
        body["attacks"] = [row for row in body["attacks"] if not low < row["ended"] < high]
        return body

    lying(place, monkeypatch, lie)
    back(place)
    quiet = {
        r["id"] for r in place.city.expected("attacks", key="limited") if low < r["ended"] < high
    }
    assert set(ids(place)) == books(place) - quiet


@pytest.mark.slow
def test_a_fault_ends_it_and_what_was_stored_stays(place):
    with place.application() as application:
        going = backfill(application, "attacks", pages=2)
        next(going)
        place.city.fault("error", code=17, path="/faction/attacks")
        with pytest.raises(TornUnavailable):
            next(going)
    stored = ids(place)
    assert stored
    place.city.clear_faults()
    place.clock = ManualClock(place.clock.now() + 3600)
    back(place)
    assert set(ids(place)) == books(place)
    assert set(ids(place).values()) == {1}


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
    back(place, since=START - 3 * DAY)
    assert seen == {"low"}


def test_the_progress_says_how_far_it_is(place):
    since = datetime(2025, 12, 1, tzinfo=UTC).timestamp()
    steps = back(place, since=since)
    parts = [step.part for step in steps]
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    tables = place.sql("select table_name from duckdb_tables() where not table_name ^@ '_'")
    counts = [place.value(f"select count(*) from {row['table_name']}") for row in tables]
    assert steps[-1].rows == sum(counts) > len(ids(place))
    assert steps[-1].calls >= len(steps)
