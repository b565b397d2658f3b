"""Parameters that choose the content are columns: rows of one table tell what they are the rows of.

Where the same id says something else with another value, the parameter is in the key.
"""

from __future__ import annotations

import json

import pytest

from tcdatalogger.core.archive import Archive
from tcdatalogger.core.operations.backfill import backfill
from tcdatalogger.core.operations.quarantine import retry
from tcdatalogger.core.operations.replay import rebuild, replay
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.services.torncity.catalog import parameters
from tcdatalogger.services.torncity.catalog.catalog import load

CONTRIBUTORS = "/faction/contributors"
VALUES = {"revives": 10, "gymenergy": 20}


def endpoint(name, path, cat=None, **settings):
    lines = [f'name = "{name}"', f'path = "{path}"']
    lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    lines += [f"params = {{ {cat} }}"] * bool(cat)
    return "[[endpoints]]\n" + "\n".join(lines) + "\n"


def stats(mode, *names, **settings):
    """An endpoint for each of these statistics, all of one table."""
    return "".join(
        endpoint(n, CONTRIBUTORS, f'stat = "{n}"', storage_mode=mode, table="done", **settings)
        for n in names or VALUES
    )


@pytest.fixture
def place(workplace, lie, city, monkeypatch):
    """A faction of two members; each run is a minute after the last, and `grown` is added."""
    start = city.now()
    workplace.grown = 0

    def about(path, params, _body):
        workplace.asked = dict(params)
        if path == CONTRIBUTORS:
            value = VALUES[params["stat"]] + workplace.grown
            rows = [
                {"id": n, "username": f"m{n}", "value": value, "in_faction": True} for n in (1, 2)
            ]
            return {"contributors": rows}
        return None

    def later():
        workplace.clock.sleep(60)
        start_now = start + workplace.clock.now() - START
        monkeypatch.setattr(city.city.clock, "now", lambda: start_now)

    def log(*names, **options):
        for name in names:
            later()
            assert workplace.__class__.log(workplace, name, **options).status == "done"

    lie(about)
    workplace.log = log
    return workplace


@pytest.fixture
def before(monkeypatch):
    """As it was before parameters were columns, until it is called."""
    with monkeypatch.context() as earlier:
        earlier.setattr(parameters, "of_content", lambda _names: [])
        yield earlier.undo


def done(place, what="id, _stat, value"):
    return [tuple(row.values()) for row in place.sql(f"select {what} from done order by all")]


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_two_endpoints_of_one_table_are_told_apart(place, mode):
    place.write(stats(mode))
    place.log(*VALUES)

    assert done(place) == [(1, "gymenergy", 20), (1, "revives", 10),
                           (2, "gymenergy", 20), (2, "revives", 10)]  # fmt: skip


def test_a_merge_updates_the_records_of_its_own_statistic_alone(place):
    place.write(stats("merge"))
    place.log(*VALUES)
    place.grown = 1
    place.log("revives")

    assert done(place, "id, _stat, value") == [
        (1, "gymenergy", 20), (1, "revives", 11), (2, "gymenergy", 20), (2, "revives", 11),
    ]  # fmt: skip
    place.again(rebuild, "gymenergy")
    assert len(done(place)) == 4


@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_each_mode_has_the_column_and_makes_it_again_from_the_archive(place, mode):
    place.write(stats(mode, "revives"))
    for place.grown in (0, 0, 1):
        place.log("revives")
    there = place.tables()
    assert {stat for (stat,) in done(place, "_stat")} == {"revives"}

    place.again(rebuild, "revives")
    assert place.tables() == there
    newest = place.value("select arg_max(run_id, seq) from _tcd_loads where endpoint = 'revives'")
    place.again(replay, newest)
    assert place.tables() == there


@pytest.mark.parametrize("mode", ["append", "merge", "history"])
def test_rows_that_are_made_again_keep_what_was_asked_for_at_the_time(place, mode):
    settings = {"max_drop": 1} if mode == "history" else {}
    place.write(stats(mode, "revives", **settings))
    place.log("revives")
    place.write(
        stats(mode, "revives", **settings).replace('stat = "revives"', 'stat = "gymenergy"')
    )
    place.log("revives")
    there = done(place)
    assert {stat for _, stat, _ in there} == {"revives", "gymenergy"}

    place.again(rebuild, "revives")
    assert done(place) == there


@pytest.mark.parametrize("mode", ["append", "history"])
def test_rows_keep_what_was_asked_for_when_the_parameter_is_no_longer_set(place, lie, mode):
    def bazaars(path, _params, _body):
        place.grown += 1
        rows = [{"id": 1, "name": f"m{place.grown}", "is_open": True}]
        return {"bazaar": {"top_grossing": rows}} if path == "/market/bazaar" else None

    lie(bazaars)
    for cat in ('cat = "Alcohol"', None):
        place.write(
            endpoint("bazaar", "/market/bazaar", cat, storage_mode=mode, table="done", max_drop=1)
        )
        place.log("bazaar")
    there = done(place, "_cat, _run_id")
    assert [cat for cat, _ in there] == ["Alcohol", None]

    place.again(rebuild, "bazaar")
    assert done(place, "_cat, _run_id") == there


@pytest.mark.parametrize("mode", ["merge", "history"])
def test_tables_of_before_get_the_column_and_no_record_twice(place, mode, before):
    place.write(stats(mode, "revives"))
    place.log("revives")
    before()
    place.log("revives")
    place.grown = 1
    place.log("revives")

    now = "valid_to is null" if mode == "history" else "true"
    current = place.sql(f"select id, _stat, value from done where {now} order by id")
    assert [tuple(row.values()) for row in current] == [(1, "revives", 11), (2, "revives", 11)]
    assert place.value("select count(*) from done") == (4 if mode == "history" else 2)


