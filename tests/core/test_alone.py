"""What changes the tables of an endpoint without a run has the endpoint alone, as a run does."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from shared import rest_slow
from tcdatalogger.core.state.leases import Leases
from tcdatalogger.errors import Busy

NAME = "faction_members"
MEMBERS = f'[[endpoints]]\nname = "{NAME}"\npath = "/faction/members"\n'
WAYS = {
    "rollback": ("rollback", "{run}"),
    "replay": ("replay", "{run}"),
    "rebuild": ("rebuild", NAME),
    "retry": ("quarantine", "retry", "--all"),
    "apply": ("schema", "apply", NAME, "--accept"),
    "schema rollback": ("schema", "rollback", NAME, "1"),
}


@pytest.fixture
def place(workplace):
    """Members of which a field was set aside; then the catalogue has it, and a column is renamed.

    Every one of `WAYS` has something to do.
    """
    workplace.write(MEMBERS + 'contract = "quarantine"\n')
    older = json.loads(
        files("tcdatalogger.services.torncity.catalog").joinpath("catalog.json").read_bytes()
    )
    older["version"] = "6.0.0"
    del older["shapes"]["FactionMember"]["object"]["position"]
    (workplace.folder / "older.json").write_text(json.dumps(older))
    workplace.run("catalog", "use", "older.json")
    workplace.run_id = workplace.log(NAME).record.run_id
    workplace.run("catalog", "use", "--shipped")
    assert workplace.run("schema", "apply", NAME).code == 0
    workplace.clock.sleep(60)
    return workplace


def told(place):
    """All that the warehouse says of itself."""
    books = ("_tcd_loads", "_tcd_schemas", "_tcd_quarantine")
    return [place.sql(f"from {name} order by all") for name in (NAME, *books)]


def words(place, way):
    if way == "apply":
        place.write(MEMBERS + 'columns = { level = "rank" }\n')
    return [word.format(run=place.run_id) for word in WAYS[way]]


@pytest.mark.parametrize("way", rest_slow(WAYS, 2))
def test_it_waits_for_a_run_that_has_the_endpoint_and_says_who_has_it(place, way):
    command, before = words(place, way), told(place)
    with place.application() as application, application.claimed(NAME, "another-run"):
        refused = place.run(*command)

    assert refused.code == 75
    assert "another-run" in refused.err
    assert told(place) == before
    assert place.run(*command).code == 0
    assert told(place) != before


@pytest.mark.parametrize("way", ["rollback", "replay", "rebuild"])
def test_what_is_only_shown_waits_for_nobody(place, way):
    with place.application() as application, application.claimed(NAME, "another-run"):
        assert place.run(*words(place, way), "--dry-run").code == 0


@pytest.mark.parametrize("way", ["replay", "rebuild", "retry", "apply"])
def test_who_lost_the_endpoint_meanwhile_stores_nothing(place, way, monkeypatch):
    def lost(_self, claim, _seconds=0.0):
        raise Busy(f"The run {claim.run_id} lost its claim.")

    command, before = words(place, way), told(place)
    monkeypatch.setattr(Leases, "check", lost)

    assert place.run(*command).code == 75
    assert told(place) == before
