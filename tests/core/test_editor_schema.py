"""The schema for editors takes every good configuration, and lists what may be written."""

from __future__ import annotations

import functools
import json
import re
import tomllib

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.cli import main
from tcdatalogger.core.config import configuration, editor_schema
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.catalog import catalog

KNOWN = catalog.load()
ASKABLE = [each for each in KNOWN.endpoints if not each.route]
LARGEST = 1_000_000


@functools.cache
def validator():
    schema = editor_schema.editor_schema(KNOWN)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def mistakes(text):
    return list(validator().iter_errors(tomllib.loads(text)))


def loads(text, tmp_path_factory):
    file = tmp_path_factory.mktemp("config") / "tcdatalogger.toml"
    file.write_text(text, encoding="utf-8")
    try:
        configuration.load(file, {})
    except ConfigError:
        return False
    return True


def endpoint(path, **params):
    pairs = ", ".join(f"{name} = {json.dumps(value)}" for name, value in params.items())
    return (
        '[keys]\ndefault = "env:TORN_API_KEY"\n[[endpoints]]\nname = "one"\n'
        f'path = "{path}"\nparams = {{ {pairs} }}\n'
    )


def values(parameter):
    """Values of a parameter that are right, and some that are not."""
    wrong = st.sampled_from(["no such value", -1, True, "7"])
    if parameter.values:
        return st.sampled_from(parameter.values) | wrong
    if parameter.kind == "int":
        low = parameter.minimum or 0
        return st.integers(low, low + 5) | st.integers(10**6, 10**7) | wrong
    if parameter.kind == "bool":
        return st.booleans() | st.sampled_from(["true", "False"]) | wrong
    return st.sampled_from(["a text", 7])


@st.composite
def endpoints(draw):
    """An endpoint of the catalogue with some of its parameters."""
    chosen = draw(st.sampled_from(ASKABLE))
    path = re.sub(r"\{\w+\}", str(draw(st.integers(1, 10**6))), chosen.path)
    params = {
        each.name: draw(values(each))
        for each in chosen.parameters
        if each.where == "query"
        and each.name not in ("key", "comment")
        and (each.required or draw(st.booleans()))
    }
    return endpoint(path, **params)


@given(endpoints())
def test_what_may_be_logged_the_schema_takes(tmp_path_factory, text):
    if loads(text, tmp_path_factory):
        assert [error.message for error in mistakes(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        endpoint("/faction/crime"),
        endpoint("/faction/crimes", cats="all"),
        endpoint("/faction/crimes", cat="al"),
        endpoint("/faction/selections"),
        endpoint("/faction/news"),
        endpoint("/faction/crimes", limit="many"),
        endpoint("/faction/crimes", key="x"),
        '[warehouse]\nurls = "x"\n',
    ],
)
def test_what_is_wrong_is_marked_before_it_is_run(tmp_path_factory, text):
    assert not loads(text, tmp_path_factory)
    assert mistakes(text)


def test_an_editor_completes_paths_parameters_and_values():
    schema = validator().schema
    fields = schema["$defs"]["EndpointSettings"]["properties"]
    assert fields["path"]["anyOf"][0]["enum"] == [each.path for each in ASKABLE]
    references = fields["params"]["properties"]["cat"]["anyOf"]
    found = [schema["$defs"][each["$ref"].rpartition("/")[2]] for each in references]
    listed = {value for each in found for value in each["anyOf"][0].get("enum", ())}
    assert {"all", "planning", "gangs"} - listed == {"gangs"}
    assert fields["path"]["description"]


def test_each_path_has_one_rule_with_its_own_parameters():
    rules = validator().schema["$defs"]["EndpointSettings"]["allOf"]
    patterns = [re.compile(rule["if"]["properties"]["path"]["pattern"]) for rule in rules]
    for each in ASKABLE:
        path = re.sub(r"\{\w+\}", "7", each.path)
        for spelled in (path, each.path, f"https://api.torn.com/v2{path}"):
            (number,) = [n for n, rule in enumerate(patterns) if rule.search(spelled)]
            assert ASKABLE[number] is each


def test_the_schema_is_small_enough_for_an_editor(tmp_path):
    file = editor_schema.write(tmp_path, KNOWN)
    assert file.stat().st_size < LARGEST
    assert json.loads(file.read_text()) == validator().schema
    assert [each.name for each in tmp_path.iterdir()] == [editor_schema.FILE]


def test_another_catalogue_renews_the_schema_that_is_there(workplace):
    written = workplace.folder / editor_schema.FILE
    facts = json.loads(catalog.files(catalog.__package__).joinpath("catalog.json").read_bytes())
    facts["endpoints"] = [e for e in facts["endpoints"] if e["path"] != "/faction/hof"]
    other = workplace.folder / "other.json"
    other.write_text(json.dumps(facts))

    assert workplace.run("catalog", "use", str(other)).code == 0
    assert not written.exists()

    editor_schema.write(workplace.folder, KNOWN)
    assert workplace.run("catalog", "use", str(other)).code == 0
    assert "/faction/hof" not in written.read_text()
    assert '"/faction/hof"' not in workplace.run("config", "schema").out
    assert workplace.run("catalog", "use", "--shipped").code == 0
    assert "/faction/hof" in written.read_text()


def test_the_schema_is_printed_without_a_configuration_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TCDATALOGGER_CONFIG", raising=False)
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == validator().schema
