from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from textwrap import dedent

import jsonschema
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.core.config import configuration
from tcdatalogger.core.config.overrides import value_of
from tcdatalogger.core.config.requests import path_values, query
from tcdatalogger.errors import ConfigError, UsageError
from tcdatalogger.services.torncity.catalog import catalog

KEY = "Zx81kQ2mPp0AbCdE"
EXAMPLE = Path(__file__).parents[2] / "config" / "tcdatalogger.toml"
MINIMAL = """\
[keys]
default = "env:TORN_API_KEY"

[[endpoints]]
name = "faction_crimes"
path = "/faction/crimes"
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        file = tmp_path / "tcdatalogger.toml"
        file.write_text(dedent(text), encoding="utf-8")
        return file

    return write


def problems(file, environ=None, overrides=(), names=None):
    """What is wrong with a file, without the folder it lies in."""
    with pytest.raises(ConfigError) as caught:
        configuration.load(file, environ or {}, overrides, names=names)
    assert KEY not in f"{caught.value!s}{caught.value!r}"
    assert caught.value.exit_code == 78
    return [problem.replace(f"{file}:", "") for problem in caught.value.problems]


def only_problem(*args, **kwargs):
    (problem,) = problems(*args, **kwargs)
    return problem


# What a good file means


def test_defaults_are_those_of_the_design(write):
    file = write(MINIMAL)
    settings = configuration.load(file, {})
    (crimes,) = settings.endpoints
    folder = file.parent.resolve()
    assert settings.warehouse.file == folder / "data/torn.duckdb"
    assert settings.state.file == folder / "data/torn.state.sqlite"
    assert settings.archive.path == str(folder / "data/archive")
    assert settings.torn.url == "https://api.torn.com/v2"
    assert (crimes.api_key, crimes.storage_mode, crimes.timeout.seconds) == (
        ("default",),
        "append",
        300,
    )
    assert (crimes.root_table, crimes.enabled, crimes.contract) == (
        "faction_crimes",
        True,
        "evolve",
    )
    assert settings.endpoint("faction_crimes") is crimes
    assert settings.endpoint("other") is None


def test_settings_are_frozen(write):
    settings = configuration.load(write(MINIMAL), {})
    with pytest.raises(pydantic.ValidationError):
        settings.endpoints[0].enabled = False


def test_the_example_shows_every_setting_and_is_valid():
    settings = configuration.load(EXAMPLE, {})
    text = EXAMPLE.read_text(encoding="utf-8")
    for model in (
        settings,
        *settings.endpoints,
        *settings.channels,
        *settings.exports,
        *(getattr(settings, n) for n in configuration._SECTIONS),
    ):
        for name in type(model).model_fields:
            assert re.search(rf"^\[*{name}\b", text, re.MULTILINE), f"{name} is not in {EXAMPLE}"


def test_relative_paths_are_those_of_the_files_folder(write, monkeypatch):
    file = write(
        """\
        [warehouse]
        url = "duckdb:///here/w.duckdb"
        [archive]
        path = "../raw"
        [log]
        file = "log.jsonl"
        [keys]
        default = "file:keys/torn"
        other = "file:/run/secrets/torn"
        """
    )
    monkeypatch.chdir("/")
    settings = configuration.load(file, {})
    folder = file.parent.resolve()
    assert settings.warehouse.url == f"duckdb:///{folder}/here/w.duckdb"
    assert settings.state.file == folder / "here/w.state.sqlite"
    assert settings.archive.path == str(folder.parent / "raw")
    assert settings.log.file == folder / "log.jsonl"
    assert settings.keys == {
        "default": f"file:{folder}/keys/torn",
        "other": "file:/run/secrets/torn",
    }


def test_four_slashes_begin_at_the_root(write, tmp_path):
    file = write(f'[warehouse]\nurl = "duckdb:///{tmp_path}/x.duckdb"\n')
    assert configuration.load(file, {}).warehouse.file == tmp_path.resolve() / "x.duckdb"


def test_a_dataset_of_bigquery_is_a_warehouse_and_the_rest_lies_in_data(write):
    file = write(
        """\
        [warehouse]
        url = "bigquery://torn-1/faction?location=EU"
        credentials = "file:google.json"
        partition = "day"
        require_partition_filter = true
        kms_key = "projects/torn-1/locations/europe/keyRings/torn/cryptoKeys/faction"
        """
    )
    settings = configuration.load(file, {})
    folder = file.parent.resolve()
    assert settings.warehouse.url == "bigquery://torn-1/faction?location=EU"
    assert settings.warehouse.file is None
    assert settings.warehouse.credentials == f"file:{folder}/google.json"
    assert settings.state.file == folder / "data/torn.state.sqlite"


def test_a_whole_address_is_a_path_and_its_parameters(write):
    file = write(
        """\
        [keys]
        default = "env:TORN_API_KEY"
        [[endpoints]]
        name = "news"
        url = "https://api.torn.com/v2/faction/news?cat=main&limit=5"
        params = { limit = 100 }
        """
    )
    (news,) = configuration.load(file, {}).endpoints
    assert (news.path, news.params) == ("/faction/news", {"cat": "main", "limit": 100})


def test_a_file_of_an_editor_that_marks_its_encoding_is_read(tmp_path):
    file = tmp_path / "marked.toml"
    file.write_text(MINIMAL, encoding="utf-8-sig")
    assert configuration.load(file, {}).endpoints


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('path = "/faction/members"', [{}]),
        ('path = "/faction/40832/members"', [{"id": "40832"}]),
        ('path = "/faction/{id}/members"\nids = [1, 2]', [{"id": "1"}, {"id": "2"}]),
        ('path = "/faction/{id}/members"\nids = 1', [{"id": "1"}]),
        ('path = "/faction/{id}/members"\nparams = { id = 7 }', [{"id": "7"}]),
    ],
)
def test_one_request_is_made_for_each_id(write, lines, expected):
    file = write(f'[keys]\ndefault = "env:K"\n[[endpoints]]\nname = "members"\n{lines}\n')
    (endpoint,) = configuration.load(file, {}).endpoints
    entry, given = catalog.load().find(endpoint.path)
    assert list(path_values(endpoint, entry, given)) == expected


def test_parameters_become_text_as_torn_reads_it(write):
    file = write(
        """\
        [keys]
        default = "env:K"
        [[endpoints]]
        name = "attacks"
        path = "/faction/40832/members"
        params = { striptags = false }
        """
    )
    (endpoint,) = configuration.load(file, {}).endpoints
    entry, _ = catalog.load().find(endpoint.path)
    assert query(endpoint, entry) == (("striptags", "false"),)


# Where the file is


def test_the_file_is_named_by_argument_then_environment_then_folder(write, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write(MINIMAL)
    other = tmp_path / "other.toml"
    other.write_text("")
    named = {"TCDATALOGGER_CONFIG": str(other)}
    assert configuration.load(None, {}).endpoints
    assert not configuration.load(None, named).endpoints
    assert configuration.load(tmp_path / "tcdatalogger.toml", named).endpoints


def test_without_a_file_the_remedy_is_init(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="tcdatalogger init"):
        configuration.load(None, {})
    with pytest.raises(ConfigError, match=r"no configuration file nowhere\.toml"):
        configuration.load(Path("nowhere.toml"), {})


def test_a_file_that_is_no_text_or_no_file_is_said_to_be(tmp_path):
    file = tmp_path / "x.toml"
    file.write_bytes(b"\xff\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        configuration.load(file, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        configuration.load(tmp_path, {})


# Overrides


def test_the_environment_overrides_the_file_and_set_overrides_both(write):
    file = write(MINIMAL)
    environ = {
        "TCDATALOGGER_LIMITS__SHARE": "0.5",
        "TCDATALOGGER_LOG__LEVEL": "debug",
        "TCDATALOGGER_ENDPOINTS__FACTION_CRIMES__STORAGE_MODE": "replace",
        "TCDATALOGGER_ENDPOINTS__FACTION_CRIMES__PARAMS__CAT": "planning",
        "TCDATALOGGER_KEYS__DEFAULT": "env:OTHER",
        "TCDATALOGGER_CONFIG": "ignored",
        "TCDATALOGGER_PORT": "tcp://of.kubernetes",
        "PATH": "x",
    }
    settings = configuration.load(file, environ, ["limits.share=0.25", "torn.comment=x"])
    (crimes,) = settings.endpoints
    assert (settings.limits.share, settings.log.level, settings.torn.comment) == (
        0.25,
        "debug",
        "x",
    )
    assert (crimes.storage_mode, crimes.params) == ("replace", {"cat": "planning"})
    assert settings.keys == {"default": "env:OTHER"}


def test_a_bare_key_is_meant_for_the_endpoints_of_the_run(write):
    file = write(MINIMAL + '[[endpoints]]\nname = "other"\npath = "/faction/basic"\n')
    override = ["timeout=PT9M", "endpoints.other.enabled=false"]
    first, second = configuration.load(file, {}, override, names=["faction_crimes"]).endpoints
    assert (first.timeout.seconds, second.timeout.seconds) == (540, 300)
    assert (first.enabled, second.enabled) == (True, False)
    first, second = configuration.load(file, {}, override).endpoints
    assert (first.timeout.seconds, second.timeout.seconds) == (540, 540)


def test_an_overriding_path_takes_the_place_of_a_url(write):
    file = write(MINIMAL.replace('path = "', 'url = "https://api.torn.com/v2'))
    (endpoint,) = configuration.load(file, {}, ["path=/faction/basic"]).endpoints
    assert (endpoint.path, endpoint.url) == ("/faction/basic", None)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "warehouse.ulr=x",
            "--set warehouse.ulr: warehouse.ulr: is not a setting. Did you mean 'url'?",
        ),
        ("warehuose.url=x", "Did you mean 'warehouse'?"),
        ("storage_mod=replace", "Did you mean 'storage_mode'?"),
        (
            "endpoints.faction_crime.timeout=PT1M",
            "no such endpoint. Did you mean 'faction_crimes'?",
        ),
        ("endpoints.faction_crimes=1", "names no setting"),
        ("warehouse=x", "names a section"),
        ("timeout=soon", "--set timeout: endpoints.faction_crimes.timeout: not an ISO 8601"),
        ("timeout.x.y=1", "holds no settings of its own"),
        (f"keys.default={KEY}", "holds a key itself"),
        (f"api_key={KEY}", "looks like a key itself"),
        (f"{KEY}=1", "there is no such setting"),
    ],
)
def test_a_wrong_override_is_named_by_its_option(write, override, said):
    text = MINIMAL + 'timeout = "PT1M"\n'
    assert said in only_problem(write(text), overrides=[override])


def test_a_wrong_variable_is_named(write):
    found = problems(
        write(MINIMAL),
        {"TCDATALOGGER_WAREHOUSE__ULR": "x", "TCDATALOGGER_ENDPOINTS__FACTION_CRIME__KEY": "x"},
    )
    hint = "Did you mean 'faction_crimes'?"
    assert found == [
        f"TCDATALOGGER_ENDPOINTS__FACTION_CRIME__KEY: there is no such endpoint. {hint}",
        "TCDATALOGGER_WAREHOUSE__ULR: warehouse.ulr: is not a setting. Did you mean 'url'?",
    ]


def test_an_override_without_an_equals_sign_is_wrong_usage(write):
    with pytest.raises(UsageError, match="KEY=VALUE"):
        configuration.load(write(MINIMAL), {}, ["storage_mode"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("0.5", 0.5),
        ("true", True),
        ('["a", "b"]', ["a", "b"]),
        ('{ cat = "all" }', {"cat": "all"}),
        ('"5"', "5"),
        ("PT5M", "PT5M"),
        ("duckdb:///x", "duckdb:///x"),
        ("2026-01-01", "2026-01-01"),
        ("1\nkeys = 2", "1\nkeys = 2"),
        ("", ""),
    ],
)
def test_an_override_is_toml_where_it_is_some_and_itself_otherwise(text, value):
    assert value_of(text) == value


# Mistakes


def test_every_mistake_is_told_at_once_with_line_place_and_remedy(write):
    file = write(
        f"""\
        [warehouse]
        ulr = "duckdb:///x.duckdb"
        [archvie]
        path = "x"
        [keys]
        default = "{KEY}"
        other = "evn:TORN"
        [limits]
        share = 2
        [[endpoints]]
        name = "faction_crimes"
        path = "/faction/crime"
        frequency = "P1DT12H"
        storage_mode = "mrege"
        api_key = "defualt"
        [[endpoints]]
        name = "faction_members"
        path = "/faction/members"
        frequenzy = "PT1H"
        api_key = "{KEY}"
        params = {{ striptag = true }}
        enabled = "yes"
        """
    )
    said = {
        2: "warehouse.ulr: is not a setting. Did you mean 'url'?",
        3: "archvie: is not a section. Did you mean 'archive'?",
        6: "keys.default: holds a key itself. Write where the key is instead",
        7: "keys.other: is no reference to a key. Did you mean 'env:'?",
        9: "limits.share: must be less than or equal to 1.",
        12: "endpoints.faction_crimes.path: The catalogue",
        13: "endpoints.faction_crimes.frequency: days and longer do not mix",
        14: "endpoints.faction_crimes.storage_mode: 'mrege' is not one of append, replace",
        15: "endpoints.faction_crimes.api_key: [keys] has no 'defualt'. Did you mean 'default'?",
        19: "endpoints.faction_members.frequenzy: is not a setting. Did you mean 'frequency'?",
        20: "endpoints.faction_members.api_key: looks like a key itself",
        21: "endpoints.faction_members.params.striptag: /faction/members has no such parameter. "
        "Did you mean 'striptags'?",
        22: "endpoints.faction_members.enabled: must be true or false",
    }
    found = problems(file)
    assert [int(problem.split(":")[0]) for problem in found] == list(said)
    for (line, text), problem in zip(said.items(), found, strict=True):
        assert problem.startswith(f"{line}: {text}")
    assert (
        "Did you mean '/faction/crimes'" in found[5] or "Did you mean /faction/crimes" in found[5]
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[keys\n", 1, "Expected"),
        ('[keys]\ndefault = "a\n', 2, "Illegal character"),
        ("[a]\nb = 1\nb = 2\n", 3, "Cannot overwrite"),
        (f"[keys]\ndefault = {KEY}\n", 2, "Invalid value"),
        ("a = [1,\n\n", 3, ""),
    ],
)
def test_a_fault_of_the_toml_itself_has_its_line(write, text, line, said):
    problem = only_problem(write(text))
    assert problem.startswith(f"{line}: {said}")


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        ('name = "a"', 3, "needs a path"),
        ('path = "/faction/basic"', 3, "name: is missing"),
        ('name = "Faction Crimes"\npath = "/faction/basic"', 4, "not lower snake_case"),
        ('name = "a"\npath = "/faction/basic"\nurl = "https://x/v2/a"', 3, "both a path and a url"),
        ('name = "a"\npath = "/faction"', 5, "not an endpoint. Name one, as '/faction/"),
        ('name = "a"\npath = "/faction/{id}/basic"', 5, "needs a value for 'id'"),
        ('name = "a"\npath = "/faction/basic"\nids = [1]', 6, "no place for them"),
        ('name = "a"\npath = "/faction/5/basic"\nids = [1]', 6, "no place for them"),
        ('name = "a"\npath = "/faction/{id}/basic"\nids = [true]', 6, "must be an id"),
        ('name = "a"\npath = "/faction/{id}/basic"\nids = ["query:x", 2]', 6, "stands alone"),
        ('name = "a"\npath = "/faction/news"', 3, "needs the parameter 'cat'. One of 'main'"),
        ('name = "a"\npath = "/faction/crimes"\nparams = { cat = "al" }', 6, "Did you mean 'all'?"),
        ('name = "a"\npath = "/faction/crimes"\nparams = { limit = 0 }', 6, "must be at least 1"),
        ('name = "a"\npath = "/faction/crimes"\nparams = { limit = "x" }', 6, "a whole number"),
        ('name = "a"\npath = "/faction/crimes"\nparams = { cat = ["all"] }', 0, ""),
        ('name = "a"\npath = "/faction/crimes"\nparams = { cat = ["all", "x"] }', 6, "one value"),
        ('name = "a"\npath = "/faction/crimes"\nparams = { cat = {} }', 6, "must be a text, a num"),
        ('name = "a"\npath = "/faction/crimes"\nparams = 5', 6, "must be a table"),
        (
            f'name = "a"\npath = "/faction/basic"\nparams = {{ key = "{KEY}" }}',
            6,
            "sent in a header",
        ),
        (f'name = "a"\nurl = "https://api.torn.com/v2/faction/basic?key={KEY}"', 5, "in a header"),
        ('name = "a"\npath = "/faction/basic"\ntimeout = "P1D"', 6, "write PT24H"),
        ('name = "a"\npath = "/faction/basic"\nfrequency = 15', 6, "a duration is a text"),
        ('name = "a"\npath = "/faction/positions"\nstorage_mode = "merge"', 6, "needs a key"),
        ('name = "a"\npath = "/faction/basic"\nmax_drop = 1.5', 6, "less than or equal to 1"),
        ('name = "a"\npath = "/faction/basic"\ntags = [5]', 6, "must be a text in quotes"),
        ('name = "a"\npath = "/faction/basic"\napi_key = []', 6, "at least 1 item"),
        ('name = "a"\npath = "/faction/basic"\ntable = "_tcd_loads"', 6, "not lower snake_case"),
        ('name = "a"\npath = 5', 5, "must be a text in quotes"),
    ],
)
def test_a_wrong_endpoint_is_told_where_and_why(write, lines, line, said):
    file = write(f'[keys]\ndefault = "env:K"\n[[endpoints]]\n{lines}\n')
    if not said:
        assert configuration.load(file, {}).endpoints
        return
    problem = only_problem(file)
    assert problem.startswith(f"{line}: endpoints.")
    assert said in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[warehouse]\nurl = "mysql://x"', "2: warehouse.url: 'mysql://x' is no address of one"),
        ('[warehouse]\nurl = "duckdb:///"', "2: warehouse.url:"),
        (
            '[warehouse]\nurl = "bigquery://me:word@torn-1/d"',
            "2: warehouse.url: names no dataset of BigQuery. Write bigquery://PROJECT/DATASET",
        ),
        (
            '[warehouse]\npartition = "week"',
            "2: warehouse.partition: 'week' is not one of hour, day, month, year",
        ),
        (
            '[warehouse]\nkms_key = "projects/p/locations/eu/keyRings/r"',
            "2: warehouse.kms_key: must be written projects/P/locations/L/keyRings/R/cryptoKeys/K",
        ),
        ('[state]\nurl = "mysql://h/d"', "2: state.url: is no address of a state"),
        ('[archive]\npath = ""', "2: archive.path: is no folder"),
        ('[archive]\npath = "ftp://bkt/p"', "2: archive.path: is no folder, and no address that"),
        ('[archive]\npath = "s3://a:b@bkt/p"', "2: archive.path: must not hold a user name"),
        ('[archive]\npath = "s3://bkt/p?secret=x"', "2: archive.path: has something else than"),
        (
            '[archive]\npath = "gs://bkt"\ncredentials = "env:X"',
            "3: archive.credentials: are a file",
        ),
        (
            '[archive]\npath = "s3://bkt"\ncredentials = "x"',
            "3: archive.credentials: is no reference",
        ),
        ('[torn]\nurl = "http://api.torn.com/v2"', "2: torn.url: must begin with https"),
        ('[torn]\nurl = "https://me:pw@api.torn.com"', "2: torn.url: must not hold a user name"),
        ('[torn]\nurl = "api.torn.com"', "2: torn.url: must be a web address"),
        ('[torn]\nuser_agent = "a\\nb"', "2: torn.user_agent: has a character"),
        ('[log]\nlevel = "loud"', "2: log.level: 'loud' is not one of debug"),
        (
            '[ui]\npasswords = { leader = "env:P" }',
            "2: ui.passwords.leader: 'leader' is not one of owner, officer, member",
        ),
        ("warehouse = 5", "1: warehouse: must be a table. Write it as [warehouse]"),
        ("keys = 5", "1: keys: must be a table"),
        ("[keys]\na = 5", "2: keys.a: must be a text"),
        ('[keys]\na = "env:"', "2: keys.a: refers to nothing"),
        ('[endpoints]\nname = "a"', "1: endpoints: must be a list. Begin each"),
        ('[[endpoint]]\nname = "a"', "1: endpoint: is not a section. Did you mean 'endpoints'?"),
        ("endpoints = [5]", "1: endpoints.#1: must be a table"),
    ],
)
def test_a_wrong_section_is_told_where_and_why(write, text, said):
    assert any(problem.startswith(said) for problem in problems(write(text + "\n")))


def test_the_sandbox_may_be_reached_over_plain_http(write):
    file = write('[torn]\nurl = "http://127.0.0.1:8080/v2/"\n')
    assert configuration.load(file, {}).torn.url == "http://127.0.0.1:8080/v2"


TWO = """\
[keys]
default = "env:K"
[[endpoints]]
name = "one"
path = "/faction/1/members"
{}
[[endpoints]]
name = "{}"
path = "{}"
{}
"""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (("", "two", "/faction/2/members", ""), None),
        (("", "two", "/faction/2/members", 'table = "one"'), None),
        (("", "one", "/faction/2/members", ""), "8: endpoints.one.name: the name is taken"),
        (("", "two", "/faction/2/basic", 'table = "one"'), "10: endpoints.two.table: writes the"),
        (
            ('storage_mode = "replace"', "two", "/faction/2/members", 'table = "one"'),
            "10: endpoints.two.table: shares the table 'one' with 'one', so one would wipe",
        ),
    ],
)
def test_two_endpoints_share_a_table_only_where_no_row_suffers(write, fields, said):
    file = write(TWO.format(*fields))
    if said is None:
        assert len(configuration.load(file, {}).endpoints) == 2
    else:
        assert only_problem(file).startswith(said)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.just(KEY),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["name", "path", "url", "params", "ids", "x", KEY]), inner
            )
        ),
        max_leaves=6,
    )
)
def test_whatever_stands_in_an_endpoint_is_read_or_told_and_never_crashes(tmp_path_factory, value):
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(MINIMAL)
    raw = {"keys": {"default": "env:K"}, "endpoints": [value], "torn": value}
    found = configuration.ConfigErrors(str(file), "", raw)
    settings, parts = configuration._validated(raw, found)
    configuration.validate(settings, parts, found, catalog.load())
    assert KEY not in "".join(found.all())


# The schema


def test_the_json_schema_takes_what_we_take_and_describes_every_setting(write):
    schema = configuration.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"endpoints": [{"name": "a"}]})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"warehouse": {"ulr": "x"}})
    for model in schema["$defs"].values():
        for name, setting in model["properties"].items():
            assert setting.get("description"), f"{name} has no description"
    assert json.loads(json.dumps(schema)) == schema


# ---------------------------------------------------------------------------------------------
# What is no configuration

DEEP = {
    "a list": "deep = " + "[" * 5_000 + "]" * 5_000,
    "a list that tomllib takes": "deep = " + "[" * 100 + "]" * 100,
    "a list without its end": "deep = " + "[" * 5_000,
    "a table": "deep = " + "{ a = " * 5_000 + "1" + " }" * 5_000,
    "a header": "[" + ".".join("a" * 5_000) + "]",
    "a dotted key": ".".join("a" * 5_000) + " = 1",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_value_that_is_nested_without_end_is_a_mistake_and_no_bug(write, text):
    with pytest.raises(ConfigError, match="nested over 32 deep"):
        configuration.load(write(MINIMAL + "\n[params]\n" + text), {})


@pytest.mark.parametrize("deep", [100, 5_000])
@pytest.mark.parametrize(
    "key", ["torn.comment", "limits.share", "params", "torn." + "a." * 5_000 + "b"]
)
def test_so_is_one_of_the_command_line_or_the_environment(write, deep, key):
    value = "[" * deep + "]" * deep
    with pytest.raises(ConfigError):
        configuration.load(write(MINIMAL), {}, [f"{key}={value}"])
    variable = "TCDATALOGGER_" + key.replace(".", "__").upper()
    with pytest.raises(ConfigError):
        configuration.load(
            write(MINIMAL), {variable: value} if "__" in variable else {}, ["torn.url=x"]
        )


def test_a_file_that_never_ends_is_no_configuration():
    with pytest.raises(ConfigError, match="has over 16 MB"):
        configuration.load(Path("/dev/zero"), {})


def test_no_section_of_the_settings_is_left_unread():
    known = {*configuration._SECTIONS, *configuration._LISTS, "keys", "endpoints", "version"}
    assert known == set(configuration.Settings.model_fields)
