from __future__ import annotations

import json
import os
import re
import tomllib
from itertools import combinations

import jsonschema
import pytest

from tcdatalogger.cli import main
from tcdatalogger.core.config import configuration
from tcdatalogger.questions import presets, question
from tcdatalogger.services.torncity.catalog import catalog


def test_what_init_writes_passes_the_check(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TORN_API_KEY", raising=False)
    assert main(["init"]) == 0
    settings = configuration.load(None, {})
    assert [endpoint.name for endpoint in settings.endpoints] == [
        "faction_basic",
        "faction_members",
        "faction_crimes",
        "faction_balance",
        "torn_items",
    ]
    assert settings.keys == {"default": "env:TORN_API_KEY"}
    shown = capsys.readouterr().out
    assert "export TORN_API_KEY" in shown
    assert "tcdatalogger check" in shown
    assert "init --for faction` (or player, company, trader)" in shown


def test_a_key_that_is_set_is_not_to_be_written_over(tmp_path, monkeypatch, capsys):
    link = "https://www.torn.com/preferences.php#tab=api?step=addNewKey&title="
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORN_API_KEY", "ownKey0000000001")
    assert main(["init", "--for", "faction", "--no-input"]) == 0
    said = capsys.readouterr().out
    assert "export TORN_API_KEY" not in said
    assert link not in said
    assert "Next:\n  tcdatalogger check\n" in said

    monkeypatch.delenv("TORN_API_KEY")
    assert main(["init", "--for", "faction", "--no-input", "--force"]) == 0
    said = capsys.readouterr().out
    assert link in said
    assert "Next:\n  export TORN_API_KEY=YOUR_KEY\n  tcdatalogger check\n" in said


def test_init_makes_the_folder_and_says_how_to_go_on_from_here(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TORN_API_KEY", raising=False)
    folder = tmp_path / "my faction"
    assert main(["init", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == str(folder / "tcdatalogger.toml")
    assert told["next"][1] == f"tcdatalogger --config '{folder}/tcdatalogger.toml' check"
    assert configuration.load(folder / "tcdatalogger.toml", {}).endpoints


def test_init_never_overwrites_unless_it_is_forced(tmp_path, capsys):
    file = tmp_path / "tcdatalogger.toml"
    file.write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    assert file.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert main(["init", str(tmp_path), "--force"]) == 0
    assert file.read_text() != "mine"


@pytest.mark.skipif(os.name == "nt", reason="a file in the place of a folder")
def test_init_where_nothing_can_be_written_is_a_clear_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file" / "folder")]) == 78
    assert capsys.readouterr().err.startswith("error: ")


def test_init_writes_the_configuration_that_is_named(tmp_path, monkeypatch, capsys):
    named = tmp_path / "etc" / "mine.toml"
    assert main(["--config", str(named), "init"]) == 0
    assert configuration.load(named, {}).endpoints
    assert f"--config {named} check" in capsys.readouterr().out
    assert main(["--config", str(named), "init", str(tmp_path)]) == 2
    assert "DIR and --config" in capsys.readouterr().err
    monkeypatch.setenv("TCDATALOGGER_CONFIG", str(tmp_path / "other.toml"))
    assert main(["init"]) == 0
    assert (tmp_path / "other.toml").exists()


def test_init_writes_the_schema_for_editors_and_names_it(tmp_path):
    assert main(["init", str(tmp_path)]) == 0
    first = (tmp_path / "tcdatalogger.toml").read_text().splitlines()[0]
    assert first == "#:schema ./tcdatalogger.schema.json"
    schema = json.loads((tmp_path / "tcdatalogger.schema.json").read_text())
    written = tomllib.loads((tmp_path / "tcdatalogger.toml").read_text())
    jsonschema.Draft202012Validator(schema).validate(written)


def test_init_writes_the_address_of_a_sandbox(tmp_path):
    assert main(["init", str(tmp_path), "--api", "http://127.0.0.1:8642/v2"]) == 0
    settings = configuration.load(tmp_path / "tcdatalogger.toml", {})
    assert settings.torn.url == "http://127.0.0.1:8642/v2"


# --- presets -------------------------------------------------------------------------------------

KNOWN = question.shipped()
FILLED = [kind for kind in presets.KINDS if any(presets.asks(kind, q) for q in KNOWN.values())]


def write(workplace, kind):
    """Write a preset that asks the sandbox."""
    done = workplace.run("init", "--for", kind, "--force")
    assert done.code == 0, done.err
    text = workplace.file.read_text()
    workplace.file.write_text(f'[torn]\nurl = "{workplace.city.url}"\n\n{text}')
    return done.out, text


@pytest.mark.parametrize("kind", FILLED)
def test_a_preset_passes_the_check_and_lacks_nothing_for_its_questions(workplace, kind):
    said, text = write(workplace, kind)

    assert workplace.run("check", "--offline").code == 0
    listed = {each["name"]: each for each in workplace.run("ask", "--json").json}
    mine = [name for name, each in KNOWN.items() if presets.asks(kind, each)]
    assert f"for {len(mine)} question" in said
    for name in mine:
        assert listed[name]["answered"], name
        blocked = [lack["says"] for lack in listed[name]["lacks"] if "storage_mode" in lack["says"]]
        assert blocked == [], name
        assert name in text
    settings = configuration.load(workplace.file, {})
    assert all(endpoint.frequency is not None for endpoint in settings.endpoints)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILLED)
def test_after_one_run_of_a_preset_its_questions_have_answers(workplace, kind):
    _, text = write(workplace, kind)
    level = re.search(r'A key of level "(\w+)"', text)[1].lower()
    workplace.key = workplace.city.keys[level]
    assert workplace.run("run", "--all").code == 0

    for name, each in KNOWN.items():
        if presets.asks(kind, each):
            done = workplace.run("ask", name, "--json")
            assert done.code == 0, (name, done.err)
            assert done.json["rows"] is not None, name


def test_a_preset_says_what_it_costs_and_of_which_key(workplace):
    said, text = write(workplace, "faction")

    for told in (said, " ".join(text.replace("\n# ", " ").split())):
        assert "of the 144,000 calls a day" in " ".join(told.split())
        assert 'A key of level "Limited", of somebody with API access' in " ".join(told.split())
    assert "https://www.torn.com/preferences.php#tab=api?step=addNewKey&title=" in text
    runs = 0.0
    for endpoint in configuration.load(workplace.file, {}).endpoints:
        runs += 86_400 / endpoint.frequency.after(0.0)
    assert f"about {round(runs):,} of" in " ".join(said.split())


def test_presets_are_added_up(workplace):
    both = workplace.run("init", "--for", "faction", "--for", FILLED[-1], "--force", "--json").json
    alone = workplace.run("init", "--for", "faction", "--force", "--json").json

    assert set(alone["questions"]) <= set(both["questions"])
    assert both["calls"] >= alone["calls"] > 24


def test_no_list_is_logged_twice_whatever_is_chosen():
    for many in range(1, len(presets.KINDS) + 1):
        for kinds in combinations(presets.KINDS, many):
            chosen = presets.preset(kinds, KNOWN, catalog.load())
            asked = [(e.entry.path, e.ids, *sorted(e.params.items())) for e in chosen.endpoints]
            assert len(asked) == len(set(asked)), kinds
            owners = [e for e in chosen.endpoints if e.entry.of_key_owner]
            others = [e for e in chosen.endpoints if e.entry.path_parameters]
            own = {(e.entry.section, e.entry.selection) for e in owners}
            assert own.isdisjoint((e.entry.section, e.entry.selection) for e in others), kinds


def test_a_preset_has_what_questions_of_ones_own_need(workplace):
    folder = workplace.folder / "questions"
    folder.mkdir()
    (folder / "mine.sql").write_text(
        '/*\ntitle = "Mine?"\npage = "war"\ncaption = "x"\nchart = { kind = "table" }\n'
        '[needs."/faction/hof"]\nevery = "PT30M"\nmodes = ["history"]\n*/\n'
        "select 1 as one from {faction_hof:now} order by one\n"
    )
    write(workplace, "faction")

    (mine,) = [e for e in configuration.load(workplace.file, {}).endpoints if "hof" in e.path]
    assert (mine.storage_mode, str(mine.frequency)) == ("history", "PT30M")
