"""Torn's limits, and counters of all calls.

Torn allows 100 calls in a rolling minute for a user, 1,000 for an address, and 50,000 rows in a
rolling day for a user and a category of some selections.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

WINDOW = 60.0
PER_USER = 100
PER_ADDRESS = 1_000
ROWS = 50_000
DAY = 86_400.0

CLOUD = {
    "/faction/news": "news",
    "/user/events": "events",
    "/user/newevents": "events",
    "/user/log": "log",
    "/user/personalstats": "personalstats",
    "/user/{id}/personalstats": "personalstats",
}
"""The endpoints with a daily limit of rows, and the category under which they are counted."""

_REMEMBERED = 200_000


class Called(NamedTuple):
    """One call of a user.

    Attributes:
        at: the second of the call, by `City.seconds`.
        owner: the user id of the key's owner.
        key: the name of the key.
        path: the path that was called.
        accepted: False where the call was over the limit.
    """

    at: float
    owner: int
    key: str
    path: str
    accepted: bool


@dataclass(slots=True)
class _Lane:
    """The calls of one user, or of one address."""

    limit: int
    window: float
    allowed: deque[float] = field(default_factory=deque)
    all: deque[float] = field(default_factory=deque)
    accepted: int = 0
    refused: int = 0
    most: int = 0
    paths: Counter[str] = field(default_factory=Counter)

    def call(self, now: float, path: str) -> bool:
        """Count a call; returns whether it is within the limit."""
        for calls in (self.allowed, self.all):
            while calls and calls[0] <= now - self.window:
                calls.popleft()
        self.paths[path] += 1
        self.all.append(now)
        self.most = max(self.most, len(self.all))
        if len(self.allowed) >= self.limit:
            self.refused += 1
            return False
        self.accepted += 1
        self.allowed.append(now)
        return True

    def facts(self) -> dict[str, object]:
        return {
            "calls": self.accepted + self.refused,
            "accepted": self.accepted,
            "refused": self.refused,
            "most_in_a_window": self.most,
            "paths": dict(self.paths),
        }


@dataclass(slots=True)
class _Reader:
    """The rows of one category that one user has read in the last day."""

    read: deque[tuple[float, int]] = field(default_factory=deque)
    today: int = 0
    rows: int = 0
    refused: int = 0
    most: int = 0

    def forget(self, now: float) -> None:
        while self.read and self.read[0][0] <= now - DAY:
            self.today -= self.read.popleft()[1]

    def facts(self) -> dict[str, int]:
        return {"rows": self.rows, "most_in_a_day": self.most, "refused": self.refused}


class Limits:
    """Counts all calls and decides which are over a limit; a refused call uses up no limit.

    Args:
        per_user, per_address: the calls that are allowed in a rolling window.
        window: the length of the window in seconds.
        rows: the rows of one category that one user may read in a rolling day.
    """

    def __init__(
        self,
        per_user: int = PER_USER,
        per_address: int = PER_ADDRESS,
        window: float = WINDOW,
        rows: int = ROWS,
    ) -> None:
        self._limits = (per_user, per_address)
        self._window = window
        self._most_rows = rows
        self._owners: dict[int, _Lane] = {}
        self._addresses: dict[str, _Lane] = {}
        self._readers: dict[tuple[int, str], _Reader] = {}
        self._calls: deque[Called] = deque(maxlen=_REMEMBERED)
        self._paths: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()
        self._errors: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._outages: Counter[str] = Counter()

    def outage(self, kind: str, path: str) -> None:
        """Count a call during an outage; it uses up no limit."""
        self._paths[path] += 1
        self._outages[kind] += 1

    def address(self, address: str, path: str, now: float) -> bool:
        """Count a call from an address; returns whether it is within the limit."""
        self._paths[path] += 1
        lane = self._addresses.setdefault(address, _Lane(self._limits[1], self._window))
        return lane.call(now, path)

    def owner(self, owner: int, key: str, path: str, now: float) -> bool:
        """Count a call of a user; returns whether it is within the limit.

        Args:
            owner: the user id of the key's owner.
            key: the name of the key.
            path: the path that was called.
            now: the second of the call, by `City.seconds`.
        """
        self._keys[key] += 1
        lane = self._owners.setdefault(owner, _Lane(self._limits[0], self._window))
        accepted = lane.call(now, path)
        self._calls.append(Called(now, owner, key, path, accepted))
        return accepted

    def may_read(self, owner: int, category: str, now: float) -> bool:
        """Whether a user has rows of a category left at this time of the world."""
        reader = self._readers.setdefault((owner, category), _Reader())
        reader.forget(now)
        if reader.today >= self._most_rows:
            reader.refused += 1
            return False
        return True

    def read(self, owner: int, category: str, rows: int, now: float) -> None:
        """Count the rows that a user has read at this time of the world."""
        reader = self._readers.setdefault((owner, category), _Reader())
        reader.forget(now)
        reader.read.append((now, rows))
        reader.today += rows
        reader.rows += rows
        reader.most = max(reader.most, reader.today)

    def dead(self, key: str) -> None:
        """Count a call with a dead or unknown key."""
        self._dead[key] += 1

    def error(self, code: int) -> None:
        """Count an answer with one of Torn's errors."""
        self._errors[code] += 1

    def fault(self, name: str) -> None:
        """Count a call that a planted fault of this kind has hit."""
        self._faults[name] += 1

    def calls(self) -> list[Called]:
        """The last calls of users in their order, accepted or not; at most 200,000."""
        return list(self._calls)

    def utilisation(self, owner: int, since: float, until: float) -> float:
        """The share of a user's limit that accepted calls used between two seconds.

        The seconds are those of `Called.at`; the result is exact only over several windows.
        """
        done = sum(c.accepted and c.owner == owner and since <= c.at < until for c in self._calls)
        return done * self._window / (self._limits[0] * (until - since))

    def facts(self) -> dict[str, object]:
        """All counters. Keys stand under their names, unknown keys under `unknown`."""
        lanes = [*self._owners.values(), *self._addresses.values()]
        cloud: dict[str, dict[str, object]] = {}
        for (owner, category), reader in self._readers.items():
            cloud.setdefault(str(owner), {})[category] = reader.facts()
        series = self._series()
        return {
            "calls": sum(self._paths.values()),
            "violations": sum(lane.refused for lane in lanes),
            "cloud_violations": sum(reader.refused for reader in self._readers.values()),
            "window": self._window,
            "owners": {
                str(owner): {**lane.facts(), "series": series[owner]}
                for owner, lane in self._owners.items()
            },
            "addresses": {name: lane.facts() for name, lane in self._addresses.items()},
            "cloud": cloud,
            "paths": dict(self._paths),
            "keys": dict(self._keys),
            "dead_key_calls": dict(self._dead),
            "errors": {str(code): count for code, count in self._errors.items()},
            "faults": dict(self._faults),
            "outages": dict(self._outages),
        }

    def _series(self) -> dict[int, list[list[float]]]:
        """For each user a list of [start, accepted, refused], one for each window with a call."""
        counts: dict[int, dict[float, list[int]]] = {owner: {} for owner in self._owners}
        for call in self._calls:
            start = call.at // self._window * self._window
            counts[call.owner].setdefault(start, [0, 0])[not call.accepted] += 1
        return {
            owner: [[start, *pair] for start, pair in windows.items()]
            for owner, windows in counts.items()
        }
