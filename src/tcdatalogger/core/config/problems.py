"""The mistakes of a configuration, collected so that all of them are told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tcdatalogger.core.config.toml_lines import Place, line_of
from tcdatalogger.observability.redact import redact
from tcdatalogger.text import did_you_mean

_LIKE_A_KEY = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{16}(?![A-Za-z0-9])")
_SHORT = 60


class ConfigErrors:
    """Collects mistakes and knows where each of them stands."""

    def __init__(self, file: str, lines: dict[Place, int], raw: Mapping[str, object]) -> None:
        self._file = file
        self._lines = lines
        self._raw = raw
        self._found: list[tuple[int, str]] = []
        self._endpoints: set[int | None] = set()
        self.origins: dict[Place, str] = {}
        """Where a value came from that does not stand in the file: a variable, a `--set`."""

    def add(self, place: Place, text: str, remedy: str = "") -> None:
        """Note that what stands at `place` is wrong: `text` goes on a sentence begun by it."""
        line = line_of(self._lines, place) or 0
        sentence = f"{self.where(place)}: {self.dotted(place)}: {text.rstrip('.')}. {remedy}"
        self._found.append((line, redact(sentence.strip())))
        index = place[1] if place[:1] == ("endpoints",) and len(place) > 1 else None
        self._endpoints.add(index if isinstance(index, int) else None)

    def add_at(self, origin: str, text: str, remedy: str = "") -> None:
        """Note a mistake in something that has no place in the file."""
        self._found.append((0, redact(f"{origin}: {text.rstrip('.')}. {remedy}".strip())))
        self._endpoints.add(None)

    def endpoints(self) -> frozenset[int] | None:
        """The endpoints that have a mistake, by their places; None where there is one elsewhere."""
        found = frozenset(index for index in self._endpoints if index is not None)
        return None if None in self._endpoints else found

    def all(self) -> tuple[str, ...]:
        """Each mistake once, in the order of the file."""
        ordered = sorted(self._found, key=lambda found: found[0])
        return tuple(dict.fromkeys(sentence for _, sentence in ordered))

    def alias(self, place: Place, other: Place) -> None:
        """What is told of `place` stands where `other` does, if not in a line of its own."""
        if other in self._lines:
            self._lines.setdefault(place, self._lines[other])

    def line(self, place: Place) -> int | None:
        return line_of(self._lines, place)

    def where(self, place: Place) -> str:
        """`file:line`, or the variable or option that the value came from."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.origins:
                return self.origins[place[:length]]
        line = self.line(place)
        return self._file if line is None else f"{self._file}:{line}"

    def dotted(self, place: Place) -> str:
        """The place as a user would write it: `endpoints.faction_crimes.params.cat`."""
        parts = [str(part) for part in place]
        if len(place) > 1 and place[0] == "endpoints" and isinstance(place[1], int):
            parts[1] = endpoint_name(self._raw, place[1])
        return masked(".".join(parts))


def endpoint_name(raw: Mapping[str, object], index: int) -> str:
    """The name of an endpoint in the file, or `#2` where it has none."""
    endpoints = raw.get("endpoints")
    if isinstance(endpoints, list) and index < len(endpoints):
        endpoint = endpoints[index]
        if isinstance(endpoint, dict) and isinstance(endpoint.get("name"), str):
            return str(endpoint["name"])
    return f"#{index + 1}"


def near(wrong: object, names: Iterable[object], *, known: bool = True) -> str:
    """`Did you mean 'this'?`, or the names there are where none is near (and `known` says so)."""
    texts = [str(name) for name in names]
    otherwise = f"Known: {', '.join(sorted(texts))}." if known and texts else ""
    return did_you_mean(str(wrong), texts, otherwise, most=2)


def like_a_key(value: object) -> bool:
    """Whether this might be one of Torn's keys: 16 letters and digits."""
    return _LIKE_A_KEY.fullmatch(str(value)) is not None


def masked(text: str) -> str:
    """`text` without anything in it that might be a key."""
    return _LIKE_A_KEY.sub("***", redact(text))


def shown(value: object) -> str:
    """A value for the text of a mistake: short, and never a key."""
    text = masked(repr(value))
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
