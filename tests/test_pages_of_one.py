"""What is one thing on several pages: a page's own facts beside a list, the item in the path."""

from __future__ import annotations

import pytest

from tcdatalogger.core.config import configuration
from tcdatalogger.errors import ConfigError
from tcdatalogger.models.records import key_columns
from tcdatalogger.services.torncity.catalog import catalog

CATALOG = catalog.load()
PATHS = [endpoint for endpoint in CATALOG.endpoints if not endpoint.route]
KEYLESS = [endpoint for endpoint in PATHS if key_columns(endpoint.family) is None]
WITHOUT = ["/user/racingrecords"]
PROPOSED = {
    "/racing/{trackId}/records": "driver_id", "/racing/cars": "car_item_id",
    "/company/applications": "player_id", "/faction/positions": "name", "/torn/museum": "name",
}  # fmt: skip
ENDPOINT = '[[endpoints]]\nname = "rows"\nstorage_mode = "merge"\n'
PAGES = [
    "/user/inventory", "/faction/inventory", "/company/{typeId}/companies",
    "/market/{id}/itemmarket", "/market/{propertyTypeId}/properties",
    "/market/{propertyTypeId}/rentals", "/torn/attacklog", "/torn/bounties",
]  # fmt: skip
ITEM = {"id": 206, "name": "Xanax", "type": "Drug", "average_price": 800_000}
MARKET = '[[endpoints]]\nname = "market"\npath = "/market/{id}/itemmarket"\nids = [206]\n'
MODES = ("append", "replace", "merge", "history")


def page(item, prices, at, *, onward=""):
    """A page of a market, cached at some time."""
    return {
        "itemmarket": {
            "item": {**ITEM, **item},
            "listings": [{"price": price, "amount": 1} for price in prices],
            "cache_timestamp": 1_767_225_600 + at,
            "cache_delay": 30,
        },
        "_metadata": {"links": {"next": onward or None, "prev": None}},
    }


@pytest.fixture
def place(workplace, says, city):
    workplace.key = city.keys["full"]

    def market(number, *found):
        """Several pages of the market of one item."""
        path = f"/market/{number}/itemmarket"
        links = [f"{city.url}{path}?offset={at}" for at in range(1, len(found))]
        says(
            path,
            *(
                page({"id": number}, *one, onward=on)
                for one, on in zip(found, [*links, ""], strict=True)
            ),
        )

    workplace.market = market
    return workplace


def run(place, name="market"):
    place.clock.sleep(60)
    done = place.run("run", name, "--json")
    return done.code, done.json[0]


@pytest.mark.parametrize("mode", MODES)
def test_a_market_of_three_pages_is_one_row_and_its_listings_go_on(place, mode):
    place.write(MARKET.replace("[206]", "[206, 15]") + f'storage_mode = "{mode}"\n')
    place.market(206, ([5, 6], 0), ([7], 0), ([], 1))
    place.market(15, ([9], 0), ([10, 11], 0))

    code, told = run(place)

    assert (code, told["quarantined"]) == (0, 0)
    rows = place.sql("select _subject_id, item_id, cache_timestamp from market order by 1")
    assert [(row["_subject_id"], row["item_id"]) for row in rows] == [(15, 15), (206, 206)]
    assert rows[1]["cache_timestamp"].timestamp() == 1_767_225_601
    listings = place.sql("select _subject_id, _index, price from market_listings order by 1, 2")
    assert [tuple(row.values()) for row in listings] == [
        (15, 0, 9), (15, 1, 10), (15, 2, 11), (206, 0, 5), (206, 1, 6), (206, 2, 7),
    ]  # fmt: skip


def test_in_merge_a_market_gives_way_to_what_it_is_later(place):
    place.write(f'{MARKET}storage_mode = "merge"\n')
    place.market(206, ([5, 6], 0), ([7], 0))
    run(place)
    place.market(206, ([8], 60), ([9], 60))
    run(place)

    assert place.value("select count(*) from market") == 1
    assert place.value("select list(price order by _index) from market_listings") == [8, 9]


def test_what_pages_say_of_one_thing_that_is_not_the_same_is_set_aside(place, says, city):
    place.write(MARKET)
    onward = f"{city.url}/market/206/itemmarket?offset=1"
    says(
        "/market/206/itemmarket",
        page({"average_price": 1}, [5], 0, onward=onward),
        page({"average_price": 2}, [6], 9),
    )

    code, told = run(place)

    assert (code, told["quarantined"]) == (0, 1)
    assert place.value("select item_average_price from market") == 2
    assert '"item_average_price":1' in place.value("select record from _tcd_quarantine")


def test_of_all_endpoints_these_have_facts_beside_a_list_of_pages():
    found = [
        endpoint.path
        for endpoint in PATHS
        if endpoint.paging != "none" and not endpoint.family.listed
    ]
    assert found == PAGES


def test_only_rows_of_a_list_are_told_by_their_place():
    for endpoint in PATHS:
        if not endpoint.family.listed:
            assert "_index" not in endpoint.family.tables[0].key
            assert key_columns(endpoint.family) is not None


@pytest.mark.parametrize("endpoint", KEYLESS, ids=lambda endpoint: endpoint.path)
def test_a_key_that_is_proposed_works(workplace, endpoint):
    ids = "ids = [1]\n" if endpoint.path_parameters else ""
    needed = [p for p in endpoint.parameters if p.required and p.where == "query"]
    params = ", ".join(f'{parameter.name} = "{parameter.values[0]}"' for parameter in needed)
    words = f'{ENDPOINT}path = "{endpoint.path}"\nparams = {{ {params} }}\n{ids}'

    with pytest.raises(ConfigError) as refused:
        configuration.load(workplace.write(words), {})

    (problem,) = refused.value.problems
    proposed = problem.partition("Write ")[2].partition(", or")[0]
    assert proposed == f'key = ["{PROPOSED.get(endpoint.path, proposed[8:-2])}"]' or not proposed
    if proposed:
        configuration.load(workplace.write(f"{words}{proposed}\n"), {})
    else:
        assert problem.endswith("Use append or replace.")
        assert endpoint.path in WITHOUT
