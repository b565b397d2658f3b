"""Compares Torn's document as it is now with the catalogue in use, and takes it over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.recorded import recorded
from tcdatalogger.core.run.timeout import deadline
from tcdatalogger.core.state.leases import CATALOG, Claim
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import Busy, ConfigError, DataRefused, Failure
from tcdatalogger.observability.log import bound, get_logger
from tcdatalogger.services.torncity.catalog import catalog, diff, document
from tcdatalogger.services.torncity.catalog.catalog import Catalog
from tcdatalogger.services.torncity.catalog.diff import EndpointChange
from tcdatalogger.services.torncity.catalog.openapi import compile_catalog

STEP: Final = "catalog"

_MOST_NAMES: Final = 8
"""Endpoints that an alert names."""

_log = get_logger("catalog")


@dataclass(frozen=True, slots=True)
class Touched:
    """A configured endpoint that another catalogue changes.

    Attributes:
        endpoint: its name.
        path: of the catalogue.
        change: `added`, `removed` or `changed`.
        differences: how many changes of its tables there are.
    """

    endpoint: str
    path: str
    change: str
    differences: int


@dataclass(frozen=True, slots=True)
class CatalogUpdate:
    """Torn's document beside the catalogue in use.

    Attributes:
        before, after: the catalogue in use, and that of the document.
        raw: the bytes of the new catalogue.
        changes: between the two.
        touched: the endpoints of the configuration that change.
    """

    before: Catalog
    after: Catalog
    raw: bytes
    changes: tuple[EndpointChange, ...]
    touched: tuple[Touched, ...]

    @property
    def lost(self) -> list[str]:
        """The endpoints of the configuration whose path is gone."""
        return [each.endpoint for each in self.touched if each.change == "removed"]

    def says(self) -> str:
        """What changes for the user, a sentence; "" for nothing."""
        if not self.touched:
            return ""
        names = [each.endpoint for each in self.touched[:_MOST_NAMES]]
        more = len(self.touched) - len(names)
        listed = ", ".join(names) + (f" and {more} more" if more else "")
        return f"version {self.after.version} changes {listed}."


def look(application: Application) -> CatalogUpdate:
    """Fetch Torn's document, and compare it with the catalogue in use.

    Raises:
        ConfigError: the configuration has no address of it, or it is no such document.
        TornUnavailable: it cannot be fetched now.
        DataRefused: it has far fewer paths than the catalogue in use.
    """
    settings, before = application.settings, application.catalog
    url = settings.torn.documented
    if not url:
        raise ConfigError(
            "The configuration has no address of Torn's document.",
            remedy='Write document = "https://…" in [torn], or name a file in `catalog use`.',
        )
    try:
        raw = compile_catalog(document.fetch(url), url)
        after = catalog.read(raw, url)
    except ConfigError as error:
        raise DataRefused(
            f"What is at {url} is no document of Torn's: {error.message}",
            remedy="Nothing was changed. Look whether the address is right.",
        ) from None
    if 2 * len(after.endpoints) < len(before.endpoints):
        raise DataRefused(
            f"The document at {url} has {len(after.endpoints)} paths, and the catalogue in use has "
            f"{len(before.endpoints)}.",
            remedy="It may be cut off. `tcdatalogger catalog use FILE` takes any.",
        )
    changes = tuple(diff.changes(before, after))
    return CatalogUpdate(
        before, after, raw, changes, tuple(touched(settings, (before, after), changes))
    )


def touched(
    settings: Settings, versions: Sequence[Catalog], changes: Sequence[EndpointChange]
) -> Iterator[Touched]:
    """The endpoints of a configuration that changes between two catalogues touch."""
    by_path = {change.path: change for change in changes}
    for endpoint in settings.endpoints:
        template = next(_templates(endpoint.path, versions), endpoint.path)
        change = by_path.get(template)
        if change is not None:
            yield Touched(endpoint.name, template, change.change, len(change.differences))


def _templates(path: str, versions: Sequence[Catalog]) -> Iterator[str]:
    """The path in the catalogue of an endpoint's path, for each version that has it."""
    for version in versions:
        try:
            yield version.find(path)[0].path
        except ConfigError:
            continue


def note(application: Application) -> None:
    """Note in the state that the catalogue in use is Torn's: an alert about it is over.

    Raises:
        StateUnavailable: the state cannot be written.
    """
    if not application.settings.state.begun:
        return
    run_id = new_run_id(application.clock)
    with (
        suppress(Busy),  # the scheduler looks at this moment: it sees the new catalogue next time
        application.claimed(CATALOG, run_id) as held,
        recorded(application, held, STEP),
    ):
        return


def scheduled(application: Application, claim: Claim, timeout: float | None) -> None:
    """Look at Torn's document under a claim of the scheduler; nothing is taken over.

    The state has it as a run of the name `CATALOG`: its drift is how many endpoints of the
    configuration change, and its note says which.

    Raises:
        Failure: as `look`; the state has it.
    """
    with (
        application.claimed(CATALOG, claim.run_id, claim) as held,
        bound(run_id=claim.run_id, endpoint=CATALOG),
        recorded(application, held, STEP) as found,
        deadline(timeout, STEP),
    ):
        try:
            update = look(application)
        except Failure as failure:
            _log.warning("document_not_read", message=failure.message)
            raise
        found |= {"drift": len(update.touched), "note": update.says()}
        if update.touched:
            _log.warning("document_changed", message=update.says(), version=update.after.version)
