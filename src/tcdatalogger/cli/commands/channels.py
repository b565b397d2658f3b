"""`tcdatalogger channels`: where alerts, the digest and answers are sent."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tcdatalogger.cli import Options
from tcdatalogger.cli.output import json_option, moment, print_json, print_table, say
from tcdatalogger.core.views.state import existing_state
from tcdatalogger.errors import ChannelUnavailable

if TYPE_CHECKING:
    from tcdatalogger.core.views.deliveries import ChannelStatus


@click.group(
    epilog="\b\nExample:\n  tcdatalogger channels list\n  tcdatalogger channels test officers"
)
def command() -> None:
    """List the channels of the configuration, and try them."""


@command.command(
    "list", epilog="\b\nExample:\n  tcdatalogger channels list\n  tcdatalogger channels list --json"
)
@json_option
@click.pass_obj
def listed(options: Options, as_json: bool) -> None:
    """Show each channel, what it gets, and how its last delivery ended.

    `waiting` counts the alerts that it is to be told of and that it has not taken yet.
    """
    settings = options.look()
    from tcdatalogger.core.views.deliveries import channels  # not for the help

    with existing_state(settings) as state:
        found = channels(settings, state)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    if not found:
        say(
            "No channel is configured: write one under [[channels]]. docs/channels.md has an "
            "example of each kind."
        )
        return
    print_table(
        ("channel", "kind", "gets", "sent", "failed", "waiting", "last"),
        [
            (
                each.channel,
                each.kind,
                ", ".join(each.gets),
                each.sent,
                each.failed,
                each.waiting,
                moment(each.sent_at),
            )
            for each in found
        ],
    )
    for each in found:
        if line := failing(each):
            say(line)


def failing(channel: ChannelStatus) -> str:
    """What is wrong with a channel, a line; "" where nothing is."""
    if channel.failing_since is None:
        return ""
    return f"channel {channel.channel}: fails since {moment(channel.failing_since)}: {channel.why}"


@command.command("test", epilog="\b\nExample:\n  tcdatalogger channels test officers")
@click.argument("name")
@json_option
@click.pass_obj
def tested(options: Options, name: str, as_json: bool) -> None:
    """Send one message to the channel NAME, whatever it gets: look whether it arrives."""
    settings = options.look()
    from tcdatalogger.core.operations import channels
    from tcdatalogger.scheduler.monitoring.notify import try_out

    channel = channels.named(settings, name)
    sent = try_out(settings, channel, os.environ, time.time())
    if sent.why:
        raise ChannelUnavailable(
            f"The channel {name} did not take a message: {sent.why}.",
            remedy=f"Look at what `{settings.place_of(channel, 'url')}` names."
            if channel.url
            else f"Look at the server, the user and the password of the channel {name}.",
        )
    if as_json:
        print_json({"channel": name, "sent": True})
    else:
        say(f"{name}: a message was sent: look whether it arrived.")
