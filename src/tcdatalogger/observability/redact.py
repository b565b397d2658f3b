"""Takes secrets out of any text that is about to leave the process."""

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

# Every secret value that this process has read. It only ever grows: a key that was replaced is
# still a key. A value of the module, as a secret must be hidden whoever writes the line.
_secrets: set[str] = set()


def register(secret: str) -> None:
    """From now on `redact` hides this value wherever it stands."""
    if secret:
        _secrets.add(secret)
        leave_no_core()


def leave_no_core() -> None:
    """Let the end of this process, however bad, write no file of its memory: secrets are in it."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def redact(text: str) -> str:
    """`text` without any registered secret, `ApiKey …` header or `key=…` of a query."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _HEADER.sub(rf"\1\2{_HIDDEN}", text)
    return _QUERY.sub(rf"\1{_HIDDEN}", text)
