"""`tcdatalogger keys check`, and the keys in `tcdatalogger status`."""

from __future__ import annotations

import pytest


@pytest.fixture
def keys(workplace):
    return lambda *words: workplace.run("keys", "check", *words)


def test_a_good_key_is_shown_with_its_owner_level_and_what_it_can(keys, workplace, city):
    done = keys("--json")

    assert done.code == 0
    (one,) = done.json["keys"]
    assert done.json["ok"]
    assert one["owner_id"] == next(k.owner for k in city.city.keyring if k.name == "limited")
    assert (one["faction_id"], one["faction_access"], one["level"]) == (40832, True, 3)
    assert (one["health"], one["calls_left"]) == ("ok", 99)
    assert {e["endpoint"]: e["can"] for e in one["endpoints"]} == {
        "faction_crimes": True,
        "faction_members": True,
        "faction_balance": True,
        "faction_basic": True,
        "torn_items": True,
    }


def test_the_link_makes_a_key_with_just_what_the_endpoints_need(keys):
    (one,) = keys("--json").json["keys"]
    assert one["custom_key_link"].endswith("&faction=balance,basic,crimes,members&torn=items")
    assert one["custom_key_link"] in keys().out


def test_what_a_key_cannot_do_is_said_before_the_first_call_of_it(keys, workplace, city):
    workplace.key = city.keys["minimal"]
    before = dict(city.stats()["paths"])

    done = keys("--json")

    assert done.code == 77
    (one,) = done.json["keys"]
    cannot = {e["endpoint"]: e["problem"] for e in one["endpoints"] if not e["can"]}
    assert set(cannot) == {"faction_balance"}
    assert "level limited" in cannot["faction_balance"]
    assert one["health"] == "ok"
    after = city.stats()["paths"]
    assert {p for p in after if after[p] != before.get(p, 0)} == {"/key/info"}


def test_a_missing_position_is_said(keys, workplace, city):
    workplace.key = city.keys["other"]
    text = keys().out
    assert "no API access" in text
    assert "position of the key's owner" in text


def test_a_dead_key_is_asked_about_once_however_often_we_look(keys, workplace, city):
    workplace.key = city.keys["dead"]
    before = city.stats()["keys"].get("dead", 0)

    for _ in range(3):
        done = keys("--json")
        assert done.code == 77
        (one,) = done.json["keys"]
        assert (one["health"], one["why"], one["until"]) == ("dead", "incorrect key", None)
        assert {e["can"] for e in one["endpoints"]} == {None}
    assert city.stats()["keys"]["dead"] - before == 1
    assert "dead" in keys().out


def test_offline_nobody_is_asked(keys, city):
    before = city.stats()["calls"]
    done = keys("--offline", "--json")
    assert city.stats()["calls"] == before
    assert done.json["keys"][0]["health"] == "untried"
    assert done.json["keys"][0]["endpoints"][0]["can"] is None
    assert done.code == 0


def test_a_key_that_is_not_there_is_named_with_its_place(keys, workplace):
    workplace.key = None
    done = keys()
    assert done.code == 78
    assert "TORN_API_KEY" in done.out


def test_another_key_that_can_do_it_is_no_fault_of_this_one(keys, workplace, city, monkeypatch):
    workplace.key = city.keys["public"]
    workplace.write(
        '[[endpoints]]\nname = "crimes"\npath = "/faction/crimes"\napi_key = ["default", "b"]\n'
    )
    text = workplace.file.read_text()
    workplace.file.write_text(text.replace("[keys]", '[keys]\nb = "env:B_KEY"', 1))
    monkeypatch.setenv("B_KEY", city.keys["limited"])

    # Given by name here, since a command reads the environment of its process.
    done = keys("--json")

    assert done.code == 0
    can = {one["key"]: one["endpoints"][0]["can"] for one in done.json["keys"]}
    assert can == {"b": True, "default": False}


def test_no_output_holds_a_key(keys, workplace, city):
    for words in ((), ("--json",), ("--offline",)):
        done = keys(*words)
        assert workplace.key not in done.out + done.err
    assert workplace.holding(workplace.key) == []


