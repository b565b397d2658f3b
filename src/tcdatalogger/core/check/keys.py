"""Reports on keys: what each key may read, and what the endpoints that use it need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.run import known_health
from tcdatalogger.core.run.known_health import KnownHealth
from tcdatalogger.errors import ConfigError, Failure, KeyRefused
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.client.key_health import fingerprint
from tcdatalogger.services.torncity.keys import KeyInfo, custom_key_link, needs


@dataclass(frozen=True, slots=True)
class Need:
    """What one endpoint needs of a key.

    Attributes:
        endpoint: the name of the endpoint.
        path: the path of the endpoint.
        access: the lowest level of a key that is no custom key.
        faction_access: whether the owner's position in the faction must give API access.
        problem: why the key cannot read the endpoint, "" where it can, None where it is unknown.
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
    """The report on one key.

    Attributes:
        name: the name of the key.
        info: Torn's answer about the key, None where it is unknown.
        health: the health of the key, None where its secret cannot be resolved.
        calls_left: how many calls of its owner may go now; None as for `health`.
        needs: what the endpoints that use the key need.
        link: an address at which Torn makes a custom key with exactly these selections.
        failure: why the key cannot be used, None where it can.
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
        """The first problem of the key, None for none.

        An endpoint that has another key is no problem.
        """
        if self.failure is not None:
            return self.failure
        lacking = next((need for need in self.needs if need.problem and not need.others), None)
        if lacking is None or lacking.problem is None:
            return None
        return KeyRefused(lacking.problem, remedy=f"A key that can do all of it: {self.link}")


def reports(application: Application, *, online: bool = True) -> Iterator[KeyReport]:
    """The reports on all keys that are configured or used.

    Args:
        application: the application.
        online: whether Torn is asked: one call for each key, none for a key that was refused.
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
        health=known_health.health(application.state, key, application.clock.now()),
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
