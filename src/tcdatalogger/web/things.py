"""Where ids lead: members, crimes, wars and items have pages of their own, all else is on Torn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_PROFILE: Final = "https://www.torn.com/profiles.php?XID="
"""The address of a player on Torn, without the id."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A kind of thing that has a page.

    Attributes:
        name: as questions call it (`question.THINGS`); a column that ends with `NAME_id` has its
            id.
        path: of its pages, which end with the id.
        section: the page of questions that it belongs to.
        torn: its address on Torn, without the id.
        goes_on: whether its page is of some days; a crime and a war have an end of their own.
    """

    name: str
    path: str
    section: str
    torn: str
    goes_on: bool = False


THINGS: Final = (
    Thing("member", "/members", "members", _PROFILE, goes_on=True),
    Thing(
        "crime",
        "/crimes",
        "crimes",
        "https://www.torn.com/factions.php?step=your&type=1#/tab=crimes&crimeId=",
    ),
    Thing("war", "/war", "war", "https://www.torn.com/war.php?step=rankreport&rankID="),
    Thing(
        "item",
        "/market/items",
        "market",
        "https://www.torn.com/page.php?sid=ItemMarket#/market/view=search&itemID=",
        goes_on=True,
    ),
)
"""One for each of `question.THINGS`."""

_PLACES: Final[Mapping[str, str]] = {
    **{f"{each.name}_id": f"{each.path}/" for each in THINGS},
    "user_id": _PROFILE,
    "attacker_id": _PROFILE,
    "defender_id": _PROFILE,
    "opponent_id": _PROFILE,
    "faction_id": "https://www.torn.com/factions.php?step=profile&ID=",
    "company_id": "https://www.torn.com/joblist.php#/p=corpinfo&ID=",
    "stock_id": "https://www.torn.com/page.php?sid=stocks&stockID=",
    "chain_id": "https://www.torn.com/war.php?step=chainreport&chainID=",
}
"""Where an id leads, by what its column ends with."""


def place(column: str, number: Any) -> str:
    """Where an id leads; "" where it leads nowhere."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        return ""
    found = _PLACES.get(last_words(column))
    return "" if found is None else f"{found}{number}"


def on_torn(path: str) -> str:
    """The address on Torn of the thing whose page a path is; "" for all other paths."""
    for each in THINGS:
        if path.startswith(f"{each.path}/"):
            return f"{each.torn}{path.removeprefix(f'{each.path}/')}"
    return ""


def last_words(column: str) -> str:
    """What the name of a column of ids ends with: `war_id` of `ranked_war_id`."""
    return "_".join(column.split("_")[-2:])
