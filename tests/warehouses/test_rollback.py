"""A run taken back, in every mode: what is there afterwards is what was there before it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.models.renames import renamed

SERVED_AT = 1_767_225_600.0
MODES = ("append", "replace", "merge", "history")
HIT, OTHER = {"id": 7, "user": 158}, {"id": 8, "user": 159}
TAG = {"tag": "text"}


def war(number, tag=None, *hits, **more):
    return {"id": number, "tag": tag, "hits": list(hits), **more}


@pytest.fixture
def at(load, warehouse):
    """Commit what was listed at a minute, as the whole list; `r1` at minute 1 and so on."""

    def at(number, *wars, mode, **facts):
        seconds = SERVED_AT + 60 * number
        table = facts.pop("table", "")
        made = load(*wars, mode=mode, at=seconds, of=TAG, run=f"r{number}", table=table)
        made = replace(made, listed={40832: seconds}, cursor=f"at {number}", **facts)
        warehouse.commit(made)
        return made

    return at


@pytest.fixture
def undo(warehouse, dry_first):
    """Take a run back, after a dry rollback that tells the same."""

    def undo(run, endpoint="wars"):
        return dry_first(warehouse.rollback, endpoint, run, at=SERVED_AT, by="me")

    return undo


@pytest.fixture
def content(everything):
    """Every table that is no book: its columns with their types, and its rows."""

    def content():
        return {name: held for name, held in everything().items() if not name.startswith("_tcd_")}

    return content


CASES = [
    pytest.param([war(1, "b", OTHER), war(2, "b", HIT)], id="changed and unchanged"),
    pytest.param([war(2, "a", HIT), war(3, "c", HIT)], id="one came and one went"),
    pytest.param([war(1, "b")], id="its children went"),
    pytest.param([], id="nothing is listed"),
    pytest.param([war(1, "a", HIT, medals=3, aids=[{"who": "Fox"}])], id="new column and table"),
]


@pytest.mark.parametrize("wars", CASES)
@pytest.mark.parametrize("mode", MODES)
def test_the_newest_run_is_taken_back_with_all_that_came_with_it(
    at, undo, content, warehouse, mode, wars
):
    at(1, war(1, "a", HIT), war(2, "a", HIT), mode=mode)
    before, known = content(), warehouse.known("wars")
    at(2, *wars, mode=mode)

    told = undo("r2")

    assert content() == before
    assert warehouse.known("wars") == known
    assert warehouse.cursor("wars") == told.cursor == "at 1"


@pytest.mark.parametrize("mode", MODES)
def test_the_first_run_is_taken_back_and_its_tables_with_it(
    at, undo, content, warehouse, rows, mode
):
    at(1, war(1, "a", HIT), mode=mode)

    told = undo("r1")

    assert dict(told.removed) == {"wars": 1, "wars_hits": 1}
    assert set(told.steps) == {"- table wars", "- table wars_hits"}
    assert content() == {}
    assert warehouse.cursor("wars") is None
    at(2, war(1, "a", HIT), mode=mode)
    assert len(rows("wars")) == 1


def test_any_run_of_append_is_taken_back(at, undo, rows):
    for number in (1, 2, 3):
        at(number, war(number, "a", HIT), mode="append")

    assert dict(undo("r2").removed) == {"wars": 1, "wars_hits": 1}
    assert rows("wars", "_run_id") == ["r1", "r3"]
    assert rows("wars_hits", "_run_id") == ["r1", "r3"]


@pytest.mark.parametrize("mode", ["replace", "merge", "history"])
def test_an_older_run_is_refused_with_the_way_to_do_it(at, undo, content, mode):
    for number in (1, 2):
        at(number, war(1, str(number), HIT), mode=mode)
    before = content()

    with pytest.raises(DataRefused, match="r2 of wars has stored since") as refused:
        undo("r1")
    assert "tcdatalogger rebuild wars --without r1" in refused.value.remedy
    assert content() == before


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_what_a_run_replaced_is_kept_for_one_rollback_only(at, undo, content, mode):
    for number in (1, 2, 3):
        at(number, war(1, str(number), HIT), mode=mode)
    undo("r3")
    before = content()

    with pytest.raises(DataRefused, match="no longer kept") as refused:
        undo("r2")
    assert "--without r2" in refused.value.remedy
    assert content() == before


def test_versions_are_taken_back_one_run_after_the_other(at, undo, content):
    found = []
    for number in (1, 2, 3):
        at(number, war(1, str(number), HIT), mode="history")
        found.append(content())
    for number in (3, 2):
        undo(f"r{number}")
        assert content() == found[number - 2]


@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_was_taken_back_is_not_taken_back_again(at, undo, content, mode):
    at(1, war(1, "a", HIT), mode=mode)
    at(2, war(1, "b"), mode=mode)
    undo("r2")
    before = content()

    with pytest.raises(UsageError, match="rolled back already") as refused:
        undo("r2")
    assert "tcdatalogger replay r2" in refused.value.remedy
    with pytest.raises(UsageError, match="stored nothing"):
        undo("r9")
    assert content() == before


@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_was_taken_back_stays_so_when_it_is_retried_and_comes_back_when_it_is_replayed(
    at, undo, warehouse, content, mode
):
    at(1, war(1, "a", HIT), mode=mode)
    made = at(2, war(1, "b", OTHER), mode=mode)
    after = content()
    undo("r2")
    before = content()

    assert warehouse.commit(made).repeated
    assert content() == before
    warehouse.commit(replace(made, id="again", again=True))
    assert content() == after
    undo("r2")
    assert content() == before


@pytest.mark.parametrize("mode", ["replace", "merge", "history"])
def test_a_run_that_was_made_again_is_taken_back_to_what_was_before_it(
    at, undo, warehouse, content, mode
):
    at(1, war(1, "a", HIT), war(2, "a"), mode=mode)
    before = content()
    made = at(2, war(1, "b", OTHER), war(3, "c"), mode=mode)
    for number in range(2):
        warehouse.commit(replace(made, id=f"again-{number}", again=True))

    undo("r2")
    assert content() == before


def test_what_another_endpoint_merged_since_stays(load, warehouse, rows, undo):
    for number, (endpoint, tag) in enumerate([("a", "1"), ("a", "2"), ("b", "3")]):
        made = load(war(1, tag, HIT), war(number + 5, tag), mode="merge", of=TAG, table="wars",
                    endpoint=endpoint, run=f"r{number}", at=SERVED_AT + number)  # fmt: skip
        warehouse.commit(made)

    undo("r1", "a")

    assert rows("wars", "id", "tag") == [(1, "3"), (5, "1"), (7, "3")]
    assert rows("wars_hits", "war_id", "_run_id") == [(1, "r2")]


def test_a_column_that_others_have_built_on_stays(at, undo, rows):
    at(1, war(1, "a"), mode="append")
    at(2, war(2, "a", medals=3), mode="append")
    at(3, war(3, "a", medals=4, stars=1), mode="append")

    assert undo("r2").steps == ()
    assert rows("wars", "id", "medals") == [(1, None), (3, 4)]


@pytest.mark.parametrize("mode", MODES)
def test_the_versions_of_the_tables_go_on_and_say_why(at, undo, rows, mode):
    at(1, war(1, "a", HIT), mode=mode)
    at(2, war(1, "a", HIT, medals=3), mode=mode)
    undo("r2")

    told = partial(rows, "_tcd_schemas", where=lambda row: row["table_name"] == "wars")
    assert told("version", "cause", "run_id", "diff")[1:] == [
        (2, "drift", "r2", ["+ wars.medals int"]),
        (3, "rollback", "r2", ["- wars.medals int"]),
    ]
    assert rows("_tcd_drift") == []
    made = at(3, war(1, "a", HIT, medals=3), mode=mode)
    assert [found.column for found in made.drift][:1] == ["medals"]
    assert max(told("version")) == 4


def test_what_a_run_set_aside_goes_with_it(at, undo, rows):
    at(1, war(1, "a"), {"id": "seven"}, mode="append")
    at(2, war(1, "a"), {"id": "eight"}, mode="append")
    undo("r2")

    assert rows("_tcd_quarantine", "run_id") == ["r1"]


def test_after_a_rollback_the_same_answer_is_no_longer_taken_for_unchanged(at, undo, warehouse):
    at(1, war(1, "a"), mode="replace", digest="one")
    at(2, war(1, "b"), mode="replace", digest="two")
    assert warehouse.digest("wars") == "two"

    undo("r2")
    assert warehouse.digest("wars") == "one"


@pytest.mark.parametrize("mode", MODES)
def test_a_rollback_that_breaks_off_leaves_all_as_it_was(at, undo, content, monkeypatch, mode):
    from tcdatalogger.services.warehouse.ledger import Ledger  # noqa: PLC0415 - what is broken here

    at(1, war(1, "a", HIT), mode=mode)
    at(2, war(1, "b"), mode=mode)
    before = content()

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "forget_drift", killed)
    with pytest.raises(KeyboardInterrupt):
        undo("r2")
    assert content() == before


def test_a_stretch_that_was_taken_back_is_stored_when_it_is_read_once_more(
    at, undo, warehouse, load, rows
):
    made = replace(at(1, war(1, "a"), mode="append", stretch="back"), stretch="back")
    undo("r1")
    assert warehouse.stretches("wars") == []

    again = replace(load(war(1, "a"), of=TAG, run="r2"), id=made.id, stretch="back")
    for repeated in (False, True):
        assert warehouse.commit(again).repeated is repeated
    assert rows("wars", "_run_id") == ["r2"]
    assert warehouse.stretches("wars") == ["back"]


def test_what_was_replaced_before_the_mode_was_another_never_comes_back(at, undo, rows):
    at(1, war(1, "a"), mode="replace")
    at(2, war(1, "b"), mode="replace")
    at(3, war(2, "c"), mode="merge")
    at(4, war(3, "d"), mode="append")
    undo("r4")

    assert rows("wars", "id", "tag") == [(1, "b"), (2, "c")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("table", ["wars_2024", "w"])
def test_tables_of_a_name_that_the_endpoint_had_before_are_left_alone(at, undo, rows, mode, table):
    at(1, war(1, "a", HIT), mode="replace", table=table)
    at(2, war(1, "b", HIT), war(2, "c"), mode="replace", table=table)
    at(3, war(1, "d"), mode=mode)
    before = rows(table, "id", "tag", "_run_id")
    assert before == [(1, "b", "r2"), (2, "c", "r2")]
    at(4, war(1, "e"), mode=mode)
    undo("r4")

    assert rows(table, "id", "tag", "_run_id") == before
    assert len(rows(f"{table}_hits")) == 1
    assert rows("wars", "id", "tag") == [(1, "d")]


@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_what_was_kept_under_other_names_is_not_put_back(at, undo, content, warehouse, load, mode):
    at(1, war(1, tag="a"), mode=mode)
    at(2, war(1, tag="b"), mode=mode)
    other = load(of=TAG)
    family = renamed(other.family, {"tag": "label"})
    warehouse.reshape(replace(other, family=family, tables={}), accept=True)
    before = content()

    with pytest.raises(DataRefused, match="no longer kept") as refused:
        undo("r2")
    assert "rebuild wars --without r2" in refused.value.remedy
    assert content() == before
