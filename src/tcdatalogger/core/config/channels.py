"""The settings of a channel: one entry of `[[channels]]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from tcdatalogger.core.config.field_types import LOOPBACK, Model, Name, Texts, checked, wrong
from tcdatalogger.core.config.paths import resolve_reference

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_FIELDS: Final = {
    "discord": ("url",),
    "mail": ("server", "sender", "to"),
    "ntfy": ("url",),
    "webhook": ("url",),
}
"""What each kind needs."""
_ALSO: Final = {
    "discord": (),
    "mail": ("encryption", "user", "password"),
    "ntfy": ("token",),
    "webhook": ("secret",),
}
"""What each kind may have besides."""
SECRETS: Final = ("url", "secret", "token", "password")
"""The settings that say where a secret is."""

What = Literal["alerts", "digest", "answers"]


def mailbox(value: str) -> None:
    """Check an address of e-mail, as officers@example.org.

    Raises:
        ValueError: the text is no such address.
    """
    if not _ADDRESS.fullmatch(value):
        raise ValueError("must be an address such as officers@example.org")


def smtp_server(value: str) -> None:
    """Check a server, as smtp.example.org or smtp.example.org:587.

    Raises:
        ValueError: the text is no such server.
    """
    host, colon, port = value.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9.-]+", host) or (colon and not re.fullmatch(r"\d{1,5}", port)):
        raise ValueError("must be a server such as smtp.example.org:587")


class ChannelSettings(Model):
    """A channel: where alerts, the digest and answers are sent."""

    name: Name
    """The name of the channel, as officers: for `ask --to`, `channels test`, status and metrics."""
    kind: Literal["discord", "mail", "ntfy", "webhook"]
    """discord: a webhook of a channel of Discord. mail: e-mail by SMTP. ntfy: a topic of ntfy, for
    phones. webhook: JSON for programs, signed."""
    gets: Annotated[tuple[What, ...], Field(strict=False)] = ("alerts", "digest", "answers")
    """What is sent there, as ["alerts", "digest", "answers"]; answers are those of `ask --to`."""
    severity: Literal["info", "warning", "critical"] = "info"
    """The least severity of its alerts; docs/observability.md has that of each alert."""
    url: str | None = None
    """Where the address is, as env:DISCORD_OFFICERS or file:PATH: of the webhook, or of the topic
    as https://ntfy.sh/TOPIC. It is a secret, because everybody who has it may post."""
    secret: str | None = None
    """Of a webhook: where the secret is that signs messages, as env:WEBHOOK_SECRET. Without it they
    are not signed."""
    token: str | None = None
    """Of ntfy: where the access token is, as env:NTFY_TOKEN, for a server that asks for one."""
    server: Annotated[str, checked(smtp_server)] | None = None
    """Of mail: the SMTP server, as smtp.example.org:587. Without a port it is 587 for starttls, 465
    for tls and 25 for none."""
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    """Of mail: starttls, tls from the start of the connection, or none, which is for a server on
    this machine."""
    user: str | None = None
    """Of mail: the user of the server; without it nobody signs in."""
    password: str | None = None
    """Of mail: where the password is, as env:SMTP_PASSWORD or file:PATH."""
    sender: Annotated[str, checked(mailbox)] | None = None
    """Of mail: the address of whom it comes from, as torn@example.org."""
    to: Texts = ()
    """Of mail: the addresses of whom it goes to, as ["officers@example.org"]."""

    @property
    def host(self) -> str:
        """The host of the SMTP server, "" where there is none."""
        return (self.server or "").partition(":")[0]

    @property
    def port(self) -> int:
        """The port of the SMTP server."""
        port = (self.server or "").partition(":")[2]
        return int(port) if port else _PORTS[self.encryption]

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needed, also = _FIELDS[self.kind], _ALSO[self.kind]
        given = {name for names in (*_FIELDS.values(), *_ALSO.values()) for name in names}
        given &= self.model_fields_set
        if missing := [name for name in needed if not getattr(self, name)]:
            raise wrong(f"a channel of the kind {self.kind} needs {' and '.join(missing)}")
        if others := sorted(given - {*needed, *also}):
            raise wrong(f"a channel of the kind {self.kind} has no {' and no '.join(others)}")
        if not self.gets:
            raise wrong('gets nothing; write gets = ["alerts"], or leave gets out for all')
        for each in self.to:
            try:
                mailbox(each)
            except ValueError as error:
                raise wrong(f"each address of to {error}") from None
        if (self.user is None) != (self.password is None):
            raise wrong("user and password go together")
        if self.kind == "mail" and self.encryption == "none" and self.host not in LOOPBACK:
            raise wrong(
                "must be encrypted: everybody on the way could read it; write "
                'encryption = "starttls" or "tls"'
            )
        return self

    def resolved(self, folder: Path) -> Self:
        """The same settings with every relative path taken from `folder`."""
        found = {
            name: resolve_reference(reference, folder)
            for name, reference in self.references.items()
        }
        return self.model_copy(update=found)

    @property
    def references(self) -> dict[str, str]:
        """Where its secrets are, by the name of the setting."""
        found = {name: getattr(self, name) for name in SECRETS}
        return {name: reference for name, reference in found.items() if reference is not None}
