"""The four steps of a processor, each called alone, and the three contracts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from bodies import member
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.run.load import Guard, load_of
from tcdatalogger.errors import DataRefused, NotFound, RequestRefused, UsageError
from tcdatalogger.models.evolution import adopt
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.client.client import Answer, Request
from tcdatalogger.services.torncity.processing.base import (
    EndpointProcessor,
    Fetched,
    Known,
    Page,
    Source,
    Task,
)

CATALOG = catalog.load()
MEMBER = member()


def task(path, **facts):
    endpoint, given = CATALOG.find(path)
    ids = tuple(value for value in given.values() if not value.startswith("{"))
    facts.setdefault("ids", ids)
    facts.setdefault("name", endpoint.name)
    return Task(endpoint=endpoint, catalog_version=CATALOG.version, **facts)


def body(*members, **others):
    return json.dumps({"members": list(members), **others}).encode()


def answer(request, text, *, at=1_767_225_600.0):
    return Answer(request, 200, text, at, at - 5, 0.01)


def crime(number, **changes):
    return {"id": number, "name": f"Crime {number}", "slots": [], "rewards": None, **changes}


@pytest.fixture
def asking(city, make_client, make_key):
    """Tools that ask the city with one of its keys."""

    def asking(key="limited", **tools):
        client = make_client(url=city.url)
        held = make_key(secret=city.keys[key])
        tools = {"subject": lambda _section: 40832, "clock": ManualClock(), **tools}
        return Source(get=lambda request: client.get(request, held), host=client.host, **tools)

    return asking


@pytest.fixture
def scripted():
    """Tools that give these bodies, a page each, and remember what was asked."""

    def scripted(*bodies, **tools):
        left, asked = list(bodies), []

        def get(request):
            asked.append(request)
            text = left.pop(0)
            if isinstance(text, Exception):
                raise text
            return answer(request, json.dumps(text).encode())

        made = Source(get=get, host="127.0.0.1", clock=ManualClock(), **tools)
        return made, asked

    return scripted


# Each step alone


def test_fetching_alone_brings_bodies_as_they_came(asking):
    fetched = EndpointProcessor(task("/faction/members"), source=asking()).fetch_data()

    (page,) = fetched.pages
    assert page.subject_id == 40832
    assert page.body == page.answer.body
    assert len(next(fetched.json())["members"]) == 30


def test_transforming_alone_needs_neither_key_nor_warehouse_nor_network():
    processor = EndpointProcessor(task("/faction/members"))

    made = processor.transform_data(Fetched.of(body(MEMBER, {**MEMBER, "id": 2})))

    assert made.rows == {"faction_members": 2}
    assert made.tables["faction_members"]["id"].to_pylist() == [1, 2]
    assert (made.drift, made.rejected, made.lacking) == ((), (), frozenset())


def test_validating_alone_passes_good_rows_on():
    processor = EndpointProcessor(task("/faction/members"))
    made = processor.transform_data(Fetched.of(body(MEMBER)))

    assert processor.validate(made).tables is made.tables


def test_storing_alone_commits_what_it_is_given(tmp_path):
    one, fetched = task("/faction/members"), Fetched.of(body(MEMBER))
    made = EndpointProcessor(one).transform_data(fetched)

    with DuckDBWarehouse(tmp_path / "torn.duckdb") as warehouse:
        receipt = warehouse.commit(load_of(one, fetched, made, Guard(), cursor=None, at=1.0))
        assert receipt.rows == {"faction_members": 1}
        assert warehouse.query("select name from faction_members").to_pylist() == [{"name": "n1"}]


def test_fetching_without_a_way_to_call_torn_says_what_is_missing():
    with pytest.raises(UsageError, match="has no way"):
        EndpointProcessor(task("/faction/members")).fetch_data()


def test_a_retry_of_a_run_has_the_load_id_of_the_first_try_and_other_runs_have_others():
    first = task("/faction/members", run_id="a")

    assert first.load_id == task("/faction/members", run_id="a").load_id
    assert first.load_id != task("/faction/members", run_id="b").load_id
    assert first.load_id != replace(first, name="other").load_id


# System columns


def test_rows_carry_the_servers_clock_in_utc_their_subject_and_their_run():
    pages = (Page(body(MEMBER), 40832, 1_767_225_601.5), Page(body({**MEMBER, "id": 2}), 9, 60.0))

    made = EndpointProcessor(task("/faction/members", run_id="r1")).transform_data(Fetched(pages))

    first, second = made.tables["faction_members"].to_pylist()
    assert first["server_timestamp"] == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert second["server_timestamp"] == datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    assert (first["_subject_id"], second["_subject_id"]) == (40832, 9)
    assert {first["_run_id"], second["_run_id"]} == {"r1"}


# Pages and ids


def test_two_factions_are_asked_for_one_by_one_and_their_rows_know_whose_they_are(asking):
    processor = EndpointProcessor(
        task("/faction/{id}/members", ids=("40832", "40991")), source=asking()
    )

    made = processor.validate(processor.transform_data(processor.fetch_data()))

    members = made.tables["faction_members"]
    counts = {s: members["_subject_id"].to_pylist().count(s) for s in (40832, 40991)}
    assert counts[40832] == 30
    assert counts[40991] > 40
    assert sum(counts.values()) == members.num_rows


def test_an_unknown_id_among_several_is_a_warning_and_the_others_are_kept(asking):
    ids = ("40832", "999999999", "40991")

    fetched = EndpointProcessor(
        task("/faction/{id}/members", ids=ids), source=asking()
    ).fetch_data()

    assert [page.subject_id for page in fetched.pages] == [40832, 40991]
    (warning,) = fetched.warnings
    assert "/faction/999999999/members" in warning


def test_an_unknown_id_alone_is_a_failure(asking):
    with pytest.raises(NotFound):
        EndpointProcessor(task("/faction/999999999/members"), source=asking()).fetch_data()


def test_a_path_with_a_placeholder_and_no_value_is_refused_by_name():
    with pytest.raises(UsageError, match=r"\{id\}") as refused:
        list(EndpointProcessor(task("/faction/{id}/members")).requests())

    assert "ids" in refused.value.remedy


def test_what_the_user_sets_goes_before_the_processors_own_parameters():
    class Wordy(EndpointProcessor):
        defaults: ClassVar = {"striptags": "true", "unheard_of": "1"}

    params = (("striptags", "false"),)
    (request, _) = next(Wordy(task("/faction/members", params=params)).requests())
    assert request == Request("/faction/members", params)

    (request, _) = next(Wordy(task("/faction/members")).requests())
    assert request.params == (("striptags", "true"),)


def test_a_row_that_comes_again_at_a_page_boundary_counts_once(scripted):
    link = "https://127.0.0.1/v2/faction/crimes?offset=2"
    tools, asked = scripted(
        {"crimes": [crime(3), crime(2)], "_metadata": {"links": {"next": link, "prev": None}}},
        {"crimes": [crime(2), crime(1)], "_metadata": {"links": {"next": None, "prev": None}}},
    )
    processor = EndpointProcessor(task("/faction/crimes"), source=tools)

    made = processor.validate(processor.transform_data(processor.fetch_data()))

    assert len(asked) == 2
    assert made.tables["faction_crimes"]["id"].to_pylist() == [3, 2, 1]
    assert (made.repeated, made.rejected) == (1, ())


def test_a_row_that_changed_between_two_pages_stands_as_it_was_last_and_the_first_is_set_aside():
    then = crime(2, status="Planning", slots=[{"position": "Driver"}])
    now = crime(2, status="Successful", slots=[{"position": "Driver"}, {"position": "Muscle"}])
    fetched = Fetched.of(
        json.dumps({"crimes": [crime(3), then]}).encode(),
        json.dumps({"crimes": [now, crime(1)]}).encode(),
    )

    made = EndpointProcessor(task("/faction/crimes")).transform_data(fetched)

    rows = {row["id"]: row["status"] for row in made.tables["faction_crimes"].to_pylist()}
    assert rows == {3: None, 2: "Successful", 1: None}
    assert made.tables["faction_crimes_slots"]["position"].to_pylist() == ["Driver", "Muscle"]
    (reject,) = made.rejected
    assert (reject.page, reject.reason) == (0, "it came again with other values: id 2")
    assert json.loads(reject.record)["status"] == "Planning"


def test_the_same_id_of_two_subjects_is_two_rows():
    pages = (Page(body(MEMBER), 1), Page(body(MEMBER), 2))
    processor = EndpointProcessor(task("/faction/members"))

    made = processor.validate(processor.transform_data(Fetched(pages)))

    assert made.tables["faction_members"]["_subject_id"].to_pylist() == [1, 2]
    assert made.repeated == 0


# Contracts


def test_evolve_keeps_an_unknown_field_as_a_column():
    made = EndpointProcessor(task("/faction/members")).transform_data(
        Fetched.of(body(MEMBER, {**MEMBER, "id": 2, "mood": "sunny"}))
    )

    assert made.tables["faction_members"]["mood"].to_pylist() == [None, "sunny"]
    (drift,) = made.drift
    assert (drift.table, drift.column, drift.type) == ("faction_members", "mood", "text")
    assert json.loads(drift.example) == "sunny"


def test_freeze_refuses_a_run_with_an_unknown_field_and_names_it():
    processor = EndpointProcessor(task("/faction/members", contract="freeze"))
    made = processor.transform_data(Fetched.of(body({**MEMBER, "mood": "sunny"})))

    with pytest.raises(DataRefused, match=r"faction_members\.mood \(text\)") as refused:
        processor.validate(made)

    assert "evolve" in refused.value.remedy


def test_freeze_takes_what_the_catalogue_knows():
    processor = EndpointProcessor(task("/faction/members", contract="freeze"))

    assert processor.validate(processor.transform_data(Fetched.of(body(MEMBER)))).rows == {
        "faction_members": 1
    }


def test_quarantine_sets_just_the_record_with_the_unknown_field_aside():
    odd = {**MEMBER, "id": 2, "mood": "sunny"}
    processor = EndpointProcessor(task("/faction/members", contract="quarantine"))

    made = processor.validate(processor.transform_data(Fetched.of(body(MEMBER, odd))))

    assert made.tables["faction_members"]["id"].to_pylist() == [1]
    assert made.drift == ()
    (reject,) = made.rejected
    assert reject.path == "members[1].mood"
    assert json.loads(reject.record) == odd


def test_a_value_that_breaks_its_type_sets_its_record_aside_under_every_contract():
    odd = {**MEMBER, "id": 2, "level": "seven"}
    for contract in ("evolve", "freeze", "quarantine"):
        processor = EndpointProcessor(task("/faction/members", contract=contract))
        made = processor.validate(processor.transform_data(Fetched.of(body(MEMBER, odd))))
        assert made.tables["faction_members"]["id"].to_pylist() == [1]
        assert [m.path for m in made.rejected] == ["members[1].level"]


# What is refused


@pytest.mark.parametrize("text", [b"{}", b'{"_metadata":{}}', b'{"members":null}'])
def test_an_answer_without_its_payload_is_refused_since_it_is_not_an_empty_list(text):
    processor = EndpointProcessor(task("/faction/members"))

    with pytest.raises(DataRefused, match="not the same as an empty list"):
        processor.validate(processor.transform_data(Fetched.of(text)))


@pytest.mark.parametrize("text", [b"<html>down</html>", b'{"members":[{"id":1},', b"[]", b"null"])
def test_an_answer_that_is_no_json_object_fails_the_run(text):
    processor = EndpointProcessor(task("/faction/members"))
    made = processor.transform_data(Fetched.of(body(MEMBER), text))

    with pytest.raises(DataRefused, match="/faction/members cannot be read"):
        processor.validate(made)


def test_a_replace_is_refused_where_a_page_has_no_payload_or_every_record_was_set_aside():
    processor = EndpointProcessor(task("/faction/members", mode="replace"))
    odd = body({**MEMBER, "level": "seven"})

    for bodies in ([body(MEMBER), b"{}"], [odd]):
        with pytest.raises(DataRefused):
            processor.validate(processor.transform_data(Fetched.of(*bodies)))
    good = processor.validate(processor.transform_data(Fetched.of(odd, body(MEMBER))))
    assert good.rows == {"faction_members": 1}


def test_a_payload_that_may_be_null_is_an_answer_in_every_mode():
    for mode in ("append", "replace"):
        processor = EndpointProcessor(task("/user/organizedcrime", mode=mode))
        made = processor.transform_data(Fetched.of(b'{"organizedCrime":null}'))
        assert processor.validate(made).rows["user_organizedcrime"] == 1


def test_an_empty_list_is_no_failure():
    processor = EndpointProcessor(task("/faction/members"))

    assert processor.validate(processor.transform_data(Fetched.of(body()))).rows == {
        "faction_members": 0
    }


def test_a_key_that_repeats_is_refused_and_the_key_named():
    processor = EndpointProcessor(task("/faction/members", key=("position",)))
    made = processor.transform_data(Fetched.of(body(MEMBER)))
    twice = replace(
        made,
        tables={n: t.take([0, 0]) for n, t in made.tables.items()},
    )

    with pytest.raises(DataRefused, match=r"faction_members \(position\) repeats in 1 rows"):
        processor.validate(twice)


def test_a_promised_field_that_is_missing_is_a_warning_and_never_a_failure():
    old = {name: value for name, value in MEMBER.items() if name != "revive_setting"}
    processor = EndpointProcessor(task("/faction/members"))

    made = processor.validate(processor.transform_data(Fetched.of(body(MEMBER, {**old, "id": 2}))))

    assert made.rows == {"faction_members": 2}
    assert made.warnings == (
        "faction_members.revive_setting is missing in 1 of 2 rows, and promised",
    )


def test_an_error_of_torns_in_the_middle_of_the_pages_is_no_shorter_list(scripted):
    link = "https://127.0.0.1/v2/faction/crimes?offset=2"
    tools, _ = scripted(
        {"crimes": [crime(3)], "_metadata": {"links": {"next": link, "prev": None}}},
        RequestRefused("said 21"),
    )

    with pytest.raises(RequestRefused):
        EndpointProcessor(task("/faction/crimes"), source=tools).fetch_data()


# What earlier runs learned


def test_what_an_earlier_run_learned_is_known_and_read_the_fast_way(monkeypatch):
    odd = {**MEMBER, "mood": "sunny", "pets": [{"kind": "owl"}]}
    first = EndpointProcessor(task("/faction/members")).transform_data(Fetched.of(body(odd)))
    assert len(first.drift) == 2
    grown = first.family.shape

    def careful(*_args, **_options):
        raise AssertionError("the careful reader was needed")

    monkeypatch.setattr("tcdatalogger.models.reading.decode._decode_with_care", careful)
    second = EndpointProcessor(task("/faction/members"), known=Known(grown)).transform_data(
        Fetched.of(body(odd, {**MEMBER, "id": 2}))
    )

    assert second.drift == ()
    assert second.rows == {"faction_members": 2, "faction_members_pets": 1}
    assert second.tables["faction_members"]["mood"].to_pylist() == ["sunny", None]


def test_a_field_that_the_catalogue_learned_since_is_the_catalogues():
    shape = CATALOG.find("/faction/members")[0].shape
    odd = {**MEMBER, "mood": "sunny"}
    made = EndpointProcessor(task("/faction/members")).transform_data(Fetched.of(body(odd)))

    grown = adopt(shape, made.family.shape)

    names = [f.name for f in grown.field("members").shape.element.fields]
    assert names[-1] == "mood"
    assert adopt(grown, made.family.shape) == grown


def test_a_page_of_an_answer_takes_a_body_of_somebody_else(scripted):
    tools, _ = scripted({"members": [MEMBER]})
    [page] = EndpointProcessor(task("/faction/members"), source=tools).fetch_data().pages

    other = replace(page, body=b"{}")

    assert (other.body, replace(other, subject_id=7).body) == (b"{}", b"{}")
    assert (other.subject_id, other.server_time) == (page.subject_id, page.server_time)
