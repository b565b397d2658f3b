"""`tcdatalogger run`: what it does, what it shows, and the exit code of everything that fails."""

from __future__ import annotations

import json

import pytest

from shared import held

BAD = '[[endpoints]]\nname = "gone"\npath = "/faction/nothing"\n'
LOG = '[[endpoints]]\nname = "user_log"\npath = "/user/log"\n'


def untouched(workplace):
    """Whether nothing was stored."""
    return not workplace.warehouse.exists() and not list(workplace.folder.rglob("*.part"))


# What runs


def test_all_runs_every_endpoint_that_is_enabled(workplace):
    workplace.write(workplace.file.read_text().partition("\n\n\n")[2] + "enabled = false\n")

    done = workplace.run("run", "--all", "--json")

    assert done.code == 0
    assert [run["endpoint"] for run in done.json] == [
        "faction_crimes", "faction_members", "faction_balance", "faction_basic",
    ]  # fmt: skip


def test_names_run_just_those_and_also_what_is_not_enabled(workplace):
    workplace.write(workplace.file.read_text().partition("\n\n\n")[2] + "enabled = false\n")

    done = workplace.run("run", "torn_items", "faction_basic", "--json")

    assert [run["endpoint"] for run in done.json] == ["torn_items", "faction_basic"]


def test_a_tag_runs_those_that_have_it(workplace):
    done = workplace.run("run", "--tag", "often", "--json")

    assert [run["endpoint"] for run in done.json] == ["faction_crimes", "faction_members"]


def test_the_facts_for_programs_agree_with_the_warehouse(workplace):
    (run,) = workplace.run("run", "faction_crimes", "--json").json

    assert run["status"] == "done"
    assert (run["calls"], run["pages"]) == (4, 3)  # one asks whose the key is
    assert run["error"] is None
    assert run["schema_version"] == 1
    for table, count in run["rows"].items():
        assert workplace.value(f"select count(*) from {table}") == count
    assert (workplace.folder / "archive" / run["archive_file"]).exists()


def test_a_person_sees_one_line_for_each_run(workplace):
    done = workplace.run("run", "--all")

    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split()[:3] == ["endpoint", "result", "rows"]
    assert [line.split()[:2] for line in lines[1:]] == [
        [name, "done"]
        for name in (
            "faction_crimes", "faction_members", "faction_balance", "faction_basic", "torn_items",
        )
    ]  # fmt: skip


def test_set_overrides_a_setting_for_this_run_alone(workplace):
    workplace.run("run", "faction_members")

    done = workplace.run("run", "faction_members", "--set", "table=members_beside")
    workplace.run("run", "faction_members")

    assert done.code == 0
    assert workplace.value("select count(*) from members_beside") == 30
    assert workplace.value("select count(*) from faction_members") == 60


@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_a_mode_that_keeps_less_never_wipes_what_another_has_stored(workplace, mode):
    workplace.run("run", "faction_members")
    workplace.run("run", "faction_members")

    done = workplace.run("run", "faction_members", "--set", f"storage_mode={mode}")

    assert done.code == 65
    assert "`tcdatalogger rebuild faction_members`" in done.err
    assert workplace.value("select count(*) from faction_members") == 60
    text = workplace.file.read_text()
    path = 'path = "/faction/members"'
    workplace.file.write_text(text.replace(path, f'{path}\nstorage_mode = "{mode}"', 1))
    assert workplace.run("rebuild", "faction_members").code == 0
    assert workplace.value("select count(*) from faction_members") == 30
    assert workplace.run("run", "faction_members").code == 0


def test_set_may_ask_for_another_category(workplace):
    workplace.run("run", "faction_crimes", "--set", "params.cat=recruiting")

    assert workplace.value("select list(distinct status) from faction_crimes") == ["Recruiting"]


@pytest.mark.parametrize("step", ["fetch", "transform", "validate"])
def test_a_step_shows_what_it_holds_and_stores_nothing(workplace, step):
    done = workplace.run("run", "faction_members", "--step", step)

    assert done.code == 0
    assert f"paused after {step}" in done.out
    assert ("/faction/members" if step == "fetch" else "faction_members: 30 rows") in done.out
    assert untouched(workplace)


def test_a_dry_run_shows_the_plan_and_stores_nothing(workplace):
    done = workplace.run("run", "faction_crimes", "--dry-run")

    assert done.code == 0
    assert "+ table faction_crimes_slots" in done.out
    assert "Nothing was stored." in done.out
    assert untouched(workplace)
    (run,) = workplace.run("run", "faction_crimes", "--dry-run", "--json").json
    assert run["schema_changes"][0] == "+ table faction_crimes"
    assert run["status"] == "paused"


# What fails


@pytest.mark.parametrize(
    "words", [(), ("--all", "faction_crimes"), ("--tag", "x", "--all"), ("--tag", "unknown"),
              ("faction_crime",), ("--step", "nothing", "--all"), ("--set", "x", "--all")],
)  # fmt: skip
def test_wrong_usage_is_2(workplace, words):
    done = workplace.run("run", *words)

    assert done.code == 2
    assert done.err.startswith("error: ")
    assert untouched(workplace)


def test_an_unknown_endpoint_is_2_and_the_near_one_is_named(workplace):
    done = workplace.run("run", "faction_membrs")

    assert done.code == 2
    assert "'faction_members'" in done.err


def test_a_path_that_the_catalogue_lacks_is_78(workplace):
    workplace.write(BAD)

    done = workplace.run("run", "--all")

    assert done.code == 78
    assert "/faction/nothing" in done.err


