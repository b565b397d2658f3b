"""The four storage modes from the configuration to the tables, and back from the archive."""

from __future__ import annotations

import duckdb
import pytest

from bodies import member
from shared import rest_slow
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.operations.replay import rebuild, replay
from tcdatalogger.errors import ConfigError, DataRefused, WarehouseUnavailable
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse

MODES = ("append", "replace", "merge", "history")
MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
CRIMES = '[[endpoints]]\nname = "crimes"\npath = "/faction/crimes"\n'


ANSWERS = [
    [member(1), member(2), member(3)],
    [member(1, position="Leader"), member(2), member(3)],
    [member(1, position="Leader"), member(3)],
    [member(1), member(2), member(3), member(4)],
]


@pytest.fixture
def place(workplace, says, city, monkeypatch):
    """A faction of which every run, a minute after the last, is told something else."""
    start, later = city.now(), []

    def write(mode, *, words="", path=MEMBERS):
        workplace.write(f'{path}storage_mode = "{mode}"\n{words}\n')

    def log(*overrides, name="members", answers=ANSWERS):
        said = answers[min(len(later), len(answers) - 1)]
        says("/faction/members", {"members": said} if isinstance(said, list) else said)
        later.append(said)
        monkeypatch.setattr(city.city.clock, "now", lambda: start + 60 * len(later))
        workplace.clock.sleep(60)
        return workplace.__class__.log(workplace, name, *overrides)

    workplace.write_mode, workplace.log = write, log
    return workplace


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.slow
def test_what_is_made_again_from_the_archive_is_what_was_there(place, mode):
    place.write_mode(mode)
    runs = [place.log().record for _ in ANSWERS]
    assert {run.status for run in runs} == {"done"}
    before = place.tables()

    place.again(rebuild, "members")
    assert place.tables() == before
    for run in runs:
        if mode != "replace" or run == runs[-1]:
            place.again(replay, run.run_id)
            assert place.tables() == before
    place.warehouse.unlink()
    place.again(rebuild, "members")
    assert place.tables() == before


