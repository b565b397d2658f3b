"""Odd records through the whole program: one that does not fit never costs another one."""

from __future__ import annotations

import json

import pytest

MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
CRIMES = '[[endpoints]]\nname = "crimes"\npath = "/faction/crimes"\n'
LONG = 2**53 + 1
LISTS = ["append", "merge", "history"]
ORDERS = pytest.mark.parametrize("order", [1, -1], ids=["odd last", "odd first"])


@pytest.fixture
def place(workplace):
    workplace.key = workplace.city.keys["full"]
    return workplace


def run(place, name="members"):
    place.clock.sleep(60)
    done = place.run("run", name, "--json")
    return done.code, done.json[0]


def members(**scores):
    """Members of these numbers; each score as it is written."""
    records = (f'{{"id":{name[1:]},"score":{text}}}' for name, text in scores.items())
    return f'{{"members":[{",".join(records)}]}}'.encode()


def scores(place):
    rows = place.sql("select id, score from members order by id, rowid")
    return [(row["id"], row["score"]) for row in rows]


def set_aside(place):
    return [line["record"] for line in place.sql("select record from _tcd_quarantine order by 1")]


@pytest.mark.parametrize("mode", LISTS)
def test_a_decimal_beside_stored_integers_that_no_float_holds_is_set_aside_alone(place, says, mode):
    place.write(f'{MEMBERS}storage_mode = "{mode}"\nmax_drop = 1.0\n')
    says("/faction/members", members(_1=LONG), members(_2="0.5", _3=3, _4="12.0"))

    assert run(place)[0] == 0
    code, told = run(place)

    assert (code, told["quarantined"]) == (0, 1)
    assert scores(place) == [(1, LONG), (3, 3), (4, 12)]
    assert set_aside(place) == ['{"id":2,"score":0.5}']
    assert run(place)[0] == 0  # and so it goes on
    assert {score for _, score in scores(place)} == {LONG, 3, 12}


@pytest.mark.parametrize("mode", LISTS)
def test_an_integer_that_no_float_holds_is_set_aside_alone_where_decimals_are_stored(
    place, says, mode
):
    place.write(f'{MEMBERS}storage_mode = "{mode}"\nmax_drop = 1.0\n')
    says("/faction/members", members(_1="0.5"), members(_2=LONG, _3="7"))

    assert [run(place)[0] for _ in range(2)] == [0, 0]

    assert scores(place) == [(1, 0.5), (3, 7.0)]
    assert set_aside(place) == [f'{{"id":2,"score":{LONG}}}']


@ORDERS
def test_in_one_run_it_does_not_matter_which_comes_first(place, says, order):
    place.write(MEMBERS)
    both = {"_1": LONG, "_2": "0.5"}
    says("/faction/members", members(**dict(list(both.items())[::order]), _3="3"))

    assert run(place)[0] == 0

    assert scores(place) == [(1, LONG), (3, 3)]
    assert set_aside(place) == ['{"id":2,"score":0.5}']


def test_a_replace_takes_decimals_whatever_it_held_before(place, says):
    place.write(f'{MEMBERS}storage_mode = "replace"\n')
    says("/faction/members", members(_1=LONG), members(_1="0.5"))

    assert [run(place)[0] for _ in range(2)] == [0, 0]

    assert scores(place) == [(1, 0.5)]
    assert set_aside(place) == []


def test_one_unfit_record_is_one_line_however_many_walks_brought_it(place, says):
    place.write(f"{CRIMES}incremental = true\n")
    crime = {"id": 9, "name": "Pet Project", "difficulty": 1, "status": "Planning"}
    odd = {**crime, "id": 10, "difficulty": "hard"}
    says("/faction/crimes", {"crimes": [crime, odd, odd]})

    code, told = run(place, "crimes")

    assert code == 0
    assert told["pages"] == 3
    assert told["quarantined"] == 2  # a page that has it twice has two of them
    assert [json.loads(record)["id"] for record in set_aside(place)] == [10, 10]


