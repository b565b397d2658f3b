"""Pages of a warehouse into which two factions are logged."""

from __future__ import annotations

import re

import known_faction
import pytest
from known_faction import OURS, THEIRS, Poll

from tcdatalogger.questions.subjects import Subject
from tcdatalogger.services.channels import discord

pytestmark = pytest.mark.usefixtures("unread")
NAMED = (
    Poll("faction_basic", OURS, known_faction.LATER, {"basic": {"id": OURS, "name": "Lights"}}),
    Poll("faction_basic", THEIRS, known_faction.LATER, {"basic": {"id": THEIRS, "name": "<b>Us"}}),
)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The warehouse of two factions, with their names."""
    file = tmp_path_factory.mktemp("both") / "torn.duckdb"
    known_faction.fill(file, [*known_faction.POLLS, *NAMED])
    return file


@pytest.fixture
def mixed(open_site, both):
    return open_site(both)


def test_a_page_is_of_the_faction_that_was_logged_first_and_says_so(mixed):
    text = mixed.get("/members")

    assert "Bobby" in text
    assert "Eve" not in text
    assert f'<a href="?faction={OURS}" aria-current="true">Lights [{OURS}]</a>' in text
    assert f"Of Lights [{OURS}]." in text


def test_a_name_of_a_faction_is_text_wherever_it_stands():
    named = str(Subject("faction", 1, "a\nb\u202e\x1b[31m@everyone [x](https://y) `rm`"))

    assert named == "a\\nb\\u202e\\x1b[31m@everyone [x](https://y) `rm` [1]"
    told = discord.plain(f"Of {named}.")
    assert "@\u200beveryone \\[x\\]\\(https\\://y\\) \\`rm\\`" in told


def test_another_faction_is_chosen_in_the_address_and_stays_in_all_links(mixed):
    text = mixed.get(f"/members?faction={THEIRS}&days=7")

    assert "Eve" in text
    assert "Bobby" not in text
    assert f"Of &lt;b&gt;Us [{THEIRS}]." in text
    for link in (
        f"/crimes?faction={THEIRS}",
        f"?faction={THEIRS}&amp;days=90",
        f"?faction={OURS}&amp;days=7",
        f"/questions?faction={THEIRS}",
    ):
        assert f'href="{link}"' in text, link
    links = re.findall(r'href="(/q(?:uestions)?/[^"]+)"', text)
    assert links
    assert all(f"faction={THEIRS}" in link for link in links if "faction-comparison" not in link)


def test_csv_and_json_and_the_page_of_a_question_are_of_the_chosen_faction(mixed):
    name = "inactive-members"
    text = mixed.get(f"/questions/{name}?faction={THEIRS}")
    mixed.get(f"/q/{name}.csv?faction={THEIRS}")
    told = mixed.client.get(f"/q/{name}.json?faction={THEIRS}").json()

    assert f'<input type="hidden" name="faction" value="{THEIRS}">' in text
    assert f"/q/{name}.csv?faction={THEIRS}" in text
    assert [row["member"] for row in told["rows"]] == ["Eve"]
    assert "Eve" in mixed.client.get(f"/q/{name}.csv?faction={THEIRS}").text
    assert "Bobby" not in mixed.client.get(f"/q/{name}.csv?faction={THEIRS}").text


def test_the_numbers_of_today_are_of_the_chosen_faction(mixed):
    ours, theirs = mixed.get("/"), mixed.get(f"/?faction={THEIRS}")

    assert re.search(r"Not seen for a day</span> <strong[^>]*>2<", ours)
    assert re.search(r"Not seen for a day</span> <strong[^>]*>1<", theirs)
    assert f"/questions/oc-profit?faction={THEIRS}" in theirs


def test_a_number_is_not_compared_with_a_time_when_another_faction_alone_was_logged(mixed):
    ours, theirs = mixed.get("/?days=8"), mixed.get(f"/?days=8&faction={THEIRS}")

    assert "than 8 days ago" in ours
    assert "8 days ago" not in theirs


def test_all_together_is_a_choice_of_a_question(mixed):
    text = mixed.get("/questions/inactive-members?faction=all")

    assert "Eve" in text
    assert "Bobby" in text
    assert 'href="?faction=all" aria-current="true"' in text


def test_what_is_no_id_is_refused_in_words(mixed):
    answer = mixed.client.get("/members?faction=Lights")

    assert answer.status_code == 400
    assert "is no id" in answer.text


def test_one_faction_is_named_and_there_is_nothing_to_choose(open_site, tmp_path):
    polls = [poll for poll in [*known_faction.POLLS, NAMED[0]] if poll.subject != THEIRS]
    known_faction.fill(tmp_path / "one.duckdb", polls)

    text = open_site(tmp_path / "one.duckdb").get("/members")

    assert f'<p class="mute">Lights [{OURS}]</p>' in text
    assert "faction=" not in text