def test_history_knows_who_came_went_and_changed(place):
    place.write_mode("history")
    for _ in ANSWERS:
        place.log()

    start = place.sql("select min(valid_from) as t from members")[0]["t"]
    found = place.sql("select id, position, valid_from, valid_to from members order by 1, 3")

    def minutes(moment):
        return None if moment is None else round((moment - start).total_seconds() / 60)

    told = [
        (r["id"], r["position"], minutes(r["valid_from"]), minutes(r["valid_to"])) for r in found
    ]
    assert told == [
        (1, "Member", 0, 1), (1, "Leader", 1, 3), (1, "Member", 3, None),
        (2, "Member", 0, 2), (2, "Member", 3, None), (3, "Member", 0, None),
        (4, "Member", 3, None),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", rest_slow(MODES[::-1], 2))
def test_a_record_with_a_null_in_its_key_is_set_aside_in_every_mode(place, mode):
    lacking = {key: value for key, value in member(3).items() if key != "id"}
    answers = [
        [member(1), member(2) | {"id": None}, lacking],
        [member(1), member(2), member(3)],
        [member(1), member(2) | {"id": None}, member(3)],
    ]
    place.write_mode(mode)
    runs = [place.log(answers=answers).record for _ in answers]

    assert [(run.status, run.quarantined) for run in runs] == [
        ("done", 2),
        ("done", 0),
        ("done", 1),
    ]
    assert place.value("select count(*) from members where id is null") == 0
    ids = [row["id"] for row in place.sql("select id from members order by 1")]
    kept = {"append": [1, 1, 1, 2, 3, 3], "replace": [1, 3], "merge": [1, 2, 3]}
    assert ids == kept.get(mode, [1, 2, 3])
    if mode == "history":  # that it was set aside is no sign that it is gone
        assert place.value("select count(*) from members where valid_to is not null") == 0
    aside = place.sql("from _tcd_quarantine order by run_id, path")
    assert {line["reason"] for line in aside} == {"the key of the record is null"}
    assert {line["path"] for line in aside} == {"members[1].id", "members[2].id"}
    assert "n3" in aside[1]["record"]
    before = place.tables()
    if mode != "replace":
        place.again(rebuild, "members")
        assert place.tables() == before


@pytest.mark.parametrize("mode", ["merge", "history"])
def test_a_record_of_a_map_that_has_but_the_maps_key_is_set_aside_where_it_needs_its_own(
    place, mode
):
    lacking = {key: value for key, value in member(3).items() if key != "id"}
    answers = [{"members": {"1": member(1), "3": lacking}}]
    place.write_mode(mode)

    run = place.log(answers=answers).record

    assert (run.status, run.rows, run.quarantined) == ("done", {"members": 1}, 1)
    assert place.sql("select id, _key from members") == [{"id": 1, "_key": "1"}]


@pytest.mark.parametrize("mode", ["merge", "history"])
def test_a_null_in_a_key_of_ones_own_sets_the_record_aside(place, mode):
    answers = [[member(1), member(2) | {"name": None}]]
    place.write_mode(mode, words='key = ["name", "id"]')

    run = place.log(answers=answers).record

    assert (run.status, run.rows, run.quarantined) == ("done", {"members": 1}, 1)


@pytest.mark.parametrize("mode", rest_slow(MODES[::-1], 2))
@pytest.mark.parametrize("path", ["/torn/calendar", "/torn/timestamp"])
def test_a_null_subject_is_a_value_and_one_record_in_every_mode(place, path, mode):
    place.write(f'[[endpoints]]\nname = "a"\npath = "{path}"\nstorage_mode = "{mode}"\n')
    runs = [place.log(name="a").record for _ in range(2)]

    assert {run.status for run in runs} == {"done"}
    rows = place.sql("from a")
    assert {row["_subject_id"] for row in rows} <= {None}
    current = [row for row in rows if row.get("valid_to") is None]
    assert len(current) == (2 if mode == "append" else 1)


FACTION = {"id": 5, "name": "n", "tag": "t", "position": "p", "days_in_faction": 1,
           "tag_image": "u"}  # fmt: skip


@pytest.mark.parametrize("mode", rest_slow(MODES[::-1], 2))
def test_one_object_that_may_be_null_is_told_by_whom_it_is_about(place, says, mode):
    """That a player has no faction is a state of his, and no lack of a key."""
    place.write(f'[[endpoints]]\nname = "mine"\npath = "/user/faction"\nstorage_mode = "{mode}"\n')
    for given in (FACTION, None, None, FACTION | {"id": 6}):
        says("/user/faction", {"faction": given})
        run = place.log(name="mine").record
        assert (run.status, run.quarantined) == ("done", 0)

    ids = [row["id"] for row in place.sql("select id from mine order by server_timestamp")]
    found = {"append": [5, None, None, 6], "history": [5, None, 6]}
    assert ids == found.get(mode, [6])


OWN_NAMES = [
    # extra fields of each member and of its list, names of the user's own, what becomes of them
    ({"valid_from": 5, "valid_to": "x", "_closed_by": "me"}, "",
     {"member_valid_from": 5, "member_valid_to": "x", "member_closed_by": "me"}),
    ({"validTo": 5, "member_valid_to": 6}, "", {"member_member_valid_to": 5, "member_valid_to": 6}),
    ({"valid_to": 5}, 'columns = { valid_to = "until" }', {"until": 5}),
    ({}, 'columns = { level = "valid_from", position = "valid_to" }',
     {"member_valid_from": 7, "member_valid_to": "Member"}),
    ({"valid_to": 5}, 'columns = { level = "valid_to", valid_to = "level" }',
     {"member_valid_to": 7, "level": 5}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "words", "columns"), rest_slow(OWN_NAMES, 2))
def test_history_names_its_own_columns_around_whatever_has_their_names(
    place, fields, words, columns
):
    answers = [[member(1) | fields], [member(1) | fields | {"name": "new"}]]
    place.write_mode("history", words=words)
    runs = [place.log(answers=answers).record for _ in range(3)]

    assert [(run.status, run.rows) for run in runs] == [
        ("done", {"members": 1}), ("done", {"members": 1}), ("done", {"members": 0})
    ]  # fmt: skip
    found = place.sql("from members order by valid_from")
    assert [(row["name"], row["valid_to"], row["_closed_by"]) for row in found] == [
        ("n1", found[1]["valid_from"], runs[1].run_id), ("new", None, None)
    ]  # fmt: skip
    for row in found:
        assert {name: row[name] for name in columns} == columns
    assert place.run("check", "--offline").code == 0
    before = place.tables()
    place.again(rebuild, "members")
    assert place.tables() == before


def test_history_names_its_columns_around_those_of_a_list_and_of_its_parent(place):
    crews = [{"valid_to": 9, "id": 3}]
    answers = [[member(1) | {"valid_to": 5, "crews": crews}]]
    place.write_mode("history")
    for _ in range(2):
        assert place.log(answers=answers).record.status == "done"

    [row] = place.sql("from members_crews")
    wanted = {"crew_valid_to": 9, "member_valid_to": 5, "crew_id": 3, "valid_to": None}
    assert {name: row[name] for name in wanted} == wanted


@pytest.mark.parametrize("spoilt", ["a member is odd", "it was cut"])
def test_what_was_not_listed_for_another_reason_is_not_closed(place, spoilt):
    odd = [member(1), member(2) | {"level": "seven"}]
    answers = [ANSWERS[0], odd if spoilt == "a member is odd" else ANSWERS[0]]
    place.write_mode("history")
    place.log(answers=answers)
    place.log(answers=answers)

    assert place.value("select count(*) from members where valid_to is not null") == 0


@pytest.mark.parametrize("mode", ["replace", "history"])
def test_a_list_that_lost_most_of_its_records_is_refused_until_somebody_says_so(place, mode):
    answers = [ANSWERS[0], [], [member(1)], [member(1)]]
    place.write_mode(mode)
    place.log(answers=answers)
    before = place.tables()

    for lost in (3, 2):
        outcome = place.log(answers=answers)
        assert isinstance(outcome.error, DataRefused)
        assert f"{lost} of its 3 records" in outcome.record.error
        assert "--set max_drop=1" in outcome.record.remedy
        assert place.tables() == before
    assert place.log("max_drop=1", answers=answers).record.status == "done"
    current = "where valid_to is null" if mode == "history" else ""
    assert place.sql(f"select id from members {current}") == [{"id": 1}]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["merge", "history"])
