"""`merge` and `history` over a root and its children, and what every mode does with a retry."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcdatalogger.errors import Busy, DataRefused, WarehouseUnavailable
from tcdatalogger.models.records import ignoring
from warehouses import holdings

SERVED_AT = 1_767_225_600.0
ME = 40832
MODES = ("append", "replace", "merge", "history")
KEPT = ("merge", "history")
HIT, OTHER = {"id": 7, "user": 158}, {"id": 8, "user": 159}


def minute(number):
    """The server's time so many minutes later."""
    return SERVED_AT + 60 * number


def moment(number):
    return datetime.fromtimestamp(minute(number), UTC)


@pytest.fixture
def at(load, warehouse):
    """Commit what was listed at a minute, as the whole list of the subject."""

    def at(number, *wars, mode, whole=True, **facts):
        words = ("of", "run", "subject", "endpoint", "table", "parameters", "telling")
        own = {word: facts.pop(word) for word in words if word in facts}
        made = load(*wars, mode=mode, at=minute(number), **own)
        made = replace(made, family=ignoring(made.family, facts.pop("ignored", ())))
        listed = {own.get("subject", ME): minute(number)} if whole else None
        read = facts.pop("read", True)
        return warehouse.commit(replace(made, listed=listed, whole=read, **facts))

    return at


@pytest.fixture
def wars(rows):
    """What the root holds: id, tag and by which run, and of a child whose it is and its id."""

    def wars():
        return (
            rows("wars", "id", "tag", "_run_id"),
            rows("wars_hits", "war_id", "hit_id", "_run_id"),
        )

    return wars


TAG = {"tag": "text"}


def war(number, tag=None, *hits):
    return {"id": number, "tag": tag, "hits": list(hits)}


def test_merge_inserts_what_is_new_and_updates_the_rest_with_its_children(at, wars):
    at(0, war(1, "a", HIT, OTHER), war(2, "b", HIT), mode="merge", of=TAG)
    receipt = at(1, war(1, "c", OTHER), war(3, "d", HIT), mode="merge", of=TAG)

    assert receipt.rows == {"wars": 2, "wars_hits": 2}
    assert wars() == (
        [(1, "c", "run-2"), (2, "b", "run-1"), (3, "d", "run-2")],
        [(1, 8, "run-2"), (2, 7, "run-1"), (3, 7, "run-2")],
    )


def test_merge_takes_the_children_of_a_parent_out_that_has_none_any_more(at, wars):
    at(0, war(1, "a", HIT), war(2, "b", HIT), mode="merge", of=TAG)
    at(1, war(1, "a"), mode="merge", of=TAG)

    assert wars()[1] == [(2, 7, "run-1")]


def test_merge_tells_the_records_of_two_subjects_apart(at, rows):
    at(0, war(1, "ours", HIT), mode="merge", of=TAG)
    at(1, war(1, "theirs", HIT), mode="merge", of=TAG, subject=9)
    at(2, war(1, "new", OTHER), mode="merge", of=TAG)

    assert rows("wars", "_subject_id", "tag") == [(9, "theirs"), (ME, "new")]
    assert rows("wars_hits", "_subject_id", "hit_id") == [(9, 7), (ME, 8)]


@pytest.mark.parametrize("mode", KEPT)
def test_an_older_state_never_takes_the_place_of_a_newer_one(at, wars, mode):
    at(5, war(1, "new", OTHER), mode=mode, of=TAG)
    before = wars()
    receipt = at(3, war(1, "old", HIT), war(2, "late"), mode=mode, of=TAG, whole=False)

    assert (receipt.rows["wars"], receipt.left_out) == (1, 1)
    assert [row for row in wars()[0] if row[0] == 1] == before[0]
    assert wars()[1] == before[1]


@pytest.mark.parametrize("mode", KEPT)
def test_a_child_that_left_the_family_goes_with_its_record(load, warehouse, rows, mode):
    for number in (0, 1):
        made = load(war(number, "a", HIT), mode=mode, of=TAG, at=minute(0))
        warehouse.commit(made)
    made = load(war(0, "b"), mode=mode, of=TAG, at=minute(1))
    family = replace(made.family, tables=made.family.tables[:1])

    warehouse.commit(replace(made, family=family, tables={"wars": made.tables["wars"]}))

    assert rows("wars_hits", "war_id", current=mode == "history") == [1]


