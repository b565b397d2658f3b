"""What goes between the daemon and a run."""

from __future__ import annotations

import pytest

from tcdatalogger.scheduler.executor import MOST, Report


@pytest.mark.parametrize("letter", ["y", "\N{PILE OF POO}", "\x00", "\udcff"])
def test_a_report_arrives_however_long_its_error_is(letter):
    packed = Report("failed", 65, letter * 100_000, "DataRefused", letter * 100_000).packed()

    assert len(packed) < MOST
    found = Report.unpacked(packed)
    assert found is not None
    assert (found.status, found.exit_code, found.error_class) == ("failed", 65, "DataRefused")
    assert found.error.startswith(letter * 1_000)