def test_status_shows_a_dead_key_and_what_it_stops(workplace, city):
    workplace.key = city.keys["dead"]
    workplace.log("faction_basic")

    found = workplace.run("status", "--json").json

    assert [(k["key"], k["health"]) for k in found["keys"]] == [("default", "dead")]
    assert "key default: dead (incorrect key), never called again" in workplace.run("status").out


def test_status_shows_a_parked_key_and_a_path_that_a_key_may_not_read(workplace, city, monkeypatch):
    monkeypatch.setattr("tcdatalogger.cli.commands.status.time.time", workplace.clock.now)
    city.fault("error", code=7, path="/faction/basic", times=1)
    workplace.log("faction_basic")
    assert "key default: may not read /faction/basic" in workplace.run("status").out
    city.key("limited", refusal=18)
    workplace.log("faction_members")
    assert "key default: parked (the key is paused by its owner), asked again 2026-01-01" in (
        workplace.run("status").out
    )


def test_status_shows_who_is_held_and_that_torn_is_down(workplace, city, monkeypatch):
    monkeypatch.setattr("tcdatalogger.cli.commands.status.time.time", workplace.clock.now)
    city.fault("error", code=8, times=1)
    workplace.log("faction_basic")
    assert "No call of this address before 2026-01-01 01:00" in workplace.run("status").out
    workplace.clock.sleep(3_700)
    city.fault("error", code=9, times=1)
    workplace.log("faction_basic")

    found = workplace.run("status", "--json").json

    assert [one["who"] for one in found["held"]] == ["torn"]


# What their owners are told


def test_the_terms_say_how_data_and_keys_are_kept(workplace):
    workplace.write(
        extra='[terms]\npurpose = "Who did which crime."\n\n[backup]\nfrequency = "P1D"\nkeep = 3\n'
    )
    done = workplace.run("keys", "terms", "--json")

    assert done.code == 0
    told = done.json
    assert told["purpose"] == "Who did which crime."
    assert "kept on the same machine for ever" in told["storage"]
    assert "The last three backups have all of it too." in told["storage"]
    assert "Its rows are kept until they are deleted by hand." in told["storage"]
    assert told["sharing"] == "Nobody but whoever runs the program."
    assert "given to the program by its environment" in told["key_storage"]
    assert "as a service, kept in a file that no other user can read" in told["key_storage"]
    assert "faction: balance, basic, crimes, members; torn: items" in told["key_access"]
    assert "A key of the level limited" in told["key_access"]
    assert told["link"].endswith("&faction=balance,basic,crimes,members&torn=items")


def test_the_terms_speak_of_time_in_words_and_name_no_place_of_the_disk(workplace):
    members = '[[endpoints]]\nname = "members"\npath = "/faction/members"\nkeep = "P90D"\n'
    file = workplace.write(members)
    file.write_text(
        file.read_text()
        .replace('path = "archive"', 'path = "archive"\nkeep = "P1Y"')
        .replace("env:TORN_API_KEY", "file:key")
    )
    (workplace.folder / "key").write_text(workplace.key)
    (workplace.folder / "key").chmod(0o600)

    for words in ((), ("--markdown",), ("--json",)):
        done = workplace.run("keys", "terms", *words)
        assert done.code == 0
        told = " ".join(done.out.split())
        assert "for one year" in told
        assert "Rows of members are deleted after 90 days." in told
        assert "in a file that only the user of the program can read" in told
        assert "P1Y" not in told
        assert str(workplace.folder) not in told
    lines = workplace.run("keys", "terms").out.splitlines()
    assert max(len(line) for line in lines if "http" not in line) <= 80


def test_what_a_user_says_of_the_purpose_ends_no_cell_of_the_table(workplace):
    workplace.write(extra='[terms]\npurpose = "a | b <script> & c"\n')
    table = workplace.run("keys", "terms", "--markdown").out.strip().splitlines()

    assert len(table) == 7
    assert table[4] == r"| **Purpose of Use** | a \| b &lt;script> &amp; c |"
