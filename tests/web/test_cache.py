"""The cache: what is read, when, and what is shown meanwhile. Time is injected."""

from __future__ import annotations

import threading

import known_faction
import pytest
from installation import EVERYBODY, installed, known_endpoints

from shared import held
from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import ConfigError
from tcdatalogger.questions import question
from tcdatalogger.questions.answers import given
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse.protocol import Limits
from tcdatalogger.web import cache as caches
from tcdatalogger.web.cache import AnswerCache, Asked

ENDPOINTS = known_endpoints()
HEADER = """/*
title = "Mine?"
page = "members"
caption = "Mine."
chart = { kind = "table" }
[needs."/faction/members"]
*/
"""
SLOW = """select count(*) as n
from {faction_members:now}, range(100000000) as a, range(10000) as b
where a.range <> b.range
order by n"""
SHIPPED = question.shipped()
USUAL = Limits(30.0, 500_000_000, 1)


class Place:
    """A cache over a warehouse, and how often that was opened."""

    def __init__(self, file, limits=USUAL):
        self.file = file
        self.clock = ManualClock()
        self.marks = dict.fromkeys(known_faction.PATHS, 1.0)
        self.opened = 0
        self.taken = 0.0
        self.limits = limits
        relations = installed(file, ENDPOINTS).relations
        self.cache = AnswerCache(self.open, relations, lambda: dict(self.marks), self.clock)

    def open(self):
        self.opened += 1
        return Timed(self)

    def look(self, *names, **values):
        return self.cache.look([asked(name, **values) for name in names])

    def standings(self, *names):
        return [each.standing for each in self.look(*names)]


class Timed(DuckDBWarehouse):
    """A warehouse whose every query takes some of the clock's time."""

    def __init__(self, place):
        super().__init__(place.file, place.clock, patience=0.3, read_only=True, limits=place.limits)
        self.place = place

    def query(self, sql):
        self.place.clock.sleep(self.place.taken)
        return super().query(sql)


def asked(name, **values):
    found = SHIPPED[name]
    return Asked(found, given(found, EVERYBODY | values))


def mine(sql):
    return Asked(question.read(HEADER + sql, "mine", "mine.sql"), {"days": 30})


@pytest.fixture
def place(warehouse):
    return Place(warehouse)


def test_what_nobody_has_read_waits_and_is_there_after_a_round(place):
    assert place.standings("inactive-members") == ["waiting"]

    place.cache.refresh()

    [found] = place.look("inactive-members")
    assert found.standing == "fresh"
    assert found.answer.rows.num_rows == 3


def test_all_that_a_page_wants_is_read_in_one_opening(place):
    place.look("inactive-members", "oc-profit", "oc-overview", "balance-movements")

    place.cache.refresh()

    assert place.opened == 1


def test_without_a_new_load_the_warehouse_is_not_opened_again(place):
    place.look("inactive-members", "oc-profit")
    place.cache.refresh()
    for _ in range(50):
        place.clock.sleep(11)
        assert place.standings("inactive-members", "oc-profit") == ["fresh", "fresh"]
        place.cache.refresh()

    assert place.opened == 1


def test_a_load_makes_old_what_rests_on_its_endpoint_and_nothing_else(place):
    place.look("inactive-members", "oc-overview")
    place.cache.refresh()

    place.marks["faction_members"] += 1

    assert place.standings("inactive-members", "oc-overview") == ["old", "fresh"]


def test_an_old_answer_is_shown_until_the_new_one_is_there(place):
    place.look("inactive-members")
    place.cache.refresh()
    place.marks["faction_members"] += 1

    [old] = place.look("inactive-members")
    place.clock.sleep(11)
    place.cache.refresh()

    assert old.answer.rows.num_rows == 3
    assert place.standings("inactive-members") == ["fresh"]


def test_with_a_load_every_second_the_warehouse_is_opened_every_ten_seconds(place):
    for _ in range(100):
        place.marks["faction_members"] += 1
        place.look("inactive-members", "activity-heatmap")
        place.cache.refresh()
        place.clock.sleep(1)

    assert place.opened == 10


def test_any_number_of_viewers_costs_as_much_as_one(place):
    for _ in range(30):
        place.marks["faction_members"] += 1
        for _ in range(50):
            place.look("inactive-members")
            place.cache.refresh()
        place.clock.sleep(1)

    assert place.opened == 3


