"""Names and labels as BigQuery takes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping


def job(kind: str, *parts: str) -> str:
    """The name of a job that is the same for the same parts, and different for others.

    Args:
        kind: what the job does, as `load`.
        parts: whatever makes the job another one. The first three can be read in the name.
    """
    found = "\0".join((kind, *parts)).encode(errors="surrogatepass")
    readable = "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", part)[:100] for part in parts[:3])
    return f"tcd-{kind}-{readable}-{hashlib.sha256(found).hexdigest()[:24]}"


def labels(given: Mapping[str, str]) -> dict[str, str]:
    """Labels of a job or a table, for the bill and the list of jobs."""
    return {label(key): label(value) for key, value in given.items()}


def label(text: str) -> str:
    """A text as a part of a label: at most 63 small letters, digits, `_` and `-`."""
    return re.sub(r"[^a-z0-9_-]", "_", text.lower())[:63]
