"""The search finds questions, pages and what the tables have a name for."""

from __future__ import annotations

import re

import pytest
from known_faction import THEIRS

pytestmark = pytest.mark.usefixtures("unread")


@pytest.fixture(autouse=True)
def _unread(monkeypatch):
    monkeypatch.setattr("tcdatalogger.web.search.WAIT", 0.0)


def found(site, text, more=""):
    """The links of the page, by what they say."""
    page = site.get(f"/search?q={text}{more}")
    main = page.split("<main", 1)[1].split("</main>")[0]
    return {
        name: href for href, name in re.findall(r'<li><a href="([^"]+)"[^>]*>([^<]*)</a>', main)
    }


@pytest.mark.parametrize(
    ("text", "name", "leads"),
    [
        ("bobb", "Bobby", "/?(members/|.*XID=)2$"),
        ("2", "Bobby", "2$"),
        ("mental", "Mob Mentality", "1[1234]$"),
        ("15", "Break the Bank", "15$"),
        ("xan", "Xanax", "206$"),
        ("206", "Xanax", "206$"),
        ("heatmap", "When are we awake?", "^/questions/activity-heatmap$"),
        ("not+seen", "Who was not seen?", "^/questions/inactive-members$"),
        ("armo", "Armory", "^/armory$"),
        ("faction_cri", "faction_crimes", "^/ops/endpoints/faction_crimes$"),
    ],
)
def test_what_has_a_name_or_a_number_is_found(site, text, name, leads):
    assert re.search(leads, found(site, text)[name])


def test_the_nearest_is_the_first_and_long_lists_say_what_they_leave_out(site):
    text = site.get("/search?q=a")

    assert re.search(r"and \d+ more: write more", text)
    assert next(iter(found(site, "10"))) == "Pet Project"


def test_what_is_not_there_is_said_as_text(site):
    text = site.get("/search?q=<b>none</b>")

    assert "&lt;b&gt;none&lt;/b&gt;" in text
    assert "<b>none" not in text


def test_every_page_has_the_field_and_it_keeps_the_faction(site):
    text = site.get("/crimes?faction=99")

    assert '<form class="find" role="search" action="/search">' in text
    assert '<input type="hidden" name="faction" value="99">' in text
    assert "Eve" in found(site, "eve", f"&faction={THEIRS}")
    assert "Eve" not in found(site, "eve")
    assert found(site, "armo", f"&faction={THEIRS}")["Armory"] == f"/armory?faction={THEIRS}"


def test_where_nothing_is_logged_the_questions_are_found(open_site, tmp_path):
    site = open_site(tmp_path / "none.duckdb", endpoints="")

    assert "Who was not seen?" in found(site, "seen")


def test_a_member_finds_no_page_and_no_question_that_is_not_for_him(open_site, warehouse):
    words = ", ".join(f'{role} = "env:{role.upper()}"' for role in ("owner", "officer", "member"))
    site = open_site(warehouse, f"[ui]\npasswords = {{ {words} }}\nbehind_proxy = true\n")
    site.client.post("/login", data={"password": "member-password-3"})

    assert "Operations" not in found(site, "op")
    assert "Me" not in found(site, "me")
    assert "faction_crimes" not in found(site, "faction_cri")
    assert "How does my worth grow?" not in found(site, "worth")
    assert "What is the faction&#39;s own?" not in found(site, "own")
    assert "Bobby" in found(site, "bobby")


def test_a_question_of_ones_own_is_not_taken_for_one_of_the_search(open_site, warehouse):
    own = """/*
title = "Whom?"
page = "members"
caption = "All of them."
chart = { kind = "table" }

[needs."/faction/members"]
*/
select id, 'Mallory' as name, '' as more from {faction_members:now} order by id
"""
    site = open_site(warehouse, questions={"search-member": own})

    assert "Mallory" in site.get("/questions/search-member")

    assert "Mallory" not in found(site, "mallory")
    assert "Bobby" in found(site, "bobby")
