"""Aliases in texts and bodies: of whoever is forgotten, of nobody else, and never twice."""

from __future__ import annotations

import json
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.models.people.fields import is_person, names_beside
from tcdatalogger.models.people.pseudonyms import (
    FIRST,
    Alias,
    Pseudonyms,
    hash_of_id,
    hash_of_name,
    is_alias,
    is_distinct,
)
from tcdatalogger.models.people.rewriter import BodyRewriter, PersonFacts
from tcdatalogger.models.people.texts import rewritten
from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.shape import Json
from tcdatalogger.services.torncity.catalog import catalog, people

SECRET = b"of the tests"
PLAYER = 2_531_687
OWN = hash_of_id(SECRET, str(PLAYER))
ALIAS = Alias(OWN)
NAME = "Ann-7"
ONE = Pseudonyms(SECRET, {OWN: False}, {hash_of_name(SECRET, NAME): OWN})
GONE = Pseudonyms(SECRET, {OWN: True}, {hash_of_name(SECRET, NAME): OWN})


def facts(path):
    return people.facts(catalog.load().find(path)[0])


def body(path, value, players=ONE):
    raw = json.dumps(value).encode()
    made = BodyRewriter(facts(path), players).body(raw)
    return json.loads(made)


# Links


LINKS = [
    'profiles.php?XID={}">x',
    "http://www.torn.com/profiles.php?XID={}",
    "profiles.php?step=x&amp;XID={}&amp;y=1",
    "loader.php?sid=attack&user2ID={}",
    "bazaar.php?userId={}",
    "bazaar.php?userID={}#/",
    "messages.php#/p=compose&XID={}",
    "personalstats.php?ID={}&stats=x",
    "profiles?id={}",
    "torn.com/profiles/{}",
    "profiles.php%3FXID%3D{}",
    "https%3A%2F%2Fwww.torn.com%2Floader.php%3Fsid%3Dattack%26user2ID%3D{}",
    "userId%3D{}",
    "userId%253D{}",
    "XID&#61;{}",
    "XID&#x3D;{}",
    "https://profileimages.torn.com/50c3ed98-ae8f-311d-{}.png",
]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_to_the_player_leads_to_the_alias(link):
    assert rewritten(link.format(PLAYER), ONE) == link.format(ALIAS.id)
    assert rewritten(link.format(PLAYER), GONE) == link.format(0)
    for other in (PLAYER + 1, f"{PLAYER}0", f"1{PLAYER}"):
        assert rewritten(link.format(other), ONE) == link.format(other)


@pytest.mark.parametrize(
    "text",
    [
        f"factions.php?step=profile&ID={PLAYER}",
        f"factions.php?step=your#/tab=crimes&crimeId={PLAYER}",
        f"joblist.php#/p=corpinfo&ID={PLAYER}",
        f"imarket.php#/p=shop&itemID={PLAYER}",
        f"loader.php?sid=racing&raceID={PLAYER}",
        f"forums.php#/p=threads&f=1&t={PLAYER}",
        f"was given ${PLAYER}",
        f"Monarch [{PLAYER}]",
        f"myXID={PLAYER}",
    ],
)
def test_a_thing_with_the_same_number_stays(text):
    assert rewritten(text, ONE) == text
    assert rewritten(text, ONE, names=True) == text


@pytest.mark.parametrize("called", ["Ann-7", "Xanax", "null", "<b>Ann</b>", "a & b", ""])
def test_what_a_link_encloses_is_the_name(called):
    link = f'<a href = "http://www.torn.com/profiles.php?XID={PLAYER}">{called}</a>'
    made = rewritten(f"{link} used one of the faction's Xanax items", ONE)
    assert made == (
        f'<a href = "http://www.torn.com/profiles.php?XID={ALIAS.id}">{ALIAS.word}</a>'
        " used one of the faction's Xanax items"
    )
    escaped = f"&lt;a href=&quot;profiles.php?XID={PLAYER}&quot;&gt;{called or 'x'}&lt;/a&gt; left"
    assert rewritten(escaped, ONE).endswith(f"&gt;{ALIAS.word}&lt;/a&gt; left")


def test_a_known_name_counts_in_texts_that_tell_of_people_alone():
    text = f"{NAME} [{PLAYER}] deposited 5 x Xanax, {NAME}; not {NAME}x"
    assert rewritten(text, ONE) == text
    made = rewritten(text, ONE, names=True)
    assert made == (f"{ALIAS.word} [{ALIAS.id}] deposited 5 x Xanax, {ALIAS.word}; not {NAME}x")


