"""The pages of one member, crime, war and item."""

from __future__ import annotations

import gzip
import html
import re

import known_faction
import known_war
import pytest
from installation import known_endpoints

from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.questions import question

pytestmark = pytest.mark.usefixtures("unread")

ENDPOINTS = known_endpoints() + "".join(known_war.toml())
PAGES = {
    "/members/2": ("member", "Bobby [2]"),
    "/members/3": ("member", "Cyd [3]"),  # who has left
    "/crimes/10": ("crime", "Pet Project [10]"),
    "/war/7": ("war", "F777 [7]"),
    "/market/items/206": ("item", "Xanax [206]"),
}
LATER_PAGE = 20_000
"""Bytes of a page after the first one."""
SIGNED = (
    '[ui]\npasswords = { owner = "env:OWNER", officer = "env:OFFICER", member = "env:MEMBER" }\n'
)


@pytest.fixture(scope="session")
def fought(tmp_path_factory):
    """The warehouse of the known faction with its war."""
    file = tmp_path_factory.mktemp("fought") / "torn.duckdb"
    known_faction.fill(file)
    known_war.fill(file)
    return file


@pytest.fixture
def site(open_site, fought):
    return open_site(fought, endpoints=ENDPOINTS)


def remember(site):
    """Let the state know the run that stored the first picture of the crimes."""
    with State(site.context.settings.state.url, site.clock) as state:
        state.write_run(RunRecord("run-04", "faction_crimes", 1.0, "done", finished_at=2.0))


def asked(text):
    """The questions whose cards stand on a page."""
    return set(re.findall(r'aria-labelledby="q-([a-z-]+)"', text))


def links(text):
    return [html.unescape(link) for link in re.findall(r'href="([^"]*)"', text)]


@pytest.mark.parametrize(("path", "thing", "title"), [(p, *each) for p, each in PAGES.items()])
def test_the_page_of_a_thing_has_its_newest_name_and_every_question_about_it(
    site, path, thing, title
):
    text = site.get(path)

    ready = {
        each.name
        for each in question.shipped().values()
        if thing in each.things and not site.context.relations.is_blocked(each)
    }
    assert f"<h1>{title}</h1>" in text
    assert asked(text) == ready != set()
    assert len(gzip.compress(text.encode())) < LATER_PAGE
    number = path.rpartition("/")[2]
    assert all(
        f"{thing}={number}" in link
        for link in links(text)
        if link.startswith(("/q/", "/questions/"))
    )


def test_a_page_is_about_its_thing_alone(site):
    text = site.get("/members/2")

    assert "Bobby" in text
    for other in ("Ada", "Cyd", "Dee", "Eve"):
        assert f">{other}<" not in text
    assert "Robber" in site.get("/crimes/11")
    assert "Robber" not in site.get("/crimes/10")


@pytest.mark.parametrize(
    "path", ["/members/999", "/crimes/999", "/war/999", "/market/items/999", "/members/0",
             "/members/99999999999999999999"]
)  # fmt: skip
def test_what_nothing_names_is_said_to_be_unknown(site, path):
    site.client.get(path)
    site.read()
    answer = site.client.get(path)

    assert answer.status_code == 404
    assert "Nothing that is stored names the" in answer.text


@pytest.mark.parametrize("number", ["9" * 5_000, "-1", "1.5", "%D9%A7", "x"])
def test_what_is_no_number_is_no_page(site, number):
    assert site.client.get(f"/members/{number}").status_code == 404


def test_a_thing_is_not_called_unknown_before_its_answers_are_read(site):
    answer = site.client.get("/members/2")

    assert answer.status_code == 200
    assert "<h1>Member [2]</h1>" in answer.text
    assert "data-again" in answer.text


def test_a_page_of_a_thing_of_which_nothing_is_logged_says_what_to_log(open_site, tmp_path):
    site = open_site(tmp_path / "none.duckdb", endpoints="")

    assert "path = &#34;/faction/members&#34;" in site.get("/members/5")


@pytest.mark.slow
def test_cells_lead_to_the_pages_of_what_they_name_and_these_pages_are_there(site):
    sections = ("/", "/crimes", "/members", "/money", "/war", "/armory", "/market")
    found = {path: set(links(site.get(path))) for path in (*sections, *PAGES)}

    assert {"/members/1", "/members/2", "/crimes/15"} <= found["/crimes"]
    assert {"/war/6", "/war/7", "/war/8"} <= found["/war"]
    assert "/market/items/206" in found["/market"]
    assert "/crimes/10" in found["/members/2"]
    ours = sorted(link for link in set().union(*found.values()) if link.startswith("/"))
    for link in ours:
        site.client.get(link)
    site.read()
    assert [link for link in ours if site.client.get(link).status_code != 200] == []


def test_a_question_of_ones_own_about_a_member_has_a_card_on_the_page_of_a_member(
    open_site, fought
):
    mine = (
        '/*\ntitle = "Is this one high?"\npage = "members"\nof = "member"\ncaption = "High."\n'
        'chart = { kind = "table", label = "name" }\n[needs."/faction/members"]\n*/\n'
        "select name, level from {faction_members:now} where id = $member order by name nulls last"
    )
    site = open_site(fought, endpoints=ENDPOINTS, questions={"high": mine})

    assert "high" in asked(site.get("/members/1"))
    assert "high" not in asked(site.get("/crimes/10"))
    assert "high" in asked(site.get("/members"))


def test_a_member_sees_no_balance_and_no_run_on_the_page_of_another(open_site, fought):
    site = open_site(fought, SIGNED, endpoints=ENDPOINTS)
    remember(site)
    site.client.post("/login", data={"password": "member-password-3"})
    member, crime, war = (site.get(path) for path in ("/members/2", "/crimes/10", "/war/7"))

    assert "members" in asked(member)
    assert not asked(member) & {"balances", "balance-movements"}
    assert "/ops" not in member + crime
    assert "war-payout" not in asked(war)
    site.client.post("/login", data={"password": "officer-password-2"})
    assert {"balances", "balance-movements"} & asked(site.get("/members/2"))
    assert "war-payout" in asked(site.get("/war/7"))
    assert "/ops/runs/run-04" in site.get("/crimes/10")


def test_weights_of_a_payout_are_chosen_on_the_page_of_the_war_and_stay_chosen(site):
    before, after = site.get("/war/7"), site.get("/war/7?war_hit=0&assist=9&seconds=60")

    assert 'action="/war/7"' in before
    assert 'name="war_hit" value="4"' in before
    assert 'name="war_hit" value="0"' in after
    assert '<input type="hidden" name="seconds" value="60">' in after
    assert "9 for an assist" in after
    assert 'name="war"' not in after
    assert re.search(r">\$\d\d,\d{3},\d{3}<", before), "what is paid is written in full"


def test_a_state_of_a_crime_leads_to_the_run_that_stored_it(site):
    remember(site)
    text = site.get("/crimes/10")

    assert 'href="/ops/runs/run-04"' in text
    assert 'href="/ops/runs/run-11"' not in text  # the state has forgotten it


def test_nothing_in_these_days_leads_further_back_for_the_same_thing(site):
    text = site.get("/members/3?days=1")

    assert re.search(r'/questions/crime-slots\?[^"]*days=7&amp;member=3"', text)


def test_the_member_stands_there_with_all_columns_and_lists_of_many_rows_stay_narrow(site):
    text = site.get("/members/2")

    assert re.search(r'<section class="card full" aria-labelledby="q-members"', text)
    assert re.search(r'<section class="card" aria-labelledby="q-crime-slots"', text)
