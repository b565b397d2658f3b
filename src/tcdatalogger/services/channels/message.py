"""A message, and what takes it. How it is written for a kind of channel, the kind knows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

Severity = Literal["info", "warning", "critical"]
RANKS: Final[Mapping[str, int]] = {"info": 0, "warning": 1, "critical": 2}
"""The severities, the least first."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of an answer.

    Attributes:
        name: of its file; letters, digits, hyphens and points.
        data: its bytes, a PNG.
    """

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a message tells: an alert, or an answer.

    Attributes:
        title: what it is about, "" for none.
        text: what there is to say. It may hold names and texts of strangers.
        remedy: what to do, a sentence of ours with commands between backticks; "" for nothing.
        over: whether it tells the end of an alert.
        at: the moment that it is about, None where that is now.
        described: an answer in words, for whoever sees no picture; "" for an alert.
        picture: None for none.
        facts: all of it for programs, as JSON can write it.
    """

    title: str
    text: str
    remedy: str = ""
    over: bool = False
    at: datetime | None = None
    described: str = ""
    picture: Picture | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """What one delivery brings to one channel.

    Attributes:
        kind: what its items are.
        subject: the message in a few words.
        items: what it tells.
        severity: of the worst alert; `info` for answers.
        at: when it was made, in seconds since 1970.
    """

    kind: Literal["alerts", "answers"]
    subject: str
    items: tuple[Item, ...]
    severity: Severity = "info"
    at: float = 0.0

    @property
    def id(self) -> str:
        """A text that is equal for another try of the same message, and for no other message."""
        facts = [self.kind, self.subject, *(dict(item.facts) for item in self.items)]
        written = json.dumps(facts, sort_keys=True, default=str).encode("utf-8", "replace")
        return hashlib.sha256(written).hexdigest()[:32]

    @property
    def over(self) -> bool:
        """Whether it tells nothing but ends of alerts."""
        return self.kind == "alerts" and all(item.over for item in self.items)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a delivery.

    Attributes:
        why: why it was not accepted, "" where it was; no address and no secret is ever in it.
        wait: seconds to wait before the next try, as the receiver asks; 0 where it does not say.
    """

    why: str = ""
    wait: float = 0.0


class Channel(Protocol):
    """Something that takes messages."""

    @property
    def pictures(self) -> int:
        """How many pictures a message may have at most."""
        ...

    def send(self, message: Message, seconds: float) -> Sent:
        """Deliver a message; nothing is raised.

        Args:
            message: what to deliver.
            seconds: how long it may take in all. Then the connection is cut.
        """
        ...
