"""What is special to crimes, members, items, balance and basic, on bodies of the sandbox.

Each of these was wrong in the first tool of this kind.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.base import Fetched, Source, Task


@pytest.fixture
def log(city, make_client, make_key, clock):
    """Fetch, transform and validate a path; the bodies as Python values and the tables."""
    clock.sleep(7_777)  # our clock is not the server's

    def log(path, key="limited", **facts):
        client = make_client(url=city.url)
        held = make_key(secret=city.keys[key])
        endpoint, _ = catalog.load().find(path)
        task = Task(endpoint.name, endpoint, run_id="r1", **facts)
        source = Source(
            get=lambda request: client.get(request, held),
            host=client.host,
            subject=lambda section: 40832 if section == "faction" else None,
            clock=ManualClock(1.0),
        )
        own = processor(endpoint.path)(task, source=source)
        fetched = own.fetch_data()
        made = own.validate(own.transform_data(fetched), fetched)
        assert (made.drift, made.rejected) == ((), ())
        return list(fetched.json()), made.tables

    return log


def rows(table, **where):
    return [r for r in table.to_pylist() if all(r[name] == v for name, v in where.items())]


@pytest.fixture
def crimes(log):
    bodies, tables = log("/faction/crimes")
    return [crime for body in bodies for crime in body["crimes"]], tables


def seconds(moment):
    return None if moment is None else moment.timestamp()


# Crimes


def test_all_pages_of_the_crimes_are_read_and_none_twice(crimes):
    sent, tables = crimes

    assert len(sent) > 200
    assert tables["faction_crimes"]["id"].to_pylist() == [crime["id"] for crime in sent]


def test_slots_and_reward_items_are_two_tables_that_do_not_multiply(crimes):
    sent, tables = crimes
    rewarded = [crime["rewards"] for crime in sent if crime["rewards"]]

    assert tables["faction_crimes_slots"].num_rows == sum(len(c["slots"]) for c in sent)
    assert tables["faction_crimes_rewards_items"].num_rows == sum(len(r["items"]) for r in rewarded)
    assert any(len(reward["items"]) > 1 for reward in rewarded)
    money = sum(reward["money"] for reward in rewarded)
    assert pc.sum(tables["faction_crimes"]["rewards_money"]).as_py() == money > 0


def test_a_crime_without_slots_keeps_its_reward_items():
    body = {"crimes": [{"id": 1, "slots": [], "rewards": {"items": [{"id": 206, "quantity": 5}]}}]}
    endpoint, _ = catalog.load().find("/faction/crimes")
    own = processor("/faction/crimes")(Task("faction_crimes", endpoint))

    made = own.transform_data(Fetched.of(json.dumps(body).encode()))

    assert rows(made.tables["faction_crimes_rewards_items"], crime_id=1, item_id=206, quantity=5)
    assert made.rows == {
        "faction_crimes": 1, "faction_crimes_slots": 0, "faction_crimes_rewards_items": 1,
    }  # fmt: skip


def test_a_payout_percentage_keeps_its_fraction(crimes):
    sent, tables = crimes
    payouts = {c["id"]: (c["rewards"] or {}).get("payout") for c in sent}
    wanted = [p and p["percentage"] for p in payouts.values()]

    column = tables["faction_crimes"]["rewards_payout_percentage"]
    assert column.type == pa.float64()
    assert column.to_pylist() == wanted
    assert any(value and value % 1 for value in wanted)


def test_an_empty_slot_has_no_user_and_nothing_of_a_user(crimes):
    sent, tables = crimes
    slots = tables["faction_crimes_slots"].to_pylist()
    users = [(s["user"] or {}).get("id") for crime in sent for s in crime["slots"]]

    assert [slot["user_id"] for slot in slots] == users
    assert None in users
    empty = [slot for slot in slots if slot["user_id"] is None]
    assert {(s["user_progress"], s["user_joined_at"], s["user_outcome"]) for s in empty} == {
        (None, None, None)
    }


def test_a_slot_has_the_pass_rate_that_was_sent(crimes):
    sent, tables = crimes
    rates = [s["checkpoint_pass_rate"] for crime in sent for s in crime["slots"]]

    assert tables["faction_crimes_slots"]["checkpoint_pass_rate"].to_pylist() == rates
    assert len(set(rates)) > 20


def test_null_is_null_and_never_zero_false_or_now(crimes):
    sent, tables = crimes
    table = tables["faction_crimes"]

    for name in ("planning_at", "ready_at", "executed_at", "previous_crime_id"):
        absent = sum(crime[name] is None for crime in sent)
        assert table[name].null_count == absent > 0
    needless = sum(s["item_requirement"] is None for crime in sent for s in crime["slots"])
    slots = tables["faction_crimes_slots"]
    assert slots["item_requirement_is_reusable"].null_count == needless > 0
    assert slots["item_requirement_is_available"].null_count == needless


def test_times_are_utc_to_the_second(crimes):
    sent, tables = crimes
    for name in ("created_at", "executed_at", "expired_at"):
        column = tables["faction_crimes"][name]
        assert column.type == pa.timestamp("us", tz="UTC")
        assert list(map(seconds, column.to_pylist())) == [crime[name] for crime in sent]


def test_rows_have_the_servers_time_not_ours_and_the_faction_they_are_about(crimes, city):
    _, tables = crimes
    for table in tables.values():
        assert set(table["server_timestamp"].to_pylist()) == {
            datetime.fromtimestamp(city.now(), UTC)
        }
        assert set(table["_subject_id"].to_pylist()) == {40832}
        assert set(table["_run_id"].to_pylist()) == {"r1"}


def test_every_slot_knows_its_crime_and_its_place(crimes):
    sent, tables = crimes
    places = [(crime["id"], at) for crime in sent for at, _ in enumerate(crime["slots"])]

    slots = tables["faction_crimes_slots"]
    pairs = zip(slots["crime_id"].to_pylist(), slots["_index"].to_pylist(), strict=True)
    assert list(pairs) == places


# Members


def test_members_have_real_nulls_and_times(log):
    (body,), tables = log("/faction/members")
    table = tables["faction_members"]
    sent = body["members"]

    assert table["status_details"].null_count == sum(m["status"]["details"] is None for m in sent)
    assert list(map(seconds, table["status_until"].to_pylist())) == [
        member["status"]["until"] for member in sent
    ]
    assert list(map(seconds, table["last_action_timestamp"].to_pylist())) == [
        member["last_action"]["timestamp"] for member in sent
    ]
    assert table["status_color"].to_pylist() == [member["status"]["color"] for member in sent]
    assert "None" not in {v for row in table.to_pylist() for v in row.values()}
    assert not [name for name in table.column_names if name.startswith("life")]


# Items


def test_items_keep_all_of_their_details(log):
    (body,), tables = log("/torn/items")
    sent = {item["id"]: item for item in body["items"]}
    found = {row["id"]: row for row in tables["torn_items"].to_pylist()}

    assert found.keys() == sent.keys()
    assert set(tables["torn_items"]["_subject_id"].to_pylist()) == {None}
    weapons = [i for i in sent.values() if (i["details"] or {}).get("base_stats")]
    assert any((item["details"].get("ammo") or {}).get("rate_of_fire") for item in weapons)
    for item in weapons:
        row, details = found[item["id"]], item["details"]
        assert row["details_base_stats_damage"] == details["base_stats"]["damage"]
        assert row["details_ammo_id"] == (details.get("ammo") or {}).get("id")
        fire = (details.get("ammo") or {}).get("rate_of_fire") or {}
        assert row["details_ammo_rate_of_fire_minimum"] == fire.get("minimum")
        assert row["details_ammo_rate_of_fire_maximum"] == fire.get("maximum")


def test_lists_inside_of_items_are_children_that_know_their_item(log):
    (body,), tables = log("/torn/items")

    lists = {"value_shops": ("value", "shops"), "details_mods": ("details", "mods")}
    for name, (outer, inner) in lists.items():
        wanted = [
            item["id"] for item in body["items"] for _ in (item[outer] or {}).get(inner) or []
        ]
        assert tables[f"torn_items_{name}"]["item_id"].to_pylist() == wanted


def test_an_item_that_nobody_sells_has_a_null_price(log):
    (body,), tables = log("/torn/items")
    priced = [item["value"]["market_price"] for item in body["items"]]

    assert tables["torn_items"]["value_market_price"].to_pylist() == priced


# Balance


def test_the_money_of_a_faction_comes_from_its_balance(log):
    (body,), tables = log("/faction/balance")
    (row,) = tables["faction_balance"].to_pylist()
    sent = body["balance"]

    assert (row["faction_money"], row["faction_points"]) == (
        sent["faction"]["money"], sent["faction"]["points"],
    )  # fmt: skip
    assert row["_subject_id"] == 40832
    members = tables["faction_balance_members"].to_pylist()
    assert {row["member_id"]: row["money"] for row in members} == {
        member["id"]: member["money"] for member in sent["members"]
    }


@pytest.mark.parametrize(
    "path", ['path = "/faction/currency"', 'url = "https://api.torn.com/v2/faction/currency"']
)
def test_currency_is_refused_and_balance_named(workplace, path):
    workplace.write(f'[[endpoints]]\nname = "currency"\n{path}\n')

    done = workplace.run("run", "--all")

    assert done.code == 78
    assert "/faction/currency" in done.err
    assert "/faction/balance" in done.err


def test_the_catalogue_names_the_successor_of_a_selection_of_version_one():
    with pytest.raises(ConfigError, match="version 1 had it") as refused:
        catalog.load().find("/faction/armorynews")

    assert "/faction/news" in refused.value.remedy


# Basic


def test_the_co_leader_is_read(log):
    (body,), tables = log("/faction/basic")
    (row,) = tables["faction_basic"].to_pylist()

    assert row["co_leader_id"] == body["basic"]["co_leader_id"] > 0
    assert row["leader_id"] == body["basic"]["leader_id"]


def test_what_only_members_may_know_is_null_for_strangers_not_false(log):
    (body,), tables = log("/faction/{id}/basic", ids=("40991",))
    (row,) = tables["faction_basic"].to_pylist()

    assert body["basic"]["is_enlisted"] is None
    assert row["is_enlisted"] is None
    assert row["_subject_id"] == 40991
