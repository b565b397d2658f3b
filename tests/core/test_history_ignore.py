"""`history` and columns that differ in every answer, though nothing has happened."""

from __future__ import annotations

import pytest

from bodies import member
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.catalog.catalog import load
from tcdatalogger.services.torncity.catalog.time_fields import restated

ANSWERS = [("Okay", "1 minute ago"), ("Okay", "2 minutes ago"), ("Traveling", "3 minutes ago")]


@pytest.fixture
def place(workplace, says, city, monkeypatch):
    """A faction whose one member is told of in three answers, a minute after one another."""
    start = city.now()

    def log_all(words="", name="members"):
        workplace.write(
            f'[[endpoints]]\nname = "{name}"\npath = "/faction/members"\n'
            f'storage_mode = "history"\n{words}\n'
        )
        for number, (state, relative) in enumerate(ANSWERS):
            action = {"status": "Idle", "timestamp": int(start) - 60, "relative": relative}
            status = {"state": state, "description": state, "details": None, "until": None}
            says("/faction/members", {"members": [member(1, last_action=action, status=status)]})
            monkeypatch.setattr(city.city.clock, "now", lambda n=number: start + 60 * n)
            workplace.clock.sleep(60)
            result = workplace.log(name)
            result.raise_for_error()

    workplace.log_all = log_all
    return workplace


def versions(place, column="last_action_relative"):
    rows = place.sql(f"select status_state, {column} from members order by valid_from")
    return [tuple(row.values()) for row in rows]


def test_a_text_that_restates_a_time_makes_no_version_and_stays_as_it_began(place):
    place.log_all()
    assert versions(place) == [ANSWERS[0], ANSWERS[2]]


def test_nothing_is_ignored_where_the_setting_says_so(place):
    place.log_all("history_ignore = []")
    assert versions(place) == ANSWERS


@pytest.mark.parametrize("name", ["last_action_relative", "said"])
def test_a_column_is_named_as_torn_or_as_the_user_names_it(place, name):
    place.log_all(
        f'history_ignore = ["{name}", "status_state", "status_description"]\n'
        'columns = { last_action_relative = "said" }'
    )
    assert versions(place, "said") == [ANSWERS[0]]


def test_a_column_that_the_user_renames_is_still_one_of_the_default(place):
    place.log_all('columns = { last_action_relative = "said", last_action_timestamp = "at" }')
    assert versions(place, "said") == [ANSWERS[0], ANSWERS[2]]


def test_a_frame_of_a_processor_has_the_same_default(place):
    (place.folder / "own.py").write_text(
        "from tcdatalogger import EndpointProcessor\n\n\n"
        "class Own(EndpointProcessor):\n"
        "    def transform_data(self, fetched):\n"
        "        return super().transform_data(fetched).tables['members'].to_pandas()\n"
    )
    place.log_all('processor = "own.py:Own"\nkey = ["id"]')
    assert versions(place) == [ANSWERS[0], ANSWERS[2]]


def test_a_column_that_is_not_there_is_named_with_the_one_that_may_be_meant(place):
    with pytest.raises(ConfigError, match="`history_ignore` names 'last_action_relativ' "):
        place.log_all('history_ignore = ["last_action_relativ"]')
    checked = place.run("check", "--json").out
    assert "(did you mean 'last_action_relative'?)" in checked


def test_what_only_restates_a_time_is_told_by_the_catalogue():
    found = {
        one.path: [name.partition(".")[2] for name in restated(one.family)]
        for one in load().endpoints
        if not one.route and restated(one.family)
    }
    assert found["/faction/members"] == ["last_action_relative"]
    assert found["/user/travel"] == ["time_left"]
    assert set().union(*found.values()) == {
        "last_action_relative", "director_last_action_relative", "time_left",
    }  # fmt: skip
