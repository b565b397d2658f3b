"""The shipped catalogue: what it knows of Torn's API, and that each endpoint makes sound tables."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tcdatalogger.errors import ConfigError
from tcdatalogger.models.schema import SYSTEM, family
from tcdatalogger.models.shape import Json, Kind, List, Object, walk
from tcdatalogger.services.torncity.catalog.catalog import load, read

CATALOG = load()
ENDPOINTS = [endpoint for endpoint in CATALOG.endpoints if not endpoint.route]
SPOTS = json.loads(Path(__file__).with_name("unix_times.json").read_text("utf-8"))
NAME = re.compile(r"[a-z_][a-z0-9_]*")
UNTIL_2027 = {
    "/torn/items": ["value.vendor", "value.buy_price", "value.sell_price"],
    "/torn/{ids}/items": ["value.vendor", "value.buy_price", "value.sell_price"],
}


def test_it_knows_234_paths_of_which_nine_are_routes_and_three_are_csv():
    assert CATALOG.version == "6.13.6"
    assert len(CATALOG.endpoints) == 234
    assert len({endpoint.path for endpoint in CATALOG.endpoints}) == 234
    assert len(ENDPOINTS) == 225
    routes = {endpoint.path for endpoint in CATALOG.endpoints if endpoint.route}
    sections = "user faction company forum key market racing property torn".split()
    assert routes == {f"/{section}" for section in sections}
    assert {e.path for e in ENDPOINTS if e.content == "csv"} == {
        f"/{section}/snapshot" for section in ("user", "faction", "company")
    }


def test_it_knows_who_may_read_what():
    levels = Counter(endpoint.access for endpoint in CATALOG.endpoints)
    assert levels == {"public": 168, "minimal": 36, "limited": 29, "full": 1}
    assert CATALOG.find("/user/log")[0].access == "full"
    members = [endpoint.path for endpoint in CATALOG.endpoints if endpoint.faction_access]
    assert len(members) == 13
    assert {"/faction/balance", "/faction/crimes", "/faction/news"} <= set(members)
    assert "/faction/members" not in members
    assert Counter(e.stable for e in CATALOG.endpoints) == {True: 213, False: 21}


def test_it_knows_the_ways_of_paging():
    kinds = Counter(paging_of(endpoint) for endpoint in ENDPOINTS)
    assert kinds == {
        "from, to, limit, sort": 33,
        "from, to, limit": 1,  # /user/events
        "from, to, limit, nanostamp": 1,  # /user/log
        "limit, offset": 16,
        "limit, offset, sort": 6,
        "from, to, limit, offset, sort": 2,  # /faction/crimes, /faction/rankedwars
        "cursor": 1,  # /user/search
        "": 160,
        # Without a limit of the caller's own:
        "offset": 1,
        "offset, sort": 1,
        "from, to, offset, sort": 1,
        "sort": 2,  # /torn/items, which has no pages
    }


def paging_of(endpoint):
    words = ("from", "to", "limit", "offset", "sort", "nanostamp", "cursor")
    found = [word for word in words if endpoint.parameter(word)]
    return "cursor" if "cursor" in found else ", ".join(found)


@pytest.mark.parametrize(
    ("path", "kind", "limit"),
    [
        ("/user/attacks", "time", 100),
        ("/user/attacksfull", "time", 1000),
        ("/user/forumposts", "time", 20),
        ("/user/log", "nanostamp", 100),
        ("/user/list", "offset", 50),
        ("/user/search", "cursor", None),
        ("/faction/crimes", "all", 100),
        ("/faction/rankedwars", "all", 100),
        ("/faction/members", "none", None),
        ("/faction/territoryownership", "offset", 500),
    ],
)
def test_each_way_of_paging_has_its_largest_page(path, kind, limit):
    endpoint, _ = CATALOG.find(path)
    assert endpoint.paging == kind
    assert endpoint.limit == limit or limit is None


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_the_family_of_an_endpoint_is_sound(endpoint):
    found = family(endpoint.shape, endpoint.name, selection=endpoint.selection)
    names = [table.name for table in found.tables]
    assert len(set(names)) == len(names)
    assert names[0] == endpoint.name
    assert all(name.startswith(endpoint.name) for name in names)
    for table in found.tables:
        columns = [column.name for column in table.columns]
        assert all(NAME.fullmatch(name) for name in (table.name, *columns))
        assert len(set(columns)) == len(columns)
        assert tuple(columns[-3:]) == SYSTEM
        assert not set(columns[:-3]) & set(SYSTEM)
        assert table.key
        assert len(set(table.key)) == len(table.key)
        assert set(table.key) <= set(columns)
        assert not table.learned
        assert not any(column.learned for column in table.columns)
    lists = [path for path, shape in walk(found.shape) if isinstance(shape, List)]
    assert len(found.tables) == len(lists) + (not found.listed)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/faction/members", ("id",)),
        ("/faction/crimes", ("id",)),
        ("/torn/items", ("id",)),
        ("/user/log", ("id",)),
        ("/faction/basic", ("id",)),
        ("/faction/balance", ("_subject_id",)),
    ],
)
def test_the_root_is_known_by_its_id_or_by_whom_it_is_about(path, key):
    endpoint, _ = CATALOG.find(path)
    found = family(endpoint.shape, endpoint.name, selection=endpoint.selection)
    assert found.tables[0].key == key


def at(spot):
    path, _, way = spot.partition(": ")
    shape = CATALOG.find(path)[0].shape
    for word in way.replace("[]", ".[]").split("."):
        shape = shape.element if word == "[]" else shape.field(word).shape
    return shape


@pytest.mark.parametrize("spot", SPOTS["times"])
def test_a_unix_time_is_a_time(spot):
    assert at(spot).kind is Kind.TIME


@pytest.mark.parametrize("spot", SPOTS["numbers"])
def test_a_duration_a_delay_or_a_count_is_no_time(spot):
    assert at(spot).kind in (Kind.INT, Kind.FLOAT)


def test_nothing_that_is_named_as_a_duration_is_a_time_anywhere():
    for endpoint in ENDPOINTS:
        for path, shape in walk(endpoint.shape):
            if path and re.search(r"(_delay|_left|_time|_remaining|duration|timeout)$", path[-1]):
                known = path[-1] in {"created_time", "first_post_time", "last_post_time"}
                assert getattr(shape, "kind", None) is not Kind.TIME or known, (endpoint.path, path)


def fields_of(shape, way):
    for word in way.split("."):
        if isinstance(shape, List):
            shape = shape.element
        field = shape.field(word)
        shape = field.shape
    return field


@pytest.mark.parametrize("path", UNTIL_2027)
def test_what_goes_in_2027_is_marked(path):
    endpoint, _ = CATALOG.find(path)
    items = endpoint.shape.field("items").shape
    for way in UNTIL_2027[path]:
        field = fields_of(items, way)
        assert (field.deprecated, field.ends) == (True, "2027-01-01")
    assert not fields_of(items, "value.shops").deprecated


def test_the_columns_of_what_goes_are_marked_and_no_others():
    endpoint, _ = CATALOG.find("/torn/items")
    [root, *_] = family(endpoint.shape, endpoint.name).tables
    gone = {column.name for column in root.columns if column.ends == "2027-01-01"}
    assert gone >= {"value_buy_price", "value_sell_price"}
    assert all(re.match("value_(vendor|buy_price|sell_price)", name) for name in gone)


def test_the_endpoint_that_goes_is_marked():
    gone = [(e.path, e.ends) for e in CATALOG.endpoints if e.deprecated]
    assert gone == [("/faction/warfare", "2027-01-01")]


def test_routes_hold_whatever_was_asked_for():
    assert all(isinstance(e.shape, Json) for e in CATALOG.endpoints if e.route)
    assert all(isinstance(e.shape, Object) for e in ENDPOINTS)


@pytest.mark.parametrize("endpoint", CATALOG.endpoints, ids=lambda endpoint: endpoint.path)
def test_every_path_finds_itself_and_its_concrete_form(endpoint):
    assert CATALOG.find(endpoint.path) == (endpoint, {})
    concrete = re.sub(r"\{\w+\}", "7", endpoint.path)
    found, values = CATALOG.find(concrete)
    assert found is endpoint
    assert values == dict.fromkeys((p.name for p in endpoint.path_parameters), "7")


@pytest.mark.parametrize(
    ("path", "template", "values"),
    [
        ("/faction/40832/members", "/faction/{id}/members", {"id": "40832"}),
        ("faction/members/", "/faction/members", {}),
        ("/v2/faction/members", "/faction/members", {}),
        (
            "https://api.torn.com/v2/faction/40832/members?striptags=true",
            "/faction/{id}/members",
            {"id": "40832"},
        ),
        ("/user/12/crimes", "/user/{crimeId}/crimes", {"crimeId": "12"}),
        ("/torn/1,2,3/items", "/torn/{ids}/items", {"ids": "1,2,3"}),
        ("/v2/user", "/user", {}),
    ],
)
def test_a_path_is_found_however_it_is_written(path, template, values):
    endpoint, found = CATALOG.find(path)
    assert (endpoint.path, found) == (template, values)


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/faction/membrs", "/faction/members"),
        ("/faction/crime", "/faction/crimes"),
        ("/user/atacks", "/user/attacks"),
        ("/faction/abc/members", "/faction/{id}/members"),
    ],
)
def test_a_near_miss_is_answered_with_the_near_path(path, near):
    with pytest.raises(ConfigError) as caught:
        CATALOG.find(path)
    assert near in caught.value.remedy


@pytest.mark.parametrize("path", ["", "/", "/v2", "/nothing/like/this/at/all"])
def test_a_far_miss_is_told_where_to_look(path):
    with pytest.raises(ConfigError, match="catalog"):
        CATALOG.find(path)


def test_a_key_in_an_address_is_not_repeated_in_the_error():
    with pytest.raises(ConfigError) as caught:
        CATALOG.find("https://api.torn.com/v2/nothing?key=aBcDeF1234567890")
    assert "aBcDeF" not in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"version":1}', b"\xff"])
def test_what_is_no_catalogue_is_refused_with_its_place(raw):
    with pytest.raises(ConfigError, match=r"other\.json is not a compiled catalogue"):
        read(raw, "other.json")


def test_a_catalogue_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json cannot be read"):
        load(tmp_path / "none.json")