def test_a_missing_key_is_78_and_the_variable_is_named(workplace, city):
    workplace.key = None
    before = city.stats()["calls"]

    done = workplace.run("run", "--all")

    assert done.code == 78
    assert "TORN_API_KEY" in done.err
    assert city.stats()["calls"] == before
    assert untouched(workplace)


def test_a_dead_key_is_77_and_is_called_once(workplace, city):
    workplace.key = city.keys["dead"]
    before = city.stats()["dead_key_calls"].get("dead", 0)

    done = workplace.run("run", "--all")

    assert done.code == 77
    assert city.stats()["dead_key_calls"]["dead"] == before + 1
    assert untouched(workplace)


def test_a_key_of_too_low_a_level_is_77_before_anything_is_asked_for(workplace, city):
    workplace.write(LOG)
    before = dict(city.stats()["paths"])

    done = workplace.run("run", "--all")

    assert done.code == 77
    after = city.stats()["paths"]
    assert {p for p in after if after[p] != before.get(p, 0)} == {"/key/info"}
    assert "level full" in done.err
    assert untouched(workplace)


def test_torn_down_is_69_and_its_page_is_in_the_archive(workplace, city):
    workplace.run("run", "faction_basic", "--step", "fetch")
    city.fault("http", status=502)

    done = workplace.run("run", "faction_basic")

    assert done.code == 69
    assert untouched(workplace)
    assert workplace.holding("cloudflare")


def test_nobody_there_is_69(workplace):
    workplace.write(url="http://127.0.0.1:9/v2")

    done = workplace.run("run", "faction_basic")

    assert done.code == 69
    assert untouched(workplace)


def test_a_locked_warehouse_is_69_and_names_who_holds_it(workplace):
    workplace.run("run", "faction_basic")
    with held(workplace.warehouse) as holder:
        done = workplace.run("run", "faction_basic")

    assert done.code == 69
    assert f"process {holder.pid}" in done.err
    assert workplace.value("select count(*) from _tcd_loads") == 1


@pytest.mark.parametrize("place", ['"duckdb:///torn.duckdb"', '"archive"'])
def test_a_folder_that_cannot_be_written_is_78(workplace, place):
    (workplace.folder / "taken").write_text("a file")
    elsewhere = place.replace("torn.duckdb", "taken/torn.duckdb").replace('"arc', '"taken/arc')
    state = f'[state]\nurl = "sqlite:///{workplace.folder}/state.sqlite"\n'
    text = workplace.file.read_text().replace(place, elsewhere)
    workplace.file.write_text(text.replace("[keys]", f"{state}\n[keys]"))

    done = workplace.run("run", "faction_basic")

    assert done.code == 78
    assert "taken" in done.err
    assert untouched(workplace)


def test_a_file_that_is_no_warehouse_is_78_and_stays_as_it_was(workplace):
    workplace.warehouse.write_text("my notes")

    done = workplace.run("run", "faction_basic")

    assert done.code == 78
    assert workplace.warehouse.read_text() == "my notes"


def test_a_record_that_was_set_aside_is_0_and_with_strict_65(workplace, city):
    workplace.run("run", "faction_members", "--set", "contract=quarantine")
    city.fault("map", path="/faction/members")
    words = ("run", "faction_members", "--json", "--set", "contract=quarantine")

    done, strict = workplace.run(*words), workplace.run(*words, "--strict")

    assert (done.code, strict.code) == (0, 65)
    assert [run["status"] for run in (*done.json, *strict.json)] == ["done", "done"]
    assert done.json[0]["quarantined"] == 30
    assert workplace.value("select count(*) from _tcd_quarantine") == 60


def test_an_empty_list_is_0(workplace, city):
    done = workplace.run("run", "faction_crimes", "--set", "params.from=1", "--set", "params.to=2",
                         "--strict", "--json")  # fmt: skip

    assert done.code == 0
    assert done.json[0]["rows"]["faction_crimes"] == 0


def test_one_endpoint_that_fails_does_not_stop_the_others(workplace, city):
    city.fault("error", code=21, path="/faction/members")

    done = workplace.run("run", "--all", "--json")

    assert done.code == 65
    assert {run["endpoint"]: run["status"] for run in done.json} == {
        "faction_crimes": "done",
        "faction_members": "failed",
        "faction_balance": "done",
        "faction_basic": "done",
        "torn_items": "done",
    }
    (failed,) = [run["error"] for run in done.json if run["error"]]
    assert failed["exit_code"] == 65
    assert failed["message"]


def test_the_exit_code_is_that_of_the_first_that_failed(workplace, city):
    city.fault("error", code=16, path="/faction/members")
    city.fault("error", code=21, path="/faction/basic")

    assert workplace.run("run", "--all").code == 77


def test_an_error_is_json_where_json_was_asked_for(workplace):
    workplace.key = None

    done = workplace.run("run", "faction_basic", "--json")

    (run,) = json.loads(done.out)
    assert run["error"]["class"] == "ConfigError"
    assert run["error"]["exit_code"] == 78
    assert run["error"]["remedy"]


def test_rows_whose_answers_are_gone_are_not_given_up_by_a_rebuild_in_another_mode(workplace):
    for _ in range(2):
        workplace.run("run", "faction_members")
    first = min((workplace.folder / "archive/faction_members").rglob("*.parquet"))
    first.unlink()

    done = workplace.run("rebuild", "faction_members")
    assert (done.code, workplace.value("select count(*) from faction_members")) == (0, 60)
    text = workplace.file.read_text()
    path = 'path = "/faction/members"'
    workplace.file.write_text(text.replace(path, f'{path}\nstorage_mode = "merge"', 1))
    done = workplace.run("rebuild", "faction_members")

    assert (done.code, workplace.value("select count(*) from faction_members")) == (65, 60)
    assert first.stem in done.err
