"""Presets: which endpoints questions need, taken together."""

from __future__ import annotations

import pytest

from tcdatalogger.questions import presets, question
from tcdatalogger.services.torncity.catalog import catalog


def asked(name, needs, *, page="war", asks="leader", days=7):
    text = (
        f'/*\ntitle = "T"\npage = "{page}"\nasks = ["{asks}"]\ncaption = "C"\ndays = {days}\n'
        f'chart = {{ kind = "table" }}\n{needs}\n*/\nselect 1\n'
    )
    return question.read(text, name, name)


def made(*questions, kind="faction"):
    known = {each.name: each for each in questions}
    return presets.preset([kind], known, catalog.load())


def test_needs_of_one_path_are_one_endpoint_as_often_as_the_most_eager_wants():
    found = made(
        asked("one", '[needs."/faction/members"]\nevery = "P1D"'),
        asked("two", '[needs."/faction/members"]\nevery = "PT1H"\nmodes = ["history", "append"]'),
    )

    (endpoint,) = found.endpoints
    assert endpoint.toml == (
        '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\nfrequency = "PT1H"'
    )
    assert endpoint.questions == ["one", "two"]
    assert found.calls == 24


def test_storage_modes_that_do_not_agree_are_two_endpoints():
    found = made(
        asked("one", '[needs."/faction/members"]\nmodes = ["merge"]'),
        asked("two", '[needs."/faction/members"]\nmodes = ["append"]'),
    )

    assert [each.name for each in found.endpoints] == ["faction_members", "faction_members_more"]
    assert 'storage_mode = "merge"' in found.endpoints[0].toml
    assert "storage_mode" not in found.endpoints[1].toml


def test_each_value_of_a_parameter_is_an_endpoint_and_a_list_by_time_goes_back():
    found = made(
        asked("one", '[needs."/faction/news"]\nparams = { cat = ["main", "attack"] }', days=90)
    )

    assert [each.name for each in found.endpoints] == ["faction_news_main", "faction_news_attack"]
    assert 'since = "P30D"' in found.endpoints[0].toml
    assert 'params = { cat = "attack" }' in found.endpoints[1].toml


def test_a_path_that_does_as_well_is_not_logged_twice():
    others = asked(
        "one", '[needs."/faction/{id}/members"]\nids = "[1]"\nalso = ["/faction/members"]'
    )

    assert [each.entry.path for each in made(others).endpoints] == ["/faction/members"]
    both = made(others, asked("two", '[needs."/faction/members"]'))
    assert [each.entry.path for each in both.endpoints] == ["/faction/members"]


def test_a_query_of_ids_comes_after_what_fills_its_table():
    query = 'ids = "query:select id from faction_chains"'
    found = made(asked("one", f'[needs."/faction/{{chainId}}/chainreport"]\n{query}'))

    assert [each.name for each in found.endpoints] == ["faction_chains", "faction_chainreport"]
    assert query in found.endpoints[1].toml


def test_what_a_question_can_do_without_is_logged_unless_it_is_somebodys_own():
    found = made(
        asked(
            "one",
            '[needs."/faction/members"]\n[needs."/torn/items"]\noptional = true\n'
            '[needs."/user/events"]\noptional = true',
        )
    )

    assert [each.entry.path for each in found.endpoints] == ["/faction/members", "/torn/items"]
    assert found.access == "public"


@pytest.mark.parametrize(
    ("path", "page", "asks", "kinds"),
    [
        ("/faction/members", "members", "leader", {"faction"}),
        ("/faction/crimes", "crimes", "member", {"faction"}),
        ("/user/networth", "me", "member", {"player"}),
        ("/company/profile", "me", "member", {"company"}),
        ("/torn/stocks", "market", "trader", {"trader"}),
        ("/torn/items", "market", "member", {"trader", "player"}),
    ],
)
def test_questions_are_of_those_who_ask_them(path, page, asks, kinds):
    one = asked("one", f'[needs."{path}"]', page=page, asks=asks)

    assert {kind for kind in presets.KINDS if presets.asks(kind, one)} == kinds