@pytest.mark.parametrize("mode", KEPT)
def test_a_key_that_repeats_in_one_load_is_refused(load, warehouse, wars, mode):
    warehouse.commit(load(war(1, "a", HIT), mode=mode, of=TAG))
    before = wars()

    with pytest.raises(DataRefused, match=r"key of wars \(id\) repeats in 1 rows"):
        warehouse.commit(load(war(2, "b"), war(2, "c"), mode=mode, of=TAG, at=minute(1)))
    assert wars() == before


@pytest.mark.parametrize("mode", KEPT)
def test_what_has_no_key_is_refused_with_the_remedy(load, warehouse, mode):
    made = load(war(1, "a"), mode=mode, of=TAG)
    tables = [replace(table, key=("_index",)) for table in made.family.tables]

    with pytest.raises(DataRefused, match="no key") as refused:
        warehouse.commit(replace(made, family=replace(made.family, tables=tuple(tables))))
    assert "key =" in refused.value.remedy
    assert warehouse.known("wars") is None


@pytest.mark.parametrize("mode", KEPT)
def test_an_empty_load_changes_nothing(at, wars, mode):
    at(0, war(1, "a", HIT), mode=mode, of=TAG)
    before = wars()

    assert at(1, mode=mode, of=TAG, whole=False).unchanged
    assert wars() == before


@pytest.mark.parametrize("mode", KEPT)
def test_what_was_learned_beside_the_payload_is_kept_once_for_a_subject(
    warehouse, rows, beside, mode
):
    for number, note in enumerate(("a", "a", "b")):
        warehouse.commit(beside(note, mode=mode, run=f"r{number}", at=minute(number)))

    assert rows("wars_page", "note", current=mode == "history") == ["b"]
    if mode == "history":
        assert rows("wars_page", "note", order=["valid_from"]) == ["a", "b"]


# History


def versions(rows, table="wars", own=("id", "tag")):
    return rows(table, *own, "valid_from", "valid_to", "_run_id", order=[own[0], "valid_from"])


def test_history_writes_a_version_only_when_the_content_changed(at, rows):
    at(0, war(1, "a", HIT), war(2, "b"), mode="history", of=TAG)
    still = at(1, war(1, "a", HIT), war(2, "b"), mode="history", of=TAG)
    changed = at(2, war(1, "c", HIT), war(2, "b"), mode="history", of=TAG)

    assert (still.unchanged, still.left_out) == (True, 2)
    assert (changed.rows, changed.left_out) == ({"wars": 1, "wars_hits": 1}, 1)
    assert versions(rows) == [
        (1, "a", moment(0), moment(2), "run-1"),
        (1, "c", moment(2), None, "run-3"),
        (2, "b", moment(0), None, "run-1"),
    ]
    assert versions(rows, "wars_hits", ("war_id", "hit_id")) == [
        (1, 7, moment(0), moment(2), "run-1"),
        (1, 7, moment(2), None, "run-3"),
    ]


def test_a_version_keeps_the_value_that_an_ignored_column_had_when_it_began(at, rows):
    quiet = {"mode": "history", "of": TAG | {"rank": "int"}, "ignored": ["tag"]}
    at(0, {**war(1, "a", HIT), "rank": 1}, war(2, "a"), **quiet)
    still = at(1, {**war(1, "b", HIT), "rank": 1}, war(2, "b"), **quiet)
    at(2, {**war(1, "c", HIT), "rank": 2}, war(2, "c"), **quiet)

    assert (still.unchanged, still.left_out) == (True, 2)
    assert versions(rows, "wars", ("id", "tag", "rank")) == [
        (1, "a", 1, moment(0), moment(2), "run-1"),
        (1, "c", 2, moment(2), None, "run-3"),
        (2, "a", None, moment(0), None, "run-1"),
    ]
    assert rows("wars_hits", "tag") == ["a", "c"]  # the copies of a child are ignored with it


def test_an_ignored_column_of_a_child_is_that_of_its_table_alone(at, rows):
    quiet = {"mode": "history", "ignored": ["wars_hits.user"]}
    at(0, war(1, None, HIT), **quiet)
    still = at(1, war(1, None, {**HIT, "user": 9}), **quiet)
    other = at(2, war(1, None, {**HIT, "id": 9}), **quiet)

    assert (still.unchanged, other.unchanged) == (True, False)
    assert rows("wars_hits", "user") == [158, 158]


