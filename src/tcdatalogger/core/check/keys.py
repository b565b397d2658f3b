"""What each key is, what its endpoints need, and whether it can do it: for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.run import key_selection
from tcdatalogger.core.run.key_selection import KnownHealth
from tcdatalogger.errors import ConfigError, Failure, KeyRefused
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.client.client import fingerprint
from tcdatalogger.services.torncity.keys import KeyInfo, custom_key_link, needs


@dataclass(frozen=True, slots=True)
class Need:
    """What one endpoint needs of a key.

    Attributes:
        endpoint: by its name in the configuration.
        access: the level of a key that is not a custom one.
        faction_access: whether the owner's position in the faction must give API access.
        problem: why the key cannot do it, "" where it can, None where nobody knows.
        others: the other keys that the endpoint may use.
    """

    endpoint: str
    path: str
    access: str
    faction_access: bool
    problem: str | None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyReport:
    """All about one key.

    Attributes:
        info: what Torn says of it, None where Torn cannot be asked.
        health: what is known of it, None where the key cannot be had.
        calls_left: of its owner, within the share of the limit that is ours.
        needs: of the endpoints that name it.
        link: makes a custom key with exactly the selections that they need.
        failure: why it cannot be used, None where it can.
    """

    name: str
    info: KeyInfo | None
    health: KnownHealth | None
    calls_left: int | None
    needs: tuple[Need, ...]
    link: str
    failure: Failure | None = None

    @property
    def wrong(self) -> Failure | None:
        """The first thing that is wrong with it.

        An endpoint that has another key for it is no fault of this one.
        """
        if self.failure is not None:
            return self.failure
        lacking = next((need for need in self.needs if need.problem and not need.others), None)
        if lacking is None or lacking.problem is None:
            return None
        return KeyRefused(lacking.problem, remedy=f"A key that can do all of it: {self.link}")


def reports(application: Application, *, online: bool = True) -> Iterator[KeyReport]:
    """A report of every key that is configured or used.

    Args:
        application: with the settings to look at.
        online: whether Torn is asked: one call for each key, none for one that it refused.
    """
    settings = application.settings
    used = [name for endpoint in settings.endpoints for name in endpoint.api_key]
    for name in dict.fromkeys([*settings.keys, *used]):
        yield _report(application, name, online=online)


def _report(application: Application, name: str, *, online: bool) -> KeyReport:
    mine = [e for e in application.settings.endpoints if name in e.api_key]
    found = [(endpoint, application.task(endpoint).endpoint) for endpoint in mine]
    link = custom_key_link([wanted for _, wanted in found])
    try:
        key = application.key(name)
    except ConfigError as error:
        unknown = tuple(_need(endpoint, wanted, name, None) for endpoint, wanted in found)
        return KeyReport(name, None, None, None, unknown, link, error)
    failure = None
    if online:
        try:
            application.info(key)
        except Failure as error:
            failure = error
    known = application.state.key(fingerprint(key))
    info = None if known is None else known[0]
    return KeyReport(
        name=name,
        info=info,
        health=key_selection.health(application.state, key, application.clock.now()),
        calls_left=application.budget.left(application.owner(key)),
        needs=tuple(_need(endpoint, wanted, name, info) for endpoint, wanted in found),
        link=link,
        failure=failure,
    )


def _need(
    endpoint: EndpointSettings, wanted: catalog.Endpoint, name: str, info: KeyInfo | None
) -> Need:
    return Need(
        endpoint=endpoint.name,
        path=endpoint.path,
        access=wanted.access,
        faction_access=wanted.faction_access,
        problem=None if info is None else needs(wanted, info) or "",
        others=tuple(other for other in endpoint.api_key if other != name),
    )
