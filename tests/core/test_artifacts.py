"""What runs leave to look at: as it was, whole or not at all, and not for ever."""

from __future__ import annotations

import json
import os

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.run.checkpoints import KEEP, StepTables
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.processing.base import EndpointProcessor, Fetched, Task

TEXTS = st.text(max_size=6)
NUMBERS = st.integers(-(2**62), 2**62)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(
    st.fixed_dictionaries({"id": NUMBERS}, optional={"name": TEXTS, "a": VALUES, "slots": VALUES}),
    max_size=4,
    unique_by=lambda record: record["id"],
)  # fmt: skip


FOUND, _ = catalog.load(None).find("/faction/crimes")


def task(name="crimes", run_id="20260101T000000Z-00000001", **facts):
    return Task(name, FOUND, "6.13.6", run_id, **facts)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def artifacts(tmp_path, clock):
    return StepTables(tmp_path / "artifacts", clock)


def made(one, body=b'{"crimes": [{"id": 1, "name": "Pet Project", "odd": [{"a": 1}]}]}'):
    return EndpointProcessor(one).transform_data(Fetched.of(body))


def step(artifacts, run_id):
    """Of which step the tables of a run are, "" where there are none."""
    file = artifacts.folder(run_id) / "step.json"
    return json.loads(file.read_text())["step"] if file.exists() else ""


@settings(
    max_examples=12 if os.environ.get("CI") else 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(records=RECORDS)
def test_rows_lie_there_as_they_were(artifacts, records):
    one = task()
    before = made(one, json.dumps({"crimes": records}).encode())

    folder = artifacts.write(one, "transform", before)

    for name, table in before.tables.items():
        assert pq.read_table(folder / f"{name}.parquet").equals(table)
    assert len(json.loads((folder / "drift.json").read_text())) == len(before.drift)
    assert len(json.loads((folder / "rejected.json").read_text())) == len(before.rejected)
    assert step(artifacts, one.run_id) == "transform"


def test_a_later_step_takes_the_place_of_the_one_before(artifacts):
    one = task()
    artifacts.write(one, "transform", made(one))
    folder = artifacts.write(one, "validate", made(one, b'{"crimes": [{"id": 7}]}'))

    assert step(artifacts, one.run_id) == "validate"
    assert pq.read_table(folder / "crimes.parquet")["id"].to_pylist() == [7]
    assert [folder.name for folder in artifacts.root.iterdir()] == [one.run_id]


def test_what_was_left_is_gone_after_days(artifacts, clock):
    old, new = task(run_id="old"), task(run_id="new")
    artifacts.write(old, "transform", made(old))
    clock.sleep(KEEP - 1)
    artifacts.write(new, "transform", made(new))
    assert step(artifacts, "old")

    clock.sleep(2)
    assert artifacts.prune() == 1

    assert (step(artifacts, "old"), step(artifacts, "new")) == ("", "transform")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, clock):
    (tmp_path / "artifacts").write_text("in the way")
    one = task()

    with pytest.raises(ConfigError, match="artifacts cannot be written to"):
        StepTables(tmp_path / "artifacts", clock).write(one, "transform", made(one))