def test_a_rebuild_without_a_run_is_as_if_it_had_never_been(place, mode):
    place.write_mode(mode)
    runs = [place.log().record.run_id for _ in ANSWERS]
    place.again(rebuild, "members", without=[runs[1]])

    assert place.value(f"select count(*) from members where _run_id = '{runs[1]}'") == 0
    assert place.value("select count(*) from members where position = 'Leader'") == (
        1 if mode == "history" else 0
    )
    place.again(rebuild, "members")
    before = place.tables()
    place.warehouse.unlink()
    place.again(rebuild, "members")
    assert place.tables() == before


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["append", "merge", "history"])
def test_crimes_by_time_are_the_same_when_they_are_made_again(settle, mode):
    place = settle(f'{CRIMES}storage_mode = "{mode}"\n', history=10 * 86_400)
    for _ in range(4):
        place.later(6 * 3_600)
        record = place.log("crimes").record
        assert record.status == "done", record.error
    before = place.tables()
    if mode == "merge":
        assert place.value("select count(*) - count(distinct id) from crimes") == 0
    if mode == "history":
        assert place.value("select count(*) from crimes where valid_to is not null") > 0

    place.warehouse.unlink()
    place.again(rebuild, "crimes")
    assert place.tables() == before


@pytest.mark.parametrize("mode", ["merge", "history"])
def test_an_endpoint_without_a_key_is_told_how_to_give_it_one(workplace, mode):
    endpoint = f'[[endpoints]]\nname = "a"\npath = "/faction/positions"\nstorage_mode = "{mode}"\n'
    workplace.write(endpoint)

    with (
        pytest.raises(ConfigError, match=f"{mode} needs a key") as refused,
        workplace.application(),
    ):
        pass
    assert 'key = ["' in str(refused.value)
    workplace.write(f'{endpoint}key = ["name"]\n')
    with workplace.application():
        pass


@pytest.mark.parametrize(("one", "other", "fine"), [
    ("merge", "merge", True), ("append", "append", True), ("merge", "append", False),
    ("history", "history", False),
])  # fmt: skip
def test_two_endpoints_share_a_table_where_neither_wipes_the_other(workplace, one, other, fine):
    workplace.write(
        f'{MEMBERS}storage_mode = "{one}"\n'
        f'{MEMBERS.replace("members", "others", 1)}table = "members"\nstorage_mode = "{other}"\n'
    )
    if fine:
        with workplace.application():
            return
    with pytest.raises(ConfigError, match="Let both append or both merge"), workplace.application():
        pass


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["merge", "history", "replace"])
def test_runs_are_made_again_in_the_order_of_torns_clock_though_ours_jumped_back(place, mode):
    place.write_mode(mode)
    runs = [place.log().record.run_id for _ in ANSWERS[:2]]
    place.clock = ManualClock(place.clock.now() - 7_200)
    runs += [place.log().record.run_id for _ in ANSWERS[2:]]
    assert runs[2] < runs[0]
    before = place.tables()

    place.again(rebuild, "members")
    assert place.tables() == before
    if mode == "replace":
        with pytest.raises(DataRefused, match="hold the later run"):
            place.again(replay, runs[1])
    else:
        place.again(replay, runs[1])
    assert place.tables() == before
    place.warehouse.unlink()
    place.again(rebuild, "members")
    assert place.tables() == before


# Rows that a run refused

