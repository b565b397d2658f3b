"""Takes secrets out of every text that leaves the process."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

resource: Any = None
with suppress(ImportError):  # not on Windows
    import resource

_HIDDEN = "***"
_HEADER = re.compile(r"(?i)\b(apikey|bearer)(\s+)[^\s\"',;]+")
_QUERY = re.compile(r"(?i)\b((?:api[_-]?)?key=)[^\s&\"',;#)}\]]+")

# Every secret that this process has read. It only grows: a key that was replaced is still a secret.
# There is one for the process, as a secret must be hidden in the lines of all modules.
_secrets: set[str] = set()


def register(secret: str) -> None:
    """Make `redact` hide this secret from now on; "" is none."""
    if secret:
        _secrets.add(secret)
        leave_no_core()


def leave_no_core() -> None:
    """Forbid core dumps of this process: they would hold its secrets."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def redact(text: str) -> str:
    """The text with `***` for registered secrets, `ApiKey …` headers and `key=…` of queries."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _HEADER.sub(rf"\1\2{_HIDDEN}", text)
    return _QUERY.sub(rf"\1{_HIDDEN}", text)
