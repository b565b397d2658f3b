"""Reads a log file from its end: the newest lines that somebody asks for, within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from tcdatalogger.observability.log import LEVELS
from tcdatalogger.observability.redact import redact

MOST_BYTES: Final = 8_000_000
"""Bytes that are read at most for one look."""

_BLOCK: Final = 1 << 18
_ORDER: Final = tuple(LEVELS)
_HEAD: Final = ("timestamp", "level", "event", "component", "run_id", "endpoint", "process")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines are wanted; all of it holds.

    Attributes:
        run_id, endpoint: whose lines; "" for all.
        level: the lowest level, "" for all.
        since, until: seconds since 1970; None for no bound.
    """

    run_id: str = ""
    endpoint: str = ""
    level: str = ""
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log.

    Attributes:
        at: its time as it is written.
        level, event, run_id, endpoint: as they are written; "" where it has none.
        facts: its other facts, as texts.
    """

    at: str
    level: str
    event: str
    run_id: str = ""
    endpoint: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogTail:
    """The newest lines that were wanted.

    Attributes:
        lines: the oldest first.
        whole: whether there are no older ones: nothing was left unread.
    """

    lines: tuple[LogLine, ...] = ()
    whole: bool = True


def newest(file: Path, query: LogQuery, most: int, most_bytes: int = MOST_BYTES) -> LogTail:
    """The newest lines of a log file and of the old files beside it (`FILE.1`, `FILE.2` …).

    Where the query has an end, the reading begins there: the lines of an old run are found without
    reading all that came later.

    Args:
        file: that is written now; one that is not there has no lines.
        query: which lines.
        most: how many at most.
        most_bytes: how many bytes are read at most.
    """
    since, until = _text(query.since), _text(query.until)
    found: list[LogLine] = []
    left = most_bytes
    for path in _files(file):
        try:
            with path.open("rb") as stream:
                end = _end(stream, until)
                for line in _backwards(stream, end, left):
                    if since and _time(line) and _time(line) < since:
                        return LogTail(tuple(reversed(found)))
                    made = _wanted(line, query, since, until)
                    if made is None:
                        continue
                    if len(found) == most:
                        return LogTail(tuple(reversed(found)), whole=False)
                    found.append(made)
        except OSError:  # it has been put away meanwhile
            continue
        if end >= left:
            return LogTail(tuple(reversed(found)), whole=False)
        left -= end
    return LogTail(tuple(reversed(found)))


def _files(file: Path) -> Iterator[Path]:
    """The file, and the old ones, the newest first."""
    number, path = 0, file
    while path.is_file():
        yield path
        number += 1
        path = file.with_name(f"{file.name}.{number}")


def _text(seconds: float | None) -> str:
    """A time as a line has it; "" for None."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:26]


def _time(line: bytes) -> str:
    """The time of a line; "" where it has none. Lines begin with it."""
    begin, _, rest = line.partition(b'"timestamp": "')
    return rest[:26].decode("ascii", "replace") if rest and len(begin) < 3 else ""  # noqa: PLR2004  # `{` and blanks


def _end(stream: BinaryIO, until: str) -> int:
    """Where to begin to read backwards: after it every line is later than `until`."""
    low, high = 0, stream.seek(0, 2)
    while until and high - low > _BLOCK:
        middle = (low + high) // 2
        stream.seek(middle)
        stream.readline(_BLOCK)
        begin = stream.tell()  # of the first line that begins after the middle
        at = _time(stream.readline(_BLOCK))
        if at and at <= until:
            low = middle
        elif begin < high:
            high = begin
        else:
            break
    return high


def _backwards(stream: BinaryIO, end: int, most: int) -> Iterator[bytes]:
    """The lines before a place, the newest first; about `most` bytes of them."""
    rest, left = b"", most
    while end > 0 and left > 0:
        begin = max(0, end - _BLOCK)
        stream.seek(begin)
        block = stream.read(end - begin) + rest
        left -= end - begin
        first, *lines = block.split(b"\n")
        yield from (line for line in reversed(lines) if line)
        rest, end = first, begin
    if end == 0 and rest:
        yield rest


def _wanted(line: bytes, query: LogQuery, since: str, until: str) -> LogLine | None:
    """The line, where it is wanted; None for others and for what is no line of ours."""
    if query.run_id.encode() not in line or query.endpoint.encode() not in line:
        return None  # most lines end here, and nothing of them is parsed
    try:
        facts = json.loads(line)
    except ValueError:
        return None
    if not isinstance(facts, dict):
        return None
    at, level = _word(facts, "timestamp"), _word(facts, "level")
    if query.run_id and query.run_id != _word(facts, "run_id"):
        return None
    if query.endpoint and query.endpoint != _word(facts, "endpoint"):
        return None
    if query.level and _rank(level) < _rank(query.level):
        return None
    if (since and at[:26] < since) or (until and at[:26] > until):
        return None
    return LogLine(
        at,
        level,
        _word(facts, "event"),
        _word(facts, "run_id"),
        _word(facts, "endpoint"),
        {
            redact(str(name)): _word(facts, name)
            for name in facts
            if name not in _HEAD and facts[name] is not None
        },
    )


def _rank(level: str) -> int:
    return _ORDER.index(level) if level in _ORDER else len(_ORDER)


def _word(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if value is None:
        return ""
    return redact(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
