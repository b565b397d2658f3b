"""Runs of the past as the archive has them, and who makes rows of their answers again."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Final

from tcdatalogger.core.main import Application
from tcdatalogger.core.pending import About
from tcdatalogger.core.settings import Endpoint
from tcdatalogger.services.torncity.base import EndpointProcessor
from tcdatalogger.services.torncity.registry import processor
from tcdatalogger.services.torncity.task import Page, Tools
from tcdatalogger.services.warehouse import Warehouse

ORDERED: Final = ("merge", "history")
"""Storage modes by which what a run stores hangs on the runs before it."""


def worker(
    application: Application, endpoint: Endpoint, run_id: str, warehouse: Warehouse, file: str
) -> EndpointProcessor:
    """What makes the rows of a run, with the shape that the warehouse knows by now."""
    task = application.task(endpoint, run_id)
    tools = Tools(
        warehouse=warehouse,
        clock=application.clock,
        known=warehouse.known(endpoint.name),
        owners=warehouse.owners(),
        archive=file,
    )
    return processor(task.endpoint.path, endpoint.processor)(task, tools)


def pages(application: Application, file: str) -> tuple[Page, ...]:
    """The pages of an archived run, none where its fetch ended in an error.

    An id that Torn did not know stands among the answers as an error too and is passed over, and so
    does an answer without its data. A file of an older version does not say whether it is whole.
    """
    kept = list(application.archive.read(file))
    whole = About.read(application.archive, file).whole
    whole = whole or not kept or not kept[-1][0] or len({page.subject_id for _, page in kept}) > 1
    return tuple(page for error, page in kept if not error) if whole else ()


def newest_run(warehouse: Warehouse, endpoint: str) -> str | None:
    """The run whose rows an endpoint stored last, None before its first load."""
    newest = warehouse.loads(endpoint=endpoint, counting=True, most=1)
    return newest[0].run_id if newest else None


def run_of(file: str) -> str:
    """The run whose answers a file of the archive has."""
    return Path(file).stem


def load_id(run_id: str, endpoint: str, token: str) -> str:
    """Of a load that is made again: another than the run's own, which is in the ledger."""
    return sha256(f"{run_id}\n{endpoint}\n{token}".encode()).hexdigest()[:16]
