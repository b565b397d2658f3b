"""The addresses of the operations pages, and who may see them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tcdatalogger.errors import TryAgain
from tcdatalogger.web.context import viewer
from tcdatalogger.web.operations import budget, endpoint, ledger, logs, overview, runs
from tcdatalogger.web.render import page


def routes() -> list[Route]:
    """The addresses of these pages."""
    return [
        Route("/ops", _for_officers(overview.overview)),
        Route("/ops/runs", _for_officers(runs.runs)),
        Route("/ops/runs/{run_id}", _for_officers(runs.run)),
        Route("/ops/endpoints/{name}", _for_officers(endpoint.endpoint)),
        Route("/ops/budget", _for_officers(budget.budget)),
        Route("/ops/schema", _for_officers(ledger.schema)),
        Route("/ops/drift", _for_officers(ledger.drift)),
        Route("/ops/quarantine", _for_officers(ledger.quarantine)),
        Route("/ops/logs", _for_officers(logs.logs)),
    ]


def _for_officers(
    shown: Callable[[Request], Response],
) -> Callable[[Request], Response]:
    """A page that members do not see, and that says so where the state cannot be read."""

    def guarded(request: Request) -> Response:
        if viewer(request).role == "member":
            says = "An officer sees this, and nobody else."
            return page(request, "problem.html", 403, title="Operations", says=says, remedy="")
        try:
            return shown(request)
        except TryAgain as error:
            facts = {"says": error.message, "remedy": error.remedy}
            return page(request, "problem.html", 503, title="The state cannot be read", **facts)

    return guarded
