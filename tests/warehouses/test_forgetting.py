"""Players who are forgotten get their aliases in the tables and the ledger of every warehouse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tcdatalogger.models.people.columns import PersonColumns, PersonId
from tcdatalogger.models.people.pseudonyms import Alias, Pseudonyms, hash_of_id
from tcdatalogger.models.people.rewriter import PersonFacts
from tcdatalogger.models.shape import Json
from tcdatalogger.services.warehouse.people import Places

SECRET = b"of the tests"
PLAYER = 2_531_687
OWN = hash_of_id(SECRET, str(PLAYER))
ALIAS = Alias(OWN)
KINDS = {"user_id": "int", "user_name": "text", "text": "text", "told": "json"}
COLUMNS = (
    PersonColumns(
        "wars",
        (PersonId("user_id", ("user_name",)),),
        {"text": True},
        ("told",),
    ),
    PersonColumns("wars_hits", (PersonId("user"),)),
)
LINK = "profiles.php?XID="


@pytest.fixture
def places():
    return Places(COLUMNS, {"wars": PersonFacts(Json())})


def pseudonyms(*, removed=False):
    return Pseudonyms(SECRET, {OWN: removed})


def war(number, user, name):
    return {
        "id": number, "user_id": user, "user_name": name,
        "text": f'<a href="{LINK}{user}">{name}</a> paid \'5\' "of" {PLAYER}',
        "told": {"seller": user, "price": PLAYER}, "hits": [{"id": PLAYER, "user": user}],
    }  # fmt: skip


@pytest.fixture
def stored(load, warehouse):
    """Two records, of the player and of somebody else."""
    made = load(war(1, PLAYER, "Ann-7"), war(PLAYER, 9, "Xanax"), of=KINDS)
    warehouse.commit(replace(made, key_owner=PLAYER))
    return warehouse


def test_ids_names_texts_and_json_get_the_alias_and_things_with_the_number_stay(
    stored, rows, places
):
    would = stored.forget(places, pseudonyms(), dry=True)
    assert rows("wars", "id", "user_id") == [(1, PLAYER), (PLAYER, 9)]

    did = stored.forget(places, pseudonyms())

    assert (did.rows, did.deleted) == (would.rows, would.deleted)
    assert rows("wars", "id", "user_id", "user_name") == [
        (1, ALIAS.id, ALIAS.name), (PLAYER, 9, "Xanax"),
    ]  # fmt: skip
    (mine, other) = rows("wars", "text")
    assert f'<a href="{LINK}{ALIAS.id}">{ALIAS.word}</a> paid \'5\' "of" {PLAYER}' in (mine, other)
    assert f'<a href="{LINK}9">Xanax</a> paid \'5\' "of" {PLAYER}' in (mine, other)
    told = rows("wars", "told")
    assert {each["seller"] for each in told} == {ALIAS.id, 9}
    assert {each["price"] for each in told} == {PLAYER}
    assert sorted(rows("wars_hits", "hit_id", "user")) == [(PLAYER, 9), (PLAYER, ALIAS.id)]
    [line] = stored.rows("_tcd_loads", ("key_owner",)).to_pylist()
    assert line["key_owner"] == ALIAS.id
    assert not stored.forget(places, pseudonyms()).rows


def test_one_who_is_removed_leaves_null_and_rows_of_the_player_alone_go(stored, rows, places):
    own = replace(COLUMNS[1], ids=(PersonId("user", own=True),))
    places = replace(places, tables=(COLUMNS[0], own))

    did = stored.forget(places, pseudonyms(removed=True))

    assert did.deleted == {"wars_hits": 1}
    assert rows("wars", "id", "user_id", "user_name") == [(1, None, None), (PLAYER, 9, "Xanax")]
    assert rows("wars_hits", "user") == [9]
    [line] = stored.loads(endpoint="wars")
    assert dict(line.rows) == {"wars": 2, "wars_hits": 1}


def test_the_names_that_tables_have_are_found_if_they_are_like_no_word(stored, places):
    assert stored.names_in(places, pseudonyms()) == {"Ann-7": OWN}
    other = hash_of_id(SECRET, "9")
    assert stored.names_in(places, Pseudonyms(SECRET, {other: False})) == {}
