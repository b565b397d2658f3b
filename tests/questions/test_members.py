"""What pictures of members tell, and what they do not tell."""

from __future__ import annotations

import json

import pytest
from installation import endpoint, installed
from known_faction import DAY, HOUR, START, person

from tcdatalogger.core.run.load import Guard, load_of
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.lists.cursor import WalkSummary
from tcdatalogger.services.torncity.processing.task import Fetched, Page, Task


def seen(folder, *pictures, mode="append"):
    """An installation with pictures of one faction: a time, and members with their last action."""
    file = folder / "torn.duckdb"
    entry, _ = catalog.load().find("/faction/members")
    with DuckDBWarehouse(file) as warehouse:
        for number, (at, members) in enumerate(pictures):
            task = Task("members", entry, "1", run_id=f"run-{number:02}", mode=mode, max_drop=1.0)
            told = [person(ord(name), name, action) for name, action in members.items()]
            page = Page(json.dumps({"members": told}).encode(), 1, float(at))
            walk = WalkSummary("1", None, complete=True, at=int(at))
            fetched = Fetched((page,), readings=(walk,))
            worker = processor(entry.path)(task)
            made = worker.validate(worker.transform_data(fetched), fetched)
            warehouse.commit(load_of(task, fetched, made, Guard(), cursor=None, at=float(at)))
    return installed(file, endpoint("members", "/faction/members", storage_mode=mode))


def daily(*here):
    """Pictures of one day after the other, each with these members."""
    return [(START + day * DAY, dict.fromkeys(names, START - 60)) for day, names in enumerate(here)]


@pytest.mark.parametrize(
    ("pictures", "joined", "gone"),
    [
        (["AB", "AB", "AB"], [], []),  # whoever is in the first picture was there before
        (["A", "AB", "AB"], ["B"], []),
        (["AB", "A", "A"], [], ["B"]),
        (["AB", "AB", "A"], [], []),  # one picture alone may miss somebody
        (["AB", "A", "AB"], [], []),
        (["AB", "A", "A", "AB"], ["B"], ["B"]),  # away and back again
        (["A", "AB", "A", "A"], ["B"], ["B"]),
    ],
)
def test_a_member_has_left_where_two_pictures_lack_him(tmp_path, pictures, joined, gone):
    (row,) = seen(tmp_path, *daily(*pictures)).ask("turnover").rows.to_pylist()

    assert (row["joined"], row["gone"]) == (len(joined), -len(gone))
    assert (row["who_joined"], row["who_left"]) == (
        ", ".join(joined) or None,
        ", ".join(gone) or None,
    )


def test_weeks_of_turnover_begin_on_monday_and_quiet_ones_are_there(tmp_path):
    # START is a Thursday: the fourth day after it is a Monday.
    here = seen(tmp_path, *daily("A", "A", "A", "A", "AB", "AB"))

    assert [
        (f"{row['week_begins']}", row["joined"]) for row in here.ask("turnover").rows.to_pylist()
    ] == [
        ("2026-01-05", 1),
        ("2025-12-29", 0),
    ]


@pytest.mark.parametrize(
    ("second", "counted"),
    [
        (60, [(2, 1)]),  # from 01:40 to 02:40: the middle is 02:10
        (30, [(1, 1)]),  # from 01:40 to 02:10: the middle is 01:55, though the picture is of 2
        (90, [(2, 1)]),
        (91, []),  # nobody watched for so long
    ],
)
def test_a_span_is_of_the_hour_of_its_middle_and_a_long_one_was_not_watched(
    tmp_path, second, counted
):
    first = START + HOUR + 40 * 60
    later = first + second * 60
    here = seen(
        tmp_path,
        (first, {"A": first - 5, "B": first - 5}),
        (later, {"A": first + 1, "B": first - 5}),
    )

    rows = here.ask("activity-heatmap").rows.to_pylist()
    assert [(row["hour"], row["member_hours"]) for row in rows] == counted


@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_who_was_not_seen_is_reckoned_to_the_newest_picture_in_every_mode(tmp_path, mode):
    # The row of A does not change: in history it keeps the time at which it was seen first.
    first = {"A": START - HOUR, "B": START - HOUR}
    later = {"A": START - HOUR, "B": START + 2 * DAY}
    here = seen(tmp_path, (START, first), (START + 2 * DAY, later), mode=mode)

    (row,) = here.ask("inactive-members").rows.to_pylist()
    assert (row["member"], row["days_ago"]) == ("A", 49 / 24)
