"""TCdatalogger logs Torn City's API v2 into a warehouse of typed tables.

The names below are the public face for Python; `docs/python.md` shows them. A name is loaded when
it is first asked for, so `import tcdatalogger` costs next to nothing.

    import tcdatalogger

    logger = tcdatalogger.open("tcdatalogger.toml")
    result = logger.run("faction_members")
    table = logger.table("faction_members")
"""

from importlib import import_module

TYPE_CHECKING = False
"""Type checkers take it for true. `typing` would take far longer to import than this module."""

if TYPE_CHECKING:
    from tcdatalogger import errors
    from tcdatalogger.core.run.run import RunResult
    from tcdatalogger.core.views.runs import RunView
    from tcdatalogger.core.views.status import Status
    from tcdatalogger.datalogger import DataLogger, open  # noqa: A004  # as gzip.open
    from tcdatalogger.sandbox.api.server import Sandbox
    from tcdatalogger.services.torncity.client.messages import Request
    from tcdatalogger.services.torncity.processing.base import EndpointProcessor
    from tcdatalogger.services.torncity.processing.task import (
        Fetched,
        Known,
        Page,
        Source,
        Task,
        Transformed,
    )

__version__ = "0.1.0"

__all__ = [
    "DataLogger",
    "EndpointProcessor",
    "Fetched",
    "Known",
    "Page",
    "Request",
    "RunResult",
    "RunView",
    "Sandbox",
    "Source",
    "Status",
    "Task",
    "Transformed",
    "errors",
    "open",
]

_MODULES = {
    "DataLogger": "datalogger",
    "EndpointProcessor": "services.torncity.processing.base",
    "Fetched": "services.torncity.processing.task",
    "Known": "services.torncity.processing.task",
    "Page": "services.torncity.processing.task",
    "Request": "services.torncity.client.messages",
    "RunResult": "core.run.run",
    "RunView": "core.views.runs",
    "Sandbox": "sandbox.api.server",
    "Source": "services.torncity.processing.task",
    "Status": "core.views.status",
    "Task": "services.torncity.processing.task",
    "Transformed": "services.torncity.processing.task",
    "open": "datalogger",
}
"""The module of each name."""


if not TYPE_CHECKING:  # a type checker is to know the names above, and no others

    def __getattr__(name: str) -> object:
        if name == "errors":
            return import_module("tcdatalogger.errors")
        if name not in _MODULES:
            raise AttributeError(f"module 'tcdatalogger' has no attribute {name!r}")
        value: object = getattr(import_module(f"tcdatalogger.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
