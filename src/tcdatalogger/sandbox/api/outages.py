"""Outages: times of the world in which the API answers nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OUTAGES = {
    "closed": "error 9: the API is disabled",
    "block": "error 8: the address is blocked",
    "down": "an HTML page with HTTP 502",
    "reset": "the connection is reset before any answer",
}


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage.

    Attributes:
        kind: one of `OUTAGES`.
        since, until: world seconds since 1970; `until` is excluded.

    Raises:
        ValueError: the kind is unknown, or `until` is not after `since`.
    """

    kind: str
    since: float
    until: float

    def __post_init__(self) -> None:
        if self.kind not in OUTAGES:
            raise ValueError(f"kind is one of {sorted(OUTAGES)}")
        if self.until <= self.since:
            raise ValueError("an outage ends after it begins")


def outage(facts: Mapping[str, Any], now: float) -> Outage:
    """An outage from plain facts: `since` and `until`, or `after` and `seconds` from now on.

    Raises:
        ValueError: a name is unknown, or a value is out of range.
    """
    unknown = set(facts) - {"kind", "since", "until", "after", "seconds"}
    if unknown or not ("until" in facts or "seconds" in facts):
        raise ValueError("an outage has kind, and since and until, or after and seconds")
    since = float(facts.get("since", now + facts.get("after", 0)))
    until = float(facts["until"]) if "until" in facts else since + facts["seconds"]
    return Outage(str(facts.get("kind")), since, until)


def outage_at(outages: Iterable[Outage], now: float) -> Outage | None:
    """The first outage that lasts at `now`, None for none."""
    return next((each for each in outages if each.since <= now < each.until), None)
