"""`probe` reports how Torn differs, without a word about anybody; `--against` logs such a Torn."""

from __future__ import annotations

import json
import re

import pytest

from bodies import member
from tcdatalogger.cli.commands.probe import filled
from tcdatalogger.core.operations import probe
from tcdatalogger.errors import ConfigError
from tcdatalogger.models import notation
from tcdatalogger.services.torncity.catalog import catalog

NEWS = """
[[endpoints]]
name = "main"
path = "/faction/news"
params = { cat = "main" }
[[endpoints]]
name = "crimes_news"
path = "/faction/news"
params = { cat = "crime" }
[[endpoints]]
name = "one_member"
path = "/user/150001/basic"
[[endpoints]]
name = "balance"
path = "/faction/balance"
"""


def report(place, *words):
    done = place.run("probe", *words)
    assert done.code == 0, done.err
    return json.loads((place.folder / "probe.json").read_text()), done


def test_a_report_has_each_path_once_and_finds_nothing_in_a_faithful_torn(workplace):
    workplace.write(NEWS)
    found, done = report(workplace)
    assert [one["path"] for one in found["paths"]] == [
        "/faction/balance", "/faction/news", "/user/{id}/basic",
    ]  # fmt: skip
    assert {one["answer"] for one in found["paths"]} == {"ok"}
    assert [one for one in found["paths"] if one.get("differences")] == []
    assert "cat" in found["paths"][1]["params"]
    assert found["paths"][1]["content"] == "application/json"
    assert "3 paths as the catalogue" in done.out
    assert not workplace.warehouse.exists()
    assert not (workplace.folder / "archive").exists()


def test_nobody_is_in_a_report(workplace):
    workplace.run("run", "faction_members")
    people = workplace.sql("select id, name, position from faction_members")
    found, done = report(workplace)
    text = json.dumps(found) + done.out + done.err
    words = set(re.findall(r"[\w-]+", text))
    assert workplace.key not in text
    assert {each["name"] for each in people}.isdisjoint(words)
    assert "40832" not in words
    numbers = {word for word in words if word.isdecimal() and len(word) > 3}
    sizes = {str(one["bytes"]) for one in found["paths"]}
    assert numbers <= sizes
    assert all(one["bytes"].bit_count() == 1 for one in found["paths"])


def test_what_torn_changed_is_reported_by_place(workplace, says):
    odd = member(7, fresh=1, level="Duke", payout=None)
    says("/faction/members", {"members": [odd, member(8)], "150001": {"Duke": 1}})
    found, done = report(workplace, "faction_members")
    (one,) = found["paths"]
    told = {(each["kind"], each["place"]) for each in one["differences"]}
    assert ("unknown field", "*") in told
    assert ("type", "members[].level") in told
    assert "Duke" not in json.dumps(found)
    assert "150001" not in json.dumps(found)
    assert re.search(r"members\[\]\.level: int expected, (int or text|text or int) came", done.out)


def test_why_a_path_did_not_answer_is_a_word(workplace, says):
    says("/faction/members", {"error": {"code": 16, "error": "Duke may not"}})
    says("/faction/basic", b"<html>Duke</html>")
    found, _ = report(workplace, "faction_members", "faction_basic")
    answers = {one["path"]: one["answer"] for one in found["paths"]}
    assert answers["/faction/members"] == "error 16"
    assert answers["/faction/basic"] != "ok"
    assert "Duke" not in json.dumps(found)


def test_links_of_another_kind_are_told(workplace, says):
    workplace.write('[[endpoints]]\nname = "a"\npath = "/faction/attacks"\n')
    link = "https://api.torn.com/v2/faction/attacks?offset=100&name=Duke"
    says("/faction/attacks", {"attacks": [], "_metadata": {"links": {"next": link, "prev": None}}})
    found, _ = report(workplace)
    (told,) = [d for d in found["paths"][0]["differences"] if d["kind"] == "links"]
    assert (told["place"], told["expected"], told["came"]) == (
        "_metadata.links.next", "time", "offset",
    )  # fmt: skip


def test_the_sandbox_answers_in_the_shapes_of_a_report(workplace, says):
    odd = member(7, rate=1)
    odd["last_action"]["status"] = {"id": 5}
    says("/faction/members", {"members": [odd]})
    report(workplace, "faction_members")
    says("/faction/members", {"members": []})

    done = workplace.run("probe", "--against", "probe.json", "--json")

    (one,) = done.json
    assert one["path"] == "/faction/members"
    assert one["drift"] >= 1
    assert one["quarantined"] >= 1
    assert "path_0" not in str(list(workplace.folder.iterdir()))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{}", "no report"),
        (b"\xff", "no report"),
        (b'{"probe": 9, "program": "9", "catalogue": "1", "paths": []}', "the form 9"),
    ],
)
def test_what_is_no_report_is_refused(workplace, body, said):
    (workplace.folder / "other.json").write_bytes(body)
    done = workplace.run("probe", "--against", "other.json")
    assert (done.code, said in done.err) == (78, True)


def test_a_broken_shape_of_a_report_is_refused():
    broken = probe.PathReport("/faction/members", "ok", shape={"object": 5})
    with pytest.raises(ConfigError, match="/faction/members"):
        broken.outline()


def test_what_a_report_does_not_know_is_as_the_catalogue_says():
    expected = notation.read({"object": {"a": {"list": "int"}, "b": "time"}}, {}, {})
    shape = notation.read({"object": {"a": {"list": "json"}, "b": "int?", "*": "json?"}}, {}, {})
    assert notation.write(filled(shape, expected), {}) == {
        "object": {"a": {"list": "int"}, "b": "time?", "1": "text?", "2": "text?"}
    }


@pytest.mark.slow
def test_every_path_that_can_be_asked_passes_through_the_probe(workplace):
    workplace.key = workplace.city.keys["full"]
    found, _ = report(workplace, "--permitted")
    askable = [each.path for each in catalog.load().endpoints if not each.route]
    assert [one["path"] for one in found["paths"]] == sorted(askable)
    assert [(one["path"], one["answer"]) for one in found["paths"] if one["answer"] != "ok"] == []
    wrong = {
        (one["path"], each["kind"]) for one in found["paths"] for each in one.get("differences", ())
    }
    assert wrong <= {("/key/info", "value")}
    assert sum(each.content == "json" for each in catalog.load().endpoints if not each.route) == 222


def test_a_weak_key_is_told_path_by_path(workplace):
    workplace.key = workplace.city.keys["public"]
    workplace.write(NEWS)
    found, _ = report(workplace)
    answers = {one["path"]: one["answer"] for one in found["paths"]}
    assert answers["/faction/balance"] == probe.NOT_PERMITTED
    assert answers["/user/{id}/basic"] == "ok"
