"""Collects the mistakes of a configuration, so one error shows all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from tcdatalogger.core.config.toml_lines import Place, line_of, places
from tcdatalogger.observability.redact import redact
from tcdatalogger.text import did_you_mean

_LIKE_A_KEY = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{16}(?![A-Za-z0-9])")
_SHORT = 60


class ConfigErrors:
    """Collects mistakes with their places.

    Args:
        file: the name of the file, for messages.
        text: of the file, which says in which line a place is.
        raw: the parsed file.

    Attributes:
        origins: for values that do not come from the file, the variable or the `--set`.
    """

    def __init__(self, file: str, text: str, raw: Mapping[str, object]) -> None:
        self._file = file
        self._text = text
        self._raw = raw
        self._found: list[tuple[int, str]] = []
        self._endpoints: set[int | None] = set()
        self.origins: dict[Place, str] = {}

    @cached_property
    def _lines(self) -> dict[Place, int]:
        """The line of each place: to be found at the first mistake, as most files have none."""
        return places(self._text)

    def add(self, place: Place, text: str, remedy: str = "") -> None:
        """Add a mistake.

        Args:
            place: the place of the wrong value.
            text: the mistake; it goes on after the name of the place.
            remedy: a whole sentence, "" for none.
        """
        line = line_of(self._lines, place) or 0
        sentence = f"{self.where(place)}: {self.dotted(place)}: {text.rstrip('.')}. {remedy}"
        self._found.append((line, redact(sentence.strip())))
        index = place[1] if place[:1] == ("endpoints",) and len(place) > 1 else None
        self._endpoints.add(index if isinstance(index, int) else None)

    def add_at(self, origin: str, text: str, remedy: str = "") -> None:
        """Add a mistake that has no place in the file.

        Args:
            origin: the variable or the `--set`.
            text: the mistake; it goes on after the origin.
            remedy: a whole sentence, "" for none.
        """
        self._found.append((0, redact(f"{origin}: {text.rstrip('.')}. {remedy}".strip())))
        self._endpoints.add(None)

    def endpoints(self) -> frozenset[int] | None:
        """The indices of endpoints with a mistake; None where a mistake is outside of endpoints."""
        found = frozenset(index for index in self._endpoints if index is not None)
        return None if None in self._endpoints else found

    def all(self) -> tuple[str, ...]:
        """Each mistake once, in the order of the file."""
        ordered = sorted(self._found, key=lambda found: found[0])
        return tuple(dict.fromkeys(sentence for _, sentence in ordered))

    def alias(self, place: Place, other: Place) -> None:
        """Give `place` the line of `other`, unless it has a line of its own."""
        if other in self._lines:
            self._lines.setdefault(place, self._lines[other])

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the nearest place around it; None where there is none."""
        return line_of(self._lines, place)

    def entry(self, section: str, name: str) -> Place:
        """The place of the entry of a list of tables that has this name."""
        entries = self._raw.get(section)
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            if isinstance(entry, dict) and entry.get("name") == name:
                return (section, index)
        return (section,)

    def where(self, place: Place) -> str:
        """`file:line` of a place, or the variable or option from which its value came."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.origins:
                return self.origins[place[:length]]
        line = self.line(place)
        return self._file if line is None else f"{self._file}:{line}"

    def dotted(self, place: Place) -> str:
        """The place as users write it: `endpoints.faction_crimes.params.cat`."""
        parts = [str(part) for part in place]
        if len(place) > 1 and isinstance(place[1], int):
            parts[1] = entry_name(self._raw, str(place[0]), place[1])
        return masked(".".join(parts))


def entry_name(raw: Mapping[str, object], section: str, index: int) -> str:
    """The name of an entry of a list of tables, or its number as `#2` where it has no name."""
    entries = raw.get(section)
    if isinstance(entries, list) and index < len(entries):
        entry = entries[index]
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            return str(entry["name"])
    return f"#{index + 1}"


def near(wrong: object, names: Iterable[object], *, known: bool = True) -> str:
    """`Did you mean 'this'?`, or the names there are where none is near (and `known` says so)."""
    texts = [str(name) for name in names]
    otherwise = f"Known: {', '.join(sorted(texts))}." if known and texts else ""
    return did_you_mean(str(wrong), texts, otherwise, most=2)


def like_a_key(value: object) -> bool:
    """Whether a value looks like a key of Torn's: 16 letters and digits."""
    return _LIKE_A_KEY.fullmatch(str(value)) is not None


def masked(text: str) -> str:
    """`text` with *** in place of everything that looks like a key."""
    return _LIKE_A_KEY.sub("***", redact(text))


def shown(value: object) -> str:
    """A value for a message: shortened, and never a key."""
    text = masked(repr(value))
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
