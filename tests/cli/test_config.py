from __future__ import annotations

import json

import jsonschema
import pytest

from tcdatalogger.cli import main

CONFIGURATION = """
[keys]
default = "env:TORN_API_KEY"
[[endpoints]]
name = "faction_basic"
path = "/faction/basic"
frequency = "PT1H"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TCDATALOGGER_CONFIG", raising=False)
    (tmp_path / "tcdatalogger.toml").write_text(CONFIGURATION)
    return tmp_path


def test_the_schema_is_a_json_schema(capsys):
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "endpoints" in schema["properties"]


def test_show_tells_the_settings_in_force(folder, capsys):
    assert main(["config", "show", "--json", "--set", "limits.share=0.5"]) == 0
    settings = json.loads(capsys.readouterr().out)
    assert settings["limits"] == {"share": 0.5}
    assert settings["keys"] == {"default": "env:TORN_API_KEY"}
    assert settings["endpoints"][0]["timeout"] == "PT5M"
    assert settings["warehouse"]["url"] == f"duckdb:///{folder.resolve()}/data/torn.duckdb"


def test_show_tells_people_only_what_is_set(folder, capsys):
    assert main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    assert "endpoints.faction_basic.frequency" in shown
    assert "endpoints.faction_basic.table" not in shown


def test_a_broken_file_is_told_with_every_mistake(folder, capsys):
    file = folder / "tcdatalogger.toml"
    file.write_text(CONFIGURATION.replace("basic", "basics").replace("PT1H", "1h"))
    assert main(["config", "show", "--json"]) == 78
    shown = capsys.readouterr()
    problems = json.loads(shown.out)["error"]["problems"]
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["tcdatalogger.toml:6", "endpoints.faction_basics.path"],
        ["tcdatalogger.toml:7", "endpoints.faction_basics.frequency"],
    ]
    assert all(problem in shown.err for problem in problems)
