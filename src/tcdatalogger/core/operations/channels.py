"""Makes a channel of its settings, with the secrets that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tcdatalogger.core.config.channels import ChannelSettings, What
from tcdatalogger.core.config.secrets import resolve
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.errors import UsageError
from tcdatalogger.services.channels.message import Channel
from tcdatalogger.text import did_you_mean

SECONDS: Final = 20.0
"""How long the delivery of alerts may take."""
WITH_PICTURES: Final = 60.0
"""How long the delivery of answers with their pictures may take, in seconds."""

_NONE: Final = "Write one under [[channels]]; docs/channels.md has an example of each kind."


def opened(settings: Settings, channel: ChannelSettings, environ: Mapping[str, str]) -> Channel:
    """The channel of its settings; nothing is sent yet.

    Args:
        settings: the configuration that has the channel.
        channel: its settings.
        environ: where secrets are that begin with `env:`.

    Raises:
        ConfigError: a secret is not where the configuration says.
    """
    found = {
        name: resolve(settings.place_of(channel, name), reference, environ).reveal()
        for name, reference in channel.references.items()
    }
    if channel.kind == "mail":
        from tcdatalogger.services.channels import mail  # noqa: PLC0415  # loads 5 MB

        return mail.Mail(
            channel.host,
            channel.port,
            channel.sender or "",
            channel.to,
            channel.encryption,
            channel.user,
            found.get("password"),
        )
    from tcdatalogger.services.channels import (  # noqa: PLC0415  # they load 5 MB
        discord,
        http,
        ntfy,
        webhook,
    )

    url = found["url"]
    http.hide(url)
    if channel.kind == "discord":
        return discord.Discord(url)
    if channel.kind == "ntfy":
        return ntfy.Ntfy(url, found.get("token"))
    return webhook.Webhook(url, found.get("secret"))


def named(settings: Settings, name: str, what: What | None = None) -> ChannelSettings:
    """The channel of this name.

    Args:
        settings: the configuration.
        name: of the channel.
        what: what is to be sent there, None for a test.

    Raises:
        UsageError: there is none, or it does not get that.
    """
    known = {channel.name: channel for channel in settings.all_channels}
    if not known:
        raise UsageError("No channel is configured.", remedy=_NONE)
    if name not in known:
        names = f"There are: {', '.join(known)}."
        raise UsageError(f"There is no channel {name!r}.", remedy=did_you_mean(name, known, names))
    channel = known[name]
    if what is not None and what not in channel.gets:
        gets = ", ".join(f'"{each}"' for each in (*channel.gets, what))
        raise UsageError(
            f"The channel {name} does not get {what}.", remedy=f"Write gets = [{gets}] for it."
        )
    return channel
