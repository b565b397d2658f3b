"""The numbers of the page Today, and how they stand to those of before."""

from __future__ import annotations

import re

import known_faction
import pytest
from installation import known_endpoints

pytestmark = pytest.mark.usefixtures("unread")
TILE = re.compile(
    r'<span class="name">([^<]+)</span> <strong[^>]*>([^<]*)</strong>(.*?)</li>', re.DOTALL
)


def tiles(site, path):
    """The numbers and the words below them, by name."""
    found = {}
    for name, value, rest in TILE.findall(site.get(path)):
        found[name] = value, " ".join(re.sub("<[^>]+>", "", rest).split())
    return found


def test_what_crimes_brought_in_is_compared_with_the_days_before(site):
    # Crime 12 was executed 40 days ago: 7 dollars, and 5 Xanax of 700,000 on the nearest day.
    # Crime 10: 90,000,000, 2 Xanax and a Hammer of 1,000. Crime 11: 1,000,001.
    found = tiles(site, "/?days=21")

    assert found["Crimes brought in"] == ("$92.4m", "better: +2540 % on the 21 days before")
    # The first payout is in the days before: these are not wholly known.
    assert found["Left to the faction"][1] == "in 21 days"


def test_a_past_that_is_not_wholly_known_is_not_compared(site):
    """The oldest crime was executed 51 days ago: of the 30 days before these not all is known."""
    assert tiles(site, "/?days=30")["Crimes brought in"] == ("$92.4m", "in 30 days")


def test_days_before_that_brought_nothing_are_told_in_words(site):
    found = tiles(site, "/?days=7")

    assert found["Crimes brought in"][1] == "better: nothing in the 7 days before"


def test_numbers_of_now_are_compared_with_the_picture_when_the_days_began(site):
    # A picture eight days ago: Cyd was not seen for twelve days; Flo was seen a day before it.
    found = tiles(site, "/?days=8")

    assert found["Not seen for a day"] == ("2", "worse: 1 more than 8 days ago")
    assert found["Free for a crime"] == ("2", "better: 1 fewer than 8 days ago")


@pytest.mark.parametrize("days", [5, 7, 30])
def test_without_a_picture_of_that_day_nothing_is_compared(site, days):
    assert tiles(site, f"/?days={days}")["Not seen for a day"] == ("2", "")


def test_tables_that_keep_no_pictures_are_not_compared(open_site, warehouse, monkeypatch):
    monkeypatch.setitem(known_faction.LINES, "faction_members", 'storage_mode = "merge"')
    site = open_site(warehouse, endpoints=known_endpoints())

    assert tiles(site, "/?days=8")["Not seen for a day"][1] == ""


def test_a_number_that_is_still_to_be_read_is_looked_for_again(site):
    before = site.client.get("/").text
    site.read()
    after = site.client.get("/").text

    assert before.count("<li data-again>") == len(TILE.findall(before)) > 0
    assert "<li data-again>" not in after
