"""A channel of Discord, by its webhook: names are no markup in a message, and it calls nobody."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from tcdatalogger.observability.redact import redact
from tcdatalogger.services.channels import http
from tcdatalogger.services.channels.message import Item, Message, Sent
from tcdatalogger.text import harmless, one_line

PICTURES: Final = 10
"""Pictures of one message: Discord takes no more."""
_LONGEST: Final = 1_900
"""Characters of a message; Discord takes 2,000."""
_LINE: Final = 600
"""Characters of one item, before what escapes its markup."""
_DESCRIBED: Final = 1_000
"""Characters about a picture; Discord takes 1,024."""
_MARKUP: Final = re.compile(r"([\\*_~`|>#\[\]()<:-])")
_AFTER_AT: Final = "\N{ZERO WIDTH SPACE}"
_OVER: Final = "\N{WHITE HEAVY CHECK MARK}"
_BEGINS: Final = "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}"


@dataclass(frozen=True, slots=True, repr=False)
class Discord:
    """A webhook of a channel of Discord.

    Attributes:
        url: its address, which is a secret.
    """

    url: str

    @property
    def pictures(self) -> int:
        """How many pictures a message may have at most."""
        return PICTURES

    def send(self, message: Message, seconds: float) -> Sent:
        """Deliver a message, with its pictures; nothing is raised."""
        kind, data = form(message)
        return http.call(self.url, data, {"Content-Type": kind}, seconds=seconds).sent


def body(message: Message) -> dict[str, Any]:
    """The message as Discord reads it."""
    lines: list[str] = []
    for at, item in enumerate(message.items):
        line = _line(message, item)
        if len("\n".join([*lines, line])) > _LONGEST:
            left = len(message.items) - at
            lines.append(f"… and {left} more: `tcdatalogger status`")
            break
        lines.append(line)
    pictures = [(item, item.picture) for item in message.items if item.picture is not None]
    return {
        "username": "TCdatalogger",
        "content": "\n".join(lines),
        "allowed_mentions": {"parse": []},
        "attachments": [
            {"id": at, "filename": picture.name, "description": _described(item)}
            for at, (item, picture) in enumerate(pictures[:PICTURES])
        ],
    }


def plain(text: str) -> str:
    """A text that Discord shows as it is: no markup, no link, no mention."""
    shown = _MARKUP.sub(r"\\\1", redact(one_line(text)))
    return shown.replace("@", f"@{_AFTER_AT}")


def _line(message: Message, item: Item) -> str:
    parts = [plain(_cut(item.text, _LINE))]
    if item.title:
        parts.insert(0, f"**{plain(item.title)}**")
    if message.kind == "alerts":
        parts.insert(0, _OVER if item.over else _BEGINS)
    if item.remedy:
        parts.append(_commands(item.remedy))
    if item.at is not None:
        parts.append(f"(<t:{int(item.at.timestamp())}:R>)")
    return " ".join(parts)


def _commands(remedy: str) -> str:
    """A sentence whose commands stay code: what is between backticks has none in it."""
    parts = remedy.split("`")
    if len(parts) % 2 == 0:
        return plain(remedy)
    return "".join(
        f"`{redact(one_line(part))}`" if nth % 2 else plain(part) for nth, part in enumerate(parts)
    )


def _described(item: Item) -> str:
    """A picture in words, for whoever cannot see it."""
    return _cut(redact(harmless(f"{item.title}\n{item.described}")), _DESCRIBED)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def form(message: Message) -> tuple[str, bytes]:
    """The media type and the bytes of a message: JSON, or a form where it has pictures."""
    found = body(message)
    pictures = [item.picture for item in message.items if item.picture is not None][:PICTURES]
    if not pictures:
        return "application/json", json.dumps(found).encode()
    border = secrets.token_hex(16)
    parts = [('name="payload_json"', "application/json", json.dumps(found).encode())]
    parts += [
        (f'name="files[{at}]"; filename="{picture.name}"', "image/png", picture.data)
        for at, picture in enumerate(pictures)
    ]
    lines = []
    for name, kind, data in parts:
        head = (f"--{border}", f"Content-Disposition: form-data; {name}", f"Content-Type: {kind}")
        lines += [*(line.encode() for line in head), b"", data]
    lines += [f"--{border}--".encode(), b""]
    return f"multipart/form-data; boundary={border}", b"\r\n".join(lines)
