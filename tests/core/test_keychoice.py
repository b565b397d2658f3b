"""Several keys for one endpoint: which one is used, and what happens when it dies."""

from __future__ import annotations

import pytest

from tcdatalogger.core.main import Application
from tcdatalogger.core.run import known_health
from tcdatalogger.errors import ConfigError, KeyRefused
from tcdatalogger.services.torncity.client.budget import Budget
from tcdatalogger.services.torncity.client.key_health import fingerprint

TWO = """
[[endpoints]]
name = "one"
path = "{path}"
api_key = ["a", "b"]
storage_mode = "append"
"""


@pytest.fixture
def place(workplace, city, monkeypatch):
    """A folder whose endpoint has the keys `a` and `b`; which keys of the city they are is said."""

    def make(a, b, path="/faction/crimes", extra=""):
        texts = {"A_KEY": city.keys[a], "B_KEY": city.keys[b]}
        text = workplace.write(TWO.format(path=path) + extra).read_text()
        workplace.file.write_text(
            text.replace("[keys]", '[keys]\na = "env:A_KEY"\nb = "env:B_KEY"', 1)
        )
        monkeypatch.setattr(type(workplace), "environ", property(lambda _: texts))
        return workplace

    return make


def used(city, before=None):
    keys = city.stats()["keys"]
    return {name: n - (before or {}).get(name, 0) for name, n in keys.items()
            if n != (before or {}).get(name, 0)}  # fmt: skip


def test_the_first_key_is_used_where_all_are_well(place, city):
    place = place("limited", "second")
    before = dict(city.stats()["keys"])

    assert place.log("one").error is None

    assert set(used(city, before)) == {"limited"}


def test_a_dead_key_gives_way_to_the_other_and_is_called_once(place, city):
    place = place("dead", "second")
    before = dict(city.stats()["keys"])

    for _ in range(3):
        assert place.log("one").error is None

    assert used(city, before)["dead"] == 1


def test_a_key_that_dies_in_the_middle_gives_way_to_the_other(place, city):
    place = place("limited", "second")
    city.fault("error", code=2, path="/faction/crimes", key="limited", after=1)
    before = dict(city.stats()["keys"])

    outcome = place.log("one")

    assert outcome.error is None
    assert outcome.record.pages == 3
    calls = used(city, before)
    assert calls["limited"] == 3  # about itself, a page, and its end
    assert calls["second"] == 3  # about itself, and the two pages that were left
    assert place.log("one").error is None
    assert used(city, before)["limited"] == 3


def test_no_row_is_lost_or_doubled_by_the_change(place, city, tmp_path):
    place = place("limited", "second")
    everything = "incremental=false"
    whole = place.log("one", everything).record.rows
    city.fault("error", code=2, path="/faction/crimes", key="limited", after=2)

    assert place.log("one", everything).record.rows == whole


def test_a_key_without_the_permission_gives_way(place, city):
    place = place("public", "second")
    before = dict(city.stats()["keys"])

    assert place.log("one").error is None

    assert used(city, before)["public"] == 1  # about itself


def test_a_key_of_another_faction_does_not_take_its_place(place, city):
    """Its rows would be about somebody else."""
    place = place("limited", "rival")
    assert place.log("one").error is None
    city.fault("error", code=2, path="/faction/crimes", key="limited")

    outcome = place.log("one")

    assert isinstance(outcome.error, KeyRefused)
    assert outcome.error.code == 2
    with place.application() as application:
        assert application.state.key(fingerprint(application.key("b"))) is not None


def test_what_is_about_nobodys_own_faction_may_be_read_with_any_key(place, city):
    place = place("limited", "rival", path="/torn/items")
    before = dict(city.stats()["keys"])
    city.fault("error", code=2, path="/torn/items", key="limited")

    assert place.log("one").error is None

    assert set(used(city, before)) == {"limited", "rival"}


def test_the_key_whose_owner_has_most_calls_left_is_used(place, city):
    place = place("limited", "rival", path="/torn/items")
    with place.application() as application:
        for name in ("a", "b"):
            application.info(application.key(name))
        budget = Budget(application.state.call_slots, place.clock)
        for _ in range(10):
            budget.wait(application.owner(application.key("a")))
    before = dict(city.stats()["keys"])

    place.log("one")

    assert set(used(city, before)) == {"rival"}


def test_a_run_goes_on_with_the_other_owner_when_the_first_has_no_call_left(place, city):
    path = "/torn/{logCategoryId}/logtypes"
    place = place("limited", "rival", path=path, extra="ids = [1, 2, 3, 4, 5, 6]\n")
    began = place.clock.now()
    with place.application("limits.share=0.04") as application:
        for name in ("a", "b"):  # of a key whose owner is not known any call may be the first's
            application.info(application.key(name))
        (endpoint,) = application.chosen(["one"])
        assert application.run(endpoint).error is None

    assert place.clock.now() == began


def test_when_all_keys_are_refused_the_first_ones_reason_is_given(place):
    place = place("dead", "public")
    error = place.log("one").error
    assert isinstance(error, KeyRefused)
    assert error.exit_code == 77
    assert "'a'" in str(error)


def test_a_key_that_is_not_there_is_no_matter_while_another_is(place, city, monkeypatch):
    place = place("limited", "second")
    environ = {"B_KEY": city.keys["second"]}
    monkeypatch.setattr(type(place), "environ", property(lambda _: environ))
    assert place.log("one").error is None

    environ.clear()
    assert isinstance(place.log("one").error, ConfigError)


def test_a_new_secret_under_the_same_name_is_a_new_key(workplace, city):
    workplace.key = city.keys["dead"]
    assert workplace.log("faction_basic").error is not None
    workplace.key = city.keys["limited"]
    assert workplace.log("faction_basic").error is None


def test_a_path_is_free_again_when_what_the_key_may_do_changes(workplace, city):
    city.fault("error", code=7, path="/faction/basic", times=1)
    assert isinstance(workplace.log("faction_basic").error, KeyRefused)
    assert isinstance(workplace.log("faction_basic").error, KeyRefused)
    city.key("limited", level=4)
    workplace.clock.sleep(61)
    assert workplace.log("faction_basic").error is None


def test_the_health_of_a_key_is_told_without_asking(workplace, city):
    def health(application: Application):
        return known_health.health(
            application.state, application.key("default"), workplace.clock.now()
        )

    with workplace.application() as application:
        assert health(application).state == "untried"
        application.info(application.key("default"))
        assert health(application).state == "ok"
        city.key("limited", refusal=13)
        workplace.clock.sleep(61)
        with pytest.raises(KeyRefused):
            application.info(application.key("default"))
        found = health(application)
        assert (found.state, found.code) == ("parked", "owner_inactive")
        assert found.until == workplace.clock.now() + 86_400
        city.key("limited", refusal=2)
        workplace.clock.sleep(86_400)
        assert health(application).state == "untried"  # it is asked again
        with pytest.raises(KeyRefused):
            application.info(application.key("default"))
        assert (health(application).state, health(application).until) == ("dead", None)