@pytest.mark.parametrize("mode", KEPT)
def test_a_parameter_in_the_key_tells_records_and_their_children_apart(at, rows, mode):
    one, two = ({"parameters": {"stat": s}, "telling": ["stat"], "mode": mode} for s in "ab")
    at(0, war(1, None, HIT), **one, whole=False)
    at(1, war(1, None, OTHER), **two, whole=False)
    at(2, war(1, None, {**HIT, "user": 9}), **one, whole=False)

    now = {"current": mode == "history"}
    assert rows("wars", "id", "_stat", "_run_id", **now) == [(1, "a", "run-3"), (1, "b", "run-2")]
    assert rows("wars_hits", "war_id", "_stat", "user", **now) == [(1, "a", 9), (1, "b", 159)]


def test_a_table_of_before_gets_the_column_of_a_parameter_and_no_version_by_it(at, rows):
    at(0, war(1, "a", HIT), mode="history", of=TAG)
    still = at(1, war(1, "a", HIT), mode="history", of=TAG, parameters={"cat": "all"})
    at(2, war(1, "b", HIT), mode="history", of=TAG, parameters={"cat": "all"})

    assert still.left_out == 1
    assert rows("wars", "tag", "_cat") == [("a", None), ("b", "all")]


def test_a_change_in_a_child_alone_is_a_new_version_of_the_whole_record(at, rows):
    at(0, war(1, "a", HIT, OTHER), mode="history", of=TAG)
    at(1, war(1, "a", OTHER), mode="history", of=TAG)

    assert [row[2:4] for row in versions(rows)] == [(moment(0), moment(1)), (moment(1), None)]
    assert rows("wars_hits", "hit_id", current=True) == [8]


def test_history_closes_what_a_whole_list_no_longer_has_and_opens_it_again(at, rows):
    at(0, war(1, "a", HIT), war(2, "b", HIT), mode="history", of=TAG)
    gone = at(1, war(2, "b", HIT), mode="history", of=TAG)
    assert not gone.unchanged
    at(2, war(1, "a", HIT), war(2, "b", HIT), mode="history", of=TAG)

    assert versions(rows) == [
        (1, "a", moment(0), moment(1), "run-1"),
        (1, "a", moment(2), None, "run-3"),
        (2, "b", moment(0), None, "run-1"),
    ]
    ends = rows("wars_hits", "valid_to", where=lambda row: row["war_id"] == 1)
    assert ends == [None, moment(1)]


def test_an_empty_list_closes_all_by_the_time_of_the_list(at, rows):
    at(0, war(1, "a", HIT), mode="history", of=TAG)
    at(4, mode="history", of=TAG)

    assert versions(rows) == [(1, "a", moment(0), moment(4), "run-1")]
    assert rows("wars_hits", "valid_to", "_closed_by") == [(moment(4), "run-2")]


def test_what_is_a_part_of_a_list_closes_nothing(at, rows):
    at(0, war(1, "a"), war(2, "b"), mode="history", of=TAG)
    at(1, war(1, "a"), mode="history", of=TAG, whole=False)
    at(2, war(1, "a"), mode="history", of=TAG, subject=9)

    assert rows("wars", "valid_to") == [None] * 3


def test_a_part_of_a_list_replaces_nothing(at, wars):
    at(0, {"id": 1, "tag": "a", "hits": [HIT]}, {"id": 2}, mode="replace")
    before = wars()

    with pytest.raises(DataRefused, match="was not read to its end"):
        at(1, {"id": 1}, mode="replace", read=False)

    assert wars() == before


def test_a_list_that_is_older_than_a_version_does_not_close_it(at, rows):
    at(5, war(1, "a"), mode="history", of=TAG)
    at(3, war(2, "b"), mode="history", of=TAG)

    assert rows("wars", "id", current=True) == [1, 2]


def test_two_versions_of_one_second_are_still_told_apart(at, rows):
    for tag in "abc":
        at(0, war(1, tag, HIT), mode="history", of=TAG)

    assert len(rows("wars", "valid_from")) == len(set(rows("wars", "valid_from"))) == 3
    assert rows("wars", "tag", current=True) == ["c"]
    assert len(rows("wars_hits", current=True)) == 1


def test_history_refuses_a_column_of_its_own_name(load, warehouse):
    made = load({"id": 1, "valid_to": 5}, of={"valid_to": "int"}, mode="history")

    with pytest.raises(DataRefused, match=r"wars\.valid_to") as refused:
        warehouse.commit(made)
    assert "storage_mode" in refused.value.remedy


