import json

import pytest

from tcdatalogger.errors import DataRefused, KeyRefused
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.keys import (
    KeyInfo,
    custom_key_link,
    key_info,
    needs,
    read_info,
)


def endpoint(path):
    return catalog.load().find(path)[0]


def info(level, *, position=True, **selections):
    names = {0: "Custom", 1: "Public Only", 2: "Minimal Access", 3: "Limited Access"}
    return KeyInfo(
        owner_id=1,
        faction_id=40832,
        company_id=None,
        level=level,
        access_type=names.get(level, "Full Access"),
        faction_access=position,
        selections=selections,
    )


BODY = {
    "info": {
        "selections": {"user": ["basic", "log"], "faction": [], "key": ["info"]},
        "user": {"id": 2_587_304, "faction_id": 40_832, "company_id": None},
        "access": {
            "level": 0,
            "type": "Custom",
            "faction": True,
            "company": False,
            "log": {"custom_permissions": False, "available": []},
        },
        "something_new": {},
    }
}


def test_torn_is_asked_what_a_key_is(torn, client, key):
    torn.say(BODY)

    found, _ = key_info(client, key)

    assert torn.calls[0].path == "/v2/key/info"
    assert (found.owner_id, found.faction_id, found.company_id) == (2_587_304, 40_832, None)
    assert (found.level, found.access_type, found.custom) == (0, "Custom", True)
    assert (found.faction_access, found.company_access) == (True, False)
    assert found.selections["user"] == ("basic", "log")


def test_a_dead_key_says_so(torn, client, key):
    torn.say(2)
    with pytest.raises(KeyRefused) as caught:
        key_info(client, key)
    assert caught.value.health == "dead"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"info":{}}', b'{"info":{"access":{"level":"x"}}}', b"\xff"]
)
def test_an_answer_of_another_shape_is_refused(body):
    with pytest.raises(DataRefused, match="/key/info"):
        read_info(body)


def test_a_missing_part_that_is_not_needed_is_no_fault():
    body = {"info": {"access": {"level": 3}, "user": {"id": 7, "faction_id": 0}}}
    found = read_info(json.dumps(body).encode())
    assert (found.faction_id, found.faction_access, found.selections) == (None, False, {})


@pytest.mark.parametrize(
    ("path", "level"),
    [("/user/basic", 1), ("/user/bars", 2), ("/user/attacks", 3), ("/user/log", 4)],
)
def test_a_level_includes_those_below_it(path, level):
    for have in range(1, 5):
        assert (needs(endpoint(path), info(have)) is None) == (have >= level)


def test_what_is_missing_is_said_in_a_sentence():
    reason = needs(endpoint("/user/log"), info(1))
    assert reason == "/user/log needs a key of the level full, and this one is Public Only."


def test_a_faction_endpoint_needs_a_position_with_access():
    crimes = endpoint("/faction/balance")
    assert crimes.faction_access
    assert needs(crimes, info(4)) is None
    assert "position of the key's owner" in needs(crimes, info(4, position=False))
    assert needs(endpoint("/faction/40832/members"), info(1, position=False)) is None


def test_a_custom_key_reads_what_is_public_and_what_it_lists():
    custom = info(0, user=("log", "RevivesFull"), faction=("attacks",))
    assert needs(endpoint("/user/basic"), custom) is None
    assert needs(endpoint("/user/log"), custom) is None
    assert needs(endpoint("/user/revivesFull"), custom) is None
    assert "selection attacks of the section user" in needs(endpoint("/user/attacks"), custom)
    assert needs(endpoint("/faction/attacks"), custom) is None


def test_the_link_makes_a_key_with_exactly_the_selections_that_are_needed():
    wanted = ["/user/log", "/faction/crimes", "/faction/40832/members", "/user/revivesFull"]
    link = custom_key_link([endpoint(path) for path in wanted], title="My logger & co")
    assert link == (
        "https://www.torn.com/preferences.php#tab=api?step=addNewKey&title=My%20logger%20%26%20co"
        "&faction=crimes,members&user=log,revivesFull"
    )


def test_every_path_of_the_catalogue_can_be_judged():
    for one in catalog.load().endpoints:
        assert needs(one, info(4)) is None
        if one.access != "public" and not one.route:
            assert needs(one, info(0)) is not None
