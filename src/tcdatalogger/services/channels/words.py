"""A message in plain words, for channels that know no markup."""

from __future__ import annotations

from typing import Final

from tcdatalogger.clock import utc
from tcdatalogger.observability.redact import redact
from tcdatalogger.services.channels.message import Item, Message
from tcdatalogger.text import harmless, one_line


def subject(message: Message) -> str:
    """The message in a few words on one line."""
    return redact(one_line(message.subject))


def text(message: Message) -> str:
    """The whole message; an empty line stands between its items."""
    return "\n\n".join(_item(item) for item in message.items)


def cut(text: str, most: int) -> str:
    """A text of so many bytes of UTF-8 at most; one that was cut ends with an ellipsis."""
    written = text.encode("utf-8", "replace")
    if len(written) <= most:
        return written.decode()
    return written[: most - len(_ELLIPSIS.encode())].decode("utf-8", "ignore") + _ELLIPSIS


_ELLIPSIS: Final = "…"


def _item(item: Item) -> str:
    lines = [item.title] if item.title else []
    lines.append(" ".join(part for part in (item.text, item.remedy) if part))
    lines = [redact(one_line(line)) for line in lines]
    if item.described:
        lines.append(redact(harmless(item.described)))
    if item.at is not None:
        lines.append(f"As of {utc(item.at.timestamp()):%Y-%m-%d %H:%M} UTC.")
    return "\n".join(lines)
