"""Which processor serves an endpoint, and processors of other packages."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest

from tcdatalogger.errors import ConfigError, DataRefused
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.endpoints.crimes import CrimesProcessor
from tcdatalogger.services.torncity.endpoints.currency import CurrencyProcessor
from tcdatalogger.services.torncity.endpoints.members import MembersProcessor
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.base import EndpointProcessor, Fetched, Page, Task

REPORT = '''
import pandas as pd
from tcdatalogger.services.torncity.processing.base import EndpointProcessor


class BattleReport(EndpointProcessor):
    """One row for each state: how many members are in it."""

    def transform_data(self, fetched):
        members = pd.DataFrame(
            {"state": member["status"]["state"], "level": member["level"]}
            for body in fetched.json()
            for member in body["members"]
        )
        report = members.groupby("state", as_index=False).agg(
            members=("level", "size"), mean_level=("level", "mean")
        )
        report["best"] = report["mean_level"] > 40
        report["seen_at"] = pd.Timestamp("2026-01-01", tz="Europe/Berlin")
        report["note"] = None
        return report


no_class = 1
'''
ENTRY_POINTS = """[tcdatalogger.processors]
battle_report = torn_battle:BattleReport
lost = torn_battle:Lost
gone = torn_gone:Lost
odd = torn_battle:no_class
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Another package, installed: a module and the metadata with its entry points."""
    site = tmp_path / "site"
    facts = site / "torn_battle-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "torn_battle.py").write_text(REPORT)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: torn-battle\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("torn_battle", None)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/faction/crimes", CrimesProcessor),
        ("/faction/balance", CurrencyProcessor),
        ("/faction/{id}/members", MembersProcessor),
        ("/user/attacks", EndpointProcessor),
    ],
)
def test_a_path_has_the_processor_of_its_own_or_the_generic_one(path, kind):
    assert processor(path) is kind


def test_every_processor_by_path_is_for_a_path_of_the_catalogue():
    from tcdatalogger.services.torncity.endpoints import registry  # noqa: PLC0415

    known = {endpoint.path for endpoint in catalog.load().endpoints}
    assert set(registry._BY_PATH) <= known
    assert set(registry._BY_PATH.values()) <= set(registry.BUILT_IN)


def test_a_name_in_the_configuration_goes_before_the_path():
    assert processor("/faction/crimes", "generic") is EndpointProcessor


def test_a_processor_of_another_package_is_found_by_its_entry_point(package):
    found = processor("/faction/members", "battle_report")

    assert found.__name__ == "BattleReport"
    assert issubclass(found, EndpointProcessor)


def test_a_name_that_no_package_registers_names_the_near_one(package):
    with pytest.raises(ConfigError, match="'batle_report'") as refused:
        processor("/faction/members", "batle_report")

    assert refused.value.remedy == "Did you mean 'battle_report'?"


@pytest.mark.parametrize(
    ("name", "why"), [("lost", "Lost"), ("gone", "torn_gone"), ("odd", "is no EndpointProcessor")]
)
def test_what_cannot_be_loaded_or_is_no_processor_is_refused(package, name, why):
    with pytest.raises(ConfigError, match=why):
        processor("/faction/members", name)


def test_a_pandas_frame_is_logged_like_any_other_table(workplace, package):
    workplace.write(
        '[[endpoints]]\nname = "battle"\npath = "/faction/members"\n'
        'processor = "battle_report"\nkey = "state"\n'
    )

    first, second = workplace.log("battle"), workplace.log("battle")

    assert first.error is None
    assert second.record.status == "done"
    assert second.record.steps == ()
    rows = workplace.sql(
        f"from battle where _run_id = '{first.record.run_id}' order by members desc"
    )
    assert sum(row["members"] for row in rows) == 30
    assert rows[0]["state"] == "Okay"
    assert isinstance(rows[0]["mean_level"], float)
    assert rows[0]["best"] in (True, False)
    assert rows[0]["seen_at"] == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert rows[0]["_subject_id"] == 40832
    assert rows[0]["server_timestamp"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert "note" not in rows[0]  # nothing is in it yet, so nobody knows its type


def test_a_processor_that_is_not_there_fails_its_own_run_and_no_other(workplace):
    workplace.write(
        '[[endpoints]]\nname = "battle"\npath = "/faction/members"\nprocessor = "nowhere"\n'
        '[[endpoints]]\nname = "faction_basic"\npath = "/faction/basic"\n'
    )

    done = workplace.run("run", "--all", "--json")

    assert done.code == 78
    assert [run["status"] for run in done.json] == ["failed", "done"]
    assert "nowhere" in done.json[0]["error"]["message"]


# Frames of any kind


class Stream:
    """What polars and others are to us: something with the Arrow C stream interface."""

    def __init__(self, **columns):
        self.table = pa.table(columns)

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


PAGES = (Page(b"{}", 40832, 60.0),)


def made_of(result, key=(), pages=PAGES, mode="append"):
    class Own(EndpointProcessor):
        def transform_data(self, _fetched):
            return result

    endpoint, _ = catalog.load().find("/faction/members")
    own = Own(Task("own", endpoint, run_id="r1", key=key, mode=mode))
    fetched = Fetched(pages)
    return own.validate(own.transform_data(fetched), fetched)


def test_anything_that_speaks_the_arrow_stream_interface_is_a_table():
    made = made_of(Stream(id=pa.array([1, None], pa.uint8()), name=["Fox", None]))

    assert made.tables["own"].to_pylist() == [
        {
            "id": number,
            "name": name,
            "server_timestamp": datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
            "_subject_id": 40832,
            "_run_id": "r1",
        }
        for number, name in ((1, "Fox"), (None, None))
    ]


@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_a_row_of_a_frame_with_a_null_in_its_key_is_set_aside(mode):
    made = made_of(Stream(id=[1, None, None], name=["Fox", "a", None]), key=("id",), mode=mode)

    assert made.tables["own"].column("id").to_pylist() == [1]
    assert [(reject.record, reject.again) for reject in made.rejected] == [
        ('{"id":null,"name":"a"}', False),
        ('{"id":null,"name":null}', False),
    ]


def test_a_column_of_a_frame_leaves_history_the_names_of_its_own():
    made = made_of(Stream(id=[1], valid_from=["a"], Valid_To=["b"]), key=("id",), mode="history")

    names = made.tables["own"].column_names[:3]
    assert names == ["id", "own_valid_from", "own_Valid_To"]
    assert made.tables["own"].slice(0, 1).to_pylist()[0]["own_Valid_To"] == "b"


def test_several_frames_are_a_family():
    made = made_of({"own": Stream(id=[1]), "own_parts": Stream(own_id=[1, 1])})

    assert made.rows == {"own": 1, "own_parts": 2}


def test_rows_of_several_subjects_are_of_none_unless_the_frame_says_so():
    made = made_of(Stream(id=[1]), pages=(Page(b"{}", 1, 60.0), Page(b"{}", 2, 120.0)))

    (row,) = made.tables["own"].to_pylist()
    assert row["_subject_id"] is None
    assert row["server_timestamp"] == datetime(1970, 1, 1, 0, 2, tzinfo=UTC)


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - that is what is refused
BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("result", "why", "remedy"),
    [
        (Stream(at=[NAIVE]), r"own\.at has the type timestamp", "localize it to UTC"),
        (Stream(parts=[[1]]), r"own\.parts has the type list", "Give integers"),
        (Stream(big=pa.array([2**64 - 1], pa.uint64())), "big does not fit int64", ""),
        (Stream(a=[1], A=[2]), "has a column twice", "capital letters"),
        ({"_tcd_loads": Stream(id=[1])}, "'_tcd_loads' is taken", "another name"),
        ({"own": Stream(id=[1]), "OWN": Stream(id=[1])}, "'OWN' is taken", "another name"),
        (None, "own cannot be read as Arrow", "__arrow_c_stream__"),
        ({"own": [1, 2]}, "own cannot be read as Arrow", "__arrow_c_stream__"),
    ],
)  # fmt: skip
def test_what_no_warehouse_can_hold_is_refused_by_name(result, why, remedy):
    with pytest.raises(DataRefused, match=why) as refused:
        made_of(result)

    assert remedy in refused.value.remedy


def test_a_frame_with_a_column_of_mixed_types_is_refused_and_its_values_are_not_shown():
    import pandas as pd  # noqa: PLC0415

    with pytest.raises(DataRefused, match="own cannot be read as Arrow"):
        made_of(pd.DataFrame({"a": ["x", 1]}))


def test_the_key_of_a_frame_must_be_there_and_tell_its_rows_apart():
    with pytest.raises(DataRefused, match="lacks the key column state"):
        made_of(Stream(id=[1]), key=("state",))
    with pytest.raises(DataRefused, match="repeats in 1 rows"):
        made_of(Stream(id=[1, 1]), key=("id",))


def test_times_of_any_zone_are_stored_in_utc():
    made = made_of(Stream(at=pa.array([datetime(2026, 1, 1, tzinfo=BERLIN)])))

    assert made.tables["own"]["at"].to_pylist() == [datetime(2025, 12, 31, 23, tzinfo=UTC)]


def test_json_of_a_fetch_is_what_torn_sent():
    bodies = [b'{"a": 1}', b'{"a": null}']

    assert list(Fetched.of(*bodies).json()) == [json.loads(body) for body in bodies]
