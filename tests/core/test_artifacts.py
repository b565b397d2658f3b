"""What runs leave: it comes back as it was, whole or not at all, and not for ever."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.artifacts import KEEP, Artifacts
from tcdatalogger.errors import ConfigError, DataRefused
from tcdatalogger.services.torncity import catalog
from tcdatalogger.services.torncity.base import EndpointProcessor, Fetched, Task

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
    return Artifacts(tmp_path / "artifacts", clock)


def made(one, body=b'{"crimes": [{"id": 1, "name": "Pet Project", "odd": [{"a": 1}]}]}'):
    return EndpointProcessor(one).transform_data(Fetched.of(body))


def same(left, right):
    assert left.family == right.family
    assert (left.drift, left.misfits) == (right.drift, right.misfits)
    assert (left.lacking, left.unread, left.repeated) == (
        right.lacking,
        right.unread,
        right.repeated,
    )
    assert (left.warnings, left.odd, left.checks) == (right.warnings, right.odd, right.checks)
    assert left.tables.keys() == right.tables.keys()
    for name, table in left.tables.items():
        assert table.schema == right.tables[name].schema
        assert table.equals(right.tables[name])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(records=RECORDS)
def test_rows_come_back_as_they_were(artifacts, records):
    one = task()
    before = made(one, json.dumps({"crimes": records}).encode())

    artifacts.write(one, "transform", before)

    same(artifacts.read(one), before)
    assert artifacts.step(one.run_id) == "transform"


def test_frames_of_a_processor_of_ones_own_come_back_too(artifacts):
    one = task(key=("id",))
    worker = EndpointProcessor(one)
    frames = {"crimes": pa.table({"id": [1], "at": pa.array([2.5])})}
    before = worker.as_tables(frames, Fetched.of(b"{}"))

    artifacts.write(one, "transform", before)

    same(artifacts.read(one), before)


def test_a_later_step_takes_the_place_of_the_one_before(artifacts):
    one = task()
    artifacts.write(one, "transform", made(one))
    artifacts.write(one, "validate", made(one, b'{"crimes": [{"id": 7}]}'))

    assert artifacts.step(one.run_id) == "validate"
    assert artifacts.read(one).tables["crimes"]["id"].to_pylist() == [7]
    assert [folder.name for folder in artifacts.root.iterdir()] == [one.run_id]


def test_of_a_half_written_one_nothing_is_seen(artifacts):
    one = task()
    folder = artifacts.write(one, "transform", made(one))
    (folder / "step.json").unlink()

    assert artifacts.step(one.run_id) == ""
    with pytest.raises(DataRefused, match="is damaged"):
        artifacts.read(one)


@pytest.mark.parametrize(
    "other",
    [
        {"name": "others"},
        {"key": ("name",)},
        {"contract": "freeze"},
        {"params": (("cat", "all"),)},
        {"incremental": True},
        {"table": "elsewhere"},
    ],
)
def test_other_settings_make_other_rows(artifacts, other):
    one = task()
    artifacts.write(one, "transform", made(one))

    with pytest.raises(DataRefused) as refused:
        artifacts.read(task(**other))

    assert "--step transform" in refused.value.remedy


def test_what_nobody_went_on_from_is_gone_after_days(artifacts, clock):
    old, new = task(run_id="old"), task(run_id="new")
    artifacts.write(old, "transform", made(old))
    clock.sleep(KEEP - 1)
    artifacts.write(new, "transform", made(new))
    assert artifacts.step("old")

    clock.sleep(2)
    assert artifacts.prune() == 1

    assert (artifacts.step("old"), artifacts.step("new")) == ("", "transform")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, clock):
    (tmp_path / "artifacts").write_text("in the way")
    one = task()

    with pytest.raises(ConfigError, match="artifacts cannot be written to"):
        Artifacts(tmp_path / "artifacts", clock).write(one, "transform", made(one))
