"""Reads a moment in the past: a date, a time, or a duration before now."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from tcdatalogger.core.config.durations import parse

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}$")


def moment(text: str, now: float) -> float:
    """The moment that a text means, in seconds since 1970, never later than now.

    Args:
        text: `2024-01-31`, `2024-01-31T12:00:00Z` (UTC where no zone is given), or a duration
            before now as `P1Y` or `PT6H`.
        now: seconds since 1970.

    Raises:
        ValueError: the text is none of these. The message is a sentence.
    """
    text = text.strip()
    if text[:1] in {"P", "p"}:
        return parse(text).before(now)
    try:
        if _DATE.match(text):
            found = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        else:
            found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "not a date or a duration; write 2024-01-31, or P1Y for a year ago"
        ) from None
    at = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return min(max(at, 0.0), now)
