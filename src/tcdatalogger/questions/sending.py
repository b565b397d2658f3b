"""Sends answers to channels: a sentence for each, its picture, and its rows for who sees none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from tcdatalogger.core.config.channels import ChannelSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations import channels
from tcdatalogger.core.state.deliveries import Deliveries
from tcdatalogger.models import tabular
from tcdatalogger.observability.redact import redact
from tcdatalogger.questions.answers import Answer
from tcdatalogger.questions.numbers import shown
from tcdatalogger.questions.pictures.picture import svg
from tcdatalogger.questions.pictures.png import png
from tcdatalogger.services.channels.message import Channel, Item, Message, Picture, Sent
from tcdatalogger.text import one_line

_ROWS: Final = 5
"""Rows that are told in words."""


def deliver(
    application: Application,
    settings: ChannelSettings,
    channel: Channel,
    message: Message,
    event: str = "",
) -> Sent:
    """Send a message, and note in the state how that ended.

    Args:
        application: with the state.
        settings: of the channel.
        channel: that takes it.
        message: what is sent.
        event: what the channel was told of by it, "" for nothing that is to be known later.

    Raises:
        StateUnavailable: the state cannot be written now.
    """
    sent = channel.send(message, channels.WITH_PICTURES)
    found, now = Deliveries(application.state), application.clock.now()
    if sent.why:
        found.refused(settings.name, sent.why, now)
    else:
        found.accepted(settings.name, event, now)
    return sent


def message_of(answers: Sequence[Answer], now: float, *, pictures: bool) -> Message:
    """The message about answers.

    Args:
        answers: in their order, each with rows.
        now: seconds since 1970.
        pictures: whether they are drawn.

    Raises:
        ConfigError: the package that draws PNG is not installed.
        DataRefused: a picture could not be drawn.
    """
    titles = ", ".join(each.question.title for each in answers)
    return Message(
        kind="answers",
        subject=titles,
        items=tuple(_item(each, drawn=pictures) for each in answers),
        at=now,
    )


def _item(answer: Answer, *, drawn: bool) -> Item:
    name = answer.question.name
    picture = Picture(f"{name}.png", png(svg(answer, dark=True))) if drawn else None
    return Item(
        answer.question.title,
        answer.caption,
        at=answer.until,
        described=described(answer),
        picture=picture,
        facts={
            "name": name,
            "title": answer.question.title,
            "caption": redact(answer.caption),
            "until": None if answer.until is None else answer.until.isoformat(),
            "rows": [] if answer.rows is None else json.loads(tabular.json_text(answer.rows)),
        },
    )


def described(answer: Answer) -> str:
    """An answer in words, for whoever cannot see its picture: its first rows."""
    if answer.rows is None or not answer.rows.num_rows:
        return "There is nothing to show."
    lines, names = [], answer.names
    for row in answer.rows.select(names).slice(0, _ROWS).to_pylist():
        said = (shown(row[name], answer.question.units.get(name)) for name in names)
        lines.append(", ".join(one_line(text) for text in said if text))
    if answer.rows.num_rows > _ROWS:
        lines.append(f"… and {answer.rows.num_rows - _ROWS:,} more")
    return redact("\n".join(lines))