def test_a_list_by_time_stores_nothing_twice_because_of_the_new_column(place, before):
    place.write(endpoint("attacks", "/faction/attacks", 'filters = "incoming"'))
    place.log("attacks")
    rows = place.value("select count(*) from attacks")
    before()
    place.log("attacks")

    assert place.value("select count(*) from attacks") == rows > 0
    place.again(rebuild, "attacks")
    assert place.sql("select distinct _filters from attacks") == [{"_filters": "incoming"}]


def test_the_default_of_a_processor_counts_whatever_its_calls_ask_for(place):
    place.write(endpoint("crimes", "/faction/crimes"))
    place.log("crimes")

    assert place.asked["cat"] == "expired"
    assert place.sql("select distinct _cat from crimes") == [{"_cat": "all"}]


def test_an_archive_of_before_says_what_its_calls_had_alike(place, before, monkeypatch):
    place.write(stats("append", "revives"))
    write = Archive.write

    def older(self, run_id, name, kept, facts):
        facts.pop("params")
        return write(self, run_id, name, kept, facts)

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "write", older)
        place.log("revives")
    before()
    place.write(stats("append", "revives").replace('stat = "revives"', 'stat = "gymenergy"'))
    place.again(rebuild, "revives")

    assert {stat for _, stat, _ in done(place)} == {"revives"}


def test_a_record_of_the_quarantine_is_stored_with_what_was_asked_for(place):
    odd = '\nchecks = [{ column = "value", max = 9, on_failure = "quarantine" }]\n'
    place.write(stats("merge", "revives") + odd)
    place.log("revives")
    assert done(place) == []
    place.write(stats("merge", "revives").replace('stat = "revives"', 'stat = "gymenergy"'))
    lines = place.sql("from _tcd_quarantine")

    assert len(lines) == 2
    assert place.again(retry, [dict(line, again=True) for line in lines])
    assert place.again(retry, [dict(line, again=True) for line in lines]) == []
    assert done(place) == [(1, "revives", 10), (2, "revives", 10)]


def test_a_backfill_and_the_runs_say_the_same(settle):
    place = settle(endpoint("news", "/faction/news", 'cat = "attack"'), history=5 * 86_400)
    place.log("news")
    with place.application() as application:
        list(backfill(application, "news"))

    assert place.sql("select distinct _cat from news") == [{"_cat": "attack"}]


def test_paging_and_form_are_no_columns(workplace):
    params = 'cat = "main", limit = 50, sort = "ASC", striptags = "false"'
    words = endpoint("news", "/faction/news", params)
    workplace.write(words + 'columns = { _cat = "category" }')
    workplace.log("news")

    columns = [row["column_name"] for row in workplace.sql("describe news")]
    assert columns[-4:] == ["category", "server_timestamp", "_subject_id", "_run_id"]
    assert [name for name in columns if name.startswith("_")] == ["_subject_id", "_run_id"]


def test_a_list_of_values_is_joined_by_commas(workplace):
    params = 'filters = ["incoming", "idFilter"]'
    workplace.write(endpoint("attacks", "/faction/attacks", params))
    with workplace.application() as application:
        task = application.task(application.chosen(["attacks"])[0])
    assert dict(task.params)["filters"] == "incoming,idFilter"


def test_an_endpoint_that_sets_none_has_no_such_column(workplace):
    workplace.write(endpoint("members", "/faction/members"))
    workplace.log("members")

    columns = [row["column_name"] for row in workplace.sql("describe members")]
    assert [name for name in columns if name.startswith("_")] == ["_subject_id", "_run_id"]


def test_children_of_two_values_stand_side_by_side(place, says):
    def items(kind):
        return {"inventory": {"items": [{"id": 1, "name": kind, "amount": 1}], "timestamp": 1}}

    place.write(
        "".join(
            endpoint(f"inv_{n.lower()}", "/user/inventory", f'cat = "{n}"',
                     storage_mode="merge", table="inv")
            for n in ("Drug", "Candy")
        )
    )  # fmt: skip
    for name, kind in (("inv_drug", "Drug"), ("inv_candy", "Candy"), ("inv_drug", "Drug2")):
        says("/user/inventory", items(kind))
        place.log(name)

    assert place.sql("select _cat from inv order by 1") == [{"_cat": "Candy"}, {"_cat": "Drug"}]
    assert place.sql("select _cat, name from inv_items order by 1") == [
        {"_cat": "Candy", "name": "Candy"},
        {"_cat": "Drug", "name": "Drug2"},
    ]


def test_a_key_that_names_a_parameter_has_it(place):
    place.write(
        "".join(
            endpoint(f"items_{n.lower()}", "/torn/items", f'cat = "{n}"', storage_mode="merge",
                     table="items", key=["id", "_cat"])
            for n in ("Drug", "Candy")
        )
    )  # fmt: skip
    place.log("items_drug", "items_candy", "items_drug")

    key = place.value("select key from _tcd_schemas where table_name = 'items' limit 1")
    assert json.loads(key) == ["id", "_cat"]
    assert place.value("select count(*) = count(distinct (id, _cat)) from items")


def test_each_parameter_of_the_catalogue_is_looked_at():
    """A new parameter of Torn's becomes a column; whoever sees this decides whether it should."""
    found = {
        parameter.name
        for one in load().endpoints
        if not one.route
        for parameter in one.parameters
        if parameter.where == "query"
    }
    assert set(parameters.of_content(found)) == {
        "bonus", "cat", "filters", "log", "name", "stat", "target",
    }  # fmt: skip