def test_an_object_without_members_is_an_empty_list(place, says):
    place.write(f"{MEMBERS}\n{CRIMES}")
    says("/faction/members", b'{"members":{}}')
    says("/faction/crimes", {"crimes": [{"id": 9, "slots": {}, "rewards": []}]})

    assert run(place)[1]["rows"] == {"members": 0}
    code, told = run(place, "crimes")

    assert (code, told["quarantined"]) == (0, 0)
    assert told["rows"] == {"crimes": 1, "crimes_slots": 0, "crimes_rewards_items": 0}


def test_a_long_name_is_shortened_the_same_way_everywhere(place, says):
    place.write(MEMBERS)
    names = [f"{'very_long' * 30}_{end}" for end in ("one", "two")]
    body = {"members": [{"id": 1, names[0]: 1, names[1]: 2, f"{names[0]}s": [{names[1]: 3}]}]}
    says("/faction/members", body, body)
    file = place.folder / "body.json"
    file.write_text(json.dumps(body))

    assert run(place)[1]["drift"] == 3
    assert run(place)[1]["drift"] == 0
    done = place.run("transform", "/faction/members", str(file), "--to", "out", "--json")

    assert done.code == 0
    columns = [row["column_name"] for row in place.sql("describe members")]
    long = [name for name in columns if name.startswith("very_long")]
    assert sorted(map(len, long)) == [128, 128]
    assert len(set(long)) == 2
    stored = {row["name"] for row in place.sql("show tables")}
    (child,) = {name for name in stored if not name.startswith("_tcd_")} - {"members"}
    assert len(child) == 128
    files = {file.stem for file in (place.folder / "out").glob("*.parquet")}
    assert sorted(map(len, files)) == [len("faction_members"), 128]


def test_a_record_that_fails_a_check_is_found_by_its_id_however_that_is_written(place, says):
    rule = '{ column = "level", max = 100, on_failure = "quarantine" }'
    place.write(f"{MEMBERS}checks = [{rule}]\n")
    says("/faction/members", b'{"members":[{"id":5.0,"level":101},{"id":6,"level":1e2}]}')

    assert run(place)[0] == 0

    assert place.sql("select id, level from members") == [{"id": 6, "level": 100}]
    assert set_aside(place) == ['{"id":5.0,"level":101}']


@pytest.mark.parametrize("value", [1, {"a": 1}], ids=["values", "objects"])
def test_more_unknown_fields_than_a_table_takes_set_their_record_aside_with_a_clear_word(
    place, says, value
):
    place.write(MEMBERS)
    many = {f"field_{number}": value for number in range(1_001)}
    says("/faction/members", {"members": [{"id": 1, **many}, {"id": 2, "mood": 1}, {"id": 3}]})

    code, told = run(place)

    assert (code, told["quarantined"], told["drift"]) == (0, 1, 1)
    assert [row["id"] for row in place.sql("select id from members order by id")] == [2, 3]
    reason = place.value("select reason from _tcd_quarantine")
    assert reason.endswith("no more than 1,000 such fields are learned for an endpoint")


def test_fields_are_learned_over_all_runs_up_to_that_number(place, says):
    place.write(MEMBERS)
    bodies = [
        {"members": [{"id": page, **{f"p{page}_{number}": number for number in range(600)}}]}
        for page in (1, 2)
    ]
    says("/faction/members", *bodies)

    told = [run(place)[1] for _ in range(2)]

    assert [(one["drift"], one["quarantined"]) for one in told] == [(600, 0), (0, 1)]
    assert [row["id"] for row in place.sql("select id from members")] == [1]


def test_of_many_unknown_lists_those_past_the_fiftieth_stay_json(place, says):
    place.write(MEMBERS)
    lists = {f"list_{number}": [number] for number in range(60)}
    says("/faction/members", {"members": [{"id": 1, **lists}]})

    code, told = run(place)

    assert (code, told["quarantined"]) == (0, 0)
    assert len(told["rows"]) == 51
    assert place.value("select list_59::varchar from members") == "[59]"
