"""Posts answers to a channel of Discord: a sentence for each, and its picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from tcdatalogger.core.main import Application
from tcdatalogger.errors import ConfigError, WebhookUnavailable
from tcdatalogger.observability.redact import redact
from tcdatalogger.observability.webhook import Attached, hide, post
from tcdatalogger.questions.answers import Answer
from tcdatalogger.questions.numbers import shown
from tcdatalogger.questions.pictures.picture import svg
from tcdatalogger.questions.pictures.png import png
from tcdatalogger.text import one_line

MOST: Final = 10
"""Pictures of one message: Discord takes no more."""
_LONGEST: Final = 1_900
"""Characters of a message; Discord takes 2,000."""
_DESCRIBED: Final = 1_000
"""Characters about a picture; Discord takes 1,024."""
_ROWS: Final = 5
"""Rows that are told to whoever cannot see the picture."""
_MARKUP: Final = re.compile(r"([\\*_~`|>#\[\]()<@:-])")


def address(application: Application, *, digest: bool = False) -> str:
    """The address of the webhook, which is a secret.

    Args:
        application: with the configuration.
        digest: whether it is that of the digest, where the digest has one of its own.

    Raises:
        ConfigError: no webhook of Discord is configured, or its address is not where the
            configuration says.
    """
    settings = application.settings
    name, reference = "digest.webhook", settings.digest.webhook if digest else None
    if reference is None:
        name, reference = "alerts.webhook", settings.alerts.webhook
        if settings.alerts.kind != "discord":
            raise ConfigError(
                f"The webhook of the alerts takes {settings.alerts.kind}, and no pictures.",
                remedy='A webhook of Discord has kind = "discord" in [alerts].',
            )
    if reference is None:
        raise ConfigError(
            "No webhook is configured.", remedy='Write webhook = "env:DISCORD_WEBHOOK" in [alerts].'
        )
    found = application.secret(name, reference).reveal()
    hide(found)
    return found


def send(where: str, answers: Sequence[Answer], *, head: str = "") -> None:
    """Post answers as one message, or as several where they are more than `MOST`.

    Args:
        where: the address of the webhook.
        answers: in their order.
        head: a line before them.

    Raises:
        ConfigError: the package that draws PNG is not installed.
        WebhookUnavailable: the webhook did not take it.
    """
    for at in range(0, len(answers), MOST):
        some = answers[at : at + MOST]
        files = [
            Attached(f"{each.question.name}.png", "image/png", png(svg(each, dark=True)))
            for each in some
        ]
        posted = post(where, message(some, head=head if not at else ""), files)
        if posted.why:
            raise WebhookUnavailable(
                f"The webhook did not take the pictures: {posted.why}.",
                remedy="Look at the address of the webhook, or try it again later.",
            )


def message(answers: Sequence[Answer], *, head: str = "") -> dict[str, Any]:
    """The message about answers: it calls nobody, and names are no markup in it.

    Args:
        answers: what it is about; their pictures go with it in the same order.
        head: a line before them.
    """
    lines = [plain(head)] if head else []
    for answer in answers:
        line = f"**{plain(answer.question.title)}** {plain(answer.caption)}"
        if answer.until is not None:
            line += f" (<t:{int(answer.until.timestamp())}:R>)"
        if len("\n".join([*lines, line])) > _LONGEST:
            lines.append("…")
            break
        lines.append(line)
    return {
        "username": "TCdatalogger",
        "content": "\n".join(lines),
        "allowed_mentions": {"parse": []},
        "attachments": [
            {"id": at, "filename": f"{each.question.name}.png", "description": described(each)}
            for at, each in enumerate(answers)
        ],
    }


def plain(text: str) -> str:
    """A text that Discord shows as it is: no markup, no link, no mention."""
    return _MARKUP.sub(r"\\\1", redact(one_line(text)))


def described(answer: Answer) -> str:
    """An answer in words, for whoever cannot see its picture: its first rows."""
    lines = [answer.question.title]
    if answer.rows is None or not answer.rows.num_rows:
        lines.append("There is nothing to show.")
    else:
        names = answer.names
        for row in answer.rows.select(names).slice(0, _ROWS).to_pylist():
            said = (shown(row[name], answer.question.units.get(name)) for name in names)
            lines.append(", ".join(one_line(text) for text in said if text))
        if answer.rows.num_rows > _ROWS:
            lines.append(f"… and {answer.rows.num_rows - _ROWS:,} more")
    text = redact("\n".join(lines))
    return text if len(text) <= _DESCRIBED else f"{text[: _DESCRIBED - 1]}…"
