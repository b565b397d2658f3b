"""`config import` makes a configuration of the first tool's files, and says what it leaves out."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from shared import rest_slow
from tcdatalogger.cli import main
from tcdatalogger.core.config import configuration

FILES = Path(__file__).with_name("first_tool")
KEYS = json.loads((FILES / "TC_API_key.json").read_text())
CRIMES = "https://api.torn.com/v2/faction/crimes"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder beside that of the first tool, which is `config`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TCDATALOGGER_CONFIG", raising=False)
    shutil.copytree(FILES, "config")
    return tmp_path


def imported(capsys, *words):
    """What the command tells as JSON, and the configuration that it wrote."""
    assert main(["config", "import", "config", "--json", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    return told, tomllib.loads(Path(told["file"]).read_text())


def one(capsys, *, keys=None, **endpoint):
    """The only endpoint after importing one, None where it is left out; and the notes."""
    given = {"name": "crimes", "url": CRIMES, "frequency": "PT1H", **endpoint}
    Path("config/TC_API_config.json").write_text(json.dumps({"endpoints": [given]}))
    Path("config/TC_API_key.json").write_text(
        json.dumps({"default": KEYS["default"], **(keys or {})})
    )
    told, written = imported(capsys)
    notes = [
        f"{note['place']}: {note['text']}" for note in told["notes"] if "app" not in note["place"]
    ]
    assert configuration.load(None, {}) is not None
    return next(iter(written.get("endpoints", [])), None), notes


def test_the_files_of_the_first_tool_become_a_configuration_that_loads(folder, capsys):
    told, _ = imported(capsys)
    settings = configuration.load(folder / "tcdatalogger.toml", {})
    assert [
        (e.name, e.path, e.root_table, str(e.frequency), e.storage_mode, e.api_key, e.params)
        for e in settings.endpoints
    ] == [
        ("v2_faction_40832_crimes", "/faction/crimes", "v2_faction_40832_crimes_raw", "PT15M",
         "replace", ("faction_40832",), {}),
        ("v2_faction_40832_members", "/faction/members", "v2_faction_40832_members", "PT1H",
         "replace", ("faction_40832",), {"striptags": "true"}),
        ("v2_faction_40832_basic", "/faction/40832/basic", "v2_faction_basic", "PT12H",
         "append", ("faction_40832",), {}),
        ("v2_faction_17991_basic", "/faction/17991/basic", "v2_faction_basic", "P1D",
         "append", ("faction_17991",), {}),
        ("v2_faction_40832_currency", "/faction/balance", "v2_faction_currency", "PT12H",
         "append", ("faction_40832",), {}),
    ]  # fmt: skip
    assert told["endpoints"] == [endpoint.name for endpoint in settings.endpoints]
    assert (settings.limits.share, str(settings.torn.read_timeout)) == (0.6, "PT20S")
    assert settings.log.level == "warning"
    assert told["datasets"] == ["torncity-402423.torn_data"]


def test_everything_that_is_not_carried_over_is_told_and_stands_in_the_file(folder, capsys):
    told, _ = imported(capsys)
    assert [note["place"] for note in told["notes"]] == [
        "TC_API_key.json: faction_17991",
        "/*",
        "defaults.max_retries",
        "defaults.retry_delay",
        "defaults.rate_limit",
        "defaults.pagination",
        "endpoints.v2_faction_40832_crimes.table",
        "endpoints.v2_faction_40832_crimes.use_time_windows",
        "endpoints.v2_faction_40832_currency.url",
        "app_config.json: google_cloud.credentials_file",
        "app_config.json: monitoring.enable_metrics",
        "torncity-402423.torn_data",
    ]
    written = (folder / "tcdatalogger.toml").read_text()
    assert all(f"# - {note['place']}: {note['text']}" in written for note in told["notes"])


def test_a_key_is_named_by_its_place_and_is_written_nowhere(folder, capsys):
    assert main(["config", "import", "config"]) == 0
    shown = capsys.readouterr()
    written = tomllib.loads((folder / "tcdatalogger.toml").read_text())
    assert written["keys"] == {
        "default": "env:TORN_API_KEY",
        "faction_40832": "env:TORN_API_KEY_FACTION_40832",
        "faction_17991": "env:TORN_API_KEY_FACTION_17991",
    }
    assert "export TORN_API_KEY_FACTION_40832=YOUR_KEY" in shown.out
    files = [file for file in folder.rglob("*") if file.is_file() and "config" not in file.parts]
    texts = [shown.out, shown.err, *(file.read_text() for file in files)]
    assert [key for key in KEYS.values() if any(key in text for text in texts)] == []


def test_key_files_have_one_key_each_that_only_their_owner_can_read(folder, capsys):
    imported(capsys, "--key-files", "--to", "mine")
    settings = configuration.load(folder / "mine" / "tcdatalogger.toml", {})
    files = {name: Path(settings.keys[name].removeprefix("file:")) for name in KEYS}
    assert {name: file.read_text().strip() for name, file in files.items()} == KEYS
    assert {file.stat().st_mode & 0o777 for file in files.values()} == {0o600}
    assert {file.parent for file in files.values()} == {folder.resolve() / "mine" / "keys"}


def test_an_endpoint_that_holds_a_key_itself_gets_a_name_for_it(folder, capsys):
    key = "aBcDeFgH12345678"
    made, notes = one(capsys, api_key=key, url=f"{CRIMES}?key={key}")
    assert made["api_key"] == "unnamed"
    assert "api_key: an endpoint holds a key itself; put it at env:TORN_API_KEY_UNNAMED" in notes
    assert any("holds a key; it is not carried over" in note for note in notes)
    assert key not in (folder / "tcdatalogger.toml").read_text()


def test_names_of_keys_that_become_alike_stay_two(folder, capsys):
    one(capsys, keys={"my key": "aBcDeFgH12345670", "my/key": "aBcDeFgH12345671"})
    keys = tomllib.loads((folder / "tcdatalogger.toml").read_text())["keys"]
    assert list(keys) == ["default", "my_key", "my_key_2"]


@pytest.mark.parametrize(
    ("given", "made", "told"),
    [
        ({"frequency": "P1DT12H"}, {"frequency": "PT36H"}, "became PT36H"),
        ({"frequency": "P15M"}, {"frequency": "P15M"}, "for minutes write PT15M"),
        ({"frequency": "15 minutes"}, {}, "runs only when it is named"),
        ({"storage_mode": "empty"}, {"frequency": "PT1H"}, "append is taken"),
        ({"name": "My Crimes!"}, {"name": "my_crimes"}, "was 'My Crimes!'"),
        ({"url": f"{CRIMES}?cat=all&offset=0&since=1"}, {"params": {"cat": "all", "offset": "0"}},
         "takes no parameter 'since'"),
        ({"pagination": {"max_pages": 5}}, {"max_pages": 5}, "links of a list are followed"),
        ({"selection": ["basic"]}, {"path": "/faction/crimes"}, "the first tool never sent it"),
        ({"timeout": 5}, {"path": "/faction/crimes"}, "one for all endpoints"),
        ({"colour": "red"}, {"path": "/faction/crimes"}, "is no setting of the first tool"),
        ({"api_key": 7}, {"api_key": "default"}, "default is taken"),
    ],
    ids=lambda value: "" if not isinstance(value, dict) else next(iter(value), "none"),
)  # fmt: skip
def test_an_odd_setting_is_carried_over_as_far_as_it_goes(folder, capsys, given, made, told):
    found, notes = one(capsys, **given)
    assert {name: found.get(name) for name in made} == made
    assert any(told in note for note in notes), notes


@pytest.mark.parametrize(
    ("given", "told"),
    rest_slow([
        ({"url": "https://api.torn.com/faction/?selections=basic"}, "no address of version 2"),
        ({"url": "https://api.torn.com/v2/faction/crimez"}, "has no path"),
        ({"url": "https://api.torn.com/v2/faction/news"}, "needs the parameter 'cat'"),
        ({"url": None}, "no address of version 2"),
    ]),
)  # fmt: skip
def test_an_endpoint_that_cannot_be_is_left_out_with_the_reason(folder, capsys, given, told):
    found, notes = one(capsys, **given)
    assert found is None
    assert any("is left out" in note and told in note for note in notes), notes


def test_several_selections_become_an_endpoint_each(folder, capsys):
    url = "https://api.torn.com/v2/faction?selections=basic,members"
    Path("config/TC_API_config.json").write_text(json.dumps([{"name": "mine", "url": url}]))
    _, written = imported(capsys)
    assert [(e["name"], e["path"], e["frequency"]) for e in written["endpoints"]] == [
        ("mine_basic", "/faction/basic", "PT15M"),
        ("mine_members", "/faction/members", "PT15M"),
    ]


def test_the_dataset_of_the_first_tool_is_no_place_for_new_rows(folder, capsys):
    url = "bigquery://torncity-402423/torn_data?location=EU"
    assert main(["config", "import", "config", "--warehouse", url]) == 2
    assert "--warehouse bigquery://PROJECT/DATASET" in capsys.readouterr().err
    assert not (folder / "tcdatalogger.toml").exists()


def test_bigquery_gets_the_credentials_of_the_first_tool_by_their_file(folder, capsys):
    Path("config/credentials.json").write_text("{}")
    told, written = imported(capsys, "--warehouse", "bigquery://torncity-402423/torn")
    assert written["warehouse"] == {
        "url": "bigquery://torncity-402423/torn",
        "credentials": f"file:{folder.resolve()}/config/credentials.json",
    }
    assert "google_cloud" not in json.dumps(told["notes"])


def test_a_configuration_that_is_there_stays_unless_it_is_forced(folder, capsys):
    (folder / "tcdatalogger.toml").write_text("mine")
    assert main(["config", "import", "config"]) == 2
    assert (folder / "tcdatalogger.toml").read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    imported(capsys, "--force")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "There is no config/TC_API_config.json"),
        ("{", "is not JSON in line 1"),
        ('{"endpoints": {}}', "has no list of endpoints"),
    ],
)
def test_what_is_no_configuration_of_the_first_tool_is_refused(folder, capsys, text, told):
    file = Path("config/TC_API_config.json")
    file.unlink() if text is None else file.write_text(text)
    assert main(["config", "import", "config"]) == 78
    assert told in capsys.readouterr().err
    assert not (folder / "tcdatalogger.toml").exists()
