"""`tcdatalogger runs`: what ran, and what became of it."""

from __future__ import annotations


def test_the_newest_run_is_first(workplace):
    ids = []
    for name in ("faction_basic", "faction_members", "faction_basic"):
        ids.append(workplace.log(name).record.run_id)
        workplace.clock.sleep(1)

    assert [run["run_id"] for run in workplace.run("runs", "--json").json] == ids[::-1]
    own = workplace.run("runs", "--endpoint", "faction_basic", "--most", "1", "--json").json
    assert [run["run_id"] for run in own] == ids[2:]


def test_a_failed_run_names_its_error(workplace, city):
    city.fault("error", code=21, path="/faction/members")
    workplace.log("faction_members")

    assert "failed: " in workplace.run("runs").out


def test_show_tells_all_of_one_run(workplace):
    record = workplace.log("faction_crimes").record

    out = workplace.run("runs", "show", record.run_id).out
    facts = workplace.run("runs", "show", record.run_id, "--json").json

    for text in (
        record.run_id,
        record.archive_file,
        record.load_id,
        "fetch",
        "faction_crimes_slots",
    ):
        assert text in out
    assert facts["rows"] == dict(record.rows)
    assert facts["seconds"].keys() == {"fetch", "transform", "validate", "store"}


def test_show_tells_why_a_run_failed_and_what_to_do(workplace, city):
    city.fault("error", code=16, path="/faction/members")
    record = workplace.log("faction_members").record

    out = workplace.run("runs", "show", record.run_id).out

    assert record.error in out
    assert record.remedy in out


def test_unknown_runs_and_endpoints_are_wrong_usage(workplace):
    assert workplace.run("runs", "show", "nothing").code == 2
    assert workplace.run("runs", "--endpoint", "nothing").code == 2


def test_before_the_first_run_there_are_none_and_nothing_is_made(workplace):
    done = workplace.run("runs", "--json")

    assert (done.code, done.json) == (0, [])
    assert [file.name for file in workplace.folder.iterdir()] == ["tcdatalogger.toml"]
