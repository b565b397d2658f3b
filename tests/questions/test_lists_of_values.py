"""One endpoint may ask for several categories of news at once, as Torn allows."""

from __future__ import annotations

import pytest
from installation import Installation, endpoint, installed
from known_market import balance, news
from polls import Poll, store

from bodies import member
from tcdatalogger.questions import question

START, HOUR, FACTION = 1_767_225_600, 3_600, 40832
CATEGORIES = "membership,armoryAction, depositFunds,giveFunds"
LINES = (
    (10, "Ada used one of the faction's Xanax items"),
    (20, "Flo left the faction"),
    (30, "Ada deposited $1,000"),
    (40, "Something of any of them"),
)
PATHS = {
    "members": "/faction/members",
    "balance": "/faction/balance",
    "news": "/faction/news",
}


ENDPOINTS = "".join(
    endpoint(name, path) + (f'params = {{ cat = "{CATEGORIES}" }}\n\n' if name == "news" else "")
    for name, path in PATHS.items()
)


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> Installation:
    """News of several categories in one table, and what stands beside them."""
    file = tmp_path_factory.mktemp("lists") / "torn.duckdb"
    lines = news(*((f"n{at}", START + at, told) for at, told in LINES))
    polls = [
        Poll("members", FACTION, START, {"members": [member(1)]}),
        Poll("balance", FACTION, START, balance(1, 0, (1, "Ada", 5, 0))),
        Poll("balance", FACTION, START + HOUR, balance(1, 0, (1, "Ada", 1_005, 0))),
        Poll("news", FACTION, START + HOUR, lines),
        Poll("members", FACTION, START + HOUR, {"members": [member(1)]}),
    ]
    store(file, polls, PATHS, params={"news": ("cat", CATEGORIES)})
    return installed(file, ENDPOINTS)


def test_a_question_takes_the_lines_of_its_category_that_it_understands(logged):
    used = logged.ask("armory-use").rows.to_pylist()
    moved = logged.ask("balance-movements").rows.to_pylist()
    [week] = logged.ask("turnover").rows.to_pylist()

    assert [(row["item"], row["member"], row["used"]) for row in used] == [("Xanax", "Ada", 1)]
    assert [(row["member"], row["moved"], row["in_news"]) for row in moved] == [
        ("Ada", 1_000, 1_000)
    ]
    assert (week["in_news"], week["out_news"], week["unread_news"]) == (0, 1, 0)


@pytest.mark.parametrize("told", ['"armoryAction, membership"', '["membership", "armoryAction"]'])
def test_an_endpoint_of_several_categories_counts_for_each(tmp_path, told):
    lines = endpoint("news", "/faction/news").replace("\n\n", f"\nparams = {{ cat = {told} }}\n")
    relations = installed(tmp_path / "t.duckdb", lines).relations
    shipped = question.shipped()

    assert not relations.is_blocked(shipped["armory-use"])
    found = relations.lacks(shipped["balance-movements"])
    assert [lack.says for lack in found if lack.path == "/faction/news"] == [
        "Nothing logs /faction/news with cat = depositFunds yet.",
        "Nothing logs /faction/news with cat = giveFunds yet.",
    ]


def test_questions_about_news_are_answered_without_them(logged):
    lines = "".join(endpoint(name, path) for name, path in PATHS.items() if name != "news")
    without = installed(logged.file, lines)

    assert without.ask("turnover").rows.to_pylist()[0]["in_news"] is None
    assert [row["moved"] for row in without.ask("balance-movements").rows.to_pylist()] == [1_000]
