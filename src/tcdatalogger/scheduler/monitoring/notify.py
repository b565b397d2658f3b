"""Alerts: finds what is wrong, puts it into words, and tells the channels that get alerts."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Thread
from typing import Any, Final

from tcdatalogger.backoff import Backoff
from tcdatalogger.clock import Clock, SystemClock, utc
from tcdatalogger.core.config import sizes
from tcdatalogger.core.config.channels import ChannelSettings
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.operations import channels
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.alerts import REFUSED, Alert, AlertEvent, Alerts, wants
from tcdatalogger.core.state.deliveries import Deliveries
from tcdatalogger.core.state.leases import BACKUP, CATALOG, DIGEST, EXPORT
from tcdatalogger.core.state.run_stats import LastRuns
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import ConfigError, Failure, Unbalanced
from tcdatalogger.observability.log import get_logger
from tcdatalogger.observability.redact import redact
from tcdatalogger.scheduler.monitoring.disk_usage import disks
from tcdatalogger.scheduler.monitoring.freshness import Freshness, freshness
from tcdatalogger.services.channels.message import RANKS, Channel, Item, Message, Sent, Severity
from tcdatalogger.services.torncity.client import error_codes

_NEWS: Final = {
    "drift": (
        "field of Torn's is none that the catalogue has",
        "fields of Torn's are none that the catalogue has",
        "`tcdatalogger schema history {}` shows the columns that they became.",
    ),
    "set_aside": (
        "record did not fit and was set aside",
        "records did not fit and were set aside",
        "`tcdatalogger quarantine list --endpoint {}` shows them and why.",
    ),
    "no_data": (
        "answer of Torn's had no data",
        "answers of Torn's had no data",
        "What they belong to was not read, and is asked for by the next run of {}.",
    ),
}
"""Words for one and for many of each kind of news, and the remedy; `{}` is the endpoint."""
NEWS_LASTS: Final = 3600.0
"""Seconds for which news are news."""
ROOM: Final = 1.1
"""How much more than `min_free` must be free for the end of the alert, as a factor.

