"""Torn's call limits and the book of who called: 100 a rolling minute a user, 1,000 an address."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

WINDOW = 60.0
PER_USER = 100
PER_ADDRESS = 1_000


@dataclass(slots=True)
class _Lane:
    """The calls of one user, or of one address."""

    allowed: deque[float] = field(default_factory=deque)
    all: deque[float] = field(default_factory=deque)
    total: int = 0
    refused: int = 0
    most: int = 0

    def call(self, now: float, limit: int) -> bool:
        """Note a call; whether it is within the limit."""
        for calls in (self.allowed, self.all):
            while calls and calls[0] <= now - WINDOW:
                calls.popleft()
        self.total += 1
        self.all.append(now)
        self.most = max(self.most, len(self.all))
        if len(self.allowed) >= limit:
            self.refused += 1
            return False
        self.allowed.append(now)
        return True

    def facts(self) -> dict[str, int]:
        return {"calls": self.total, "violations": self.refused, "most_in_a_minute": self.most}


class Meter:
    """Counts every call and says which are too many; a refused call does not use up the limit."""

    def __init__(self, per_user: int = PER_USER, per_address: int = PER_ADDRESS) -> None:
        self._limits = (per_user, per_address)
        self._owners: dict[int, _Lane] = {}
        self._addresses: dict[str, _Lane] = {}
        self._paths: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()
        self._errors: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()

    def address(self, address: str, path: str, now: float) -> bool:
        """Note a call from an address; whether it is within its limit."""
        self._paths[path] += 1
        return self._addresses.setdefault(address, _Lane()).call(now, self._limits[1])

    def owner(self, owner: int, key: str, now: float) -> bool:
        """Note a call of a user by the name of the key; whether it is within their limit."""
        self._keys[key] += 1
        return self._owners.setdefault(owner, _Lane()).call(now, self._limits[0])

    def dead(self, key: str) -> None:
        """Note a call with a key that is not alive."""
        self._dead[key] += 1

    def error(self, code: int) -> None:
        self._errors[code] += 1

    def fault(self, name: str) -> None:
        self._faults[name] += 1

    def facts(self) -> dict[str, object]:
        """Everything counted so far. Keys go by their names, unknown ones as `unknown`."""
        lanes = [*self._owners.values(), *self._addresses.values()]
        return {
            "calls": sum(self._paths.values()),
            "violations": sum(lane.refused for lane in lanes),
            "owners": {str(owner): lane.facts() for owner, lane in self._owners.items()},
            "addresses": {name: lane.facts() for name, lane in self._addresses.items()},
            "paths": dict(self._paths),
            "keys": dict(self._keys),
            "dead_key_calls": dict(self._dead),
            "errors": {str(code): count for code, count in self._errors.items()},
            "faults": dict(self._faults),
        }