@pytest.mark.parametrize(
    ("before", "after"), [("append", "history"), ("history", "merge"), ("history", "append")]
)
def test_versions_and_plain_rows_are_not_mixed(at, wars, before, after):
    at(0, war(1, "a", HIT), mode=before, of=TAG)
    stored = wars()

    with pytest.raises(DataRefused, match="wars holds") as refused:
        at(1, war(1, "b"), mode=after, of=TAG)
    assert "rebuild wars" in refused.value.remedy
    assert wars() == stored


# How much may vanish


@pytest.mark.parametrize("mode", ["replace", "history"])
@pytest.mark.parametrize("left", [0, 1])
def test_a_load_by_which_too_much_would_vanish_is_refused_and_the_old_rows_stay(
    at, wars, mode, left
):
    at(0, *(war(n, "a", HIT) for n in range(4)), mode=mode, of=TAG)
    before = wars()

    with pytest.raises(DataRefused, match=f"{4 - left} of its 4 records") as refused:
        at(1, *(war(n, "a") for n in range(left)), mode=mode, of=TAG, max_drop=0.5)
    assert "--set max_drop=1" in refused.value.remedy
    assert wars() == before
    at(1, *(war(n, "a") for n in range(left)), mode=mode, of=TAG, max_drop=1.0)
    at(2, *(war(n, "b") for n in range(9)), mode=mode, of=TAG, max_drop=0.5)


@pytest.mark.parametrize("mode", ["replace", "history"])
def test_half_may_vanish(at, rows, mode):
    at(0, *(war(n, "a") for n in range(4)), mode=mode, of=TAG)
    at(1, *(war(n, "a") for n in range(2)), mode=mode, of=TAG, max_drop=0.5)
    open_ends = rows("wars", "valid_to").count(None) if mode == "history" else len(rows("wars"))
    assert open_ends == 2


# Retries


@pytest.mark.parametrize("mode", MODES)
def test_a_load_that_is_tried_again_does_nothing(load, warehouse, wars, mode):
    first = load(war(1, "a", HIT), mode=mode, of=TAG)
    second = load(war(1, "b", OTHER), mode=mode, of=TAG, at=minute(1))
    for made in (first, second):
        warehouse.commit(made)
    before = wars()

    for made in (first, second):
        assert warehouse.commit(made).repeated
        assert wars() == before


@pytest.mark.parametrize("mode", MODES)
def test_a_load_that_fails_leaves_all_as_it_was_and_can_be_tried_again(
    load, warehouse, wars, picture, spoil, mode
):
    warehouse.commit(load(war(1, "a", HIT), mode=mode, of=TAG))
    before = picture()
    good = load(war(1, "b", OTHER), mode=mode, of=TAG, at=minute(1))

    with pytest.raises(DataRefused):
        warehouse.commit(spoil(good))
    assert picture() == before
    assert not warehouse.commit(good).repeated
    assert (1, "b", "run-2") in wars()[0]


@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_is_made_again_takes_the_place_of_what_it_stored(load, warehouse, rows, mode):
    warehouse.commit(load(war(1, "a", HIT), war(2, "b", HIT), mode=mode, of=TAG))
    made = load(war(1, "x", OTHER), war(2, "b", HIT), mode=mode, of=TAG, at=minute(1), run="r")
    warehouse.commit(made)
    names = "wars", "wars_hits"
    before = [rows(name) for name in names]

    for number in range(2):
        again = replace(made, id=f"again-{number}", again=True)
        assert not warehouse.commit(again).repeated
        assert [rows(name) for name in names] == before


@pytest.mark.parametrize("mode", MODES)
def test_a_fence_that_raises_leaves_nothing(load, warehouse, wars, mode):
    warehouse.commit(load(war(1, "a", HIT), mode=mode, of=TAG))
    before = wars()

    def fence():
        raise Busy("Another has it.")

    made = load(war(1, "b", OTHER), mode=mode, of=TAG, at=minute(1))
    with pytest.raises(Busy):
        warehouse.commit(replace(made, fence=fence))
    assert wars() == before
    assert not warehouse.commit(made).repeated


@pytest.mark.parametrize("mode", MODES)
def test_a_run_whose_claim_was_passed_on_stores_nothing(load, warehouse, wars, mode):
    early = replace(load(war(1, "early"), mode=mode, of=TAG), token=1)
    late = replace(load(war(1, "late", HIT), mode=mode, of=TAG, at=minute(1)), token=2)
    warehouse.commit(late)
    before = wars()

    with pytest.raises(Busy, match="lost its claim"):
        warehouse.commit(early)
    assert wars() == before