def test_what_nobody_looks_at_any_more_is_not_read_again(place):
    place.look("inactive-members")
    place.cache.refresh()
    place.clock.sleep(caches.VISIBLE + 1)
    place.marks["faction_members"] += 1

    assert place.cache.refresh() == float("inf")
    assert place.opened == 1


def test_an_answer_is_read_again_after_a_while_even_without_a_load(place):
    place.look("inactive-members")
    place.cache.refresh()
    place.clock.sleep(caches.OLD + 1)
    place.look("inactive-members")
    place.cache.refresh()

    assert place.opened == 2


def test_an_opening_ends_soon_and_goes_on_after_a_pause(place):
    place.look("status-changes")
    place.cache.refresh()
    place.clock.sleep(1)
    place.taken = 0.04  # twice for each answer
    names = ("inactive-members", "oc-profit", "oc-overview", "balance-movements", "oc-crews")
    place.look(*names)
    rounds = 0
    while "waiting" in place.standings(*names):
        place.clock.sleep(place.cache.refresh())
        rounds += 1

    assert place.opened == 1 + 3
    assert rounds <= 4


def test_a_slow_warehouse_is_held_a_twentieth_of_the_time_and_every_answer_has_its_turn(place):
    names = ("inactive-members", "oc-overview", "crime-earnings")
    place.look(*names)
    place.cache.refresh()
    place.taken = 0.5
    began, held_for = place.clock.now(), 0.0
    for _ in range(120):
        place.marks = {name: mark + 1 for name, mark in place.marks.items()}
        place.look(*names)
        before = place.clock.now()
        place.cache.refresh()
        held_for += place.clock.now() - before
        place.clock.sleep(1)

    assert 0.02 <= held_for / (place.clock.now() - began) <= 0.06
    assert all(place.clock.now() - each.read_at < 90 for each in place.look(*names))


def test_of_a_slow_warehouse_one_answer_is_read_each_time(place):
    place.taken = 30.0
    place.look("inactive-members", "oc-profit")

    place.cache.refresh()

    assert sorted(place.standings("inactive-members", "oc-profit")) == ["fresh", "waiting"]


def test_while_another_program_has_the_file_the_answers_before_are_shown(tmp_path):
    file = tmp_path / "torn.duckdb"
    known_faction.fill(file)
    place = Place(file)
    place.look("inactive-members")
    place.cache.refresh()
    place.marks["faction_members"] += 1
    place.clock.sleep(11)

    with held(file):
        place.look("inactive-members", "oc-overview")
        began = place.clock.now()
        place.cache.refresh()
        waited = place.clock.now() - began
        [known, new] = place.look("inactive-members", "oc-overview")

    assert waited <= 0.3
    assert (known.standing, known.answer.rows.num_rows) == ("held", 3)
    assert (new.standing, new.answer) == ("held", None)
    place.clock.sleep(11)
    place.cache.refresh()
    assert place.standings("inactive-members", "oc-overview") == ["fresh", "fresh"]


def test_a_question_that_takes_too_long_is_stopped_and_the_others_are_read(warehouse):
    place = Place(warehouse, Limits(0.5, 500_000_000, 1))
    long = mine(SLOW)
    place.cache.look([long, asked("oc-overview")])
    place.clock.sleep(1)

    place.cache.refresh()
    place.clock.sleep(2)
    place.cache.refresh()

    slow, quick = place.cache.look([long, asked("oc-overview")])
    assert slow.standing == "slow"
    assert "longer than 0.5 s" in slow.says
    assert quick.standing == "fresh"


def test_a_question_that_is_refused_is_asked_again_after_the_next_load_alone(place):
    wrong = mine("select nothing from {faction_members:now} order by nothing")
    place.cache.look([wrong])
    place.cache.refresh()
    [found] = place.cache.look([wrong])
    assert found.standing == "failed"
    assert "nothing" in found.says

    place.clock.sleep(30)
    place.cache.look([wrong])
    place.cache.refresh()
    assert place.opened == 1

    place.marks["faction_members"] += 1
    place.cache.refresh()
    assert place.opened == 2


def test_a_load_while_it_is_read_is_not_missed(place, monkeypatch):
    place.look("inactive-members")
    before = Timed.query

    def query(self, sql):
        place.marks["faction_members"] += 1
        return before(self, sql)

    monkeypatch.setattr(Timed, "query", query)
    place.cache.refresh()

    assert place.standings("inactive-members") == ["old"]


