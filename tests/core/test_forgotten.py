"""What the state remembers of players who are forgotten, on SQLite and on Postgres."""

from __future__ import annotations

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.state.forgotten import secret_in
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.errors import DataRefused
from tcdatalogger.models.people.pseudonyms import Pseudonyms
from tcdatalogger.services.torncity.keys import KeyInfo

PLAYER, OTHER = 2_531_687, 158


@pytest.fixture
def state(state_url):
    with State(state_url, ManualClock(10_000.0)) as opened:
        yield opened


def key(owner):
    return KeyInfo(owner, 40832, None, 3, "Limited Access", faction_access=True)


def test_nobody_is_forgotten_at_first(state):
    assert not state.forgotten.pseudonyms()
    assert state.forgotten.players() == []
    assert not state.forgotten.unfinished()


def test_a_player_is_found_by_the_id_and_no_id_is_in_the_state(state):
    alias = state.forgotten.remember(PLAYER, 1.0)

    known = state.forgotten.pseudonyms()
    assert known.of_id(PLAYER) == known.of_id(str(PLAYER)) == alias
    assert known.of_id(OTHER) is None
    (one,) = state.forgotten.players()
    assert (one.alias, one.since, one.names) == (alias, 1.0, 0)
    rows = state.reading("select hash, kind, player from forgotten")
    assert str(PLAYER) not in str(rows)


def test_who_has_an_alias_can_be_removed_and_not_the_reverse(state):
    assert not state.forgotten.remember(PLAYER, 1.0).removed
    assert state.forgotten.remember(PLAYER, 2.0, removed=True).removed
    assert state.forgotten.remember(PLAYER, 3.0).removed
    (one,) = state.forgotten.players()
    assert (one.alias.removed, one.since) == (True, 1.0)


def test_what_would_be_remembered_is_not_written(state):
    would = state.forgotten.would_be(PLAYER, removed=True)
    assert would.of_id(PLAYER).removed
    assert not state.forgotten.pseudonyms()


def test_a_name_is_remembered_once_and_only_of_somebody_who_is_forgotten(state):
    alias = state.forgotten.remember(PLAYER, 1.0)
    assert state.forgotten.remember_names({"Ann-7": alias.hash, "Bob-8": "nobody"}, 1.0)
    assert not state.forgotten.remember_names({"Ann-7": alias.hash}, 2.0)
    known = state.forgotten.pseudonyms()
    assert known.of_name("Ann-7") == alias
    assert known.of_name("ann-7") is None
    assert known.of_name("Bob-8") is None
    assert state.forgotten.players()[0].names == 1


def test_a_state_that_came_from_a_backup_takes_the_players_over(state, tmp_path):
    alias = state.forgotten.remember(PLAYER, 1.0, removed=True)
    state.forgotten.remember_names({"Ann-7": alias.hash}, 1.0)
    known = state.forgotten.pseudonyms()
    file = tmp_path / "other.sqlite"
    with State(file, ManualClock(1.0)) as other:
        assert secret_in(file) == b""
        other.forgotten.take_over(known, 2.0)
        assert other.forgotten.pseudonyms() == known
        assert secret_in(file) == known.secret


def test_who_was_known_before_under_the_same_secret_stays_known(state, tmp_path):
    state.forgotten.remember(PLAYER, 1.0)
    with State(tmp_path / "other.sqlite", ManualClock(1.0)) as other:
        other.forgotten.take_over(state.forgotten.pseudonyms(), 2.0)
        other.forgotten.remember(OTHER, 3.0, removed=True)
        other.forgotten.take_over(state.forgotten.pseudonyms(), 4.0)
        known = other.forgotten.pseudonyms()
    assert known.of_id(PLAYER) == state.forgotten.pseudonyms().of_id(PLAYER)
    assert known.of_id(OTHER).removed


def test_two_secrets_do_not_become_one(state, tmp_path):
    state.forgotten.remember(PLAYER, 1.0)
    with State(tmp_path / "other.sqlite", ManualClock(1.0)) as other:
        other.forgotten.remember(OTHER, 1.0)
        before = other.forgotten.pseudonyms()
        with pytest.raises(DataRefused, match="secret of its own"):
            other.forgotten.take_over(state.forgotten.pseudonyms(), 2.0)
        assert other.forgotten.pseudonyms() == before


def test_a_forgetting_is_unfinished_until_its_end(state):
    state.forgotten.begin(1.0)
    state.forgotten.begin(2.0)
    assert state.forgotten.unfinished()
    state.forgotten.end()
    assert not state.forgotten.unfinished()


def test_owners_of_keys_and_sentences_get_the_alias_and_a_cursor_stays(state):
    state.write_key("key:a", key(PLAYER), 1.0)
    state.write_key("key:b", key(OTHER), 1.0)
    cursor = f'{{"spans": {{"{PLAYER}": [1, 2]}}}}'
    run = RunRecord(
        "run-1", "news", 1.0, status="done", cursor=cursor, key_owner=PLAYER, pages=PLAYER,
        warnings=(f'<a href="profiles.php?XID={PLAYER}">x</a> of {PLAYER}',),
    )  # fmt: skip
    state.write_run(run)
    alias = state.forgotten.remember(PLAYER, 1.0)
    known = state.forgotten.pseudonyms()

    assert state.rewrite(known, dry=True) == 2
    assert state.key_owners() == {PLAYER, OTHER}
    assert state.rewrite(known) == 2

    assert state.key_owners() == {OTHER}
    (found,) = state.runs(run_id="run-1")
    assert found.key_owner == alias.id
    assert found.warnings == (
        f'<a href="profiles.php?XID={alias.id}">{alias.word}</a> of {PLAYER}',
    )
    assert (found.cursor, found.pages) == (cursor, PLAYER)
    assert state.rewrite(known) == 0
    assert state.rewrite(Pseudonyms()) == 0