@pytest.mark.parametrize(
    ("name", "distinct"),
    [
        ("Ann-7", True), ("IceBear", True), ("x_x", True), ("R2D2", True), ("Xanax", False),
        ("null", False), ("CHAIN", False), ("Duke", False), ("the", False),
    ],
)  # fmt: skip
def test_a_name_that_may_be_a_word_counts_in_no_text(name, distinct):
    assert is_distinct(name) is distinct


NUMBERS = st.integers(1, 4_000_000)
WORDS = st.text(string.ascii_letters + string.digits + " <>&;\"'=?/%#[]_-.", max_size=30)
TEXTS = st.lists(
    st.one_of(
        WORDS,
        NUMBERS.map(str),
        st.builds(str.format, st.sampled_from(LINKS), st.just(PLAYER) | NUMBERS),
        st.builds('<a href="profiles.php?XID={}">{}</a>'.format, st.just(PLAYER) | NUMBERS, WORDS),
        st.just(NAME),
    ),
    max_size=6,
).map(" ".join)


@given(text=TEXTS, names=st.booleans(), players=st.sampled_from([ONE, GONE]))
def test_a_second_time_changes_nothing(text, names, players):
    once = rewritten(text, players, names=names)
    assert rewritten(once, players, names=names) == once


@given(text=TEXTS, names=st.booleans())
def test_no_link_leads_to_the_player_any_more(text, names):
    made = rewritten(text, ONE, names=names)
    left = re.search(rf"(?i)(?<![a-z0-9_])(XID|user2?ID)(=|%3D|%253D|&#61;){PLAYER}(?!\d)", made)
    assert left is None


@given(text=TEXTS, names=st.booleans())
def test_where_nobody_is_forgotten_no_text_changes(text, names):
    assert rewritten(text, Pseudonyms(), names=names) == text
    if str(PLAYER) not in text and NAME not in text:
        assert rewritten(text, ONE, names=names) == text


@given(digits=st.integers(1, FIRST - 1))
def test_an_alias_is_no_id_of_torns_and_nobody_who_is_forgotten(digits):
    alias = Alias(hash_of_id(SECRET, str(digits)))
    assert is_alias(alias.number)
    assert not is_alias(digits)
    everybody = Pseudonyms(SECRET, {alias.hash: False})
    assert everybody.of_id(digits) == alias
    assert everybody.of_id(alias.number) is None
    assert json.loads(json.dumps(float(alias.number))) == alias.number


# Bodies


def test_the_catalogue_says_whose_an_id_is():
    told = body("/faction/members", {"members": [
        {"id": PLAYER, "name": "Xanax", "level": PLAYER}, {"id": 1, "name": "Xanax"}]})  # fmt: skip
    assert told["members"] == [
        {"id": ALIAS.id, "name": ALIAS.name, "level": PLAYER}, {"id": 1, "name": "Xanax"},
    ]  # fmt: skip
    told = body("/faction/crimes", {"crimes": [{"id": PLAYER, "name": "x", "slots": [
        {"position": "Thief", "item_requirement": {"id": PLAYER}, "user": {"id": PLAYER}}],
        "rewards": {"payout": {"paid_by": PLAYER}, "items": [{"id": PLAYER}]}}]})  # fmt: skip
    (crime,) = told["crimes"]
    assert crime["id"] == PLAYER
    assert crime["slots"][0]["item_requirement"]["id"] == PLAYER
    assert crime["slots"][0]["user"]["id"] == ALIAS.id
    assert crime["rewards"] == {"payout": {"paid_by": ALIAS.id}, "items": [{"id": PLAYER}]}


def test_a_record_of_a_player_who_is_removed_goes_and_others_lose_the_name():
    members = {"members": [{"id": PLAYER, "name": "x"}, {"id": 1, "name": "y"}]}
    assert body("/faction/members", members, GONE) == {"members": [{"id": 1, "name": "y"}]}
    attack = {"attacks": [{"id": 5, "attacker": {"id": PLAYER, "name": "x"}, "result": "Lost"}]}
    assert body("/faction/attacks", attack, GONE)["attacks"] == [
        {"id": 5, "attacker": {"id": None, "name": None}, "result": "Lost"}
    ]


