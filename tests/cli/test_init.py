from __future__ import annotations

import json
import os

import pytest

from tcdatalogger.cli import main
from tcdatalogger.core.config import configuration


def test_what_init_writes_passes_the_check(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
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


def test_init_makes_the_folder_and_says_how_to_go_on_from_here(tmp_path, capsys):
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