SHORT = [ANSWERS[0], [member(1)]]
ODD = [ANSWERS[0], [member(1) | {"level": 900}, member(2), member(3)]]
NEW = [ANSWERS[0], [member(1) | {"shoe_size": 44}, member(2), member(3)]]
LEVELS = 'checks = [{ column = "level", max = 100 }]'


def forget(place, what):
    """Lose what is not the archive."""
    if what in {"the state", "both"}:
        for file in place.folder.glob("torn.state.sqlite*"):
            file.unlink()
    if what in {"the warehouse", "both"}:
        place.warehouse.unlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "words", "answers", "accepts", "lost"),
    [
        ("replace", "", SHORT, (), "nothing"),
        ("replace", "", SHORT, (), "both"),
        ("history", "", SHORT, (), "the state"),
        ("history", "", SHORT, (), "both"),
        ("append", LEVELS, ODD, ("checks=[]",), "the warehouse"),
        ("append", 'contract = "freeze"', NEW, ("contract=evolve",), "both"),
        ("merge", LEVELS, ODD, None, "nothing"),
    ],
)
def test_what_a_run_refused_stays_out_of_every_rebuild_until_it_is_named(
    place, mode, words, answers, accepts, lost
):
    place.write_mode(mode, words=words)
    place.log(answers=answers)
    before = place.tables()
    refused = place.log(answers=answers).record
    assert (refused.status, refused.exit_code) == ("failed", 65)

    forget(place, lost)
    for overrides in ((), accepts or ()):
        made = place.again(rebuild, "members", overrides=overrides)
        assert place.tables() == before
        if mode != "replace":
            assert "refused" in {one.run_id: one.why for one in made}[refused.run_id]
    with pytest.raises(DataRefused, match="were refused") as told:
        place.again(replay, refused.run_id, overrides=accepts or ())
    assert f"replay {refused.run_id} --with {refused.run_id}" in told.value.remedy
    assert place.tables() == before

    if accepts is None:  # the check of today holds for it too
        with pytest.raises(DataRefused, match="cannot be made again"):
            place.again(rebuild, "members", taken=[refused.run_id])
        assert place.tables() == before
        return
    place.again(rebuild, "members", taken=[refused.run_id], overrides=accepts)
    after = place.tables()
    assert after != before
    place.again(rebuild, "members", overrides=accepts)
    assert place.tables() == after
    forget(place, "both")
    place.again(rebuild, "members", overrides=accepts)
    assert place.tables() == after


@pytest.mark.parametrize("mode", ["replace", "history"])
def test_what_is_pending_is_held_to_the_same_rules_by_a_rebuild(place, mode, monkeypatch):
    place.write_mode(mode)
    place.log(answers=SHORT)
    before = place.tables()
    with duckdb.connect(str(place.warehouse)), monkeypatch.context() as patch:
        patch.setattr(DuckDBWarehouse, "_connection", property(unavailable))
        unstored = place.log(answers=SHORT).record
    assert unstored.status == "pending"

    for _ in range(2):
        place.again(rebuild, "members")
        assert place.tables() == before
    with place.application() as application:
        [run] = application.state.runs(run_id=unstored.run_id)
    assert (run.status, run.error_class) == ("failed", "CheckFailed")


def unavailable(_warehouse):
    raise WarehouseUnavailable("Somebody else has it.")


def test_a_refused_run_that_a_later_one_took_the_place_of_is_not_taken_in_without_a_word(place):
    answers = [ANSWERS[0], [], ANSWERS[1]]
    place.write_mode("replace")
    place.log(answers=answers)
    refused = place.log(answers=answers).record.run_id
    newest = place.log(answers=answers).record.run_id

    with pytest.raises(DataRefused, match=f"{newest} of members is later than {refused}"):
        place.again(rebuild, "members", taken=[refused])


def test_a_run_whose_rows_no_table_took_is_no_refused_one_and_a_rebuild_stores_it(place):
    place.write_mode("append")
    place.log()
    place.write_mode("merge")
    failed = place.log().record
    assert (failed.status, failed.exit_code) == ("failed", 65)

    place.again(rebuild, "members")

    assert place.value("select count(*) from members where position = 'Leader'") == 1
    with place.application() as application:
        assert [run.status for run in application.state.runs()] == ["done", "done"]


def test_a_pruned_archive_keeps_no_mark_of_what_is_gone(place):
    place.write_mode("replace")
    for _ in range(2):
        place.log(answers=[ANSWERS[0], []])
    assert len(list((place.folder / "archive").rglob("*.refused"))) == 1

    with place.application() as application:
        assert len(application.archive.everything()) == 3  # a backup takes it along
        application.archive.prune("members", place.clock.now() + 3 * 86_400)

    assert list((place.folder / "archive" / "members").iterdir()) == []