def test_a_field_that_nobody_knows_goes_by_its_name():
    new = {"helper_id": PLAYER, "seller": PLAYER, "player": {"id": PLAYER, "name": "x"},
           "users": [PLAYER, 1], "price": PLAYER, "item": {"id": PLAYER, "name": "x"},
           "members": {str(PLAYER): {"hits": 1}}}  # fmt: skip
    told = body("/user/log", {"log": [{"id": "a", "timestamp": 1, "data": new}]})["log"][0]["data"]
    assert told["seller"] == ALIAS.id
    assert told["player"] == {"id": ALIAS.id, "name": ALIAS.name}
    assert told["users"] == [ALIAS.id, 1]
    assert told["members"] == {str(ALIAS.id): {"hits": 1}}
    assert (told["price"], told["item"]) == (PLAYER, {"id": PLAYER, "name": "x"})


def test_the_links_to_more_pages_stay():
    links = {"_metadata": {"links": {"next": f"https://api.torn.com/v2/x?XID={PLAYER}"}}}
    assert body("/faction/members", {"members": [], **links}) == {"members": [], **links}


def test_a_snapshot_of_all_players_loses_one():
    raw = f"id,name,spouse\n{PLAYER},x,1\n2,{PLAYER},{PLAYER}\n".encode()
    made = BodyRewriter(facts("/user/snapshot"), ONE).body(raw).decode()
    assert made == f"id,name,spouse\n{ALIAS.id},{ALIAS.name},1\n2,{PLAYER},{ALIAS.id}\n"
    gone = BodyRewriter(facts("/user/snapshot"), GONE).body(raw).decode()
    assert gone == f"id,name,spouse\n2,{PLAYER},\n"
    raw = f"id,leader_id,member_list\n{PLAYER},{PLAYER},1|{PLAYER}|3\n".encode()
    made = BodyRewriter(facts("/faction/snapshot"), ONE).body(raw).decode()
    assert made == f"id,leader_id,member_list\n{PLAYER},{ALIAS.id},1|{ALIAS.id}|3\n"


@pytest.mark.parametrize("raw", [b"<html>", b"", b"[1", b"{", b"\xff\xfe", b"null", b"7"])
def test_what_is_no_answer_keeps_its_bytes(raw):
    for path in ("/faction/members", "/user/snapshot"):
        assert BodyRewriter(facts(path), ONE).body(raw) == raw


VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.just(PLAYER) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "user", "user_id", "seller", "price", "text", "members"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(value=VALUES, players=st.sampled_from([ONE, GONE]))
def test_a_body_keeps_its_form_and_a_second_time_changes_nothing(value, players):
    raw = json.dumps({"members": value}).encode()
    for told in (facts("/faction/members"), PersonFacts(Json())):
        made = BodyRewriter(told, players).body(raw)
        assert BodyRewriter(told, players).body(made) == made
        assert isinstance(lossless_json.parse(made), dict)
        if str(PLAYER).encode() not in raw and NAME.encode() not in raw:
            assert made == raw


@given(value=VALUES)
def test_where_nobody_is_forgotten_a_body_keeps_its_bytes(value):
    raw = json.dumps({"members": value}).encode()
    assert BodyRewriter(facts("/faction/members"), Pseudonyms()).body(raw) == raw


def test_every_id_of_torns_document_is_known_whose_it_is():
    """What is named like the id of a player is one, but for counts and scores."""
    missed = {}
    for endpoint in catalog.load().endpoints:
        if endpoint.family is None or endpoint.content == "csv":
            continue
        known = {column.column for table in people.columns(endpoint, endpoint.family)
                 for column in table.ids}  # fmt: skip
        for table in endpoint.family.tables:
            for column in table.data_columns:
                last = column.path[-1] if column.path else ""
                if is_person(last) and column.type.value == "int" and column.name not in known:
                    missed.setdefault(last, set()).add(endpoint.path)
    assert set(missed) == NO_PLAYERS


NO_PLAYERS = {
    *("friends", "employees", "members", "targets", "target", "winner", "participants", "spouses"),
}
"""Counts, scores, and the faction that has won."""


def test_the_name_beside_an_id_is_found_by_the_name_of_the_id():
    assert names_beside("driver_id") == ("driver_name", "driver_username")
    assert "username" in names_beside("id")