So a disk on the edge is one alert.
"""
BACKOFF: Final = Backoff(30.0, 900.0)
"""Until alerts that a channel did not take are sent again."""
_LINE: Final = 600
"""Characters of one alert in the log at most."""

_log = get_logger("alerts")

Opened = Callable[[Settings, ChannelSettings, Mapping[str, str]], Channel]


# --- what is wrong ---------------------------------------------------------------------------


def events(settings: Settings, state: State, now: float) -> list[AlertEvent]:
    """Everything that is wrong now, as far as this machine sees it.

    Args:
        settings: the configuration in force.
        state: the state database.
        now: seconds since 1970.

    Raises:
        StateUnavailable: the state cannot be read now.
    """
    known = {alert.event.name for alert in Alerts(state).all()}
    found: list[AlertEvent] = []
    lasts = run_stats.lasts(state)
    for fresh in freshness(settings, lasts, now):
        if fresh.endpoint.enabled:
            found += _of_endpoint(fresh, settings.alerts.failures, now)
    if settings.backup.frequency is not None:
        found += _failed("backup", lasts.get(BACKUP), now)
    if settings.digest.questions:
        found += _failed("digest", lasts.get(DIGEST), now)
    for export in settings.exports:
        if export.frequency is not None:
            found += _failed("export", lasts.get(EXPORT + export.name), now, export.name)
    if settings.torn.documented:
        found += _document(lasts.get(CATALOG), state)
    found += _channels(settings, state, now)
    found += _keys(settings, state)
    found += _disks(settings, known, now)
    return found


def _of_endpoint(fresh: Freshness, failures: int, now: float) -> Iterator[AlertEvent]:
    name, last = fresh.endpoint.name, fresh.last
    if last.failures > 0 and last.error_class == Unbalanced.__name__:
        yield AlertEvent(
            f"unbalanced:{name}",
            f"{name}: rows were lost on their way into the warehouse, and nothing of the run was "
            f"stored: {last.error}",
            last.remedy,
            since=last.failing_since or now,
        )
    elif last.failures > 0 and last.error_class in REFUSED:
        yield AlertEvent(
            f"refused:{name}",
            f"{name}: the data was refused, and nothing of it was stored: {last.error}",
            last.remedy or f"`tcdatalogger runs show {last.run_id}` says more.",
            since=last.failing_since or now,
        )
    elif last.failures >= failures:
        yield AlertEvent(
            f"failing:{name}",
            f"{name} failed {last.failures} times in a row: {last.error or last.error_class}",
            last.remedy or f"`tcdatalogger runs show {last.run_id}` says more.",
            since=last.failing_since or now,
        )
    if fresh.late and (often := fresh.endpoint.frequency):
        when = "never" if last.success_at is None else moment(last.success_at)
        yield AlertEvent(
            f"late:{name}",
            f"{name} is late: it is to run every {often.words}, and its last good run "
            f"ended {when}.",
            last.remedy
            if last.failures
            else "`tcdatalogger status` says whether a scheduler is alive and what it waits for.",
            since=now - fresh.overdue,
        )
    for kind, (at, count, run_id) in last.news.items():
        if now - at < NEWS_LASTS:
            one, many, remedy = _NEWS[kind]
            yield AlertEvent(
                f"{kind}:{name}",
                f"{name}: {count} {one if count == 1 else many}, in the run {run_id}.",
                remedy.format(name),
                since=at,
            )


def _document(last: LastRuns | None, state: State) -> Iterator[AlertEvent]:
    """An alert while Torn's document is another than the catalogue, and tables change by it.

    It is over when a later look finds no such change: `catalog update` takes one.
    """
    if last is None or "drift" not in last.news:
        return
    at, _, run_id = last.news["drift"]
    if at != last.ended_at:
        return
    for run in state.runs(run_id=run_id, most=1):
        yield AlertEvent(
            "document:torn",
            f"Torn's document of its API has changed: {run.note}",
            "`tcdatalogger catalog update` shows what changes in your tables, and takes it over.",
            since=at,
        )


def _failed(what: str, last: LastRuns | None, now: float, name: str = "") -> Iterator[AlertEvent]:
    """An alert for work that failed once already: the next is due in a day or a week."""
    if last is not None and last.failures:
        yield AlertEvent(
            f"{what}:{name or 'failed'}",
            f"The {f'{what} {name}'.strip()} failed: {last.error or last.error_class}",
            last.remedy or f"`tcdatalogger runs show {last.run_id}` says more.",
            since=last.failing_since or now,
        )


def _channels(settings: Settings, state: State, now: float) -> Iterator[AlertEvent]:
    """An alert for each channel that does not take what it gets; the other channels are told."""
    known = Deliveries(state).channels()
    for channel in settings.all_channels:
        found = known.get(channel.name)
        if found is not None and found.tries >= settings.alerts.failures:
            yield AlertEvent(
                f"channel:{channel.name}",
                f"The channel {channel.name} took none of the last {found.tries} deliveries: "
                f"{found.why}.",
                f"`tcdatalogger channels test {channel.name}` tries it.",
                since=found.failing_since or now,
            )


def _keys(settings: Settings, state: State) -> Iterator[AlertEvent]:
    """An alert for each key that Torn never takes again.

    Keys are found by name, and the newest of each name counts. So this works also on a machine that
    cannot read the keys.
    """
    newest = {known.name: known for known in state.key_health.of_keys()}
    for name in settings.keys:
        known = newest.get(name)
        if known is not None and known.health == error_codes.KeyRefusal.DEAD.value:
            kind = error_codes.named(known.code)
            yield AlertEvent(
                f"key:{name}",
                f"The key {name!r} is dead, and no call is made with it: {kind.meaning}.",
                kind.remedy,
                since=known.since,
            )


def _disks(settings: Settings, known: set[str], now: float) -> Iterator[AlertEvent]:
    host, least = socket.gethostname(), sizes.parse(settings.alerts.min_free)
    by_mount: dict[int, list[Any]] = {}
    for disk in disks(settings):
        by_mount.setdefault(disk.mount, []).append(disk)
    for found in by_mount.values():
        disk, what = found[0], " and ".join(sorted(each.part for each in found))
        name = f"disk:{host}:{what.replace(' ', '_')}"
        if disk.free < least * (ROOM if name in known else 1.0):
            # Without the exact number, as that changes with every look.
            yield AlertEvent(
                name,
                f"{host}: less than {sizes.shown(least)} is free on the disk of the {what}, "
                f"in {disk.place}.",
                "Make room there, or keep less: `archive.keep` and `backup.keep`.",
                host=host,
                since=now,
            )


# --- telling ---------------------------------------------------------------------------------


def moment(seconds: float) -> str:
    """A time for people, as `2026-11-26 22:53 UTC`."""
    return f"{utc(seconds):%Y-%m-%d %H:%M} UTC"


def line(alert: Alert) -> str:
    """An alert in words, on one line."""
    item = _item(alert)
    text = redact(" ".join(f"{item.text} {item.remedy}".split()))
    return text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"


def message(alerts: Sequence[Alert], now: float) -> Message:
    """The message about alerts.

    Args:
        alerts: what it is about, one or more.
        now: seconds since 1970.
    """
    begins = [alert for alert in alerts if not alert.over]
    worst: Severity = max(
        (alert.event.severity for alert in begins), key=RANKS.__getitem__, default="info"
    )
    counts = [(len(begins), "new"), (len(alerts) - len(begins), "over")]
    found = ", ".join(f"{count} {word}" for count, word in counts if count)
    return Message(
        kind="alerts",
        subject=f"{'alert' if len(alerts) == 1 else 'alerts'}: {found}",
        items=tuple(map(_item, alerts)),
        severity=worst,
        at=now,
    )


def _item(alert: Alert) -> Item:
    event, facts = alert.event, _facts(alert)
    if alert.over_at is not None:
        text = f"Over since {moment(alert.over_at)}: {event.text}"
        return Item("", text, over=True, facts=facts)
    return Item("", f"{event.text} Since {moment(event.since)}.", event.remedy, facts=facts)


def _facts(alert: Alert) -> dict[str, Any]:
    event = alert.event
    return {
        "event": event.name,
        "kind": event.kind,
        "severity": event.severity,
        "state": "over" if alert.over else "begins",
        "since": event.since,
        "over_at": alert.over_at,
        "host": event.host or None,
        "text": redact(event.text),
        "remedy": redact(event.remedy),
    }


class AlertNotifier:
    """Finds what is wrong, and tells the channels; each has a thread while it is told.

    So a channel that does not answer delays nothing: no run, no other channel, no look.

    Args:
        clock: the source of time.
        environ: where secrets are that begin with `env:`; None for that of this process.
        opened: makes a channel of its settings; tests give another one.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        opened: Opened = channels.opened,
    ) -> None:
        self._clock = clock or SystemClock()
        self._environ = os.environ if environ is None else environ
        self._opened = opened
        self._threads: dict[str, Thread] = {}
        self._reported: dict[str, str] = {}

    def look(self, settings: Settings, state: State) -> int:
        """Look once, and begin to tell what is new or over.

        Returns how many alerts are being told now, over all channels.

        Raises:
            StateUnavailable: the state cannot be read or written now.
        """
        now = state.clock.now()
        run_stats.know(state, (e.name for e in settings.endpoints), now)
        # Made first, so that their secrets are hidden in the text of every alert.
        found = list(self._made(settings))
        Alerts(state).observe(events(settings, state, now), socket.gethostname(), now)
        return sum(self._begin(settings, state, each, channel) for each, channel in found)

    def wait(self, seconds: float) -> None:
        """Wait until everything is told that is being told, but no longer than `seconds` each."""
        for thread in list(self._threads.values()):
            thread.join(seconds)

    def _made(self, settings: Settings) -> Iterator[tuple[ChannelSettings, Channel]]:
        for each in settings.channels_for("alerts"):
            try:
                yield each, self._opened(settings, each, self._environ)
            except ConfigError as error:
                self._report(each.name, str(error))

    def _begin(
        self, settings: Settings, state: State, each: ChannelSettings, channel: Channel
    ) -> int:
        """Claim a channel and tell it what is new, in a thread; returns how many alerts that is."""
        before = self._threads.get(each.name)
        if before is not None and before.is_alive():
            return 0
        taken = Alerts(state).claim(each.name, lambda event: wants(each, event), state.clock.now())
        if not taken:
            return 0
        for alert in taken:
            name, text = alert.event.name, line(alert)
            if alert.over:
                _log.warning("alert_over", alert=name, channel=each.name, message=text)
            else:
                _log.warning("alert_begun", alert=name, channel=each.name, message=text)
        url = settings.state.url or ""
        thread = Thread(
            target=self._tell, args=(url, each.name, channel, taken), name=each.name, daemon=True
        )
        self._threads[each.name] = thread
        thread.start()
        return len(taken)

    def _tell(self, url: str, name: str, channel: Channel, taken: list[Alert]) -> None:
        sent = channel.send(message(taken, self._clock.now()), channels.SECONDS)
        if sent.why:
            self._report(name, f"The channel {name} did not take the alerts: {sent.why}.")
        else:
            self._reported.pop(name, None)
        try:
            with State(url, self._clock) as state:
                _note(state, name, taken, sent)
        except Failure as failure:  # the claim runs out, and the alerts are told again
            _log.error("delivery_not_noted", channel=name, message=failure.message)

    def _report(self, name: str, why: str) -> None:
        """Log a reason once: it is tried again and again."""
        if self._reported.get(name) != why:
            self._reported[name] = why
            _log.error("alerts_not_delivered", channel=name, message=why)


def _note(state: State, name: str, taken: Sequence[Alert], sent: Sent) -> None:
    """Write down how telling a channel ended."""
    now, alerts = state.clock.now(), Alerts(state)
    if not sent.why:
        alerts.acknowledge(name, taken, now)
        return
    known = Deliveries(state).channels().get(name)
    wait = sent.wait or BACKOFF.pause((known.tries if known else 0) + 1)
    alerts.postpone(name, taken, sent.why, now, wait)


def try_out(
    settings: Settings, channel: ChannelSettings, environ: Mapping[str, str], now: float
) -> Sent:
    """Send one message that says that messages arrive here.

    Args:
        settings: the configuration.
        channel: to which it is sent.
        environ: where secrets are that begin with `env:`.
        now: seconds since 1970.

    Raises:
        ConfigError: a secret of the channel is not where the configuration says.
    """
    gets = " and ".join(channel.gets)
    event = AlertEvent(
        "test:channel",
        f"This is a test: {gets} of TCdatalogger arrive here.",
        since=now,
    )
    opened = channels.opened(settings, channel, environ)
    return opened.send(message([Alert(event)], now), channels.SECONDS)