def test_values_have_answers_of_their_own(place):
    [one] = place.look("inactive-members", hours="24")
    [other] = place.look("inactive-members", hours="100")
    place.cache.refresh()

    rows = [
        place.look("inactive-members", hours=hours)[0].answer.rows.num_rows
        for hours in ("24", "100")
    ]
    assert one.asked.key != other.asked.key
    assert rows == [3, 1]


def test_no_more_answers_are_kept_than_there_is_room_for(place):
    for hours in range(1, caches.MOST + 20):
        place.look("inactive-members", hours=str(hours))

    assert len(place.cache._entries) == caches.MOST


def test_the_answers_that_are_kept_have_a_bound_of_bytes(place, monkeypatch):
    place.look("inactive-members")
    place.cache.refresh()
    [found] = place.look("inactive-members")
    monkeypatch.setattr(caches, "MOST_BYTES", 5 * found.answer.rows.nbytes)
    for hours in range(1, 9):
        place.look("inactive-members", hours=str(hours))
        place.clock.sleep(1)
        place.cache.refresh()

    assert place.standings("inactive-members") == ["waiting"]
    [found] = place.look("inactive-members", hours="8")
    assert found.standing == "fresh"
    kept = [entry.cached.answer for entry in place.cache._entries.values()]
    assert sum(each.rows.nbytes for each in kept if each) <= caches.MOST_BYTES


def test_an_answer_that_is_too_large_to_keep_says_how_to_have_it(place, monkeypatch):
    monkeypatch.setattr(caches, "LARGEST", 1_000)
    large = mine("select name, repeat('x', 1000) as text from {faction_members:now} order by name")
    place.cache.look([large])
    place.cache.refresh()

    [found] = place.cache.look([large])
    assert (found.standing, found.answer) == ("failed", None)
    assert "rows, too many for a page" in found.says
    assert "tcdatalogger ask mine --csv" in found.remedy


def test_a_page_waits_for_its_first_answer_no_longer_than_it_says(warehouse):
    place = Place(warehouse)
    with place.cache:
        [found] = place.cache.look([asked("inactive-members")], wait=30)
        assert found.standing == "fresh"
    assert not place.cache._thread.is_alive()

    still = Place(warehouse)
    [found] = still.cache.look([asked("inactive-members")], wait=0.05)
    assert found.standing == "waiting"


def test_threads_look_while_another_reads(place):
    told = [place.standings("inactive-members", "oc-crews")]
    threads = [
        threading.Thread(
            target=lambda: told.append(place.standings("inactive-members", "oc-crews"))
        )
        for _ in range(20)
    ]
    for number, thread in enumerate(threads):
        thread.start()
        if number == 10:
            place.cache.refresh()
    for thread in threads:
        thread.join()

    assert len(told) == 21
    assert place.standings("inactive-members", "oc-crews") == ["fresh", "fresh"]


def test_an_error_that_nobody_foresaw_ends_one_answer_and_not_the_reading(place):
    """A sum past 2^63 is no integer of Arrow's."""
    broken = mine("select sum(9223372036854775807) as n from {faction_members:now}")
    place.cache.look([broken])
    place.look("inactive-members")

    place.cache.refresh()

    [found] = place.cache.look([broken])
    assert (found.standing, found.says) == ("failed", "The answer could not be made: ArrowInvalid.")
    assert place.standings("inactive-members") == ["fresh"]


def test_a_warehouse_whose_key_is_not_there_is_asked_for_again(place, monkeypatch):
    def lacking():
        raise ConfigError("The key is not there.", remedy="Put it there.")

    monkeypatch.setattr(place.cache, "_open", lacking)
    place.look("inactive-members")
    place.cache.refresh()

    [found] = place.look("inactive-members")
    assert (found.standing, found.says) == ("held", "The key is not there.")
    assert found.remedy == "Put it there."

    monkeypatch.undo()
    place.clock.sleep(caches.REST)
    place.cache.refresh()
    assert place.standings("inactive-members") == ["fresh"]


def test_a_clock_that_is_set_back_keeps_nothing_from_being_read(place):
    place.look("inactive-members")
    place.cache.refresh()
    place.clock._now -= 3_600
    place.look("oc-crews")

    assert place.cache.refresh() <= caches.REST

    assert place.standings("oc-crews") == ["fresh"]
