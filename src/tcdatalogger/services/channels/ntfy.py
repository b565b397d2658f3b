"""ntfy: messages for phones, by ntfy.sh or a server of one's own."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from tcdatalogger.observability.redact import register
from tcdatalogger.services.channels import http, words
from tcdatalogger.services.channels.message import Message, Sent

_LONGEST: Final = 3_900
"""Bytes of a message; a longer one than 4,096 becomes a file."""
_IN_HEADER: Final = 900
"""Bytes of a text that stands in a header, beside a picture."""
_PRIORITY: Final = {"critical": "5", "warning": "4", "info": "3"}
_QUIET: Final = "2"
_TAGS: Final = {"alerts": "warning", "answers": "bar_chart"}
_OVER: Final = "white_check_mark"
_REFUSED: Final = frozenset({400, 413})
"""What a server answers that takes no files, or none so large."""


@dataclass(frozen=True, slots=True, repr=False)
class Ntfy:
    """A topic of an ntfy server.

    Attributes:
        url: its address, which is a secret: who knows it can read and post.
        token: for a server that asks for one, None for none.
    """

    url: str
    token: str | None = None

    @property
    def pictures(self) -> int:
        """How many pictures a message may have at most."""
        return 1

    def send(self, message: Message, seconds: float) -> Sent:
        """Deliver a message; nothing is raised.

        The answer to one question has its picture, unless the server takes no files.
        """
        first = message.items[0].picture if len(message.items) == 1 else None
        if first is None:
            return self._text(message, seconds)
        headers = self._headers(message) | {
            "X-Message": header(words.cut(words.text(message), _IN_HEADER)),
            "X-Filename": header(first.name),
        }
        answered = http.call(self.url, first.data, headers, seconds=seconds, method="PUT")
        if answered.status in _REFUSED:
            return self._text(message, seconds)
        return answered.sent

    def _text(self, message: Message, seconds: float) -> Sent:
        text = words.cut(words.text(message), _LONGEST).encode()
        headers = self._headers(message) | {"Content-Type": "text/plain; charset=utf-8"}
        return http.call(self.url, text, headers, seconds=seconds).sent

    def _headers(self, message: Message) -> dict[str, str]:
        found = {
            "X-Title": header(words.cut(words.subject(message), _IN_HEADER)),
            "X-Priority": _QUIET if message.over else _PRIORITY[message.severity],
            "X-Tags": _OVER if message.over else _TAGS[message.kind],
        }
        if self.token is not None:
            register(self.token)
            found["Authorization"] = f"Bearer {self.token}"
        return found


def header(text: str) -> str:
    """A text as an encoded word of RFC 2047: in ASCII, and no other header can begin in it."""
    return f"=?UTF-8?B?{b64encode(text.encode('utf-8', 'replace')).decode()}?="
