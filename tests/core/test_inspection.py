"""`check` finds what a run would stumble over, before the first one."""

from __future__ import annotations

import pytest

from tcdatalogger.core.check.preflight import inspect

CLASH = (
    '[[endpoints]]\nname = "faction_crimes"\npath = "/faction/crimes"\n'
    '[[endpoints]]\nname = "faction_crimes_slots"\npath = "/faction/members"\n'
)


@pytest.fixture
def findings(workplace):
    def findings(**options):
        with workplace.application(patience=0.0) as application:
            return list(inspect(application, **options))

    return findings


def wrong(found):
    return {finding.part: str(finding.failure) for finding in found if finding.failure}


def test_a_workplace_that_is_in_order_has_nothing_wrong(findings, workplace, city):
    before = dict(city.stats()["paths"])

    found = findings()

    assert wrong(found) == {}
    parts = [finding.part for finding in found]
    assert parts[:5] == ["torn", "state", "archive", "warehouse", "key default"]
    assert parts[5:] == [f"tables of {e.name}" for e in workplace_endpoints(workplace)]
    (key,) = [finding.says for finding in found if finding.part == "key default"]
    assert key.startswith("Limited Access, player ")
    assert "faction 40832 with API access" in key
    called = {p: n for p, n in city.stats()["paths"].items() if n != before.get(p, 0)}
    assert set(called) == {"/key/info"}
    assert not workplace.warehouse.exists()
    assert not (workplace.folder / "archive").exists()


def workplace_endpoints(workplace):
    with workplace.application() as application:
        return application.settings.endpoints


def test_offline_nothing_is_asked_and_no_key_is_needed(findings, workplace, city):
    workplace.key = None
    before = city.stats()["calls"]

    assert wrong(findings(online=False)) == {}
    assert city.stats()["calls"] == before


def test_a_table_that_two_paths_would_write_is_found(findings, workplace):
    workplace.write(CLASH)

    (why,) = wrong(findings(online=False)).values()

    assert "would both write the table faction_crimes_slots" in why


def test_a_key_column_that_is_not_there_is_found(findings, workplace):
    workplace.write('[[endpoints]]\nname = "m"\npath = "/faction/members"\nkey = "idd"\n')

    assert "lacks: idd" in wrong(findings(online=False))["m"]


def test_what_a_key_may_not_do_is_found_with_a_link_to_one_that_may(findings, workplace, city):
    workplace.key = city.keys["public"]

    found = wrong(findings())

    assert set(found) == {"faction_crimes", "faction_balance"}
    link = "https://www.torn.com/preferences.php#tab=api?step=addNewKey"
    for why in found.values():
        assert link in why
        assert "crimes" in why


def test_a_dead_key_is_found(findings, workplace, city):
    workplace.key = city.keys["dead"]

    assert set(wrong(findings())) == {"key default"}


def test_a_column_that_cannot_change_is_found_and_named(findings, workplace):
    import duckdb  # noqa: PLC0415

    with duckdb.connect(str(workplace.warehouse)) as connection:
        connection.execute("create table faction_members (id text)")

    found = wrong(findings(online=False))

    assert "faction_members.id text cannot become int" in found["tables of faction_members"]


@pytest.mark.parametrize(
    ("part", "place"), [("warehouse", 'torn.duckdb"'), ("archive", 'archive"\n')]
)
def test_a_place_that_cannot_be_written_is_found(findings, workplace, part, place):
    (workplace.folder / "taken").write_text("a file")
    text = workplace.file.read_text()
    workplace.file.write_text(text.replace(place, f"taken/{place}"))

    found = wrong(findings(online=False))

    assert f"The {part} cannot be written" in found[part]
