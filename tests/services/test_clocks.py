"""Every list by time has a clock, and the clock is a time in its rows."""

from __future__ import annotations

import pytest

from tcdatalogger.models.schema import Type, family
from tcdatalogger.services.torncity.catalog import catalog, time_fields
from tcdatalogger.services.torncity.catalog.catalog import BY_TIME

BY_TIME_PATHS = [e for e in catalog.load().endpoints if e.paging in BY_TIME and not e.route]


@pytest.mark.parametrize("endpoint", BY_TIME_PATHS, ids=lambda endpoint: endpoint.path)
def test_every_list_by_time_has_a_clock_and_a_key_of_its_own(endpoint):
    root = family(endpoint.shape, "rows", selection=endpoint.selection).tables[0]

    [column] = [c for c in root.data_columns if c.path == time_fields.field(endpoint.path)]

    assert column.type is Type.TIME
    assert root.key == ("id",)
    assert endpoint.parameter("from") is not None
    assert endpoint.parameter("to") is not None


def test_no_clock_is_of_a_path_that_the_catalogue_lacks():
    assert time_fields.paths() == {endpoint.path for endpoint in BY_TIME_PATHS}


def test_what_ends_long_after_its_start_is_looked_back_at_for_longer():
    assert time_fields.settles("/faction/attacks") == 60
    assert time_fields.settles("/faction/chains") == 30 * 86_400
    assert time_fields.field("/racing/races") == ("schedule", "start")
    assert time_fields.field("/faction/members") == ()
