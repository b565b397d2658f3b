"""`tcdatalogger sandbox`: a Torn City on this machine, until it is stopped."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Event

import click

from tcdatalogger.cli.output import print_json, say
from tcdatalogger.errors import UsageError

DAY = 86_400

EXAMPLE = """\b
Example:
  tcdatalogger sandbox --port 8642 --speed 3600 --seed 7
  curl -H "Authorization: ApiKey sandboxFull00001" http://127.0.0.1:8642/v2/faction/members
  curl http://127.0.0.1:8642/_sandbox/stats
"""


@click.command("sandbox", epilog=EXAMPLE)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=0, type=click.IntRange(0, 65_535), help="0: any free one.")
@click.option("--seed", default=1, show_default=True, help="Chooses the world.")
@click.option("--start", help="The world's time at the start, ISO 8601. [now]")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="World seconds in a real second; 0 stands still.",
)
@click.option(
    "--history",
    default=180,
    show_default=True,
    type=click.IntRange(0, 2_000),
    help="Days of history before the start.",
)
@click.option(
    "--bursts",
    default=0,
    metavar="DAYS",
    type=click.IntRange(0, 2_000),
    help="Every so many days 130 rows in one second.  [0: never]",
)
@click.option(
    "--corrections",
    default=0.0,
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    help="Share of attacks and news edited within a day.  [0]",
)
@click.option(
    "--budget",
    default="real",
    show_default=True,
    type=click.Choice(["real", "world"]),
    help="Whose seconds make the minute of 100 calls.",
)
@click.option("--cache/--no-cache", default=True, help="Torn's cache of 29 seconds.  [on]")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON instead of text.")
def command(
    host: str,
    port: int,
    seed: int,
    start: str | None,
    speed: float,
    history: int,
    bursts: int,
    corrections: float,
    budget: str,
    *,
    cache: bool,
    as_json: bool,
) -> None:
    """Serve a Torn City on this machine, without a key of Torn's.

    It keeps Torn's rules: keys and levels, 100 calls a minute a user, pages and links, the cache,
    error codes. The same seed and time give the same answers. Faults are switched on, keys changed
    and the world moved under /_sandbox/. Stop it with Ctrl-C.
    """
    from tcdatalogger.sandbox.api.city import CACHE_SECONDS, Rules  # heavy
    from tcdatalogger.sandbox.api.server import Sandbox  # heavy
    from tcdatalogger.sandbox.world.bursts import Bursts, Corrections  # heavy

    rules = Rules(
        history=history * DAY,
        budget=budget,
        cache=CACHE_SECONDS if cache else 0,
        bursts=Bursts(every=bursts),
        corrections=Corrections(share=corrections),
    )
    begin = _seconds(start) if start else time.time()
    sandbox = Sandbox(seed=seed, start=begin, speed=speed, host=host, port=port, rules=rules)
    try:
        sandbox.start()
    except OSError as error:
        raise UsageError(
            f"The sandbox cannot listen on {host}:{port}: {error.strerror}.",
            remedy="Choose another --port, or 0 for any free one.",
        ) from None
    try:
        _tell(sandbox.url, sandbox.keys, sandbox.now(), speed, as_json=as_json)
        Event().wait()
    finally:
        sandbox.stop()


def _seconds(text: str) -> float:
    """An ISO 8601 time as seconds since 1970; UTC unless it says otherwise.

    Raises:
        UsageError: it is no such time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--start {text!r} is not a time.", remedy="Write it as 2026-01-01T00:00:00Z."
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _tell(url: str, keys: dict[str, str], now: float, speed: float, *, as_json: bool) -> None:
    """Say where the city is and which keys open it; these keys open nothing else."""
    if as_json:
        print_json({"url": url, "keys": keys}, line=True)
        return
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    say(f"Torn City at {url}   {moment}, {speed:g} x")
    for name, text in keys.items():
        say(f"  {name:<8} {text}   {_MEANS.get(name, '')}")
    say(f'To log from it, add this to tcdatalogger.toml:\n\n[torn]\nurl = "{url}"\n')
    say(f"and give it a key:\n\nexport TORN_API_KEY={keys['limited']}\n")
    say("Ctrl-C stops it; what was called: " + url.removesuffix("v2") + "_sandbox/stats")


_MEANS = {
    "public": "public access, leader of faction 40832",
    "minimal": "minimal access, same owner",
    "limited": "limited access, same owner",
    "full": "full access, same owner",
    "second": "another key of the same owner, limited access",
    "other": "full access, a member without API access in the faction",
    "rival": "full access, leader of another faction",
    "dead": "no longer valid",
}
