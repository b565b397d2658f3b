"""What every script reads and what tables it leaves; imports nothing.

A shape is a dict of fields; a list of one shape is a list. A column is the way to a value, its
parts joined by dots, and `=name` where the table calls it otherwise than by those parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

INT, TEXT, REAL, BOOL, TIME = "int", "text", "real", "bool", "time"
"""`time` is a number of seconds since 1970, and a time with a zone in a table."""


@dataclass(frozen=True)
class Records:
    """A list of records of a page, and what becomes of it.

    Attributes:
        shape: of one record.
        root: the table of the records, and its columns.
        lists: the tables of lists within a record: the way to the list, the columns of the record,
            and the columns of an element.
        beside: other fields of a page.
    """

    shape: dict
    root: tuple[str, str]
    lists: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    beside: dict = field(default_factory=dict)


_CRIME = "previous_crime_id name difficulty status created_at planning_at ready_at expired_at"
_CRIME += " executed_at"
_ITEM = "description effect requirement image type sub_type is_masked is_tradable"
_ITEM += " is_found_in_city"

KINDS = {
    "crimes": Records(
        shape={
            "id": INT,
            "previous_crime_id": INT,
            "name": TEXT,
            "difficulty": INT,
            "status": TEXT,
            "created_at": TIME,
            "planning_at": TIME,
            "ready_at": TIME,
            "expired_at": TIME,
            "executed_at": TIME,
            "slots": [
                {
                    "position": TEXT,
                    "position_info": {"id": TEXT, "label": TEXT, "number": INT},
                    "item_requirement": {"id": INT, "is_reusable": BOOL, "is_available": BOOL},
                    "user": {
                        "id": INT,
                        "outcome": TEXT,
                        "outcome_duration": INT,
                        "item_outcome": {
                            "owned_by": TEXT,
                            "item_id": INT,
                            "item_uid": INT,
                            "outcome": TEXT,
                        },
                        "joined_at": TIME,
                        "progress": REAL,
                    },
                    "checkpoint_pass_rate": INT,
                }
            ],
            "rewards": {
                "money": INT,
                "items": [{"id": INT, "quantity": INT}],
                "respect": INT,
                "scope": INT,
                "payout": {"type": TEXT, "percentage": REAL, "paid_by": INT, "paid_at": TIME},
            },
        },
        root=(
            "faction_crimes",
            (
                f"id {_CRIME} rewards.money rewards.respect rewards.scope rewards.payout.type "
                "rewards.payout.percentage rewards.payout.paid_by rewards.payout.paid_at"
            ),
        ),
        lists={
            "faction_crimes_slots": (
                "slots",
                f"id=crime_id {_CRIME}",
                (
                    "position position_info.id position_info.label position_info.number "
                    "item_requirement.id item_requirement.is_reusable "
                    "item_requirement.is_available user.id user.outcome user.outcome_duration "
                    "user.item_outcome.owned_by user.item_outcome.item_id "
                    "user.item_outcome.item_uid user.item_outcome.outcome user.joined_at "
                    "user.progress checkpoint_pass_rate"
                ),
            ),
            "faction_crimes_rewards_items": (
                "rewards.items",
                (
                    f"id=crime_id {_CRIME} rewards.money=money rewards.respect=respect "
                    "rewards.scope=scope"
                ),
                "id=item_id quantity",
            ),
        },
        beside={"_metadata": {"links": {"next": TEXT, "prev": TEXT}}},
    ),
    "members": Records(
        shape={
            "id": INT,
            "name": TEXT,
            "position": TEXT,
            "level": INT,
            "days_in_faction": INT,
            "is_revivable": BOOL,
            "is_on_wall": BOOL,
            "is_in_oc": BOOL,
            "has_early_discharge": BOOL,
            "last_action": {"status": TEXT, "timestamp": TIME, "relative": TEXT},
            "status": {
                "description": TEXT,
                "details": TEXT,
                "state": TEXT,
                "color": TEXT,
                "until": TIME,
                "plane_image_type": TEXT,
            },
            "revive_setting": TEXT,
        },
        root=(
            "faction_members",
            (
                "id name position level days_in_faction is_revivable is_on_wall is_in_oc "
                "has_early_discharge last_action.status last_action.timestamp last_action.relative "
                "status.description status.details status.state status.color status.until "
                "status.plane_image_type revive_setting"
            ),
        ),
    ),
    "items": Records(
        shape={
            "id": INT,
            "name": TEXT,
            "description": TEXT,
            "effect": TEXT,
            "requirement": TEXT,
            "image": TEXT,
            "type": TEXT,
            "sub_type": TEXT,
            "is_masked": BOOL,
            "is_tradable": BOOL,
            "is_found_in_city": BOOL,
            "value": {
                "vendor": {"country": TEXT, "name": TEXT},
                "shops": [{"country": TEXT, "shop": TEXT, "buy_price": INT, "sell_price": INT}],
                "buy_price": INT,
                "sell_price": INT,
                "market_price": INT,
            },
            "circulation": INT,
            "details": {
                "stealth_level": REAL,
                "base_stats": {"damage": INT, "accuracy": INT, "armor": INT},
                "category": TEXT,
                "ammo": {
                    "id": INT,
                    "name": TEXT,
                    "magazine_rounds": INT,
                    "rate_of_fire": {"minimum": INT, "maximum": INT},
                },
                "mods": [INT],
                "coverage": [{"name": TEXT, "value": REAL}],
            },
        },
        root=(
            "torn_items",
            (
                f"id name {_ITEM} value.vendor.country value.vendor.name value.buy_price "
                "value.sell_price value.market_price circulation details.stealth_level "
                "details.base_stats.damage details.base_stats.accuracy details.base_stats.armor "
                "details.category details.ammo.id details.ammo.name details.ammo.magazine_rounds "
                "details.ammo.rate_of_fire.minimum details.ammo.rate_of_fire.maximum"
            ),
        ),
        lists={
            "torn_items_value_shops": (
                "value.shops",
                (
                    f"id=item_id name {_ITEM} circulation value.buy_price value.sell_price "
                    "value.market_price=market_price"
                ),
                "country shop buy_price sell_price",
            ),
            "torn_items_details_mods": (
                "details.mods",
                (
                    f"id=item_id name {_ITEM} circulation details.stealth_level=stealth_level "
                    "details.category=category"
                ),
                "=value",
            ),
            "torn_items_details_coverage": (
                "details.coverage",
                (
                    f"id=item_id name=item_name {_ITEM} circulation "
                    "details.stealth_level=stealth_level details.category=category"
                ),
                "name value",
            ),
        },
    ),
}


def columns(text: str) -> Iterator[tuple[str, list[str]]]:
    """The name of each column, and the way to its value; an element itself has no way."""
    for word in text.split():
        way, _, name = word.partition("=")
        yield name or way.replace(".", "_"), way.split(".") if way else []


def kind_at(shape: object, way: list[str]) -> object:
    """The shape at the end of a way."""
    for step in way:
        shape = shape[step]  # type: ignore[index]
    return shape


def page_files(folder: str) -> list[Path]:
    """The pages in their order."""
    return sorted(Path(folder).glob("page_*.json"))
