"""A load is stored once, wherever the process that stores it dies, and whatever answer is lost."""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import suppress

import pytest
from proxy import JOBS

from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import Failure
from tcdatalogger.services.google.access import find
from tcdatalogger.services.google.address import parse
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.connect import connect, open_dataset
from tcdatalogger.services.google.retrying import Patience
from warehouses.conftest import Maker

HIT = {"id": 7, "user": 158}
ANY = r""
"""Every call, whatever it is."""

pytestmark = pytest.mark.slow


@pytest.fixture
def safe(bigquery, bigquery_url):
    """The warehouse of a process that nothing happens to."""
    with open_dataset(connect(bigquery_url, bigquery.environ)) as opened:
        yield opened


@pytest.fixture
def dying(bigquery_url, proxy):
    """Opens the warehouse of a process that dies of the first call that fails."""

    def dying():
        access = find({"BIGQUERY_EMULATOR_HOST": proxy.endpoint})
        client = Client(parse(bigquery_url), access, ManualClock(), patience=Patience(tries=1))
        return open_dataset(client)

    return dying


@pytest.mark.parametrize(
    ("mode", "calls"), [("append", ANY), ("merge", JOBS), ("history", JOBS), ("replace", JOBS)]
)
def test_a_load_is_stored_once_though_its_process_dies_after_any_of_its_calls(
    safe, dying, proxy, mode, calls
):
    make = Maker(lambda: safe)

    def next_load():
        number = make.runs + 1
        return make({"id": 1, "hits": [HIT] * 2}, {"id": number + 1}, mode=mode,
                    at=1_767_225_600.0 + 60 * number)  # fmt: skip

    safe.commit(next_load())
    stored = []
    for call in itertools.count():  # Google has done it, and the process never hears of it
        load = next_load()
        begun = proxy.count(JOBS)
        proxy.plant(calls, "drop the answer", after=call)
        with dying() as warehouse, suppress(Failure):
            warehouse.commit(load)
        died = not proxy.faults[-1].times
        jobs = proxy.count(JOBS) - begun
        proxy.faults.clear()

        safe.commit(load)

        stored.append(load)
        lines = Counter(line.load_id for line in safe.ledger.loads())
        assert lines[load.id] == 1
        kept = {"replace": 2, "append": 2, "merge": 2, "history": 1}[mode]
        assert safe.rows("wars", ["id"], where={"_run_id": load.run_id}).num_rows == kept
        if not died:
            break
    assert call >= jobs > 3, "a load has these jobs, and it died after each of them"
    assert {line.load_id for line in safe.ledger.loads()} >= {load.id for load in stored}
    roots = safe.counts(["wars"])["wars"]
    assert roots == {
        "append": 2 * (len(stored) + 1), "replace": 2, "merge": len(stored) + 2,
        "history": len(stored) + 2,
    }[mode]  # fmt: skip
