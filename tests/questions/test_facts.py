"""The tables of facts are whole: what questions look for in them is there."""

from __future__ import annotations

import itertools
import re
from importlib.resources import files

import pytest

from tcdatalogger.questions import facts, question
from tcdatalogger.services.torncity.catalog import catalog

NAMES = sorted(
    each.name.removesuffix(".csv")
    for each in files("tcdatalogger.questions").joinpath("data").iterdir()
)


def column(name, wanted):
    table = facts.read(name)
    return [row[table.columns.index(wanted)] for row in table.rows]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_facts_says_where_it_is_from(name):
    assert "Source: " in facts.read(name).source


def test_every_country_that_torns_document_names_has_a_flight_time():
    shape = catalog.load().find("/torn/items")[0].shape
    for name in ("items", "value", "shops", "country"):
        shape = getattr(shape, "element", shape).field(name).shape

    assert {*column("flights", "country"), "Torn"} == set(shape.values)


def test_a_log_either_moves_money_or_does_not():
    money = facts.read("log_money")
    pairs = [(row[0], row[2]) for row in money.rows]
    stretches = [row[:2] for row in facts.read("log_without_money").rows]

    assert len(set(pairs)) == len(pairs)
    assert stretches == sorted(stretches)
    assert all(first <= last for first, last in stretches)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(stretches))
    assert not [log for log, _ in pairs if any(first <= log <= last for first, last in stretches)]


def test_every_field_of_money_is_read_by_the_question_about_income():
    read = re.findall(r"when '(\w+)' then json_value\(e\.data, '\$\.(\w+)'\)",
                      question.shipped()["log-income"].sql)  # fmt: skip

    assert all(field == path for field, path in read)
    assert {field for field, _ in read} == set(column("log_money", "field")) - {None}
