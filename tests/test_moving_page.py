"""The queries of docs/moving.md answer from old and new rows together, each row once."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

PAGE = (Path(__file__).parents[1] / "docs/moving.md").read_text(encoding="utf-8")
MEMBERS, CRIMES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
OLD = """
create table legacy_v2_faction_40832_members (id bigint, name text, level bigint,
  days_in_faction bigint, position text, last_action_status text, last_action_timestamp timestamptz,
  server_timestamp timestamptz, _subject_id bigint, _run_id text);
insert into legacy_v2_faction_40832_members by name
  select -1 as id, timestamptz '2025-01-01 00:00:00+00' as server_timestamp
  union all select -2, timestamptz '2030-01-01 00:00:00+00';
update faction_crimes set status = 'Successful', rewards_money = 7
  where id % 3 = (select min(id) % 3 from faction_crimes);
create table legacy_v2_faction_40832_crimes (id bigint, name text, status text,
  executed_at timestamptz, rewards_money bigint, server_timestamp timestamptz);
insert into legacy_v2_faction_40832_crimes by name
  select -1 as id, 'Old' as name, 'Successful' as status, 10000000 as rewards_money
  from range(18)
  union all select id, 'both', 'Successful', 1 from faction_crimes;
"""


@pytest.fixture
def both(workplace):
    """A warehouse with rows of this program and of the first tool."""
    workplace.log("faction_members")
    workplace.log("faction_crimes")
    workplace.clock.sleep(60)
    workplace.log("faction_crimes")
    with duckdb.connect(str(workplace.warehouse)) as connection:
        connection.execute(OLD)
    return workplace


def test_members_of_both_are_told_and_the_old_ones_end_where_the_new_ones_begin(both):
    found = both.sql(MEMBERS)

    assert [row["id"] for row in found].count(-1) == 1
    assert -2 not in [row["id"] for row in found]
    assert {row["faction_id"] for row in found} == {40832}
    assert len(found) == 1 + both.value("select count(*) from faction_members")


def test_a_crime_counts_once_however_many_rows_the_first_tool_made_of_it(both):
    found = {row["id"]: row["money"] for row in both.sql(CRIMES)}

    successful = "select distinct id from faction_crimes where status = 'Successful'"
    assert set(found) == {-1, *(row["id"] for row in both.sql(successful))}
    assert found[-1] == 10_000_000
    assert len(found) == len(both.sql(CRIMES)) > 1
