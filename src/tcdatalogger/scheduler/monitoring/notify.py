"""Alerts: finds what is wrong, puts it into words, and posts it to a webhook."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from tcdatalogger.backoff import Backoff
from tcdatalogger.clock import utc
from tcdatalogger.core.config import sizes
from tcdatalogger.core.config.secrets import resolve
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.alerts import REFUSED, Alert, AlertEvent, Alerts
from tcdatalogger.core.state.leases import BACKUP, DIGEST
from tcdatalogger.core.state.run_stats import LastRuns
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import ConfigError, Unbalanced
from tcdatalogger.observability.log import get_logger
from tcdatalogger.observability.redact import redact
from tcdatalogger.observability.webhook import Posted, hide, post
from tcdatalogger.scheduler.monitoring.disk_usage import disks
from tcdatalogger.scheduler.monitoring.freshness import Freshness, freshness
from tcdatalogger.services.torncity.client import error_codes

NAME: Final = "alerts.webhook"

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
"""Until a message that the webhook did not take is sent again."""
_DISCORD: Final = 1_900
"""Characters of a message at most; Discord takes 2,000."""
_LINE: Final = 600
"""Characters of one alert at most."""

_log = get_logger("alerts")

Post = Callable[[str, Mapping[str, Any]], Posted]


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
    low = {alert.event.name for alert in Alerts(state).all()}
    found: list[AlertEvent] = []
    lasts = run_stats.lasts(state)
    for fresh in freshness(settings, lasts, now):
        if fresh.endpoint.enabled:
            found += _of_endpoint(fresh, settings.alerts.failures, now)
    if settings.backup.frequency is not None:
        found += _failed("backup", lasts.get(BACKUP), now)
    if settings.digest.questions:
        found += _failed("digest", lasts.get(DIGEST), now)
    found += _keys(settings, state)
    found += _disks(settings, low, now)
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


def _failed(what: str, last: LastRuns | None, now: float) -> Iterator[AlertEvent]:
    """An alert for work that failed once already: the next is due in a day or a week."""
    if last is not None and last.failures:
        yield AlertEvent(
            f"{what}:failed",
            f"The {what} failed: {last.error or last.error_class}",
            last.remedy or f"`tcdatalogger runs show {last.run_id}` says more.",
            since=last.failing_since or now,
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


# --- posting ---------------------------------------------------------------------------------


def moment(seconds: float) -> str:
    """A time for people, as `2026-11-26 22:53 UTC`."""
    return f"{utc(seconds):%Y-%m-%d %H:%M} UTC"


def line(alert: Alert) -> str:
    """An alert in words, on one line."""
    event = alert.event
    if alert.over_at is not None:
        text = f"Over since {moment(alert.over_at)}: {event.text}"
    else:
        text = f"{event.text} Since {moment(event.since)}. {event.remedy}"
    text = redact(" ".join(text.split()))
    return text if len(text) <= _LINE else f"{text[: _LINE - 1]}…"


def message(alerts: Sequence[Alert], kind: str) -> dict[str, Any]:
    """The body of one post about several alerts.

    Args:
        alerts: what the post is about.
        kind: `discord` or `json`: whose format the body has.
    """
    lines = [line(alert) for alert in alerts]
    if kind == "json":
        return {
            "source": "tcdatalogger",
            "text": "\n".join(lines),
            "alerts": [_plain(alert) for alert in alerts],
        }
    shown: list[str] = []
    for alert, text in zip(alerts, lines, strict=True):
        sign = (
            "\N{WHITE HEAVY CHECK MARK}"
            if alert.over
            else "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}"
        )
        shown.append(f"{sign} {text}")
        if len("\n".join(shown)) > _DISCORD:
            shown.pop()
            shown.append(f"… and {len(alerts) - len(shown)} more: `tcdatalogger status`")
            break
    # An error may hold names of players: Discord must not notify anybody by them.
    return {
        "username": "TCdatalogger",
        "content": "\n".join(shown),
        "allowed_mentions": {"parse": []},
    }


def _plain(alert: Alert) -> dict[str, Any]:
    event = alert.event
    return {
        "event": event.name,
        "kind": event.kind,
        "state": "over" if alert.over else "begins",
        "since": event.since,
        "over_at": alert.over_at,
        "host": event.host or None,
        "text": redact(event.text),
        "remedy": redact(event.remedy),
    }


def address(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """The address of the webhook; None where none is configured.

    Raises:
        ConfigError: the address is not where the configuration says.
    """
    reference = settings.alerts.webhook
    if reference is None:
        return None
    found = resolve(NAME, reference, environ).reveal()
    hide(found)
    return found


class AlertNotifier:
    """Finds what is wrong, and posts it.

    Args:
        environ: the environment, for a webhook that is `env:`; None for that of this process.
        send: posts a message; tests give another one.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        send: Post = post,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._send = send
        self._reported = ""

    def look(self, settings: Settings, state: State) -> int:
        """Look once, and post what is new or over.

        Returns how many alerts were posted.

        Raises:
            StateUnavailable: the state cannot be read or written now.
        """
        now = state.clock.now()
        run_stats.know(state, (e.name for e in settings.endpoints), now)
        where = self._where(
            settings
        )  # found first, so that it is hidden in the text of every alert
        alerts = Alerts(state)
        alerts.observe(events(settings, state, now), socket.gethostname(), now)
        taken = alerts.claim(now) if where is not None else []
        if where is None or not taken:
            return 0
        for alert in taken:
            if alert.over:
                _log.warning("alert_over", alert=alert.event.name, message=line(alert))
            else:
                _log.warning("alert_begun", alert=alert.event.name, message=line(alert))
        posted = self._send(where, message(taken, settings.alerts.kind))
        if posted.why:
            tries = max(alert.tries for alert in taken)
            wait = posted.wait or BACKOFF.pause(tries + 1)
            self._report(f"The webhook of the alerts did not take them: {posted.why}.")
            alerts.postpone(taken, state.clock.now() + wait)
            return 0
        self._reported = ""
        alerts.acknowledge(taken, state.clock.now())
        return len(taken)

    def _where(self, settings: Settings) -> str | None:
        try:
            return address(settings, self._environ)
        except ConfigError as error:
            self._report(str(error))
            return None

    def _report(self, why: str) -> None:
        """Log a reason once: it is tried again and again."""
        if why != self._reported:
            self._reported = why
            _log.error("alerts_not_delivered", message=why)


def try_out(settings: Settings, environ: Mapping[str, str], now: float) -> Posted:
    """Post one message that says that alerts arrive here.

    Args:
        settings: the configuration.
        environ: the environment, for a webhook that is `env:`.
        now: seconds since 1970.

    Raises:
        ConfigError: no webhook is configured, or its address is not where the configuration says.
    """
    where = address(settings, environ)
    if where is None:
        raise ConfigError(
            "No webhook is configured.", remedy='Write webhook = "env:DISCORD_WEBHOOK" in [alerts].'
        )
    event = AlertEvent(
        "test:alerts", "This is a test: alerts of TCdatalogger arrive here.", since=now
    )
    return post(where, message([Alert(event, None, None, 0)], settings.alerts.kind))