@pytest.mark.parametrize("mode", MODES)
def test_loads_that_are_committed_at_once_are_each_whole_and_none_is_lost(
    store, load, warehouse, rows, mode
):
    made = [
        load(*(war(n, str(number), HIT) for n in range(30)), mode=mode, of=TAG, at=minute(number))
        for number in range(2)
    ]
    warehouse.close()

    def commit(one):
        for _ in range(1000):
            with store.open() as opened, suppress(WarehouseUnavailable):
                return opened.commit(one)
        raise AssertionError

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(commit, made))

    per_run = Counter(rows("wars", "_run_id"))
    assert set(per_run.values()) == {30}
    assert Counter(rows("wars_hits", "_run_id")) == per_run
    # An older one that came later has nothing to say.
    assert len(warehouse.loads()) == 2 or mode in KEPT


# Against a slow model


class Model:
    """What each mode holds, in dictionaries: {id: [(content, from, to)]} or the like."""

    def __init__(self, mode):
        self.mode = mode
        self.rows = []
        self.versions = {}

    def load(self, number, wars, *, whole):
        content = {one["id"]: (one["tag"], *(hit["id"] for hit in one["hits"])) for one in wars}
        if self.mode == "replace":
            self.rows = list(content.items())
        elif self.mode == "append":
            self.rows += content.items()
        elif self.mode == "merge":
            for key, value in content.items():
                if key not in self.versions or self.versions[key][1] <= number:
                    self.versions[key] = (value, number)
            self.rows = [(key, value) for key, (value, _) in self.versions.items()]
        else:
            self._history(number, content, whole=whole)

    def _history(self, number, content, *, whole):
        for key, value in content.items():
            known = self.versions.setdefault(key, [])
            if not known:
                known.append([value, number, None])
                continue
            last = known[-1]
            if last[2] is None:
                if number >= last[1] and last[0] != value:
                    last[2] = number
                    known.append([value, number, None])
            elif number >= last[2]:
                known.append([value, number, None])
        for key, known in self.versions.items():
            last = known[-1]
            if whole and key not in content and last[2] is None and last[1] <= number:
                last[2] = number
        self.rows = [
            (key, (*value, begun, ended))
            for key, known in self.versions.items()
            for value, begun, ended in known
        ]


HITS = st.lists(st.sampled_from([HIT, OTHER]), unique_by=lambda hit: hit["id"], max_size=2)
WARS = st.lists(
    st.builds(lambda n, tag, hits: war(n, tag, *hits), st.integers(1, 3), st.sampled_from("ab"),
              HITS),
    unique_by=lambda one: one["id"], max_size=3,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    loads=st.lists(st.tuples(st.integers(0, 9), WARS, st.booleans()), max_size=6,
                   unique_by=lambda one: one[0]),
    again=st.integers(0, 5),
)  # fmt: skip
def test_any_sequence_of_loads_comes_out_as_in_a_slow_model(new_store, maker, mode, loads, again):
    model = Model(mode)
    with new_store().open() as warehouse:
        load = maker(lambda: warehouse)
        for number, wars, whole in loads:
            model.load(number, wars, whole=whole)
            made = load(*wars, mode=mode, of=TAG, at=minute(number))
            made = replace(made, listed={ME: minute(number)} if whole else None)
            warehouse.commit(made)
            if again == number and mode != "history":
                warehouse.commit(made)
        if not loads:
            return
        assert held(warehouse, mode) == Counter(model.rows)


def held(warehouse, mode):
    """What the tables hold, as the model says it."""
    same = ("_run_id", "valid_from") if mode == "history" else ("_run_id",)
    hits = {}
    for hit in holdings.rows(warehouse, "wars_hits", order=["_index"]):
        hits.setdefault((hit["war_id"], *(hit[name] for name in same)), []).append(hit["hit_id"])
    found = Counter()
    for row in holdings.rows(warehouse, "wars"):
        own = hits.get((row["id"], *(row[name] for name in same)), [])
        times = (
            [minutes(row[name]) for name in ("valid_from", "valid_to")] if mode == "history" else []
        )
        found[row["id"], (row["tag"], *own, *times)] += 1
    return found


def minutes(moment):
    return None if moment is None else round((moment.timestamp() - SERVED_AT) / 60)
