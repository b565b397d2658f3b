"""`tcdatalogger transform`: bodies from files become tables, and nothing of them is lost."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bodies import member
from tcdatalogger.services.torncity.catalog import catalog

CATALOG = catalog.load()
PATHS = [e.path for e in CATALOG.endpoints if not e.route and e.content == "json"]
ROUTES = [e.path for e in CATALOG.endpoints if e.route]

GOOD = member(position="Leader", is_in_oc=None)


ODD = [
    GOOD,
    {**GOOD, "id": 2, "mood": "sunny", "pets": [{"kind": "owl", "age": 3}]},  # unknown fields
    {**GOOD, "id": 3, "last_action": None},  # a null object
    {**GOOD, "id": 4, "level": "12"},  # a number as text
    {name: value for name, value in GOOD.items() if name != "revive_setting"} | {"id": 5},
    {**GOOD, "id": 6, "name": 1312},  # a text that is sent as a number
]


@pytest.fixture
def transform(workplace):
    def transform(path, *bodies, as_json=True):
        files = []
        for number, body in enumerate(bodies):
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            files.append(workplace.folder / f"body{number}.json")
            files[-1].write_bytes(text)
        workplace.key = None
        words = [str(file) for file in files]
        flags = ["--json"] if as_json else []
        done = workplace.run("transform", path, *words, "--to", "out", *flags)
        return done, workplace.folder / "out"

    return transform


def lines(file):
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_an_odd_body_loses_nothing(transform, city):
    before = city.stats()["calls"]
    done, out = transform("/faction/members", {"members": ODD})

    assert done.code == 0
    assert done.json == {
        "tables": {"faction_members": 5, "faction_members_pets": 1}, "quarantined": 1, "drift": 4,
    }  # fmt: skip
    assert city.stats()["calls"] == before
    rows = pq.read_table(out / "faction_members.parquet").to_pylist()
    assert [row["id"] for row in rows] == [1, 2, 3, 5, 6]
    by_id = {row["id"]: row for row in rows}
    assert by_id[2]["mood"] == "sunny"
    assert by_id[3]["last_action_timestamp"] is by_id[3]["last_action_status"] is None
    assert by_id[5]["revive_setting"] is None
    assert by_id[6]["name"] == "1312"
    assert by_id[1]["is_in_oc"] is None
    (pet,) = pq.read_table(out / "faction_members_pets.parquet").to_pylist()
    assert (pet["member_id"], pet["kind"], pet["age"], pet["_index"]) == (2, "owl", 3, 0)


def test_quarantine_has_the_record_as_it_was_its_place_and_why(transform):
    _, out = transform("/faction/members", {"members": ODD})

    (line,) = lines(out / "quarantine.jsonl")
    assert set(line) == {"path", "reason", "record"}
    assert line["path"] == "members[3].level"
    assert line["reason"] == "a text in place of an integer"
    assert json.loads(line["record"]) == ODD[3]


def test_drift_lists_what_the_catalogue_does_not_know_with_an_example(transform):
    _, out = transform("/faction/members", {"members": ODD})

    found = json.loads((out / "drift.json").read_text())
    assert found == [
        {"table": "faction_members", "column": "name", "type": "text", "example": "1312"},
        {"table": "faction_members", "column": "mood", "type": "text", "example": '"sunny"'},
        {"table": "faction_members_pets", "column": "kind", "type": "text", "example": '"owl"'},
        {"table": "faction_members_pets", "column": "age", "type": "int", "example": "3"},
    ]


def test_just_the_files_of_the_contract_are_written(transform):
    _, out = transform("/faction/crimes", {"crimes": []})

    assert {file.name for file in out.iterdir()} == {
        "faction_crimes.parquet",
        "faction_crimes_slots.parquet",
        "faction_crimes_rewards_items.parquet",
        "quarantine.jsonl",
        "drift.json",
    }
    assert (out / "quarantine.jsonl").read_text() == ""
    assert json.loads((out / "drift.json").read_text()) == []
    slots = pq.read_table(out / "faction_crimes_slots.parquet")
    assert slots.num_rows == 0
    assert slots.schema.field("user_joined_at").type == pa.timestamp("us", tz="UTC")


def test_several_bodies_are_the_pages_of_one_answer(transform):
    done, out = transform("/faction/members", {"members": [GOOD]}, {"members": [{**GOOD, "id": 2}]})

    assert done.json["tables"] == {"faction_members": 2}
    table = pq.read_table(out / "faction_members.parquet")
    assert table["id"].to_pylist() == [1, 2]


def test_the_id_of_the_path_is_the_subject_of_the_rows(transform):
    _, out = transform("/faction/40832/members", {"members": [GOOD]})

    (row,) = pq.read_table(out / "faction_members.parquet").to_pylist()
    assert row["_subject_id"] == 40832
    assert row["server_timestamp"] is row["_run_id"] is None


@pytest.mark.parametrize("body", [b"<html>down</html>", b"", b"[]", b"null", b'{"members": [{"id'])
def test_a_body_that_is_no_json_object_is_set_aside_whole(transform, body):
    done, out = transform("/faction/members", body)

    assert done.code == 0
    assert done.json["quarantined"] == 1
    (line,) = lines(out / "quarantine.jsonl")
    assert line["record"] == body.decode()


def test_a_person_is_told_where_things_are(transform):
    done, _ = transform("/faction/members", {"members": ODD}, as_json=False)

    assert "faction_members" in done.out
    assert "1 set aside" in done.out
    assert "4 unknown to the catalogue" in done.out


def test_a_path_that_is_unknown_names_near_ones(transform):
    done, out = transform("/faction/member", {"members": []})

    assert done.code == 2
    assert "/faction/members" in done.err
    assert not out.exists()


@pytest.mark.parametrize("path", ROUTES)
def test_a_path_that_makes_no_tables_says_why(transform, path):
    done, out = transform(path, {})

    assert done.code == 2
    assert path in done.err
    assert not out.exists()


def test_a_file_that_is_not_there_is_wrong_usage(workplace):
    done = workplace.run("transform", "/faction/members", "nowhere.json", "--to", "out")

    assert done.code == 2
    assert "nowhere.json" in done.err


def test_a_folder_that_cannot_be_written_is_named(workplace):
    (workplace.folder / "taken").write_text("a file")
    (workplace.folder / "body.json").write_text('{"members":[]}')

    done = workplace.run("transform", "/faction/members", "body.json", "--to", "taken/out")

    assert done.code == 2
    assert "taken" in done.err


@pytest.mark.slow
def test_every_path_of_the_catalogue_takes_an_answer_of_the_sandbox(transform, city):
    from tcdatalogger.sandbox.api.city import CityRequest  # noqa: PLC0415

    key = f"ApiKey {city.keys['full']}"
    assert len(PATHS) > 220
    samples = {"crimeId": "5150020", "chainId": str(city.expected("chains")[-1]["id"])}
    odd = {}
    for endpoint in (CATALOG.find(path)[0] for path in PATHS):
        path = endpoint.path
        for parameter in endpoint.path_parameters:
            value = samples.get(parameter.name) or str((*parameter.values, 206)[0])
            path = path.replace(f"{{{parameter.name}}}", value)
        params = {
            p.name: str((*p.values, "1")[0])
            for p in endpoint.parameters
            if p.required and p.where == "query"
        }
        body = city.city.answer(CityRequest(path, params, key)).body
        if b'"error":{"code":6' in body:  # the city has nothing of this id
            for own in ("40832", "158", "150001", "1377950", "1"):
                again = endpoint.path
                for parameter in endpoint.path_parameters:
                    again = again.replace(f"{{{parameter.name}}}", own)
                body = city.city.answer(CityRequest(again, params, key)).body
                if b'"error":{"code"' not in body:
                    break
        done, _ = transform(endpoint.path, body)
        if done.code or done.json["quarantined"] or done.json["drift"] or b'"error":{' in body:
            odd[endpoint.path] = (done.code, done.err, body[:200])
    assert odd == {}


def test_a_csv_snapshot_becomes_a_typed_table(workplace, tmp_path):
    body = tmp_path / "factions.csv"
    body.write_text('id,name,leader_id,member_list,new\n33,H&P,68358,"[1, 2]",x\n34,A,nobody,,\n')
    out = tmp_path / "out"
    done = workplace.run("transform", "/faction/snapshot", str(body), "--to", str(out), "--json")
    assert json.loads(done.out) == {
        "tables": {"faction_snapshot": 1},
        "quarantined": 1,
        "drift": 1,
    }
    [row] = pq.read_table(out / "faction_snapshot.parquet").to_pylist()
    assert (row["id"], row["leader_id"], row["new"]) == (33, 68358, "x")
